"""docs/configuration.md says what the code does."""

import re

import pytest

from common.config.schema import SCHEMA
from tests.common import configuration_table
from tests.common.configuration_table import DOCUMENT, fate_of
from tests.common.distribution_keys import BOTH, ONLY_2_8, ONLY_3


@pytest.mark.parametrize("key", [*BOTH, *ONLY_2_8, *ONLY_3])
def test_every_key_of_distribution_is_known(key: str) -> None:
    assert fate_of(key)


def test_a_key_nobody_knows_has_no_fate() -> None:
    for key in ("proxy.tll", "http.addr.port", "health.http.0.url"):
        with pytest.raises(KeyError):
            fate_of(key)


def test_the_table_is_what_the_schema_says() -> None:
    again = "python -m tests.common.configuration_table writes it anew"
    assert configuration_table.written() == configuration_table.table(), again


def test_every_setting_that_is_used_is_described() -> None:
    keys = DOCUMENT.read_text().partition("## Keys")[2].partition("\n## ")[0]
    # Of a row, the first cell names the keys; those of a named upstream are those of the default one.
    described = {
        name
        for row in re.findall(r"^\| (.*?) \|", keys, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    missing = {
        setting
        for setting in configuration_table.settings(SCHEMA)
        if setting not in described
        and not (
            setting.startswith("proxy.upstreams.N.")
            and setting.replace("proxy.upstreams.N.", "proxy.") in described
        )
    }
    assert missing <= {"version", "loglevel"}
