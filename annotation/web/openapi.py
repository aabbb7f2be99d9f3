"""Parts of the OpenAPI document beyond the serializers: authentication and the shape of errors."""

from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.utils.decorators import method_decorator
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiResponse
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework import serializers

from annotation.ingest.values import RowStatus
from annotation.status import (
    ItemStatus,
    ReviewKind,
    ReviewMode,
)
from annotation.web.problems import PROBLEM_JSON
from guardapp.guard.taxonomy import Harmfulness, MediaKind, Modality

# names for enums that several fields share
SCHEMA_SETTINGS: dict[str, Any] = {
    "ENUM_NAME_OVERRIDES": {
        **settings.API_ENUMS,
        "Harmfulness": [one.value for one in Harmfulness],
        "Modality": [one.value for one in Modality],
        "MediaKind": [one.value for one in MediaKind],
        "RowStatus": [one.value for one in RowStatus],
        "ItemStatus": ItemStatus.choices,
        "ReviewKind": ReviewKind.choices,
        "ReviewMode": ReviewMode.choices,
    }
}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "annotation.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: `Authorization: Bearer <prefix>.<secret>`",
        }


def answers(good: dict[int, Any], *problems: int) -> dict[Any, Any]:
    """The responses of an operation: its own, 401 and 403 as for every operation, and the given problems."""
    shapes: dict[Any, Any] = dict(good)
    for status in sorted({401, 403, *problems}):
        shapes[(status, PROBLEM_JSON)] = OpenApiResponse(ProblemShape, description="Problem details (RFC 9457)")
    return shapes


# Swagger UI sets style attributes
@method_decorator(csp_update({"style-src": [SELF, UNSAFE_INLINE]}), name="dispatch")
class DocsView(SpectacularSwaggerSplitView):
    """The browsable API documentation. Its styles are inline, but its scripts are not."""

    url_name = "api-schema"


class FieldErrorShape(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901)")
    detail = serializers.CharField()


class ProblemShape(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    errors = FieldErrorShape(many=True, required=False)  # type: ignore[assignment]
