"""Guard versions and their predictions."""

from django.db import models
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from annotation.models.items import Item
from annotation.models.policies import PolicyVersion
from annotation.status import VersionStatus
from guardapp.guard.taxonomy import Harmfulness

LABELS = [(label.value, label.value) for label in Harmfulness]


class ModelVersions(models.QuerySet["ModelVersion"]):
    def serving(self) -> "ModelVersions":
        """Select the production version; empty before the first start. See predictions.production."""
        return self.filter(status=VersionStatus.PRODUCTION)


class ModelVersion(models.Model):
    """A guard checkpoint. Exactly one version is production; workers serve it and detect a change themselves."""

    name = models.CharField(max_length=100, unique=True)
    checkpoint = models.CharField(
        max_length=500, help_text="local folder or hub id; predictions.loaded_engine reads it"
    )
    files = models.JSONField(null=True, blank=True, help_text="sha256 by name of the files that it was registered with")
    load_error = models.TextField(blank=True, help_text="why a worker could not load it, as of its last try")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    status = models.CharField(max_length=16, choices=VersionStatus, default=VersionStatus.CANDIDATE)
    description = models.CharField(max_length=300, blank=True)
    shadow_share = models.FloatField(
        default=0.0, help_text="share of live items, 0 to 1, that it predicts silently beside production"
    )
    takes_policy = models.BooleanField(default=False, help_text="it was trained to judge by the policy in its prompt")
    created_at = models.DateTimeField(default=timezone.now)

    objects = ModelVersions.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["status"], condition=Q(status=VersionStatus.PRODUCTION), name="one_version_is_production"
            ),
            models.CheckConstraint(condition=Q(status__in=VersionStatus.values), name="version_status_is_known"),
            models.CheckConstraint(
                condition=Q(shadow_share__gte=0, shadow_share__lte=1), name="shadow_share_is_0_to_1"
            ),
            models.CheckConstraint(
                condition=Q(shadow_share=0) | ~Q(status=VersionStatus.PRODUCTION), name="production_shadows_nobody"
            ),
            models.UniqueConstraint(
                Case(When(shadow_share__gt=0, then=Value(1)), output_field=models.IntegerField()),
                name="one_version_shadows",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def serves(self) -> bool:
        return self.status == VersionStatus.PRODUCTION


class Calibration(models.Model):
    """How a version's marginals become probabilities of harm (`guardapp.guard.how_sure`). The newest one is applied.

    Rows never change: a prediction keeps the calibration that it was made with. `evaluation` is the id of the
    evaluation whose rows it was fitted on, empty for one that the guard shipped with; `rows_of` names these rows;
    `rollouts` is the number of sampled completions in their marginals.
    calibrators: {"prompt" | "response": {"greedy" | "sampled": a `Fitted` as JSON, with its own "rows_of"}}.
    """

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="calibrations")
    evaluation = models.PositiveBigIntegerField(null=True, blank=True)
    rows_of = models.CharField(max_length=300)
    rollouts = models.PositiveSmallIntegerField(default=0)
    calibrators = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "evaluation"], name="an_evaluation_calibrates_its_version_once")
        ]

    def __str__(self) -> str:
        source = "shipped" if self.evaluation is None else f"evaluation {self.evaluation}"
        return f"{self.version}, calibration {self.pk} ({source}, {self.rows_of})"


class Prediction(models.Model):
    """A version's stored judgement of an item: the greedy completion and the sampled rollouts.

    `shadow`: predicted by a candidate alongside production; never shown to reviewers.
    rollouts: [{"completion", "prompt_label", "response_label", "parsed", "tokens", "prompt_score", "response_score"}],
    the sampled ones only; without scores in rows from before these were stored.
    prompt_score is conditional on the greedy reasoning, prompt_marginal the mean over all completions, prompt_harm the
    calibrated marginal, and the same for the response: see `guardapp.guard.how_sure`. Rows from before have no
    marginals.
    media_seen: [{"asset": sha256, "folder": relative to MEDIA_ROOT, "reader", "kind", "codec", "source_frames": frames
    or pages in the file or null, "whole": is there a copy for browsers, "timestamps": [s], "width", "height"}].
    windows: null unless the item was judged in parts; else [{"prompt": [start, end], "response": the same or null,
    "completion", "parsed", "prompt_label", "response_label", "categories", "prompt_score", "response_score",
    "decisive"}], in order. The ranges are characters of the item's texts. Steps and completion are those of the
    decisive window; labels, categories and scores are those of all windows.
    disagreement: share of parsed and unparsed rollouts whose labels differ from the greedy ones, 0 to 1.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="predictions")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="predictions")
    completion = models.TextField()
    parsed = models.BooleanField()
    steps = models.JSONField(default=list)
    prompt_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    response_label = models.CharField(max_length=10, choices=LABELS, null=True, blank=True)
    categories = models.JSONField(default=list)
    prompt_score = models.FloatField(null=True, blank=True, help_text="P(harmful) at the label token")
    response_score = models.FloatField(null=True, blank=True, help_text="P(harmful) at the label token")
    prompt_marginal = models.FloatField(null=True, blank=True)
    response_marginal = models.FloatField(null=True, blank=True)
    prompt_harm = models.FloatField(null=True, blank=True, help_text="the probability of harm, 0 to 1")
    response_harm = models.FloatField(null=True, blank=True, help_text="the probability of harm, 0 to 1")
    calibration = models.ForeignKey(
        Calibration,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="of the probabilities of harm; empty: these are the marginals",
    )
    rollouts = models.JSONField(default=list)
    disagreement = models.FloatField(default=0.0)
    media_seen = models.JSONField(default=list)
    windows = models.JSONField(null=True, blank=True)
    tokens = models.PositiveIntegerField(default=0)
    latency_ms = models.PositiveIntegerField(default=0)
    shadow = models.BooleanField(default=False)
    policy_version = models.ForeignKey(
        PolicyVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="whose text was in the prompt; empty: none was",
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "version"], name="a_version_predicts_an_item_once")]
        indexes = [models.Index(fields=["version", "id"], condition=Q(shadow=True), name="prediction_of_shadow")]

    def __str__(self) -> str:
        return f"{self.version} on {self.item_id}"

    @property
    def harm_of_prompt(self) -> float | None:
        """The probability of harm; the conditional one in rows from before it was measured."""
        return self.prompt_score if self.prompt_harm is None else self.prompt_harm

    @property
    def harm_of_response(self) -> float | None:
        return self.response_score if self.response_harm is None else self.response_harm


class ShadowRequest(models.Model):
    """An item that a version still has to predict besides its normal work.

    A shadow version predicts live items, production predicts hidden gold. The row is deleted when the prediction is
    stored; once its attempts are used up, it is kept with its error.
    """

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="shadow_requests")
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="shadow_requests")
    claim_token = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "item"], name="an_item_is_shadowed_once_a_version")]

    def __str__(self) -> str:
        return f"{self.version_id} beside {self.item_id}"
