"""Signing in, with a limit on attempts."""

from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse

from annotation.people.sign_in_limit import TooManyAttempts, attempt_succeeded, begin_attempt


class SignIn(LoginView):
    template_name = "annotation/people/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        account = request.POST.get("username", "")
        try:
            begin_attempt(account=account, address=_address(request))
        except TooManyAttempts as error:
            form = AuthenticationForm(request, initial={"username": account})
            return self.render_to_response(self.get_context_data(form=form, refused=str(error)), status=429)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        attempt_succeeded(account=self.request.POST.get("username", ""), address=_address(self.request))
        return super().form_valid(form)


def _address(request: HttpRequest) -> str:
    """The client's address. Behind a TLS proxy, the last one in X-Forwarded-For, which the proxy itself appended."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.HTTPS else ""
    return forwarded.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR", ""))
