"""Logs are JSON lines with service and level; nothing below the level is written."""

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from telemetry.logs import Level, LogSettings, configure, logger

LEVELS: list[Level] = ["debug", "info", "warning", "error"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def lines(capsys: Captured) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_a_line_is_an_object_with_service_level_time_and_what_was_given(
    capsys: Captured,
) -> None:
    configure(LogSettings(log_format="auto"), "gateway")  # without a terminal
    logger().info("чат\nновый", bot="avtobus", port=8080)
    written = capsys.readouterr().err
    assert '"чат\\nновый"' in written  # in letters, and on one line
    line = json.loads(written)
    assert line.pop("timestamp").endswith("Z")
    given = {"bot": "avtobus", "port": 8080}
    assert line == {"event": "чат\nновый", "service": "gateway", "level": "info", **given}


def test_of_an_error_nothing_but_its_class_is_logged(capsys: Captured) -> None:
    configure(LogSettings(), "gateway")
    logger().error("call failed", error=ValueError("https://api.telegram.org/bot1:secret"))
    assert lines(capsys)[0]["error"] == "ValueError"


def test_text_for_a_terminal_is_no_json(capsys: Captured) -> None:
    configure(LogSettings(log_format="text"), "gateway")
    logger().info("started", bot="avtobus")
    err = capsys.readouterr().err
    assert "started" in err
    assert "avtobus" in err
    assert not err.startswith("{")


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_below_the_level_is_written(capsys: Captured, level: Level) -> None:
    configure(LogSettings(log_level=level, log_format="json"), "gateway")
    for each in LEVELS:
        getattr(logger(), each)("event")
    assert [line["level"] for line in lines(capsys)] == LEVELS[LEVELS.index(level) :]


def test_of_an_exception_its_class_and_traceback_are_logged_without_its_text(
    capsys: Captured,
) -> None:
    configure(LogSettings(log_format="json"), "gateway")
    token = "token"  # noqa: S105
    try:
        raise KeyError(token)
    except KeyError as error:
        logging.getLogger("asyncio").exception(f"Task failed: <Task exception={error!r}>")
        logging.getLogger("some.library").error("%s: %d", error, 5)
    first, second = lines(capsys)
    assert (first["event"], first["level"]) == ("Task failed: <Task exception=KeyError>", "error")
    assert "raise KeyError(token)" in first["exception"]
    assert first["exception"].endswith("\nKeyError")
    assert second["event"] == "KeyError: 5"


@pytest.mark.parametrize(("level", "written"), [("debug", ["slow", "lost"]), ("error", ["lost"])])
def test_libraries_are_heard_from_warning_on_in_the_same_form(
    capsys: Captured, level: Level, written: list[str]
) -> None:
    configure(LogSettings(log_level=level, log_format="json"), "gateway")
    library = logging.getLogger("some.library")
    library.info("chatty")
    library.warning("slow")
    library.error("%s", "lost")
    found = lines(capsys)
    assert [line["event"] for line in found] == written
    assert {line["service"] for line in found} == {"gateway"}
    assert found[-1]["level"] == "error"


def test_configuring_again_replaces_the_first_for_all_threads(
    capsys: Captured,
) -> None:
    configure(LogSettings(log_format="json"), "gateway")
    configure(LogSettings(log_format="json"), "generation")
    logger().info("ours")
    logging.getLogger("some.library").warning("theirs")
    thread = threading.Thread(target=lambda: logger().info("a thread's"))
    thread.start()
    thread.join()
    found = [(line["event"], line["service"]) for line in lines(capsys)]
    assert found == [(name, "generation") for name in ("ours", "theirs", "a thread's")]
