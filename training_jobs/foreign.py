"""A GPT-2 that was fine-tuned elsewhere, made a run folder that can be published."""

from pathlib import Path

from contracts.prompt import PromptFormat
from contracts.settings import Volumes, from_environment
from training_jobs.base import load_base
from training_jobs.convert import export
from training_jobs.run_folder import MODEL, Conversion, Run, write_conversion, write_run


def foreign_run(bot: str, model: Path, fmt: PromptFormat, run_folder: Path) -> None:
    """Make a run folder of a model that was fine-tuned elsewhere; code in it is not run."""
    base = load_base(str(model), from_environment(Volumes))
    run = Run(
        bot=bot,
        base=model.name,
        dataset_sha256="",
        eos=base.words.eos,
        prompt_format=fmt,
        licence=base.licence,
        notes=("fine-tuned elsewhere",),
        metrics={},
    )
    write_run(run_folder, base, run)
    aside = run_folder / ".part"
    export(run_folder / MODEL, aside, 8)
    write_conversion(run_folder, aside, Conversion(precision="int8", perplexity_drift=None))
