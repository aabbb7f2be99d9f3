"""Count by modality and split the rows that a stage would use, drop as too long, or leave out."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.contract import DpoConfig, GrpoConfig, MineConfig, SftConfig
from training.learning.rows import Row, read_rows
from training.plan.tokens import TokenCounter
from training.recipes import Config

# in larger datasets, every nth row is measured and represents its neighbours
MEASURED_ROWS = 4_000


@dataclass(frozen=True, slots=True)
class RowsPlanned:
    """Rows of one modality and split. `tokens` is the total of the used rows."""

    modality: str
    split: str
    rows: int
    used: int
    dropped: int  # longer than the stage's limit
    left_out: int  # another split, or nothing to learn from
    tokens: int
    longest: int


@dataclass
class _Tally:
    rows: int = 0
    used: int = 0
    dropped: int = 0
    tokens: int = 0
    longest: int = 0


Eligible = Callable[[Row], bool]


def count_rows(config: Config, counter: TokenCounter, *, mined_later: bool = False) -> tuple[RowsPlanned, ...]:
    """Count the rows of the config's dataset.

    `mined_later` means that a mining will select from it first, so that any row with gold may be included. Raises
    RowNotReadable or OSError.
    """
    total = sum(1 for _ in _lines(Path(config.dataset)))
    every = max(1, total // MEASURED_ROWS)
    tallies: dict[tuple[str, str], _Tally] = {}
    eligible, limit = _eligible(config, mined_later), _limit(config)
    for number, row in enumerate(read_rows(Path(config.dataset), Path(config.media_root))):
        tally = tallies.setdefault((row.sample.modality.value, row.split), _Tally())
        tally.rows += 1
        if not eligible(row):
            continue
        if number % every:
            continue
        tokens = _tokens(config, row, counter)
        if limit and tokens > limit:
            tally.dropped += every
        else:
            tally.used += every
            tally.tokens += tokens * every
            tally.longest = max(tally.longest, tokens)
    return tuple(_planned(key, tally) for key, tally in sorted(tallies.items()))


def _lines(path: Path) -> Iterable[str]:
    with path.open(encoding="utf-8") as lines:
        yield from lines


def _planned(key: tuple[str, str], tally: _Tally) -> RowsPlanned:
    used = min(tally.used, tally.rows)
    dropped = min(tally.dropped, tally.rows - used)
    return RowsPlanned(
        *key,
        rows=tally.rows,
        used=used,
        dropped=dropped,
        left_out=tally.rows - used - dropped,
        tokens=tally.tokens,
        longest=tally.longest,
    )


def _eligible(config: Config, mined_later: bool) -> Eligible:
    if isinstance(config, SftConfig):
        return lambda row: row.split == "train" and bool(row.completion)
    if isinstance(config, MineConfig):
        return lambda row: row.split == config.split and _has_gold(row)
    if isinstance(config, GrpoConfig) or mined_later:
        return lambda row: row.split == "train" and _has_gold(row)
    return lambda row: row.split == "train" and bool(_pair(row))


def _has_gold(row: Row) -> bool:
    return row.verdict.prompt is not None or row.verdict.response is not None


def _pair(row: Row) -> tuple[str, ...]:
    """A right and a wrong completion, if the row has them."""
    if row.extra.get("chosen") and row.extra.get("rejected"):
        return (row.extra["chosen"], row.extra["rejected"])
    by_right: Mapping[bool, list[str]] = {True: [], False: []}
    for rollout in row.extra.get("rollouts") or ():
        by_right[bool(rollout["right"])].append(rollout["completion"])
    return (max(by_right[True], key=len), max(by_right[False], key=len)) if by_right[True] and by_right[False] else ()


def _limit(config: Config) -> int:
    """The limit on a row's tokens; 0 for none."""
    if isinstance(config, MineConfig):
        return 0
    return config.max_prompt_tokens if isinstance(config, GrpoConfig) else config.cutoff_tokens


def _tokens(config: Config, row: Row, counter: TokenCounter) -> int:
    """The tokens that count towards the limit: prompt and completion, or only the prompt if completions are sampled."""
    prompt = counter.prompt(row.sample)
    if isinstance(config, SftConfig):
        return prompt + counter.completion(row.completion)
    if isinstance(config, DpoConfig):
        return prompt + counter.longest(_pair(row) or (row.completion,))
    return prompt


def totals(rows: Iterable[RowsPlanned]) -> Counter[str]:
    """Totals over all modalities and splits: used, dropped, left_out, tokens, longest."""
    counted: Counter[str] = Counter()
    for part in rows:
        counted.update(
            {
                "rows": part.rows,
                "used": part.used,
                "dropped": part.dropped,
                "left_out": part.left_out,
                "tokens": part.tokens,
            }
        )
        counted["longest"] = max(counted["longest"], part.longest)
    return counted
