"""Settings of queues, routing rules and reviewer groups."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.doorbell import ring
from annotation.errors import ServiceError
from annotation.items.skipped import skipped_by_queue
from annotation.models import ReviewerGroup, ReviewQueue, RoutingRule, User
from annotation.pages.queue_form import ConditionsForm, GroupForm, QueueForm, RuleForm
from annotation.queues.access import save_queue
from annotation.queues.conditions import Conditions
from annotation.queues.counts import late_by_queue
from annotation.queues.rules import move_rule, preview, route_again, save_rule
from annotation.tasks import reroute
from annotation.web.permissions import leads_only, person


@require_safe
@leads_only
def queues(request: HttpRequest) -> HttpResponse:
    late, skipped = late_by_queue(), skipped_by_queue()
    return render(
        request,
        "annotation/queues/page.html",
        {
            "queues": [
                (queue, late.get(queue.pk, 0), skipped[queue.pk])
                for queue in ReviewQueue.objects.prefetch_related("groups").order_by("name")
            ],
            "rules": RoutingRule.objects.select_related("queue"),
            "groups": ReviewerGroup.objects.prefetch_related("members", "queues").order_by("name"),
            "group_form": GroupForm(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def queue(request: HttpRequest, slug: str = "") -> HttpResponse:
    """A queue's settings and filter; without a slug, a new queue."""
    found = get_object_or_404(ReviewQueue, slug=slug) if slug else ReviewQueue()
    sent = request.method == "POST"
    form = QueueForm(request.POST if sent else None, instance=found)
    conditions = ConditionsForm(request.POST) if sent else ConditionsForm.shown(found.filters)
    if sent and form.is_valid() and conditions.is_valid():
        made = form.save(commit=False)
        made.filters = conditions.conditions()
        try:
            again = save_queue(queue=made)
        except ServiceError as error:
            form.add_error(None, str(error))
        else:
            form.save_m2m()
            if again:
                ring(reroute)
            words = _("“%(queue)s” is saved.")
            if again:
                words = _("“%(queue)s” is saved. Its waiting items are put in the new order.")
            messages.success(request, words % {"queue": made.name})
            return redirect("queues")
    context = {"queue": found, "form": form, "conditions": conditions}
    return render(request, "annotation/queues/queue.html", context, status=422 if sent else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def rule(request: HttpRequest, rule_id: int | None = None) -> HttpResponse:
    """A routing rule. "Preview" shows the items that it would have matched, and stores nothing."""
    found = get_object_or_404(RoutingRule, pk=rule_id) if rule_id else RoutingRule()
    sent = request.method == "POST"
    form = RuleForm(request.POST if sent else None, instance=found)
    conditions = ConditionsForm(request.POST) if sent else ConditionsForm.shown(found.conditions)
    context: dict[str, Any] = {"rule": found, "form": form, "conditions": conditions}
    if sent and conditions.is_valid():
        try:
            wanted = Conditions.of(conditions.conditions())
        except ServiceError as error:
            conditions.add_error(None, str(error))
        else:
            if request.POST.get("act") == "preview":
                return render(request, "annotation/queues/rule.html", context | {"preview": preview(wanted)})
            if form.is_valid():
                made = form.save(commit=False)
                made.conditions = wanted.as_json()
                save_rule(rule=made, by=person(request))
                messages.success(
                    request, _("“%(rule)s” is saved. New predictions are routed by it.") % {"rule": made.name}
                )
                return redirect("queues")
    return render(request, "annotation/queues/rule.html", context, status=422 if sent else 200)


@require_POST
@leads_only
def rule_act(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Move a rule up or down, or delete it."""
    found, act = get_object_or_404(RoutingRule, pk=rule_id), request.POST.get("act")
    if act == "delete":
        found.delete()
        messages.success(
            request, _("“%(rule)s” is deleted. Items that it moved stay where they are.") % {"rule": found.name}
        )
    elif act in ("up", "down"):
        move_rule(rule=found, up=act == "up")
    return redirect("queues")


@require_POST
@leads_only
def apply_rules(request: HttpRequest) -> HttpResponse:
    """Route waiting items again by the current rules."""
    for found in ReviewQueue.objects.all():
        route_again(found)
    ring(reroute)
    messages.success(request, _("Waiting items are routed by the rules now; what somebody holds stays."))
    return redirect("queues")


@require_http_methods(["POST"])
@leads_only
def group(request: HttpRequest, group_id: int | None = None) -> HttpResponse:
    """Create or delete a group, or set its members."""
    if group_id is None:
        form = GroupForm(request.POST)
        if form.is_valid():
            form.save()
        else:
            messages.error(request, " ".join(str(problem) for problems in form.errors.values() for problem in problems))
        return redirect("queues")
    found = get_object_or_404(ReviewerGroup, pk=group_id)
    if request.POST.get("act") == "delete":
        found.delete()
        words = _("The group “%(group)s” is deleted. Queues that were for it alone are for leads only now.")
        messages.success(request, words % {"group": found.name})
    else:
        names = [name.strip() for name in request.POST.get("members", "").split(",") if name.strip()]
        people = list(User.objects.filter(username__in=names))
        missing = sorted(set(names) - {one.username for one in people})
        if missing:
            messages.error(
                request, _("There is nobody called %(name)s. The group stays as it was.") % {"name": missing[0]}
            )
        else:
            found.members.set(people)
            words = ngettext("“%(group)s” has %(n)s member.", "“%(group)s” has %(n)s members.", len(people))
            messages.success(request, words % {"group": found.name, "n": len(people)})
    return redirect("queues")
