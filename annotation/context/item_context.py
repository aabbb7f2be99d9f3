"""What stands around an item: its author with earlier decisions, its reports, its thread, the sender's metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.utils.dateparse import parse_datetime

from annotation.context.author_history import AuthorHistory, history_of
from annotation.ingest.read_context import is_address
from annotation.ingest.reports import first_of
from annotation.ingest.values import IncomingReport
from annotation.models import Author, Item, Report, User
from annotation.status import ItemStatus

SHOWN_REPORTS = 50
# nobody has to judge such an item any more
DONE = (ItemStatus.REVIEWED, ItemStatus.WITHDRAWN)
# metadata keys under which corpus importers store the gold labels
CORPUS_LABELS = "labels"
# the source of items that moderation makes, and the key in their reason; it tells what the guard thinks
MODERATION = "moderation"
# metadata key of Coop's context[]
COOP_CONTEXT = "context"
POLICY_NAMES = ("policy_id", "policy", "category")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the thread. `by_author` means that the item's author wrote it."""

    who: str
    text: str
    at: datetime | None
    links: tuple[str, ...]
    position: str
    by_author: bool


@dataclass(frozen=True, slots=True)
class ReportLine:
    """A report: its reason in words, the policy that it names, and whatever else the sender said."""

    reporter: str
    text: str
    policy: str
    more: tuple[tuple[str, Any], ...]
    reported_at: datetime | None
    came_in: datetime


@dataclass(frozen=True, slots=True)
class ItemContext:
    """The context of an item as a person may see it. `reports` are the newest; `report_count` counts all."""

    item: Item
    url: str
    author: Author | None
    history: AuthorHistory | None
    reports: Sequence[ReportLine]
    report_count: int
    before: Sequence[Message]
    after: Sequence[Message]
    metadata: Mapping[str, Any]
    reason_hidden: bool = False

    @property
    def author_url(self) -> str:
        return self.author.url if self.author is not None and is_address(self.author.url) else ""

    @property
    def more_by_author(self) -> str:
        """The query string of the items page that lists the author's items."""
        known = self.author
        return "" if known is None else urlencode({"author": known.external_id, "source": known.source})

    @property
    def messages(self) -> int:
        return len(self.before) + len(self.after)

    @property
    def earlier_reports(self) -> int:
        """How many reports are not shown."""
        return self.report_count - len(self.reports)

    @property
    def first_reason(self) -> str:
        """The words of the report that the item came with; "" if there are none or they must stay hidden."""
        return "" if self.reason_hidden else str(self.item.reason.get("text") or "")


def context_of(*, item: Item, user: User, deciding: bool, judgement_hidden: bool = False) -> ItemContext:
    """The context of an item, in a constant number of queries.

    `deciding` is for the page on which the person decides: it never holds labels of a corpus, whatever the item's
    status, so that hidden gold looks like any other item. `judgement_hidden` leaves out reports by the guard itself.
    """
    hidden = judgement_hidden and tells_of_the_guard(item)
    author, reports = item.author, [] if hidden else _reports(item)
    thread = item.thread or _coop_thread(item.metadata.get(COOP_CONTEXT))
    messages = [_message(row, author) for row in thread]
    metadata = shown_metadata(user, item, deciding=deciding)
    if messages and not item.thread:
        metadata = {name: value for name, value in metadata.items() if name != COOP_CONTEXT}
    return ItemContext(
        item=item,
        url=item.url if is_address(item.url) else "",
        author=author,
        history=None if author is None else history_of(author=author, item=item, user=user),
        reports=reports,
        report_count=0 if hidden else max(item.report_count, len(reports)),
        before=_ordered([one for one in messages if one.position != "after"]),
        after=_ordered([one for one in messages if one.position == "after"]),
        metadata=metadata,
        reason_hidden=hidden,
    )


def shown_metadata(user: User, item: Item, *, deciding: bool = False) -> dict[str, Any]:
    """The sender's metadata of the item.

    Labels from a corpus are shown only to leads, and only after people have decided.
    """
    decided = not deciding and user.is_lead and item.status in DONE
    return {name: value for name, value in item.metadata.items() if decided or name != CORPUS_LABELS}


def tells_of_the_guard(item: Item) -> bool:
    """Whether the item's reason and reports tell what the guard thinks: moderation made it."""
    return item.source == MODERATION and MODERATION in item.reason


def _reports(item: Item) -> list[ReportLine]:
    if item.report_count:
        return [_report(row, row.created_at) for row in item.reports.order_by("-id")[:SHOWN_REPORTS]]
    return [_report(first, item.created_at) for first in first_of(item).values()]


def _report(row: Report | IncomingReport, came_in: datetime) -> ReportLine:
    given = dict(row.reason)
    text = given.pop("text", "")
    policy = next((given.pop(name) for name in POLICY_NAMES if name in given), "")
    return ReportLine(row.reporter, str(text or ""), str(policy or ""), tuple(given.items()), row.reported_at, came_in)


def _ordered(messages: list[Message]) -> list[Message]:
    """By their times if all have one, else in the order that was given."""
    return sorted(messages, key=_time) if all(one.at for one in messages) else messages


def _time(message: Message) -> float:
    return message.at.timestamp() if message.at else 0.0


def _message(row: Mapping[str, Any], author: Author | None) -> Message:
    said_by = row.get("author") or ""
    who, who_id = (
        (str(said_by.get("name") or said_by.get("id") or ""), str(said_by.get("id") or ""))
        if isinstance(said_by, Mapping)
        else (str(said_by), str(said_by))
    )
    by_author = author is not None and who_id == author.external_id
    at = row.get("at")
    return Message(
        who=str(author) if by_author and who == who_id else who,
        text=str(row.get("text") or ""),
        at=_moment(at) if isinstance(at, str) else None,
        links=tuple(link for link in row.get("media") or () if isinstance(link, str) and is_address(link)),
        position=str(row.get("position") or "before"),
        by_author=by_author,
    )


def _moment(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _coop_thread(context: object) -> list[dict[str, Any]]:
    """Coop's context[] as messages: texts, or objects with a text; [] if an entry is neither."""
    if not isinstance(context, list):
        return []
    messages = [_coop_message(entry) for entry in context]
    return [one for one in messages if one is not None] if all(messages) else []


def _coop_message(entry: object) -> dict[str, Any] | None:
    if isinstance(entry, str):
        return {"text": entry} if entry.strip() else None
    if not isinstance(entry, Mapping):
        return None
    data = entry.get("data")
    inner = data if isinstance(data, Mapping) else entry
    text = next((inner[name] for name in ("text", "content", "body") if isinstance(inner.get(name), str)), "")
    if not text.strip():
        return None
    at = next((entry[name] for name in ("at", "created_at", "timestamp") if isinstance(entry.get(name), str)), None)
    author = next((entry[name] for name in ("author", "user", "role") if entry.get(name)), "")
    media = [inner[name] for name in ("image_url", "video_url") if isinstance(inner.get(name), str)]
    position = entry.get("position")
    known = position if position in ("parent", "before", "after") else "before"
    return {"author": author, "text": text, "at": at, "media": media, "position": known}
