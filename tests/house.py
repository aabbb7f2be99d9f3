"""The layout of the code: `python -m tests.house` prints its figures, tests/test_house.py holds its rules.

Everything is read from the syntax trees, so imports hidden in functions count.
"""

import ast
import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.paths import ROOT

APPS = ("guardapp", "annotation", "training")
MODULES_A_FOLDER = 20
LINES_A_FILE = 300
COLUMNS_A_TEMPLATE = 160

# The order of the folders, lowest first. A folder imports only from the floors below its own, never from another name
# on the same floor. A name is a folder, or a module that lies directly in an app. The reasons are in docs/adr/0011.
ORDER = """
guardapp/processes
guardapp/guard
guardapp/guard/measures guardapp/guard/media
guardapp/guard/rl guardapp/guard/engines/hf
guardapp/guard/engines

guardapp/env guardapp/redis_tls guardapp/subpath
guardapp/tracing guardapp/object_store guardapp/static_files guardapp/logs guardapp/worker_alive
guardapp/supervisor guardapp/celery

annotation/status annotation/errors annotation/doorbell annotation/database
annotation/models
annotation/people annotation/queues annotation/prometheus
annotation/outbound
annotation/media
annotation/ingest annotation/predictions
annotation/context
annotation/review annotation/exporting annotation/moderation
annotation/items annotation/insights annotation/policies annotation/operations
annotation/importing
annotation/tasks annotation/templatetags
annotation/web
annotation/api/shapes
annotation/api annotation/pages annotation/pages/review
annotation/pages/people annotation/management/commands
annotation/urls annotation/api_urls annotation/apps

training/status training/contract
training/gate
training/recipes training/models training/errors
training/files training/learning
training/learning/grpo
training/jobs training/starter
training/snapshots
training/versions training/corpora
training/runs training/progress training/benchmarks
training/plan training/schedules
training/installation training/tasks training/templatetags
training/api/shapes
training/api training/pages training/management
training/management/commands
training/urls training/api_urls training/apps

guardapp/settings guardapp/urls guardapp/wsgi
"""
FLOOR: Mapping[str, int] = {name: floor for floor, names in enumerate(ORDER.split("\n")) for name in names.split()}


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the product. `lines` counts all of them, blank ones too."""

    path: Path
    tree: ast.Module
    lines: int

    @property
    def dotted(self) -> str:
        return ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")

    @property
    def place(self) -> str:
        """The name in ORDER that it belongs to: its folder, or itself where it lies directly in an app."""
        folder = self.path.parent.as_posix()
        return folder if folder not in APPS else self.path.with_suffix("").as_posix()


@dataclass(frozen=True, slots=True)
class Arrow:
    """`importer` imports `target`, both dotted, from the place `begin` to the place `end`."""

    importer: str
    target: str
    begin: str
    end: str


@cache
def modules() -> dict[str, Module]:
    """Every module by its dotted name. Migrations and empty `__init__.py` files are left out."""
    found = {}
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            text = path.read_text()
            if "migrations" in path.parts or (path.name == "__init__.py" and not text.strip()):
                continue
            module = Module(path.relative_to(ROOT), ast.parse(text), len(text.splitlines()))
            found[module.dotted] = module
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a module imports: `a.b` of `import a.b`, `a.b` and `a.b.c` of `from a.b import c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def arrows() -> tuple[Arrow, ...]:
    """Imports of the product's own modules that lead to another place."""
    known, found = modules(), []
    for module in known.values():
        targets = {target for target in imported(module.tree) if target in known}
        for target in sorted(targets):
            end = known[target].place
            if end != module.place:
                found.append(Arrow(module.dotted, target, module.place, end))
    return tuple(found)


def wrong_arrows() -> list[str]:
    """Imports that lead upwards or sideways."""
    return [
        f"{arrow.importer} imports {arrow.target}"
        for arrow in arrows()
        if arrow.begin in FLOOR and arrow.end in FLOOR and FLOOR[arrow.end] >= FLOOR[arrow.begin]
    ]


def places_without_floor() -> list[str]:
    return sorted({module.place for module in modules().values()} - FLOOR.keys())


def floors_without_place() -> list[str]:
    return sorted(FLOOR.keys() - {module.place for module in modules().values()})


def folder_sizes() -> Counter[str]:
    """How many modules each folder holds, `__init__.py` not counted."""
    return Counter(one.path.parent.as_posix() for one in modules().values() if one.path.name != "__init__.py")


def mutual_pairs() -> list[tuple[str, str]]:
    """Pairs of places that import each other."""
    edges = {(arrow.begin, arrow.end) for arrow in arrows()}
    return sorted((a, b) for a, b in edges if a < b and (b, a) in edges)


def long_files() -> list[str]:
    paths = [path for folder in (*APPS, "tests", "benchmarks", "translating") for path in (ROOT / folder).rglob("*.py")]
    counted = {path: len(path.read_text().splitlines()) for path in paths if "migrations" not in path.parts}
    return sorted(f"{path.relative_to(ROOT)}: {lines}" for path, lines in counted.items() if lines > LINES_A_FILE)


def long_template_lines() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > COLUMNS_A_TEMPLATE
    ]


def functions() -> list[int]:
    """The lengths of all functions, in lines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for one in modules().values() for node in ast.walk(one.tree) if isinstance(node, kinds)]
    return sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def figures() -> dict[str, float | int | str]:
    sizes, lengths = folder_sizes(), functions()
    siblings = [sizes[one.path.parent.as_posix()] - 1 for one in modules().values() if one.path.name != "__init__.py"]
    largest, most = sizes.most_common(1)[0]
    return {
        "modules": len(modules()),
        "folders": len(sizes),
        "largest_folder": most,
        "largest": largest,
        "mean_siblings": round(statistics.mean(siblings), 1),
        "mutual_pairs": len(mutual_pairs()),
        "upward_imports": len(wrong_arrows()),
        "files_over_300": len(long_files()),
        "template_lines_over_160": len(long_template_lines()),
        "function_median": statistics.median_low(lengths),
        "longest_function": lengths[-1],
    }


if __name__ == "__main__":
    print(json.dumps(figures()))
