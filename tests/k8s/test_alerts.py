"""Each alert fires when it should and only then, and has a section in the runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.conftest import ROOT
from tests.k8s.dashboards import MONITORING

CASES = Path(__file__).with_name("rules_test.yml")
RUNBOOK = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]


@pytest.mark.usefixtures("promtool")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", MONITORING / "prometheus.yml"),
        ("check", "rules", MONITORING / "rules.yml"),
        ("test", "rules", CASES),
    ],
    ids=["config", "rules", "cases"],
)
def test_promtool_agrees(arguments: tuple[str | Path, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_not(name: str) -> None:
    tests = yaml.safe_load(CASES.read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    assert {bool(case.get("exp_alerts")) for case in cases if case["alertname"] == name} == {
        True,
        False,
    }


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
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
