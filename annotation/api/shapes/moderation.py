"""Serializers of moderation, in the native API and in OpenAI's, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from annotation.api.shapes.items import messages_field
from annotation.api.shapes.predictions import LABELS, WindowShape
from annotation.moderation.read_contents import MAX_CONTENTS
from guardapp.guard.actions import Action
from guardapp.guard.judging import Mode

MODES = [mode.value for mode in Mode]
ACTIONS = [action.value for action in Action]


CONDITIONAL = "P(harmful) after this completion's own reasoning"
PROBABILITY = "the probability of harm: the mean over all completions, calibrated"


class ContentInput(serializers.Serializer[Any]):
    messages = messages_field()
    prompt = serializers.CharField(required=False, allow_blank=True)
    response = serializers.CharField(required=False, allow_null=True)
    media = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="data: URLs of images and videos"
    )


class ModerateInput(serializers.Serializer[Any]):
    contents = ContentInput(many=True, help_text=f"1 to {MAX_CONTENTS}; one result each")
    mode = serializers.ChoiceField(
        choices=MODES, required=False, help_text="full: with reasoning and categories; fast: labels alone"
    )
    rollouts = serializers.IntegerField(
        min_value=0, required=False, help_text="sampled completions beside the greedy one, in full mode"
    )
    deadline_ms = serializers.IntegerField(min_value=1, required=False, help_text="after it the answer is a 503")
    open_items = serializers.BooleanField(required=False, help_text="false: nothing is sent to people")


class RolloutShape(serializers.Serializer[Any]):
    parsed = serializers.BooleanField()
    prompt_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    response_label = serializers.ChoiceField(choices=LABELS, allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    steps = serializers.ListField(child=serializers.CharField(), help_text="the reasoning")
    prompt_score = serializers.FloatField(allow_null=True, help_text=CONDITIONAL)
    response_score = serializers.FloatField(allow_null=True, help_text=CONDITIONAL)


class ModeratedShape(RolloutShape):
    id = serializers.CharField()
    action = serializers.ChoiceField(choices=ACTIONS)
    because = serializers.CharField(help_text="the category that decided; empty where all is allowed")
    score = serializers.FloatField(help_text="the probability of harm of prompt or response, whichever is greater")
    prompt_harm = serializers.FloatField(allow_null=True, help_text=PROBABILITY)
    response_harm = serializers.FloatField(allow_null=True, help_text=PROBABILITY)
    calibration = serializers.CharField(allow_null=True, help_text="which one was applied; null: none was")
    windows = WindowShape(many=True, allow_null=True, help_text="of content beyond the guard's context; else null")
    category_scores = serializers.DictField(
        child=serializers.FloatField(), help_text="by code of the policy's categories"
    )
    rollouts = RolloutShape(many=True)
    item = serializers.IntegerField(allow_null=True, help_text="what people will see, where they are to decide")


class ModerateOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    policy_version = serializers.CharField(allow_null=True, help_text="the policy in the guard's prompt")
    results = ModeratedShape(many=True)


class StreamLine(serializers.Serializer[Any]):
    """One line of the response. If a line is a `problem` instead, it is the last."""

    characters = serializers.IntegerField(help_text="of the response, checked so far")
    action = serializers.ChoiceField(choices=ACTIONS)
    because = serializers.CharField()
    score = serializers.FloatField(help_text="the probability of harm of prompt or response, whichever is greater")
    prompt_harm = serializers.FloatField(allow_null=True, help_text=PROBABILITY)
    response_harm = serializers.FloatField(allow_null=True, help_text=PROBABILITY)
    calibration = serializers.CharField(allow_null=True, help_text="which one was applied; null: none was")
    category_scores = serializers.DictField(child=serializers.FloatField())
    item = serializers.IntegerField(allow_null=True)
    last = serializers.BooleanField()


class OpenAIInput(serializers.Serializer[Any]):
    input = serializers.JSONField(
        help_text="a text, a list of texts, or a list of parts: {type: text, text} and "
        "{type: image_url, image_url: {url: data:…}}; beyond OpenAI's own, a list of messages, "
        "whose last exchange is judged"
    )
    model = serializers.CharField(
        required=False, help_text="guard, guard-fast, or one of OpenAI's names, which mean guard"
    )
    reasoning = serializers.BooleanField(
        required=False, help_text="adds `reasoning`, the guard's steps, to each result"
    )


class OpenAIResult(serializers.Serializer[Any]):
    flagged = serializers.BooleanField()
    categories = serializers.DictField(child=serializers.BooleanField())
    category_scores = serializers.DictField(child=serializers.FloatField())
    category_applied_input_types = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    reasoning = serializers.ListField(child=serializers.CharField(), required=False)


class OpenAIOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    model = serializers.CharField()
    results = OpenAIResult(many=True)
