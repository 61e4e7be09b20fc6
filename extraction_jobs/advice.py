"""What the owner of a persona should know of a data set: what to expect of it, or what to do."""

from collections.abc import Iterator

from contracts.conversation import MOST_LINES
from contracts.dataset import Card
from extraction_jobs.messages import LONGEST_MESSAGE
from extraction_jobs.split import HELDOUT_MESSAGES, LONG_ANSWER, MIN_HELDOUT

FEW_TURNS, ENOUGH_TURNS = 300, 2000
MUCH, MOST = 0.2, 0.5
"""Shares that are warned of: of what is lost for one reason, and of what should be an exception."""
EXPECTED = ("service", "twice")
ADVICE = {
    "forwarded": " (`keep_forwards: true` has them learned too)",
    "no_sender": " (nobody is named: give an export by one who sees the senders)",
    "too_long": f" ({LONGEST_MESSAGE:,} characters are the most that can be learned)",
    "repeated_answer": " (said again and again; a few of each are kept)",
}


def warnings(card: Card) -> Iterator[str]:
    """Yield a line for each thing that the figures of the card tell."""
    answers, held = sum(card.answers.values()), card.heldout_records
    messages, turns = card.heldout_messages, card.turns
    if answers < FEW_TURNS:
        yield f"{answers} persona turns: expect it to repeat them; {FEW_TURNS} or more are better"
    elif answers < ENOUGH_TURNS:
        yield (
            f"{answers:,} persona turns: expect its words, not its manner;"
            f" {ENOUGH_TURNS:,} or more are better"
        )
    if not held:
        yield f"nothing is held out to measure by: it takes {MIN_HELDOUT} answers or more"
    elif messages < HELDOUT_MESSAGES:
        yield f"only {messages} messages are held out: what is measured by them is rough"
    if card.heldout_repeated > MOST * held:
        yield (
            f"{card.heldout_repeated:,} of {held:,} answers held out stand word for word in what is"
            " learned: they measure its memory alone"
        )
    if (alone := card.answers.get("nothing", 0)) > MOST * answers:
        yield f"{alone:,} of {answers:,} answers stand alone: expect it to speak, not to answer"
    if card.long_answers > MUCH * answers:
        yield (
            f"{card.long_answers:,} of {answers:,} answers are longer than {LONG_ANSWER}"
            " characters: expect replies to be cut off"
        )
    if card.cut_turns > MUCH * turns:
        yield (
            f"{card.cut_turns:,} of {turns:,} turns are cut off at {MOST_LINES} messages: lessen"
            " burst_minutes in bot.yaml's section conversation"
        )
    for reason, count in card.repaired.items():
        of = card.messages_read + count
        if count > MUCH * of and reason != "repaired_json":
            yield f"{count:,} of {of:,} messages cannot be read: {reason}; export the chat again"
    for reason, count in card.dropped.items():
        is_answer = reason == "repeated_answer"
        of, what = (answers, "answers") if is_answer else (card.messages_read, "messages")
        if count > MUCH * of and reason not in EXPECTED:
            yield f"{count:,} of {of:,} {what} are not used: {reason}{ADVICE.get(reason, '')}"
