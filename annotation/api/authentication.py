"""Authentication and permissions of the API, for programs with a key and users with a session."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from annotation.models import ApiKey, User
from annotation.people.api_keys import ApiKeyNotValid, may, open_key
from annotation.status import ApiScope


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <prefix>.<secret>`. `request.user` is the key's owner, and `request.auth` the key."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        word, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if word.lower() != "bearer":
            return None
        try:
            key = open_key(secret=secret.strip())
        except ApiKeyNotValid as error:
            raise AuthenticationFailed(str(error)) from error
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="guardapp"'


class Scoped(BasePermission):
    """A key must have the scope; the user must have it too, whether calling by key or by session."""

    scope: ApiScope

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        if not isinstance(user, User):
            return False
        if isinstance(request.auth, ApiKey) and self.scope.value not in request.auth.scopes:
            self.message = f"This key has not the scope {self.scope.value}."
            return False
        self.message = f"{self.scope.label}: a {user.role} may not do this."
        return may(user, self.scope)


def needs_scope(scope: ApiScope) -> type[Scoped]:
    """The permission class for one scope: `permission_classes = [needs_scope(ApiScope.EXPORT)]`."""
    return type(f"Needs_{scope.name}", (Scoped,), {"scope": scope})
