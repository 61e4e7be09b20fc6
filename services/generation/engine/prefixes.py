"""Which prompts the prefix cache holds, kept beside the library, which does not tell.

The library caches whole blocks of tokens, each under a hash of all tokens up to its end, and drops
those that were used longest ago. The same is done here with hashes alone, so the count is an
estimate of the library's own: blocks in use by running requests are not held back here.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

BLOCK = 32
"""Tokens a block, as OpenVINO's CPU plugin has it."""


class Prefixes:
    """Hashes of the blocks used last, and sequences shorter than a block; at most `blocks` each."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._known: OrderedDict[int, None] = OrderedDict()
        self._short: OrderedDict[tuple[int, ...], None] = OrderedDict()

    def held(self, ids: Sequence[int]) -> int:
        """How many leading tokens of a prompt are in the cache; the last token never counts."""
        count = 0
        for block in _blocks(ids[:-1]):
            if block not in self._known:
                break
            self._known.move_to_end(block)
            count += BLOCK
        return count

    def add(self, ids: Sequence[int]) -> None:
        """Remember a sequence: a prompt that is being read, or with its reply at the end."""
        for block in _blocks(ids):
            self._known[block] = None
            self._known.move_to_end(block)
        if len(ids) < BLOCK:
            self._short[tuple(ids)] = None
            self._short.move_to_end(tuple(ids))
        for kept in (self._known, self._short):
            while len(kept) > self._blocks:
                kept.popitem(last=False)

    def opening(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Prompts of different openings share no block that is not full.

        It is the shortest known sequence that a prompt begins with, or the prompt's first block.
        """
        for length in range(1, BLOCK):
            begin = tuple(ids[:length])
            if begin in self._short:
                self._short.move_to_end(begin)
                return begin
        return tuple(ids[:BLOCK])


def _blocks(ids: Sequence[int]) -> Iterator[int]:
    """A hash of each whole block and all before it."""
    chain = 0
    for start in range(0, len(ids) - BLOCK + 1, BLOCK):
        chain = hash((chain, *ids[start : start + BLOCK]))
        yield chain
