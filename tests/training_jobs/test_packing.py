"""Packed blocks: what is learned from what, and that documents do not see each other."""

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import Record
from contracts.turn import Role, Turn
from tests.tiny_base import make_model
from training_jobs.language_model import LanguageModel
from training_jobs.packing import (
    IGNORED,
    Document,
    collate,
    pack,
    render_documents,
)


def _record(*turns: tuple[str, ...]) -> Record:
    """A record of turns, given as a role and messages each."""
    made = [Turn(speaker=role, role=Role(role), messages=said) for role, *said in turns]
    return Record(id="1", chat="c", turns=tuple(made))


@pytest.fixture(scope="module")
def base() -> LanguageModel:
    return make_model(["Привет, как дела? Хорошо, а у тебя?"] * 5)


TALK = _record(
    ("other", "Привет"),
    ("persona", "О, привет", "как дела"),
    ("other", "Хорошо"),
    ("persona", "Ну и славно"),
)
LONG_ANSWER = _record(("other", "Привет"), ("persona", "очень длинно " * 40))
LONG_BEFORE = _record(("persona", "старое " * 8), ("other", "ну"), ("persona", "да"))


def _learned(base: LanguageModel, document: Document) -> str:
    """The text with a loss, `|` for the end of a turn."""
    pairs = zip(document.ids, document.loss_mask, strict=True)
    ids = [token for token, flag in pairs if flag]
    text = base.tokenizer.decode(ids, skip_special_tokens=False)
    return str(text).replace("<s>", "").replace("</s>", "|")


@pytest.mark.parametrize(
    ("record", "budget", "learned_and_left_out"),
    [
        (TALK, 256, (["Ну и славно|"], 0)),
        (_record(("persona", "О, привет", "как дела")), 256, (["О, привет\nкак дела|"], 0)),
        (LONG_BEFORE, 40, (["да|"], 0)),
        (LONG_ANSWER, 32, ([], 1)),
    ],
)
def test_loss_is_on_the_answer_alone(
    base: LanguageModel, record: Record, budget: int, learned_and_left_out: object
) -> None:
    documents, left_out = render_documents([record], base.vocabulary, budget)
    assert ([_learned(base, each) for each in documents], left_out) == learned_and_left_out
    assert all(len(each.ids) <= budget for each in documents)


def test_of_a_long_question_the_end_is_learned_from(base: LanguageModel) -> None:
    long = _record(("persona", "старое"), ("other", "слово " * 40 + "придёшь?"), ("persona", "да"))
    [document], _ = render_documents([long], base.vocabulary, 24)
    assert len(document.ids) == 24
    assert "придёшь?</s><s>да</s>" in base.tokenizer.decode(document.ids, skip_special_tokens=False)


SIZES = st.lists(st.integers(2, 16), min_size=1)


@given(SIZES, st.integers(0, 5))
def test_packing_keeps_every_document_once_in_an_order_of_the_seed_and_overfills_no_block(
    sizes: list[int], seed: int
) -> None:
    documents = [Document([number] * size, [True] * size) for number, size in enumerate(sizes)]
    blocks = pack(documents, 16, Random(seed))
    assert blocks == pack(documents, 16, Random(seed))
    assert all(sum(len(each.ids) for each in block) <= 16 for block in blocks)
    assert sorted(each.ids[0] for block in blocks for each in block) == list(range(len(sizes)))


def test_another_seed_packs_in_another_order() -> None:
    documents = [Document([number] * 2, [True] * 2) for number in range(40)]
    assert pack(documents, 8, Random(1)) != pack(documents, 8, Random(2))


def test_packed_documents_do_not_see_each_other(base: LanguageModel) -> None:
    records = [TALK, _record(("persona", "Хорошо"))]
    (talk, short), _ = render_documents(records, base.vocabulary, 256)
    size = 2 * len(talk.ids) + len(short.ids) + 5
    rows = [[talk, short, talk], [short, talk]]
    packed = collate(rows, size, base.vocabulary.eos)
    base.model.train(False)
    with torch.no_grad():
        logits = base.model(**packed.inputs).logits
        for row, documents in enumerate(rows):
            start = 0
            for document in documents:
                alone = base.model(input_ids=torch.tensor([document.ids]), use_cache=False).logits
                together = logits[row : row + 1, start : start + len(document.ids)]
                torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
                start += len(document.ids)


def test_nothing_predicts_a_documents_first_token() -> None:
    documents = [Document([5, 6, 7], [True] * 3), Document([8, 9], [True] * 2)]
    batch = collate([documents], 8, pad=2)
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 9, 2, 2, 2]]
    assert batch.labels.tolist() == [[IGNORED, 6, 7, IGNORED, 9, IGNORED, IGNORED, IGNORED]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 0, 1, 2]]
