"""The configuration a command is given, found by the rules all commands share."""

from collections.abc import Mapping

from common import logs
from common.config import Loaded, load
from entrepot.defaults import packaged

log = logs.get(__name__)

SUPERVISED = "ENTREPOT_SUPERVISED"
"""Set for the processes of `entrepot serve`, which has said already what there is to say."""


def read(path: str | None, environ: Mapping[str, str]) -> Loaded:
    """The configuration in `path`, else in REGISTRY_CONFIGURATION_PATH, else the packaged one.

    Raises ConfigError.
    """
    return load(path, environ, packaged())


def set_up_logs(loaded: Loaded, environ: Mapping[str, str]) -> None:
    """Log as configured, and begin with the configuration's warnings."""
    settings = loaded.config.log
    logs.set_up(settings.level, settings.formatter, **settings.fields)
    if SUPERVISED not in environ:
        for warning in loaded.warnings:
            log.warning("configuration", about=warning)
