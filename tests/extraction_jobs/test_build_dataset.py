"""The job from export to data set: what is written, counted, and kept out of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from contracts.dataset import CARD, HELDOUT, TRAIN, WHOLE_CHAT, read_card, read_records
from contracts.refusal import Refusal
from extraction_jobs.build_dataset import ExtractionConfig, build
from extraction_jobs.messages import FILTERS
from tests.extraction_jobs.conftest import IDS, MIXED, Entry, Save, chat, entry

NAMED, WHOLE = ExtractionConfig(persona="Anna"), ExtractionConfig(persona=WHOLE_CHAT)


UNUSABLE = {reason: 1 for reason, _ in FILTERS}


def test_a_named_personas_data_set(save: Save, output: Path) -> None:
    card = build("polkson", NAMED, save(MIXED), output)
    records = list(read_records(output / TRAIN))
    assert [[turn.messages for turn in record.turns] for record in records] == [
        [("hi",), ("hello, Boris",)],
        [("a photo",)],
    ]
    assert read_card(output) == card
    assert (card.messages_used, card.persona_messages, card.train_records) == (3, 2, 2)
    assert card.dropped == UNUSABLE | {"after_last_persona_turn": 2, "session_without_persona": 1}
    assert card.messages_read == 14 == card.messages_used + sum(card.dropped.values())


def test_a_whole_chats_data_set(save: Save, output: Path) -> None:
    card = build("avtobus", WHOLE, save(MIXED), output)
    answers = [record.turns[-1].messages for record in read_records(output / TRAIN)]
    assert answers == [("hello, Boris",), ("who is there?",), ("we are",)]
    assert read_card(output) == card
    assert card.whole_chat
    assert (card.messages_used, card.persona_messages, card.train_records) == (3, 3, 3)
    assert card.dropped.items() >= UNUSABLE.items()


def test_in_a_whole_chat_only_what_opens_a_session_is_neither_used_nor_dropped(
    save: Save, output: Path
) -> None:
    asked = [entry(number, "Boris", minute=1000 * number) for number in range(5)]
    answered = [entry(10 + number, minute=1000 * number + 1) for number in range(5)]
    pairs = [message for pair in zip(asked, answered, strict=True) for message in pair]
    others = entry(20, text="/start"), entry(21, "Boris", minute=9000)  # a command, unanswered
    card = build("avtobus", WHOLE, save(chat(*pairs, *others)), output)
    openings, dropped = 5, sum(card.dropped.values())
    assert (card.messages_read, dropped) == (12, 2)
    assert card.messages_read == openings + card.messages_used + dropped


@pytest.mark.parametrize("config", [NAMED, WHOLE], ids=["named", "whole-chat"])
def test_one_message_of_the_persona_is_enough_and_the_card_warns(
    save: Save, output: Path, config: ExtractionConfig
) -> None:
    card = build("polkson", config, save(chat(entry(text="alone"))), output)
    (record,) = read_records(output / TRAIN)
    assert [turn.messages for turn in record.turns] == [("alone",)]
    assert (card.persona_messages, card.train_records, card.heldout_records) == (1, 1, 0)
    assert [warning.split(":")[0] for warning in card.warnings] == [
        "only 1 persona messages",
        "too few records to hold any out",
    ]


def test_a_large_data_set_has_no_warning(save: Save, output: Path) -> None:
    entries = (entry(number, minute=61 * number) for number in range(300))
    assert build("polkson", NAMED, save(chat(*entries)), output).warnings == ()


def test_the_same_export_gives_the_same_files(save: Save, tmp_path: Path) -> None:
    first, second = (
        build("polkson", NAMED, save(MIXED), tmp_path / name) for name in ("first", "second")
    )
    assert first == second
    for name in (TRAIN, HELDOUT, CARD):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


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


@pytest.mark.parametrize("config", [NAMED, WHOLE], ids=["named", "whole-chat"])
def test_no_name_or_id_of_a_sender_is_in_the_data_set(
    save: Save, account: Entry, output: Path, config: ExtractionConfig
) -> None:
    card = build("polkson", config, save(account), output)
    assert card.train_records
    assert card.heldout_records
    files = (TRAIN, HELDOUT, CARD)
    written = "".join((output / name).read_text(encoding="utf-8") for name in files)
    secrets = (*IDS, "Secret kitchen", *map(str, IDS.values()))
    assert [secret for secret in secrets if secret in written] == []


def test_a_sender_has_one_pseudonym_in_all_chats(save: Save, account: Entry, output: Path) -> None:
    card = build("polkson", NAMED, save(account), output)
    records = [*read_records(output / TRAIN), *read_records(output / HELDOUT)]
    turns = [turn for record in records for turn in record.turns]
    assert card.chats == 2
    assert len({turn.speaker for turn in turns}) == 3
    assert {turn.speaker for turn in turns if turn.is_persona} == {card.persona}


def test_whole_chat_without_anything_usable_is_refused(save: Save, output: Path) -> None:
    with pytest.raises(Refusal, match=r"nothing usable.*'bot_command': 1"):
        build("avtobus", WHOLE, save(chat(entry(text="/start"))), output)
    assert not (output / CARD).exists()


def test_a_refused_export_leaves_the_data_set_that_was_there(save: Save, output: Path) -> None:
    build("avtobus", WHOLE, save(chat(entry(text="good"))), output)
    before = (output / TRAIN).read_bytes()
    with pytest.raises(Refusal):
        build("avtobus", WHOLE, save(chat(entry(text="/start"))), output)
    assert (output / TRAIN).read_bytes() == before


def test_a_folder_that_cannot_be_made_or_written_is_refused_and_nothing_is_left(
    save: Save, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    export = save(MIXED)
    with pytest.raises(Refusal, match=r"cannot be made \(Not a directory\)"):
        build("polkson", NAMED, export, export / "dataset")
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Refusal, match=r"cannot write the data set \(No space left"):
        build("polkson", NAMED, export, output)
    assert list(output.iterdir()) == []
