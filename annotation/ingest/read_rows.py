"""Converts an untrusted row to an IncomingItem or a RowProblem.

A row's fields determine which of four shapes it has:

own          external_id, source, prompt, response, media[], modality, and the fields of values.ABOUT
Coop         has `data` or `type`: external_id, source, type, data{text, image_url, video_url, messages}, context[], and
             the fields of values.ABOUT
chat pair    has `request`: request, response, and the fields of the own shape except prompt; a missing external_id is
             derived from the content
dataset row  has `id` without external_id: id, source, prompt, response, media[], modality, split, license,
             prompt_label, response_label, refusal_label, categories

Instead of prompt, response and media, a row can have `messages`: see read_messages. It then needs no external_id.

A dataset row's `source` is the origin of the text and is stored in metadata.provenance. The item's source is the
dataset: the part of the id before the first "/", or the default. Labels are stored in metadata.labels.

If a row has no language, metadata.language is used if it is a BCP 47 code.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from annotation.ingest.language_codes import language_code
from annotation.ingest.made_id import made_id
from annotation.ingest.read_context import read_address, read_author, read_reports, read_thread
from annotation.ingest.read_fields import FieldReader
from annotation.ingest.read_media import MediaFinder, no_files, read_media, read_medium
from annotation.ingest.read_messages import Conversation, read_messages
from annotation.ingest.values import ABOUT, DEFAULT_SOURCE, FieldError, IncomingItem, RowProblem

SHARED = frozenset({"external_id", "source", *ABOUT})
CONTENT = ("prompt", "request", "response", "media")
TWICE = "cannot be given together with %s: leave out the one or the other."
OWN_FIELDS = SHARED | {"prompt", "response", "media", "modality", "messages"}
COOP_FIELDS = SHARED | {"type", "data", "context"}
COOP_DATA = frozenset({"text", "image_url", "video_url", "messages"})
CHAT_FIELDS = SHARED | {"request", "response", "media", "modality", "messages"}
LABELS = ("prompt_label", "response_label", "refusal_label")
DATASET_FIELDS = frozenset(
    {"id", "source", "split", "license", "modality", "prompt", "response", "media", "messages", "categories", *LABELS}
)
MAX_EXTERNAL_ID, MAX_SOURCE = 200, 100
READ_AS: Mapping[str, Callable[[FieldReader, str], Any]] = {
    "mapping": FieldReader.mapping,
    "moment": FieldReader.moment,
    "language": FieldReader.language,
    "text": FieldReader.text,
    "address": read_address,
    "author": read_author,
    "thread": read_thread,
    "reports": read_reports,
}
READERS = tuple((name, READ_AS[about.reads]) for name, about in ABOUT.items())


def read_row(
    row: object, *, default_source: str = DEFAULT_SOURCE, find: MediaFinder = no_files
) -> IncomingItem | RowProblem:
    """Read a row of any shape. Never raises, whatever the row contains."""
    if not isinstance(row, dict):
        return RowProblem("", (FieldError("", "is not an object."),))
    errors: list[FieldError] = []
    reader = FieldReader(row, errors)
    if "data" in row or "type" in row:
        item = _read_coop(reader, default_source, find)
    elif "request" in row:
        item = _read_chat(reader, default_source, find)
    elif "id" in row and "external_id" not in row:
        item = _read_dataset(reader, default_source, find)
    else:
        item = _read_own(reader, default_source, find)
    if not errors and not item.media and not item.prompt.strip() and not (item.response or "").strip():
        errors.append(FieldError("", f"has no content: give {_content_fields(row)}."))
    if errors:
        return RowProblem(item.external_id, tuple(errors))
    return item if item.language else replace(item, language=language_code(item.metadata.get("language")))


def _content_fields(row: Mapping[str, Any]) -> str:
    if "data" in row or "type" in row:
        return "data.text, data.image_url, data.video_url or data.messages"
    return "a request" if "request" in row else "a prompt, media or messages"


def gives_messages(reader: FieldReader) -> bool:
    """Whether the row has messages. An empty list is none, as it is in the API's answers about items."""
    return reader.row.get("messages") not in (None, [])


def content_in(reader: FieldReader, find: MediaFinder, *, prompt: str = "prompt") -> Conversation:
    """The content in a row's `messages`, or else in its field `prompt`, its response and media."""
    if not gives_messages(reader):
        return Conversation(reader.text(prompt), reader.optional_text("response"), read_media(reader, "media", find))
    if twice := [name for name in CONTENT if reader.row.get(name) not in (None, "", [])]:
        reader.refuse("messages", TWICE % ", ".join(twice))
        return Conversation()
    return read_messages(reader, find)


def _of(content: Conversation) -> dict[str, Any]:
    return {name: getattr(content, name) for name in ("prompt", "response", "media", "messages")}


def _id_of(reader: FieldReader, content: Conversation) -> str:
    """The external id, made of the content if there is none."""
    return reader.text("external_id", limit=MAX_EXTERNAL_ID).strip() or made_id(
        content.prompt, content.response, [medium.content for medium in content.media], content.messages
    )


def _read_own(reader: FieldReader, default_source: str, find: MediaFinder) -> IncomingItem:
    reader.refuse_unknown(OWN_FIELDS)
    content = content_in(reader, find)
    return IncomingItem(
        external_id=_id_of(reader, content)
        if gives_messages(reader)
        else reader.required("external_id", limit=MAX_EXTERNAL_ID),
        source=_source(reader, default_source),
        **_of(content),
        modality=reader.modality(),
        **_about(reader),
    )


def _read_chat(reader: FieldReader, default_source: str, find: MediaFinder) -> IncomingItem:
    reader.refuse_unknown(CHAT_FIELDS)
    content = content_in(reader, find, prompt="request")
    return IncomingItem(
        external_id=_id_of(reader, content),
        source=_source(reader, default_source),
        **_of(content),
        modality=reader.modality(),
        **_about(reader),
    )


def _read_coop(reader: FieldReader, default_source: str, find: MediaFinder) -> IncomingItem:
    reader.refuse_unknown(COOP_FIELDS)
    data = FieldReader({}, reader.errors, "/data")
    if isinstance(reader.row.get("data"), dict):
        data.row = reader.row["data"]
        data.refuse_unknown(COOP_DATA)
    else:
        reader.refuse("data", "must be an object with text, image_url or video_url.")
    media = tuple(
        medium
        for name in ("image_url", "video_url")
        if data.row.get(name) and (medium := read_medium(data, name, data.row[name], find)) is not None
    )
    content = Conversation(data.text("text"), None, media)
    if gives_messages(data):
        if twice := [name for name in ("text", "image_url", "video_url") if data.row.get(name)]:
            data.refuse("messages", TWICE % ", ".join(twice))
        else:
            content = read_messages(data, find)
    about = _about(reader)
    kind, context = reader.text("type", limit=100), reader.sequence("context")
    if context:
        reader.fits("context", context)
    more = ({"type": kind} if kind else {}) | ({"context": context} if context else {})
    if kind in ("image", "video") and not data.row.get(f"{kind}_url") and "messages" not in data.row:
        reader.refuse("type", f"says {kind!r}, but data.{kind}_url is missing.")
    return IncomingItem(
        external_id=reader.required("external_id", limit=MAX_EXTERNAL_ID),
        source=_source(reader, default_source),
        **_of(content),
        **{**about, "metadata": about.get("metadata", {}) | more},
    )


def _read_dataset(reader: FieldReader, default_source: str, find: MediaFinder) -> IncomingItem:
    reader.refuse_unknown(DATASET_FIELDS)
    external_id = reader.required("id", limit=MAX_EXTERNAL_ID)
    dataset, slash, _ = external_id.partition("/")
    labels = {name.removesuffix("_label"): reader.row.get(name) for name in LABELS if name in reader.row}
    metadata: dict[str, Any] = {
        name: reader.row[name] for name in ("split", "license", "categories") if reader.row.get(name)
    }
    provenance = reader.text("source", limit=1_000)
    metadata |= ({"labels": labels} if labels else {}) | ({"provenance": provenance} if provenance else {})
    reader.fits("metadata", metadata)
    return IncomingItem(
        external_id=external_id,
        source=(dataset if slash and dataset else default_source)[:MAX_SOURCE],
        **_of(content_in(reader, find)),
        modality=reader.modality(),
        metadata=metadata,
    )


def _about(reader: FieldReader) -> dict[str, Any]:
    given = reader.row
    return {name: read(reader, name) for name, read in READERS if given.get(name) is not None}


def _source(reader: FieldReader, default: str) -> str:
    return reader.text("source", limit=MAX_SOURCE).strip() or default
