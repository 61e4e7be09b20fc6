"""The job from export to data set: what is written, counted, and kept out of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from contracts.conversation import CONTEXT_TURNS
from contracts.dataset import CARD, HELDOUT, TRAIN, WHOLE_CHAT, read_card, read_records
from contracts.refusal import Refusal
from extraction_jobs.messages import ForgetList
from extraction_jobs.personas import pseudonym
from extraction_jobs.report import REPORT
from tests.extraction_jobs.conftest import IDS, MIXED, UNUSABLE, Entry, Save, built, chat, entry

EITHER = pytest.mark.parametrize("persona", ["Anna", WHOLE_CHAT])


def answers(folder: Path) -> list[tuple[str, ...]]:
    return [record.turns[-1].messages for record in read_records(folder / TRAIN)]


def test_a_named_personas_data_set(save: Save, output: Path) -> None:
    card = built(output, "Anna", save(MIXED))
    assert [
        [turn.messages for turn in record.turns] for record in read_records(output / TRAIN)
    ] == [
        [("hi",), ("hello, Boris",)],
        [("a photo",)],
    ]
    assert read_card(output) == card
    assert (card.messages_used, card.persona_messages, card.train_records) == (7, 2, 2)
    assert card.dropped == UNUSABLE
    assert card.messages_read == 14 == card.messages_used + sum(card.dropped.values())
    assert card.answers == {"last turn": 1, "nothing": 1}
    assert card.persona == pseudonym(f"user{IDS['Anna']}")


def test_a_whole_chats_data_set(save: Save, output: Path) -> None:
    card = built(output, WHOLE_CHAT, save(MIXED))
    said = [("hi",), ("hello, Boris",), ("who is there?",), ("we are",), ("nobody?",), ("a photo",)]
    assert answers(output) == said  # and no sticker
    assert read_card(output) == card
    assert card.whole_chat
    assert (card.messages_used, card.persona_messages, card.train_records) == (7, 6, 6)
    assert card.dropped == UNUSABLE


@EITHER
def test_one_message_of_the_persona_is_enough_and_the_card_warns(
    save: Save, output: Path, persona: str
) -> None:
    card = built(output, persona, save(chat(entry(text="alone"))))
    assert answers(output) == [("alone",)]
    assert (card.persona_messages, card.train_records, card.heldout_records) == (1, 1, 0)
    assert [warning.split(":")[0] for warning in card.warnings] == [
        "1 persona turns",
        "nothing is held out to measure by",
        "1 of 1 answers stand alone",
    ]


def test_the_same_export_gives_the_same_files(save: Save, tmp_path: Path) -> None:
    first, second = (built(tmp_path / name, "Anna", save(MIXED)) for name in ("first", "second"))
    assert first == second
    for name in (TRAIN, HELDOUT, CARD):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_of_several_inputs_the_same_message_counts_once(save: Save, output: Path) -> None:
    entries = [entry(number, ("Boris", "Anna")[number % 2]) for number in range(10)]
    (other := output.with_name("other")).mkdir()
    first = save(chat(*entries[:6])).rename(other / "result.json")
    card = built(output, "Anna", first, save(chat(*entries[4:])))
    assert (card.messages_read, card.messages_used, card.dropped) == (12, 10, {"twice": 2})
    assert set(card.inputs) == {"result.json", "result.json (2)"}
    assert answers(output) == [(f"message {number}",) for number in range(1, 10, 2)]


def test_the_rules_of_the_conversation_are_those_of_the_bot_file(save: Save, output: Path) -> None:
    said = [entry(n, ("Boris", "Clara", "Anna")[n % 3], minute=3 * n) for n in range(6)]
    said.append(entry(6, "Anna", minute=17))
    lengths = []
    changes: list[dict[str, Any]] = [{}, {"context_turns": 1}]
    for rules in (*changes, {"pause_minutes": 2}, {"burst_minutes": 1}):
        card = built(output, "Anna", save(chat(*said)), **rules)
        lengths.append([len(record.turns) for record in read_records(output / TRAIN)])
        assert card.context_turns == rules.get("context_turns", CONTEXT_TURNS)
    assert lengths == [[3, 3], [2, 2], [1, 1], [3, 3, 1]]


@pytest.fixture
def account() -> Entry:
    """Twelve talks in each of two chats of the same people."""
    names = ("Boris", "Clara", "Anna")

    def said(start: int) -> Iterator[Entry]:
        for number in range(36):
            minute = start + 1000 * (number // 3) + number % 3
            yield entry(number, names[number % 3], f"text {number}", minute=minute)

    group = chat(*said(0), name="Secret kitchen")
    private = chat(*said(500), name="Boris", type="personal_chat", id=5012345672)
    return {"chats": {"list": [group, private]}}


@EITHER
def test_no_name_or_id_of_a_sender_is_in_the_data_set(
    save: Save, account: Entry, output: Path, persona: str
) -> None:
    card = built(output, persona, save(account))
    assert card.train_records
    assert card.heldout_records
    files = (TRAIN, HELDOUT, CARD)
    written = "".join((output / name).read_text(encoding="utf-8") for name in files)
    secrets = (*IDS, "Secret kitchen", *map(str, IDS.values()))
    assert [secret for secret in secrets if secret in written] == []


def test_a_sender_has_one_pseudonym_in_all_chats(save: Save, account: Entry, output: Path) -> None:
    card = built(output, "Anna", save(account))
    records = [*read_records(output / TRAIN), *read_records(output / HELDOUT)]
    turns = [turn for record in records for turn in record.turns]
    assert card.chats == 2
    assert len({turn.speaker for turn in turns}) == 3
    assert {turn.speaker for turn in turns if turn.is_persona} == {card.persona}


def test_private_items_are_replaced_and_counted_by_kind(save: Save, output: Path) -> None:
    card = built(output, "Anna", save(chat(entry(1, "Anna", "пиши: anna@ya.ru или i@ya.ru"))))
    assert answers(output) == [("пиши: [почта] или [почта]",)]
    assert card.replaced == {"email": 2}
    assert "ya.ru" not in json.dumps(card.model_dump(mode="json"))


def test_an_owner_who_asked_to_be_forgotten_is_refused(save: Save, output: Path) -> None:
    said = [entry(1, "Boris"), entry(2, "Anna"), entry(3, "Boris")]
    account = {"personal_information": {"user_id": IDS["Anna"]}, "chats": {"list": [chat(*said)]}}
    assert built(output, "auto", save(account)).persona == pseudonym(f"user{IDS['Anna']}")
    listed = ForgetList(ids=frozenset([f"user{IDS['Anna']}"]))
    with pytest.raises(Refusal, match="asked to be forgotten"):
        built(output, "auto", save(account), forget_list=listed)


def test_whole_chat_without_anything_usable_is_refused(save: Save, output: Path) -> None:
    with pytest.raises(Refusal, match=r"nothing to learn from in 1 messages \(bot_command 1"):
        built(output, WHOLE_CHAT, save(chat(entry(text="/start"))))
    assert not (output / CARD).exists()


def test_a_refused_export_leaves_the_data_set_that_was_there(save: Save, output: Path) -> None:
    built(output, WHOLE_CHAT, save(chat(entry(text="good"))))
    before = (output / TRAIN).read_bytes()
    with pytest.raises(Refusal):
        built(output, WHOLE_CHAT, save(chat(entry(text="/start"))))
    assert (output / TRAIN).read_bytes() == before
    assert {path.name for path in output.iterdir()} == {TRAIN, HELDOUT, CARD, REPORT}


def test_a_folder_that_cannot_be_made_or_written_is_refused_and_nothing_is_left(
    save: Save, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    export = save(MIXED)
    with pytest.raises(Refusal, match=r"cannot be made \(Not a directory\)"):
        built(export / "dataset", "Anna", export)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Refusal, match=r"cannot write the data set \(No space left"):
        built(output, "Anna", export)
    assert list(output.iterdir()) == []
