"""Records to documents, and documents to packed blocks, in which none sees another.

record     a stretch of a chat, as the data set has it
document   a record, or a window of a long one, rendered to token ids for training
block      documents side by side, `block_tokens` long
batch      blocks as tensors, for one pass over the model
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from contracts.dataset import Record
from contracts.prompt import PromptFormat, Rendered, Vocabulary, render
from contracts.turn import Turn

IGNORED = -100
"""Label of a token without loss: cross_entropy leaves it out by default."""

LossOn = Literal["persona", "last turn", "all"]


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
    records: Iterable[Record], vocabulary: Vocabulary, budget: int, loss_on: LossOn
) -> tuple[list[Document], int]:
    """Render records in turns-1; a session longer than `budget` tokens gives several documents.

    Where loss is on the last turn alone, its newest window is all there is to learn. Returns the
    documents, and how many answers were left out since they alone are longer than `budget`.
    """
    documents, left_out = [], 0
    for record in records:
        windows = _windows(record.turns, vocabulary, budget)
        for window in islice(windows, 1) if loss_on == "last turn" else windows:
            if window.cut:
                left_out += 1
                continue
            mask = window.loss_mask
            if loss_on == "all":
                mask = [False] + [True] * (len(mask) - 1)
            elif loss_on == "last turn":
                last = render(record.turns[-1:], PromptFormat.TURNS_1, vocabulary, budget).ids
                mask = [False] * (len(mask) - len(last)) + mask[-len(last) :]
            documents.append(Document(window.ids, mask))
    return documents, left_out


def _windows(turns: Sequence[Turn], vocabulary: Vocabulary, budget: int) -> Iterator[Rendered]:
    """Yield windows from the newest back, each ending in a persona turn, none overlapping."""
    end = len(turns)
    while end > 0:
        rendered = render(turns[:end], PromptFormat.TURNS_1, vocabulary, budget)
        yield rendered
        end -= rendered.turns_used
        while end > 0 and not turns[end - 1].is_persona:
            end -= 1


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


def clm_blocks(documents: Sequence[Document], block_tokens: int) -> list[Block]:
    """Return run_clm's blocks: the documents joined, cut anywhere, with loss on all tokens.

    What does not fill a block is left out, unless it is all there is.
    """
    ids = [token for document in documents for token in document.ids]
    length = min(block_tokens, len(ids))
    starts = range(0, len(ids) - length + 1, length)
    return [[Document(ids[start : start + length], [True] * length)] for start in starts]
