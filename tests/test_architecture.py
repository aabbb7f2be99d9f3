"""Who may import whom (docs/adr/0001). Imports hidden in functions count too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

HEAVY = {"torch", "torchvision", "transformers", "vllm", "trl", "peft", "decord", "av", "accelerate", "datasets"}
SERVICE_MAY_NOT_IMPORT = ("api", "views", "tasks", "forms", "serializers", "admin", "urls", "management", "bells")


def modules() -> Iterator[tuple[str, Path]]:
    for room in ("guardapp", "annotation", "training"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


MODULES = dict(modules())


def offenders(importer: str, forbidden: tuple[str, ...]) -> list[str]:
    return sorted(
        {
            f"{name} imports {target}"
            for name, path in MODULES.items()
            if name == importer or name.startswith(importer + ".")
            for target in imports(path)
            if any(target == room or target.startswith(room + ".") for room in forbidden)
        }
    )


@pytest.mark.parametrize(
    ("importer", "forbidden"),
    [
        ("guardapp.guard", ("django", "celery", "rest_framework", "annotation", "training")),
        ("annotation", ("training", "guardapp.urls")),
        ("training.jobs", ("django", "celery", "annotation", "training.models", "training.services")),
        ("training.contract", ("django", "annotation", "torch")),
        ("training.recipes", ("django", "annotation", "torch")),
        ("training", ("guardapp.urls",)),
    ],
)
def test_imports_point_down(importer: str, forbidden: tuple[str, ...]) -> None:
    # the demo queue is made by the project's own generator: setup is an edge that stands above both apps
    found = [line for line in offenders(importer, forbidden) if not line.startswith("annotation.management.commands.")]
    assert found == []


@pytest.mark.parametrize("app", ["annotation", "training"])
def test_services_never_import_an_edge(app: str) -> None:
    edges = tuple(f"{room}.{edge}" for room in ("annotation", "training") for edge in SERVICE_MAY_NOT_IMPORT)
    assert offenders(f"{app}.services", edges) == []


@pytest.mark.parametrize("app", ["annotation", "training"])
def test_models_import_neither_services_nor_edges(app: str) -> None:
    above = tuple(f"{app}.{room}" for room in ("services", "selectors", *SERVICE_MAY_NOT_IMPORT))
    assert offenders(f"{app}.models", above) == []


def test_heavy_packages_stay_in_their_rooms() -> None:
    allowed = ("guardapp.guard.engines.", "guardapp.guard.media.decode", "training.jobs.", "training.starter.")
    found = {
        f"{name} imports {target}"
        for name, path in MODULES.items()
        if not name.startswith(allowed)
        for target in imports(path)
        if target.split(".")[0] in HEAVY
    }
    assert sorted(found) == []


def test_the_package_drags_nothing_in() -> None:
    assert (ROOT / "guardapp" / "__init__.py").read_text() == ""
