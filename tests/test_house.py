"""The layout of the code keeps its rules (docs/adr/0001 and 0011). `python -m tests.house` prints its figures."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import house
from tests.paths import ROOT

HEAVY = {"torch", "torchvision", "transformers", "vllm", "trl", "peft", "decord", "av", "accelerate", "datasets"}
HEAVY_PLACES = {
    "guardapp/guard/engines",
    "guardapp/guard/engines/hf",
    "guardapp/guard/media",
    "training/learning",
    "training/learning/grpo",
    "training/jobs",
    "training/starter",
}
TESTED_APPS = {"annotation": Path("annotation"), "training": Path("training"), "guard": Path("guardapp/guard")}
# their tests go through addresses and commands, so they need not import what they test
EDGES = ("api", "pages", "web", "management")
STARTED_AS_PROGRAMS = {
    "tests/annotation/moderation/test_guard_process.py",
    "tests/training/installation/test_backup.py",
    "tests/training/jobs/test_grpo_distributed.py",
}


def test_every_folder_has_a_place_in_the_order() -> None:
    assert house.places_without_floor() == [], (
        "name it in ORDER of tests/house.py, on the lowest floor that its imports allow"
    )
    assert house.floors_without_place() == [], "take it out of ORDER of tests/house.py"


def test_imports_point_down() -> None:
    assert house.wrong_arrows() == [], (
        "move what both need to a lower folder, or the importer to a higher one (ORDER of tests/house.py)"
    )
    assert house.mutual_pairs() == []


@pytest.mark.parametrize(
    ("importer", "forbidden"),
    [
        ("guardapp.guard", ("django", "celery", "rest_framework")),
        ("training.jobs", ("django", "celery", "annotation", "training.models")),
        ("training.learning", ("django", "celery", "annotation", "training.models")),
        ("training.contract", ("django", "annotation", "torch")),
        ("training.recipes", ("annotation", "torch")),
    ],
)
def test_programs_without_django_stay_so(importer: str, forbidden: tuple[str, ...]) -> None:
    found = {
        f"{name} imports {target}"
        for name, module in house.modules().items()
        if name == importer or name.startswith(importer + ".")
        for target in house.imported(module.tree)
        if any(target == one or target.startswith(one + ".") for one in forbidden)
    }
    assert sorted(found) == []


def test_heavy_packages_stay_where_the_web_never_loads_them() -> None:
    found = {
        f"{name} imports {target}"
        for name, module in house.modules().items()
        if module.place not in HEAVY_PLACES
        for target in house.imported(module.tree)
        if target.split(".")[0] in HEAVY
    }
    assert sorted(found) == []


def test_imports_are_absolute() -> None:
    relative = [
        name
        for name, module in house.modules().items()
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(module.tree))
    ]
    assert relative == []


def test_the_package_drags_nothing_in() -> None:
    assert (ROOT / "guardapp" / "__init__.py").read_text() == ""


def test_no_folder_is_crowded() -> None:
    crowded = {folder: size for folder, size in house.folder_sizes().items() if size > house.MODULES_A_FOLDER}
    assert crowded == {}, "give one of its subjects a folder"


def test_no_file_is_long() -> None:
    assert house.long_files() == [], "a file that outgrows 300 lines usually holds two things"


def test_no_template_line_is_long() -> None:
    assert house.long_template_lines() == []


def test_a_test_lies_in_the_folder_of_its_subject() -> None:
    assert [line for app in TESTED_APPS for line in misplaced_tests(app)] == []


def misplaced_tests(app: str) -> Iterator[str]:
    """Test files whose folder is no folder of the app, or that do not import anything from it."""
    base = ROOT / "tests" / app
    for path in sorted(base.rglob("test_*.py")):
        name, folder = path.relative_to(ROOT).as_posix(), path.parent.relative_to(base).as_posix()
        if not (ROOT / TESTED_APPS[app] / folder).is_dir():
            yield f"{name}: there is no folder {TESTED_APPS[app] / folder}"
        elif (
            name not in STARTED_AS_PROGRAMS
            and folder.split("/")[0] not in EDGES
            and not _imports_from(path, app, folder)
        ):
            yield f"{name} imports nothing from {TESTED_APPS[app] / folder}"


def _imports_from(test: Path, app: str, folder: str) -> bool:
    """Whether it imports a module of the folder itself; a module that lies directly in the app where the test does."""
    place = ".".join((TESTED_APPS[app] / folder).parts)
    for target in house.imported(ast.parse(test.read_text())):
        module = house.modules().get(target)
        if module is not None and module.path.parent == TESTED_APPS[app] / folder:
            return True
        if target == place and folder != ".":
            return True
    return False
