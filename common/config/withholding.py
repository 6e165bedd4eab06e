"""What a process has no business with is taken out of its configuration before it starts."""

from dataclasses import replace

from common.config.model import Config, Exec, Proxy
from common.config.secret import Secret


def without_credentials(config: Config) -> Config:
    """The configuration as a process may hold it that asks no upstream."""
    upstreams = {
        name: replace(
            upstream,
            username="",
            password=Secret(),
            usernamefile="",
            passwordfile="",
            exec=Exec(),
        )
        for name, upstream in config.proxy.upstreams.items()
    }
    return replace(config, proxy=Proxy(upstreams))
