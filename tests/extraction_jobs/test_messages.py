"""Every message either passes or is counted, once, under the first reason that holds.

People on the forget list are left out, and counted.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import CARD, TRAIN, WHOLE_CHAT, Card, read_records
from contracts.forget import Forgotten, append
from contracts.refusal import Refusal
from extraction_jobs.build_dataset import ExtractionConfig, build
from extraction_jobs.messages import FILTERS, LONGEST_MESSAGE, ForgetList, usable
from tests.extraction_jobs.conftest import IDS, Entry, Save, chat, entry, message

REASONS = [
    ("service", {"kind": "service"}),
    ("unsupported", {"kind": "unsupported"}),
    ("no_sender", {"sender": None}),
    ("forwarded", {"forwarded": True}),
    ("via_bot", {"via_bot": True}),
    ("no_text", {"text": ""}),
    ("no_text", {"text": " \n\t\x0b "}),
    *(
        ("bot_command", {"text": text})
        for text in ("/start", "/start@some_bot да", "@some_bot /start")
    ),
    ("too_long", {"text": "a" * (LONGEST_MESSAGE + 1)}),
    *(
        (None, {"text": text})
        for text in ("hello", "a" * LONGEST_MESSAGE, "either/or", "🙂", "/дом стоит")
    ),
    (None, {"sender_name": None}),
    (None, {"reply_to": 5}),
]


@pytest.mark.parametrize(("reason", "fields"), REASONS)
def test_a_message_passes_or_is_counted_under_its_reason(
    reason: str | None, fields: dict[str, Any]
) -> None:
    dropped: Counter[str] = Counter()
    passed = list(usable([message(**fields)], dropped))
    assert passed == ([] if reason else [message(**fields)])
    assert dropped == ({reason: 1} if reason else {})


def test_the_table_of_reasons_knows_every_filter() -> None:
    assert {reason for reason, _ in REASONS} - {None} == {reason for reason, _ in FILTERS}


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["message", "service", "unsupported", "news"]),
                "sender": st.sampled_from([None, "user1"]),
                "text": st.sampled_from(["", "/help", "hi", "a" * (LONGEST_MESSAGE + 1)]),
                "forwarded": st.booleans(),
                "via_bot": st.booleans(),
            }
        )
    )
)
def test_a_message_with_many_faults_is_counted_once(cases: list[dict[str, Any]]) -> None:
    messages = [message(number, **fields) for number, fields in enumerate(cases)]
    dropped: Counter[str] = Counter()
    passed = list(usable(messages, dropped))
    assert len(passed) + dropped.total() == len(messages)
    assert passed == [message for message in messages if message in passed]


class World:
    """An export in which Boris asks twice, Anna answers, Clara and Boris come in between."""

    def __init__(self, folder: Path, save: Save) -> None:
        names = ["Boris", "Anna", "Clara", "Boris", "Anna"]
        self.entries = [entry(number, name) for number, name in enumerate(names, 1)]
        self.forget_file, self.output = folder / "forget.jsonl", folder / "dataset"
        self._save = save

    def forget(self, *names: str, user_id: int | None = None) -> None:
        for name in names:
            found = IDS[name] if user_id is None else user_id
            append(self.forget_file, Forgotten(user_id=found, names=(name,), at=1.0))

    def build(self, persona: str = "Anna") -> Card:
        config = ExtractionConfig(persona=persona)
        export = self._save(chat(*self.entries))
        return build("polkson", config, export, self.output, ForgetList.read(self.forget_file))


@pytest.fixture
def world(tmp_path: Path, save: Save) -> World:
    return World(tmp_path, save)


def known_by_name(each: Entry) -> None:
    del each["from_id"]


def known_by_number(each: Entry) -> None:
    """As exports before 2021 have it."""
    each["from_id"] = IDS[each["from"]]


@pytest.mark.parametrize("change", [lambda each: None, known_by_name, known_by_number])
def test_the_forgotten_are_left_out_by_id_and_without_ids_by_name(
    world: World, change: Callable[[Entry], None]
) -> None:
    for each in world.entries:
        change(each)
    world.forget("Boris")
    assert world.build(WHOLE_CHAT).dropped["forgotten"] == 2
    records = read_records(world.output / TRAIN)
    texts = {text for record in records for turn in record.turns for text in turn.messages}
    assert texts <= {"message 2", "message 3", "message 5"}
    world.forget("Anna")
    with pytest.raises(Refusal, match="persona 'Anna' asked to be forgotten"):
        world.build()


def test_a_namesake_with_an_id_and_a_name_that_looks_like_an_id_forget_nobody_else(
    world: World,
) -> None:
    world.forget("Boris", *(f"user{number}" for number in IDS.values()), user_id=1)
    assert "forgotten" not in world.build().dropped


def test_the_most_talkative_sender_who_asked_to_be_forgotten_is_refused(world: World) -> None:
    world.entries[:] = world.entries[:2] + world.entries[3:4]
    world.forget("Boris")
    with pytest.raises(Refusal, match="the most talkative sender asked to be forgotten"):
        world.build("auto")
    assert not world.output.exists()


def test_an_answer_to_a_forgotten_message_stays_and_answers_nothing(world: World) -> None:
    world.entries[4]["reply_to_message_id"] = 1
    world.forget("Boris")
    world.build()
    (record,) = read_records(world.output / TRAIN)
    assert (record.turns[-1].messages, record.turns[-1].reply_to) == (("message 5",), None)


def test_the_card_tells_which_list_was_used_and_names_nobody(world: World) -> None:
    cards = [world.build()]
    for name in ("Boris", "Clara"):
        world.forget(name)
        cards.append(world.build())
    lists = [card.inputs.get("forget.jsonl") for card in cards]
    assert lists[0] is None
    assert len(set(lists)) == 3
    assert cards[2].dropped["forgotten"] == 3
    assert "Boris" not in (world.output / CARD).read_text(encoding="utf-8")
