"""People who asked not to be learned from are left out, and counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.dataset import TRAIN, WHOLE_CHAT, read_records
from contracts.forget import Forgotten, append
from contracts.refusal import Refusal
from extraction_jobs.build_dataset import build, forgotten_senders
from extraction_jobs.config import ExtractionConfig
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
    forgotten = forgotten_senders(list_of(tmp_path, "Boris"))
    card = build("polkson", WHOLE, save(three), output, forgotten)
    assert card.dropped["forgotten"] == 2
    assert texts(output) <= {"message 2", "message 3", "message 5"}


def test_where_there_are_no_ids_they_are_left_out_by_name(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    for each in three["messages"]:
        del each["from_id"]
    forgotten = forgotten_senders(list_of(tmp_path, "Boris"))
    assert build("polkson", WHOLE, save(three), output, forgotten).dropped["forgotten"] == 2


def test_a_namesake_with_an_id_is_not_forgotten(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    path = tmp_path / "forget.jsonl"
    append(path, Forgotten(user_id=1, names=("Boris",), at=1.0))
    card = build("polkson", WHOLE, save(three), output, forgotten_senders(path))
    assert "forgotten" not in card.dropped


def test_a_persona_who_asked_to_be_forgotten_is_refused(
    save: Save, three: Entry, output: Path, tmp_path: Path
) -> None:
    forgotten = forgotten_senders(list_of(tmp_path, "Anna"))
    with pytest.raises(Refusal, match="asked to be forgotten"):
        build("polkson", NAMED, save(three), output, forgotten)
