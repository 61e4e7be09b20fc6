"""What a job computes on: device, precision, the processes that share a training run, memory."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from contracts.refusal import Refusal

Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Hardware:
    """bf16: products are computed in bfloat16; rank: number of this process, of `world` in all."""

    device: torch.device
    bf16: bool
    rank: int = 0
    world: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def all_reduce(self, tensors: list[Tensor]) -> None:
        """Add up the tensors over all processes, in place."""
        if self.world == 1:
            return
        joined = parameters_to_vector(tensors)  # one message instead of hundreds
        distributed.all_reduce(joined)
        vector_to_parameters(joined, tensors)

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all must ask at the same step."""
        count = torch.tensor([float(flag)], device=self.device)
        self.all_reduce([count])
        return bool(count.item())


@contextmanager
def detect_hardware(precision: Precision) -> Iterator[Hardware]:
    """Yield what to compute on.

    Where torchrun or Kubernetes has set WORLD_SIZE and RANK, the process is in their process group
    inside the block.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    bf16 = _has_bf16(device) if precision == "auto" else precision == "bf16"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Hardware(device, bf16)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Hardware(device, bf16, distributed.get_rank(), world)
    finally:
        distributed.destroy_process_group()


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
