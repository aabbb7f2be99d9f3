"""Words of a recipe that pages translate, marked without Django: jobs and studies read recipes, too."""


def gettext_noop(text: str) -> str:
    """The text itself; the catalogue's tools find the call by its name. `django.utils.translation`'s own one needs
    settings.
    """
    return text
