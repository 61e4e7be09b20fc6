"""report.html: the evaluation as a page to read, one file that loads nothing else."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from contracts.files import write_whole
from training_jobs.fidelity.results import Evaluation
from training_jobs.run_folder import Run

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#17212b}table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.3rem .8rem;
border-bottom:1px solid #d5dce3;text-align:left;vertical-align:top}td.n{font-variant-numeric:
tabular-nums}svg{width:100%;height:auto;background:#f6f8fa}.soft{color:#66727e}"""
_WIDTH, _HEIGHT = 800, 240


def write_report(path: Path, run: Run, evaluation: Evaluation) -> None:
    """Write the page; a table without rows is left out."""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(run.bot)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(run.bot)}</h1><p class=soft>From {escape(run.base)};"
        f" {evaluation.contexts} answers of the held-out part. Intervals cover 95 % of resamples."
        f"</p>{_loss_curve(run)}{_likelihood(evaluation)}"
        + _table("Whose words are these? (1: surely the persona's)", evaluation.attribution.items())
        + _table("Replies that repeat what was learned", evaluation.memorised.items())
        + _gains_and_shares(evaluation)
        + _style(evaluation)
        + _examples(evaluation)
        + _table("Notes", [("", note) for note in (*evaluation.notes, *run.notes)])
        + "</html>"
    )
    write_whole(path, page)


def _table(title: str, rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    table = f"<h2>{escape(title)}</h2><table><tr>{top}</tr>{body}</table>"
    return table if body else ""


def _cell(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return f"<td class=n>{escape(text)}</td>"


def _likelihood(evaluation: Evaluation) -> str:
    models = {
        "base": evaluation.base,
        "the version that serves": evaluation.current,
        "fine-tuned": evaluation.tuned,
        "fine-tuned, behind another context": evaluation.shuffled,
    }
    rows = [(name, m.bits_per_character, m.perplexity) for name, m in models.items() if m]
    head = ("", "bits per character", "perplexity")
    return _table("How well the real answers are predicted", rows, head)


def _gains_and_shares(evaluation: Evaluation) -> str:
    figures = {
        "bits per character gained from the conversation": evaluation.context_gain,
        "bits per character better than the version that serves": evaluation.against_current,
        **{f"diversity: {name}": share for name, share in evaluation.diversity.items()},
        "replies cut at the length limit": evaluation.cut,
        "empty replies": evaluation.empty,
        "replies that moderation stops": evaluation.moderated,
    }
    return _table("Besides", [row for row in figures.items() if row[1] is not None])


def _style(evaluation: Evaluation) -> str:
    groups = evaluation.profiles
    rows = [(name, *(group[name] for group in groups.values())) for name in groups["real"]]
    rows.append(("distance to what was learned", *map(evaluation.style_distance.get, groups)))
    return _table("How it looks", rows, ("", *groups))


def _examples(evaluation: Evaluation) -> str:
    head = {"context": "context", "real": "really said", "base": "base", "tuned": "fine-tuned"}
    rows = [[" / ".join(each.get(name, ())) for name in head] for each in evaluation.examples]
    return _table("Side by side", rows, list(head.values()))


def _loss_curve(run: Run) -> str:
    """Draw training and held-out loss over the steps."""
    if len(run.losses) < 2:
        return ""
    highest, steps = max(run.losses), len(run.losses)

    def line(points: Iterable[tuple[float, float]], colour: str) -> str:
        places = " ".join(
            f"{step / steps * _WIDTH:.1f},{(1 - loss / highest) * _HEIGHT:.1f}"
            for step, loss in points
        )
        return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{places}"/>'

    return (
        f'<h2>Loss</h2><svg viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"{line(enumerate(run.losses, 1), '#9db4c8')}{line(run.heldout, '#c4473a')}</svg>"
        f"<p class=soft>{steps} steps from {run.losses[0]:.2f} to {run.losses[-1]:.2f} nats a token"
        f" (grey), held out (red) at last {run.heldout[-1][1] if run.heldout else 0:.2f}.</p>"
    )
