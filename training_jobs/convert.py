"""The conversion job: a run's weights to OpenVINO, int4 where that costs next to nothing."""

from training_jobs.model_libraries import require_training_packages

if __name__ == "__main__":
    require_training_packages()

import errno
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers.pytorch_utils import Conv1D

from contracts.dataset import HELDOUT, TRAIN, read_records
from contracts.files import whole_folder, write_model
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal
from telemetry.job import BotOption, DatasetOption, JobReport, RunOption, SkipOption, job, job_app
from telemetry.logs import logger
from training_jobs import run_folder
from training_jobs.answer_words import write_answer_words
from training_jobs.bot_config import TrainingConfig
from training_jobs.evaluation.contexts import select_contexts
from training_jobs.hardware import detect_hardware
from training_jobs.language_model import LanguageModel, load_model
from training_jobs.loss import document_losses
from training_jobs.model_libraries import silence
from training_jobs.packing import Document
from training_jobs.quality_gate import ALLOWED_DRIFT

DRIFT_CONTEXTS, DRIFT_TOKENS = 100, 256
FULL_DISK = 1 << 20
"""Free bytes below which a failed conversion is put down to the disk."""
INT4_GROUP = 64
"""Weights that share a scale."""


def convert(
    folder: Path, dataset: Path, precision: Literal["auto", "int4", "int8"]
) -> run_folder.Conversion:
    """Convert to the first precision that keeps the perplexity, or else to the last one allowed."""
    run_folder.read_run(folder)
    model = load_model(folder / run_folder.MODEL)
    documents = _heldout_documents(dataset, model)
    trained = sum(document_losses(model.model, documents, detect_hardware("fp32")))
    count = sum(document.loss_tokens for document in documents)
    wanted = ["int4", "int8"] if count else ["int8"]
    if precision != "auto":
        wanted = [precision]
    with whole_folder(folder / run_folder.CONVERTED) as output:
        for name in wanted:
            try:
                export(model, output, 4 if name == "int4" else 8)
            except Refusal:
                if name == wanted[-1]:
                    raise
                logger().info("not converted", precision=name)  # too narrow for groups of 64, say
                continue
            drift = None
            if count:
                drift = math.expm1((sum(converted_losses(output, documents)) - trained) / count)
            logger().info("converted", precision=name, perplexity_drift=drift)
            if abs(drift or 0.0) <= ALLOWED_DRIFT:
                break
        write_answer_words(read_records(dataset / TRAIN), output)
        run_folder.discard_conversion(folder)
    done = run_folder.Conversion(precision=name, perplexity_drift=drift)
    write_model(folder / run_folder.CONVERSION, done)
    return done


def _heldout_documents(dataset: Path, model: LanguageModel) -> list[Document]:
    longest = min(DRIFT_TOKENS, model.context_length)
    records, encode = read_records(dataset / HELDOUT), model.vocabulary.encode
    chosen = select_contexts(records, DRIFT_CONTEXTS, encode, longest)
    return [context.document(model.vocabulary, longest) for context in chosen]


def export(model: LanguageModel, output: Path, bits: Literal[4, 8]) -> None:
    """Fill `output` with the OpenVINO model, its configuration and the tokenizer.

    The layers of `model.model` are replaced by others that compute the same.
    """
    with silence(), TemporaryDirectory() as exported:
        try:
            from optimum.exporters.openvino import export_from_model
            from optimum.intel import OVConfig, OVModelForCausalLM, OVWeightQuantizationConfig

            gpt2 = model.model.to("cpu")  # type: ignore[arg-type]
            _use_linear_layers(gpt2)
            gpt2.set_attn_implementation("sdpa")
            export_from_model(gpt2, exported, "text-generation-with-past", OVConfig(dtype="auto"))
            weights: dict[str, float] = {"bits": 8, "sym": False}
            if bits == 4:
                weights = {"bits": 4, "sym": True, "group_size": INT4_GROUP, "ratio": 1.0}
            converted = OVModelForCausalLM.from_pretrained(
                exported, compile=False, quantization_config=OVWeightQuantizationConfig(**weights)
            )
            # while it runs, activations are quantised in groups: large ones are faster, and those
            # of int4 cannot be larger than its weights' groups
            group = gpt2.config.n_embd if bits == 8 else INT4_GROUP
            options = ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
            converted.model.set_rt_info(str(group), options)
            converted.save_pretrained(output)
            (output / "openvino_config.json").unlink()  # names a folder of this machine
            model.tokenizer.save(str(output / "tokenizer.json"), pretty=False)
        except Exception as error:  # torch, transformers and OpenVINO errors share no base class
            reason = " ".join(str(error).split())[:200]
            for folder in (output, exported):  # OpenVINO does not say that a disk is full
                if shutil.disk_usage(folder).free < FULL_DISK:
                    reason = f"{os.strerror(errno.ENOSPC)}: {folder}"
            raise Refusal(f"{model.name}: cannot be converted to OpenVINO ({reason})") from None


def _use_linear_layers(model: nn.Module) -> None:
    """Replace GPT-2's Conv1D, which reshapes before and after: a tenth of a step's time."""
    for module in list(model.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, Conv1D):
                linear = nn.Linear(layer.nx, layer.nf)
                linear.weight = nn.Parameter(layer.weight.detach().t().contiguous())
                linear.bias = layer.bias
                setattr(module, name, linear)


def converted_losses(model: Path, documents: Sequence[Document]) -> list[float]:
    """Return the summed loss of each document, in nats, by the OpenVINO model."""
    from optimum.intel import OVModelForCausalLM

    losses = []
    with silence():
        converted = OVModelForCausalLM.from_pretrained(model)
        for document in documents:
            ids = torch.tensor([document.ids])
            logits = converted(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            each = cross_entropy(logits[0, :-1].double(), ids[0, 1:], reduction="none")
            losses.append(float(each[document.loss_mask[1:]].sum()))
    return losses


def adopt(bot: str, source: Path, folder: Path) -> None:
    """Make a run folder of a model that was fine-tuned elsewhere, on texts with a line a message.

    Code in it is not run.
    """
    model = load_model(source)
    run = run_folder.Run(
        bot=bot,
        base=source.name,
        dataset_sha256="",
        eos=model.vocabulary.eos,
        prompt_format=PromptFormat.PLAIN,
        licence=model.licence,
        notes=("fine-tuned elsewhere",),
        metrics={},
    )
    run_folder.write_run(folder, model.save, run)
    with whole_folder(folder / run_folder.CONVERTED) as output:
        export(model, output, 8)
    done = run_folder.Conversion(precision="int8", perplexity_drift=None)
    write_model(folder / run_folder.CONVERSION, done)


def report_conversion(report: JobReport, done: run_folder.Conversion, model: Path) -> None:
    drift = "Share by which the converted model's perplexity differs from the trained one's."
    report.gauge("perplexity_drift_ratio", drift, done.perplexity_drift)
    size = sum(path.stat().st_size for path in model.iterdir())
    report.gauge("model_bytes", "Size of the converted model.", size)


def main(
    bot: BotOption,
    run: RunOption = None,
    dataset: DatasetOption = None,
    skip_unchanged: SkipOption = False,
) -> None:
    """Convert a fine-tuned model to what generation serves."""
    with job("conversion", bot, skip_unchanged) as context:
        name, volumes = context.bot.name, context.volumes
        folder, source = run or volumes.run(name), dataset or volumes.dataset(name)
        weights = context.bot.section("training", TrainingConfig).weights
        done = context.make_if_changed(
            folder / "conversion.made-from",
            (folder / run_folder.MODEL, source / HELDOUT, weights),
            read=lambda: run_folder.read_conversion(folder),
            make=lambda: convert(folder, source, weights),
        )
        report_conversion(context.report, done, folder / run_folder.CONVERTED)


app = job_app(main)

if __name__ == "__main__":
    app()
