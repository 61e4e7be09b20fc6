"""The lines of jq in docs/export.md make JSONL of other messengers' exports."""

import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from contracts.refusal import Refusal
from extraction_jobs.messages import Message
from tests.debian_package import need
from tests.extraction_jobs.test_sources import read

JQ: dict[str, tuple[object, dict[str, object]]] = {
    "discord": (
        {
            "guild": {"id": "1"},
            "channel": {"id": "5", "name": "сад"},
            "messages": [
                {
                    "id": "1085000000000000001",
                    "type": "Reply",
                    "timestamp": "2023-03-25T18:45:07.12+03:00",
                    "content": "да",
                    "author": {"id": "7", "name": "vera", "nickname": None, "isBot": False},
                    "attachments": [{"id": "8"}],
                    "reference": {"messageId": "1085000000000000000"},
                }
            ],
        },
        {"at": 1679759107.12, "sender": "7", "sender_name": "vera", "media": "[файл]"},
    ),
    "signal": (
        {"date": "2023-03-25T15:45:07", "sender": "Вера", "body": "да", "attachments": []},
        {"at": 1679759107.0, "sender": "Вера", "sender_name": "Вера", "media": ""},
    ),
    "matrix": (
        {
            "room_name": "Сад",
            "messages": [
                {"type": "m.room.member", "content": {"membership": "join"}},
                {
                    "type": "m.room.message",
                    "event_id": "$b",
                    "origin_server_ts": 1679759107000,
                    "sender": "@vera:host",
                    "content": {
                        "msgtype": "m.text",
                        "body": "> <@gleb:host> кто?\n> где?\n\nда",
                        "m.relates_to": {"m.in_reply_to": {"event_id": "$a"}},
                    },
                },
            ],
        },
        {"at": 1679759107.0, "sender": "@vera:host", "media": ""},
    ),
    "vk": (
        {
            "response": {
                "items": [
                    {
                        "id": 6,
                        "date": 1679759107,
                        "from_id": 7,
                        "peer_id": 2,
                        "text": "да",
                        "reply_message": {"id": 5},
                    }
                ],
                "profiles": [{"id": 7, "first_name": "Вера"}],
            }
        },
        {"at": 1679759107.0, "sender": "7", "sender_name": "Вера", "id": 6, "reply_to": 5},
    ),
}


def convert(folder: Path, messenger: str, export: object) -> list[Message]:
    """Run a messenger's line of jq in the docs."""
    docs = Path(__file__).parents[2] / "docs" / "export.md"
    commands = re.findall(r"```sh\n(jq [^`]*)```", docs.read_text(encoding="utf-8"))
    (command,) = (each for each in commands if f"{messenger}.json " in each)
    (folder / f"{messenger}.json").write_text(json.dumps(export), encoding="utf-8")
    with pytest.raises(Refusal, match=r"JSONL|Telegram"):
        read(folder)
    subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    return read(folder / f"{messenger}.jsonl")


@pytest.mark.parametrize("messenger", JQ)
def test_the_lines_of_jq_in_the_docs_make_jsonl(tmp_path: Path, messenger: str) -> None:
    need("jq")
    export, expected = JQ[messenger]
    (message,) = convert(tmp_path, messenger, export)
    assert message.text == "да"
    assert (message.reply_to is None) == (messenger == "signal")
    assert {name: getattr(message, name) for name in expected} == expected


LEFT_OUT = {
    "discord": (
        {"type": "GuildMemberJoin", "content": "Joined."},
        ("service", "Joined.", "[файл]"),
    ),
    "matrix": (
        {"content": {"msgtype": "m.image", "body": "a.jpg", "url": "mxc://a"}},
        ("message", "", "[фото]"),
    ),
}


@pytest.mark.parametrize("messenger", LEFT_OUT)
def test_the_lines_of_jq_take_nothing_for_words_that_nobody_wrote(
    tmp_path: Path, messenger: str
) -> None:
    need("jq")
    change, expected = LEFT_OUT[messenger]
    export: Any = deepcopy(JQ[messenger][0])
    export["messages"][-1] |= change
    (message,) = convert(tmp_path, messenger, export)
    assert (message.kind, message.text, message.media) == expected
