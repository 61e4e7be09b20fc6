"""The command line says of each line what a policy does with it."""

import json

import pytest
from typer.testing import CliRunner

from services.generation.__main__ import app

LINES = ["привет", "", "ну хуйня", "дурак", "карта 4276 3801 2345 0004", "https://example.com"]


def judged(*options: str) -> list[str]:
    done = CliRunner().invoke(app, ["moderate", *options], input="\n".join(LINES) + "\n")
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize(
    ("policy", "categories"),
    [
        ("friends", [None, None, "profanity", None, "private", None]),
        ("family", [None, None, "profanity", "insult", "private", "link"]),
        ("strict", [None, None, "profanity", "insult", "private", "link"]),
        ("soft", [None, None, "profanity", None, "private", "link"]),
        ("off", [None] * 6),
    ],
)
def test_each_line_gets_an_object_an_empty_one_too(
    policy: str, categories: list[str | None]
) -> None:
    found = [json.loads(line) for line in judged("--json", "--policy", policy)]
    assert [each["category"] for each in found] == categories
    assert [each["flagged"] for each in found] == [each is not None for each in categories]
    nothing = {"flagged": False, "action": "none", "category": None, "span": None, "rule": None}
    assert found[0] == nothing
    if policy != "off":
        assert (found[2]["span"], found[2]["rule"]) == ([3, 8], "хуй")


def test_people_read_what_is_sent_and_why() -> None:
    assert judged()[2] == "masked (profanity: хуй)\tну *****"
    assert judged("--policy=off")[2] == "passes\tну хуйня"


def test_another_policy_is_refused() -> None:
    done = CliRunner().invoke(app, ["moderate", "--policy", "enemies"], input="")
    assert done.exit_code == 2
    assert "neither a preset nor a level" in done.output
