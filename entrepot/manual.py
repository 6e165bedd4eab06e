"""The manual page, made of the parser: `python -m entrepot.manual > docs/entrepot.1`.

man(7) is what `man` reads; no program but this one writes the page, so it cannot be out of date.
"""

import sys

from entrepot.description import Argument, Described, described
from entrepot.parser import EPILOG, STATUSES, build

_HEAD = r""".\" Made by `python -m entrepot.manual`; do not edit.
.TH ENTREPOT 1 "" "entrepot" "User Commands"
.SH NAME
entrepot \- a pull\-through cache for OCI and Docker images that a fleet shares
.SH SYNOPSIS
.B entrepot
.I COMMAND
[\fIargument\fR]...
.SH DESCRIPTION
entrepot stands between container clients and registries, fetches each image once, and serves it to
everybody from then on, also while the registry is away.
.PP
"""

_FOOT = r""".SH ENVIRONMENT
.TP
.B REGISTRY_CONFIGURATION_PATH
The configuration file where none is named.
.TP
.B REGISTRY_...
Settings, by the rules of distribution: REGISTRY_HTTP_ADDR is http.addr.
.TP
.B NO_COLOR
Have no colours on a terminal, whatever its value.
.SH FILES
.TP
.I ~/.local/share/entrepot
The cache, where no configuration says otherwise.
"""


def page() -> str:
    """The whole page."""
    parser = build()
    lines = [_HEAD + _text(EPILOG), ".SH COMMANDS"]
    for command in described(parser):
        lines += _command(command)
    return "\n".join([*lines, ".SH EXIT STATUS", _text(STATUSES), _FOOT])


def _command(command: Described) -> list[str]:
    lines = [f".SS {_escaped(command.usage)}", _text(_sentence(command.text))]
    for argument in command.arguments:
        if argument.flags != ("-h", "--help"):
            lines += [".TP", _named(argument), _text(_sentence(argument.purpose))]
    lines += [".PP", "Examples:", ".PP", ".nf", ".RS 4"]
    lines += [_text(example) for example in command.examples]
    return [*lines, ".RE", ".fi"]


def _named(argument: Argument) -> str:
    metavar = rf"\fI{_escaped(argument.metavar)}\fR" if argument.metavar else ""
    flags = ", ".join(rf"\fB{_escaped(flag)}\fR" for flag in argument.flags)
    return " ".join(filter(None, (flags, metavar)))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _text(text: str) -> str:
    """Text of no other meaning: a line may not begin with what is a request."""
    escaped = _escaped(text)
    return rf"\&{escaped}" if escaped[:1] in {".", "'"} else escaped


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("-", "\\-").replace("…", "...")


if __name__ == "__main__":
    sys.stdout.write(page())
