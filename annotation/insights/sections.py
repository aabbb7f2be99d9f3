"""The insights in each section of the page. Each is a table with a chart; to add one, add a row here.

An insight reads at most the newest MOST_REVIEWS rows or counts made by a worker, so the page stays fast as data grows.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.utils.translation import gettext_noop

from annotation.insights.flow import backlog, exposure, pace, throughput
from annotation.insights.guard import drift, drift_by_category, errors, how_sure
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
        "how-sure": how_sure,
        "versions-on-known": versions_on_hidden_gold,
        "errors": errors,
    },
    gettext_noop("Care"): {"exposure": exposure},
}
"""{section: {key in its address: what makes it}}"""
