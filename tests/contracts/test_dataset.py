"""Records and the card survive the disk; what is broken is refused by line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.dataset import CARD as CARD_FILE
from contracts.dataset import Card, Record, dataset_sha256, read_card, read_records
from contracts.files import write_model
from contracts.refusal import Refusal
from contracts.turn import Role, Turn, single_line

OTHER = Turn(speaker="boris", role=Role.OTHER, messages=("как дела?",))
PERSONA = Turn(speaker="anna", role=Role.PERSONA, messages=("норм", "а ты?"))
RECORD = Record(id="1", chat="друзья", turns=(OTHER, PERSONA))
CARD = Card(
    bot="avtobus",
    persona="anna",
    context_turns=4,
    chats=1,
    messages_read=10,
    messages_used=8,
    persona_messages=4,
    distinct_answers=3,
    answers={"reply": 2, "last turn": 1},
    train_records=2,
    heldout_records=1,
    heldout_repeated=1,
    split_at=datetime(2024, 5, 1, tzinfo=UTC),
    dropped={"служебное": 2},
    repaired={"unreadable_date": 1},
    replaced={"phone": 1},
    inputs={"result.json": "abc"},
    sha256="def",
    warnings=("мало реплик",),
)

names = st.text(max_size=10) | st.sampled_from(["a\nb", "\u2028", "😀", "\\u0000"])
times = st.none() | st.datetimes(timezones=st.just(UTC))
turns = st.builds(
    Turn,
    speaker=names,
    role=st.sampled_from(Role),
    messages=st.lists(names.filter(single_line), min_size=1, max_size=3).map(tuple),
    at=times,
)
records = st.builds(
    Record,
    id=names,
    chat=names,
    topic=st.none() | names,
    started_at=times,
    answers=st.sampled_from(["reply", "last turn", "nothing"]),
    turns=st.lists(turns, max_size=3).map(lambda before: (*before, PERSONA)),
)


@given(st.lists(records, max_size=4))
def test_records_survive_the_disk(
    tmp_path_factory: pytest.TempPathFactory, written: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("dataset") / "train.jsonl"
    path.write_text("".join(record.to_line() for record in written), encoding="utf-8")
    assert list(read_records(path)) == written


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        RECORD.model_dump_json()[:-1],
        RECORD.model_dump_json().replace('"v":2', '"v":1'),
        RECORD.model_dump_json().replace('"v":2', '"w":2'),
        RECORD.model_dump_json().replace('"persona"', '"other"'),
    ],
)
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.jsonl"
    good = RECORD.model_dump_json()
    path.write_text(f"{good}\n{good}\n{line}\n{good}\n", encoding="utf-8")
    with pytest.raises(Refusal) as refused:
        list(read_records(path))
    assert str(refused.value).startswith(f"{path}, line 3: no record v2; extract again")


@pytest.mark.parametrize("turns", [(), (OTHER,), (PERSONA, OTHER)])
def test_a_record_must_end_in_a_persona_turn(turns: tuple[Turn, ...]) -> None:
    with pytest.raises(ValidationError):
        Record(id="1", chat="друзья", turns=turns)
    assert Record(id="1", chat="друзья", turns=(*turns, PERSONA)).turns[-1] is PERSONA


def test_missing_records_and_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="missing; build the data set first"):
        list(read_records(tmp_path / "none" / "train.jsonl"))
    with pytest.raises(Refusal, match="missing; build the data set first"):
        dataset_sha256(tmp_path)
    (tmp_path / "train.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(Refusal, match="not UTF-8"):
        list(read_records(tmp_path / "train.jsonl"))


def test_the_card_survives_the_disk_in_readable_letters_and_may_have_more_fields(
    tmp_path: Path,
) -> None:
    write_model(tmp_path / CARD_FILE, CARD)
    assert read_card(tmp_path) == CARD
    assert "служебное" in (tmp_path / "dataset.json").read_text(encoding="utf-8")
    assert not CARD.whole_chat
    assert CARD.model_copy(update={"persona": "whole-chat"}).whole_chat
    later = CARD.model_dump_json().removesuffix("}") + ', "mood": "good"}'
    (tmp_path / "dataset.json").write_text(later, encoding="utf-8")
    assert read_card(tmp_path) == CARD


@pytest.mark.parametrize("folder", ["none", "empty", "file"])
def test_a_folder_without_a_card_is_no_data_set(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(Refusal, match="no data set here"):
        read_card(tmp_path / folder)


@pytest.mark.parametrize("text", ["", "{}", CARD.model_dump_json().replace('"v":2', '"v":1')])
def test_a_broken_card_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    with pytest.raises(Refusal, match=str(tmp_path / "dataset.json")):
        read_card(tmp_path)
