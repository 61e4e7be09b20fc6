"""The warnings of a data set: what its figures mean for who wants a bot of it."""

from pathlib import Path
from typing import Any

import pytest

from contracts.dataset import Card
from extraction_jobs.advice import warnings
from tests.extraction_jobs.conftest import Save, built, chat, entry

GOOD: dict[str, Any] = {
    "messages_read": 9000,
    "answers": {"reply": 1000, "last turn": 1000, "nothing": 800},
    "long_answers": 300,
    "turns": 4000,
    "cut_turns": 800,
    "heldout_records": 280,
    "heldout_messages": 50,
    "heldout_repeated": 50,
    "repaired": {"repaired_json": 9000, "unreadable_id": 2000},
    "dropped": {"service": 3000, "forwarded": 900, "repeated_answer": 100},
}


@pytest.mark.parametrize(
    ("figures", "warning"),
    [
        ({}, None),
        (
            {"answers": {"reply": 290}, "long_answers": 0, "dropped": {}},
            "290 persona turns: expect it to repeat",
        ),
        (
            {"answers": {"reply": 312}, "long_answers": 0, "dropped": {}},
            "312 persona turns: expect its words, not its manner; 2,000 or more are better",
        ),
        ({"heldout_records": 0, "heldout_repeated": 0}, "nothing is held out to measure by"),
        ({"heldout_messages": 49}, "only 49 messages are held out"),
        ({"cut_turns": 900}, "900 of 4,000 turns are cut off at 32 messages: lessen burst_minutes"),
        ({"repaired": {"unreadable_date": 3000}}, "3,000 of 12,000 messages cannot be read: unre"),
        ({"repaired": {"too_large": 3000}}, "3,000 of 12,000 messages cannot be read: too_large"),
        ({"heldout_repeated": 150}, "150 of 280 answers held out stand word for word"),
        ({"answers": {"reply": 1000, "nothing": 1500}}, "1,500 of 2,500 answers stand alone"),
        ({"long_answers": 600}, "600 of 2,800 answers are longer than 500 characters"),
        ({"dropped": {"forwarded": 2000}}, "2,000 of 9,000 messages are not used: forwarded (`k"),
        ({"dropped": {"repeated_answer": 600}}, "600 of 2,800 answers are not used: repeated"),
    ],
)
def test_warnings_say_what_to_expect_or_to_do(figures: dict[str, Any], warning: str | None) -> None:
    given = [*warnings(Card.model_construct(**GOOD | figures))]
    assert [each.startswith(warning or "none") for each in given] == [True] * (warning is not None)


def test_much_that_is_lost_for_one_reason_is_warned_of(save: Save, output: Path) -> None:
    entries = [entry(number, minute=61 * number) for number in range(8)]
    forwards = [entry(10 + number) | {"forwarded_from": "News"} for number in range(3)]
    told = [
        built(output, "Anna", save(chat(*entries, *forwards[:most]))).warnings for most in (2, 3)
    ]
    assert [any("forwarded" in each for each in found) for found in told] == [False, True]


def test_a_held_out_part_that_measures_memory_alone_is_warned_of(save: Save, output: Path) -> None:
    texts = [*(f"text {number}" for number in range(18)), "Text 3!", "text 18"]
    warned = []
    for text in ("text 4", "text 19"):
        said = [entry(n, "Anna", each, 61 * n) for n, each in enumerate([*texts[:-1], text])]
        told = built(output, "Anna", save(chat(*said))).warnings
        warned.append(any("word for word" in each for each in told))
    assert warned == [True, False]
