"""From the configuration to the scheme it asks for."""

from common.config import Config
from frontend.auth import passwords
from frontend.auth.access import Scheme
from frontend.auth.htpasswd import HtpasswdScheme
from frontend.auth.silly import SillyScheme
from frontend.callers import Callers


def open_scheme(config: Config) -> Scheme | None:
    """The scheme of `auth`; None: everybody may come in.

    Raises ConfigError where a file it needs cannot be used.
    """
    auth, callers = config.auth, Callers(config.http.trustedproxies)
    if auth.htpasswd is not None:
        passwords.read(auth.htpasswd.path)
        return HtpasswdScheme(auth.htpasswd, callers)
    if auth.token is not None:
        # Verifying signatures takes 20 MB in each worker, which only those pay who use it.
        from frontend.auth.token import TokenScheme  # noqa: PLC0415

        return TokenScheme(auth.token, config.http.host, callers)
    if auth.silly is not None:
        return SillyScheme(auth.silly)
    return None
