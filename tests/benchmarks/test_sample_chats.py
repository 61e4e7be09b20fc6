"""The phrase banks, and the sample chats that are composed of them."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.sample_chats.__main__ import KEPT, composed
from benchmarks.sample_chats.bank import Bank

BANK = """
slots:
  thing: [борщ/борща, чай/чая]
themes:
  - name: love
    asks: ["любишь {thing}?", a2, a3, a4, a5, a6, a7, a8]
    answers: ["{Thing}, и // без {thing.2} никак", a2, a3, a4, a5, a6, a7, a8]
    follow:
      - asks: [b1, b2, b3, b4, b5, b6]
        answers: [b1, b2, b3, b4, b5, b6, b7, b8]
"""


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    path = tmp_path / "bank.yaml"
    path.write_text(BANK, encoding="utf-8")
    return Bank(path, Random(1))


def test_a_slot_keeps_its_value_in_an_exchange_and_bursts_are_split(bank: Bank) -> None:
    drawn = [bank.exchange(reserved=False) for _ in range(200)]
    answers = {tuple(sides[1]) for sides in drawn if sides[0] == ["любишь борщ?"]}
    assert ("Борщ, и", "без борща никак") in answers
    assert not any("чай" in text.casefold() for answer in answers for text in answer)
    assert {len(sides) for sides in drawn} == {2, 4}


def test_reserved_phrases_stand_nowhere_else(bank: Bank) -> None:
    def said(reserved: bool, number: int) -> set[str]:
        drawn = [bank.exchange(reserved) for _ in range(200)]
        return {text for sides in drawn for text in sides[number]}

    for number in (0, 1):
        assert said(True, number) == {"a5"}
        assert "a5" not in said(False, number)


@pytest.mark.parametrize("bot", ["avtobus", "polkson"])
def test_the_kept_chats_are_what_the_banks_make(bot: str) -> None:
    assert (KEPT / f"{bot}.json").read_text(encoding="utf-8") == composed(bot)
