"""Turns to token ids: the one renderer of prompts, for training and for serving.

`turns-1`: an `other` turn is its messages joined by newlines, then eos; a persona turn is bos, its
messages, eos. Generation starts after bos and stops at eos.
`plain`: a line a message; the answer is the next line, without marks of who speaks, and stops at
a newline.

Each turn is encoded by itself. `encode` must treat the text of special tokens as plain text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from contracts.turn import Turn, single_line

BOS, EOS = "<s>", "</s>"
"""The marks of turns, as in ruGPT3's vocabulary."""

Encode = Callable[[str], list[int]]


class PromptFormat(StrEnum):
    TURNS_1 = "turns-1"
    PLAIN = "plain"

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """Return the strings that end a reply; in turns-1 eos ends it."""
        return ("\n",) if self is PromptFormat.PLAIN else ()


@dataclass(frozen=True)
class Vocabulary:
    """What the renderer needs from a tokenizer: its encoder and the ids of `<s>` and `</s>`."""

    encode: Encode
    bos: int
    eos: int

    @classmethod
    def of(cls, tokenizer: Any) -> "Vocabulary":
        """Return a view of a tokenizer of the library `tokenizers`; a mark that it lacks is 0."""
        tokenizer.encode_special_tokens = True  # the words "</s>" in a message are just words
        bos, eos = (tokenizer.token_to_id(mark) or 0 for mark in (BOS, EOS))
        return cls(
            lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids), bos, eos
        )


@dataclass(frozen=True)
class Rendered:
    """Token ids, whether there is loss on each, and how many of the newest turns they render.

    cut  the newest turn alone was over the budget, and these are its last tokens
    """

    ids: list[int]
    loss_mask: list[bool]
    turns_used: int
    cut: bool = False


def _turn_ids(turn: Turn, fmt: PromptFormat, words: Vocabulary) -> tuple[list[int], list[bool]]:
    if fmt is PromptFormat.PLAIN:
        ids = words.encode(turn.text + "\n")
        return ids, [turn.is_persona] * len(ids)
    ids = [*words.encode(turn.text), words.eos]
    if not turn.is_persona:
        return ids, [False] * len(ids)
    return [words.bos, *ids], [False] + [True] * len(ids)


def render(turns: Sequence[Turn], fmt: PromptFormat, words: Vocabulary, budget: int) -> Rendered:
    """Render the newest turns that fit into `budget` tokens; older ones are dropped whole.

    The loss mask covers the persona's tokens: the text of its turns and their ends.
    """
    ids: list[int] = []
    loss_mask: list[bool] = []
    for used, turn in enumerate(reversed(turns)):
        turn_ids, turn_mask = _turn_ids(turn, fmt, words)
        if len(ids) + len(turn_ids) > budget:
            if used == 0 and budget > 0:
                return Rendered(turn_ids[-budget:], turn_mask[-budget:], 1, cut=True)
            return Rendered(ids, loss_mask, used)
        ids[:0], loss_mask[:0] = turn_ids, turn_mask
    return Rendered(ids, loss_mask, len(turns))


def render_prompt(
    turns: Sequence[Turn], fmt: PromptFormat, words: Vocabulary, budget: int
) -> Rendered:
    """Render the turns that the persona answers and, in turns-1, the bos of its own turn."""
    if fmt is PromptFormat.PLAIN:
        return render(turns, fmt, words, budget)
    history = render(turns, fmt, words, budget - 1)
    return replace(history, ids=[*history.ids, words.bos], loss_mask=[*history.loss_mask, False])


def reply_messages(text: str, fmt: PromptFormat) -> list[str]:
    """Split generated text into messages: one a line, and in `plain` the first line alone."""
    lines = [line for part in text.split("\n") if (line := single_line(part))]
    return lines[:1] if fmt is PromptFormat.PLAIN else lines
