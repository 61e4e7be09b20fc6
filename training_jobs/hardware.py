"""What the job runs on: device, precision, the other processes of a distributed run, memory."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, distributed

from contracts.refusal import Refusal


class OutOfMemory(Refusal):
    """The run needs more memory than there is; the text says what to lower."""


@dataclass(frozen=True)
class Hardware:
    """device, whether products are taken in bfloat16, and which of how many processes this is."""

    device: torch.device
    bf16: bool
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def sum(self, tensors: list[Tensor]) -> None:
        """Add up the tensors over all processes, in place."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def agree(self, flag: bool) -> bool:
        """Whether it holds for any process; all must ask at the same step."""
        counted = torch.tensor([float(flag)], device=self.device)
        self.sum([counted])
        return bool(counted.item())


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def hardware(precision: Literal["auto", "fp32", "bf16"]) -> Iterator[Hardware]:
    """The hardware to run on, in the process group of WORLD_SIZE and RANK where they are set."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    bf16 = has_bf16(device) if precision == "auto" else precision == "bf16"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Hardware(device, bf16)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Hardware(device, bf16, distributed.get_rank(), world)
    finally:
        distributed.destroy_process_group()


@contextmanager
def memory_told() -> Iterator[None]:
    """Turn a failed allocation inside the block into a refusal that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and "can't allocate memory" not in str(error):
            raise
        raise OutOfMemory(
            "not enough memory: lower training.tokens_at_once, set training.gradient_checkpointing,"
            " or take training.method: lora"
        ) from None


def peak_memory() -> int:
    """Most bytes that this process has held, of the GPU where it uses one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
