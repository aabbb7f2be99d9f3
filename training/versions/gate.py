"""The promotion gate: rows to compare, thresholds in force, and the report stored with a promotion."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotation.models import HardSample, ModelVersion, User
from training.errors import NotAnAdmin, NotEvaluated, ThresholdNotUsable
from training.gate.checks import decide
from training.gate.values import Answer, GateReport, PairedRow, Thresholds
from training.models import DatasetSnapshot, Evaluation, EvaluationRow, GateSettings
from training.models.gate import SHARES
from training.status import RunStatus, SnapshotOrigin, Split
from training.versions.lists import evaluated_pair, evaluations

# Number of corrected train rows, newest first, that an evaluation also predicts.
WATCHED_ROWS = 200
# values of HardSample.errors; wrong reasoning alone is not scored
LABEL_ERRORS = {"prompt", "response", "unparsed"}


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's report and its evaluations.

    `production` is None if nothing is in production or the two versions share no snapshot.
    """

    report: GateReport
    candidate: Evaluation
    production: Evaluation | None

    def as_json(self) -> dict[str, Any]:
        return self.report.as_json() | {
            "snapshot": self.candidate.snapshot.name,
            "evaluation": self.candidate.pk,
            "production": self.production.version.name if self.production else None,
            "production_evaluation": self.production.pk if self.production else None,
        }


def judge(*, version: ModelVersion, production: ModelVersion | None) -> Judged:
    """Compare candidate and production on the newest snapshot that both were evaluated on.

    If they share none, there are no rows to compare, and the gate does not pass. Raises NotEvaluated.
    """
    done = evaluations(version=version).filter(status=RunStatus.SUCCEEDED, rows__isnull=False)
    newest = done.exclude(snapshot__origin=SnapshotOrigin.BENCHMARK).first()
    if newest is None:
        raise NotEvaluated
    pair = evaluated_pair(version, production) if production else (newest, None)
    if pair is None:
        return Judged(decide([], thresholds()), newest, None)
    candidate, other = pair
    return Judged(decide(paired_rows(candidate, other), thresholds()), candidate, other)


def paired_rows(candidate: Evaluation, production: Evaluation | None) -> list[PairedRow]:
    """Rows that both predicted, ordered by id; all of the candidate's if there is no production version."""
    of_production = {row.row_id: row for row in production.rows.defer("completion")} if production else None
    corrected = corrected_items(candidate.snapshot)
    return [
        PairedRow(
            id=row.row_id,
            gold=row.gold,
            categories=tuple(row.categories),
            candidate=_answer(row),
            production=_answer(of_production[row.row_id]) if of_production is not None else None,
            corrected=row.row_id in corrected,
            held_out=row.held_out,
        )
        for row in candidate.rows.defer("completion").order_by("row_id")
        if of_production is None or row.row_id in of_production
    ]


def corrected_items(snapshot: DatasetSnapshot) -> frozenset[str]:
    """Ids of the snapshot's items where gold contradicted a prediction's labels, or a completion did not parse."""
    return frozenset(
        str(item_id)
        for item_id in _corrected(
            HardSample.objects.filter(gold__snapshot_rows__snapshot=snapshot).values_list("gold__item_id", "errors")
        )
    )


def watched_items(snapshot: DatasetSnapshot) -> tuple[str, ...]:
    """Ids of the train rows that an evaluation predicts besides the holdout: the newest corrections.

    The result is always the same for a snapshot.
    """
    hard = HardSample.objects.filter(gold__snapshot_rows__in=snapshot.rows.filter(split=Split.TRAIN)).order_by(
        "-gold_id"
    )
    return tuple(str(item_id) for item_id in _corrected(hard.values_list("gold__item_id", "errors"))[:WATCHED_ROWS])


def _corrected(rows: Iterable[tuple[int, list[str]]]) -> list[int]:
    return [item_id for item_id, errors in rows if LABEL_ERRORS.intersection(errors)]


def thresholds() -> Thresholds:
    """The thresholds in force: the built-in ones until an admin sets others."""
    newest = GateSettings.objects.order_by("-id").first()
    return newest.thresholds if newest else Thresholds()


def set_thresholds(*, wanted: Thresholds, by: User) -> GateSettings:
    """Put new thresholds in force; old ones stay in the history. Raises NotAnAdmin or ThresholdNotUsable."""
    if not by.is_admin:
        raise NotAnAdmin
    for name in SHARES:
        if not 0 <= getattr(wanted, name) <= 1:
            raise ThresholdNotUsable(_("%(name)s: give a share from 0 to 1.") % {"name": name})
    if wanted.fewest_rows < 1:
        raise ThresholdNotUsable(_("fewest_rows: give at least 1."))
    return GateSettings.objects.create(set_by=by, **asdict(wanted))


def _answer(row: EvaluationRow) -> Answer:
    return Answer(row.predicted.get("prompt"), row.predicted.get("response"), row.parsed)
