"""What moderation finds, what it takes for obscene and is not, and what it costs.

On the files of `--data`, each category at its strictest: obscene words of filters' test suites
(plain), words disguised by people, lines that nobody calls obscene, and comments labelled toxic.

profanity alone  by the category profanity; `any` is by any of them
clean            lines with `profane` 0, or with `toxic` 0 and `profane` not 1. Many were never
                 judged for profanity: `--read` names a file with the beginnings of hashes of those
                 that a person who read them calls obscene
cross-validated  the classifier trained on four fifths of both files, asked about the rest
memory           of a process that judges, over that of one with pydantic alone

`python -m benchmarks.moderation --data DIR --json FILE` (three minutes) also lists what was missed
and what was flagged. Kept libraries that are installed are shown side by side
(benchmarks/support/profanity_filters.py). Ends with 1 when a bar is missed.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from benchmarks.moderation_weights import Text, labelled, others, read_rows, score, train
from benchmarks.support.profanity_filters import installed
from benchmarks.support.report import JsonOption, Line, at_least, at_most, median, quantile, report
from moderation.insults import Model, model
from moderation.moderator import Action, Moderator
from moderation.policy import Level, Policy

PLAIN, DISGUISED, FALSE_ALARMS, CURVE = 27 / 28, 51 / 55, 0.01, 0.82
MILLISECONDS, SLOWEST_MILLISECONDS, MEGABYTES = 1.0, 3.0, 25.0
"""The bars: shares found, share of clean lines flagged, area under the ROC, and costs."""
LENGTH, TIMES, FOLDS = 200, 2000, 5
MEMORY = """
import sys
import pydantic
if len(sys.argv) > 1:
    from moderation.moderator import Moderator
    from moderation.policy import Policy
    moderator = Moderator(Policy(preset="family"))
    for line in open(sys.argv[1], encoding="utf-8"):
        moderator.check(line)
print(next(int(line.split()[1]) for line in open("/proc/self/status") if "VmHWM" in line) / 1024)
"""
Find = Callable[[str], bool]


class Sets(NamedTuple):
    """Texts of a file by what they are measured for."""

    plain: list[str]
    disguised: list[str]
    clean: list[str]

    @classmethod
    def read(cls, rows: Sequence[dict[str, str]]) -> "Sets":
        profane = [row for row in rows if row["profane"] == "1"]
        return cls(
            [row["text"] for row in profane if row["source"] in ("asyncee", "php-obscene")],
            [row["text"] for row in profane if row["disguised"] == "1"],
            [
                row["text"]
                for row in rows
                if row["profane"] == "0" or (row["toxic"] == "0" and row["profane"] != "1")
            ],
        )


def finder(policy: Policy) -> Find:
    moderator = Moderator(policy)
    return lambda text: moderator.check(text).action is not Action.NONE


def ours() -> dict[str, Find]:
    alone = Policy(preset="off", profanity=Level.STRICT)
    return {"profanity alone": finder(alone), "any": finder(Policy.named("strict"))}


def found(name: str, sets: Sets, read: frozenset[str]) -> Iterator[Line]:
    """Tell what is found in a file, and print what is missed and flagged."""
    for kind, find in ours().items():
        bars = {"plain": PLAIN, "disguised": DISGUISED} if kind == "profanity alone" else {}
        for group in ("plain", "disguised"):
            texts = getattr(sets, group)
            missed = [text for text in texts if not find(text)]
            limit = len(texts) * bars.get(group, 0)
            title = f"{name}, {kind}: {group}, of {len(texts)}"
            yield (
                at_least(title, len(texts) - len(missed), int(limit))
                if bars
                else Line(title, len(texts) - len(missed))
            )
            if bars:
                show(f"{name}: missed {group}", missed)
        flagged = [text for text in sets.clean if find(text)]
        truly_clean = [text for text in flagged if digest(text) not in read]
        yield Line(f"{name}, {kind}: clean and flagged", len(flagged) / len(sets.clean))
        if bars:
            share = len(truly_clean) / len(sets.clean)
            yield at_most(f"{name}, {kind}: of these clean to the eye", share, FALSE_ALARMS)
            show(f"{name}: flagged, and clean to the eye", truly_clean)
            show(f"{name}: flagged, and obscene to the eye", [*{*flagged} - {*truly_clean}])


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]


def show(title: str, texts: Sequence[str]) -> None:
    print(f"\n{title} ({len(texts)})")
    for text in texts:
        print(f"  {digest(text)} {text[:160]}")


def area(trained: Model, texts: Sequence[Text]) -> float:
    labels = [each.label for each in texts]
    return float(roc_auc_score(labels, [score(trained, each.text) for each in texts]))


def cross_validated(texts: Sequence[Text], more: Sequence[Text]) -> float:
    """Return the area under the ROC of scores by models that did not see the text."""
    labels = [each.label for each in texts]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=1).split(labels, labels)
    scores = [0.0] * len(texts)
    for kept, asked in folds:
        trained = train([*(texts[place] for place in kept), *more])
        for place in asked:
            scores[place] = score(trained, texts[place].text)
    return float(roc_auc_score(labels, scores))


def insults(data: Path, ordinary: Path | None) -> Iterator[Line]:
    dev, test = (read_rows(data / f"{name}.tsv") for name in ("dev", "test"))
    yield at_least("insults: area under the ROC, test", area(model(), labelled(test)), CURVE)
    more = others([*dev, *test], data / "toxic_only.txt", ordinary)
    both = cross_validated(labelled([*dev, *test]), more)
    yield Line("insults: area under the ROC, cross-validated over both files", both)


def libraries(sets: Sets) -> None:
    """Print what kept libraries find, and what ours does."""
    table = Table("library", *(f"{name} of {len(texts)}" for name, texts in sets._asdict().items()))
    for name, find in [*ours().items(), *installed()]:
        counts = [str(sum(map(find, texts))) if find else "not installed" for texts in sets]
        table.add_row(name, *counts)
    Console().print(table)


def costs(texts: Sequence[str], file: Path) -> Iterator[Line]:
    """Tell the time that 200 characters take on one core, and the memory."""
    moderator, everything, milliseconds = Moderator(Policy.named("strict")), " ".join(texts), []
    for start in random.Random(1).sample(range(len(everything) - LENGTH), TIMES):
        began = time.process_time()
        moderator.check(everything[start : start + LENGTH])
        milliseconds.append((time.process_time() - began) * 1000)
    yield at_most("200 characters: CPU, ms, median", median(milliseconds), MILLISECONDS)
    yield at_most(
        "200 characters: CPU, ms, p99", quantile(milliseconds, 0.99), SLOWEST_MILLISECONDS
    )
    with_it, without = memory(str(file)), memory()
    yield at_most("memory of judging, MiB", with_it - without, MEGABYTES)


def memory(*arguments: str) -> float:
    command = [sys.executable, "-c", MEMORY, *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(data: Path, ordinary: Path | None, read: frozenset[str]) -> Iterator[Line]:
    sets = {name: Sets.read(read_rows(data / f"{name}.tsv")) for name in ("test", "dev")}
    for name, each in sets.items():
        yield from found(name, each, read)
    libraries(sets["test"])
    yield from insults(data, ordinary)
    yield from costs(sets["dev"].clean, data / "toxic_only.txt")


def main(
    data: Annotated[Path, typer.Option(help="Folder of dev.tsv, test.tsv and toxic_only.txt.")],
    json: JsonOption = None,
    ordinary: Annotated[Path | None, typer.Option(help="Harmless texts, a line each.")] = None,
    read: Annotated[Path | None, typer.Option(help="Hashes of lines read as obscene.")] = None,
) -> None:
    """Measure, print tables, and end with 1 when a bar is missed."""
    hashes = frozenset(read.read_text().split()) if read else frozenset()
    report(measure(data, ordinary, hashes), json)


if __name__ == "__main__":
    typer.run(main)
