"""A data set's two files: the later records are held out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.dataset import HELDOUT, TRAIN, Record, read_records
from contracts.turn import Role, Turn
from extraction_jobs.split import MIN_HELDOUT, write_split

START = datetime(2025, 1, 1, tzinfo=UTC)


def record(number: int, hour: float | None = None, chat: str = "chat-1") -> Record:
    """Anna asks twice, the persona answers within the hour."""
    started = START + timedelta(hours=number if hour is None else hour)
    ask = Turn(speaker="anna", role=Role.OTHER, messages=("hello?", "here?"), at=started)
    answer = Turn(
        speaker="bot",
        role=Role.PERSONA,
        messages=(f"answer {number}", "yes"),
        at=started + timedelta(minutes=5),
    )
    return Record(id=str(number), chat=chat, started_at=started, turns=(ask, answer))


def split(folder: Path, records: list[Record], share: float) -> tuple[list[Record], list[Record]]:
    write_split(folder, records, share, whole_chat=False)
    return list(read_records(folder / TRAIN)), list(read_records(folder / HELDOUT))


@pytest.mark.parametrize(
    ("count", "share", "heldout"),
    [
        *((10, 0.1, 1), (10, 0.5, 5), (11, 0.1, 1), (100, 0.25, 25)),
        *((MIN_HELDOUT - 1, 0.5, 0), (10, 0.05, 0), (100, 0.0, 0), (1, 0.1, 0), (0, 0.1, 0)),
    ],
)
def test_the_latest_share_is_held_out_unless_records_are_few(
    tmp_path: Path, count: int, share: float, heldout: int
) -> None:
    records = [record(number) for number in range(count)]
    cut = count - heldout
    assert split(tmp_path, records, share) == (records[:cut], records[cut:])


@settings(deadline=None, max_examples=50)
@given(
    hours=st.lists(st.integers(0, 500), min_size=10, max_size=40, unique=True),
    share=st.floats(0.0, 0.5),
)
def test_what_is_held_out_is_later_than_all_that_is_trained_on(
    tmp_path_factory: pytest.TempPathFactory, hours: list[int], share: float
) -> None:
    records = [record(number, hour) for number, hour in enumerate(hours)]
    train, heldout = split(tmp_path_factory.getbasetemp(), records, share)
    assert sorted(train + heldout, key=records.index) == records
    assert len(heldout) == int(len(records) * share)
    ends = [[kept.turns[-1].at for kept in part] for part in (train, heldout)]
    assert all(early < late for early in ends[0] for late in ends[1] if early and late)


@pytest.mark.parametrize(("latest", "trained"), [(8, 8), (0, 12)])
def test_records_of_one_moment_stay_on_one_side(tmp_path: Path, latest: int, trained: int) -> None:
    records = [record(number, hour=min(number, latest)) for number in range(12)]
    assert [len(part) for part in split(tmp_path, records, 0.1)] == [trained, 12 - trained]


def test_a_record_without_times_counts_as_early(tmp_path: Path) -> None:
    turn = Turn(speaker="bot", role=Role.PERSONA, messages=("hi",))
    untimed = Record(id="x", chat="chat-1", turns=(turn,))
    train, heldout = split(tmp_path, [*map(record, range(9)), untimed], 0.1)
    assert (untimed in train, len(heldout)) == (True, 1)


@pytest.mark.parametrize(
    ("whole_chat", "messages", "persona_messages"), [(False, 8, 4), (True, 4, 4)]
)
def test_what_was_written_is_counted(
    tmp_path: Path, whole_chat: bool, messages: int, persona_messages: int
) -> None:
    records = [record(1), record(2, chat="chat-2")]
    written = write_split(tmp_path, records, 0.1, whole_chat)
    assert (written.train_records, written.heldout_records, written.split_at) == (2, 0, None)
    assert (written.messages_used, written.persona_messages) == (messages, persona_messages)
    assert written.distinct_persona_messages == 3  # "yes" twice
    assert written.chats == 2


def test_the_hash_tells_data_sets_and_divisions_apart_and_no_scratch_file_stays(
    tmp_path: Path,
) -> None:
    def hashed(count: int, share: float) -> str:
        return write_split(tmp_path, map(record, range(count)), share, whole_chat=False).sha256

    assert hashed(10, 0.1) == hashed(10, 0.1)
    assert len({hashed(10, 0.1), hashed(11, 0.1), hashed(10, 0.5)}) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [HELDOUT, TRAIN]


def test_no_scratch_file_stays_after_an_error(tmp_path: Path) -> None:
    def broken() -> Iterator[Record]:
        yield record(1)
        raise OSError("the export went away")

    with pytest.raises(OSError, match="went away"):
        write_split(tmp_path, broken(), 0.1, whole_chat=False)
    assert list(tmp_path.iterdir()) == []
