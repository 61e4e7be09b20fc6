"""Phrase banks: slots, bursts, and the order in which themes and phrases are drawn."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from contracts.refusal import BadValue
from extraction_jobs.sample_chats import bank as bank_module
from extraction_jobs.sample_chats.bank import Bank, Exchange

Draw = Callable[..., list[Exchange]]

SLOTS = {
    "fruit": ["apple/apples", "plum/plums", "fig/figs"],
    "pie": ["{fruit} pie", "pie of {fruit.2}"],
    "city": ["Rome"],
}


def theme(ask: str, *answers: str, **more: Any) -> dict[str, Any]:
    return {"name": ask, "asks": [ask], "answers": list(answers or [ask]), **more}


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Exchanges drawn from a bank of these themes."""

    def exchanges(*themes: dict[str, Any], count: int = 30, reactions: float = 0) -> list[Exchange]:
        path = tmp_path / "bank.yaml"
        path.write_text(yaml.safe_dump({"slots": SLOTS, "themes": list(themes)}), encoding="utf-8")
        bank = Bank(path, Random(1))
        return [bank.exchange(reactions) for _ in range(count)]

    return exchanges


def said(exchanges: list[Exchange]) -> set[str]:
    return {exchange.sides[0][0] for exchange in exchanges}


@pytest.mark.parametrize(
    ("phrase", "spoken"),
    [
        ("no slot", {"no slot"}),
        ("a {fruit}", {"a apple", "a plum", "a fig"}),
        ("a {fruit.1}", {"a apple", "a plum", "a fig"}),
        ("{fruit.2}!", {"apples!", "plums!", "figs!"}),
        ("{Fruit}", {"Apple", "Plum", "Fig"}),
        ("{Fruit.2}", {"Apples", "Plums", "Figs"}),
        ("{fruit}: {fruit.2}", {"apple: apples", "plum: plums", "fig: figs"}),
        ("{city} {City}", {"Rome Rome"}),
    ],
)
def test_slots_are_filled_in_the_wanted_form(draw: Draw, phrase: str, spoken: set[str]) -> None:
    assert said(draw(theme(phrase))) == spoken


def test_a_slot_keeps_its_value_within_an_exchange_and_not_beyond(draw: Draw) -> None:
    assert said(draw(theme("{fruit}: {Pie}"), count=100)) == {
        f"{one}: {pie}"
        for one, many in (("apple", "apples"), ("plum", "plums"), ("fig", "figs"))
        for pie in (f"{one} pie".capitalize(), f"Pie of {many}")
    }
    exchanges = draw(theme("{fruit}", reactions=["{fruit}"], seconds=["{fruit}"]), reactions=1)
    for exchange in exchanges:
        assert len(exchange.sides) == 4
        assert {*exchange.sides, exchange.more} == {exchange.sides[0]}


def test_two_slashes_divide_a_burst(draw: Draw) -> None:
    (exchange,) = draw(theme("hi // there", "yes // and // no"), count=1)
    assert exchange.sides == (("hi", "there"), ("yes", "and", "no"))


BOTH = {"reactions": ["wow"], "seconds": ["so"]}


@pytest.mark.parametrize(
    ("share", "more", "sides"),
    [
        *((1, BOTH, {4}), (0, BOTH, {2}), (0.5, BOTH, {2, 4})),
        *((1, {"reactions": ["wow"]}, {2}), (1, {"seconds": ["so"]}, {2}), (1, {}, {2})),
    ],
)
def test_reactions_come_in_their_share_of_exchanges(
    draw: Draw, share: float, more: dict[str, Any], sides: set[int]
) -> None:
    exchanges = draw(theme("hi", **more), reactions=share)
    assert {len(exchange.sides) for exchange in exchanges} == sides


def test_another_answer_is_not_the_same_phrase(draw: Draw) -> None:
    for exchange in draw(theme("hi", "one", "two")):
        assert {exchange.sides[1], exchange.more} == {("one",), ("two",)}


def test_themes_are_drawn_by_weight(draw: Draw) -> None:
    exchanges = draw(theme("often", weight=3), theme("seldom"), count=2000)
    share = Counter(exchange.theme for exchange in exchanges)["often"] / 2000
    assert 0.7 < share < 0.8


def test_every_phrase_comes_before_any_comes_again(draw: Draw) -> None:
    asks = [f"ask {number}" for number in range(10)]
    exchanges = draw({"name": "t", "asks": asks, "answers": ["yes"]}, count=20)
    spoken = [exchange.sides[0][0] for exchange in exchanges]
    assert sorted(spoken[:10]) == sorted(spoken[10:]) == asks
    assert spoken[:10] != spoken[10:]


@pytest.mark.parametrize(
    ("themes", "key"),
    [
        ([], "themes"),
        ([theme("hi") | {"asks": []}], "themes.0.asks"),
        ([theme("hi") | {"answers": []}], "themes.0.answers"),
        ([theme("hi"), theme("ho", weight=0)], "themes.1.weight"),
        ([theme("hi", wieght=2)], "themes.0.wieght"),
        ([{"asks": ["hi"], "answers": ["ho"]}], "themes.0.name"),
    ],
)
def test_a_bad_bank_is_refused_by_key(draw: Draw, themes: list[dict[str, Any]], key: str) -> None:
    with pytest.raises(BadValue) as refusal:
        draw(*themes)
    assert refusal.value.problems[0][0] == key


@pytest.mark.parametrize("name", ["avtobus.yaml", "polkson.yaml"])
def test_every_slot_that_our_banks_use_has_the_form_wanted(name: str) -> None:
    content = yaml.safe_load((Path(bank_module.__file__).parent / name).read_text(encoding="utf-8"))
    slots: dict[str, list[str]] = content["slots"]

    def phrases() -> Iterator[str]:
        for values in slots.values():
            yield from values
        for parts in content["themes"]:
            for part in ("asks", "answers", "reactions", "seconds"):
                yield from parts.get(part, ())

    for phrase in phrases():
        for slot, form in re.findall(r"\{([^}.]*)\.?([^}]*)\}", phrase):
            values = slots.get(slot) or slots[slot[0].lower() + slot[1:]]
            assert all(len(value.split("/")) >= int(form or 1) for value in values), phrase
