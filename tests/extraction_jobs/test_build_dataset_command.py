"""The job's command line: what it writes, and what it answers to bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from contracts.dataset import CARD, HELDOUT, TRAIN, WHOLE_CHAT, read_card
from contracts.forget import Forgotten, append
from extraction_jobs.build_dataset import app
from tests.extraction_jobs.conftest import IDS, MIXED, Save

Command = Callable[..., Result]

CUT_OFF = b'{"messages": ['
UNSET = ("LOG_LEVEL", "PUSHGATEWAY_URL", "FORCE_COLOR", "TTY_COMPATIBLE")


@pytest.fixture
def bot_file(tmp_path: Path) -> Path:
    path = tmp_path / "bot.yaml"
    path.write_text("name: polkson\nextraction: {persona: Anna}\n", encoding="utf-8")
    return path


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The volume of data, in an environment that sets nothing else."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def command(data_dir: Path, bot_file: Path, save: Save, output: Path) -> Command:
    """Run the job's command line in this process."""

    def run(content: object = None, **options: object) -> Result:
        export = None if content is None else save(content)
        given = {"bot": bot_file, "input": export, "output": output} | options
        words = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return CliRunner().invoke(app, words)

    return run


def test_the_command_writes_a_data_set_and_logs_no_text(command: Command, output: Path) -> None:
    result = command(MIXED)
    assert (result.exit_code, result.stdout) == (0, "")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"].split(":")[0] for line in lines] == [
        "data set built",
        "only 2 persona messages",
        "too few records to hold any out",
    ]
    assert "hello" not in result.stderr
    assert read_card(output).bot == "polkson"


def test_without_output_the_data_set_lies_in_the_bots_folder_and_options_outrank_the_bot_file(
    command: Command, data_dir: Path
) -> None:
    assert command(MIXED, output=None, persona=WHOLE_CHAT).exit_code == 0
    assert read_card(data_dir / "polkson" / "dataset").persona == WHOLE_CHAT


@pytest.mark.parametrize("given", [False, True], ids=["the bot's list", "--forget"])
def test_the_forgotten_are_left_out(
    command: Command, data_dir: Path, output: Path, tmp_path: Path, given: bool
) -> None:
    usual = data_dir / "polkson" / "forget" / "forget.jsonl"
    path = tmp_path / "mine.jsonl" if given else usual
    append(path, Forgotten(user_id=IDS["Boris"], at=2.0))
    append(path, Forgotten(user_id=1, at=1.0))
    assert command(MIXED, forget=path if given else None).exit_code == 0
    card = read_card(output)
    assert card.dropped["forgotten"] == 3
    # the bot's own list may name others
    assert card.forgets_until == pytest.approx(0.0 if given else 2.0)
    assert set(card.inputs) == {"result.json", "forget.jsonl"}


LEFT_BY_A_KILLED_JOB = (f"{CARD}.part", ".made-from.part")


@pytest.mark.parametrize(
    "present", [(), (TRAIN, HELDOUT, CARD, "report.html"), LEFT_BY_A_KILLED_JOB]
)
def test_an_empty_folder_or_an_older_data_set_is_a_fine_output(
    command: Command, output: Path, present: tuple[str, ...]
) -> None:
    output.mkdir()
    for name in present:
        (output / name).write_text("old", encoding="utf-8")
    assert command(MIXED).exit_code == 0
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
        (b'{"name": "C", "messages": [{"id": 1,', "cut off"),
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"date,from,text\n1,Anna,hi\n", "not a Telegram export"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"\n  <html></html>", "is a web page"),
        (b'[{"id": 1}]', "not a Telegram export"),
        (b'{"about": "me", "contacts": {}}', "no chat found"),
        (b"{}", "no chat found"),
        (b'{"chats": {"list": []}}', "no chat found"),
        (b'{"messages": []}', "nobody did"),
        (b'{"a":' + b"[" * 2000, "nested too deeply"),
        (bytes(range(255, 0, -1)), "not a Telegram export"),
        (b"{" + bytes(range(256)), "broken"),
    ],
)
def test_a_file_that_is_no_export_is_refused(
    command: Command, output: Path, content: bytes, says: str
) -> None:
    assert_refused(command(content), says)
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"input": "{tmp}/none.json"}, "none.json: no such file"),
        ({"input": "{tmp}"}, "is a folder"),
        ({"input": "{tmp}/bot.yaml/result.json"}, "cannot be read"),
        ({"bot": "{tmp}/none.yaml"}, "none.yaml: no such bot file"),
        ({"persona": "Dora"}, "persona 'Dora' wrote nothing usable"),
        ({"forget": "{tmp}/none.jsonl"}, "none.jsonl: no such file"),
        ({"forget": "{tmp}/bot.yaml"}, "bot.yaml, line 1: "),
        ({"output": "{tmp}/" + "a" * 300}, "a" * 300),
        ({"output": "{tmp}/bot.yaml"}, "is a file"),
        ({"output": "{tmp}/bot.yaml/deeper"}, "is a file"),
    ],
)
def test_bad_options_are_refused(
    command: Command, bot_file: Path, output: Path, options: dict[str, str], says: str
) -> None:
    before = bot_file.read_bytes()
    given = {name: value.format(tmp=bot_file.parent) for name, value in options.items()}
    assert_refused(command(MIXED, **given), says)
    assert not output.exists()
    assert bot_file.read_bytes() == before


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
    command: Command, bot_file: Path, section: str, says: str
) -> None:
    bot_file.write_text(f"name: polkson\nextraction: {section}\n", encoding="utf-8")
    assert_refused(command(MIXED), says)


def test_an_output_with_foreign_files_is_refused(command: Command, output: Path) -> None:
    output.mkdir()
    (output / "thesis.txt").write_text("mine", encoding="utf-8")
    assert_refused(command(MIXED), "holds 'thesis.txt'")
    assert [path.name for path in output.iterdir()] == ["thesis.txt"]


def test_the_real_process_refuses_in_one_line(
    data_dir: Path, bot_file: Path, save: Save, output: Path
) -> None:
    options = [f"--bot={bot_file}", f"--input={save(CUT_OFF)}", f"--output={output}"]
    process = subprocess.run(
        [sys.executable, "-m", "extraction_jobs.build_dataset", *options],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, "")
    (line,) = process.stderr.splitlines()
    assert "cut off JSON" in line
