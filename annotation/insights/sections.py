"""The insights of each section of the page: each is a table, and the page draws a picture of it. A new one is a row.

Every insight reads at most MOST_REVIEWS newest rows or what a worker has counted, so that a page stays quick however
long the product has run.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.utils.translation import gettext_noop

from annotation.insights.flow import backlog, exposure, pace, throughput
from annotation.insights.guard import drift, drift_by_category, errors
from annotation.insights.quality import (
    agreement_by_category,
    agreement_by_week,
    calibration,
    moves,
    pairs,
    people_on_hidden_gold,
    versions_on_hidden_gold,
)
from annotation.insights.table import Insight

SECTIONS: Mapping[str, Mapping[str, Callable[[datetime], Insight]]] = {
    gettext_noop("Flow"): {"throughput": throughput, "backlog": backlog, "pace": pace},
    gettext_noop("Quality"): {
        "agreement-by-week": agreement_by_week,
        "agreement-by-category": agreement_by_category,
        "pairs": pairs,
        "people-on-known": people_on_hidden_gold,
        "calibration": calibration,
        "moves": moves,
    },
    gettext_noop("Guard"): {
        "drift": drift,
        "drift-by-category": drift_by_category,
        "versions-on-known": versions_on_hidden_gold,
        "errors": errors,
    },
    gettext_noop("Care"): {"exposure": exposure},
}
"""{section: {key in its address: what makes it}}"""
