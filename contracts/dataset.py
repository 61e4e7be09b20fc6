"""A data set on disk: `train.jsonl` and `heldout.jsonl`, a record a line, and the card.

A record is a stretch of one chat that ends in a persona turn.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.refusal import Refusal
from contracts.turn import Role, Turn

TRAIN, HELDOUT, CARD = "train.jsonl", "heldout.jsonl", "dataset.json"
WHOLE_CHAT = "whole-chat"


class DatasetError(Refusal):
    """A folder that is no data set of ours, or a broken one."""


class Record(BaseModel):
    """v 1. `chat` and `topic` are names or pseudonyms; `started_at` is the first turn's time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    id: str
    chat: str
    topic: str | None = None
    started_at: datetime | None = None
    turns: tuple[Turn, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_in_persona(self) -> "Record":
        if self.turns[-1].role is not Role.PERSONA:
            raise ValueError("a record must end in a persona turn")
        return self


class Card(BaseModel):
    """What is in the data set, what was dropped and why, and what it was made from.

    persona     `whole-chat` (loss on each record's last turn only) or the persona's pseudonym
    sha256      hash of the two files' hashes, train.jsonl's first
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    bot: str
    persona: str
    chats: int
    messages_read: int
    messages_used: int
    persona_messages: int
    distinct_persona_messages: int
    train_records: int
    heldout_records: int
    split_at: datetime | None
    dropped: dict[str, int]
    inputs: dict[str, str]
    sha256: str
    warnings: tuple[str, ...] = ()

    @property
    def whole_chat(self) -> bool:
        return self.persona == WHOLE_CHAT


def write_records(path: Path, records: Iterable[Record]) -> int:
    """Write a record a line; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(record.model_dump_json(exclude_none=True) + "\n")
            count += 1
    return count


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records; raises DatasetError with the number of the broken line."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Record.model_validate_json(line)
                except ValidationError as error:
                    detail = error.errors()[0]["msg"]
                    raise DatasetError(f"{path}, line {number}: no record v1 ({detail})") from None
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing; build the data set first") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: not UTF-8 text") from None


def read_card(folder: Path) -> Card:
    """Raises DatasetError when the folder holds no data set."""
    try:
        return Card.model_validate_json((folder / CARD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(f"{folder}: no data set here ({CARD} is missing)") from None
    except ValidationError as error:
        raise DatasetError(f"{folder / CARD}: {error.errors()[0]['msg']}") from None


def write_card(folder: Path, card: Card) -> None:
    """Write the card aside and rename it: a folder has a whole card or none."""
    text = json.dumps(card.model_dump(mode="json"), ensure_ascii=False, indent=2)
    part = folder / f"{CARD}.part"
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(folder / CARD)


def dataset_sha256(folder: Path, suffix: str = "") -> str:
    """The hash that the card names, of the files as they are (with a suffix to their names)."""
    hashes = [sha256_of(folder / f"{name}{suffix}") for name in (TRAIN, HELDOUT)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise DatasetError(f"{path}: missing; build the data set first") from None
