"""Filters: every message either passes or is counted, once, under the first reason that holds."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extraction_jobs.messages import FILTERS, MAX_CHARACTERS, Message, usable

REASONS = [
    ("service", {"kind": "service"}),
    ("unsupported", {"kind": "unsupported"}),
    ("no_sender", {"sender": None}),
    ("forwarded", {"forwarded": True}),
    ("via_bot", {"via_bot": True}),
    ("no_text", {"text": ""}),
    ("no_text", {"text": " \n\t\x0b "}),
    ("bot_command", {"text": "/start"}),
    ("too_long", {"text": "a" * (MAX_CHARACTERS + 1)}),
]


@pytest.mark.parametrize(("reason", "fields"), REASONS)
def test_an_unusable_message_is_counted_under_its_reason(
    message: Callable[..., Message], reason: str, fields: dict[str, Any]
) -> None:
    dropped: Counter[str] = Counter()
    assert list(usable([message(**fields)], dropped)) == []
    assert dropped == {reason: 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "hello"},
        {"text": "a" * MAX_CHARACTERS},
        {"text": "either/or"},
        {"text": "🙂"},
        {"sender_name": None},
        {"reply_to": 5},
    ],
)
def test_a_message_that_somebody_wrote_passes(
    message: Callable[..., Message], fields: dict[str, Any]
) -> None:
    dropped: Counter[str] = Counter()
    assert list(usable([message(**fields)], dropped)) == [message(**fields)]
    assert not dropped


def test_the_table_of_reasons_knows_every_filter() -> None:
    assert {reason for reason, _ in REASONS} == {reason for reason, _ in FILTERS}


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["message", "service", "unsupported", "news"]),
                "sender": st.sampled_from([None, "user1"]),
                "text": st.sampled_from(["", "/help", "hi", "a" * (MAX_CHARACTERS + 1)]),
                "forwarded": st.booleans(),
                "via_bot": st.booleans(),
            }
        )
    )
)
def test_a_message_with_many_faults_is_counted_once(
    message: Callable[..., Message], cases: list[dict[str, Any]]
) -> None:
    messages = [message(number, **fields) for number, fields in enumerate(cases)]
    dropped: Counter[str] = Counter()
    passed = list(usable(messages, dropped))
    assert len(passed) + dropped.total() == len(messages)
    assert passed == [message for message in messages if message in passed]
