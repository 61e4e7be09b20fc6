"""Each alert fires when it should and only then, and has a section in the runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.debian_package import need
from tests.k8s.conftest import ROOT
from tests.k8s.dashboards import ALERTS, MONITORING, RULES

CASES = Path(__file__).with_name("rules_test.yml")
RUNBOOK = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
NAMES = [rule["alert"] for rule in ALERTS]


@pytest.mark.parametrize(
    ("check", "file"),
    [
        ("check config", MONITORING / "prometheus.yml"),
        ("check rules", RULES),
        ("test rules", CASES),
    ],
)
def test_promtool_agrees(check: str, file: Path) -> None:
    need("prometheus", "promtool")
    command = ["promtool", *check.split(), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_not(name: str) -> None:
    tests = yaml.safe_load(CASES.read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fires = {bool(case.get("exp_alerts")) for case in cases if case["alertname"] == name}
    assert fires == {True, False}


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    assert sorted(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_section_says_what_to_look_at_and_what_to_do(name: str) -> None:
    section = re.split(r"^## ", RUNBOOK.partition(f"## {name}\n")[2], flags=re.MULTILINE)[0]
    meaning, commands, advice = re.split(r"^```(?:sh)?$", section, flags=re.MULTILINE)[:3]
    assert all(part.strip() for part in (meaning, commands, advice))
    assert re.search(r"^(- |1\. )", advice, re.MULTILINE)
