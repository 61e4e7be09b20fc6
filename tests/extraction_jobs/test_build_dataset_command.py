"""The job's command line: what it writes, and what it answers to bad input."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from click.testing import Result
from typer.testing import CliRunner

from contracts.dataset import CARD, HELDOUT, TRAIN, WHOLE_CHAT, read_card
from contracts.forget import Forgotten, append
from extraction_jobs.build_dataset import main
from tests.extraction_jobs.conftest import IDS

Entry = dict[str, Any]
Save = Callable[[object], Path]
Command = Callable[..., Result]

UNSET = ("LOG_LEVEL", "PUSHGATEWAY_URL", "FORCE_COLOR", "TTY_COMPATIBLE")


@pytest.fixture
def bot_file(tmp_path: Path) -> Path:
    path = tmp_path / "bot.yaml"
    path.write_text("name: polkson\nextraction: {persona: Anna}\n", encoding="utf-8")
    return path


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, bot_file: Path, save: Save, output: Path
) -> Iterator[Command]:
    """Run the job's command line in this process; the logging it sets up is undone."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("DATA_DIR", str(bot_file.parent / "data"))
    app = typer.Typer(add_completion=False)
    app.command()(main)
    root = logging.getLogger()
    before = list(root.handlers), root.level

    def run(content: object = None, **options: object) -> Result:
        export = None if content is None else save(content)
        given = {"bot": bot_file, "input": export, "output": output} | options
        words = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return CliRunner().invoke(app, words)

    yield run
    root.handlers[:], root.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_the_command_writes_a_data_set_and_logs_no_text(
    command: Command, mixed: Entry, output: Path
) -> None:
    result = command(mixed)
    assert (result.exit_code, result.stdout) == (0, "")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"].split(":")[0] for line in lines] == [
        "data set built",
        "only 2 persona messages",
        "too few records to hold any out",
    ]
    assert "hello" not in result.stderr
    assert read_card(output).bot == "polkson"


def test_the_persona_option_outranks_the_bot_file(
    command: Command, mixed: Entry, output: Path
) -> None:
    assert command(mixed, persona=WHOLE_CHAT).exit_code == 0
    assert read_card(output).persona == WHOLE_CHAT


def test_without_output_the_data_set_lies_in_the_bots_folder(
    monkeypatch: pytest.MonkeyPatch, command: Command, mixed: Entry, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert command(mixed, output=None).exit_code == 0
    assert read_card(tmp_path / "data" / "polkson" / "dataset").bot == "polkson"


@pytest.mark.parametrize("given", [False, True], ids=["the bot's list", "--forget"])
def test_the_forgotten_are_left_out(
    monkeypatch: pytest.MonkeyPatch, command: Command, mixed: Entry, output: Path,
    tmp_path: Path, given: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    usual = tmp_path / "data" / "polkson" / "forget" / "forget.jsonl"
    path = tmp_path / "mine.jsonl" if given else usual
    append(path, Forgotten(user_id=IDS["Boris"], at=1.0))
    assert command(mixed, forget=path if given else None).exit_code == 0
    card = read_card(output)
    assert card.dropped["forgotten"] == 3
    assert set(card.inputs) == {"result.json", "forget.jsonl"}


def test_a_list_that_is_given_must_be_there(
    command: Command, mixed: Entry, output: Path, tmp_path: Path
) -> None:
    assert_refused(command(mixed, forget=tmp_path / "none.jsonl"), "none.jsonl: no such file")
    assert not output.exists()


def test_a_broken_list_is_refused(command: Command, mixed: Entry, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("Boris\n", encoding="utf-8")
    assert_refused(command(mixed, forget=path), "mine.jsonl, line 1: ")


@pytest.mark.parametrize("present", [(), (TRAIN, HELDOUT, CARD, "report.html")])
def test_an_empty_folder_or_an_older_data_set_is_a_fine_output(
    command: Command, mixed: Entry, output: Path, present: tuple[str, ...]
) -> None:
    output.mkdir()
    for name in present:
        (output / name).write_text("old", encoding="utf-8")
    assert command(mixed).exit_code == 0
    assert read_card(output).train_records == 2


def assert_refused(result: Result, says: str) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b'{"name": "C", "messages": [{"id": 1,', "cut off", id="truncated JSON"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b" \n\t", "is empty", id="blank"),
        pytest.param(b"date,from,text\n1,Anna,hi\n", "not a Telegram export", id="CSV"),
        pytest.param(b"<!DOCTYPE html><html></html>", "is a web page", id="HTML"),
        pytest.param(b"\n  <html></html>", "is a web page", id="HTML after blanks"),
        pytest.param(b'[{"id": 1}]', "not a Telegram export", id="JSON array"),
        pytest.param(b'{"about": "me", "contacts": {}}', "no chat found", id="no chat"),
        pytest.param(b"{}", "no chat found", id="empty object"),
        pytest.param(b'{"chats": {"list": []}}', "no chat found", id="no chats"),
        pytest.param(b'{"messages": []}', "nobody did", id="no messages"),
        pytest.param(bytes(range(255, 0, -1)), "not a Telegram export", id="binary"),
        pytest.param(b"{" + bytes(range(256)), "broken", id="binary after a brace"),
    ],
)
def test_a_file_that_is_no_export_is_refused(
    command: Command, output: Path, content: bytes, says: str
) -> None:
    assert_refused(command(content), says)
    assert not output.exists()


def test_an_input_that_is_not_there_is_refused(command: Command, tmp_path: Path) -> None:
    assert_refused(command(input=tmp_path / "none.json"), "none.json: no such file")


def test_a_folder_as_input_is_refused(command: Command, tmp_path: Path) -> None:
    assert_refused(command(input=tmp_path), "is a folder")


def test_a_path_through_a_file_is_refused(command: Command, bot_file: Path) -> None:
    assert_refused(command(input=bot_file / "result.json"), "cannot be read")


def test_a_missing_bot_file_is_refused(command: Command, mixed: Entry, tmp_path: Path) -> None:
    assert_refused(command(mixed, bot=tmp_path / "none.yaml"), "none.yaml: no such bot file")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("{pause: 5}", "extraction.pause: unknown key"),
        ("{pause_minutes: 0}", "extraction.pause_minutes: "),
        ("{heldout_share: 0.9}", "extraction.heldout_share: "),
        ("{context_turns: many}", "extraction.context_turns: "),
        ('{persona: ""}', "extraction.persona: "),
    ],
)
def test_a_bad_extraction_section_is_refused_by_key(
    command: Command, mixed: Entry, bot_file: Path, section: str, says: str
) -> None:
    bot_file.write_text(f"name: polkson\nextraction: {section}\n", encoding="utf-8")
    assert_refused(command(mixed), says)


def test_a_persona_that_wrote_nothing_is_refused(command: Command, mixed: Entry) -> None:
    assert_refused(command(mixed, persona="Dora"), "persona 'Dora' wrote nothing usable")


def test_an_output_that_is_a_file_is_refused(command: Command, mixed: Entry, output: Path) -> None:
    output.write_text("mine", encoding="utf-8")
    assert_refused(command(mixed), "is a file")
    assert_refused(command(mixed, output=output / "deeper"), "is a file")
    assert output.read_text(encoding="utf-8") == "mine"


def test_an_output_with_foreign_files_is_refused(
    command: Command, mixed: Entry, output: Path
) -> None:
    output.mkdir()
    (output / "thesis.txt").write_text("mine", encoding="utf-8")
    assert_refused(command(mixed), "holds 'thesis.txt'")
    assert [path.name for path in output.iterdir()] == ["thesis.txt"]


def test_an_output_that_cannot_be_made_is_refused(
    command: Command, mixed: Entry, output: Path
) -> None:
    assert_refused(command(mixed, output=output / ("a" * 300)), "a" * 300)


def test_the_real_process_refuses_in_one_line(bot_file: Path, save: Save, output: Path) -> None:
    options = {"bot": bot_file, "input": save(b'{"messages": ['), "output": output}
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    words = [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.run(
        [sys.executable, "-m", "extraction_jobs.build_dataset", *words],
        cwd=Path(__file__).parents[2],
        env=kept | {"DATA_DIR": str(output.parent / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, "")
    (line,) = process.stderr.splitlines()
    assert "cut off JSON" in line
