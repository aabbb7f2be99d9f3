"""Recipes: compare the presets, edit one as a form or TOML, plan it, start it."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from annotation.models import User
from annotation.web.permissions import leads_only, person
from training.models import Pipeline, TrainingRun
from training.pages.recipe_forms import FORM, PIPELINE, TOML, EditedRecipe, StartForm, as_preset, as_written, edited
from training.pages.refusals import REFUSALS, ring_workers
from training.plan import Plan
from training.plan.pace import plan_stages
from training.recipes import (
    CONFIGS,
    DEFAULT,
    RECIPES,
    RecipeUnknown,
    SettingUnknown,
    recipes_with,
    settings_side_by_side,
)
from training.recipes.units import ABOUT, STAGES
from training.runs.idempotency import once
from training.runs.pipelines import request_pipeline
from training.runs.request import request_run
from training.versions.lists import runs


@require_safe
@leads_only
def recipes(request: HttpRequest) -> HttpResponse:
    """The presets side by side, one stage at a time."""
    stage = request.GET.get("stage", "")
    kind = stage if stage in CONFIGS else "sft"
    return render(
        request,
        "training/recipes/page.html",
        {
            "recipes": recipes_with(kind),
            "rows": settings_side_by_side(kind),
            "stage": kind,
            "stages": STAGES,
            "about": ABOUT[kind],
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def edit(request: HttpRequest) -> HttpResponse:
    """Edit a recipe: `?preset=` or `?run=` selects the start, and `do` in a POST the action."""
    if request.method == "POST":
        return _posted(request)
    if request.GET.get("run", "").isdecimal() and len(request.GET["run"]) < 19:
        return _again(request, get_object_or_404(runs(), pk=int(request.GET["run"])))
    begun = as_preset(RECIPES.get(request.GET.get("preset", ""), RECIPES[DEFAULT]))
    return _page(request, begun, StartForm(recipe=begun.recipe, initial={"snapshot": request.GET.get("snapshot", "")}))


def _again(request: HttpRequest, run: TrainingRun) -> HttpResponse:
    """Show a run's recipe with its own settings, to change and start again."""
    try:
        begun = as_written(run.recipe_text).in_mode(FORM)
    except (SettingUnknown, RecipeUnknown):
        begun = as_preset(RECIPES.get(run.recipe, RECIPES[DEFAULT]))
    return _page(
        request,
        begun,
        StartForm(
            recipe=begun.recipe,
            initial={
                "what": run.kind,
                "snapshot": run.snapshot_id,
                "base": run.base_version_id,
                "mined_from": run.mined_from_id,
                **run.launch,
            },
        ),
    )


def _posted(request: HttpRequest) -> HttpResponse:
    given, do = edited(request.POST), request.POST.get("do", "plan")
    start = StartForm(request.POST, recipe=given.recipe)
    if given.is_wrong:
        return _page(request, given, start, status=422)
    if do in (FORM, TOML):
        return _page(request, given.in_mode(do), StartForm(recipe=given.recipe, initial=request.POST.dict()))
    if not start.is_valid():
        return _page(request, given, start, status=422)
    try:
        if do == "start":
            return redirect("training:run", _started(given, start, person(request)).pk)
        return _page(request, given, start, plan=_plan(given, start))
    except REFUSALS as error:
        return _page(request, given, start, status=422, refused=str(error))


def _plan(given: EditedRecipe, start: StartForm) -> Plan:
    chosen = start.cleaned_data
    return plan_stages(
        snapshot=chosen["snapshot"],
        base_version=chosen["base"],
        recipe=given.recipe,
        stages=start.stages(),
        launch=start.launch(),
    )


def _started(given: EditedRecipe, start: StartForm, lead: User) -> TrainingRun:
    """Start the run or pipeline, and return the first run."""
    chosen = start.cleaned_data
    shared: Mapping[str, Any] = {
        "snapshot": chosen["snapshot"],
        "base_version": chosen["base"],
        "requested_by": lead,
        "recipe": given.recipe,
        "launch": start.launch(),
    }
    if chosen["what"] == PIPELINE:
        pipeline = once(key=chosen["key"], kind=Pipeline, make=lambda: request_pipeline(**shared))
        first: TrainingRun = pipeline.runs.order_by("id")[0]
    else:
        first = once(
            key=chosen["key"],
            kind=TrainingRun,
            make=lambda: request_run(**shared, kind=chosen["what"], mined_from=chosen["mined_from"]),
        )
    ring_workers()
    return first


def _page(
    request: HttpRequest,
    given: EditedRecipe,
    start: StartForm,
    *,
    status: int = 200,
    plan: Plan | None = None,
    refused: str = "",
) -> HttpResponse:
    return render(
        request,
        "training/recipes/recipe.html",
        {
            "asked": given,
            "stages": given.stages(),
            "kinds": " ".join(given.recipe.stages),
            "start": start,
            "plan": plan,
            "refused": refused,
            "presets": RECIPES.values(),
            "key": uuid.uuid4().hex,
            "wrong": sum(stage.errors for stage in given.stages()),
        },
        status=status,
    )
