"""The conversion job: a finished run's weights to OpenVINO, int4 where that costs next to nothing.

Exit codes: 0 done, 2 refused (one line on standard error says why).
"""

from training_jobs.installed import require_training_packages

if __name__ == "__main__":
    require_training_packages()

import math
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import rich
import typer

from contracts.dataset import HELDOUT, read_card, read_records
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from telemetry.job import BotOption, DatasetOption, JobReport, RunOption, SkipUnchanged, job
from telemetry.logs import logger
from training_jobs.base import Base, load_base
from training_jobs.config import TrainingConfig
from training_jobs.fidelity.contexts import contexts
from training_jobs.fidelity.likelihood import nats, tokens
from training_jobs.gate import ALLOWED_DRIFT
from training_jobs.hardware import hardware
from training_jobs.packing import Document
from training_jobs.quiet import quieten, without_library_logs
from training_jobs.run_folder import (
    CONVERTED,
    MODEL,
    Conversion,
    read_conversion,
    read_run,
    write_conversion,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

MOST_CONTEXTS, BUDGET = 100, 256
INT4_GROUP = 64
"""Weights that share a scale."""


class ConversionFailed(Refusal):
    """OpenVINO could not take the model."""


def export(model: Path, output: Path, bits: Literal[4, 8]) -> None:
    """Fill `output` with the OpenVINO model and its configuration.

    The model says itself in how large groups its activations are to be quantised while it runs:
    large ones are faster, and those of int4 cannot be larger than its weights' groups.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            _export(model, output, bits)
    except Exception as error:  # torch, transformers and OpenVINO errors share no base class
        reason = " ".join(str(error).split())[:200]
        raise ConversionFailed(f"{model}: cannot be converted to OpenVINO ({reason})") from None


def _export(model: Path, output: Path, bits: Literal[4, 8]) -> None:
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
    from transformers.pytorch_utils import Conv1D

    kind = {"bits": 8, "sym": False} if bits == 8 else {
        "bits": 4, "sym": True, "group_size": INT4_GROUP, "ratio": 1.0,
    }  # fmt: skip
    # GPT-2's own linear layers reshape before and after, which costs a tenth of a step
    linear = patch.object(Conv1D, "forward", _linear)
    quieten()
    without_bars = patch.object(rich.get_console(), "quiet", True)
    with without_library_logs("nncf", "torch", "optimum"), without_bars, linear:
        converted = OVModelForCausalLM.from_pretrained(
            model,
            export=True,
            compile=False,
            load_in_8bit=None,
            quantization_config=OVWeightQuantizationConfig(**kind),
        )
        group = converted.config.n_embd if bits == 8 else INT4_GROUP
        options = ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
        converted.model.set_rt_info(str(group), options)
        converted.save_pretrained(output)
    (output / "openvino_config.json").unlink()  # names the run's folder, and nothing reads it
    shutil.copyfile(model / "tokenizer.json", output / "tokenizer.json")


def _linear(layer: Any, x: Any) -> Any:
    from torch.nn.functional import linear

    return linear(x, layer.weight.t(), layer.bias)


def converted_nats(model: Path, docs: Sequence[Document]) -> list[float]:
    """Summed loss of each document by the OpenVINO model."""
    import numpy as np
    import openvino as ov

    request = ov.Core().compile_model(model / "openvino_model.xml", "CPU").create_infer_request()
    losses = []
    for doc in docs:
        request.reset_state()
        ids = np.array([doc.ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        places = np.arange(len(doc.ids), dtype=np.int64)[None]
        inputs |= {"position_ids": places, "beam_idx": np.zeros(1, dtype=np.int32)}
        known = {name for each in request.model_inputs for name in each.get_names()}
        logits = request.infer({k: v for k, v in inputs.items() if k in known})["logits"][0]
        logits = logits[:-1].astype(np.float64)
        top = logits.max(-1, keepdims=True)
        logs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        chosen = -logs[np.arange(len(doc.ids) - 1), doc.ids[1:]]
        losses.append(float((chosen * np.array(doc.loss_mask[1:])).sum()))
    return losses


def convert(
    run_folder: Path, dataset: Path, precision: Literal["auto", "int4", "int8"]
) -> Conversion:
    """The first precision of those allowed whose perplexity stays, else the last one's figures."""
    read_run(run_folder)
    base = load_base(str(run_folder / MODEL), from_environment(Volumes))
    docs = _documents(dataset, base)
    with hardware("fp32") as machine:
        trained = sum(nats(base.model, docs, machine))
    count = sum(tokens(docs))
    wanted = ("int4", "int8") if precision == "auto" and count else ("int8",)
    if precision != "auto":
        wanted = (precision,)
    aside = run_folder / f".{CONVERTED}.part"
    for name in wanted:
        shutil.rmtree(aside, ignore_errors=True)
        try:
            export(run_folder / MODEL, aside, 4 if name == "int4" else 8)
        except ConversionFailed:
            if name == wanted[-1]:
                raise
            logger().info("not converted", precision=name)  # too narrow for groups of 64, say
            continue
        drift = _drift(converted_nats(aside, docs), trained, count)
        logger().info("converted", precision=name, perplexity_drift=drift)
        if drift is None or abs(drift) <= ALLOWED_DRIFT:
            break
    done = Conversion(precision=name, perplexity_drift=drift)
    write_conversion(run_folder, aside, done)
    return done


def report_conversion(report: JobReport, done: Conversion, model: Path) -> None:
    drift = "Share by which the converted model's perplexity differs from the trained one's."
    report.gauge("perplexity_drift_ratio", drift, done.perplexity_drift)
    size = sum(path.stat().st_size for path in model.iterdir())
    report.gauge("model_bytes", "Size of the converted model.", size)


def _drift(losses: Sequence[float], trained: float, count: int) -> float | None:
    return math.expm1((sum(losses) - trained) / count) if count else None


def _documents(dataset: Path, base: Base) -> list[Document]:
    longest, whole = min(BUDGET, base.context), read_card(dataset).whole_chat
    asked = contexts(read_records(dataset / HELDOUT), whole, MOST_CONTEXTS, longest)
    return [each.document(base.words, longest) for each in asked]


@app.command()
def main(
    bot: BotOption,
    run: RunOption = None,
    dataset: DatasetOption = None,
    skip_unchanged: SkipUnchanged = False,
) -> None:
    """Convert a fine-tuned model to what generation serves."""
    with job("conversion", bot, run, skip_unchanged) as context:
        quieten()
        name, volumes = context.bot.name, context.volumes
        folder, source = run or volumes.run(name), dataset or volumes.dataset(name)
        weights = context.bot.section("training", TrainingConfig).weights
        done = context.make_if_changed(
            folder / "conversion.made-from",
            (folder / MODEL, source / HELDOUT, weights),
            read=lambda: read_conversion(folder),
            make=lambda: convert(folder, source, weights),
        )
        report_conversion(context.report, done, folder / CONVERTED)


if __name__ == "__main__":
    app()
