"""A forum in which threads run through each other: which question stands before which answer."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from contracts.conversation import Conversation
from contracts.dataset import read_records
from extraction_jobs.build_dataset import build
from extraction_jobs.inputs import ExtractionConfig, Inputs
from extraction_jobs.stored_export import Source
from tests.extraction_jobs.conftest import Entry

PEOPLE, TOPICS, MESSAGES, SEED = ("Ада", "Боря", "Вика", "Гена", "Даша"), 3, 600, 22
BEGAN = 1_750_000_000


@dataclass
class Forum:
    """Each topic has two threads at a time, and half of the answers are explicit replies.

    answers   the text of each message, and that of the one in its thread which it answers
    explicit  the texts of explicit replies
    adjacent  those of others whose question is the last message of the topic
    """

    entries: list[Entry]
    answers: dict[str, str]
    explicit: set[str]
    adjacent: set[str]


def made_forum(chance: random.Random) -> Forum:
    forum = Forum([], {}, set(), set())
    last: dict[tuple[int, int], tuple[int, str, str]] = {}  # by thread: id, who, text
    newest: dict[int, str] = {}
    clock = BEGAN
    for topic in range(1, TOPICS + 1):
        service = {
            "type": "service",
            "action": "topic_created",
            "actor": "Ада",
            "title": str(topic),
        }
        forum.entries.append(service | {"id": topic, "date_unixtime": str(clock), "text": ""})
    for number in range(TOPICS + 1, MESSAGES):
        clock += chance.randrange(5, 240)
        thread = chance.randrange(1, TOPICS + 1), chance.randrange(2)
        cause = last.get(thread)
        who = chance.choice([each for each in PEOPLE if cause is None or each != cause[1]])
        text, reply_to = f"реплика {number}", thread[0]
        if cause is not None:
            forum.answers[text] = cause[2]
            if chance.random() < 0.5:
                forum.explicit.add(text)
                reply_to = cause[0]
            elif newest[thread[0]] == cause[2]:
                forum.adjacent.add(text)
        plain = {"id": number, "type": "message", "date_unixtime": str(clock), "text": text}
        sender = {"from": who, "from_id": f"user{PEOPLE.index(who) + 1}"}
        forum.entries.append({**plain, **sender, "reply_to_message_id": reply_to})
        last[thread], newest[thread[0]] = (number, who, text), text
    return forum


def test_the_answered_message_stands_in_the_last_turn_before_the_answer(tmp_path: Path) -> None:
    forum = made_forum(random.Random(SEED))
    header = {"name": "Двор", "type": "private_supergroup", "id": 5}
    export = tmp_path / "result.json"
    export.write_text(json.dumps({**header, "messages": forum.entries}), encoding="utf-8")
    config = ExtractionConfig(persona="whole-chat", heldout_share=0.0)
    sources = [Source.of(export)]
    build(Inputs("avtobus", config, Conversation(context_turns=4), sources), tmp_path / "data")
    right: dict[str, list[bool]] = {"reply": [], "adjacent": [], "others": []}
    for record in read_records(tmp_path / "data" / "train.jsonl"):
        assert len(record.turns) <= 5
        first = record.turns[-1].messages[0]  # what goes on in the same turn answers the same
        if (cause := forum.answers.get(first)) is not None:
            kind = "reply" if first in forum.explicit else "others"
            kind = "adjacent" if first in forum.adjacent else kind
            stands = len(record.turns) > 1 and cause in record.turns[-2].messages
            right[kind].append(stands)
    print({kind: f"{sum(found)} of {len(found)}" for kind, found in right.items()})
    assert min(map(len, right.values())) > 100
    assert all(right["reply"])
    assert all(right["adjacent"])
