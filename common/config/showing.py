"""The effective configuration as a file would hold it, secrets masked."""

from typing import Any

import yaml

from common.config import upstreams
from common.config.loading import VERSION
from common.config.model import Config, Proxy, Upstream
from common.config.shapes import Leaf, ListOf, Shape, TableOf, shapes_of
from common.source import DEFAULT_UPSTREAM

_FOREVER = 0.0


def show(config: Config) -> str:
    """YAML of every setting in use, defaults included; passwords are `***`."""
    shown = {
        "version": float(VERSION),
        "log": _model(config.log),
        "storage": {
            "filesystem": _model(config.storage),
            "maintenance": _model(config.maintenance),
        },
        "auth": _model(config.auth),
        "http": _model(config.http),
        "tags": _model(config.tags),
        "catalog": _model(config.catalog),
        "proxy": _proxy(config.proxy),
        "queue": {"url": config.queue.shown},
        "frontend": _model(config.frontend),
        "fetcher": _model(config.fetcher),
        "janitor": _model(config.janitor),
        **_optional("health", config.health),
        **_optional("notifications", config.notifications),
    }
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def _model(model: Any) -> dict[str, Any]:
    shapes = shapes_of(type(model))
    shown = {name: _value(shape, getattr(model, name)) for name, shape in shapes.items()}
    return {name: value for name, value in shown.items() if value not in (None, "", [], {})}


def _optional(name: str, model: Any) -> dict[str, Any]:
    """A section that is as good as absent while nothing in it is switched on."""
    return {} if model == type(model)() else {name: _model(model)}


def _value(shape: Shape, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(shape, Leaf):
        return shape.show(value)
    if isinstance(shape, ListOf):
        return [_value(shape.item, item) for item in value]
    if isinstance(shape, TableOf):
        return {name: _value(shape.item, item) for name, item in value.items()}
    return _model(value)


def _proxy(proxy: Proxy) -> dict[str, Any]:
    named = [item for item in proxy.upstreams.values() if item.name != DEFAULT_UPSTREAM]
    default = proxy.upstreams.get(DEFAULT_UPSTREAM)
    shown = _account(default) if default else {}
    if named:
        shown["upstreams"] = [{"name": item.name, **_account(item)} for item in named]
    return shown


def _account(upstream: Upstream) -> dict[str, Any]:
    return _model(
        upstreams.Account(
            remoteurl=upstream.remoteurl,
            namespaces=upstream.namespaces,
            username=upstream.username,
            password=upstream.password,
            usernamefile=upstream.usernamefile,
            passwordfile=upstream.passwordfile,
            exec=upstream.exec,
            ttl=_FOREVER if upstream.ttl is None else upstream.ttl,
            tagttl=upstream.tagttl,
            realmhosts=upstream.realmhosts,
            redirecthosts=upstream.redirecthosts,
            insecure=upstream.insecure,
            cafile=upstream.cafile,
            allow=upstream.allow,
            deny=upstream.deny,
            maxconnections=upstream.maxconnections,
            bandwidth=upstream.bandwidth,
        )
    )
