"""Generate docs/settings.md from the register of variables: `python -m guardapp.settings`."""

from pathlib import Path

from guardapp import env
from guardapp.settings.places import BASE_DIR

PAGE = BASE_DIR / "docs" / "settings.md"
SECTIONS = (
    "The guard",
    "Moderation while the caller waits",
    "Workers and reviews",
    "Storage and connections",
    "The web",
    "Reviewer wellbeing",
    "Tests",
)
HEAD = "| variable | value | default | meaning |\n|---|---|---|---|\n"


def page(present: str) -> str:
    """The page with its present introduction and tables generated from the register."""
    introduction = present.partition("\n## ")[0].rstrip()
    titles = dict.fromkeys([*SECTIONS, *(variable.section for variable in env.REGISTER.values())])
    return "\n\n".join([introduction, *(f"## {title}\n\n{table(title)}" for title in titles)]) + "\n"


def table(section: str) -> str:
    rows = [variable for variable in env.REGISTER.values() if variable.section == section]
    return HEAD + "\n".join(f"| `{one.name}` | {one.value} | {one.default} | {one.means} |" for one in rows)


def write(path: Path = PAGE) -> None:
    path.write_text(page(path.read_text()))


if __name__ == "__main__":
    write()
