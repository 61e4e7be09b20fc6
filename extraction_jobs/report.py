"""report.html: what a bot will sound like and why, with the persona's name and words of the chat.

One file that loads nothing else. All of it is counted in the scratch database, but words and habits
in a sample, so that it costs little whatever the size of the chats.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from math import ceil, log, sqrt
from pathlib import Path
from random import Random
from sqlite3 import Connection
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from contracts.dataset import TRAIN, Card, Record

REPORT, TEMPLATE = "report.html", Path(__file__).with_name("report.html.j2")
EXAMPLES, WORDS = 20, 15
DAY, PERIODS, MOST_PERIODS = 86_400, (1, 7, 30), 120
"""Seconds; days of a bar over time, where there are no more bars than this."""
MESSAGES, CHARACTERS = (1, 2, 3, 4, 5), (10, 20, 40, 80, 160, 320, 640)
"""Most of them in a turn, a bar each."""
LABELS = {"hour": range(24), "messages": (*MESSAGES, "more"), "characters": (*CHARACTERS, "more")}
SAMPLED, READ = 20_000, 300
"""Messages of the persona, and of others, by which they are compared; characters of each."""
RARE, PRIOR = 4, 100
"""Times below which a word tells nothing; words by which the prior weighs."""
_WORD = re.compile(r"\b(?<!\[)[^\W\d_]+(?:-[^\W\d_]+)*")
"""Not a placeholder, such as `[телефон]`."""
HABITS = {
    "ask (?)": re.compile(r"\?"),
    "exclaim (!)": re.compile("!"),
    "smile with brackets ))": re.compile(r"\){2}|[^\W\d]\)$"),
    "have an emoji": re.compile("[\u2600-\u27bf\U0001f1e6-\U0001faff]"),
    "begin with a small letter": re.compile("^[a-zа-яё]"),
    "end without a mark": re.compile(r"\w$"),
}


class Voice(NamedTuple):
    """How somebody writes: how often words, and in how many messages habits, were seen.

    `habits` holds the numbers of `messages` and `characters` too.
    """

    words: Counter[str]
    habits: Counter[str]


def write_report(
    folder: Path, card: Card, name: str, persona: Collection[str], db: Connection
) -> None:
    """Write the report beside the records; without ids all are the persona."""
    db.execute("CREATE TEMP TABLE persona (id TEXT PRIMARY KEY)")
    db.executemany("INSERT INTO persona VALUES (?)", ((each,) for each in persona))
    db.execute(
        """CREATE TEMP VIEW said AS SELECT *, sender IN (SELECT id FROM persona)
        OR NOT EXISTS (SELECT * FROM persona) AS is_persona FROM messages WHERE reason IS NULL"""
    )
    own, others = _hear(db, True), _hear(db, False)
    more, less = _telling_words(own.words, others.words)
    starts = _periods(db)
    chosen = set(Random(1).sample(range(card.train_records), min(EXAMPLES, card.train_records)))  # noqa: S311
    with (folder / TRAIN).open("rb") as file:
        lines = [line for number, line in enumerate(file) if number in chosen]
    page = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    text = page.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        {"card": card, "name": name, "own": own, "others": others, "more": more, "less": less},
        habits=list(HABITS),
        labels=LABELS
        | {"period": [f"{datetime.fromtimestamp(at, UTC):%d %b %Y}" for at in starts]},
        days=starts.step // DAY,
        bars=_bars(db, starts),
        examples=[Record.model_validate_json(line) for line in lines],
    )
    (folder / REPORT).write_text(text, encoding="utf-8")


def _hear(db: Connection, is_persona: bool) -> Voice:
    voice, whose = Voice(Counter(), Counter()), "FROM said WHERE is_own AND is_persona = ?"
    (count,) = db.execute(f"SELECT count(*) {whose}", (is_persona,)).fetchone()
    sample = f"SELECT text {whose} AND ((id * 2654435761) >> 12) % ? = 0"
    for (text,) in db.execute(sample, (is_persona, count // SAMPLED + 1)):
        voice.words.update(_WORD.findall(text[:READ].casefold()))
        shown = [name for name, sign in HABITS.items() if sign.search(text)]
        voice.habits.update([*shown, "messages"])
        voice.habits["characters"] += len(text)
    return voice


def _periods(db: Connection) -> range:
    """Return the times at which the bars over time begin."""
    first, last = map(int, db.execute("SELECT min(at), max(at) FROM said").fetchone())
    least = (last - first) / DAY / MOST_PERIODS
    days = next((days for days in PERIODS if days > least), ceil(least))
    return range(first - first % DAY, last + 1, days * DAY)


def _bars(db: Connection, starts: range) -> Counter[tuple[str, int, bool]]:
    """Count messages by period and hour, and the persona's turns by their size."""
    bars = Counter[tuple[str, int, bool]]()
    turns = """SELECT messages, characters FROM turns WHERE messages
        AND (sender IN (SELECT id FROM persona) OR NOT EXISTS (SELECT * FROM persona))"""
    times = """SELECT CAST((at - ?) / ? AS INTEGER), strftime('%H', at, 'unixepoch', 'localtime'),
        is_persona, count(*) FROM said GROUP BY 1, 2, 3"""
    for start, hour, is_persona, count in db.execute(times, (starts.start, starts.step)):
        bars["period", start, is_persona] += count
        bars["hour", int(hour), is_persona] += count
    for messages, characters in db.execute(turns):
        bars["messages", bisect_left(MESSAGES, messages), True] += 1
        bars["characters", bisect_left(CHARACTERS, characters), True] += 1
    return bars


def _telling_words(own: Counter[str], others: Counter[str]) -> tuple[list[str], list[str]]:
    """Return the words that the persona says more than others, and those that it says less.

    They are ranked by the logarithm of the ratio of their frequencies, in units of its standard
    deviation, with the words of all as the prior: "Fightin' Words", Monroe and others 2008.
    """
    both = own + others
    weight = PRIOR / (both.total() or 1)
    usual = log((own.total() + PRIOR) / (others.total() + PRIOR))

    def score(word: str) -> float:
        mine, theirs = (words[word] + weight * both[word] for words in (own, others))
        return (log(mine / theirs) - usual) / sqrt(1 / mine + 1 / theirs)

    scores = {word: score(word) for word, count in both.items() if count >= RARE}
    ranked = sorted(scores, key=lambda word: (-scores[word], word))
    more, less = ([w for w in ranked if sign * scores[w] > 1] for sign in (1, -1))
    return more[:WORDS], less[: -WORDS - 1 : -1]
