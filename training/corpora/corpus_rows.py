"""Rows of a published training corpus: conversations with the guard's own prompt and grammar.

`images` and `videos` are lists of file names, of data: URLs, or of parquet's {"bytes", "path"}. Other columns are
ignored.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from annotation.ingest.read_fields import FieldReader
from annotation.ingest.read_media import MediaFinder, files_in_folder, no_files, read_medium
from annotation.ingest.values import MAX_MEDIA_OF_AN_ITEM, FieldError, IncomingMedia
from guardapp.guard.input_block import InputBlock, NotAnInputBlock, is_published_instruction, read_input_block
from guardapp.guard.parsing import parse
from guardapp.guard.taxonomy import MediaKind
from guardapp.guard.verdict import Verdict
from training.corpora.conversations import Conversation, Turn, read_conversation
from training.corpora.records import Record, records
from training.corpora.values import BadRow, ImportedMedium, ImportedRow

FIELD_BY_KIND = {MediaKind.IMAGE: "images", MediaKind.VIDEO: "videos"}


class CorpusKind(StrEnum):
    """sft: a completion to learn. preference: a completion that is better than another one."""

    SFT = "sft"
    PREFERENCE = "preference"


def corpus_rows(
    path: Path, *, name: str, kind: CorpusKind, media_root: Path | None, codes: Collection[str]
) -> Iterator[ImportedRow | BadRow]:
    """Stream a file. Row ids are the corpus name and the row number; `codes` are the policy's category codes.

    Raises FileNotReadable, also after rows.
    """
    find = files_in_folder(media_root) if media_root is not None else no_files
    for record in records(path):
        yield read_corpus_row(record, name=name, kind=kind, find=find, codes=codes)


def read_corpus_row(
    record: Record, *, name: str, kind: CorpusKind, find: MediaFinder, codes: Collection[str]
) -> ImportedRow | BadRow:
    """Validate one record. Never raises, whatever the row contains."""
    if record.problem:
        return BadRow(record.place, (FieldError("", record.problem),), record.text)
    if not isinstance(record.value, dict):
        return BadRow(record.place, (FieldError("", "is not an object."),), record.value)
    reader = FieldReader(record.value, [])
    row = _read(reader, record, name, kind, find, codes)
    return BadRow(record.place, tuple(reader.errors), record.value) if row is None or reader.errors else row


def _read(
    reader: FieldReader, record: Record, name: str, kind: CorpusKind, find: MediaFinder, codes: Collection[str]
) -> ImportedRow | None:
    conversation = read_conversation(reader)
    if conversation is None:
        return None
    by_kind = {kind: _media(reader, kind, find) for kind in FIELD_BY_KIND}
    block = _block(reader, conversation.user, sum(len(reader.sequence(field)) for field in FIELD_BY_KIND.values()))
    if block is None or reader.errors:
        return None
    verdict = _verdict(reader, conversation.completion, block, codes)
    media = _in_order(reader, conversation.user, block, by_kind)
    preference = _pair(reader, conversation) if kind is CorpusKind.PREFERENCE else {}
    if verdict is None or media is None or preference is None:
        return None
    known = not conversation.system or is_published_instruction(conversation.system)
    return ImportedRow(
        place=record.place,
        id=f"{name}/{record.place.number}",
        prompt=block.prompt,
        response=block.response,
        verdict=verdict,
        media=media,
        context=block.context,
        completion=conversation.completion.text,
        value=record.value,
        extra=preference | ({} if known else {"other_instruction": True}),
    )


def _block(reader: FieldReader, user: Turn, media: int) -> InputBlock | None:
    try:
        return read_input_block(user.text, media)
    except NotAnInputBlock as error:
        reader.refuse(f"{user.pointer}/content", str(error))
    return None


def _verdict(reader: FieldReader, completion: Turn, block: InputBlock, codes: Collection[str]) -> Verdict | None:
    """The labels stated by the completion; if there is a response, it must have one."""
    judgement = parse(completion.text, response_expected=block.response is not None, codes=codes)
    if judgement is None:
        reader.refuse(
            completion.pointer, "does not parse: <think>…</think>, then <result> with a Request label, is needed."
        )
    elif block.response is not None and judgement.verdict.response is None:
        reader.refuse(completion.pointer, "states no Response label, though the row has a response.")
    else:
        return judgement.verdict
    return None


def _pair(reader: FieldReader, conversation: Conversation) -> dict[str, Any] | None:
    """The pair fields that training.jobs.dpo reads."""
    chosen, rejected = conversation.completion, conversation.rejected
    if rejected is None:
        reader.refuse("rejected", "is missing: a preference row has a rejected completion, or rejected_response.")
        return None
    if rejected.text == chosen.text:
        reader.refuse(rejected.pointer, "is the same as the chosen completion.")
        return None
    return {"chosen": chosen.text, "rejected": rejected.text}


def _media(reader: FieldReader, kind: MediaKind, find: MediaFinder) -> list[ImportedMedium]:
    field = FIELD_BY_KIND[kind]
    entries = reader.sequence(field)
    if len(entries) > MAX_MEDIA_OF_AN_ITEM:
        reader.refuse(field, f"has {len(entries):,} entries, the limit is {MAX_MEDIA_OF_AN_ITEM}.")
        return []
    found = (_medium(reader, f"{field}/{number}", entry, find) for number, entry in enumerate(entries))
    return [ImportedMedium(medium, kind) for medium in found if medium is not None]


def _medium(reader: FieldReader, name: str, entry: Any, find: MediaFinder) -> IncomingMedia | None:
    # parquet's image: its bytes, or only its path
    if isinstance(entry, dict):
        content = entry.get("bytes")
        if isinstance(content, bytes) and content:
            return IncomingMedia(content, f"{reader.at}/{name}")
        entry = entry.get("path")
    return read_medium(reader, name, entry, find)


def _in_order(
    reader: FieldReader, user: Turn, block: InputBlock, by_kind: dict[MediaKind, list[ImportedMedium]]
) -> tuple[ImportedMedium, ...] | None:
    """The media in the order of their placeholders."""
    for kind, media in by_kind.items():
        if block.media.count(kind) != len(media):
            reader.refuse(
                f"{user.pointer}/content",
                f"has {block.media.count(kind)} placeholders <{kind}>, {FIELD_BY_KIND[kind]} has {len(media)} entries.",
            )
            return None
    queues = {kind: iter(media) for kind, media in by_kind.items()}
    return tuple(next(queues[kind]) for kind in block.media)
