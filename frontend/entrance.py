"""Whether this machine has what it takes to let anybody in: the files of `auth` and `http.tls`."""

from common.config import Config
from common.errors import ConfigError, ConfigProblem
from frontend.auth.opening import open_scheme
from frontend.tls import ServerTls


def verify(config: Config) -> None:
    """Read every file as serving would. Raises ConfigError with all that cannot be used."""
    problems: list[ConfigProblem] = []
    try:
        open_scheme(config)
    except ConfigError as error:
        problems += error.problems
    try:
        if config.http.tls.certificate:
            ServerTls(config.http.tls)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
