"""Learns what replies are ranked by: words, and which go with a question's (IBM's model 1)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from contracts.answer_words import (
    ANSWER_WORDS,
    AnswerWords,
    answer_stems,
    asked_stems,
    pair_key,
    whole_words,
    word_key,
)
from contracts.dataset import Record

FEWEST, MOST = 500, 20_000
"""Answers that are needed to learn anything, and that are used at most."""
ROUNDS, MOST_WORK = 6, 750_000
"""Pairs of a question's and an answer's words that are looked at in a round: a quarter of a minute
in all, and at most 300 MB."""
LEAST_CHANCE, LEAST_LIFT, MOST_PAIRS = 0.03, 2.0, 60_000
"""Pairs are kept from this probability and this lift on, the most probable ones: 480 kB at most."""
MOST_KNOWN = 100_000
"""Words that are known, the most frequent ones: 400 kB."""

Pair = tuple[str, str]
Stems = tuple[list[str], list[str]]
"""Of a question and of its answer."""


def write_answer_words(records: Iterable[Record], folder: Path) -> None:
    """Write the file for the answers that were learned, if there are enough."""
    texts = [tuple(turn.text for turn in each.turns[-2:]) for each in records]
    pairs = [(asked, answer) for asked, *answers in texts for answer in answers]
    if len(pairs) < FEWEST:
        return
    lifts = learn(Random(1).sample(pairs, min(len(pairs), MOST)))
    often = Counter(word for both in texts for text in both for word in whole_words(text))
    known = {word_key(word) for word, _ in often.most_common(MOST_KNOWN)}
    AnswerWords.of(lifts, known).write(folder / ANSWER_WORDS)


def learn(pairs: Sequence[Pair]) -> dict[int, float]:
    """Return the lifts of the pairs of words that are worth keeping, by key.

    Where texts are long, fewer of them are used. The empty word stands in each question for what is
    said whatever was asked.
    """
    texts = list[Stems]()
    room = MOST_WORK
    for asked, answer in pairs:
        texts.append((["", *asked_stems(asked)], answer_stems(answer)))
        room -= len(texts[-1][0]) * len(texts[-1][1])
        if room <= 0:
            break
    often = Counter(word for _, answer in texts for word in answer)
    chances: dict[Pair, float] = {}
    for _ in range(ROUNDS):
        chances = _improve(chances, texts)
    found = {
        (asked, word): (chance, chance * often.total() / often[word])
        for (asked, word), chance in chances.items()
        if asked and chance >= LEAST_CHANCE
    }
    kept = sorted((pair for pair in found if found[pair][1] > LEAST_LIFT), key=found.__getitem__)
    return {pair_key(*pair): found[pair][1] for pair in kept[-MOST_PAIRS:]}


def _improve(chances: dict[Pair, float], texts: Iterable[Stems]) -> dict[Pair, float]:
    """Return the chances of a word after another, once more by expectation and maximisation."""
    counts, sums = Counter[Pair](), Counter[str]()
    for asked, answer in texts:
        for word in answer:
            weights = [chances.get((other, word), 1.0) for other in asked]
            total = sum(weights)
            for other, weight in zip(asked, weights, strict=True):
                counts[other, word] += weight / total  # type: ignore[assignment]
                sums[other] += weight / total  # type: ignore[assignment]
    return {pair: count / sums[pair[0]] for pair, count in counts.items()}
