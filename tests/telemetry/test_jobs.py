"""A job reports duration and outcome to a Pushgateway, and never fails for want of one."""

import math
from collections.abc import Callable, Iterator

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from telemetry.jobs import JobReport, PushSettings, job_report
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
        pytest.raises(TimeoutError),
        job_report("training", "avtobus", settings, times, goes_on=(TimeoutError,)),
    ):
        raise TimeoutError
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
