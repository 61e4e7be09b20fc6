"""Builders that this room's tests share: messages as sources give them, and Telegram's exports."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from contracts.conversation import Conversation
from contracts.dataset import Card, Record
from extraction_jobs.build_dataset import app, build
from extraction_jobs.inputs import ExtractionConfig, Inputs
from extraction_jobs.messages import NOBODY, Chat, ForgetList, Message
from extraction_jobs.records import Draft
from extraction_jobs.stored_export import Source

Entry = dict[str, Any]
Save = Callable[[object], Path]
Command = Callable[..., Result]

START = datetime(2025, 1, 1, 10, tzinfo=UTC)
CHAT = Chat("1", "Kitchen")
UNSET = ("LOG_LEVEL", "PUSHGATEWAY_URL", "FORCE_COLOR", "TTY_COMPATIBLE")
IDS = {"Anna": 5012345671, "Boris": 5012345672, "Clara": 5012345673}


def message(id: int = 1, sender: str | None = "user1", minute: float = 0, **fields: Any) -> Message:
    """`message(7, "anna", minute=3, reply_to=2)`; its text is its number unless given."""
    at = START.timestamp() + 60 * minute
    plain = Message(CHAT, id, at, "message", sender, sender_name=None, text=str(id))
    return plain._replace(**fields)


def talk(script: str) -> list[Message]:
    """`talk("anna boris>1 - anna")`: a word a message, `>` what it answers, `-` a day's pause.

    Messages are a minute apart; id and text are the message's number. `anna#` is a photo.
    """
    messages: list[Message] = []
    minute = 0
    for word in script.split():
        minute += 1440 if word == "-" else 1
        if word != "-":
            sender, _, answered = word.partition(">")
            said = message(len(messages) + 1, sender.strip("#"), minute)
            if sender.endswith("#"):
                said = said._replace(text="", media="[фото]")
            messages.append(said._replace(reply_to=int(answered) if answered else None))
    return messages


def entry(
    id: int = 1, name: str = "Anna", text: object = None, minute: float | None = None
) -> Entry:
    """An entry of an export as Telegram Desktop writes it; `entry(1) | {...}` changes fields."""
    at = START + timedelta(minutes=id if minute is None else minute)
    return {
        "id": id,
        "type": "message",
        "date": at.strftime("%Y-%m-%dT%H:%M:%S"),
        "date_unixtime": str(int(at.timestamp())),
        "from": name,
        "from_id": f"user{IDS[name]}",
        "text": f"message {id}" if text is None else text,
    }


def chat(*entries: Entry, **header: Any) -> Entry:
    """A single chat's export of these entries."""
    plain = {"name": "Kitchen", "type": "private_group", "id": 77}
    return {**plain, **header, "messages": list(entries)}


MIXED = chat(
    entry(1, "Boris", "hi"),
    entry(2, "Anna", ["hello, ", {"type": "bold", "text": "Boris"}]),
    entry(3) | {"type": "service", "action": "pin_message"},
    {"id": 4, "type": "unsupported"},
    entry(5) | {"from": None, "from_id": None},
    entry(6) | {"forwarded_from": None},
    entry(7) | {"via_bot": "@gif"},
    entry(8, text="") | {"media_type": "sticker"},
    entry(9, text="/start"),
    entry(10, text="a" * 3000),
    entry(11, "Clara", "who is there?"),
    entry(12, "Boris", "we are"),
    entry(13, "Boris", "nobody?", minute=1000),
    entry(14, "Anna", "a photo", minute=2000) | {"photo": "(File not included.)"},
)
"""Everything that an export may hold; usable are 1, 2, 8 (a sticker), and 11 to 14."""
UNUSABLE = dict.fromkeys(
    ("service", "unsupported", "no_sender", "forwarded", "via_bot", "bot_command", "too_long"), 1
)


def inputs(
    persona: str | tuple[str, ...], *exports: Path, forget_list: ForgetList = NOBODY, **rules: Any
) -> Inputs:
    """What a data set of Polkson's is made from; `rules` are of the conversation."""
    config, sources = ExtractionConfig(persona=persona), [Source.of(path) for path in exports]
    return Inputs("polkson", config, Conversation(**rules), sources, forget_list)


def built(
    folder: Path,
    persona: str | tuple[str, ...],
    *exports: Path,
    forget_list: ForgetList = NOBODY,
    **rules: Any,
) -> Card:
    return build(inputs(persona, *exports, forget_list=forget_list, **rules), folder)[0]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a result.json: bytes as they are, anything else as JSON laid out like Telegram's."""

    def write(content: object) -> Path:
        path = tmp_path / "result.json"
        if not isinstance(content, bytes):
            content = json.dumps(content, ensure_ascii=False, indent=1).encode()
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where the data set goes; not made yet."""
    return tmp_path / "dataset"


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
        words = [
            f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
            for name, value in given.items()
            if value is not None
        ]
        return CliRunner().invoke(app, words)

    return run


def drafted(record: Record) -> Draft:
    answer = record.turns[-1]
    ended = answer.at.timestamp() if answer.at else 0.0
    line = record.to_line().encode()
    return Draft(record.chat, record.answers, ended, answer.messages, line)
