"""A key-value cache for rows of different lengths, each in a slot of its own.

Nothing is shifted or copied when a row joins or leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import guardapp.guard.engines.hf.torchvision_shim  # noqa: F401  # isort: skip  (must come before transformers)
import torch
from transformers.cache_utils import Cache, CacheLayerMixin

PLACES = 128  # slot lengths are multiples of this


@dataclass(slots=True)
class Step:
    """The current step, shared by all layers.

    `rows`: slots in use, shape (rows,); `ends`: position of each row's new token; `width`: positions then in use.
    """

    rows: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    ends: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    width: int = 0


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer: `keys` and `values` have shape (slots, heads, places, head width).

    A row fills its slot from the left; the values behind its end are finite and masked.
    """

    def __init__(self, step: Step, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Create an empty layer for keys and values like those given, of shape (heads, tokens, head width)."""
        super().__init__()
        self.step = step
        self.keys, self.values = (one.new_zeros((0, one.shape[0], 0, one.shape[2])) for one in (keys, values))
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing to do: the constructor has allocated everything."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **more: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append one token per row, (rows, heads, 1, head width), and return the keys and values of all rows."""
        step = self.step
        self.keys[step.rows, :, step.ends] = key_states[:, :, 0]
        self.values[step.rows, :, step.ends] = value_states[:, :, 0]
        return self.keys[: len(step.rows), :, : step.width], self.values[: len(step.rows), :, : step.width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.step.width, 0

    def get_seq_length(self) -> int:
        return self.step.width - 1

    def get_max_length(self) -> int:
        return -1


class Slots(Cache):  # type: ignore[misc]
    """The cache of rows that join and leave; the first slots are in use."""

    layers: list[SlotLayer]

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.step = Step()

    def begin_step(self, lengths: torch.Tensor, width: int) -> None:
        """Prepare for one more token per row.

        Each slot holds `lengths[row]` tokens now, and the longest will hold `width`.
        """
        self.step.rows = torch.arange(len(lengths), device=lengths.device)
        self.step.ends, self.step.width = lengths, width
        self._hold(len(lengths), width)

    def fill(self, slot: int, pieces: Sequence[Sequence[tuple[torch.Tensor, torch.Tensor]]]) -> None:
        """Copy a new row's tokens into its slot, piece by piece.

        Each piece holds the keys and values of every layer, (heads, tokens, head width).
        """
        if not self.layers:
            self.layers = [SlotLayer(self.step, keys, values) for keys, values in pieces[0]]
        self._hold(slot + 1, sum(piece[0][0].shape[1] for piece in pieces))
        at = 0
        for piece in pieces:
            end = at + piece[0][0].shape[1]
            for layer, (keys, values) in zip(self.layers, piece, strict=True):
                layer.keys[slot, :, at:end] = keys
                layer.values[slot, :, at:end] = values
            at = end

    def move(self, source: int, target: int, length: int) -> None:
        for layer in self.layers:
            for held in (layer.keys, layer.values):
                held[target, :, :length] = held[source, :, :length]

    def held_with(self, slots: int, places: int) -> int:
        """The capacity in tokens once there is room for `slots` rows of `places` tokens."""
        had_slots, had_places = self._shape
        return max(_slots(slots), had_slots) * max(_places(places), had_places)

    @property
    def _shape(self) -> tuple[int, int]:
        return (self.layers[0].keys.shape[0], self.layers[0].keys.shape[2]) if self.layers else (0, 0)

    def _hold(self, slots: int, places: int) -> None:
        had_slots, had_places = self._shape
        if slots <= had_slots and places <= had_places:
            return
        shape = max(_slots(slots), had_slots), max(_places(places), had_places)
        for layer in self.layers:
            layer.keys, layer.values = (_grown(held, *shape) for held in (layer.keys, layer.values))


def _slots(wanted: int) -> int:
    return int(1 << (wanted - 1).bit_length())


def _places(wanted: int) -> int:
    return -(-wanted // PLACES) * PLACES


def _grown(held: torch.Tensor, slots: int, places: int) -> torch.Tensor:
    """Enlarge with zeros: masked values must be finite."""
    larger = held.new_zeros((slots, held.shape[1], places, held.shape[3]))
    larger[: held.shape[0], :, : held.shape[2]] = held
    return larger
