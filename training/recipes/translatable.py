"""Mark a recipe's translatable words without Django, since jobs and studies read recipes too."""


def gettext_noop(text: str) -> str:
    """Return the text; catalogue tools find the call by its name. Django's own function needs settings."""
    return text
