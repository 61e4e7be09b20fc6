"""What a data set is made from: the exports, whose answers are learned, and by which rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from contracts.conversation import Conversation
from contracts.refusal import Refusal, one_line
from contracts.settings import FORGET_FILE
from extraction_jobs.messages import NOBODY, Filters, ForgetList, Found, Traces, readable
from extraction_jobs.personas import Senders
from extraction_jobs.scratch import Scratch
from extraction_jobs.stored_export import Source
from moderation.moderator import Moderator
from moderation.policy import Policy

T = TypeVar("T")


class ExtractionConfig(BaseModel):
    """Whose answers are learned.

    persona          `auto` (the export's owner, else the most talkative person), `whole-chat`, a
                     name, an id like `user123`, or a list of ids that are one person
    keep_forwards    learn what was forwarded as if the sender had written it
    replace_private  put the name of its kind in the place of each phone, card, e-mail address,
                     password and such
    moderate         let the section `moderation` decide what is learned too: where a reply would be
                     blocked, a message is left out, and where it would be masked, so are its words
    heldout_share    share of the persona's messages, the latest ones, that is not learned but used
                     to measure
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    persona: str | tuple[str, ...] = Field(default="auto", min_length=1)
    keep_forwards: bool = False
    replace_private: bool = True
    moderate: bool = False
    heldout_share: float = Field(default=0.1, ge=0.0, le=0.5)

    @property
    def wanted(self) -> tuple[str, ...]:
        return (self.persona,) if isinstance(self.persona, str) else self.persona


@dataclass(frozen=True)
class Inputs:
    """What a data set is made from.

    policy     by which messages are moderated; None for none
    is_stored  the source is the volume's own: it is written anew without what people on the forget
               list wrote, if it holds any of that, once the data set is made
    """

    bot: str
    config: ExtractionConfig
    rules: Conversation
    sources: Sequence[Source]
    forget_list: ForgetList = NOBODY
    is_stored: bool = False
    policy: Policy | None = None

    @property
    def made_from(self) -> tuple[Path | str | BaseModel | None, ...]:
        """Return all that makes a difference, for the stamp of a data set."""
        contents = (each.sha256 or each.path for each in self.sources)
        return *contents, self.forget_list.sha256, self.config, self.rules, self.policy

    def described(self) -> dict[str, dict[str, Any]]:
        """Return the card's fields of the inputs, whose names are numbered from the second on
        where several have one.
        """
        named = dict[str, Source]()
        for number, source in enumerate(self.sources, 1):
            name = readable(source.path.name)
            named[f"{name} ({number})" if name in named else name] = source
        hashes = {name: source.sha256 or "" for name, source in named.items()}
        if self.forget_list.sha256:
            hashes[FORGET_FILE] = self.forget_list.sha256
        return {"inputs": hashes, "sizes": {name: each.size for name, each in named.items()}}

    def read(self, scratch: Scratch, found: Found, aside: Path) -> tuple[Senders, Filters, Traces]:
        """Read all sources into the database; `aside` is a folder for what has to be unpacked."""
        config, senders, traces = self.config, Senders(), Traces(self.forget_list)
        moderator = Moderator(self.policy) if self.policy else None
        filters = Filters(config.keep_forwards, config.replace_private, self.forget_list, moderator)
        for number, source in enumerate(self.sources):
            messages = tracked(source.read(found, aside), f"reading {one_line(source.path.name)}")
            scratch.add(senders.note(filters.usable(traces.note(messages))), number)
        scratch.finish(traces.names)
        senders.counts = scratch.senders()
        if not senders.counts:
            raise self.without_use(scratch.read, scratch.dropped() + found.counts)
        return senders, filters, traces

    def without_use(self, read: int, lost: Mapping[str, int]) -> Refusal:
        """Return the Refusal of inputs in which there is nothing to learn from."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in lost.items() if count)
        places = ", ".join(str(source.path) for source in self.sources)
        return Refusal(f"{places}: nothing to learn from in {read} messages ({reasons or 'empty'})")


def tracked(items: Iterable[T], title: str) -> Iterator[T]:
    """Yield the items; on a terminal, show how many have passed."""
    console = Console(stderr=True)
    shown = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "completed"))
    columns = (SpinnerColumn(), *shown, TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield from progress.track(items, description=title)
