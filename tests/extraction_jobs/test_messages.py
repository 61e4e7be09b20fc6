"""Every message is either usable or counted, once, under the first reason that holds.

People on the forget list are left out, and counted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import CARD, TRAIN, WHOLE_CHAT, Card, read_records
from contracts.forget import Forgotten, append
from contracts.refusal import Refusal
from extraction_jobs.messages import LONGEST_HEARD, LONGEST_MESSAGE, Chat, Filters, ForgetList
from moderation.moderator import Moderator
from moderation.policy import Level, Policy
from tests.extraction_jobs.conftest import IDS, Entry, Save, built, chat, entry, message

FORWARD = {"forwarded": True, "sender": "channel5"}
COMMENTS, NEWS = Chat("2", "Talk", "private_supergroup"), Chat("3", "News", "public_channel")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "service"}, "service"),
        ({"kind": "unsupported"}, "unsupported"),
        ({"sender": None}, "no_sender"),
        ({"is_command": True, "text": "/start"}, "bot_command"),
        ({"text": ""}, "no_text"),
        ({"text": " \n\t\x0b "}, "no_text"),
        ({"sender": "user9"}, "forgotten"),
    ],
)
def test_what_cannot_be_used_is_counted_under_its_reason(
    fields: dict[str, Any], reason: str
) -> None:
    filters = Filters(forget_list=ForgetList(ids=frozenset(["user9"])))
    [usable] = filters.usable([message(**fields)])
    is_theirs = reason == "forgotten"  # who asked so is not the persona
    assert usable[1:] == ("", reason, is_theirs)


@pytest.mark.parametrize(
    ("fields", "reason", "length"),
    [
        ({"forwarded": True}, "forwarded", 1),
        ({**FORWARD, "chat": NEWS}, "forwarded", 1),
        ({"via_bot": True}, "via_bot", 1),
        ({"text": "a" * (LONGEST_MESSAGE + 1)}, "too_long", LONGEST_MESSAGE + 1),
        ({"text": "a" * 10_000}, "too_long", LONGEST_HEARD),
    ],
)
def test_what_is_not_learned_can_be_answered_all_the_same(
    fields: dict[str, Any], reason: str, length: int
) -> None:
    [usable] = Filters().usable([message(**fields)])
    assert (len(usable.text), usable.reason, usable.is_own) == (length, reason, False)


@pytest.mark.parametrize(
    ("fields", "text", "is_own"),
    [
        ({"text": "hello"}, "hello", True),
        ({"text": "a" * LONGEST_MESSAGE}, "a" * LONGEST_MESSAGE, True),
        ({"text": "two\nlines"}, "two lines", True),
        ({"text": "/дом стоит"}, "/дом стоит", True),
        ({"text": "🙂", "sender_name": None}, "🙂", True),
        ({"text": "look", "media": "[фото]"}, "look", True),
        ({"text": "", "media": "[фото]"}, "[фото]", False),
        ({**FORWARD, "chat": COMMENTS}, "1", False),  # a post that people comment
        ({"text": "пиши на i@ya.ru"}, "пиши на [почта]", True),
        ({"text": "", "media": "[опрос:\ni@ya.ru?]"}, "[опрос: [почта]?]", False),
    ],
)
def test_what_can_be_used_has_a_text_and_is_its_senders_own_or_not(
    fields: dict[str, Any], text: str, is_own: bool
) -> None:
    filters = Filters()
    given = message(**fields)
    assert list(filters.usable([given])) == [(given, text, None, is_own)]
    assert filters.replaced == ({"email": 1} if "почта" in text else {})


def test_moderation_masks_words_and_leaves_messages_out_and_each_is_counted() -> None:
    policy = Policy(profanity=Level.SOFT, link=Level.STRICT)
    filters = Filters(moderator=Moderator(policy))
    given = [
        message(text=text) for text in ("ну хуйня", "жми https://x.ru", "пиши на i@ya.ru", "привет")
    ]
    told = [usable[1:] for usable in filters.usable(given)]
    assert told == [
        *(("ну *****", None, True), ("", "moderated", False)),
        *(("пиши на [почта]", None, True), ("привет", None, True)),
    ]
    assert filters.replaced == {"masked": 1, "email": 1}


def test_forwards_can_be_kept_but_of_those_who_asked_to_be_forgotten() -> None:
    filters = Filters(keeps_forwards=True, forget_list=ForgetList(names=frozenset(["Boris"])))
    given = [message(forwarded=True, forwarded_from=name) for name in ("Clara", "Boris")]
    told = [usable[1:] for usable in filters.usable(given)]
    assert told == [("1", None, True), ("", "forgotten", False)]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["message", "service", "unsupported", "news"]),
                "sender": st.sampled_from([None, "user1"]),
                "text": st.sampled_from(["", "hi", "a" * (LONGEST_MESSAGE + 1)]),
                "forwarded": st.booleans(),
                "via_bot": st.booleans(),
                "is_command": st.booleans(),
                "media": st.sampled_from(["", "[фото]"]),
            }
        )
    )
)
def test_a_message_with_many_faults_is_counted_once(cases: list[dict[str, Any]]) -> None:
    messages = [message(number, **fields) for number, fields in enumerate(cases)]
    passed = list(Filters().usable(messages))
    assert [each.message for each in passed] == messages
    assert all(each.text if each.reason is None else not each.is_own for each in passed)


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
        export = self._save(chat(*self.entries))
        listed = ForgetList.read(self.forget_file)
        return built(self.output, persona, export, forget_list=listed)


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
    with pytest.raises(Refusal, match="persona 'auto' asked to be forgotten"):
        world.build("auto")
    assert list(world.output.iterdir()) == []


def test_an_answer_to_a_forgotten_message_stays_and_answers_nothing(world: World) -> None:
    world.entries[4]["reply_to_message_id"] = 1
    world.forget("Boris")
    world.build()
    *_, record = read_records(world.output / TRAIN)
    assert [turn.messages for turn in record.turns] == [("message 5",)]
    assert record.answers == "nothing"


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
