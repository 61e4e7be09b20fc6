"""The job's command line: what it writes, and what it answers to bad input."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from contracts.dataset import CARD, HELDOUT, TRAIN, WHOLE_CHAT, read_card
from contracts.forget import Forgotten, append
from extraction_jobs.build_dataset import app
from extraction_jobs.personas import pseudonym
from tests.extraction_jobs.conftest import IDS, MIXED, Command, Save, chat, entry

CUT_OFF = b'{"messages": ['


def test_the_command_writes_a_data_set_and_logs_no_text(command: Command, output: Path) -> None:
    result = command(MIXED)
    assert (result.exit_code, result.stdout) == (0, "")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"].split(":")[0] for line in lines] == [
        "data set built",
        "2 persona turns",
        "nothing is held out to measure by",
    ]
    assert "hello" not in result.stderr
    assert read_card(output).bot == "polkson"


def test_without_output_the_data_set_lies_in_the_bots_folder_and_options_outrank_the_bot_file(
    command: Command, data_dir: Path
) -> None:
    assert command(MIXED, output=None, persona=WHOLE_CHAT).exit_code == 0
    assert read_card(data_dir / "polkson" / "dataset").persona == WHOLE_CHAT


def test_the_forgotten_are_left_out(command: Command, data_dir: Path, output: Path) -> None:
    path = data_dir / "polkson" / "forget" / "forget.jsonl"
    append(path, Forgotten(user_id=IDS["Boris"], at=2.0))
    append(path, Forgotten(user_id=1, at=1.0))
    assert command(MIXED).exit_code == 0
    card = read_card(output)
    assert card.dropped["forgotten"] == 3
    assert card.forgets_until == pytest.approx(2.0)
    assert set(card.inputs) == {"result.json", "forget.jsonl"}


LEFT_BY_A_KILLED_JOB = (f"{CARD}.part", ".made-from.part", ".part/scratch.sqlite3")


@pytest.mark.parametrize(
    "present", [(), (TRAIN, HELDOUT, CARD, "report.html"), LEFT_BY_A_KILLED_JOB]
)
def test_an_empty_folder_or_an_older_data_set_is_a_fine_output(
    command: Command, output: Path, present: tuple[str, ...]
) -> None:
    output.mkdir()
    for name in present:
        (output / name).parent.mkdir(exist_ok=True)
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
        (b'{"name": "C", "messages": [{"id": 1,', "cut off in line 1 (byte"),
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"date,from,text\n1,Anna,hi\n", "no export of Telegram"),
        (b"<!DOCTYPE html><html></html>", "no export of Telegram"),
        (b"{}", "no export of Telegram"),
        (b'{"chats": {"list": []}}', "no chat"),
        (b'{"messages": []}', "result.json: nothing to learn from in 0 messages (empty)"),
        (b'{"messages":' + b"[" * 2000, "is broken"),
        (bytes(range(254, 0, -1)), "no export of Telegram"),
        (b'{"about": "' + bytes(range(256)), "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_export_is_refused(
    command: Command, output: Path, content: bytes, says: str
) -> None:
    assert_refused(command(content), says)
    assert not output.exists() or not [*output.iterdir()]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"input": "{tmp}/none.json"}, "none.json: cannot be read (No such file"),
        ({"input": "{tmp}/bot.yaml/result.json"}, "cannot be read"),
        ({"bot": "{tmp}/none.yaml"}, "none.yaml: no such bot file"),
        ({"persona": "Dora"}, "persona 'Dora' wrote nothing usable"),
        ({"output": "{tmp}/" + "a" * 300}, "a" * 300),
        ({"output": "{tmp}/bot.yaml"}, "cannot be made"),
        ({"output": "{tmp}/bot.yaml/deeper"}, "cannot be made"),
    ],
)
def test_bad_options_are_refused(
    command: Command, bot_file: Path, output: Path, options: dict[str, str], says: str
) -> None:
    before = bot_file.read_bytes()
    given = {name: value.format(tmp=bot_file.parent) for name, value in options.items()}
    assert_refused(command(MIXED, **given), says)
    assert not output.exists() or not [*output.iterdir()]
    assert bot_file.read_bytes() == before


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("extraction: {pause: 5}", "extraction.pause: unknown key"),
        ("extraction: {heldout_share: 0.9}", "extraction.heldout_share: "),
        ('extraction: {persona: ""}', "extraction.persona"),
        ("conversation: {pause_minutes: 0}", "conversation.pause_minutes: "),
        ("conversation: {burst_minutes: 0}", "conversation.burst_minutes: "),
        ("conversation: {context_turns: 17}", "conversation.context_turns: "),
    ],
)
def test_a_bad_section_is_refused_by_key(
    command: Command, bot_file: Path, section: str, says: str
) -> None:
    bot_file.write_text(f"name: polkson\n{section}\n", encoding="utf-8")
    assert_refused(command(MIXED), says)


def test_several_ids_and_several_inputs_are_one_persona_of_one_data_set(
    data_dir: Path, bot_file: Path, save: Save, output: Path
) -> None:
    second = shutil.copy(save(MIXED), output.with_name("second.json"))
    given = [f"--input={path}" for path in (save(MIXED), second)]
    given += [f"--persona={who}" for who in (IDS["Anna"], "Boris")]
    result = CliRunner().invoke(app, [f"--bot={bot_file}", f"--output={output}", *given])
    assert result.exit_code == 0, result.output
    card = read_card(output)
    assert (card.persona_messages, card.dropped["twice"]) == (5, 14)


@pytest.mark.parametrize("persona", [str(IDS["Anna"]), f"[{IDS['Anna']}, user{IDS['Boris']}]"])
def test_ids_may_stand_as_numbers_in_the_bot_file(
    command: Command, bot_file: Path, output: Path, persona: str
) -> None:
    bot_file.write_text(f"name: polkson\nextraction: {{persona: {persona}}}\n", encoding="utf-8")
    assert command(MIXED).exit_code == 0
    assert read_card(output).persona == pseudonym(f"user{IDS['Anna']}")


def test_senders_are_listed_and_nothing_is_made(command: Command, output: Path) -> None:
    result = command(MIXED, list_senders=True)
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["3", f"user{IDS['Boris']}", "Boris", "in", "Kitchen"],
        ["2", f"user{IDS['Anna']}", "Anna", "in", "Kitchen"],
        ["1", f"user{IDS['Clara']}", "Clara", "in", "Kitchen"],
    ]
    assert not output.exists() or not [*output.iterdir()]
    rows = command(MIXED, list_senders=True, json=True).stdout.splitlines()
    anna = {"messages": 2, "id": f"user{IDS['Anna']}", "name": "Anna", "bot": False}
    assert json.loads(rows[1]) == {**anna, "chats": ["Kitchen"]}


def test_what_an_export_is_is_told_by_its_content_or_said(command: Command, output: Path) -> None:
    lines = "".join(f'{{"at": {n}, "sender": "Anna", "text": "дом {n}"}}\n' for n in range(20))
    assert command(lines.encode()).exit_code == 0
    assert read_card(output).persona_messages == 20


def test_a_folder_is_read_anew_only_where_it_has_changed(
    command: Command, save: Save, output: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    save(MIXED).rename(folder / "result.json")
    told = []
    for change in ("", "", "later.json"):
        if change:
            save(chat(entry(99, "Anna", "later"))).rename(folder / change)
        told.append("unchanged" in command(input=folder, skip_unchanged=True).stderr)
    assert told == [False, True, False]
    assert read_card(output).persona_messages == 3


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
    assert "cut off" in line
