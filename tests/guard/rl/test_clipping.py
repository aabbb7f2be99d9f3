import pytest

from guardapp.guard.rl.clip_range import ClipNotUsable, ClipRange, ClipSchedule


@pytest.mark.parametrize(("step", "expected"), [(1, 0.198), (5, 0.172), (10, 0.113), (20, 0.021), (30, 0.001)])
def test_the_product_schedule_is_the_papers(step: int, expected: float) -> None:
    assert ClipSchedule(schedule="product").at(step, 100).low == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("constant", 1, 0.2),
        ("constant", 100, 0.2),
        ("linear", 1, 0.198),
        ("linear", 50, 0.1),
        ("linear", 100, 0.0),
        ("product", 100, 0.0),
    ],
)
def test_the_other_schedules_and_the_end_of_a_run(schedule: str, step: int, expected: float) -> None:
    assert ClipSchedule(schedule=schedule).at(step, 100).high == pytest.approx(expected)


def test_low_and_high_shrink_alike_and_stop_at_the_floor() -> None:
    clip = ClipSchedule(low=0.2, high=0.3, schedule="linear", floor=0.05)
    halfway, later = clip.at(50, 100), clip.at(80, 100)
    assert (halfway.low, halfway.high) == pytest.approx((0.1, 0.15))
    assert (later.low, later.high) == pytest.approx((0.05, 0.06))
    assert clip.at(99, 100) == ClipRange(0.05, 0.05)


@pytest.mark.parametrize("schedule", ["product", "linear"])
def test_the_range_never_widens_and_steps_outside_the_run_are_its_ends(schedule: str) -> None:
    clip = ClipSchedule(schedule=schedule)
    lows = [clip.at(step, 40).low for step in range(1, 41)]
    assert lows == sorted(lows, reverse=True)
    assert clip.at(0, 40) == clip.at(1, 40)
    assert clip.at(41, 40) == clip.at(40, 40)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schedule": "cosine"}, r"clip_schedule='cosine'.*product"),
        ({"low": 0.0}, "clip_low"),
        ({"high": -1.0}, "clip_high"),
        ({"floor": 0.3}, "clip_floor"),
        ({"floor": -0.1}, "clip_floor"),
    ],
)
def test_what_cannot_be_a_clip_range_is_refused_by_name(values: dict[str, float], message: str) -> None:
    with pytest.raises(ClipNotUsable, match=message):
        ClipSchedule(**values)  # type: ignore[arg-type]
