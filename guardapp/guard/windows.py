"""Content longer than the guard's context: it is judged in overlapping windows, and harmful if any window is.

One place for items, moderation and evaluations, whatever the engine: `reading_windows` wraps it. A window has all media
and as much text as fits beside them. Where only one of prompt and response is long, each window has the whole other
one; where both are, the prompt is judged first, then the response after the end of the prompt.

The context of a conversation is whole in each window. If it leaves too little room, its oldest messages are left out,
as few as possible: until the exchange fits, or the context takes half of the room at most.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from guardapp.guard.cutting import Cutter, oldest_left_out, whole
from guardapp.guard.protocol import Engine, FlowingEngine, MeasuringEngine, Order, SampleTooLong
from guardapp.guard.taxonomy import Harmfulness
from guardapp.guard.verdict import Decoding, Judgement, Rollout, Sample, Verdict, Window

# texts are cut by counting tokens of parts, which are a few more than those of the whole
SPARE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Windowing:
    """How much is judged in windows: at most `most` of them, neighbours sharing about `overlap` tokens."""

    most: int = 4
    overlap: int = 128


DEFAULT_WINDOWING = Windowing()
WHOLE = Windowing(most=1)


class WindowedEngine:
    """An engine that judges long samples in windows. Implements `Engine`; raises SampleTooLong beyond the windows.

    Make one for each batch: it remembers the windows of the samples that it has seen.
    """

    def __init__(self, engine: MeasuringEngine, windowing: Windowing) -> None:
        self.engine = engine
        self.name = engine.name
        self.windowing = windowing
        self._known: dict[tuple[Sample, int], tuple[Window, ...] | SampleTooLong] = {}

    def windows(self, sample: Sample, max_new_tokens: int) -> tuple[Window, ...]:
        """The windows of a sample; empty if it fits as a whole. Raises SampleTooLong."""
        key = sample, max_new_tokens
        if key not in self._known:
            try:
                self._known[key] = windows_of(self.engine, sample, max_new_tokens, self.windowing)
            except SampleTooLong as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, SampleTooLong):
            raise known
        return known

    def generate(self, samples: Sequence[Sample], decoding: Decoding) -> list[list[Rollout]]:
        """As in `Engine`: each rollout of a long sample has a part for each window."""
        plans = [self.windows(sample, decoding.max_new_tokens) for sample in samples]
        groups = iter(self.engine.generate(_parts(samples, plans), decoding))
        answers = []
        for windows in plans:
            own = [next(groups) for _ in windows or (None,)]
            answers.append(
                [merged(windows, [group[number] for group in own]) for number in range(decoding.n)]
                if windows
                else own[0]
            )
        return answers

    def continue_from(self, samples: Sequence[Sample], prefixes: Sequence[str], decoding: Decoding) -> list[Rollout]:
        """As in `Engine`: every window of a sample is continued from its prefix."""
        plans = [self.windows(sample, decoding.max_new_tokens) for sample in samples]
        repeated = [prefix for prefix, windows in zip(prefixes, plans, strict=True) for _ in windows or (None,)]
        rollouts = iter(self.engine.continue_from(_parts(samples, plans), repeated, decoding))
        return [merged(windows, [next(rollouts) for _ in windows]) if windows else next(rollouts) for windows in plans]


class WindowedFlow(WindowedEngine):
    """A windowed engine whose inner one takes newcomers. Of all waiting windows one at a time joins the batch."""

    def flow(
        self, orders: Sequence[Order], more: Callable[[int], Sequence[Order]]
    ) -> Iterator[tuple[int, Rollout | Exception]]:
        """As in `FlowingEngine`."""
        engine = self.engine
        assert isinstance(engine, FlowingEngine)
        desk = _Desk(self)
        desk.take(orders)
        while desk.waiting() or desk.refused:
            yield from desk.refusals()
            first = desk.next(len(orders) or 1)
            if not first:
                break

            def joining(room: int) -> list[Order]:
                desk.take(more(room))
                return desk.next(room)

            for number, answer in engine.flow(first, joining):
                yield from desk.answered(number, answer)
                yield from desk.refusals()
            desk.begin_again()
        yield from desk.refusals()


@dataclass(slots=True)
class _Long:
    """An order in windows; `answers` are filled in as its windows are answered."""

    order: Order
    windows: tuple[Window, ...]
    answers: list[Rollout] = field(default_factory=list)


class _Desk:
    """The orders of one flow: which of the inner engine's numbers belongs to which outer order."""

    def __init__(self, engine: WindowedEngine) -> None:
        self.engine = engine
        self.refused: list[tuple[int, Exception]] = []
        self._given = 0
        self._short: deque[tuple[int, Order]] = deque()
        self._long: deque[int] = deque()
        self._orders: dict[int, _Long] = {}
        self._numbers: list[int] = []
        self._window_runs = False

    def take(self, orders: Sequence[Order]) -> None:
        for number, order in enumerate(orders, self._given):
            try:
                windows = self.engine.windows(order.sample, order.max_new_tokens)
            except (OSError, ValueError, SampleTooLong) as error:
                self.refused.append((number, error))
                continue
            if windows:
                self._orders[number] = _Long(order, windows)
                self._long.append(number)
            else:
                self._short.append((number, order))
        self._given += len(orders)

    def waiting(self) -> bool:
        return bool(self._short or self._long)

    def next(self, room: int) -> list[Order]:
        """The orders for the inner engine: all short ones that there is room for, and one window if none runs."""
        chosen: list[Order] = []
        while self._short and len(chosen) < max(1, room):
            number, order = self._short.popleft()
            self._numbers.append(number)
            chosen.append(order)
        if self._long and not self._window_runs:
            number = self._long[0]
            long = self._orders[number]
            self._numbers.append(number)
            self._window_runs = True
            chosen.append(replace(long.order, sample=long.windows[len(long.answers)].of(long.order.sample)))
        return chosen

    def answered(self, inner: int, answer: Rollout | Exception) -> Iterator[tuple[int, Rollout | Exception]]:
        number = self._numbers[inner]
        long = self._orders.get(number)
        if long is None:
            yield number, answer
            return
        self._window_runs = False
        if isinstance(answer, Exception):
            self._long.remove(number)
            del self._orders[number]
            yield number, answer
            return
        long.answers.append(answer)
        # orders take turns, a window each
        self._long.rotate(-1)
        if len(long.answers) == len(long.windows):
            self._long.remove(number)
            del self._orders[number]
            yield number, merged(long.windows, long.answers)

    def refusals(self) -> Iterator[tuple[int, Exception]]:
        refused, self.refused = self.refused, []
        yield from refused

    def begin_again(self) -> None:
        """The inner flow has ended; the next one counts from 0."""
        self._numbers = []


def reading_windows(engine: Engine, windowing: Windowing) -> Engine:
    """The engine, judging in windows what exceeds its context; unchanged if it does so, or cannot count tokens."""
    if isinstance(engine, WindowedEngine) or not isinstance(engine, MeasuringEngine):
        return engine
    return (WindowedFlow if isinstance(engine, FlowingEngine) else WindowedEngine)(engine, windowing)


def why_too_long(engine: Engine, sample: Sample, max_new_tokens: int) -> SampleTooLong | None:
    """The error if the engine cannot judge the sample, in windows neither; None if it can, or cannot tell."""
    if not isinstance(engine, WindowedEngine):
        if not isinstance(engine, MeasuringEngine):
            return None
        engine = WindowedEngine(engine, WHOLE)
    try:
        engine.windows(sample, max_new_tokens)
    except SampleTooLong as error:
        return error
    return None


def windows_of(
    engine: MeasuringEngine, sample: Sample, max_new_tokens: int, windowing: Windowing
) -> tuple[Window, ...]:
    """The windows of a sample; empty if it fits as a whole. Raises SampleTooLong."""
    if engine.context is None:
        return ()
    limit = engine.context - max_new_tokens
    total = engine.prompt_tokens(sample)
    if total <= limit:
        return ()
    if windowing.most > 1 and (left_out := oldest_left_out(sample, limit, engine.prompt_tokens)):
        try:
            shorter = sample.without_oldest(left_out)
            parts = windows_of(engine, shorter, max_new_tokens, windowing) or (whole(sample),)
        except SampleTooLong as error:
            raise SampleTooLong(total, error.limit) from None
        return tuple(replace(part, left_out=left_out) for part in parts)
    frame = engine.prompt_tokens(replace(sample, prompt="", response=None if sample.response is None else ""))
    room = limit - frame - SPARE_TOKENS
    overlap = min(windowing.overlap, room // 4)
    most = max(0, limit + (windowing.most - 1) * (room - overlap))
    too_long = SampleTooLong(total, most if room > 0 else max(0, limit))
    if windowing.most < 2 or room <= 4 * SPARE_TOKENS or total > most:
        raise too_long
    empty = engine.prompt_tokens(Sample(""))
    cutter = Cutter(lambda text: engine.prompt_tokens(Sample("", text)) - empty, overlap, windowing.most)
    windows = cutter.windows(sample.prompt, sample.response, room)
    if windows is None or any(engine.prompt_tokens(window.of(sample)) > limit for window in windows):
        raise SampleTooLong(total, min(frame + cutter.reads, total - 1))
    return windows


def merged(windows: Sequence[Window], rollouts: Sequence[Rollout]) -> Rollout:
    """One rollout of all windows: harmful if any is, else unreadable if any is, with the gravest scores."""
    decisive = max(range(len(rollouts)), key=lambda at: _gravity(rollouts[at]))
    chosen = rollouts[decisive]
    judgement = chosen.judgement
    if judgement is not None:
        read = [judgement, *(one.judgement for one in rollouts if one.judgement is not None)]
        verdicts = [one.verdict for one in read]
        judgement = Judgement(
            judgement.steps,
            Verdict(
                _label([verdict.prompt for verdict in verdicts]),
                _label([verdict.response for verdict in verdicts]),
                judgement.verdict.refusal,
                tuple(dict.fromkeys(code for verdict in verdicts for code in verdict.categories)),
            ),
        )
    return Rollout(
        completion=chosen.completion,
        judgement=judgement,
        tokens=sum(one.tokens for one in rollouts),
        finished=all(one.finished for one in rollouts),
        prompt_score=_gravest([one.prompt_score for one in rollouts]) if judgement else None,
        response_score=_gravest([one.response_score for one in rollouts]) if judgement else None,
        parts=tuple(zip(windows, rollouts, strict=True)),
        decisive=decisive,
    )


def _gravity(rollout: Rollout) -> tuple[int, float]:
    """Harmful before unreadable before unharmful; among harmful ones, the most probable."""
    if rollout.judgement is None:
        return 1, 0.0
    verdict = rollout.judgement.verdict
    harmful = Harmfulness.HARMFUL in (verdict.prompt, verdict.response)
    return 2 * harmful, max(rollout.prompt_score or 0.0, rollout.response_score or 0.0)


def _label(labels: Sequence[Harmfulness | None]) -> Harmfulness | None:
    if Harmfulness.HARMFUL in labels:
        return Harmfulness.HARMFUL
    return next((label for label in labels if label is not None), None)


def _gravest(scores: Sequence[float | None]) -> float | None:
    return max((score for score in scores if score is not None), default=None)


def _parts(samples: Sequence[Sample], plans: Sequence[Sequence[Window]]) -> list[Sample]:
    return [
        part
        for sample, windows in zip(samples, plans, strict=True)
        for part in ([window.of(sample) for window in windows] or [sample])
    ]
