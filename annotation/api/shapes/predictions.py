"""Serializers of predictions and of the windows of long content, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from guardapp.guard.taxonomy import Harmfulness

LABELS = [label.value for label in Harmfulness]


class WindowShape(serializers.Serializer[Any]):
    prompt = serializers.ListField(child=serializers.IntegerField(), help_text="characters [start, end) of the prompt")
    response = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True, help_text="likewise; null: nothing of the response"
    )
    completion = serializers.CharField()
    parsed = serializers.BooleanField()
    prompt_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    prompt_score = serializers.FloatField(allow_null=True)
    response_score = serializers.FloatField(allow_null=True)
    decisive = serializers.BooleanField(help_text="steps and completion of the prediction are this window's")
    left_out = serializers.IntegerField(required=False, help_text="earlier messages that the guard was not given")


class PredictionShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    version = serializers.CharField()
    parsed = serializers.BooleanField()
    steps = serializers.ListField(child=serializers.CharField())
    prompt_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    prompt_score = serializers.FloatField(allow_null=True, help_text="P(harmful) after the greedy reasoning")
    response_score = serializers.FloatField(allow_null=True, help_text="P(harmful) after the greedy reasoning")
    prompt_marginal = serializers.FloatField(allow_null=True, help_text="mean of P(harmful) over all completions")
    response_marginal = serializers.FloatField(allow_null=True, help_text="mean of P(harmful) over all completions")
    prompt_harm = serializers.FloatField(allow_null=True, help_text="the probability of harm: the marginal, calibrated")
    response_harm = serializers.FloatField(
        allow_null=True, help_text="the probability of harm: the marginal, calibrated"
    )
    calibration = serializers.IntegerField(allow_null=True, help_text="which one was applied; null: none was")
    disagreement = serializers.FloatField()
    completion = serializers.CharField()
    windows = WindowShape(many=True, allow_null=True, help_text="of content beyond the guard's context; else null")
    created_at = serializers.DateTimeField()
