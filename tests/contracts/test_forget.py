"""The list of people who asked to be forgotten: appended, read, cut short, broken, newer."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contracts.clock import HOUR
from contracts.forget import Forgotten, append, read, waiting_since
from contracts.refusal import Refusal

NINA = Forgotten(user_id=7, names=("Нина", "nina_k"), at=2.0)
BORIS = Forgotten(user_id=8, at=1.0)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "forget" / "forget.jsonl"
    assert read(path) == []
    append(path, BORIS)
    append(path, NINA)
    assert read(path) == [BORIS, NINA]


def nina(at: float, *names: str) -> Forgotten:
    return Forgotten(user_id=7, names=names, at=at)


def test_who_asks_again_and_again_has_two_entries(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    for second in range(20):
        append(path, nina(HOUR + second, f"Нина {second % 2}"))
    boris = Forgotten(user_id=8, at=HOUR + 100)
    append(path, boris)
    append(path, nina(2 * HOUR, "Ниночка"))
    assert path.read_text().count("\n") == 3
    assert read(path) == [boris, nina(2 * HOUR, "Нина 0", "Нина 1", "Ниночка")]


def test_a_broken_line_outlives_another_entry(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    path.write_text("[7]\n")
    append(path, NINA)
    assert path.read_text().startswith("[7]\n{")


@pytest.mark.parametrize(("until", "since"), [(0.0, 10.0), (10.0, 20.0), (19.9, 20.0), (20.0, 0.0)])
def test_who_asked_first_waits_and_who_asks_again_is_left_out_already(
    tmp_path: Path, until: float, since: float
) -> None:
    path = tmp_path / "forget.jsonl"
    assert waiting_since(path, until) == 0.0
    for entry in (nina(10.0), Forgotten(user_id=8, at=20.0), nina(9 * HOUR)):
        append(path, entry)
    assert waiting_since(path, until) == since


def test_who_asked_before_a_build_and_again_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    append(path, nina(HOUR + 60))
    append(path, nina(HOUR + 3000))
    assert waiting_since(path, until=HOUR + 60) == 0.0


def test_a_clock_that_was_ahead_hides_nobody_who_asks_later(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    append(path, nina(80_000.0))
    until = read(path)[-1].at
    append(path, Forgotten(user_id=8, at=7200.0))
    assert waiting_since(path, until) > until
    assert read(path)[-1].at > until


LINE = NINA.model_dump_json().encode()


@pytest.mark.parametrize("length", range(len(LINE)))
def test_a_line_cut_short_anywhere_spoils_no_other(tmp_path: Path, length: int) -> None:
    path = tmp_path / "forget.jsonl"
    append(path, BORIS)
    path.write_bytes(path.read_bytes() + LINE[:length])
    assert read(path) == [BORIS]
    append(path, NINA)
    assert read(path) == [BORIS, NINA]


def test_a_line_that_lacks_only_its_end_is_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    path.write_bytes(LINE)
    assert read(path) == [NINA]
    append(path, later := Forgotten(user_id=8, at=3.0))
    assert read(path) == [NINA, later]


def test_entries_written_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    people = [Forgotten(user_id=number, at=1.0) for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda person: append(path, person), people))
    assert sorted(person.user_id for person in read(path)) == list(range(64))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ('{"v":1,"user_', "entry: Invalid JSON"),
        ('{"v": 1, "user_id": "Nina", "at": 1}', "user_id: "),
        ('{"v": 0, "user_id": 7, "at": 1}', "v: "),
        ("[7]", "entry: "),
        ('{"v": 2, "person": "Nina"}', "v: 2 is newer"),
    ],
)
def test_a_broken_line_is_refused_by_its_number_and_not_quoted(
    tmp_path: Path, broken: str, says: str
) -> None:
    path = tmp_path / "forget.jsonl"
    path.write_text(f"{LINE.decode()}\n\n{broken}\n{LINE.decode()}\n", encoding="utf-8")
    with pytest.raises(Refusal) as refused:
        read(path)
    assert f"{path}, line 3: {says}" in str(refused.value)
    assert "Nina" not in str(refused.value)


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "forget.jsonl"
    path.write_text('{"v": 1, "user_id": 7, "at": 1.0, "why": "new"}\n')
    assert read(path) == [Forgotten(user_id=7, at=1.0)]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=str(tmp_path)):
        read(tmp_path)
