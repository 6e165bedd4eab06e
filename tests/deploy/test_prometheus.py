"""Scrape configuration, rules and alerts, by promtool; every alert has its runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alarming import FIRING, HEALTHY, Series

FOLDER = Path("deploy/prometheus").absolute()
RULES = sorted(FOLDER.glob("rules/*.yml"))
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "rules/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong() -> None:
    promtool("check", "config", str(FOLDER / "prometheus.yml"))
    promtool("check", "rules", *map(str, RULES))


RATES: list[Series] = [
    ('entrepot_hits_total{upstream="default",type="blob",instance="a"}', "0+60x20"),
    ('entrepot_hits_total{upstream="default",type="blob",instance="b"}', "0+60x20"),
    ('entrepot_hits_total{upstream="default",type="manifest",instance="a"}', "0+240x20"),
    ('entrepot_misses_total{upstream="default",type="blob",instance="a"}', "0+90x20"),
    ('entrepot_joins_total{upstream="default",type="blob",instance="a"}', "0+30x20"),
    ('entrepot_sent_bytes_total{type="blob",instance="a"}', "0+6000x20"),
    ('entrepot_sent_bytes_total{type="manifest",instance="b"}', "0+600x20"),
    ('entrepot_received_bytes_total{upstream="default",instance="c"}', "0+1200x20"),
    ('entrepot_received_bytes_total{upstream="quay.io",instance="c"}', "0+60x20"),
    ('entrepot_fill_failures_total{upstream="default",cause="timeout"}', "0+6x20"),
    ('entrepot_fill_failures_total{upstream="default",cause="absent"}', "0+600x20"),
    # Of 20 a minute, 18 take up to a second and 2 up to ten.
    *(
        (f'entrepot_{name}_bucket{{upstream="default",le="{bound}"}}', f"0+{count}x20")
        for name in ("fill_seconds", "upstream_request_seconds")
        for bound, count in (("1", 18), ("10", 20), ("+Inf", 20))
    ),
]

DEFAULT = '{upstream="default"}'
RECORDED: dict[str, dict[str, float]] = {
    "entrepot:hits:rate5m": {
        '{upstream="default", type="blob"}': 2,
        '{upstream="default", type="manifest"}': 4,
    },
    "entrepot:misses:rate5m": {'{upstream="default", type="blob"}': 1.5},
    "entrepot:joins:rate5m": {'{upstream="default", type="blob"}': 0.5},
    "entrepot:hit_ratio:rate5m": {DEFAULT: 0.8},
    "entrepot:sent_bytes:rate5m": {"{}": 110},
    "entrepot:received_bytes:rate5m": {DEFAULT: 20, '{upstream="quay.io"}': 1},
    "entrepot:fill_seconds:p95": {DEFAULT: 5.5},
    "entrepot:upstream_request_seconds:p95": {DEFAULT: 5.5},
    "entrepot:fill_failures:rate5m": {'{upstream="default", cause="timeout"}': 0.1},
}


def test_rules_record_what_their_names_say(tmp_path: Path) -> None:
    # Rounded, as promtool compares to the last bit.
    asked = [
        {
            "expr": f"round({name}, 0.0001)",
            "eval_time": "15m",
            "exp_samples": [
                {"labels": labels, "value": value} for labels, value in samples.items()
            ],
        }
        for name, samples in RECORDED.items()
    ]
    series = [{"series": name, "values": values} for name, values in RATES]
    whole = {
        "rule_files": [str(FOLDER / "rules/recording.yml")],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}],
    }
    (tmp_path / "test.yml").write_text(json.dumps(whole))
    promtool("test", "rules", str(tmp_path / "test.yml"))


def test_every_rule_is_tested_and_asked_for_and_nothing_else_is() -> None:
    rules = yaml.safe_load((FOLDER / "rules/recording.yml").read_text())["groups"][0]["rules"]
    alerts = [FOLDER / "rules/alerts.yml"]
    texts = [path.read_text() for path in [*alerts, *Path("deploy/grafana/dashboards").iterdir()]]
    asked = set(re.findall(r"\bentrepot:\w+:\w+", " ".join(texts)))
    names = {rule["record"] for rule in rules}
    assert asked == names == set(RECORDED)


def unit_test(
    folder: Path, series: list[Series], at: str, expected: dict[str, list[dict[str, str]]]
) -> None:
    """promtool's unit test: after `series`, alerts fire at `at` with the `expected` labels."""
    rules = yaml.safe_load((FOLDER / "rules/alerts.yml").read_text())
    # promtool compares annotations in their final words: none are left in a copy of the rules.
    for name in ALERTS:
        rule = next(each for each in rules["groups"][0]["rules"] if each["alert"] == name)
        rule.pop("annotations")
    (folder / "alerts.yml").write_text(json.dumps(rules))
    alerts = [
        {
            "eval_time": at,
            "alertname": name,
            "exp_alerts": [{"exp_labels": each} for each in labels],
        }
        for name, labels in expected.items()
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "alert_rule_test": alerts,
    }
    whole = {
        "rule_files": [str(FOLDER / "rules/recording.yml"), str(folder / "alerts.yml")],
        "evaluation_interval": "1m",
        "tests": [test],
    }
    (folder / "test.yml").write_text(json.dumps(whole))
    promtool("test", "rules", str(folder / "test.yml"))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_when_it_should(tmp_path: Path, name: str) -> None:
    series, at, labels = FIRING[name]
    unit_test(tmp_path, series, at, {name: [{**labels, **ALERTS[name]["labels"]}]})


def test_no_alert_fires_for_a_healthy_cache(tmp_path: Path) -> None:
    unit_test(tmp_path, HEALTHY, "50m", {name: [] for name in ALERTS})


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    text = Path("docs/operations.md").read_text().partition("\n## Runbook\n")[2]
    text = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
        assert rule["annotations"]["summary"]


def test_rules_and_dashboards_ask_for_metrics_that_are_documented() -> None:
    known = set(re.findall(r"^\| `(\w+)`", Path("docs/metrics.md").read_text(), re.MULTILINE))
    texts = [
        path.read_text() for path in [*RULES, *Path("deploy/grafana/dashboards").glob("*.json")]
    ]
    asked = set(re.findall(r"\bentrepot_\w+", " ".join(texts)))
    assert asked
    bases = {re.sub(r"_bucket$", "", name) for name in asked}
    assert bases <= known
