"""One HTTP exchange: no cookies, no netrc, no proxies from the environment, no redirects, no retries."""

import logging
import ssl
import warnings
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from http.client import HTTPException, RemoteDisconnected
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util.ssl_ import create_urllib3_context

from common.errors import UpstreamError
from fetcher.addresses import AddressPolicy
from fetcher.connection import StaleConnection, pool_classes
from fetcher.origin import Origin
from fetcher.settings import UpstreamSettings

_HOSTS = 16  # how many hosts' idle connections are kept: the registry, its realm, its storage


class _Adapter(HTTPAdapter):
    """Pools of judged connections that share one TLS context, also with other upstreams.

    Reading the authorities takes some hundredths of a second, more than a handshake does.
    """

    def __init__(
        self, policy: AddressPolicy, settings: UpstreamSettings, *, verify: bool = True
    ) -> None:
        self._policy = policy
        self._verify = verify
        self._settings = settings
        super().__init__(pool_connections=_HOSTS, pool_maxsize=settings.pool_size, max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        context = _tls_context(self._settings.cafile, self._verify)
        super().init_poolmanager(connections, maxsize, block, ssl_context=context, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = pool_classes(
            self._policy, 2 * self._settings.read_timeout
        )

    def close(self) -> None:
        # urllib3 alone forgets its pools and leaves their connections to the garbage collector.
        pools = self.poolmanager.pools
        for pool in [pools.get(key) for key in pools.keys()]:  # noqa: SIM118 (not iterable itself)
            if pool:
                pool.close()
        super().close()

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing: the context knows the authorities, and the pool is told whether to verify."""


@cache
def _tls_context(cafile: str | None, verify: bool) -> ssl.SSLContext:
    context = create_urllib3_context()
    context.check_hostname = verify
    context.load_default_certs()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if cafile:
        context.load_verify_locations(cafile)
    return context


class Transport:
    """Sends requests for one upstream; thread-safe, connections are shared by all threads.

    requests' Session is left out on purpose: it reads a redirect's body without bound even when
    told not to follow, keeps cookies, and is not safe to share.
    """

    def __init__(self, settings: UpstreamSettings, hosts: Collection[str] = ()) -> None:
        """Connect to `hosts` (`host` or `host:port`) as to the upstream's own: wherever they are.

        Raises OSError when `cafile` cannot be read, ValueError when `remoteurl` is not a URL, or
        one of `hosts` is no host.
        """
        self.home = Origin.of(settings.remoteurl)
        self._settings = settings
        self._own_headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
        named = [_host(entry) for entry in hosts]
        policy = AddressPolicy(self.home.host, named)
        # Two adapters, since verifying or not is a state of the context they share connections by.
        self._verified = _Adapter(policy, settings)
        self._unverified = _Adapter(policy, settings, verify=False) if settings.insecure else None
        _quiet_urllib3(insecure=settings.insecure)

    def close(self) -> None:
        """Close idle connections."""
        self._verified.close()
        if self._unverified:
            self._unverified.close()

    def send(self, method: str, url: str, headers: dict[str, str]) -> requests.Response:
        """The answer to one request, its body unread; raises UpstreamError.

        `method` is GET or HEAD: what may be asked twice.
        """
        try:
            request = requests.Request(method, url, {**self._own_headers, **headers}).prepare()
            # Judged as prepared: by this the adapter connects.
            return self._exchange(request, Origin.of(str(request.url)))
        except (requests.RequestException, ValueError) as error:
            raise _as_fact(error, url) from error

    def _exchange(self, request: requests.PreparedRequest, origin: Origin) -> requests.Response:
        adapter, verify = self._adapter(origin)
        timeouts = (self._settings.connect_timeout, self._settings.read_timeout)
        # All idle connections to a server that was restarted are stale, and each tells once.
        for _ in range(self._settings.pool_size + 1):
            with suppress(StaleConnection):
                return adapter.send(request, stream=True, timeout=timeouts, verify=verify)
        raise requests.ConnectionError

    def _adapter(self, origin: Origin) -> tuple[_Adapter, bool]:
        if self._unverified and origin.host == self.home.host:
            return self._unverified, False
        return self._verified, True


def _host(authority: str) -> str:
    if "/" in authority:
        raise ValueError("a host is `host` or `host:port`, not a URL")
    return Origin.of(f"https://{authority}").host


def _quiet_urllib3(*, insecure: bool) -> None:
    # It logs whole URLs, and those of storage behind a redirect are signed: whoever reads the
    # log could fetch by them.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
    if insecure:
        warnings.simplefilter("ignore", InsecureRequestWarning)


def _as_fact(error: Exception, url: str) -> UpstreamError:
    """What went wrong, in words without paths or queries."""
    where = _origin_shown(url)
    if isinstance(error, requests.ConnectTimeout):
        return UpstreamError(f"{where}: no connection in time", status=504)
    if isinstance(error, requests.Timeout):
        return UpstreamError(f"{where}: no answer in time", status=504)
    if isinstance(error, requests.exceptions.SSLError):
        # Trying again does not make a certificate right, and the reason is what the user needs.
        unfit = "CERTIFICATE_VERIFY_FAILED" in str(error)
        reason = "its certificate is not trusted" if unfit else "TLS failed"
        return UpstreamError(f"{where}: {reason}", retryable=not unfit)
    if isinstance(error, requests.ConnectionError):
        return UpstreamError(f"{where}: {_reason(error)}")
    return UpstreamError(f"{where}: the answer or its address makes no sense", retryable=False)


def _origin_shown(url: str) -> str:
    try:
        return str(Origin.of(url))
    except ValueError:
        return "a URL that makes no sense"


def _reason(error: BaseException) -> str:
    """The innermost cause, in the operating system's words where it has some."""
    innermost = error
    while further := innermost.__cause__ or innermost.__context__:
        innermost = further
    if isinstance(innermost, RemoteDisconnected):
        return "connection closed without an answer"
    if isinstance(innermost, OSError) and innermost.strerror:
        return innermost.strerror
    return "no valid HTTP answer" if isinstance(innermost, HTTPException) else "connection broken"
