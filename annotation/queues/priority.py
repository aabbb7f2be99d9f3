"""The lane and the priority of an item in review."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import log2

from django.conf import settings

from annotation.models import Item, Prediction
from annotation.status import Lane, QueueOrder
from guardapp.guard.draws import sticky_draw
from guardapp.guard.how_sure import contradicts
from guardapp.guard.taxonomy import LEAST_SEVERITY, Harmfulness, severity_of_category

# a probability of harm this close to 0.5 counts as uncertain
UNCERTAIN_BAND = 0.15
AGE_WEIGHT = 1.0  # points per day of waiting
MOST_REPORT_POINTS = 5.0  # of 32 reports or more
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Route:
    lane: Lane
    priority: float
    severity: int  # 0 to 3


def route_item(*, item: Item, prediction: Prediction | None) -> Route:
    """The lane and priority of an item that was just predicted; None: it is too long for the guard.

    Priority follows the queue's order; for RISK it is doubt (0 to 3) plus severity (0 to 3) plus reports (0 to 5) plus
    age. Age is derived from the day of the first report, so the order of two items stays correct however long they
    wait, and no row has to be rewritten as time passes.
    """
    doubt = doubt_of(prediction)
    reported = item.reported_at or item.created_at
    age = -AGE_WEIGHT * (reported - EPOCH).total_seconds() / 86_400
    severity = severity_of(prediction)
    points = {
        QueueOrder.RISK: 3 * doubt + severity + age,
        QueueOrder.DISAGREEMENT: 10 * doubt + age / 1_000,
        QueueOrder.SEVERITY: 10 * severity + age / 1_000,
        QueueOrder.OLDEST: age,
        QueueOrder.REPORTS: age / 1_000,
        QueueOrder.RANDOM: sticky_draw("order", item.pk),
    }
    order = QueueOrder(item.queue.order)
    return Route(
        lane=_lane(item, prediction),
        priority=round(points[order] + points_of_reports(order, item.report_count), 6),
        severity=round(severity),
    )


def points_of_reports(order: QueueOrder, count: int) -> float:
    """What the number of reports adds to the priority: nothing for one, and a point each time that it doubles.

    Where doubt or severity come first, reports decide between items that are nearly alike. A queue by age or at random
    stays as it is.
    """
    if order == QueueOrder.REPORTS:
        return 10.0 * count
    doublings = min(log2(max(count, 1)), MOST_REPORT_POINTS)
    return {
        QueueOrder.RISK: doublings,
        QueueOrder.DISAGREEMENT: doublings / 10,
        QueueOrder.SEVERITY: doublings / 10,
    }.get(order, 0.0)


def points_while_pending(count: int) -> float:
    """The priority of an item that waits for the guard, whatever its queue."""
    return points_of_reports(QueueOrder.RISK, count) if count > 1 else 0.0


def doubt_of(prediction: Prediction | None) -> float:
    """The guard's doubt, 0 (all rollouts agree and the probability of harm is 0 or 1) to 1.

    1 without a prediction, if the completion did not parse, or the probability contradicts the verdict.
    """
    if prediction is None or not prediction.parsed or _contradicts_itself(prediction):
        return 1.0
    return max([prediction.disagreement, *(1 - 2 * abs(harm - 0.5) for harm in _harms(prediction))])


def severity_of(prediction: Prediction | None) -> float:
    """The severity, 0 to 3, of the most severe category named by the guard."""
    if prediction is None or Harmfulness.HARMFUL not in (prediction.prompt_label, prediction.response_label):
        return 0.0
    return float(max([LEAST_SEVERITY, *map(severity_of_category, prediction.categories)]))


def is_audited(item_id: int, share: float) -> bool:
    """Whether the item is in a stable random share: the result for an item never changes."""
    return sticky_draw("audit", item_id) < share


def _lane(item: Item, prediction: Prediction | None) -> Lane:
    if item.lane in (Lane.APPEAL, Lane.COOL_DOWN):  # the guard must not change these
        return Lane(item.lane)
    share = item.queue.audit_share
    if is_audited(item.pk, settings.AUDIT_SHARE if share is None else share):
        return Lane.AUDIT
    if prediction is None:
        return Lane.UNCERTAIN
    unsure = any(abs(harm - 0.5) <= UNCERTAIN_BAND for harm in _harms(prediction))
    if not prediction.parsed or prediction.disagreement > 0 or unsure or _contradicts_itself(prediction):
        return Lane.UNCERTAIN
    return Lane.FLAGGED


def _harms(prediction: Prediction) -> list[float]:
    return [harm for harm in (prediction.harm_of_prompt, prediction.harm_of_response) if harm is not None]


def _contradicts_itself(prediction: Prediction) -> bool:
    return contradicts(prediction.prompt_label, prediction.harm_of_prompt) or contradicts(
        prediction.response_label, prediction.harm_of_response
    )
