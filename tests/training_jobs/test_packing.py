"""Packed blocks: what is learned from what, and that documents do not see each other."""

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import Record
from contracts.turn import Role, Turn
from training_jobs.base import Base, make_base
from training_jobs.packing import IGNORED, Document, batches, collate, documents, pack


def _turn(role: str, *messages: str) -> Turn:
    return Turn(speaker=role, role=Role(role), messages=messages)


def _record(*turns: Turn) -> Record:
    return Record(id="1", chat="c", turns=turns)


@pytest.fixture(scope="module")
def base() -> Base:
    return make_base(["Привет, как дела? Хорошо, а у тебя?"] * 5, seed=1)


TALK = _record(
    _turn("other", "Привет"),
    _turn("persona", "О, привет", "как дела"),
    _turn("other", "Хорошо"),
    _turn("persona", "Ну и славно"),
)


def _learned(base: Base, doc: Document) -> str:
    """The text on which there is loss, `|` for the end of a turn."""
    ids = [token for token, flag in zip(doc.ids, doc.loss_mask, strict=True) if flag]
    pieces: list[list[int]] = [[]]
    for token in ids:
        pieces[-1].append(token) if token != base.words.eos else pieces.append([])
    return "|".join(base.tokenizer.decode(piece) for piece in pieces)


@pytest.mark.parametrize(
    ("last_only", "learned"),
    [
        (False, "О, привет\nкак дела|Ну и славно|"),
        (True, "Ну и славно|"),
    ],
)
def test_loss_is_on_what_is_asked_for(base: Base, last_only: bool, learned: str) -> None:
    [doc] = documents([TALK], base.words, 256, last_only, all_turns=False).documents
    assert _learned(base, doc) == learned


def test_a_long_record_of_a_whole_chat_is_learned_once(base: Base) -> None:
    record = _record(_turn("persona", "старое " * 8), _turn("other", "ну"), _turn("persona", "да"))
    made = documents([record], base.words, 40, last_turn_only=True, all_turns=False).documents
    assert [_learned(base, doc) for doc in made] == ["да|"]


def test_loss_on_all_turns_leaves_out_only_the_first_token(base: Base) -> None:
    [doc] = documents([TALK], base.words, 256, False, all_turns=True).documents
    assert doc.loss_mask == [False] + [True] * (len(doc.ids) - 1)


def test_a_long_session_gives_windows_that_each_end_in_a_persona_turn(base: Base) -> None:
    long = _record(*(TALK.turns * 12))
    made = documents([long], base.words, 60, last_turn_only=False, all_turns=False)
    assert len(made.documents) > 3
    assert all(len(doc.ids) <= 60 and doc.loss_mask[-1] for doc in made.documents)
    learned = sum(_learned(base, doc).count("славно") for doc in made.documents)
    assert learned == 12


def test_an_answer_longer_than_a_block_is_left_out_and_counted(base: Base) -> None:
    record = _record(_turn("other", "Привет"), _turn("persona", "очень длинно " * 40))
    made = documents([record], base.words, 32, last_turn_only=False, all_turns=False)
    assert (made.documents, made.skipped) == ([], 1)


DOCS = st.lists(
    st.integers(2, 16).map(lambda size: Document(list(range(size)), [True] * size)), min_size=1
)


@given(DOCS, st.integers(0, 5))
def test_packing_keeps_every_document_once_and_no_block_overflows(
    docs: list[Document], seed: int
) -> None:
    blocks = pack(docs, 16, Random(seed))
    assert all(sum(len(doc.ids) for doc in block) <= 16 for block in blocks)
    packed = sorted(len(doc.ids) for block in blocks for doc in block)
    assert packed == sorted(len(doc.ids) for doc in docs)


def test_packed_documents_do_not_see_each_other(base: Base) -> None:
    docs = documents([TALK] * 3, base.words, 256, False, True).documents
    other = documents([_record(_turn("persona", "Хорошо"))], base.words, 256, False, True).documents
    size = sum(len(doc.ids) for doc in [*docs, *other]) + 5
    packed = collate([[docs[0], other[0], docs[1]], [other[0], docs[2]]], size, base.words.eos)
    base.model.train(False)
    with torch.no_grad():
        logits = base.model(
            input_ids=packed.input_ids, position_ids=packed.position_ids, use_cache=False
        ).logits
        for row, start, doc in (
            (0, 0, docs[0]),
            (0, len(docs[0].ids), other[0]),
            (0, len(docs[0].ids) + len(other[0].ids), docs[1]),
            (1, len(other[0].ids), docs[2]),
        ):
            alone = base.model(input_ids=torch.tensor([doc.ids]), use_cache=False).logits[0]
            together = logits[row, start : start + len(doc.ids)]
            torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_nothing_predicts_a_documents_first_token() -> None:
    docs = [Document([5, 6, 7], [True, True, True]), Document([8, 9], [True, True])]
    batch = collate([docs], 8, pad=2)
    assert batch.labels.tolist() == [[IGNORED, 6, 7, IGNORED, 9, IGNORED, IGNORED, IGNORED]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 0, 1, 2]]


def test_an_epoch_has_every_document_once_in_an_order_that_the_seed_tells() -> None:
    docs = [Document([number, number], [True, True]) for number in range(3, 40)]
    runs = [
        [batch.input_ids.flatten().tolist() for batch in batches(docs, 8, 16, 2, Random(seed))]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]
    seen = sorted(token for batch in runs[0] for token in batch if token != 2)
    assert seen == sorted(token for doc in docs for token in doc.ids)
