"""A data set on disk: `train.jsonl` and `heldout.jsonl`, a record a line, and a card.

A record is one answer of the persona, and what it is an answer to.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from contracts.files import file_sha256, read_model
from contracts.refusal import Refusal
from contracts.turn import Role, Turn

TRAIN, HELDOUT, CARD = "train.jsonl", "heldout.jsonl", "dataset.json"
WHOLE_CHAT = "whole-chat"
Answers = Literal["reply", "last turn", "nothing"]


class Record(BaseModel):
    """Version 2: the turns of the context, the answered one last, then the persona's answer.

    chat        a name or a pseudonym
    started_at  time of the first turn
    answers     what tells the answered turn: an explicit reply, or that nobody spoke in between;
                `nothing` where the answer stands alone
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[2] = 2
    id: str
    chat: str
    topic: str | None = None
    started_at: datetime | None = None
    answers: Answers = "last turn"
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

    persona        `whole-chat` (everybody, each in their own answers) or the persona's pseudonym
    context_turns  most turns before an answer, for prompts too
    config         the rules and shares by which it was made
    messages_used  those that can stand in a record
    turns          those that they make, of everybody
    cut_turns      those of as many messages as a turn may have
    answers        how many records there are by `Record.answers`
    long_answers   those that a reply is too short for
    heldout_repeated  answers of the held-out part that stand word for word in the other
    replaced       private items in whose place their kind's name stands, by kind, and as `masked`
                   the messages in which moderation starred words
    repaired       what was mended or could not be read in the export, by reason
    inputs         hashes of the exports and of the forget list by name
    sizes          bytes of the exports
    forgets_until  unix time of the newest entry of the forget list that was obeyed; 0 without any
    sha256         hash of the two files' hashes, train.jsonl's first
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[2] = 2
    bot: str
    persona: str
    context_turns: int
    config: dict[str, JsonValue] = {}
    chats: int
    messages_read: int
    messages_used: int
    turns: int = 0
    cut_turns: int = 0
    persona_messages: int
    distinct_answers: int
    answers: dict[str, int]
    long_answers: int = 0
    train_records: int
    heldout_records: int
    heldout_messages: int = 0
    heldout_repeated: int
    split_at: datetime | None
    dropped: dict[str, int]
    repaired: dict[str, int]
    replaced: dict[str, int]
    inputs: dict[str, str]
    sizes: dict[str, int] = {}
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
                    raise Refusal(
                        f"{path}, line {number}: no record v2; extract again ({detail})"
                    ) from None
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
