"""Who is imitated, by `auto`, name or id."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from contracts.refusal import Refusal
from extraction_jobs.messages import Chat, Filters, ForgetList, Message
from extraction_jobs.personas import Senders
from extraction_jobs.scratch import Scratch
from tests.extraction_jobs.conftest import message

BOTS_CHAT = Chat("9", "Weather", "bot_chat")


def senders_of(messages: Iterable[Message], filters: Filters | None = None) -> Senders:
    senders = Senders()
    with closing(Scratch(Path(":memory:"))) as scratch:
        scratch.add(senders.note((filters or Filters()).usable(messages)))
        senders.counts = scratch.senders()
    return senders


@pytest.fixture
def senders() -> Senders:
    """Boris wrote most; Anna has changed her name; two are called Clara; one account is deleted."""
    wrote: list[tuple[str | None, str | None]] = [
        *(("user1", "Anna"), ("user2", "Boris"), ("user2", "Boris"), ("user2", "Boris")),
        *(("user1", "Ёлка"), ("user3", "Clara"), ("user4", "clara"), ("user5", None), (None, None)),
    ]
    return senders_of(
        message(number, sender, sender_name=name) for number, (sender, name) in enumerate(wrote)
    )


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (("auto",), {"user2"}),
        (("Boris",), {"user2"}),
        (("bORIS",), {"user2"}),
        (("ёлка",), {"user1"}),
        (("user5",), {"user5"}),
        (("5",), {"user5"}),  # 5 means user5
        (("user3", "user4"), {"user3", "user4"}),  # one person
        (("3", "Anna"), {"user1", "user3"}),
    ],
)
def test_a_persona_is_found_by_auto_name_or_ids(
    senders: Senders, wanted: tuple[str, ...], ids: set[str]
) -> None:
    assert senders.persona(wanted, None) == ids


def test_two_of_one_name_are_refused_with_both_ids(senders: Senders) -> None:
    with pytest.raises(Refusal, match="'Clara' is user3 and user4: give the id of one, or all"):
        senders.persona(("Clara",), None)


WEATHER = [message(n, "user9", chat=BOTS_CHAT, sender_name="Weather") for n in range(9)]
TWO = [message(101, "user1"), message(102, "user2")]
BUTTONS = [message(n, "user8", is_bot=True, sender_name="Quiz") for n in range(9)]
NAMED = [message(1, "user7", sender_name="news_bot"), message(2, "user6", sender_name="Anna")]


@pytest.mark.parametrize(
    ("messages", "owner", "chosen"),
    [
        (TWO, None, "user1"),
        (TWO, "user2", "user2"),
        (TWO, "user3", "user1"),  # who is silent
        ([*TWO, TWO[1], TWO[1]], None, "user1"),  # what is in two exports counts once
        ([*WEATHER, *TWO], None, "user1"),
        ([*WEATHER, message(99, "user1", chat=BOTS_CHAT)], None, "user1"),
        ([*BUTTONS, *TWO], None, "user1"),
        (BUTTONS, None, "user8"),  # there is nobody else
        (NAMED, None, "user6"),  # a name that ends in `bot` breaks a tie
        ([*NAMED, message(3, "user7")], None, "user7"),  # and no more than that
        ([message(3, text="", media="[фото]"), message(4, "user2")], "", "user2"),
    ],
)
def test_auto_is_the_exports_owner_else_the_most_talkative_person(
    messages: list[Message], owner: str | None, chosen: str
) -> None:
    assert senders_of(messages).persona(("auto",), owner) == {chosen}


@pytest.mark.parametrize("wanted", ["Dora", "user99", "user", "2x"])
def test_a_persona_that_is_not_there_is_answered_by_the_eight_who_wrote_most(
    senders: Senders, wanted: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        senders.persona((wanted,), None)
    text = str(refusal.value)
    assert repr(wanted) in text
    assert "most messages are by Boris (user2, 3), Anna/Ёлка (user1, 2)" in text
    assert "? (user5, 1)" in text
    many = senders_of(message(number, f"user{number}") for number in range(20))
    with pytest.raises(Refusal, match=r"^([^(]*\(user\d+, 1\)){8}$"):
        many.persona(("nobody",), None)


@pytest.mark.parametrize(
    ("wanted", "near"), [("Borys", "Boris"), ("bor", "Boris"), ("лка", "Ёлка")]
)
def test_an_unknown_name_is_answered_by_the_nearest(
    senders: Senders, wanted: str, near: str
) -> None:
    with pytest.raises(Refusal, match=f"did you mean {near}\\?"):
        senders.persona((wanted,), None)


def test_who_writes_how_much_where_is_shown() -> None:
    said = [message(1, "user1", sender_name="Anna"), message(2, "user1", sender_name="Ёлка")]
    senders = senders_of([*said, WEATHER[0], message(3, None)])
    assert [[*row.values()] for row in senders.table()] == [
        [2, "user1", "Anna/Ёлка", False, ["Kitchen"]],
        [1, "user9", "Weather", True, ["Weather"]],
    ]


@pytest.mark.parametrize("wanted", ["auto", "Anna"])
def test_without_any_message_there_is_no_persona(wanted: str) -> None:
    with pytest.raises(Refusal, match="nobody did"):
        Senders().persona((wanted,), None)


@pytest.mark.parametrize(("wanted", "owner"), [("auto", None), ("auto", "user1"), ("Anna", None)])
def test_nobody_takes_the_place_of_a_persona_who_asked_to_be_forgotten(
    wanted: str, owner: str | None
) -> None:
    said = [message(n, "user1", sender_name="Anna") for n in range(3)] + [message(9, "user2")]
    listed = ForgetList(ids=frozenset(["user1"]))
    senders = senders_of(said, Filters(forget_list=listed))
    with pytest.raises(Refusal, match="asked to be forgotten"):
        senders.persona((wanted,), owner, listed)
