"""Language codes of items: the subset of BCP 47 with language, script, region and variants."""

import re

LONGEST = 16
_CODE = re.compile(
    r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|[0-9]{3}))?((?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)", re.IGNORECASE
)


def language_code(value: object) -> str:
    """Return the code in conventional case (`pt_br` → `pt-BR`, RFC 5646 section 2.1.1).

    Returns "" if it is invalid or longer than 16 characters.
    """
    if not isinstance(value, str) or len(value) > LONGEST:
        return ""
    match = _CODE.fullmatch(value.strip().replace("_", "-"))
    if match is None:
        return ""
    language, script, region, variants = match.groups()
    return (
        "-".join([language.lower(), *([script.title()] if script else []), *([region.upper()] if region else [])])
        + variants.lower()
    )
