"""The frame of a job: its lock, its exit codes, what it does not make again, what it reports."""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from contracts.bot_file import BotFile
from contracts.clock import Clock
from contracts.refusal import Refusal
from contracts.sampling import Sampling
from contracts.settings import Volumes
from telemetry.job import (
    INTERRUPTED,
    Interrupted,
    JobContext,
    JobReport,
    PushSettings,
    job,
    job_report,
)
from tests.telemetry.pushgateway import Pushgateway, pushgateway

SUCCESS = "persona_training_last_success_timestamp_seconds"


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pushgateway]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pushgateway() as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """What the job logs, however an earlier test configured logging."""
    structlog.reset_defaults()
    with capture_logs() as entries:
        yield entries


def pushed_by(
    gateway: Pushgateway, raised: BaseException | None, **figures: float | None
) -> dict[str, float]:
    """Run a job from second 1000 to 1003, and return what it has pushed when it ends."""

    class TwoMoments(Clock):
        now = iter((1000.0, 1003.0)).__next__

    settings = PushSettings(pushgateway_url=gateway.url)
    with suppress(RuntimeError, KeyboardInterrupt, SystemExit, Interrupted):
        with job_report("training", "avtobus", settings, TwoMoments()) as report:
            report.gauges("Figures.", figures)
            if raised is not None:
                raise raised
        assert raised is None
    start, end = ((method, path, pushed) for method, path, pushed in gateway.pushed)
    assert start[:2] == end[:2] == ("POST", "/metrics/job/training/bot/avtobus")
    assert start[2] == {"persona_training_last_start_timestamp_seconds": 1000.0}
    found = {name.removeprefix("persona_training_"): value for name, value in end[2].items()}
    assert (found.pop("last_start_timestamp_seconds"), found.pop("duration_seconds")) == (1000, 3)
    return found


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (None, {"last_success_timestamp_seconds": 1003.0}),
        *((error(), {"last_failure_timestamp_seconds": 1003.0})
          for error in (RuntimeError, KeyboardInterrupt, SystemExit)),
        (Interrupted(), {}),
    ],
)  # fmt: skip
def test_a_job_pushes_its_start_then_its_figures_and_how_it_ended(
    gateway: Pushgateway, raised: BaseException | None, outcome: dict[str, float]
) -> None:
    assert pushed_by(gateway, raised, loss=2.5, steps=7) == {"loss": 2.5, "steps": 7.0, **outcome}


def test_what_could_not_be_measured_is_no_number(gateway: Pushgateway) -> None:
    assert math.isnan(pushed_by(gateway, None, loss=None)["loss"])


def test_a_gauge_keeps_the_last_value_and_without_an_address_nothing_is_pushed(
    logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUSHGATEWAY_URL", raising=False)
    with job_report("training", "avtobus", PushSettings()) as report:
        report.gauge("steps", "Steps taken.", 6)
        report.gauge("steps", "Steps taken.", 7)
    assert report.registry.get_sample_value("persona_training_steps") == 7.0
    assert logged == []


def test_a_gateway_that_fails_is_logged_and_fails_no_job(
    gateway: Pushgateway, logged: list[EventDict], closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.status = 500
    bad = (gateway.url, f"http://127.0.0.1:{closed_port}", "http://user:secret@a", "http://[::1")
    for url in bad:
        monkeypatch.setenv("PUSHGATEWAY_URL", url)
        with job_report("training", "avtobus", PushSettings()) as report:
            pass
        assert report.registry.get_sample_value(SUCCESS)
    assert len(gateway.pushed) == 2
    assert {(each["log_level"], each["event"], each["job"]) for each in logged} == {
        ("warning", "pushgateway did not answer", "training")
    }
    # logs show nothing but the class of an error that they are given
    assert all(isinstance(each["error"], Exception) for each in logged)


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bot's file, on volumes of its own."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "polkson.yaml").write_text("name: polkson\n", encoding="utf-8")
    (tmp_path / "avtobus.yaml").write_text("name: avtobus\n", encoding="utf-8")
    return tmp_path / "avtobus.yaml"


def is_refused(bot: Path) -> bool:
    """Whether a job is refused because another one works there."""
    try:
        with job("conversion", bot):
            return False
    except SystemExit as ended:
        return ended.code == 2


def test_of_the_jobs_of_a_bot_one_works_at_a_time(
    bot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with job("training", bot):
        assert is_refused(bot)
        said = f"error: {tmp_path}/data/avtobus: another job works there; wait for its end\n"
        assert capsys.readouterr().err.endswith(said)
        assert not is_refused(bot.with_name("polkson.yaml"))
    assert not is_refused(bot)


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (Refusal("no such model"), 2, "error: no such model"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (OSError(5, "Input/output error", "/data/a"), 1, "Input/output error: '/data/a'"),
        (TimeoutError(), 1, "error: training: TimeoutError"),
        (Interrupted(), INTERRUPTED, "the same command goes on"),
    ],
)
def test_how_a_job_ends_is_one_line_and_an_exit_code(
    bot: Path, capsys: pytest.CaptureFixture[str], raised: Exception, code: int, line: str
) -> None:
    with pytest.raises(SystemExit) as ended, job("training", bot):
        raise raised
    assert ended.value.code == code
    assert line in capsys.readouterr().err.splitlines()[-1]


def broken() -> None:
    raise Refusal("a file is missing")


def is_made(
    folder: Path, read: Callable[[], object] = lambda: "kept", skip: bool = True, **settings: float
) -> bool:
    """Whether the output is made, and not read."""
    context = JobContext(BotFile(folder, "b", {}), Volumes(), JobReport("training", "b"), skip)
    inputs = (folder / "in", Sampling.model_validate(settings), "text", None)
    return context.make_if_changed(folder / "stamp", inputs, read, lambda: "made") == "made"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder whose output was made from what lies in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("1")
    assert is_made(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: None, False),
        (lambda folder: (folder / "in" / ".lock").write_text(""), False),
        (lambda folder: (folder / "in" / "a").write_text("2"), True),
        (lambda folder: (folder / "in" / "b").write_text(""), True),
        (lambda folder: (folder / "in" / "a").rename(folder / "in" / "c"), True),
        (lambda folder: (folder / "stamp").unlink(), True),
    ],
)
def test_only_what_has_changed_is_made_again(
    made: Path, change: Callable[[Path], object], expected: bool
) -> None:
    change(made)
    assert is_made(made) is expected


def test_other_settings_a_broken_output_or_no_option_make_it_again(made: Path) -> None:
    assert is_made(made, temperature=0.1)
    assert is_made(made)
    assert is_made(made, read=lambda: None)
    assert is_made(made, read=broken)
    assert is_made(made, skip=False)
    assert not is_made(made)
    with pytest.raises(Refusal):  # one that fails leaves no stamp
        JobContext(BotFile(made, "b", {}), Volumes(), JobReport("training", "b")).make_if_changed(
            made / "stamp", (), lambda: None, broken
        )
    assert is_made(made)
