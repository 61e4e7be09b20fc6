"""Trains the classifier of insults and threats: moderation/insults.bin.

A logistic regression. Its texts stay outside; the weights alone are kept, one byte each.

dev.tsv         rows of alla-g, labelled toxic or not (alla-g/toxicity-detection-thesis, MIT), and
                of taiga-social, taken as harmless (UD_Russian-Taiga, CC BY-SA 4.0)
toxic_only.txt  toxic comments from elsewhere, which count less (s-nlp/rudetoxifier, MIT)
--ordinary      further texts taken as harmless, a line each (kept weights: 8,000 lines of
                Koziev/NLP_Datasets' dialogues and of dracor-org/rusdracor, both CC0)

`python -m benchmarks.moderation_weights --data DIR --ordinary FILE` (a minute) prints the hashes of
what it read. Those of the kept weights are in moderation/insults.sha256.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from math import sqrt
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from moderation import insults
from moderation.insults import BUCKETS, HEADER, Model, pieces, word_features
from moderation.normalise import normalise
from moderation.words import find_words

FOLDER = Path(insults.__file__).parent
ELSEWHERE, STRENGTH, ORDINARY = 0.05, 1.0, 8000
"""What a text from elsewhere counts, the regression's C, and the most ordinary texts."""
NAMES = re.compile(r"\[id\d+\|[^\]]*\],?\s*")
"""Whom a comment answers."""


class Text(NamedTuple):
    """A text and its label; `weight` is what it counts."""

    text: str
    label: int
    weight: float = 1.0


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [{key: value.rstrip("\r") for key, value in row.items()} for row in rows]


def labelled(rows: Sequence[dict[str, str]]) -> list[Text]:
    """Return the comments that are labelled toxic or not, both kinds of the same weight."""
    rows = [row for row in rows if row["source"] == "alla-g" and row["toxic"]]
    toxic = sum(row["toxic"] == "1" for row in rows)
    weights = {"0": len(rows) / 2 / (len(rows) - toxic), "1": len(rows) / 2 / toxic}
    return [Text(row["text"], int(row["toxic"]), weights[row["toxic"]]) for row in rows]


def others(rows: Sequence[dict[str, str]], toxic: Path, ordinary: Path | None) -> list[Text]:
    harmless = [row["text"] for row in rows if row["source"] == "taiga-social"]
    harmless += ordinary.read_text(encoding="utf-8").splitlines()[:ORDINARY] if ordinary else []
    insulting = toxic.read_text(encoding="utf-8").splitlines()
    return [Text(text, 1, ELSEWHERE) for text in insulting] + [
        Text(text, 0, ELSEWHERE) for text in harmless
    ]


class Features(NamedTuple):
    pieces: csr_matrix
    words: csr_matrix


def features(texts: Sequence[Text]) -> Features:
    """Return what the model sees of each text."""
    columns, values, ends, words = list[int](), list[float](), [0], []
    for each in texts:
        text = NAMES.sub("", each.text)
        plain = normalise(text)
        found = Counter(piece for word in plain.look.split() for piece in pieces(word))
        columns += found
        values += [count / sqrt(found.total()) for count in found.values()]
        ends.append(len(columns))
        words.append(word_features(find_words(text, plain, frozenset())))
    shape = len(texts), BUCKETS
    return Features(csr_matrix((values, columns, ends), shape=shape), csr_matrix(words))


def train(texts: Sequence[Text]) -> Model:
    """Fit the weights; pieces that are rare in the texts count more, those of one text nothing."""
    seen = features(texts)
    count = np.asarray((seen.pieces > 0).sum(axis=0)).ravel()
    rarity = (np.log((1 + len(texts)) / (1 + count)) + 1) * (count > 1)
    matrix: Any = hstack([seen.pieces.multiply(rarity), seen.words]).tocsr()
    regression = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
    regression.fit(
        matrix, [each.label for each in texts], sample_weight=[each.weight for each in texts]
    )
    fitted = regression.coef_[0]
    weights = fitted[:BUCKETS] * rarity
    scale = float(np.abs(weights).max()) / 127
    content = np.round(weights / scale).astype(np.int8).tobytes()
    return Model(
        scale, float(regression.intercept_[0]), fitted[BUCKETS:].tolist(), _signed(content)
    )


def score(trained: Model, text: str) -> float:
    """Return what a model says of a whole text."""
    text = NAMES.sub("", text)
    plain = normalise(text)
    return trained.score(plain.look, [*find_words(text, plain, frozenset())])


def _signed(content: bytes) -> memoryview:
    return memoryview(content).cast("b")


def main(
    data: Annotated[Path, typer.Option(help="Folder of dev.tsv and toxic_only.txt.")],
    ordinary: Annotated[Path | None, typer.Option(help="Harmless texts, a line each.")] = None,
) -> None:
    """Train the classifier of insults and write its weights."""
    rows, toxic = read_rows(data / "dev.tsv"), data / "toxic_only.txt"
    model = train(labelled(rows) + others(rows, toxic, ordinary))
    header = HEADER.pack(model.scale, model.bias, *model.words)
    (FOLDER / "insults.bin").write_bytes(header + model.weights.tobytes())
    inputs = [data / "dev.tsv", toxic, *([ordinary] if ordinary else [])]
    hashes = "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in inputs)
    (FOLDER / "insults.sha256").write_text(hashes, encoding="utf-8")
    typer.echo(hashes, nl=False)


if __name__ == "__main__":
    typer.run(main)
