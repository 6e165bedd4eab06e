"""The rows of the table, in its order."""

from collections.abc import Sequence

from bench.effort import Effort
from bench.row import Row
from bench.rows.bodies import bodies
from bench.rows.cold_blob import cold_blobs
from bench.rows.docker_pull import DockerPull
from bench.rows.herd import Herd
from bench.rows.hits import BlobHit, DigestHit, TagHit
from bench.rows.slow_readers import SlowReaders
from bench.rows.small_images import SmallImages
from bench.rows.whole_image import WholeImage


def scenes(effort: Effort) -> list[Sequence[Row]]:
    """The rows; those of one scene are measured with the same running programs, others with fresh
    ones.
    """
    return [
        [DigestHit(effort), TagHit(effort), BlobHit(effort)],
        bodies(effort),
        [Herd(effort), *cold_blobs(effort)],
        [SmallImages(effort), WholeImage(effort), DockerPull(effort)],
        [SlowReaders(effort)],
    ]
