"""Records to documents, and documents to packed blocks, in which none sees another.

record     an answer and what it answers, as the data set has it
document   a record rendered to token ids for training
block      documents side by side, `block_tokens` long
batch      blocks as tensors, for one pass over the model
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor

from contracts.dataset import Record
from contracts.prompt import PromptFormat, Vocabulary, render
from contracts.turn import Turn

IGNORED = -100
"""Label of a token without loss: cross_entropy leaves it out by default."""


@dataclass(frozen=True)
class Document:
    """Token ids and, for each, whether there is loss on it."""

    ids: list[int]
    loss_mask: list[bool]

    @property
    def loss_tokens(self) -> int:
        """Number of tokens with a loss; nothing predicts the first token."""
        return sum(self.loss_mask[1:])


Block = list[Document]


def render_documents(
    records: Iterable[Record], vocabulary: Vocabulary, budget: int
) -> tuple[list[Document], int]:
    """Return the records' documents, and how many records were left out since their answers alone
    are longer than `budget`.
    """
    found = [render_document(record.turns, vocabulary, budget) for record in records]
    documents = [document for document, is_cut in found if not is_cut]
    return documents, len(found) - len(documents)


def render_document(
    turns: Sequence[Turn], vocabulary: Vocabulary, budget: int
) -> tuple[Document, bool]:
    """Render turns in turns-1 with loss on the last, the answer, and say whether that is cut.

    As in prompts the oldest turns may not fit, and of the one that is answered the beginning.
    """
    answer = render(turns[-1:], PromptFormat.TURNS_1, vocabulary, budget)
    left = budget - len(answer.ids)
    before = render(turns[:-1], PromptFormat.TURNS_1, vocabulary, left).ids
    mask = [False] * len(before) + answer.loss_mask
    return Document([*before, *answer.ids], mask), answer.cut


class Batch(NamedTuple):
    """Three tensors of shape (blocks, block_tokens)."""

    input_ids: Tensor
    position_ids: Tensor
    labels: Tensor

    @property
    def inputs(self) -> dict[str, Any]:
        """The model's arguments.

        Given positions that restart with each document, no attention mask and no cache,
        transformers builds the block-diagonal mask that keeps documents apart.
        """
        ids, positions = self.input_ids, self.position_ids
        return {"input_ids": ids, "position_ids": positions, "use_cache": False}

    @property
    def tokens(self) -> int:
        return self.input_ids.numel()

    @property
    def loss_tokens(self) -> int:
        return int((self.labels[:, 1:] != IGNORED).sum())

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def pack(documents: Sequence[Document], block_tokens: int, order: Random) -> list[Block]:
    """Shuffle the documents and put each into the first open block with room for it."""
    shuffled = list(documents)
    order.shuffle(shuffled)
    blocks: list[Block] = []
    free: list[int] = []  # tokens of each block
    for document in shuffled:
        # Only the newest 32 blocks are open: to search all of them would be quadratic, and it would
        # hardly fill them better.
        newest = range(max(0, len(blocks) - 32), len(blocks))
        index = next((i for i in newest if len(document.ids) <= free[i]), len(blocks))
        if index == len(blocks):
            blocks.append([])
            free.append(block_tokens)
        blocks[index].append(document)
        free[index] -= len(document.ids)
    return blocks


def collate(blocks: Sequence[Block], block_tokens: int, pad: int) -> Batch:
    """Turn blocks into tensors; padding is a document of its own, without loss."""
    rows = []
    for block in blocks:
        rest = block_tokens - sum(len(document.ids) for document in block)
        documents = [*block, Document([pad] * rest, [False] * rest)]
        ids = [token for document in documents for token in document.ids]
        positions = [index for document in documents for index in range(len(document.ids))]
        mask = [flag for document in documents for flag in document.loss_mask]
        # nothing predicts a document's first token
        labels = [
            token if flag and index else IGNORED
            for token, flag, index in zip(ids, mask, positions, strict=True)
        ]
        rows.append((ids, positions, labels))
    return Batch(*(torch.tensor(column) for column in zip(*rows, strict=True)))
