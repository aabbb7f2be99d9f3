"""Random shares that stay what they are."""

from pathlib import Path

import pytest

from annotation.predictions.shadow_requests import is_shadowed
from annotation.queues.priority import is_audited
from guardapp.guard.draws import sticky_draw
from tests.paths import ROOT

# an installation's items keep their lanes and modes over an upgrade
DRAWS = [
    (("audit", 1), 0.5318694848462467),
    (("order", 1), 0.7841402011131597),
    (("blind", 7, 0, 3), 0.45624369653535185),
    (("shadow", 2, 11), 0.5066974062753401),
    ((17, "abc"), 0.5869487853204471),
]


@pytest.mark.parametrize(("parts", "draw"), DRAWS)
def test_a_draw_follows_from_its_words_alone(parts: tuple[object, ...], draw: float) -> None:
    assert sticky_draw(*parts) == pytest.approx(draw, abs=1e-15)


def test_draws_are_even_and_lie_from_0_up_to_1() -> None:
    draws = [sticky_draw("audit", number) for number in range(20_000)]
    assert 0 <= min(draws) < 0.001 and 0.999 < max(draws) < 1
    for tenth in range(10):
        assert sum(tenth / 10 <= draw < (tenth + 1) / 10 for draw in draws) == pytest.approx(2_000, abs=200)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_a_share_holds_what_a_smaller_one_held(share: float) -> None:
    items = range(4_000)
    chosen = {item for item in items if is_audited(item, share)}
    assert len(chosen) == pytest.approx(share * 4_000, abs=150)
    assert chosen >= {item for item in items if is_audited(item, share / 2)}
    assert chosen <= {item for item in items if is_audited(item, min(1.0, share * 2))}


def test_purposes_draw_independently() -> None:
    items = range(4_000)
    audited = {item for item in items if is_audited(item, 0.5)}
    one, other = ({item for item in items if is_shadowed(version, item, 0.5)} for version in (1, 2))
    for chosen in (one, other):
        assert len(audited & chosen) == pytest.approx(1_000, abs=150)
    assert len(one & other) == pytest.approx(1_000, abs=150)


def test_nobody_else_draws_by_a_hash() -> None:
    sources = [path for app in ("annotation", "guardapp", "training") for path in (ROOT / app).rglob("*.py")]
    drawing = [path for path in sources if "int.from_bytes(hashlib.sha256" in path.read_text()]
    assert drawing == [Path(ROOT / "guardapp" / "guard" / "draws.py")]
