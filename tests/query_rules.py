"""What a query of a page may ask of tables that grow with the items. Each breach is one sentence; docs/operations.md
says why.

A statement is read as Django writes it, with its values in it. Judged are the SELECTs whose rows are returned or
aggregated: the outermost, and those that it reads FROM. What stands in WHERE only narrows; whether an index serves it,
plans tell (tests/team/test_plans.py).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.apps import apps

SMALL = {  # rows that people, policies, versions, runs make: they do not grow with the items
    "annotation": {
        "ApiKey",
        "DeviceLoan",
        "DeviceUse",
        "Export",
        "ExportFile",
        "HiddenGold",
        "ModelVersion",
        "ModerationThreshold",
        "Policy",
        "PolicyCategory",
        "PolicyVersion",
        "QueueTally",
        "ReviewDay",
        "ReviewQueue",
        "ReviewerGroup",
        "RoutingRule",
        "SavedFilter",
        "SearchFill",
        "User",
        "Webhook",
    },
    "training": {
        "Benchmark",
        "DatasetSnapshot",
        "Evaluation",
        "Firing",
        "GateSettings",
        "ImportedOutputs",
        "Pipeline",
        "Promotion",
        "RetrainSchedule",
        "TrainingRequest",
        "TrainingRun",
    },
}
ONE = {  # columns that name one row, or the few that belong to one
    "assignment_id",
    "bulk_id",
    "external_id",
    "gold_id",
    "id",
    "item_id",
    "prediction_id",
    "review_id",
    "row_id",
    "token",
}
OF_ONE_DAY = {"annotation_exposure": {"reviewer_id", "day"}}  # what one person sees on one day
PAYLOAD = {  # what no list carries, whatever its limit
    "annotation_prediction": {"completion", "rollouts", "steps"},
    "annotation_review": {"steps"},
    "annotation_draft": {"payload"},
    "annotation_goldlabel": {"target_steps"},
    "annotation_regeneration": {"completion", "steps", "kept"},
    "annotation_item": {"response", "metadata"},
}
MOST_LISTED = 1_001  # rows of any one page
MOST_COUNTED = 10_001  # rows that a page counts, where it says "more" beyond
TEXT_OR_NAME = re.compile(r"""'(?:[^']|'')*'""")
BRACKET = re.compile(r"\(([^()]*)\)")
PLACE = re.compile(r"\x01(\d+)\x02")
TABLE = re.compile(r'(?:FROM|JOIN)\s+"?(\w+)"?')
AGGREGATE = re.compile(r"\b(COUNT|SUM|AVG|MIN|MAX)\s*\x01")
ONLY_IDS = re.compile(r'SELECT (?:"\w+"\."id"(?: AS "\w+")?|found\.id|rowid AS id)')
LIMIT = re.compile(r"\bLIMIT\s+(\d+)")


def growing() -> set[str]:
    """The tables of both apps that are not named above as small, and the full-text table."""
    models = [
        model for app in SMALL for model in apps.get_app_config(app).get_models() if model.__name__ not in SMALL[app]
    ]
    return {model._meta.db_table for model in models} | {"annotation_itemtext_trigrams"}


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT without what stands in its brackets; `parts` are its pieces by keyword."""

    columns: str
    source: str
    where: str
    rest: str
    tables: tuple[str, ...]
    inner: "tuple[Select, ...]" = field(default=())

    @property
    def limit(self) -> int | None:
        found = LIMIT.search(self.rest)
        return int(found[1]) if found else None


class _Statement:
    """Brackets numbered from the inside out, so that each piece can be read without those in it."""

    def __init__(self, sql: str) -> None:
        self.inside: list[str] = []
        flat = " ".join(TEXT_OR_NAME.sub("?", sql).split())
        while BRACKET.search(flat):
            flat = BRACKET.sub(self._kept, flat)
        self.outer = flat

    def _kept(self, found: "re.Match[str]") -> str:
        self.inside.append(found[1])
        return f"\x01{len(self.inside) - 1}\x02"

    def whole(self, text: str) -> str:
        """With everything that stood in brackets."""
        while PLACE.search(text):
            text = PLACE.sub(lambda found: f"({self.inside[int(found[1])]})", text)
        return text

    def select(self, text: str) -> Select | None:
        if not text.lstrip().startswith("SELECT "):
            return None
        head, _, rest = text.partition(" FROM ")
        source, _, where = re.split(r" (?:GROUP BY|HAVING|ORDER BY|LIMIT) ", rest)[0].partition(" WHERE ")
        tail = rest[len(source) + (len(" WHERE ") + len(where) if where else 0) :]
        inner = tuple(
            one for number in PLACE.findall(source) if (one := self.select(self.inside[int(number)])) is not None
        )
        return Select(head, source, where, tail, tuple(TABLE.findall(f"FROM {source}")), inner)

    def pins(self, where: str, table: str, *, one: bool = False) -> bool:
        """The condition names a row of the table, or what belongs to one; unless `one`, a given list of them too."""
        named: set[str] = set()
        pieces = [where]
        while pieces:
            for piece in re.split(r"\sAND\s", pieces.pop()):
                inner = re.fullmatch(r"\s*\x01(\d+)\x02\s*", piece)
                if inner and " OR " not in self.inside[int(inner[1])]:
                    pieces.append(self.inside[int(inner[1])])
                    continue
                found = re.match(rf'\s*(?:"?{table}"?\.)?"?(\w+)"? (=|IN) (.*)', piece)
                if found and " OR " not in piece and (found[2] == "=" or (not one and self.is_bounded(found[3]))):
                    named.add(found[1])
        return bool(named & ONE) or OF_ONE_DAY.get(table, {"?"}) <= named

    def is_bounded(self, listed: str) -> bool:
        """IN a list of values, or in a SELECT that has a limit or is pinned itself."""
        found = PLACE.match(listed.strip())
        if found is None:
            return False
        select = self.select(self.inside[int(found[1])])
        if select is None:
            return True
        return select.limit is not None or (bool(select.tables) and self.pins(select.where, select.tables[0]))


def breaches(sql: str) -> Iterator[str]:
    """Of one statement; changes of rows are judged by nothing here."""
    statement = _Statement(sql)
    if re.search(r"\bOFFSET\b", statement.whole(statement.outer)):
        yield "pages by OFFSET: the database reads and throws away what stands before; go on from a key"
    outermost = statement.select(statement.outer)
    pending = [] if outermost is None else [(outermost, MOST_LISTED)]
    while pending:
        select, most = pending.pop()
        counts = bool(AGGREGATE.search(select.columns))
        pending.extend((inner, MOST_COUNTED if counts else most) for inner in select.inner)
        yield from _of_select(statement, select, most)


def _of_select(statement: _Statement, select: Select, most: int) -> Iterator[str]:
    many = [table for table in select.tables if table in growing()]
    if not many:
        return
    pinned = any(statement.pins(select.where, table) for table in many)
    aggregated = bool(AGGREGATE.search(select.columns)) or "GROUP BY" in select.rest
    if aggregated:
        if not pinned:
            yield f"counts all that fits of {many[0]}: count a sub-select with a limit, or read a tally"
        return
    if select.limit is None and not pinned:
        yield f"reads {many[0]} without a limit and without a key"
    elif select.limit is not None and select.limit > (MOST_COUNTED if ONLY_IDS.fullmatch(select.columns) else most):
        yield f"reads {select.limit} rows of {many[0]} for one page"
    if select.limit != 1 and not statement.pins(select.where, many[0], one=True):
        for table in many:
            for column in sorted(PAYLOAD.get(table, set())):
                if f'"{table}"."{column}"' in select.columns:  # what is cut stands in brackets
                    yield f"carries {table}.{column} in a list: defer it, or cut it"
