"""Generation that ends when nobody waits for it any more: asked before each layer, so within a fraction of a second."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from guardapp.guard.protocol import NobodyWaits
from guardapp.guard.verdict import always


@contextmanager
def ended_when_unwanted(model: Any, wanted: Callable[[], bool]) -> Iterator[None]:
    """Raise NobodyWaits from the model's forward pass once `wanted()` is false."""
    if wanted is always:
        yield
        return

    def ask(*_: Any) -> None:
        if not wanted():
            raise NobodyWaits(NobodyWaits.__doc__)

    ask()
    hooks = [layer.register_forward_pre_hook(ask) for layer in model.model.language_model.layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
