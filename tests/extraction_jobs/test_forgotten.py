"""People who asked not to be learned from are left out, and counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.dataset import CARD, TRAIN, WHOLE_CHAT, read_records
from contracts.forget import Forgotten, append
from contracts.refusal import Refusal
from extraction_jobs.build_dataset import ExtractionConfig, build
from extraction_jobs.messages import ForgetList
from tests.extraction_jobs.conftest import IDS

Entry = dict[str, Any]
Save = Callable[[object], Path]
NAMED, WHOLE = ExtractionConfig(persona="Anna"), ExtractionConfig(persona=WHOLE_CHAT)


@pytest.fixture
def three(chat: Callable[..., Entry], entry: Callable[..., Entry]) -> Entry:
    """Boris asks twice, Anna answers, Clara and Boris come in between."""
    names = ["Boris", "Anna", "Clara", "Boris", "Anna"]
    return chat(*(entry(number, name) for number, name in enumerate(names, 1)))


def list_of(tmp_path: Path, *names: str) -> Path:
    path = tmp_path / "forget.jsonl"
    for name in names:
        append(path, Forgotten(user_id=IDS.get(name, 1), names=(name,), at=1.0))
    return path


def texts(folder: Path) -> set[str]:
    records = read_records(folder / TRAIN)
    return {text for each in records for turn in each.turns for text in turn.messages}


def test_the_forgotten_are_left_out_by_id(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    forgotten = ForgetList.read(list_of(tmp_path, "Boris"))
    card = build("polkson", WHOLE, save(three), output, forgotten)
    assert card.dropped["forgotten"] == 2
    assert texts(output) <= {"message 2", "message 3", "message 5"}


def test_where_there_are_no_ids_they_are_left_out_by_name(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    for each in three["messages"]:
        del each["from_id"]
    forgotten = ForgetList.read(list_of(tmp_path, "Boris"))
    assert build("polkson", WHOLE, save(three), output, forgotten).dropped["forgotten"] == 2


def test_a_namesake_with_an_id_is_not_forgotten(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    path = tmp_path / "forget.jsonl"
    append(path, Forgotten(user_id=1, names=("Boris",), at=1.0))
    card = build("polkson", WHOLE, save(three), output, ForgetList.read(path))
    assert "forgotten" not in card.dropped


def test_a_persona_who_asked_to_be_forgotten_is_refused(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    forgotten = ForgetList.read(list_of(tmp_path, "Anna"))
    with pytest.raises(Refusal, match="persona 'Anna' asked to be forgotten"):
        build("polkson", NAMED, save(three), output, forgotten)
    assert not output.exists()


def test_the_most_talkative_sender_who_asked_to_be_forgotten_is_refused(
    save: Save, chat: Callable[..., Entry], entry: Callable[..., Entry],
    output: Path, tmp_path: Path,
) -> None:  # fmt: skip
    talk = chat(entry(1, "Boris"), entry(2, "Anna"), entry(3, "Boris"))
    forgotten = ForgetList.read(list_of(tmp_path, "Boris"))
    with pytest.raises(Refusal, match="the most talkative sender asked to be forgotten"):
        build("polkson", ExtractionConfig(), save(talk), output, forgotten)


def test_a_persona_known_by_name_alone_is_refused(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    for each in three["messages"]:
        del each["from_id"]
    with pytest.raises(Refusal, match="asked to be forgotten"):
        build("polkson", NAMED, save(three), output, ForgetList.read(list_of(tmp_path, "Anna")))


def test_numeric_ids_of_old_exports_are_known(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    for each in three["messages"]:
        each["from_id"] = IDS[each["from"]]
    forgotten = ForgetList.read(list_of(tmp_path, "Boris"))
    assert build("polkson", NAMED, save(three), output, forgotten).dropped["forgotten"] == 2


def test_a_name_that_looks_like_an_id_forgets_nobody_else(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    path = tmp_path / "forget.jsonl"
    names = tuple(f"user{number}" for number in IDS.values())
    append(path, Forgotten(user_id=1, names=names, at=1.0))
    card = build("polkson", NAMED, save(three), output, ForgetList.read(path))
    assert "forgotten" not in card.dropped


def test_an_answer_to_a_forgotten_message_stays_and_answers_nothing(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    three["messages"][4]["reply_to_message_id"] = 1
    build("polkson", NAMED, save(three), output, ForgetList.read(list_of(tmp_path, "Boris")))
    (record,) = read_records(output / TRAIN)
    assert record.turns[-1].messages == ("message 5",)
    assert record.turns[-1].reply_to is None


def test_the_card_tells_which_list_was_used_and_names_nobody(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    export, path = save(three), list_of(tmp_path)
    cards = [build("polkson", NAMED, export, output, ForgetList.read(path))]
    for name in ("Boris", "Clara"):
        list_of(tmp_path, name)
        cards.append(build("polkson", NAMED, export, output, ForgetList.read(path)))
    lists = [card.inputs.get("forget.jsonl") for card in cards]
    assert lists[0] is None
    assert len(set(lists)) == 3
    assert cards[2].dropped["forgotten"] == 3
    assert "Boris" not in (output / CARD).read_text(encoding="utf-8")
