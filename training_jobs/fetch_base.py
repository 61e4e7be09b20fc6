"""The job that downloads a base model once, for all bots: no other needs the model hub.

Exit codes: 0 done or there already, 2 refused (one line on standard error says why).
"""

from typing import Annotated

import typer

from contracts.refusal import Refusal, end_process
from contracts.settings import Volumes, from_environment
from telemetry.logs import LogSettings, configure, logger
from training_jobs.base import find_base, load_base
from training_jobs.config import DEFAULT_BASE
from training_jobs.quiet import quieten

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    base: Annotated[str, typer.Option(help="A name of the model hub, owner/name.")] = DEFAULT_BASE,
) -> None:
    """Download a base model into BASE_DIR, where fine-tuning looks for it first, and try it."""
    try:
        configure(from_environment(LogSettings), "fetching")
        quieten()
        volumes = from_environment(Volumes)
        folder = find_base(base, volumes)
        loaded = load_base(str(folder), volumes)
    except Refusal as refusal:
        end_process(refusal)
    size = loaded.model.num_parameters()
    logger().info("fetched", base=base, folder=str(folder), parameters=size)


if __name__ == "__main__":
    app()
