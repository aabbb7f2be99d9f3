"""Who calls the API: a program with a key, or a person with a session. And what they may do."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from annotation.models import ApiKey, User
from annotation.people.api_keys import ApiKeyNotValid, may, open_key
from annotation.status import ApiScope


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <prefix>.<secret>`. The request's user is the key's owner, its auth the key."""

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
    """A key needs the scope; and key or session, the person must be one who may."""

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
