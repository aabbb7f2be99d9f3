"""A recipe as TOML, to keep in a repository or edit in the browser.

preset = "omni-v2"          # settings not listed below come from this preset; without it, from the jobs' defaults
name = "omni-v2-long"
[grpo]
max_new_tokens = 8192       # one section per stage: sft, mine, grpo, dpo
[sharding]
grpo = "zero3"              # ddp, fsdp, zero2, zero3
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from training.recipes.checks import CONFIGS, checked
from training.recipes.configs import recipe_named
from training.recipes.launch import STRATEGIES
from training.recipes.values import MOST, Recipe, RecipeUnknown, Setting, SettingUnknown, Value

MOST_CHARACTERS, MOST_DOTS, MOST_LEVELS = 100_000, 100, 20
HEADINGS = ("name", "title", "summary", "preset")
SHARDING = "sharding"
THIS_FILE = "set in this recipe"


def to_toml(recipe: Recipe, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Write every setting of every stage with its source as a comment.

    `overrides` replace the recipe's values by stage. Raises SettingUnknown or RecipeUnknown.
    """
    changed = overrides or {}
    headings = {
        "name": recipe.name,
        "title": recipe.title,
        "summary": recipe.summary,
        "preset": recipe.preset or _own_preset(recipe),
    }
    lines = [f"{name} = {_literal(value)}" for name, value in headings.items() if value]
    for kind in dict.fromkeys([*recipe.stages, *changed]):
        settings = dict(recipe.stages.get(kind, {})) | _set_here(checked(changed.get(kind, {}), kind))
        lines += ["", f"[{kind}]", *(_line(name, setting) for name, setting in settings.items())]
    if recipe.sharding:
        lines += ["", f"[{SHARDING}]", *(_line(kind, setting) for kind, setting in recipe.sharding.items())]
    return "\n".join(lines) + "\n"


def read_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text of at most MOST_CHARACTERS. Raises SettingUnknown, whatever the text is."""
    if len(text) > MOST_CHARACTERS:
        raise SettingUnknown(f"This text has {len(text):,} characters, the limit is {MOST_CHARACTERS:,}.")
    # the parser's work grows with the square of a key's parts
    if any(part.count(".") > MOST_DOTS for part in re.split("[=\n]", text)):
        raise SettingUnknown(f"This is not valid TOML: a key of more than {MOST_DOTS} parts.")
    try:
        table = tomllib.loads(text)
    # ValueError: also numbers of thousands of digits
    except (ValueError, RecursionError) as error:
        raise SettingUnknown(f"This is not valid TOML: {str(error)[:500]}") from error
    _check_values(table)
    return table


def _check_values(table: Mapping[str, Any]) -> None:
    todo: list[tuple[str, Any, int]] = [(name, value, 1) for name, value in table.items()]
    while todo:
        name, value, depth = todo.pop()
        if depth > MOST_LEVELS:
            raise SettingUnknown(f"{name[:100]} is nested more than {MOST_LEVELS} levels deep.")
        if isinstance(value, dict):
            todo += [(key, inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            todo += [(name, inner, depth + 1) for inner in value]
        elif isinstance(value, int) and abs(value) > MOST:
            raise SettingUnknown(f"{name[:100]} is a number of more than 64 bits.")


def from_toml(text: str) -> Recipe:
    """Parse a recipe. Raises RecipeUnknown for an unknown preset, else SettingUnknown with section, field and line."""
    table = read_toml(text)
    base = _base(table, text)
    stages = {kind: dict(settings) for kind, settings in base.stages.items()}
    for name, section in table.items():
        if name in HEADINGS:
            continue
        if name not in CONFIGS and name != SHARDING:
            raise SettingUnknown(
                f"{_where(text, name)}{name} is not part of a recipe. Known: "
                f"{', '.join((*HEADINGS, *CONFIGS, SHARDING))}."
            )
        if not isinstance(section, dict):
            raise SettingUnknown(f"{_where(text, name)}{name} is a section: write [{name}] and its settings below it.")
        if name != SHARDING:
            stages[name] = stages.get(name, {}) | _stage(name, section, base, text)
    return Recipe(
        name=table.get("name", base.name),
        title=table.get("title", base.title),
        summary=table.get("summary", base.summary),
        stages=stages,
        sharding=dict(base.sharding) | _sharding(table.get(SHARDING, {}), base, text),
        preset=table.get("preset", ""),
    )


def _base(table: Mapping[str, Any], text: str) -> Recipe:
    for name in HEADINGS:
        if not isinstance(table.get(name, ""), str):
            raise SettingUnknown(f"{_where(text, name)}{name} is not a text.")
    if table.get("preset"):
        return recipe_named(table["preset"])
    return Recipe("custom", "Custom", "", {})


def _own_preset(recipe: Recipe) -> str:
    try:
        return recipe_named(recipe.name).name
    except RecipeUnknown:
        return ""


def _stage(kind: str, section: Mapping[str, Any], base: Recipe, text: str) -> dict[str, Setting]:
    read: dict[str, Setting] = {}
    for name, value in section.items():
        try:
            read |= _set_here(checked({name: value}, kind))
        except SettingUnknown as error:
            raise SettingUnknown(f"{_where(text, name, kind)}{error}") from error
    return {name: _with_source(setting, base.stages.get(kind, {}).get(name)) for name, setting in read.items()}


def _sharding(section: Mapping[str, Any], base: Recipe, text: str) -> dict[str, Setting]:
    for kind, value in section.items():
        if kind not in CONFIGS:
            raise SettingUnknown(f"{_where(text, kind, SHARDING)}{kind} is not a stage. Known: {', '.join(CONFIGS)}.")
        if value not in STRATEGIES:
            raise SettingUnknown(
                f"{_where(text, kind, SHARDING)}{kind}={value!r} is not one of {', '.join(STRATEGIES)}."
            )
    return {kind: _with_source(Setting(value, THIS_FILE), base.sharding.get(kind)) for kind, value in section.items()}


def _set_here(values: Mapping[str, Value]) -> dict[str, Setting]:
    return {name: Setting(value, THIS_FILE) for name, value in values.items()}


def _with_source(setting: Setting, preset: Setting | None) -> Setting:
    """Keep the preset's source if the file only repeats its value."""
    return preset if preset is not None and preset.value == setting.value else setting


def _line(name: str, setting: Setting) -> str:
    return f"{name} = {_literal(setting.value)}  # {setting.source}"


def _literal(value: Value) -> str:
    """JSON's literals are valid TOML for these types."""
    return json.dumps(value, ensure_ascii=False)


def _where(text: str, name: str, section: str = "") -> str:
    """ "Line 7, [grpo]: ", as far as the text shows it."""
    inside, label = "", f"[{section}]: " if section else ""
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := re.match(r"\s*\[([\w-]+)\]", line):
            inside = heading.group(1)
            if not section and inside == name:
                return f"Line {number}: "
        elif inside == section and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return f"Line {number}, {label}" if label else f"Line {number}: "
    return label
