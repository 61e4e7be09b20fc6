"""What a job computes on: device, precision, memory."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from contracts.refusal import Refusal

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Hardware:
    """bf16: products are computed in bfloat16."""

    device: torch.device
    bf16: bool

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


def detect_hardware(precision: Precision) -> Hardware:
    """Return what to compute on."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Hardware(device, _has_bf16(device) if precision == "auto" else precision == "bf16")


def _has_bf16(device: torch.device) -> bool:
    """Whether the processor itself multiplies bfloat16: emulated, it is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def refuse_out_of_memory() -> Iterator[None]:
    """Turn a failed allocation inside the block into a Refusal that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not is_memory and "can't allocate memory" not in str(error):
            raise
        raise Refusal(
            "not enough memory: lower training.tokens_at_once, set training.gradient_checkpointing,"
            " or take training.method: lora"
        ) from None


def peak_memory() -> int:
    """Return the most bytes that this process has held, of the GPU where it uses one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
