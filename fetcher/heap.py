"""How the C library keeps memory for the chunks that a fetcher receives.

As it comes it gives what was freed back to the kernel and takes it anew for the next chunk, page by
page, each cleared by the kernel: a third of the processor time of a fast download. The two limits
below are of mallopt(3), whose numbers are those of glibc's malloc.h; musl has none.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

# Above all that one download has in memory, so that it uses the same again and again.
_CHUNKS_FROM_HEAP = 2 << 20
_KEPT = 8 << 20


def keep_chunks() -> None:
    """Have chunks come from the heap, and up to 8 MiB that are free at its end stay there."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _CHUNKS_FROM_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT)
