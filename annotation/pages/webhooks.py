"""Webhook settings and deliveries: who is notified of which events, what was sent, and resending."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.doorbell import ring
from annotation.errors import ServiceError
from annotation.models import Delivery, Webhook
from annotation.outbound.webhook_lists import PAGE, deliveries_of, webhooks_with_counts
from annotation.outbound.webhooks import delete_webhook, replay, save_webhook
from annotation.status import WebhookEvent
from annotation.tasks import deliver
from annotation.web.permissions import leads_only, person


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    url = forms.URLField(
        max_length=500,
        assume_scheme="https",
        label=gettext_lazy("Address"),
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )
    events = forms.MultipleChoiceField(
        choices=WebhookEvent.choices,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("It is told when"),
        error_messages={"required": gettext_lazy("Choose at least one event.")},
    )

    class Meta:
        model = Webhook
        fields = ["name", "url", "events"]
        labels = {"name": gettext_lazy("Name")}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def webhooks(request: HttpRequest) -> HttpResponse:
    """All webhooks, and a form for a new one. A secret is shown only in the response to the POST."""
    form, made = WebhookForm(request.POST if request.method == "POST" else None), None
    if request.method == "POST" and form.is_valid():
        try:
            made = save_webhook(webhook=form.save(commit=False), actor=person(request))
            form = WebhookForm()
        except ServiceError as error:
            form.add_error("url", str(error))
    context = {"webhooks": webhooks_with_counts(), "form": form, "made": made}
    return render(request, "annotation/webhooks/page.html", context, status=422 if form.errors else 200)


@require_safe
@leads_only
def webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """A webhook and its deliveries, newest first; `before` is the id to continue from."""
    found = get_object_or_404(Webhook, pk=webhook_id)
    before = request.GET.get("before", "")
    rows = deliveries_of(found, before=int(before) if before.isdecimal() and len(before) < 19 else None)
    context = {"webhook": found, "deliveries": rows[:PAGE], "older": rows[PAGE - 1].pk if len(rows) > PAGE else None}
    return render(request, "annotation/webhooks/webhook.html", context)


@require_POST
@leads_only
def webhook_act(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Switch a webhook on or off, or delete it."""
    found, act = get_object_or_404(Webhook, pk=webhook_id), request.POST.get("act")
    if act == "delete":
        delete_webhook(webhook=found, actor=person(request))
        messages.success(request, _("“%(name)s” is deleted.") % {"name": found.name})
        return redirect("webhooks")
    if act in ("on", "off"):
        found.active = act == "on"
        try:
            save_webhook(webhook=found, actor=person(request))
        except ServiceError as error:
            messages.error(request, str(error))
    return redirect("webhook", found.pk)


@require_POST
@leads_only
def delivery_replay(request: HttpRequest, delivery_id: int) -> HttpResponse:
    found = get_object_or_404(Delivery.objects.select_related("webhook"), pk=delivery_id)
    replay(delivery=found, actor=person(request))
    ring(deliver)
    messages.success(request, _("The message is sent again, under its own id."))
    return redirect("webhook", found.webhook_id)
