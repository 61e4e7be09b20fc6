"""The list of people who asked to be forgotten: appended, read, cut short, newer."""

from pathlib import Path

import pytest

from contracts.forget import Forgotten, append, read
from contracts.refusal import Refusal

NINA = Forgotten(user_id=7, names=("Нина", "nina_k"), at=1.0)
BORIS = Forgotten(user_id=8, at=2.0)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "forget" / "forget.jsonl"
    assert read(path) == []
    append(path, NINA)
    append(path, BORIS)
    assert read(path) == [NINA, BORIS]


def test_a_line_cut_short_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    append(path, NINA)
    path.write_bytes(path.read_bytes() + b'{"v":1,"user_')
    append(path, BORIS)
    assert read(path) == [NINA, BORIS]


def test_an_entry_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    append(path, NINA.model_copy(update={"v": 2}))
    with pytest.raises(Refusal, match="entry 1 is of version 2"):
        read(path)


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    path.write_text('{"v": 1, "user_id": 7, "at": 1.0, "why": "new"}\n')
    assert read(path) == [Forgotten(user_id=7, at=1.0)]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=str(tmp_path)):
        read(tmp_path)
