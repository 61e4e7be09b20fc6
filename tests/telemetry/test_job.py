"""The frame of a job: its lock, its exit codes, what it does not make again, what it reports."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from contracts.bot_file import BotFile
from contracts.files import LOCK
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


def ticking(*times: float) -> Callable[[], float]:
    return iter(times).__next__


def test_success_is_pushed_with_its_time_duration_and_figures(gateway: Pushgateway) -> None:
    settings = PushSettings(pushgateway_url=gateway.url)
    with job_report("training", "avtobus", settings, ticking(1000.0, 1042.5)) as report:
        report.gauge("steps", "Steps taken.", 7)
        report.gauges("Figures.", {"loss": 2.5, "perplexity": 12.25})
    _, (method, path, pushed) = gateway.pushed
    assert (method, path) == ("POST", "/metrics/job/training/bot/avtobus")
    assert pushed == {
        "persona_training_last_start_timestamp_seconds": 1000.0,
        "persona_training_duration_seconds": 42.5,
        "persona_training_last_success_timestamp_seconds": 1042.5,
        "persona_training_steps": 7.0,
        "persona_training_loss": 2.5,
        "persona_training_perplexity": 12.25,
    }


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_is_pushed_with_its_time_and_goes_on(
    gateway: Pushgateway, raised: type[BaseException]
) -> None:
    settings = PushSettings(pushgateway_url=gateway.url)

    def run() -> None:
        with job_report("extraction", "polkson", settings, ticking(1000.0, 1003.0)) as report:
            report.gauge("messages_read", "Messages read.", 3)
            raise raised

    with pytest.raises(raised):
        run()
    _, (_, path, pushed) = gateway.pushed
    assert path == "/metrics/job/extraction/bot/polkson"
    assert pushed == {
        "persona_extraction_last_start_timestamp_seconds": 1000.0,
        "persona_extraction_duration_seconds": 3.0,
        "persona_extraction_last_failure_timestamp_seconds": 1003.0,
        "persona_extraction_messages_read": 3.0,
    }


def test_the_start_is_pushed_at_once_so_that_who_is_killed_is_missed(gateway: Pushgateway) -> None:
    settings = PushSettings(pushgateway_url=gateway.url)
    with job_report("training", "avtobus", settings, ticking(1000.0, 1003.0)):
        [(_, path, pushed)] = gateway.pushed
    assert path == "/metrics/job/training/bot/avtobus"
    assert pushed == {"persona_training_last_start_timestamp_seconds": 1000.0}


def test_what_goes_on_later_has_neither_failed_nor_succeeded(gateway: Pushgateway) -> None:
    settings = PushSettings(pushgateway_url=gateway.url)
    times = ticking(1000.0, 1003.0)
    with (
        pytest.raises(Interrupted),
        job_report("training", "avtobus", settings, times),
    ):
        raise Interrupted
    assert gateway.pushed[-1][2] == {
        "persona_training_last_start_timestamp_seconds": 1000.0,
        "persona_training_duration_seconds": 3.0,
    }


def test_what_could_not_be_had_is_no_number(gateway: Pushgateway) -> None:
    with job_report("x", "b", PushSettings(pushgateway_url=gateway.url)) as report:
        report.gauges("Figures.", {"loss": None})
    assert math.isnan(gateway.pushed[-1][2]["persona_x_loss"])


def test_without_an_address_nothing_is_sent(
    gateway: Pushgateway, logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUSHGATEWAY_URL", raising=False)
    with job_report("training", "avtobus", PushSettings()) as report:
        report.gauge("steps", "Steps taken.", 7)
    assert report.registry.get_sample_value("persona_training_steps") == 7.0
    assert gateway.pushed == []
    assert logged == []


def test_the_address_comes_from_the_environment(
    gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHGATEWAY_URL", gateway.url)
    with job_report("training", "avtobus", PushSettings()):
        pass
    assert len(gateway.pushed) == 2


def told(entry: EventDict) -> tuple[str, str, str]:
    return entry["log_level"], entry["event"], entry["job"]


NO_ANSWER = ("warning", "pushgateway did not answer", "training")


def test_a_gateway_that_is_not_there_is_told_and_does_not_fail_a_job(
    logged: list[EventDict], closed_port: int
) -> None:
    settings = PushSettings(pushgateway_url=f"http://127.0.0.1:{closed_port}")
    with job_report("training", "avtobus", settings) as report:
        pass
    name = "persona_training_last_success_timestamp_seconds"
    assert report.registry.get_sample_value(name)
    assert list(map(told, logged)) == [NO_ANSWER] * 2


def test_a_gateway_that_refuses_is_told_and_does_not_fail_a_job(
    gateway: Pushgateway, logged: list[EventDict]
) -> None:
    gateway.status = 500
    with job_report("training", "avtobus", PushSettings(pushgateway_url=gateway.url)):
        pass
    assert len(gateway.pushed) == 2
    assert list(map(told, logged)) == [NO_ANSWER] * 2


def test_a_gateway_that_is_not_there_does_not_hide_a_jobs_own_error(closed_port: int) -> None:
    settings = PushSettings(pushgateway_url=f"http://127.0.0.1:{closed_port}")
    with pytest.raises(ZeroDivisionError), job_report("training", "avtobus", settings):
        raise ZeroDivisionError


def test_a_gauge_keeps_the_last_value_given() -> None:
    report = JobReport("training", "b")
    report.gauge("a", "h", 1)
    report.gauge("a", "h", 2)
    assert report.registry.get_sample_value("persona_training_a") == 2


@pytest.mark.parametrize("url", ["http://host:abc", "http://[::1"])
def test_a_bad_address_does_not_fail_a_job(url: str) -> None:
    with job_report("x", "b", PushSettings(pushgateway_url=url)) as report:
        report.gauge("a", "h", 1)
    assert report.registry.get_sample_value("persona_x_last_success_timestamp_seconds")


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bot's file, on volumes of its own."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    file = tmp_path / "avtobus.yaml"
    file.write_text("name: avtobus\n", encoding="utf-8")
    return file


def other(bot: Path) -> Path:
    """Another bot on the same volumes."""
    file = bot.with_name("polkson.yaml")
    file.write_text("name: polkson\n", encoding="utf-8")
    return file


def refused(name: str, bot: Path, output: Path | None = None) -> bool:
    """Whether a job is refused because another one works there."""
    try:
        with job(name, bot, output):
            return False
    except SystemExit as ended:
        return ended.code == 2


def test_a_job_holds_its_bots_folder_wherever_its_output_lies(
    bot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with job("training", bot, tmp_path / "runs" / "a"):
        assert refused("conversion", bot)
        assert refused("conversion", bot, tmp_path / "runs" / "b")
        said = f"error: {tmp_path}/data/avtobus: another job works there; wait for its end\n"
        assert capsys.readouterr().err.endswith(said)
    assert not refused("conversion", bot)


def test_two_bots_with_outputs_side_by_side_do_not_refuse_each_other(
    bot: Path, tmp_path: Path
) -> None:
    with job("training", bot, tmp_path / "runs" / "a"):
        assert not refused("training", other(bot), tmp_path / "runs" / "b")
        assert refused("training", other(bot), tmp_path / "runs" / "a")
    assert not refused("training", other(bot), tmp_path / "runs" / "a")


def test_no_lock_stays_outside_the_data_volume(bot: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "kept").mkdir(parents=True)
    (tmp_path / "runs" / "kept" / "model").write_text("")
    for name in ("kept", "empty"):
        with job("training", bot, tmp_path / "runs" / name):
            assert (tmp_path / "runs" / name / LOCK).exists()
    assert [path.name for path in (tmp_path / "runs").rglob("*")] == ["kept", "model"]
    with job("training", bot, tmp_path / "data" / "avtobus" / "run"):
        pass
    assert [path.name for path in (tmp_path / "data").rglob("*")] == ["avtobus", LOCK]


def test_of_the_processes_of_one_training_only_the_first_locks(
    bot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    with job("training", bot):
        assert refused("training", bot)
        monkeypatch.setenv("RANK", "1")
        assert not refused("training", bot)


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (Refusal("no such model"), 2, "error: no such model"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
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


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder whose output was made from what lies in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("1")
    assert again(tmp_path)
    return tmp_path


def again(
    folder: Path, read: Callable[[], object] = lambda: "kept", skip: bool = True, **settings: float
) -> bool:
    """Whether the output is made again."""
    bot = BotFile(folder / "bot.yaml", "b", {})
    context = JobContext(bot, Volumes(), JobReport("training", "b"), skip_unchanged=skip)
    inputs = (folder / "in", Sampling.model_validate(settings), "text", None)
    made_from = folder / "out.made-from"
    return context.make_if_changed(made_from, inputs, read, lambda: "made") == "made"


@pytest.mark.parametrize(
    ("change", "is_made"),
    [
        (lambda folder: None, False),
        (lambda folder: (folder / "in" / ".lock").write_text(""), False),
        (lambda folder: (folder / "in" / "a").write_text("2"), True),
        (lambda folder: (folder / "in" / "b").write_text(""), True),
        (lambda folder: (folder / "in" / "a").rename(folder / "in" / "c"), True),
        (lambda folder: (folder / "out.made-from").unlink(), True),
    ],
)
def test_only_what_has_changed_is_made_again(
    made: Path, change: Callable[[Path], object], is_made: bool
) -> None:
    change(made)
    assert again(made) is is_made


def broken() -> None:
    raise Refusal("a file is missing")


def test_other_settings_a_broken_output_or_no_option_make_it_again(made: Path) -> None:
    assert again(made, temperature=0.1)
    assert again(made)
    assert again(made, read=lambda: None)
    assert again(made, read=broken)
    assert again(made, skip=False)
    assert not again(made)


def test_one_that_fails_leaves_no_stamp(made: Path) -> None:
    context = JobContext(BotFile(made, "b", {}), Volumes(), JobReport("training", "b"))
    with pytest.raises(Refusal):
        context.make_if_changed(made / "out.made-from", (), lambda: None, broken)
    assert again(made)
