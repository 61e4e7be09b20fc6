"""Fine-tuned weights to OpenVINO IR with int8 weights, as generation serves them."""

import shutil
import warnings
from pathlib import Path

from contracts.refusal import Refusal
from training_jobs.quiet import quieten, without_library_logs

PRECISION = "int8"


class ConversionFailed(Refusal):
    """OpenVINO could not take the model."""


def convert(model: Path, output: Path) -> None:
    """Fill `output` with the OpenVINO model, its configuration, the weights and tokenizer.json."""
    try:
        with warnings.catch_warnings(action="ignore"):
            _export(model, output)
    except Exception as error:  # torch, transformers and OpenVINO errors share no base class
        reason = " ".join(str(error).split())[:200]
        raise ConversionFailed(f"{model}: cannot be converted to OpenVINO ({reason})") from None
    # the weights as they were trained, for whoever fine-tunes on
    for path in sorted(model.iterdir()):
        if path.suffix == ".safetensors" or path.name == "tokenizer.json":
            shutil.copyfile(path, output / path.name)


def _export(model: Path, output: Path) -> None:
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

    quieten()
    with without_library_logs("nncf", "torch", "optimum"):
        converted = OVModelForCausalLM.from_pretrained(
            model,
            export=True,
            compile=False,
            load_in_8bit=None,
            quantization_config=OVWeightQuantizationConfig(bits=8, sym=False),
        )
        converted.save_pretrained(output)
