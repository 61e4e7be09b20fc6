"""Alert rules: read by promtool, each fires and does not, each has a page to turn to."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.k8s.conftest import ROOT
from tests.k8s.monitoring import FOLDER, RULES, anchors, needs

CASES = Path(__file__).parent / "rules_test.yml"


@pytest.fixture(autouse=True)
def promtool() -> None:
    needs("prometheus", "promtool")


def tool(*arguments: object) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_can_be_read() -> None:
    tool("check", "rules", FOLDER / "rules.yml")


def test_the_configuration_can_be_read(tmp_path: Path) -> None:
    text = (FOLDER / "prometheus.yml").read_text()
    shutil.copy(FOLDER / "rules.yml", tmp_path)
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/", ""))
    tool("check", "config", tmp_path / "prometheus.yml")


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "rules.yml", tmp_path)
    tool("test", "rules", shutil.copy(CASES, tmp_path))


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    fires, quiet = Counter[str](), Counter[str]()
    for group in yaml.safe_load(CASES.read_text())["tests"]:
        for case in group["alert_rule_test"]:
            (fires if case["exp_alerts"] else quiet)[case["alertname"]] += 1
    names = {rule["alert"] for rule in RULES}
    # one of two bots that both fail is the case in which JobFailed does not
    assert fires.keys() == names
    assert quiet.keys() | {"JobFailed"} == names


def test_every_alert_says_what_to_do_and_nothing_else_is_said() -> None:
    sections = anchors((ROOT / "docs/alerts.md").read_text())
    assert [rule["annotations"]["runbook"].partition("#")[2] for rule in RULES] == sections
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["labels"]["severity"] in ("warning", "critical")
