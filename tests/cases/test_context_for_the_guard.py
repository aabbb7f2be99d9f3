"""What came before the judged exchange goes to the guard, and from there into training rows and exports, unchanged."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from PIL import Image
from pytest_django import Settings

from annotation.exporting.formats import ExportFormat
from annotation.exporting.stream import ExportRequest, export_lines
from annotation.importing.fields import RecordNotReadable
from annotation.importing.read_record import read_record
from annotation.ingest.read_media import no_files
from annotation.ingest.read_rows import read_row
from annotation.ingest.store_items import ingest_items
from annotation.models import Assignment, GoldLabel, Item
from annotation.predictions.fingerprints import near_items, store_fingerprints
from annotation.predictions.predict import predict_pending
from annotation.review.assign import assign_next
from annotation.review.decision import Decision
from annotation.review.submit import submit_review
from annotation.status import ReviewKind
from guardapp.guard.engines.hf.encoding import encode, prompt_tokens
from guardapp.guard.prompting import chat_messages
from guardapp.guard.rl.concatenation import Labelled, pair_rows
from guardapp.guard.splits import link_keys
from guardapp.guard.taxonomy import DEFAULT_CODES, Harmfulness, MediaKind, Task
from guardapp.guard.verdict import ContextMessage, Decoding, Frame, Sample, SeenMedia, Verdict
from tests.annotation.scripted_engine import HARMFUL, ScriptedEngine
from tests.cases.test_conversations import ANSWER, LAST, MESSAGES, USER, image, picture
from tests.factories import default_policy, default_queue, make_item, make_user, production
from training.corpora.benchmark_rows import read_benchmark_row
from training.corpora.corpus_rows import CorpusKind, read_corpus_row
from training.corpora.decode_rows import DecodedRow, decoded_rows
from training.corpora.records import Place, Record
from training.corpora.values import ImportedRow
from training.learning.rows import Row, read_rows, row_from_json
from training.snapshots.rows import Drops, gold_rows
from training.snapshots.split import split_row

HARMFUL_BOTH = HARMFUL.replace("Response: None", "Response: harmful")
CONTEXT = (ContextMessage("system", "Be brief."), ContextMessage("user", USER), ContextMessage("assistant", ANSWER))


@pytest.fixture(autouse=True)
def no_audit(settings: Settings) -> None:
    settings.AUDIT_SHARE = 0.0


class Listening(ScriptedEngine):
    """Keeps the samples that it was asked about."""

    def __init__(self) -> None:
        super().__init__(lambda sample, draw: HARMFUL if sample.response is None else HARMFUL_BOTH)
        self.heard: list[Sample] = []

    def generate(self, samples: Any, decoding: Any) -> Any:
        self.heard += samples
        return super().generate(samples, decoding)


def judged(messages: list[dict[str, Any]]) -> tuple[Item, Sample]:
    """A conversation that the guard has judged and a reviewer accepted, and the sample that the guard got."""
    default_policy()
    [result] = ingest_items(rows=[read_row({"messages": messages})])
    engine, reviewer = Listening(), make_user()
    predict_pending(engine=engine, version=production(), limit=1)
    held = assign_next(reviewer=reviewer, queue=default_queue())
    assert isinstance(held, Assignment) and held.item_id == result.id
    answer = Harmfulness.HARMFUL if held.item.response is not None else None
    decision = Decision(ReviewKind.ACCEPTED, Harmfulness.HARMFUL, answer)
    submit_review(reviewer=reviewer, token=held.token, idempotency_key=uuid.uuid4().hex, decision=decision)
    return Item.objects.get(pk=result.id), engine.heard[0]


def training_row() -> Row:
    [gold] = gold_rows(GoldLabel.objects.all(), Drops())
    return gold.row


def exported(format: ExportFormat) -> dict[str, Any]:
    [line] = b"".join(export_lines(request=ExportRequest(format))).splitlines()
    found: dict[str, Any] = orjson.loads(line)
    return found


def as_text(sample: Sample) -> list[str]:
    """The guard's messages with the placeholders of ShareGPT."""
    return [
        "".join(part.get("text") or f"<{part['type']}>" for part in message["content"])
        for message in chat_messages(sample)
    ]


@pytest.mark.django_db
def test_the_guard_gets_the_messages_before_the_exchange_as_its_context() -> None:
    default_queue()
    _, sample = judged(MESSAGES)
    assert (sample.prompt, sample.response, sample.context) == (LAST, "With a saw.", CONTEXT)
    assert as_text(sample)[1].startswith("Earlier messages:\n[system]\n> Be brief.\n[user]\n")


@pytest.mark.django_db
@pytest.mark.parametrize("with_pictures", [False, True])
def test_training_rows_and_exports_have_the_very_prompt_of_serving(with_pictures: bool) -> None:
    default_queue()
    pictures = [image("red")] if with_pictures else []
    first: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "a\nb"}, *pictures, *pictures]}
    last: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": LAST}, *pictures]}
    item, sample = judged([first, MESSAGES[2], last])
    system, user = as_text(sample)
    row = training_row()
    root = Path(settings.MEDIA_ROOT)
    again = row_from_json(orjson.loads(orjson.dumps(row.as_json(root))), root)
    for other in (row.sample, again.sample):
        assert chat_messages(other) == chat_messages(sample) and other.media == sample.media
    assert len(sample.media) == 3 * with_pictures

    shared = exported(ExportFormat.SHAREGPT)
    assert (shared["system"], shared["conversations"][0]["value"]) == (system, user)
    assert len(shared["images"]) == user.count("<image>") == 3 * with_pictures
    prompt = exported(ExportFormat.TRL)["prompt"]
    assert prompt == (
        chat_messages(sample)
        if with_pictures
        else [{"role": "system", "content": system}, {"role": "user", "content": user}]
    )
    record = exported(ExportFormat.CANONICAL)["item"]
    assert (record["text"], record["messages"]) == (user, item.messages)


@pytest.mark.django_db
def test_an_exported_conversation_comes_back_as_a_row_of_a_corpus_with_the_same_prompt() -> None:
    default_queue()
    first: dict[str, Any] = {"role": "user", "content": [image("red"), {"type": "text", "text": "a\r\n> b\n"}]}
    _, sample = judged([MESSAGES[0], first, MESSAGES[2], {"role": "user", "content": [image("blue")]}])
    shared = exported(ExportFormat.SHAREGPT)
    files = {f"media/{hashlib.sha256(picture(one)).hexdigest()}.png": picture(one) for one in ("red", "blue")}
    record = Record(Place(1), shared)
    read = read_corpus_row(record, name="c", kind=CorpusKind.SFT, find=lambda name: files[name], codes=DEFAULT_CODES)
    [found] = decoded_rows([read], source="c")
    assert isinstance(found, DecodedRow), found
    assert chat_messages(found.row.sample) == chat_messages(sample)
    assert [medium.frames for medium in found.row.sample.media] == [medium.frames for medium in sample.media]


@pytest.mark.django_db
def test_an_imported_record_keeps_its_messages_and_one_with_others_is_refused_by_the_place() -> None:
    default_queue()
    first: dict[str, Any] = {"role": "user", "name": "Ada", "content": [image("red"), {"type": "text", "text": "a"}]}
    item, _ = judged([first, MESSAGES[2], MESSAGES[3]])
    record = exported(ExportFormat.CANONICAL)
    assert read_record(record).item.columns["messages"] == item.messages
    for change in ({"role": "bot"}, {"role": None}, {"text": 7}, {"media": [1]}, {"media": ["0"]}, {"name": "a" * 200}):
        record["item"]["messages"] = [item.messages[0] | change, item.messages[1]]
        with pytest.raises(RecordNotReadable) as refused:
            read_record(record)
        assert refused.value.error.pointer == f"/item/messages/0/{next(iter(change))}"


def test_a_row_of_a_benchmark_keeps_the_messages_before_it() -> None:
    value = {"id": "bench/1", "messages": MESSAGES, "prompt_label": "harmful"}
    read = read_benchmark_row(Record(Place(1), value), task=Task.PROMPT, find=no_files)
    assert isinstance(read, ImportedRow), read
    assert (read.prompt, read.response, read.context) == (LAST, "With a saw.", CONTEXT)


def test_the_starter_guard_reads_pictures_of_earlier_messages_in_their_place(starter: Any, tmp_path: Path) -> None:
    for colour, size in (("red", (64, 64)), ("blue", (128, 64))):
        Image.new("RGB", size, colour).save(tmp_path / f"{colour}.png")
    media = tuple(SeenMedia(MediaKind.IMAGE, (Frame(tmp_path / f"{colour}.png"),)) for colour in ("red", "blue"))
    context = (ContextMessage("user", "Look at this.", 1), CONTEXT[2])
    sample = Sample("a", "And this one?", media=media, context=context)
    encoded = encode(starter.processor, sample)
    assert 0 <= prompt_tokens(starter.processor, sample) - len(encoded) <= len(media)
    text = starter.tokenizer.decode(encoded.input_ids)
    first, second = (text.index("<|image_pad|>"), text.rindex("<|vision_start|>"))
    assert text.index("[user]") < first < text.index("> Look at this.") < text.index("Human user:") < second
    assert starter.generate([sample], Decoding(max_new_tokens=8))[0][0].tokens > 0


@pytest.mark.django_db
def test_an_export_counts_placeholders_of_earlier_messages_too() -> None:
    default_queue()
    judged([{"role": "user", "content": "What does <image> mean?"}, *MESSAGES[2:]])
    assert not b"".join(export_lines(request=ExportRequest(ExportFormat.SHAREGPT)))


@pytest.mark.django_db
def test_a_row_of_a_snapshot_without_context_is_written_as_before(tmp_path: Path) -> None:
    default_queue()
    judged([MESSAGES[1]])
    row = training_row()
    assert "context" not in row.as_json(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(orjson.dumps(row.as_json(tmp_path)))
    assert [one.sample for one in read_rows(tmp_path / "rows.jsonl", tmp_path)] == [row.sample]


@pytest.mark.django_db
def test_the_same_exchange_after_another_conversation_is_no_near_copy() -> None:
    words = "How do I open the lock of the door of my neighbour while he is away until Sunday?"

    def after(*texts: str) -> Item:
        return make_item(prompt=words, messages=[{"role": "user", "text": text} for text in texts])

    own = after("I write a novel about a burglar who is always caught in the end.")
    alike = after("I write a novel about a burglar who is always caught in the end!")
    other = after("My neighbour asked me to water his plants and I have lost his key.")
    none = make_item(prompt=words)
    both = make_item(prompt=words)
    store_fingerprints([item.prediction for item in (own, alike, other, none, both) if item.prediction])
    assert [near.item for near in near_items(own)] == [alike]
    assert [near.item for near in near_items(other)] == []
    assert [near.item for near in near_items(none)] == [both]


def test_the_turns_of_a_conversation_share_a_side_and_short_words_in_others_do_not() -> None:
    second = link_keys("Go on.", None, (), CONTEXT)
    third = link_keys(
        "More!", None, (), (*CONTEXT, ContextMessage("user", "Go on."), ContextMessage("assistant", "ok"))
    )
    elsewhere = link_keys(
        "Go on.", None, (), (ContextMessage("user", "Tell me a story"), ContextMessage("assistant", "a"))
    )
    assert set(second) < set(third)
    assert set(second).isdisjoint(elsewhere)
    assert link_keys("Go on.", None, (), CONTEXT[:1]) == link_keys("Go on.", None, ())


@pytest.mark.django_db
def test_rows_with_context_say_so_to_the_split() -> None:
    default_queue()
    judged(MESSAGES)
    [gold] = gold_rows(GoldLabel.objects.all(), Drops())
    assert split_row(gold).link_keys == link_keys(LAST, None, (), CONTEXT)


def test_conversations_are_never_concatenated() -> None:
    rows = [Labelled(Sample(str(n), str(n), context=CONTEXT), Verdict(Harmfulness.HARMFUL)) for n in range(20)]
    assert pair_rows(rows, share=0.5, balance=False, seed=1) == []
