"""Extract translatable texts from Python, error docstrings, templates and scripts."""

import ast
import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("annotation", "training", "guardapp")
ERROR = "ServiceError"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}

# the file, the text or its singular and plural, and its context
Text = tuple[str, str | tuple[str, str], str | None]


def pages() -> Catalog:
    """Texts of the domain `django`."""
    return _catalogue([*_of_python(), *_of_errors(), *_of_templates()])


def scripts() -> Catalog:
    """Texts of the domain `djangojs`."""
    return _catalogue(
        [text for path in _files("static/js", "*.js") for text in _extracted(path, "javascript", path.read_bytes())]
    )


def _of_python() -> Iterator[Text]:
    for path in _python_files():
        yield from _extracted(path, "python", path.read_bytes())


def _of_errors() -> Iterator[Text]:
    """The docstring of an error is its message, unless its class has an `__init__`."""
    classes = [
        (path, node)
        for path in _python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    errors = {ERROR}
    while more := {
        node.name for _, node in classes if node.name not in errors and errors & {_name(base) for base in node.bases}
    }:
        errors |= more
    for path, node in classes:
        makes_its_own = any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body)
        if node.name in errors and not makes_its_own and (words := ast.get_docstring(node, clean=False)):
            yield _place(path), " ".join(words.split()), None


def _of_templates() -> Iterator[Text]:
    for path in _files("templates", "*.html"):
        calls = templatize(path.read_text(), origin=str(path))
        yield from _extracted(path, "javascript", calls.encode())


def _extracted(path: Path, method: str, source: bytes) -> Iterator[Text]:
    for _line, words, _comments, context in extract(method, io.BytesIO(source), keywords=KEYWORDS):
        if words:
            yield _place(path), words if isinstance(words, str) else (words[0], words[1]), context


def _catalogue(texts: list[Text]) -> Catalog:
    found = Catalog(charset="utf-8")
    for place, words, context in texts:
        found.add(words, locations=[(place, 1)], context=context)
    return found


def _python_files() -> list[Path]:
    return [path for room in ROOMS for path in _files(room, "*.py") if "migrations" not in path.parts]


def _files(folder: str, pattern: str) -> list[Path]:
    return sorted((ROOT / folder).rglob(pattern))


def _place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
