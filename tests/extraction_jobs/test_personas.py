"""Who is imitated, by `auto`, name or id."""

from collections.abc import Iterable

import pytest

from contracts.refusal import Refusal
from extraction_jobs.messages import Message
from extraction_jobs.personas import Senders
from tests.extraction_jobs.conftest import message


def senders_of(messages: Iterable[Message]) -> Senders:
    senders = Senders()
    senders.add(messages)
    return senders


@pytest.fixture
def senders() -> Senders:
    """Boris wrote most; Anna has changed her name; two are called Clara; one account is deleted."""
    wrote: list[tuple[str | None, str | None]] = [
        *(("user1", "Anna"), ("user2", "Boris"), ("user2", "Boris"), ("user2", "Boris")),
        *(("user1", "Ёлка"), ("user3", "Clara"), ("user4", "clara"), ("user5", None), (None, None)),
    ]
    return senders_of(message(sender=sender, sender_name=name) for sender, name in wrote)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("auto", {"user2"}),
        ("Boris", {"user2"}),
        ("bORIS", {"user2"}),
        ("Anna", {"user1"}),
        ("ёлка", {"user1"}),
        ("Clara", {"user3", "user4"}),
        ("user3", {"user3"}),
        ("user5", {"user5"}),
    ],
)
def test_a_persona_is_found_by_auto_name_or_id(
    senders: Senders, wanted: str, ids: set[str]
) -> None:
    assert senders.persona(wanted) == ids


def test_of_equally_talkative_senders_auto_takes_the_first() -> None:
    senders = senders_of([message(sender="user2"), message(sender="user1")])
    assert senders.persona("auto") == {"user2"}


@pytest.mark.parametrize("wanted", ["Dora", "Bor", "user99", "user", "2"])
def test_a_persona_that_is_not_there_is_answered_by_the_eight_who_wrote_most(
    senders: Senders, wanted: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        senders.persona(wanted)
    text = str(refusal.value)
    assert repr(wanted) in text
    assert "most messages are by Boris (user2, 3), Anna/Ёлка (user1, 2)" in text
    assert "? (user5, 1)" in text
    many = senders_of(message(sender=f"user{number}") for number in range(20))
    with pytest.raises(Refusal, match=r"^([^(]*\(user\d+, 1\)){8}$"):
        many.persona(wanted)


@pytest.mark.parametrize("wanted", ["auto", "Anna"])
def test_without_any_message_there_is_no_persona(wanted: str) -> None:
    with pytest.raises(Refusal, match="nobody did"):
        Senders().persona(wanted)
