"""Conditions of queues and routing rules, checked for one item in memory or for all items in the database."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext as _

from annotation.errors import ServiceError
from annotation.models import Item, Prediction
from guardapp.guard.taxonomy import Harmfulness, Modality

# the annotations that `as_query` filters on; see `annotations`
CATEGORIES_AS_TEXT, HARM = "categories_as_text", "harm"
HARM_COLUMNS = ("prompt_harm", "prompt_score", "response_harm", "response_score")
NAMES = ("sources", "authors", "modalities", "languages", "categories", "versions", "labels")
HIGHEST: Mapping[str, int] = {"severity_from": 3, "reports_from": 1_000_000}  # of the others, shares: 1
CHOICES: Mapping[str, Collection[str]] = {
    "modalities": [modality.value for modality in Modality],
    "labels": [label.value for label in Harmfulness],
}


class ConditionNotValid(ServiceError):
    """A condition has a name or a value that is not known."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions on an item. All given ones must hold; one match per list is enough. Without any, every item matches.

    Scores are probabilities of harm of the prompt, else of the response, 0 to 1; `disagreement_from` is a share of
    rollouts, 0 to 1; `severity_from` is 0 to 3; `reports_from` is a number of reports.
    """

    sources: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()  # ids of the platforms
    modalities: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()  # codes named by the guard
    versions: tuple[str, ...] = ()  # names of model versions
    labels: tuple[str, ...] = ()  # the guard's label for prompt or response
    score_from: float | None = None
    score_to: float | None = None
    disagreement_from: float | None = None
    severity_from: int | None = None
    reports_from: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Conditions":
        """Parse conditions from JSON. Raises ConditionNotValid, naming the field."""
        unknown = sorted(set(given) - {field.name for field in fields(cls)})
        if unknown:
            known = ", ".join(field.name for field in fields(cls))
            raise ConditionNotValid(unknown[0], _("is no condition. Use %(known)s.") % {"known": known})
        values: dict[str, Any] = {
            name: _words(name, value) if name in NAMES else _number(name, value)
            for name, value in given.items()
            if value not in (None, "", [], ())
        }
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value not in (None, ())
        }

    def catch(self, item: Item, prediction: Prediction | None, version: str) -> bool:
        """Whether the conditions match an item, given its prediction by the named version."""
        score = _score(prediction)
        labels = {prediction.prompt_label, prediction.response_label} if prediction else set()
        named = set(prediction.categories) if prediction else set()
        return (
            (not self.sources or item.source in self.sources)
            and (not self.authors or (item.author is not None and item.author.external_id in self.authors))
            and (not self.modalities or item.modality in self.modalities)
            and (not self.languages or item.language in self.languages)
            and (not self.categories or bool(named.intersection(self.categories)))
            and (not self.versions or version in self.versions)
            and (not self.labels or bool(labels.intersection(self.labels)))
            and (self.score_from is None or (score is not None and score >= self.score_from))
            and (self.score_to is None or (score is not None and score <= self.score_to))
            and (
                self.disagreement_from is None
                or (prediction is not None and prediction.disagreement >= self.disagreement_from)
            )
            and (self.severity_from is None or item.severity >= self.severity_from)
            and (self.reports_from is None or item.report_count >= self.reports_from)
        )

    def as_query(self) -> Q:
        """The same conditions as a query on Item and the prediction shown to reviewers (`Item.prediction`).

        Conditions on categories and on scores also need `annotations`.
        """
        query = Q()
        for field, lookup in (
            ("sources", "source__in"),
            ("authors", "author__external_id__in"),
            ("modalities", "modality__in"),
            ("languages", "language__in"),
            ("versions", "prediction__version__name__in"),
        ):
            if getattr(self, field):
                query &= Q(**{lookup: getattr(self, field)})
        if self.categories:
            query &= _any(Q(**{f"{CATEGORIES_AS_TEXT}__contains": f'"{code}"'}) for code in self.categories)
        if self.labels:
            query &= Q(prediction__prompt_label__in=self.labels) | Q(prediction__response_label__in=self.labels)
        for bound, lookup in ((self.score_from, "gte"), (self.score_to, "lte")):
            if bound is not None:
                query &= Q(**{f"{HARM}__{lookup}": bound})
        if self.disagreement_from is not None:
            query &= Q(prediction__disagreement__gte=self.disagreement_from)
        if self.severity_from is not None:
            query &= Q(severity__gte=self.severity_from)
        if self.reports_from is not None:
            query &= Q(report_count__gte=self.reports_from)
        return query

    def annotations(self) -> dict[str, Any]:
        """The annotations that `as_query` needs; only those in use, because they read the predictions."""
        found: dict[str, Any] = {}
        if self.categories:
            found[CATEGORIES_AS_TEXT] = Cast("prediction__categories", TextField())
        if self.score_from is not None or self.score_to is not None:
            # as Prediction.harm_of_prompt and harm_of_response
            found[HARM] = Coalesce(*(f"prediction__{name}" for name in HARM_COLUMNS))
        return found


def _any(queries: Any) -> Q:
    whole = Q()
    for query in queries:
        whole |= query
    return whole


def _score(prediction: Prediction | None) -> float | None:
    if prediction is None:
        return None
    return prediction.harm_of_response if prediction.harm_of_prompt is None else prediction.harm_of_prompt


def _words(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(word, str) for word in value):
        raise ConditionNotValid(name, _("must be a list of words."))
    known = CHOICES.get(name)
    strange = [word for word in value if known is not None and word not in known]
    if strange and known is not None:
        raise ConditionNotValid(
            name, _("%(given)s is not one of %(known)s.") % {"given": repr(strange[0]), "known": ", ".join(known)}
        )
    return tuple(value)


def _number(name: str, value: Any) -> float:
    highest = HIGHEST.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        raise ConditionNotValid(name, _("must be a number from 0 to %(highest)s.") % {"highest": highest})
    return value
