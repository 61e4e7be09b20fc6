"""Fine-tuned weights to OpenVINO IR with int8 weights, as generation serves them."""

import logging
import shutil
import warnings
from pathlib import Path

from contracts.refusal import Refusal

PRECISION = "int8"


class ConversionFailed(Refusal):
    """OpenVINO could not take the model."""


def convert(model: Path, output: Path) -> None:
    """Fill `output` with the OpenVINO model, its configuration, the weights and tokenizer.json."""
    logging.getLogger("nncf").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="(optimum|transformers|torch|nncf)")
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

    try:
        converted = OVModelForCausalLM.from_pretrained(
            model,
            export=True,
            compile=False,
            load_in_8bit=None,
            quantization_config=OVWeightQuantizationConfig(bits=8, sym=False),
        )
        converted.save_pretrained(output)
    except Exception as error:  # torch, transformers and OpenVINO errors share no base class
        reason = " ".join(str(error).split())[:200]
        raise ConversionFailed(f"{model}: cannot be converted to OpenVINO ({reason})") from None
    for path in sorted(model.iterdir()):
        if path.suffix == ".safetensors" or path.name == "tokenizer.json":
            shutil.copyfile(path, output / path.name)
