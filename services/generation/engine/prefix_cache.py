"""An estimate of what the library's prefix cache holds, since the library does not say.

The library caches whole blocks of tokens, each under a hash of all tokens up to its end, and evicts
the least recently used. This keeps the same hashes in the same order. It differs in that blocks
which running requests use may be evicted here.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence

BLOCK = 32
"""Tokens in a block, as in OpenVINO's CPU plugin."""


class Prefixes:
    """The `blocks` most recently used blocks, and as many sequences shorter than a block."""

    def __init__(self, blocks: int) -> None:
        self._size = blocks
        self._blocks: OrderedDict[Hashable, None] = OrderedDict()
        self._short: OrderedDict[Hashable, None] = OrderedDict()

    def cached_tokens(self, ids: Sequence[int]) -> int:
        """Return how many leading tokens of a prompt are cached; the last is always computed."""
        count = 0
        for block in _block_hashes(ids[:-1]):
            if block not in self._blocks:
                break
            self._blocks.move_to_end(block)
            count += BLOCK
        return count

    def add(self, ids: Sequence[int]) -> None:
        """Add a prompt when it is read, or a prompt and its reply when the reply ends."""
        for block in _block_hashes(ids):
            self._touch(self._blocks, block)
        if len(ids) < BLOCK:
            self._touch(self._short, tuple(ids))

    def _touch(self, used: OrderedDict[Hashable, None], entry: Hashable) -> None:
        used[entry] = None
        used.move_to_end(entry)
        if len(used) > self._size:
            used.popitem(last=False)

    def shared_start(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Return the start that decides which partly filled block a prompt is written into.

        Prompts with different starts never write into the same one. It is the shortest known
        sequence that the prompt begins with, or the prompt's first block.
        """
        for length in range(1, BLOCK):
            start = tuple(ids[:length])
            if start in self._short:
                self._short.move_to_end(start)
                return start
        return tuple(ids[:BLOCK])


def _block_hashes(ids: Sequence[int]) -> Iterator[int]:
    """Yield a hash of each whole block and everything before it."""
    chain = 0
    for start in range(0, len(ids) - BLOCK + 1, BLOCK):
        chain = hash((chain, *ids[start : start + BLOCK]))
        yield chain
