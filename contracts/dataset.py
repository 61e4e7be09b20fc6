"""A data set on disk: `train.jsonl` and `heldout.jsonl`, a record a line, and a card.

A record is a stretch of one chat that ends in a persona turn.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.files import file_sha256, read_model
from contracts.refusal import Refusal
from contracts.turn import Role, Turn

TRAIN, HELDOUT, CARD = "train.jsonl", "heldout.jsonl", "dataset.json"
WHOLE_CHAT = "whole-chat"


class Record(BaseModel):
    """Version 1. `chat` is a name or a pseudonym; `started_at` is the first turn's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    id: str
    chat: str
    started_at: datetime | None = None
    turns: tuple[Turn, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_in_persona(self) -> "Record":
        if self.turns[-1].role is not Role.PERSONA:
            raise ValueError("a record must end in a persona turn")
        return self

    def to_line(self) -> str:
        return self.model_dump_json(exclude_none=True) + "\n"


class Card(BaseModel):
    """dataset.json: what the data set holds, what was dropped and why, what it was made from.

    persona        `whole-chat` (loss on each record's last turn only) or the persona's pseudonym
    forgets_until  unix time of the newest entry of the forget list that was obeyed; 0 without any
    sha256         hash of the two files' hashes, train.jsonl's first
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
    forgets_until: float = 0.0
    sha256: str
    warnings: tuple[str, ...] = ()

    @property
    def whole_chat(self) -> bool:
        return self.persona == WHOLE_CHAT


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records; raises Refusal with the number of the broken line."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Record.model_validate_json(line)
                except ValidationError as error:
                    detail = error.errors()[0]["msg"]
                    raise Refusal(f"{path}, line {number}: no record v1 ({detail})") from None
    except FileNotFoundError:
        raise Refusal(f"{path}: missing; build the data set first") from None
    except UnicodeDecodeError:
        raise Refusal(f"{path}: not UTF-8 text") from None


def read_card(folder: Path) -> Card:
    """Raises Refusal where the folder holds no data set."""
    return read_model(folder / CARD, Card, f"no data set here ({CARD} is missing)")


def dataset_sha256(folder: Path) -> str:
    """Return the hash that the card names, of the files as they are now."""
    try:
        hashes = [file_sha256(folder / name) for name in (TRAIN, HELDOUT)]
    except FileNotFoundError as error:
        raise Refusal(f"{error.filename}: missing; build the data set first") from None
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
