"""report.html: the evaluation for human eyes, one file without anything to fetch."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from training_jobs.run_folder import REPORT, Run

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#17212b}table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.3rem .8rem;
border-bottom:1px solid #d5dce3;text-align:left;vertical-align:top}td.n{font-variant-numeric:
tabular-nums}svg{width:100%;height:auto;background:#f6f8fa}.soft{color:#66727e}"""
_WIDTH, _HEIGHT = 800, 240

Row = Sequence[str]


def write_report(folder: Path, bot: str, run: Run, figures: Mapping[str, Any]) -> None:
    parts = [
        f"<h1>{escape(bot)}</h1><p class=soft>From {escape(run.base)}; {figures['contexts']} "
        "answers of the held-out part. Intervals cover 95 % of resamples.</p>",
        _curve(run),
        _likelihood(figures),
        _table(
            "Whose words are these? (1: surely the persona's)",
            [(name, _interval(each)) for name, each in figures["attribution"].items()],
        ),
        _table(
            "Replies that repeat a stretch of what was learned",
            [(name, _interval(each)) for name, each in figures["memorised"].items()],
        ),
        _others(figures),
        _profiles(figures),
        _examples(figures["examples"]),
        _table("Notes", [("", note) for note in (*figures["notes"], *run.notes)]),
    ]
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(bot)}</title>"
        f"<style>{_STYLE}</style>{''.join(parts)}</html>"
    )
    (folder / REPORT).write_text(page, encoding="utf-8")


def _interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _table(title: str, rows: Iterable[Row], head: Row = ()) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td class=n>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    if not body:
        return ""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return f"<h2>{escape(title)}</h2><table><tr>{top}</tr>{body}</table>"


def _likelihood(figures: Mapping[str, Any]) -> str:
    names = {
        "base": "base", "current": "the version that serves", "tuned": "fine-tuned",
        "shuffled": "fine-tuned, behind another context",
    }  # fmt: skip
    rows = [
        (title, _interval(each["bits_per_character"]), _interval(each["perplexity"]))
        for name, title in names.items()
        if (each := figures[name])
    ]
    return _table(
        "What the persona really said, foretold", rows, ("", "bits per character", "perplexity")
    )


def _others(figures: Mapping[str, Any]) -> str:
    gains = {
        "bits per character gained from the conversation": figures["context_gain"],
        "bits per character better than the version that serves": figures["against_current"],
    }
    shares = {f"diversity: {name}": share for name, share in figures["diversity"].items()}
    shares |= {
        "replies cut at the longest": figures["cut"],
        "replies with nothing in them": figures["empty"],
        "replies that moderation stops": figures["moderated"],
    }
    rows = [(name, _interval(each)) for name, each in gains.items() if each]
    return _table("Besides", [*rows, *((name, f"{share:.3f}") for name, share in shares.items())])


def _profiles(figures: Mapping[str, Any]) -> str:
    profiles = figures["profiles"]
    rows = [
        (feature, *(f"{each[feature]:.2f}" for each in profiles.values()))
        for feature in profiles["real"]
    ]
    far = (
        "distance to what was learned",
        *(f"{figures['style_distance'][n]:.3f}" for n in profiles),
    )
    return _table("How it looks", [*rows, far], ("", *profiles))


def _examples(examples: Iterable[Mapping[str, Sequence[str]]]) -> str:
    rows = [
        (
            " ⏎ ".join(each["asked"]),
            *(" / ".join(each.get(name, ())) for name in ("really", "base", "tuned")),
        )
        for each in examples
    ]
    return _table("Side by side", rows, ("asked", "really said", "base", "fine-tuned"))


def _curve(run: Run) -> str:
    """Training and held-out loss over the steps."""
    if len(run.losses) < 2:
        return ""
    top, last = max(run.losses), len(run.losses)

    def line(points: Iterable[tuple[float, float]], colour: str) -> str:
        places = " ".join(
            f"{step / last * _WIDTH:.1f},{(1 - loss / top) * _HEIGHT:.1f}" for step, loss in points
        )
        return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{places}"/>'

    return (
        f'<h2>Loss</h2><svg viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"{line(enumerate(run.losses, 1), '#9db4c8')}{line(run.heldout, '#c4473a')}</svg>"
        f"<p class=soft>{last} steps from {run.losses[0]:.2f} to {run.losses[-1]:.2f} nats a token"
        f" (grey), held out (red) at last {run.heldout[-1][1] if run.heldout else 0:.2f}.</p>"
    )
