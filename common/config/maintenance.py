"""`storage.maintenance`: times when nothing is written, and the clearing of others' uploads."""

from dataclasses import dataclass, field

from common.config import leaves
from common.config.shapes import Section, section, setting, shaped

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """`storage.maintenance.readonly`."""

    enabled: bool = setting(leaves.boolean(), default=False)
    """What is stored is served; nothing is fetched, nothing removed."""


@dataclass(frozen=True, slots=True)
class UploadPurging:
    """`storage.maintenance.uploadpurging`: of pushes that a registry on the same folder left.

    Defaults as distribution documents them.
    """

    enabled: bool = setting(leaves.boolean(), default=True)
    age: float = setting(leaves.duration(), 168 * _HOUR)
    """Seconds since an upload began, after which it counts as abandoned."""
    interval: float = setting(leaves.duration(), 24 * _HOUR)
    """Seconds between two looks."""
    dryrun: bool = setting(leaves.boolean(), default=False)
    """What would be removed is logged, and stays."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """`storage.maintenance`."""

    readonly: ReadOnly = field(
        default_factory=ReadOnly, metadata=shaped(section(ReadOnly, is_map=True))
    )
    uploadpurging: UploadPurging = field(
        default_factory=UploadPurging, metadata=shaped(section(UploadPurging, is_map=True))
    )


SECTION: Section = section(Maintenance, is_map=True)
