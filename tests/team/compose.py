"""docker/ read as Docker reads it, so that its commands can be run without an engine: services, their commands and
health checks.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.paths import ROOT

DOCKER = ROOT / "docker"
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::([-?])([^}]*))?\})")


@dataclass(frozen=True, slots=True)
class Stage:
    """One final image of the Dockerfile: what it inherits is merged in."""

    command: tuple[str, ...]
    healthcheck: tuple[str, ...]
    user: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    image: Stage | None  # None: somebody else's
    command: tuple[str, ...]
    healthcheck: tuple[str, ...]
    environment: dict[str, str]
    value: dict[str, Any]


def compose(variables: Mapping[str, str], *files: str) -> dict[str, Service]:
    """Services by name, with `variables` put in. Raises KeyError for a variable that has to be given."""
    merged: dict[str, dict[str, Any]] = {}
    for name in files or ("compose.yaml",):
        for service, value in yaml.safe_load((DOCKER / name).read_text())["services"].items():
            merged[service] = {**merged.get(service, {}), **value}
    images = stages()
    return {name: _service(name, _filled(value, variables), images) for name, value in merged.items()}


def stages() -> dict[str, Stage]:
    """Of the Dockerfile, by name."""
    found: dict[str, Stage] = {}
    name = ""
    for keyword, rest in _instructions():
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = found.get(base, Stage((), (), "root", {}))
            continue
        stage = found[name]
        if keyword == "CMD":
            stage = Stage(tuple(json.loads(rest)), stage.healthcheck, stage.user, stage.environment)
        elif keyword == "HEALTHCHECK":
            stage = Stage(stage.command, tuple(json.loads(rest.partition("CMD ")[2])), stage.user, stage.environment)
        elif keyword == "USER":
            stage = Stage(stage.command, stage.healthcheck, rest, stage.environment)
        elif keyword == "ENV":
            pairs = dict(pair.split("=", 1) for pair in rest.split())
            stage = Stage(stage.command, stage.healthcheck, stage.user, stage.environment | pairs)
        found[name] = stage
    return found


def _instructions() -> list[tuple[str, str]]:
    lines = [
        line for line in (DOCKER / "Dockerfile").read_text().splitlines() if line.strip() and not line.startswith("#")
    ]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(keyword, rest.strip()) for keyword, _, rest in (line.partition(" ") for line in whole.splitlines())]


def _service(name: str, value: dict[str, Any], images: dict[str, Stage]) -> Service:
    image = images[value["build"]["target"]] if "build" in value else None
    check = value.get("healthcheck", {})
    healthcheck = (
        () if check.get("disable") else tuple(check.get("test", ["CMD", *(image.healthcheck if image else ())])[1:])
    )
    command = tuple(value.get("command") or (image.command if image else ()))
    environment = {**(image.environment if image else {}), **value.get("environment", {})}
    return Service(name, image, command, healthcheck, environment, value)


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, variables) for inner in value]
    return _VARIABLE.sub(lambda match: _variable(match, variables), value) if isinstance(value, str) else value


def _variable(match: "re.Match[str]", variables: Mapping[str, str]) -> str:
    name, how, otherwise = match.groups()
    if name is None:
        return "$"
    given = variables.get(name, "")
    if given or how == "-":
        return given or otherwise
    raise KeyError(f"{name}: {otherwise}")
