"""docs/configuration.md says what the code does."""

import pytest

from common.config import leaves
from common.config.model import DEFAULT_TTL, Frontend
from tests.common import configuration_keys, configuration_table
from tests.common.configuration_table import fate_of
from tests.common.distribution_keys import BOTH, ONLY_2_8, ONLY_3


@pytest.mark.parametrize("key", [*BOTH, *ONLY_2_8, *ONLY_3])
def test_every_key_of_distribution_is_known(key: str) -> None:
    assert fate_of(key)


def test_a_key_nobody_knows_has_no_fate() -> None:
    for key in ("proxy.tll", "http.addr.port", "health.http.0.url"):
        with pytest.raises(KeyError):
            fate_of(key)


def test_the_table_of_distributions_keys_is_what_the_schema_says() -> None:
    assert configuration_table.written() == configuration_table.table(), "make docs"


def test_the_tables_of_settings_are_what_the_code_says() -> None:
    assert configuration_keys.written() == configuration_keys.tables(), "make docs"


def test_every_setting_has_a_meaning_and_no_meaning_is_left_over() -> None:
    said = configuration_keys.meanings()
    assert [setting.path for setting in configuration_keys.settings()] == list(said)
    assert all(meaning.text for meaning in said.values())


def test_a_default_is_told_in_words_only_where_the_code_tells_none() -> None:
    said = configuration_keys.meanings()
    both = [
        setting.path
        for setting in configuration_keys.settings()
        if setting.default and said[setting.path].default
    ]
    assert both == []


def test_defaults_and_kinds_are_the_codes_own() -> None:
    found = {setting.path: setting for setting in configuration_keys.settings()}
    assert found["proxy.ttl"].default == f"`{leaves.show_seconds(DEFAULT_TTL)}`"
    assert found["frontend.connections"].default == f"`{Frontend().connections}`"
    assert found["http.net"].kind == "`tcp` `unix`"
    assert found["http.trustedproxies"].kind == "list of networks"
    # What this machine decides is no default of others.
    assert found["frontend.workers"].default == ""
    assert "proxy.upstreams.N.name" in found
    assert "proxy.upstreams.N.ttl" not in found
