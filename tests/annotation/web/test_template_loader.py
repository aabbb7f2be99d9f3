"""Pages leave the indentation of their templates behind, and nothing that people read."""

from django.template.loader import get_template

from annotation.web.template_loader import without_indentation


def test_indentation_goes_and_a_line_break_stays() -> None:
    assert without_indentation("<ul>\n    <li>a</li>\n\t<li>b</li>\n</ul>") == "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"
    assert without_indentation("a\n   b") == "a\nb"


def test_what_pre_and_textarea_hold_stays() -> None:
    kept = "<pre class=x>\n  a\n    b</pre>"
    area = "<textarea\n   name=a>\n  c</textarea>"
    assert without_indentation(f"<p>\n  {kept}\n  {area}\n  </p>") == f"<p>\n{kept}\n{area}\n</p>"


def test_the_pages_are_read_by_it() -> None:
    template = get_template("annotation/items/page.html").template  # type: ignore[attr-defined]
    assert "\n  " not in template.source and "\n<" in template.source
