"""Memory of tensors goes back to the system once they are freed, instead of staying in holes of the heap.

A cache that grows by a token per step is copied to a slightly larger block each time. glibc takes such blocks from the
heap, where the smaller holes are of no use later: without this, rollouts of a long prompt took twice the memory.
"""

import ctypes

M_MMAP_THRESHOLD = -3  # of malloc.h
LARGE = 1 << 20  # bytes


def give_back_large_blocks() -> None:
    """Have glibc map large blocks by themselves, for the whole process. Other C libraries are left as they are."""
    try:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
    except (AttributeError, OSError, TypeError):
        return
