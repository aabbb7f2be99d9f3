"""The API and its OpenAPI document."""

from guardapp.settings.web import URL_PATH

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotation.api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["annotation.web.orjson_format.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["annotation.web.orjson_format.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "annotation.web.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "guardapp",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "DESCRIPTION": "Ingest flagged content, read predictions and reviews, export curated data.",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": URL_PATH}] if URL_PATH else [],
}
# Training's enums that several API fields share, by their names in the OpenAPI document.
API_ENUMS = {
    "RunStatus": "training.status.RunStatus",
    "RunKind": "training.status.RunKind",
    "PromotionKind": "training.status.PromotionKind",
}
