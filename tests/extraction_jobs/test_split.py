"""A data set's two files: the later records are held out; equal answers are thinned."""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.dataset import HELDOUT, TRAIN, Record, read_records
from contracts.turn import Role, Turn
from extraction_jobs.split import HELDOUT_MESSAGES, MIN_HELDOUT, MOST_EQUAL, Split, write_split
from tests.extraction_jobs.conftest import drafted

START = datetime(2025, 1, 1, tzinfo=UTC)


def record(
    number: int, hour: float | None = None, said: Iterable[str] = (), chat: str = "chat-1"
) -> Record:
    """The persona's answer of two messages, or of those given, to a question of an hour before."""
    at = START + timedelta(hours=number if hour is None else hour)
    ask = Turn(speaker="anna", role=Role.OTHER, messages=("hello?",), at=at - timedelta(hours=1))
    messages = tuple(said) or (f"answer {number}", "yes")
    answer = Turn(speaker="bot", role=Role.PERSONA, messages=messages, at=at)
    return Record(id=str(number), chat=chat, turns=(ask, answer))


Parts = tuple[Split, list[Record], list[Record]]


def split(
    folder: Path, records: Iterable[Record], share: float, dropped: Counter[str] | None = None
) -> Parts:
    dropped = Counter() if dropped is None else dropped
    with closing(sqlite3.connect(":memory:")) as scratch:
        written = write_split(folder, scratch, map(drafted, records), share, dropped)
    return written, list(read_records(folder / TRAIN)), list(read_records(folder / HELDOUT))


@pytest.mark.parametrize(
    ("count", "share", "heldout"),
    [
        *((10, 0.1, 1), (10, 0.5, 5), (11, 0.1, 1), (100, 0.25, 25)),
        *((MIN_HELDOUT - 1, 0.5, 0), (10, 0.05, 1), (100, 0.0, 0), (1, 0.1, 0), (0, 0.1, 0)),
        # at least so many messages where there are ten times as many; a record has two here
        (5 * HELDOUT_MESSAGES, 0.01, HELDOUT_MESSAGES // 2),
        (5 * HELDOUT_MESSAGES - 1, 0.01, 2),
        (5 * HELDOUT_MESSAGES, 0.0, 0),
    ],
)
def test_the_latest_share_is_held_out_unless_records_are_few(
    tmp_path: Path, count: int, share: float, heldout: int
) -> None:
    records = [record(number) for number in range(count)]
    cut = count - heldout
    found, *parts = split(tmp_path, records, share)
    assert parts == [records[:cut], records[cut:]]
    assert found.split_at == (records[cut].turns[-1].at if heldout else None)


def test_the_share_is_of_messages_and_not_of_records(tmp_path: Path) -> None:
    said = {18: "aaaa", 19: "aaa"}  # of 20 + 2 + 3 messages the latest
    records = [record(number, said=said.get(number, "a")) for number in range(20)]
    assert [len(split(tmp_path, records, share)[2]) for share in (0.1, 0.2, 0.3)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("sizes", "heldout"),
    [
        ([3] * 168, 51),  # at least 50 where there are 500, also in turns of three
        ([3] * 39 + [20], 20),  # at least the latest
        ([3] * 10 + [32], 0),  # but not more than half
        ([1] * 99 + [12], 12),
    ],
)
def test_the_messages_that_are_held_out_are_counted(
    tmp_path: Path, sizes: list[int], heldout: int
) -> None:
    records = [record(number, said="a" * size) for number, size in enumerate(sizes)]
    found, _, late = split(tmp_path, records, 0.05)
    assert found.heldout_messages == sum(len(each.turns[-1].messages) for each in late) == heldout


@settings(deadline=None, max_examples=50)
@given(hours=st.lists(st.integers(0, 100), min_size=10, max_size=40), share=st.floats(0.0, 0.5))
def test_what_is_held_out_is_later_than_all_that_is_trained_on(
    tmp_path_factory: pytest.TempPathFactory, hours: list[int], share: float
) -> None:
    records = [record(number, hour) for number, hour in enumerate(hours)]
    found, train, heldout = split(tmp_path_factory.getbasetemp(), records, share)
    assert train
    assert sorted(train + heldout, key=records.index) == records
    ends = [[kept.turns[-1].at for kept in part] for part in (train, heldout)]
    assert all(early < late for early in ends[0] for late in ends[1] if early and late)
    later = [at for at in ends[1] if at != found.split_at]  # ties are held out with the earliest
    assert len(later) <= len(records) * share


@pytest.mark.parametrize(("latest", "trained"), [(8, 8), (0, 12)])
def test_records_of_one_moment_stay_on_one_side(tmp_path: Path, latest: int, trained: int) -> None:
    records = [record(number, hour=min(number, latest)) for number in range(12)]
    _, *parts = split(tmp_path, records, 0.1)
    assert [len(part) for part in parts] == [trained, 12 - trained]


def test_a_record_without_times_counts_as_early(tmp_path: Path) -> None:
    turn = Turn(speaker="bot", role=Role.PERSONA, messages=("hi",))
    untimed = Record(id="x", chat="chat-1", turns=(turn,))
    _, train, heldout = split(tmp_path, [*map(record, range(9)), untimed], 0.11)
    assert (untimed in train, len(heldout)) == (True, 1)


def test_equal_answers_are_thinned_in_the_train_part_and_counted(tmp_path: Path) -> None:
    ways = ["Yes!", "yes", "YES..."]  # equal but for case and punctuation
    records = [record(number, said=[ways[number % 3]]) for number in range(36)]
    records += [record(36 + number, said=["!" * (number + 1)]) for number in range(2)]  # no words
    records += [record(40, said=["yes"]), record(41, said=["no"])]
    dropped = Counter[str]()
    found, train, heldout = split(tmp_path, records, 0.05, dropped)
    assert train == [*records[:MOST_EQUAL], *records[36:38]]
    assert heldout == records[38:]
    assert dropped == {"repeated_answer": 36 - MOST_EQUAL}
    assert (found.persona_messages, found.distinct_answers) == (40, 4)


def test_what_stands_word_for_word_in_the_train_part_is_counted(tmp_path: Path) -> None:
    said = ["один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "Два!", "девять"]
    records = [record(number, said=[text]) for number, text in enumerate(said)]
    found, _, heldout = split(tmp_path, records, 0.3)
    assert (found.heldout_repeated, found.heldout_records, len(heldout)) == (1, 3, 3)


def test_what_was_written_is_counted(tmp_path: Path) -> None:
    second = record(2, chat="chat-2").model_copy(update={"answers": "reply"})
    found, _, _ = split(tmp_path, [record(1), second], 0.1)
    assert (found.train_records, found.heldout_records, found.split_at) == (2, 0, None)
    assert (found.chats, found.persona_messages, found.distinct_answers) == (2, 4, 2)
    assert found.answers == {"last turn": 1, "reply": 1}


def test_the_hash_tells_data_sets_and_divisions_apart(tmp_path: Path) -> None:
    def hashed(count: int, share: float) -> str:
        return split(tmp_path, map(record, range(count)), share)[0].sha256

    assert hashed(10, 0.1) == hashed(10, 0.1)
    assert len({hashed(10, 0.1), hashed(11, 0.1), hashed(10, 0.5)}) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [HELDOUT, TRAIN]
