"""Who asked not to be learned from: known by the id, in sources without ids by the name."""

from dataclasses import dataclass
from pathlib import Path

from contracts import forget
from contracts.files import file_sha256


@dataclass(frozen=True)
class People:
    """ids as `Message.sender` has them (`user123`), names, and the hash of the list.

    A name never stands for an id: calling oneself `user123` forgets nobody else.
    """

    ids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    sha256: str | None = None

    def include(self, sender: str | None, name: str | None) -> bool:
        """Whether a message's sender is one of them; without ids the sender is the name."""
        return sender in self.ids or (sender == name and name in self.names)


NOBODY = People()


def read_people(file: Path) -> People:
    """The people in a forget.jsonl, nobody where there is none; raises Refusal as `read` does.

    Hashed first: an entry that comes in between is obeyed, and the next hash is another one.
    """
    try:
        sha256 = file_sha256(file)
    except OSError:
        sha256 = None
    entries = forget.read(file)
    return People(
        frozenset(f"user{entry.user_id}" for entry in entries),
        frozenset(name for entry in entries for name in entry.names),
        sha256,
    )
