"""Serializers of exports, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers


class TallyShape(serializers.Serializer[Any]):
    rows = serializers.IntegerField()
    dropped = serializers.DictField(child=serializers.IntegerField(), help_text="count by reason")
