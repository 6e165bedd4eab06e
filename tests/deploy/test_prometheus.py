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
