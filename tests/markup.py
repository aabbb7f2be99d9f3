"""Markup as a browser reads it."""


def folded(markup: str) -> str:
    """Runs of white space are one space and a tag ends without one, so that a test does not depend on the line breaks
    of a template.
    """
    return " ".join(markup.split()).replace(" >", ">")
