"""A cache of encoded rows with a size limit."""

from dataclasses import dataclass, field

from guardapp.guard.engines.hf.encoding import Encoded

# beyond this size, rows are encoded again when needed
CACHE_BYTES = 2 * 1024**3


@dataclass(slots=True)
class Encodings:
    """Encoded rows by index; rows beyond the limit are not kept."""

    kept: dict[int, Encoded] = field(default_factory=dict)
    size: int = 0

    def remember(self, index: int, encoded: Encoded) -> None:
        if self.size + encoded.nbytes <= CACHE_BYTES:
            self.kept[index] = encoded
            self.size += encoded.nbytes
