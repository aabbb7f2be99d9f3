"""A user's API keys, and whether media is blurred."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.errors import ServiceError
from annotation.models import ApiKey, User
from annotation.people.api_keys import NewKey, create_key, keys_of, may, revoke_key
from annotation.status import ApiScope
from annotation.web.permissions import person


class NewKeyForm(forms.Form):
    name = forms.CharField(
        max_length=100, error_messages={"required": gettext_lazy("Give the key a name, so that you know it again.")}
    )
    scopes = forms.MultipleChoiceField(
        choices=ApiScope.choices, error_messages={"required": gettext_lazy("Choose at least one thing the key may do.")}
    )
    days = forms.TypedChoiceField(
        label=gettext_lazy("Expires"),
        coerce=int,
        initial=90,
        choices=[
            (30, gettext_lazy("in 30 days")),
            (90, gettext_lazy("in 90 days")),
            (365, gettext_lazy("in a year")),
            (0, gettext_lazy("never")),
        ],
    )

    def limit_scopes(self, choices: list[tuple[str, str]]) -> None:
        """Offer only scopes that the user has."""
        field = self.fields["scopes"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = choices


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """The user's keys, and a form for a new one. A new key is shown only in the response to the POST."""
    user, made = person(request), None
    form = _key_form(user, request)
    if request.method == "POST" and form.is_valid():
        try:
            made = _create(user, form)
            form = _key_form(user)
        except ServiceError as error:
            form.add_error(None, str(error))
    context = {"form": form, "made": made, "keys": keys_of(user)}
    return render(request, "annotation/people/api_keys.html", context, status=422 if form.errors else 200)


@require_POST
def revoke(request: HttpRequest, prefix: str) -> HttpResponse:
    user = person(request)
    mine = ApiKey.objects.all() if user.is_lead else ApiKey.objects.filter(owner=user)
    key = get_object_or_404(mine, prefix=prefix)
    revoke_key(key=key, actor=user)
    messages.success(request, _("“%(key)s” is revoked: it opens nothing any more.") % {"key": key.name})
    return redirect("keys")


@require_POST
def blur(request: HttpRequest) -> HttpResponse:
    """Save whether the user's media is blurred until revealed."""
    user = person(request)
    user.blur_media = request.POST.get("blur") == "on"
    user.save(update_fields=["blur_media"])
    shown = _("Media is shown at once, except in queues that blur it.")
    messages.success(request, _("Media is blurred until you reveal it.") if user.blur_media else shown)
    return redirect("home")


def _key_form(user: User, request: HttpRequest | None = None) -> NewKeyForm:
    form = NewKeyForm(request.POST if request is not None and request.method == "POST" else None)
    form.limit_scopes([(scope.value, str(scope.label)) for scope in ApiScope if may(user, scope)])
    return form


def _create(user: User, form: NewKeyForm) -> NewKey:
    days = form.cleaned_data["days"]
    return create_key(
        owner=user,
        name=form.cleaned_data["name"],
        scopes=[ApiScope(scope) for scope in form.cleaned_data["scopes"]],
        expires_at=timezone.now() + timedelta(days=days) if days else None,
        actor=user,
    )
