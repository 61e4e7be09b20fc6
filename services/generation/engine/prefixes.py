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
    """Hashes of the blocks used last; at most `blocks`."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._known: OrderedDict[int, None] = OrderedDict()

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
        """Remember a finished sequence, prompt and reply together."""
        for block in _blocks(ids):
            self._known[block] = None
            self._known.move_to_end(block)
        while len(self._known) > self._blocks:
            self._known.popitem(last=False)


def _blocks(ids: Sequence[int]) -> Iterator[int]:
    """A hash of each whole block and all before it."""
    chain = 0
    for start in range(0, len(ids) - BLOCK + 1, BLOCK):
        chain = hash((chain, *ids[start : start + BLOCK]))
        yield chain
