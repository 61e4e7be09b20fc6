"""Records to packed blocks: several documents share a block and do not see each other.

They stay apart because positions restart with each document, no attention mask is given and no
cache is used: transformers then builds the block-diagonal mask itself (a test compares logits).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

import torch
from torch import Tensor

from contracts.dataset import Record
from contracts.prompt import PromptFormat, Rendered, Vocabulary, render
from contracts.turn import Turn

IGNORED = -100
"""Label of a token on which there is no loss, as in PyTorch."""


@dataclass(frozen=True)
class Document:
    """Token ids and, for each, whether there is loss on it."""

    ids: list[int]
    loss_mask: list[bool]


@dataclass(frozen=True)
class Examples:
    """Documents to learn from, and how many records were too long to be one whole answer."""

    documents: list[Document]
    skipped: int


def documents(
    records: Iterable[Record], words: Vocabulary, budget: int, last_turn_only: bool, all_turns: bool
) -> Examples:
    """Render records in turns-1; a session longer than `budget` tokens gives several windows."""
    made: list[Document] = []
    skipped = 0
    for record in records:
        windows = _windows(record.turns, words, budget)
        for rendered, said in islice(windows, 1) if last_turn_only else windows:
            if rendered.cut:
                skipped += 1
                continue
            mask = rendered.loss_mask
            if last_turn_only:
                tail = len(render(said[-1:], PromptFormat.TURNS_1, words, budget).ids)
                mask = [False] * (len(mask) - tail) + mask[-tail:]
            elif all_turns:
                mask = [False] + [True] * (len(mask) - 1)
            made.append(Document(rendered.ids, mask))
    return Examples(made, skipped)


def _windows(
    turns: Sequence[Turn], words: Vocabulary, budget: int
) -> Iterator[tuple[Rendered, Sequence[Turn]]]:
    """Windows from the newest back, each ending in a persona turn, none overlapping."""
    end = len(turns)
    while end > 0:
        rendered = render(turns[:end], PromptFormat.TURNS_1, words, budget)
        yield rendered, turns[:end]
        end -= rendered.turns_used
        while end > 0 and not turns[end - 1].is_persona:
            end -= 1


@dataclass(frozen=True)
class Batch:
    """Three tensors of shape (blocks, block_tokens)."""

    input_ids: Tensor
    position_ids: Tensor
    labels: Tensor

    @property
    def tokens(self) -> int:
        return self.input_ids.numel()

    def to(self, device: torch.device) -> "Batch":
        parts = (self.input_ids, self.position_ids, self.labels)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


def pack(docs: Sequence[Document], block_tokens: int, order: Random) -> list[list[Document]]:
    """Shuffle the documents and fill blocks first-fit, looking at the last few open ones."""
    shuffled = list(docs)
    order.shuffle(shuffled)
    blocks: list[list[Document]] = []
    open_blocks: list[tuple[int, list[Document]]] = []
    for doc in shuffled:
        for place, (room, block) in enumerate(open_blocks):
            if len(doc.ids) <= room:
                block.append(doc)
                open_blocks[place] = (room - len(doc.ids), block)
                break
        else:
            block = [doc]
            blocks.append(block)
            open_blocks = [*open_blocks[-31:], (block_tokens - len(doc.ids), block)]
    return blocks


def collate(blocks: Sequence[Sequence[Document]], block_tokens: int, pad: int) -> Batch:
    """Tensors of the blocks; padding is a document of its own, without loss."""
    shape = (len(blocks), block_tokens)
    input_ids = torch.full(shape, pad, dtype=torch.long)
    position_ids = torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED, dtype=torch.long)
    for row, block in enumerate(blocks):
        start = 0
        for doc in block:
            end = start + len(doc.ids)
            ids = torch.tensor(doc.ids)
            input_ids[row, start:end] = ids
            position_ids[row, start:end] = torch.arange(len(doc.ids))
            mask = torch.tensor([False, *doc.loss_mask[1:]])  # nothing predicts a first token
            labels[row, start:end] = torch.where(mask, ids, IGNORED)
            start = end
        position_ids[row, start:] = torch.arange(block_tokens - start)
    return Batch(input_ids, position_ids, labels)


def batches(
    docs: Sequence[Document], block_tokens: int, tokens_per_step: int, pad: int, order: Random
) -> Iterator[Batch]:
    """One epoch of batches of about `tokens_per_step` tokens."""
    blocks = pack(docs, block_tokens, order)
    size = max(1, tokens_per_step // block_tokens)
    for start in range(0, len(blocks), size):
        yield collate(blocks[start : start + size], block_tokens, pad)


def grouped(docs: Sequence[Document], block_tokens: int, tokens_at_once: int) -> list[Batch]:
    """run_clm's blocks: the documents one after another, cut anywhere, all tokens with a loss.

    What does not fill a block is left out, unless it is all there is.
    """
    ids = torch.tensor([token for doc in docs for token in doc.ids], dtype=torch.long)
    length = min(block_tokens, len(ids))
    if length < 2:
        return []
    blocks = ids[: len(ids) // length * length].view(-1, length)
    places = torch.arange(length).expand_as(blocks)
    rows = max(1, tokens_at_once // length)
    return [
        Batch(
            blocks[start : start + rows], places[start : start + rows], blocks[start : start + rows]
        )
        for start in range(0, len(blocks), rows)
    ]
