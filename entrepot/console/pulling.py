"""The commands that pull an image from this cache, ready to be copied."""

import re
from urllib.parse import urlsplit

from common.config import Config
from entrepot.console.html import Html, el, together

_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]")
_EVERYWHERE = {"", "0.0.0.0", "::"}


def commands(config: Config, visited: str, image: str) -> dict[str, str]:
    """By client, for `image` (`repository:tag` or `repository@digest`); none where none can pull so.

    `visited` is the Host that the console was asked by: on the same machine, clients' way too.
    """
    if config.http.net == "unix" or (config.http.prefix and not config.http.host):
        return {}
    address, is_encrypted = _address(config, visited)
    name = f"{address}/{image}"
    return {
        "docker": f"docker pull {name}",
        "podman": f"podman pull {'' if is_encrypted else '--tls-verify=false '}{name}",
        "containerd": f"ctr images pull {'' if is_encrypted else '--plain-http '}{name}",
    }


def _address(config: Config, visited: str) -> tuple[str, bool]:
    if config.http.host:
        parts = urlsplit(config.http.host)
        return parts.netloc, parts.scheme == "https"
    host, port = config.http.listen
    if host in _EVERYWHERE:
        host = _host_of(visited)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{host}:{port}", bool(config.http.tls.certificate)


def _host_of(visited: str) -> str:
    name = re.sub(r":\d+$", "", visited)
    return name if _HOST.fullmatch(name) else "localhost"


def shown(found: dict[str, str]) -> Html:
    """The commands, each with a button that copies it."""
    if not found:
        return el("p", "Clients cannot name images at the address configured.", class_="quiet")
    return together(_command(client, command) for client, command in found.items())


def _command(client: str, command: str) -> Html:
    return el(
        "div",
        el("span", client, class_="client"),
        el("code", command, id=f"pull-{client}", tabindex=0),
        # Shown by the script, without which it could do nothing.
        el(
            "button",
            "Copy",
            type="button",
            hidden=True,
            data_copy=f"pull-{client}",
            aria_label=f"Copy the command for {client}",
        ),
        class_="command",
    )
