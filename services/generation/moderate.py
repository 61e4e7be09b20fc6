"""`python -m services.generation moderate`: what a policy does with the lines of standard input."""

import json
import sys
from typing import Annotated

import typer

from moderation.moderator import Action, Moderator, Verdict
from moderation.policy import Policy


def _policy(name: str) -> Policy:
    try:
        return Policy.named(name)
    except ValueError:
        raise typer.BadParameter("neither a preset nor a level") from None


def moderate(
    policy: Annotated[
        Policy,
        typer.Option(
            parser=_policy,
            metavar="PRESET|LEVEL",
            help="family, friends or off; soft or strict for every category.",
        ),
    ] = "friends",  # type: ignore[assignment]
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object for each line.")] = False,
) -> None:
    """Say of each line of standard input what a policy does with it."""
    moderator = Moderator(policy)
    sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="\n")  # type: ignore[union-attr]
    for line in sys.stdin:
        text = line.rstrip("\r\n")
        verdict = moderator.check(text)
        typer.echo(_object(verdict) if as_json else _sentence(verdict, text))


def _object(verdict: Verdict) -> str:
    found = {
        "flagged": verdict.action is not Action.NONE,
        "action": verdict.action,
        "category": verdict.category or None,
        "span": verdict.spans[0] if verdict.spans else None,
        "rule": verdict.rule or None,
    }
    return json.dumps(found, ensure_ascii=False)


def _sentence(verdict: Verdict, text: str) -> str:
    why = f"{verdict.action} ({verdict.category}: {verdict.rule})" if verdict.rule else "passes"
    return f"{why}\t{verdict.text or text}"
