"""The source of each value of a run's config: recipe, person, machine, or the job's default."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass
from typing import Any

from django.utils.translation import gettext_noop

from training.recipes import RECIPES, Value, fields_of

BY_PERSON = gettext_noop("set for this run")
BY_RUN = gettext_noop("this run")
BY_MACHINE = gettext_noop("this machine")
BY_JOB = gettext_noop("the job's default")


@dataclass(frozen=True, slots=True)
class Sourced:
    """A value and its source. `instead_of` is the recipe's or default value, if the run overrides it."""

    name: str
    value: Value
    source: str
    instead_of: Value | None = None


def sourced(kind: str, recipe: str, config: Mapping[str, Any]) -> list[Sourced]:
    """Every value of a run's config, in the config's order. An unknown recipe is ignored."""
    known, preset = fields_of(kind), RECIPES.get(recipe)
    stage = preset.stages.get(kind, {}) if preset else {}
    found = []
    for name, value in config.items():
        if name not in known:
            found.append(Sourced(name, value, BY_RUN))
            continue
        expected = stage[name].value if name in stage else _default(known[name])
        if value == expected:
            found.append(Sourced(name, value, stage[name].source if name in stage else BY_JOB))
        else:
            found.append(Sourced(name, value, BY_MACHINE if name == "threads" else BY_PERSON, instead_of=expected))
    return found


def _default(field: Field[Any]) -> Value | None:
    return None if field.default is MISSING else field.default
