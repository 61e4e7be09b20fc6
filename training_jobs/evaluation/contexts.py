"""Contexts: what the persona is asked in the held-out part, and what it really answered.

How probable a model finds those answers, and the turns that its replies are compared with.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from contracts.dataset import HELDOUT, TRAIN, Record, read_card, read_records
from contracts.prompt import Encode, Vocabulary
from contracts.turn import Turn
from training_jobs.evaluation.results import Estimate, Likelihood, ratio
from training_jobs.hardware import detect_hardware
from training_jobs.language_model import LanguageModel
from training_jobs.loss import document_losses
from training_jobs.packing import Document, render_document

BUDGET = 384
"""Most tokens of a context and its answer: about what people look back on."""
MOST_CONTEXTS = 300
"""That a run is measured by."""
BASE_TOKENS = 32
"""Most tokens of a base's reply: it does not know where a turn ends, and each would be as long as
any may be.
"""
BITS_PER_NAT = 1 / math.log(2)

Messages = Sequence[str]
"""One answer: a speaker's messages in a row."""


@dataclass(frozen=True)
class Context:
    """turns: what was said before, at least one; answer: the persona's real turn."""

    turns: tuple[Turn, ...]
    answer: Turn

    def fits(self, encode: Encode, budget: int) -> bool:
        """Whether the answer with its beginning and end takes at most half of so many tokens, so
        that it is never cut and its turns have room.
        """
        return 2 * (len(encode(self.answer.text)) + 2) <= budget

    def document(self, vocabulary: Vocabulary, budget: int) -> Document:
        """Render the turns and the real answer, with loss on the answer alone."""
        return render_document((*self.turns, self.answer), vocabulary, budget)[0]


def wording(text: str) -> str:
    """Return what two texts have in common that differ in case and punctuation alone."""
    return " ".join(re.findall(r"\w+", text.casefold())) or text


def select_contexts(
    records: Iterable[Record], most: int, encode: Encode, budget: int
) -> list[Context]:
    """Return at most so many contexts that fit into the budget, spread evenly over the records."""
    answers = ((record.turns[:-1], record.turns[-1]) for record in records)
    contexts = (Context(*each) for each in answers if each[0])
    found = [context for context in contexts if context.fits(encode, budget)]
    step = max(1.0, len(found) / most)
    return [found[int(number * step)] for number in range(min(most, len(found)))]


@dataclass(frozen=True)
class Scores:
    """The real answers' losses in nats, and their lengths; one of each for a context."""

    losses: list[float]
    tokens: list[int]
    characters: list[int]

    @property
    def likelihood(self) -> Likelihood:
        loss = ratio(self.losses, self.tokens)
        return Likelihood(
            bits_per_character=ratio(self.losses, self.characters, BITS_PER_NAT),
            perplexity=Estimate(math.exp(loss.value), math.exp(loss.low), math.exp(loss.high)),
        )

    def only(self, wanted: Sequence[bool]) -> "Scores":
        """Return the scores of some of the answers."""
        return Scores(*(list(compress(each, wanted)) for each in vars(self).values()))

    def gain_over(self, other: "Scores") -> Estimate:
        """Return the bits per character that these save, compared answer by answer."""
        saved = [theirs - ours for theirs, ours in zip(other.losses, self.losses, strict=True)]
        return ratio(saved, self.characters, BITS_PER_NAT)


def score(model: LanguageModel, contexts: Sequence[Context]) -> Scores:
    budget = min(BUDGET, model.context_length)
    documents = [each.document(model.vocabulary, budget) for each in contexts]
    losses = document_losses(model.model, documents, detect_hardware("auto"))
    tokens = [document.loss_tokens for document in documents]
    characters = [len(each.answer.text) + 1 for each in contexts]  # the end is one, too
    return Scores(losses, tokens, characters)


@dataclass(frozen=True)
class EvaluationData:
    """What a fine-tuned model is evaluated on.

    contexts        of the held-out part
    learned         texts of all turns of the train part
    pairs           what was answered in the train part, and the answers
    persona         messages of the answers that were learned
    others          messages of other people in the train part
    others_heldout  messages of other people in the held-out part
    """

    contexts: list[Context]
    learned: list[str]
    pairs: list[tuple[str, str]]
    persona: list[Messages]
    others: list[Messages]
    others_heldout: list[Messages]

    @classmethod
    def read(cls, dataset: Path, most: int, encode: Encode, budget: int) -> "EvaluationData":
        train, heldout = (list(read_records(dataset / name)) for name in (TRAIN, HELDOUT))
        persona: list[Messages] = [record.turns[-1].messages for record in train]
        others: list[list[Messages]] = [[], []]
        if not read_card(dataset).whole_chat:  # in which everybody is some record's persona
            parts = (_turns(train), _turns(heldout))
            others = [[turn.messages for turn in part if not turn.is_persona] for part in parts]
        contexts = select_contexts(heldout, most, encode, budget)
        learned = [turn.text for turn in _turns(train)]
        last_two = [record.turns[-2:] for record in train if len(record.turns) > 1]
        pairs = [(asked.text, answer.text) for asked, answer in last_two]
        return cls(contexts, learned, pairs, persona, *others)


def _turns(records: Iterable[Record]) -> list[Turn]:
    """Return the turns of records, which overlap, once each."""
    return list(dict.fromkeys(turn for record in records for turn in record.turns))
