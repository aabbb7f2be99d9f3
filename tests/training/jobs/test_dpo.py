"""Preference training on a tiny checkpoint: the loss by hand, learning, stopping, resuming."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from guardapp.guard.engines.hf.checkpoint import load_model, load_processor
from guardapp.guard.engines.hf.encoding import encode
from guardapp.guard.engines.hf.hf_engine import HfEngine
from guardapp.guard.verdict import Decoding
from tests.guard.tiny_checkpoint import COMPLETION, build_checkpoint, text_sample
from tests.training.jobs.test_sft import same, weights_of
from tests.training.tiny_run import metrics, mixed_rows, result, run_here
from training.contract import CANCEL, CHECKPOINTS, CONFIG, EXIT_CANCELLED, DpoConfig, write_json
from training.jobs import dpo, sft
from training.learning import heartbeat
from training.learning.dpo_data import EncodedPairs, NoPairs, Pair, PairCollator, Pairs, read_pairs
from training.learning.dpo_loss import pair_losses
from training.learning.json_lines import read_lines
from training.learning.rows import Row, RowsShareAnId

BETA = 0.1
LEARNS_QUICKLY: dict[str, Any] = {
    "beta": BETA,
    "batch_size": 4,
    "learning_rate": 3e-3,
    "freeze_vision": False,
    "threads": 1,
    "log_every": 1,
    "save_every": 1000,
}


def wrong_of(row: Row) -> str:
    return COMPLETION.format(
        topic="bake some bread", label=row.verdict.prompt.opposite if row.verdict.prompt else "harmful"
    )


def mined(row: Row, media_root: Path, *, right: int = 2, wrong: int = 2) -> dict[str, Any]:
    """A line of a mining's rows.jsonl."""
    rollouts = [{"completion": row.completion, "right": True, "tokens": 9}] * right
    rollouts += [{"completion": wrong_of(row), "right": False, "tokens": 9}] * wrong
    return row.as_json(media_root) | {"pass_rate": right / (right + wrong), "rollouts": rollouts}


def dpo_run(
    folder: Path, *, rows: int = 8, base: Path | None = None, lines: list[dict[str, Any]] | None = None, **config: Any
) -> Path:
    folder.mkdir(parents=True)
    media = folder / "media"
    lines = lines or [
        mined(row, media, right=1 + number % 3, wrong=3 - number % 3)
        for number, row in enumerate(mixed_rows(media, rows))
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json(
        folder / CONFIG,
        asdict(
            DpoConfig(
                base_model=str(base or build_checkpoint(folder / "base")),
                dataset=str(folder / "rows.jsonl"),
                media_root=str(media),
                **(LEARNS_QUICKLY | config),
            )
        ),
    )
    return folder


def config_of(run_dir: Path) -> DpoConfig:
    return DpoConfig(**json.loads((run_dir / CONFIG).read_text()))


def logp(model: Any, processor: Any, row: Row, completion: str) -> tuple[float, int]:
    """A completion's log-probability and length, from one row alone and plain log-softmax."""
    one = encode(processor, row.sample, completion)
    with torch.no_grad():
        logits = model(input_ids=one.input_ids[None], mm_token_type_ids=one.media_types[None], **one.pixels).logits[0]
    each = torch.log_softmax(logits.double(), dim=-1)[:-1].gather(1, one.input_ids[1:, None])[
        one.prompt_tokens - 1 :, 0
    ]
    return float(each.sum()), len(each)


def test_the_loss_is_the_one_computed_by_hand_from_single_rows(tmp_path: Path) -> None:
    base, moved = (str(build_checkpoint(tmp_path / name, seed=seed)) for name, seed in (("base", 0), ("moved", 1)))
    processor = load_processor(base)
    reference, policy = (load_model(folder, dtype=torch.float32).eval() for folder in (base, moved))
    rows = mixed_rows(tmp_path / "media", 3)
    assert {row.sample.modality.value for row in rows} == {"text", "text-image", "video"}
    weights = (1.2, 1.0, 0.8)
    pairs = [Pair(row, row.completion, wrong_of(row), weight) for row, weight in zip(rows, weights, strict=True)]
    encoded = EncodedPairs.measure(processor, Pairs(pairs, 0), 4096, heartbeat.Heartbeat(tmp_path))
    collator = PairCollator(encoded, processor.tokenizer.pad_token_id)
    config = DpoConfig("base", "rows", "media", batch_size=2)
    encoded.reference = dpo.reference_logps(
        reference, collator, config, tmp_path / "reference.jsonl", heartbeat.Heartbeat(tmp_path)
    )

    losses, _ = pair_losses(policy, collator([{"index": index} for index in (2, 0, 1)]), beta=BETA)
    for place, index in enumerate((2, 0, 1)):
        pair = pairs[index]
        (chosen, tokens), (rejected, _) = (
            logp(policy, processor, pair.row, text) for text in (pair.chosen, pair.rejected)
        )
        before = [logp(reference, processor, pair.row, text)[0] for text in (pair.chosen, pair.rejected)]
        assert encoded.reference[index] == pytest.approx(before, abs=1e-3)
        margin = BETA * ((chosen - before[0]) - (rejected - before[1]))
        assert losses.margin[place].item() == pytest.approx(margin, abs=1e-4)
        assert losses.preference[place].item() == pytest.approx(pair.weight * math.log1p(math.exp(-margin)), abs=1e-4)
        assert losses.sft[place].item() == pytest.approx(-chosen / tokens, abs=1e-4)


def test_training_raises_the_margin_and_the_run_directory_holds_all(tmp_path: Path) -> None:
    run_dir = dpo_run(tmp_path / "run", rows=8, max_steps=12)
    assert run_here(dpo.main, run_dir) == 0
    lines = metrics(run_dir)
    assert [line["step"] for line in lines] == list(range(1, 13))
    first, last = lines[0], lines[-1]
    assert {
        "loss",
        "dpo_loss",
        "sft_loss",
        "margin",
        "accuracy",
        "lr",
        "grad_norm",
        "tokens",
        "tokens_per_s",
        "seconds",
    } <= set(first)
    # before the first step the policy is its reference
    assert first["margin"] == pytest.approx(0, abs=1e-4)
    assert first["dpo_loss"] == pytest.approx(math.log(2), rel=0.21)  # of weights from 0.8 to 1.2
    assert first["loss"] == pytest.approx(first["dpo_loss"] + 2 * first["sft_loss"], rel=1e-4)
    assert last["margin"] > 0.1
    assert last["accuracy"] == 1.0
    assert last["sft_loss"] < first["sft_loss"] - 1
    done = result(run_dir)
    assert (done["steps"], done["train_rows"], done["dropped"], done["unpaired"]) == (12, 8, 0, 0)
    assert (done["final_loss"], done["final_margin"], done["final_accuracy"]) == (last["loss"], last["margin"], 1.0)
    HfEngine(str(run_dir / "model"), device="cpu").generate([text_sample()], Decoding(max_new_tokens=4))
    assert run_here(dpo.main, run_dir) == 0  # done before: nothing is trained twice
    assert len(metrics(run_dir)) == 12


def test_a_cancelled_run_resumes_to_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = build_checkpoint(tmp_path / "base")
    whole, stopped = (dpo_run(tmp_path / name, rows=12, base=base, max_steps=6) for name in ("whole", "stopped"))
    assert run_here(dpo.main, whole) == 0
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "cancel_requested", lambda run_dir: len(read_lines(run_dir / dpo.REFERENCE)) >= 4)
        assert run_here(dpo.main, stopped) == EXIT_CANCELLED
    assert len(read_lines(stopped / dpo.REFERENCE)) == 4
    assert not (stopped / CHECKPOINTS).exists()
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "cancel_requested", lambda run_dir: len(metrics(run_dir)) >= 3)
        assert run_here(dpo.main, stopped) == EXIT_CANCELLED
    assert not (stopped / "result.json").exists()
    assert run_here(dpo.main, stopped) == 0
    assert len(read_lines(stopped / dpo.REFERENCE)) == 12
    assert [line["step"] for line in metrics(stopped)][-1] == 6
    assert same(weights_of(whole / "model"), weights_of(stopped / "model"))


def test_accumulated_batches_weigh_as_one_large_batch(tmp_path: Path) -> None:
    base = build_checkpoint(tmp_path / "base")
    settings: dict[str, Any] = {"rows": 8, "base": base, "max_steps": 1, "warmup_ratio": 0.0, "learning_rate": 1e-3}
    large = dpo_run(tmp_path / "large", batch_size=8, **settings)
    small = dpo_run(tmp_path / "small", batch_size=2, gradient_accumulation=4, **settings)
    assert run_here(dpo.main, large) == run_here(dpo.main, small) == 0
    for name in ("loss", "dpo_loss", "sft_loss", "grad_norm"):
        assert metrics(large)[0][name] == pytest.approx(metrics(small)[0][name], rel=1e-3)


def test_an_adapter_is_merged_and_the_vision_tower_left_alone(tmp_path: Path) -> None:
    run_dir = dpo_run(
        tmp_path / "run", max_steps=6, lora_rank=4, lora_alpha=8, freeze_vision=True, learning_rate=1e-2, save_bf16=True
    )
    assert run_here(dpo.main, run_dir) == 0
    before, after = weights_of(run_dir / "base"), weights_of(run_dir / "model")
    changed = {key for key in before if not torch.equal(before[key].bfloat16(), after[key])}
    assert changed
    assert all("language_model" in key and "_proj" in key for key in changed)
    assert metrics(run_dir)[-1]["margin"] > 0


def test_pairs_come_from_mixed_rows_and_from_preference_rows(tmp_path: Path) -> None:
    rows = mixed_rows(tmp_path / "media", 5)
    lines = [
        mined(rows[0], tmp_path / "media", right=1, wrong=3),
        mined(rows[1], tmp_path / "media", right=3, wrong=1),
        mined(rows[2], tmp_path / "media", right=4, wrong=0),
        mined(rows[3], tmp_path / "media") | {"split": "holdout"},
        rows[4].as_json(tmp_path / "media") | {"completion": "", "labels": {}, "chosen": "yes", "rejected": "no"},
    ]
    run_dir = dpo_run(tmp_path / "run", base=tmp_path, lines=lines)
    read = read_pairs(config_of(run_dir))
    assert [(pair.row.sample.id, pair.chosen, pair.rejected) for pair in read.pairs] == [
        ("row-0", rows[0].completion, wrong_of(rows[0])),
        ("row-1", rows[1].completion, wrong_of(rows[1])),
        ("row-4", "yes", "no"),
    ]
    assert [pair.weight for pair in read.pairs] == pytest.approx([1.2, 0.8, 1.0])
    assert read.unpaired == 1  # row-2 was always right

    (run_dir / "rows.jsonl").write_text((json.dumps(lines[0]) + "\n") * 2)
    with pytest.raises(RowsShareAnId, match="row-0"):
        read_pairs(config_of(run_dir))


def test_the_seed_draws_one_of_several_rollouts(tmp_path: Path) -> None:
    row = mixed_rows(tmp_path, 1)[0]
    line = mined(row, tmp_path)
    line["rollouts"] = [
        {"completion": f"{right} {number}", "right": right, "tokens": 3}
        for right in (True, False)
        for number in range(8)
    ]
    run_dir = dpo_run(tmp_path / "run", base=tmp_path, lines=[line])
    drawn = {seed: read_pairs(DpoConfig(**(asdict(config_of(run_dir)) | {"seed": seed}))).pairs[0] for seed in range(6)}
    assert all((pair.chosen[:4], pair.rejected[:5]) == ("True", "False") for pair in drawn.values())
    assert len({(pair.chosen, pair.rejected) for pair in drawn.values()}) > 1
    assert drawn[0].chosen == read_pairs(DpoConfig(**(asdict(config_of(run_dir)) | {"seed": 0}))).pairs[0].chosen


def test_overlong_pairs_are_dropped_and_counted_and_nothing_to_pair_is_refused(tmp_path: Path) -> None:
    processor = load_processor(str(build_checkpoint(tmp_path / "base")))
    rows = mixed_rows(tmp_path / "media", 3)
    pairs = [Pair(row, row.completion, wrong_of(row) * (20 if row is rows[1] else 1)) for row in rows]
    measured = EncodedPairs.measure(processor, Pairs(pairs, 0), 400, heartbeat.Heartbeat(tmp_path))
    assert (len(measured), measured.dropped) == (2, 1)
    assert measured.lengths == [max(len(side) for side in measured.sides(index)) for index in range(2)]
    with pytest.raises(NoPairs, match=r"7 train rows lack .* 3 pairs are longer than 10"):
        EncodedPairs.measure(processor, Pairs(pairs, 7), 10, heartbeat.Heartbeat(tmp_path))


def test_a_model_in_shares_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = dpo_run(tmp_path / "run", rows=2, base=tmp_path)
    arguments = sft.trainer_arguments(dpo.as_sft(config_of(run_dir)), run_dir)
    dpo.refuse_shares(arguments)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(dpo.SharesNotSupported, match="ddp or zero2"):
        dpo.refuse_shares(arguments)


def test_a_wish_to_stop_before_the_first_pair_is_honoured(tmp_path: Path) -> None:
    run_dir = dpo_run(tmp_path / "run", rows=2, max_steps=2)
    (run_dir / CANCEL).touch()
    assert run_here(dpo.main, run_dir) == EXIT_CANCELLED
