"""The job that downloads a base model once, for all bots: no other needs the model hub."""

from typing import Annotated

import typer

from contracts.settings import Volumes, from_environment
from telemetry.job import command, job_app
from telemetry.logs import logger
from training_jobs.bot_config import DEFAULT_BASE
from training_jobs.language_model import find_base, load_model


def main(
    base: Annotated[
        str, typer.Option(help="A name of the model hub, owner/name or owner/name@commit.")
    ] = DEFAULT_BASE,
) -> None:
    """Download a base model into BASE_DIR, where fine-tuning looks for it first, and load it."""
    with command("fetching"):
        loaded = load_model(find_base(base, from_environment(Volumes)))
        where = {"folder": loaded.name, "revision": loaded.revision}
        for note in loaded.notes:
            logger().warning(note, base=base)
        logger().info("fetched", base=base, **where, parameters=loaded.model.num_parameters())


app = job_app(main)

if __name__ == "__main__":
    app()
