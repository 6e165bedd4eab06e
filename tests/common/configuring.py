"""Loading a configuration from a text, in tests."""

from collections.abc import Mapping
from textwrap import dedent

import pytest

from common.config import Config, Document, Loaded, load
from common.errors import ConfigError, ConfigProblem

NAME = "config.yml"
HOME = "/home/user"

MINIMAL = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: /srv/cache
proxy:
  remoteurl: https://registry-1.docker.io
"""


def loaded(text: str = MINIMAL, environ: Mapping[str, str] | None = None) -> Loaded:
    """What a file with this text, and these variables, amount to."""
    return load(None, {"HOME": HOME, **(environ or {})}, Document(NAME, dedent(text)))


def config(text: str = MINIMAL, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration alone."""
    return loaded(text, environ).config


def problems(
    text: str = MINIMAL, environ: Mapping[str, str] | None = None
) -> tuple[ConfigProblem, ...]:
    """What is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        loaded(text, environ)
    return caught.value.problems


def problem(text: str = MINIMAL, environ: Mapping[str, str] | None = None) -> str:
    """The only thing that is wrong with it, as shown."""
    found = problems(text, environ)
    assert len(found) == 1, [str(item) for item in found]
    return str(found[0])
