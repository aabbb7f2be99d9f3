"""Callers of the API, as the other tests of annotation have them."""

from tests.annotation.conftest import broker, png, sender, with_key

__all__ = ["broker", "png", "sender", "with_key"]
