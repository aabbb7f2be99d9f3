"""The catalogues of a language: read them, update them with the current texts, compile them."""

from collections.abc import Callable, Mapping
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

from translating.texts import ROOT, pages, scripts

DOMAINS: Mapping[str, Callable[[], Catalog]] = {"django": pages, "djangojs": scripts}
HEADER = (
    "# Texts of guardapp. `python -m translating` adds and removes texts; only the translations are written by hand."
)


def file_of(language: str, domain: str, ending: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / f"{domain}.{ending}"


def stored(language: str, domain: str) -> Catalog:
    with file_of(language, domain, "po").open("rb") as file:
        return read_po(file, locale=language)


def compiled(language: str, domain: str) -> Catalog:
    with file_of(language, domain, "mo").open("rb") as file:
        return read_mo(file)


def renew(language: str, domain: str) -> Catalog:
    """Update the .po file with every text of the code and compile the .mo file.

    New texts have no translation yet; texts that the code no longer has are removed.
    """
    path = file_of(language, domain, "po")
    known = (
        stored(language, domain)
        if path.exists()
        else Catalog(
            locale=language,
            domain=domain,
            project="guardapp",
            version="1",
            header_comment=HEADER,
            fuzzy=False,
            msgid_bugs_address="",
            last_translator="guardapp",
            language_team=language,
        )
    )
    texts = DOMAINS[domain]()
    # a file changes only if a text does
    texts.creation_date = known.creation_date
    known.update(texts, no_fuzzy_matching=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, known, sort_output=True, ignore_obsolete=True, include_lineno=False, width=120)
    with file_of(language, domain, "mo").open("wb") as file:
        write_mo(file, known)
    return known


def missing(catalogue: Catalog) -> list[str]:
    """Texts without a translation, or with a fuzzy one."""
    return [str(message.id) for message in catalogue if message.id and (message.fuzzy or not all(forms_of(message)))]


def forms_of(message: Message) -> tuple[str, ...]:
    """The translation, or those of the singular and plural."""
    return tuple(message.string or ("",)) if not isinstance(message.string, str) else (message.string,)
