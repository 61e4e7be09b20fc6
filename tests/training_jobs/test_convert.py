"""What the conversion job reports."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import Toy
from tests.telemetry.pushgateway import pushgateway
from training_jobs.convert import app
from training_jobs.quality_gate import ALLOWED_DRIFT


def test_the_command_reports_what_the_smaller_weights_cost(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    run = shutil.copytree(toy.run, tmp_path / "runs" / "mine")
    options = ["--bot", str(toy.bot_file), "--run", str(run), "--dataset", str(toy.dataset)]
    with pushgateway() as gateway:
        result = CliRunner().invoke(app, options, env={"PUSHGATEWAY_URL": gateway.url})
    assert result.exit_code == 0, result.output
    for noise in ("%", "wrapper"):  # the libraries' own progress bars and errors
        assert noise not in result.output
    assert [path.name for path in run.parent.iterdir()] == ["mine"]
    _, (_, path, pushed) = gateway.pushed
    assert path.startswith("/metrics/job/conversion/bot/")
    assert abs(pushed["persona_conversion_perplexity_drift_ratio"]) <= ALLOWED_DRIFT
    assert (
        pushed["persona_conversion_model_bytes"]
        > (run / "openvino/openvino_model.bin").stat().st_size
    )
    assert "persona_conversion_last_success_timestamp_seconds" in pushed
