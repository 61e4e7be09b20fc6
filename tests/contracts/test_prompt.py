"""One renderer for training and serving: reversible, masked exactly, within its budget.

The tokenizers are real; the texts are any, special-token text among them.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from contracts.prompt import (
    PromptFormat,
    Rendered,
    Vocabulary,
    render,
    render_prompt,
    reply_messages,
)
from contracts.turn import Role, Turn, single_line
from tests.tiny_base import train_tokenizer
from training_jobs.tokenizer import load_tokenizer

TURNS_1, PLAIN = PromptFormat.TURNS_1, PromptFormat.PLAIN
DEMO_BASE = Path(__file__).parents[2] / "training_jobs" / "demo_base"
CORPUS = ["привет, как дела?", "нормально, а у тебя как", "да тоже ничего", "ну пока, до завтра"]
AMPLE = 100_000
AWKWARD = [
    *("</s>", "<s>", "<pad>", "<unk>", "<mask>", "<|endoftext|>", "< /s>", "Ġ", "Ċ"),
    *("\n", "\r\n", "\u2028", "\u2029", "\x85", "\x00", "\ufeff", " "),
    *("😀", "👨‍👩‍👧‍👦", "🇷🇺", "и\u0306", "привет", "ё"),
]

texts = (
    st.lists(st.sampled_from(AWKWARD) | st.text(max_size=6), min_size=1, max_size=5)
    .map("".join)
    .filter(single_line)
)
turns_of_any_text = st.builds(
    Turn,
    speaker=st.just("anna"),
    role=st.sampled_from(Role),
    messages=st.lists(texts, min_size=1, max_size=3).map(tuple),
)
dialogues = st.lists(turns_of_any_text, min_size=1, max_size=5)
budgets = st.integers(1, 100)
thorough = settings(deadline=None, max_examples=60)


def other(*messages: str) -> Turn:
    return Turn(speaker="boris", role=Role.OTHER, messages=messages)


def persona(*messages: str) -> Turn:
    return Turn(speaker="anna", role=Role.PERSONA, messages=messages)


@pytest.fixture(scope="module", params=["trained here", "demo base"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return (
        train_tokenizer(CORPUS, 320)
        if request.param == "trained here"
        else load_tokenizer(DEMO_BASE)[0]
    )


@pytest.fixture(scope="module")
def words(tokenizer: Tokenizer) -> Vocabulary:
    return Vocabulary.of(tokenizer)


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


LETTERS = Vocabulary(letters, bos=-1, eos=-2)
"""A token a letter: for examples that a reader can count."""


def read_back(ids: list[int], tokenizer: Tokenizer, words: Vocabulary) -> list[tuple[Role, str]]:
    """Undo turns-1, knowing nothing but the ids of bos and eos."""
    found = []
    while ids:
        end = ids.index(words.eos)
        turn, ids = ids[:end], ids[end + 1 :]
        role = Role.PERSONA if turn[:1] == [words.bos] else Role.OTHER
        text = turn[1:] if role is Role.PERSONA else turn
        found.append((role, tokenizer.decode(text, skip_special_tokens=False)))
    return found


@thorough
@given(turns=dialogues)
def test_turns_1_is_read_back_exactly(
    tokenizer: Tokenizer, words: Vocabulary, turns: list[Turn]
) -> None:
    ids = render(turns, TURNS_1, words, AMPLE).ids
    found = read_back(ids, tokenizer, words)
    assert found == [(turn.role, turn.text) for turn in turns]
    assert [reply_messages(text, TURNS_1) for _, text in found] == [
        list(turn.messages) for turn in turns
    ]
    assert not {words.bos, words.eos} & set(render(turns, PLAIN, words, AMPLE).ids)


@thorough
@given(turns=dialogues)
def test_the_mask_covers_the_personas_text_and_eos_and_nothing_else(
    tokenizer: Tokenizer, words: Vocabulary, turns: list[Turn]
) -> None:
    rendered = render(turns, TURNS_1, words, AMPLE)
    marked = list(zip(rendered.ids, rendered.loss_mask, strict=True))
    assert (words.bos, True) not in marked
    for is_learned in (True, False):
        ids = [i for i, learned in marked if learned is is_learned and i != words.bos]
        assert [text for _, text in read_back(ids, tokenizer, words)] == [
            turn.text for turn in turns if turn.is_persona is is_learned
        ]


@pytest.mark.parametrize(
    ("fmt", "ids", "mask"),
    [
        (TURNS_1, [*letters("а\nб"), -2, -1, *letters("в"), -2], [False] * 5 + [True, True]),
        (PLAIN, letters("а\nб\nв\n"), [False] * 4 + [True, True]),
    ],
)
def test_an_example_of_each_format(fmt: PromptFormat, ids: list[int], mask: list[bool]) -> None:
    rendered = render([other("а", "б"), persona("в")], fmt, LETTERS, AMPLE)
    assert rendered == Rendered(ids, mask, turns_used=2, cut=False)


@thorough
@given(turns=dialogues)
def test_plain_is_a_line_a_message(
    tokenizer: Tokenizer, words: Vocabulary, turns: list[Turn]
) -> None:
    rendered = render(turns, PLAIN, words, AMPLE)
    learned = [i for i, on in zip(rendered.ids, rendered.loss_mask, strict=True) if on]
    lines = [f"{message}\n" for turn in turns for message in turn.messages]
    spoken = [f"{message}\n" for turn in turns if turn.is_persona for message in turn.messages]
    assert tokenizer.decode(rendered.ids, skip_special_tokens=False) == "".join(lines)
    assert tokenizer.decode(learned, skip_special_tokens=False) == "".join(spoken)


@pytest.mark.parametrize("fmt", PromptFormat)
@thorough
@given(turns=dialogues, answer=st.lists(texts, min_size=1, max_size=2))
def test_serving_asks_with_what_training_taught(
    words: Vocabulary, fmt: PromptFormat, turns: list[Turn], answer: list[str]
) -> None:
    prompt = render_prompt(turns, fmt, words, AMPLE)
    trained = render([*turns, persona(*answer)], fmt, words, AMPLE)
    start = len(prompt.ids)
    assert trained.ids[:start] == prompt.ids
    assert trained.loss_mask[:start] == prompt.loss_mask
    assert all(trained.loss_mask[start:])
    assert prompt.turns_used == len(turns)


@pytest.mark.parametrize("fmt", PromptFormat)
@thorough
@given(turns=dialogues, budget=budgets)
def test_oldest_turns_are_dropped_whole_to_keep_the_budget(
    words: Vocabulary, fmt: PromptFormat, turns: list[Turn], budget: int
) -> None:
    alone = [render([turn], fmt, words, AMPLE).ids for turn in turns]
    fitting = max(
        used
        for used in range(len(turns) + 1)
        if sum(map(len, alone[len(turns) - used :])) <= budget
    )
    rendered = render(turns, fmt, words, budget)
    assert len(rendered.loss_mask) == len(rendered.ids) <= budget
    assert rendered.cut is (fitting == 0)
    assert rendered.turns_used == max(fitting, 1)
    newest = [token for ids in alone[-rendered.turns_used :] for token in ids]
    assert rendered.ids == (newest[-budget:] if rendered.cut else newest)
    own = [words.bos] * (fmt is TURNS_1)  # a prompt has room for it
    prompt = render_prompt(turns, fmt, words, budget + len(own))
    assert (prompt.ids, len(prompt.loss_mask)) == (rendered.ids + own, len(prompt.ids))
    assert (prompt.turns_used, prompt.cut) == (rendered.turns_used, rendered.cut)


@pytest.mark.parametrize(
    ("budget", "text", "used", "cut"),
    [
        (12, "раз\nдва\nтри\n", 2, False),
        (11, "три\n", 1, False),
        (4, "три\n", 1, False),
        (3, "ри\n", 1, True),
        (0, "", 0, False),
    ],
)
def test_an_over_long_newest_turn_keeps_its_end(
    budget: int, text: str, used: int, cut: bool
) -> None:
    rendered = render([other("раз", "два"), persona("три")], PLAIN, LETTERS, budget)
    assert rendered.ids == letters(text)
    assert rendered.loss_mask == [False] * (len(text) - 4) + [True] * min(len(text), 4)
    assert (rendered.turns_used, rendered.cut) == (used, cut)


def test_no_turns_render_to_nothing_but_the_personas_bos_and_plain_stops_at_a_newline() -> None:
    assert (PLAIN.stop_strings, TURNS_1.stop_strings) == (("\n",), ())
    assert render([], TURNS_1, LETTERS, AMPLE).ids == []
    assert render_prompt([], TURNS_1, LETTERS, AMPLE).ids == [LETTERS.bos]
    assert render_prompt([], PLAIN, LETTERS, AMPLE).ids == []


@pytest.mark.parametrize(
    ("text", "in_turns_1", "in_plain"),
    [
        ("да", ["да"], ["да"]),
        ("да\nнет\n", ["да", "нет"], ["да"]),
        ("\n\n да \r\n\nнет", ["да", "нет"], ["да"]),
        ("да\u2028нет", ["да нет"], ["да нет"]),
        (" \n\u2028\n", [], []),
        ("", [], []),
    ],
)
def test_a_reply_is_a_message_a_line_and_one_in_plain(
    text: str, in_turns_1: list[str], in_plain: list[str]
) -> None:
    assert reply_messages(text, TURNS_1) == in_turns_1
    assert reply_messages(text, PLAIN) == in_plain
