"""Each value of a run says where it is from."""

from dataclasses import asdict

from training.progress.provenance import sourced
from training.recipes import config_for


def test_recipe_person_machine_and_default_are_distinguished() -> None:
    config = config_for(
        "omni-v1",
        "grpo",
        places={"base_model": "b", "dataset": "d", "media_root": "m"},
        overrides={"learning_rate": 1e-6, "threads": 2},
    )
    found = {one.name: one for one in sourced("grpo", "omni-v1", asdict(config))}
    assert (found["learning_rate"].source, found["learning_rate"].instead_of) == ("set for this run", 2e-6)
    assert found["clip_high"].source == "GuardReasoner-Omni, 148k rows" and found["clip_high"].instead_of is None
    assert (found["threads"].source, found["seed"].source, found["dataset"].source) == (
        "this machine",
        "the job's default",
        "this run",
    )
    assert list(found) == list(asdict(config))


def test_a_recipe_that_is_gone_has_no_say() -> None:
    [found] = sourced("sft", "long-gone", {"epochs": 8.0})
    assert (found.source, found.instead_of) == ("set for this run", 3.0)
