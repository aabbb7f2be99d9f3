"""Concatenated rows as a job reads them."""

from pathlib import Path

from guardapp.guard.engines.hf.checkpoint import load_processor
from guardapp.guard.engines.hf.encoding import encode
from guardapp.guard.taxonomy import Modality
from guardapp.guard.verdict import MediaPreset
from tests.guard.tiny_checkpoint import build_checkpoint
from tests.training.tiny_run import mixed_rows
from training.learning.concatenation import concatenated_rows


def test_concatenations_of_mixed_rows_can_be_encoded_and_have_no_completion(tmp_path: Path) -> None:
    rows = mixed_rows(tmp_path / "media", 24)
    joined = concatenated_rows(
        rows, tmp_path / "merged", share=0.4, balance=False, seed=1, preset=MediaPreset("default")
    )
    assert len(joined) == 16
    assert {row.sample.modality for row in joined} == {Modality.TEXT, Modality.TEXT_IMAGE}
    assert {row.completion for row in joined} == {""}
    pictures = [row for row in joined if row.sample.media]
    assert all(row.verdict.prompt == row.verdict.response == "harmful" for row in pictures)
    assert pictures[0].sample.response == "A red square.\n\nA red square."
    processor = load_processor(str(build_checkpoint(tmp_path / "base")))
    one, whole = encode(processor, rows[1].sample), encode(processor, pictures[0].sample)
    # 144 x 64 pixels fitted to 128 x 64, in patches of 16
    assert whole.pixels["image_grid_thw"].tolist() == [[1, 4, 8]]
    assert len(whole) > len(one)
    again = concatenated_rows(
        rows, tmp_path / "merged", share=0.4, balance=False, seed=1, preset=MediaPreset("default")
    )
    assert again == joined
