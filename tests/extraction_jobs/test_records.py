"""From messages over the scratch database to records, told by scripts such as `anna boris>1`.

Records are shown as `anna:1,2 bot*:3`: the numbers are messages, the star is the persona.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.conversation import Conversation
from contracts.dataset import Record
from extraction_jobs.messages import Chat, Filters, Message
from extraction_jobs.personas import pseudonym
from extraction_jobs.records import records
from extraction_jobs.scratch import CACHED_TURNS, Scratch
from tests.extraction_jobs.conftest import drafted, message, talk

NAMES = {pseudonym(name): name for name in ("anna", "boris", "clara", "bot", "channel1")}
BOT = frozenset(["bot"])
COMMENTS = Chat("9", "Comments", "private_supergroup")


def records_of(
    messages: Iterable[Message], persona: frozenset[str] = BOT, most: int = 4
) -> Iterator[Record]:
    """Yield the records of a persona, of everybody where it is empty."""
    with closing(Scratch(Path(":memory:"))) as scratch:
        scratch.add(Filters().usable(messages))
        scratch.finish()
        for place in scratch.join(Conversation(), persona):
            for draft in records(place, min(persona, default=None), most):
                record = Record.model_validate_json(draft.line)
                assert draft == drafted(record)
                yield record


def shown(found: Iterable[Record]) -> list[str]:
    return [
        " ".join(
            f"{NAMES[turn.speaker]}{'*' * turn.is_persona}:{','.join(turn.messages)}"
            for turn in record.turns
        )
        for record in found
    ]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("anna bot anna bot", ["anna:1 bot*:2", "anna:1 bot*:2 anna:3 bot*:4"]),
        ("anna anna bot bot", ["anna:1,2 bot*:3,4"]),
        ("anna boris clara anna boris bot", ["boris:2 clara:3 anna:4 boris:5 bot*:6"]),
        ("anna boris bot>1 clara bot", ["anna:1 bot*:3", "anna:1 boris:2 bot*:3 clara:4 bot*:5"]),
        ("anna boris - clara>1 bot", ["anna:1 clara:3 bot*:4"]),
        ("anna - bot anna", ["bot*:2"]),
        ("anna bot>9", ["bot*:2"]),
        ("anna boris", []),
    ],
)
def test_a_record_is_one_answer_and_what_it_is_given_to(script: str, expected: list[str]) -> None:
    assert shown(records_of(talk(script))) == expected


def test_in_a_whole_chat_everybody_answers() -> None:
    found = records_of(talk("anna boris anna clara>2"), frozenset())
    assert shown(found) == [
        *("anna*:1", "anna:1 boris*:2", "anna*:1 boris:2 anna*:3", "anna:1 boris:2 clara*:4"),
    ]


def test_a_record_tells_what_it_answers() -> None:
    found = [*records_of(talk("bot anna bot boris bot>2 anna bot>99"))]
    assert [each.answers for each in found] == ["nothing", "last turn", "reply", "nothing"]
    assert [each.id.rpartition("-")[2] for each in found] == ["1", "3", "5", "7"]
    assert found[1].started_at == found[1].turns[0].at == found[0].started_at


def test_topics_are_apart() -> None:
    said = [
        message(1, "anna", kind="service", text="", opens_topic=True),
        message(2, "anna", 1, kind="service", text="", opens_topic=True),
        message(3, "anna", 2, reply_to=1),
        message(4, "boris", 3, reply_to=2),
        message(5, "bot", 4, reply_to=1),  # of the topic, and answers nobody explicitly
        message(6, "bot", 5, reply_to=4),
        message(7, "clara", 6, reply_to=3, kind="service"),  # not used, yet leads to the topic
        message(8, "anna", 7, reply_to=7),
        message(9, "clara", 8),  # outside of topics
        message(10, "bot", 9),
        message(11, "bot", 10, reply_to=8),
    ]
    found = [*records_of(said)]
    assert [(each.topic, each.answers) for each in found] == [
        *((None, "last turn"), ("1", "last turn"), ("1", "reply"), ("2", "reply")),
    ]
    assert shown(found) == [
        *("clara:9 bot*:10", "anna:3 bot*:5", "anna:3 bot*:5 anna:8 bot*:11", "boris:4 bot*:6"),
    ]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("anna# bot", ["anna:[фото] bot*:2"]),
        ("anna bot# anna bot", ["anna:1 anna:3 bot*:4"]),  # the persona says no placeholder
        ("anna bot# bot", ["anna:1 bot*:3"]),
        ("anna bot#", []),
        ("anna bot# anna bot>2", ["bot*:4"]),
    ],
)
def test_placeholders_are_in_turns_of_others_alone(script: str, expected: list[str]) -> None:
    assert shown(records_of(talk(script))) == expected


def test_a_persona_of_several_ids_is_one() -> None:
    found = records_of(talk("anna bot old anna old"), frozenset(["bot", "old"]))
    assert shown(found) == ["anna:1 bot*:2,3", "anna:1 bot*:2,3 anna:4 bot*:5"]


def test_a_topic_is_told_in_any_order_and_without_its_first_entry() -> None:
    opened = message(1, "anna", kind="service", text="", opens_topic=True)
    said = [message(n, ("boris", "bot")[n % 2], n, reply_to=1) for n in range(2, 8)]
    said += [message(8, "clara", 8), message(9, "bot", 9)]
    wanted = ["boris:2 bot*:3", "bot*:3 boris:4 bot*:5", "bot*:5 boris:6 bot*:7"]
    for messages in ([opened, *said], [*said, opened], said):
        assert shown(records_of(messages, most=2)) == ["clara:8 bot*:9", *wanted][:4]


def test_chats_of_two_accounts_with_the_same_person_stay_apart() -> None:
    first, second = talk("anna bot anna bot"), talk("- anna bot anna bot anna bot>5")
    with closing(Scratch(Path(":memory:"))) as scratch:
        for number, messages in enumerate((first, second)):
            scratch.add(Filters().usable(messages), number)
        scratch.finish()
        places = [[turn.lines[0].id for _, turn in place] for place in scratch.join(Conversation())]
    assert places == [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize("what", [{"forwarded": True}, {"via_bot": True}, {"text": "а" * 3000}])
def test_what_is_not_learned_is_answered(what: dict[str, Any]) -> None:
    said = [message(1, "anna"), message(2, "boris", 1, **what), message(3, "bot", 2, reply_to=2)]
    (record,) = records_of(said)
    assert record.answers == "reply"
    assert record.turns[-2].messages == (said[1].text,)


def test_comments_under_a_channels_post_have_the_post_as_context() -> None:
    post: dict[str, Any] = {"chat": COMMENTS, "forwarded": True}
    said = [
        message(1, "channel1", **post),
        message(2, "channel1", 1, **post),
        message(3, "anna", 2, reply_to=2, chat=COMMENTS),
        message(4, "bot", 3, reply_to=1, chat=COMMENTS),
        message(5, "bot", 4, reply_to=3, chat=COMMENTS),
        message(6, "anna", 5, chat=COMMENTS, forwarded=True),  # a person's forward is answered
        message(7, "bot", 6, reply_to=6, chat=COMMENTS),
    ]
    assert shown(records_of(said)) == [
        *(
            "channel1:1,2 bot*:4",
            "channel1:1,2 anna:3 bot*:5",
            "anna:3 bot*:4 bot*:5 anna:6 bot*:7",
        ),
    ]
    assert shown(records_of(said[:4], frozenset(["channel1"]))) == []  # they are not its own here


def test_a_channels_posts_are_a_turn_each() -> None:
    news = Chat("5", "News", "public_channel")
    posts = [message(n, "channel1", 30 * n, chat=news) for n in range(1, 4)]
    said = shown(records_of(posts, frozenset(["channel1"])))
    assert said == ["channel1*:1", "channel1*:2", "channel1*:3"]


def test_a_message_of_long_ago_is_found_by_its_id() -> None:
    script = "anna " + "boris clara " * CACHED_TURNS + f"- boris bot>1 clara bot>{CACHED_TURNS}"
    first, second = records_of(talk(script))
    answered = [each.turns[-2].messages for each in (first, second)]
    assert answered == [("1",), (str(CACHED_TURNS),)]


def test_a_message_counts_once_and_messages_are_in_order_of_time() -> None:
    said = talk("anna boris bot")
    with closing(Scratch(Path(":memory:"))) as scratch:
        scratch.add(Filters().usable([*said, *said[1:]]))
        scratch.add(Filters().usable([*said, message(1, chat=COMMENTS)]), 1)
        assert (scratch.count("messages"), scratch.dropped()) == (4, {"twice": 5})
    assert shown(records_of(reversed(said))) == ["anna:1 boris:2 bot*:3"]


words = st.builds(
    "{}{}{}".format,
    st.sampled_from(["anna", "boris", "bot"]),
    st.sampled_from(["", "", "#"]),
    st.sampled_from(["", "", ">1", ">2", ">3", ">5", ">8", ">13"]),
)
scripts = st.lists(words | st.just("-"), min_size=1, max_size=25).map(" ".join)


@given(scripts, st.integers(1, 5))
@example("bot# bot - bot>1", 1)
def test_an_explicitly_answered_message_is_in_the_last_turn_before_the_answer(
    script: str, most: int
) -> None:
    said = {each.id: each for each in talk(script)}
    for record in records_of(said.values(), most=most):
        before = record.turns[:-1]
        assert len(before) <= most
        assert all(turn.is_persona == (turn.speaker == pseudonym("bot")) for turn in record.turns)
        assert not any("[фото]" in turn.messages for turn in record.turns if turn.is_persona)
        reply_to = said[int(record.id.rpartition("-")[2])].reply_to
        assert (record.answers == "nothing") == (not before)
        if record.answers == "reply":
            answered = said[reply_to or 0]
            # a picture of the persona's own is not in its turn, what it said with that is
            own = answered.sender == "bot" and not answered.text
            assert own or (answered.text or answered.media) in before[-1].messages
