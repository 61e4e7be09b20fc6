"""The training loop: packed batches in, a fine-tuned model out. Knows no files."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import GPT2LMHeadModel

from contracts.refusal import Refusal
from training_jobs.config import TrainingConfig
from training_jobs.figures import token_logits
from training_jobs.packing import Batch, Document, batches, pack


class TrainingFailed(Refusal):
    """Training went wrong in a way that more of it would not mend."""


@dataclass
class Trained:
    """What a run gives besides the weights; `losses` has one value a step."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    @property
    def loss(self) -> float:
        """Mean over the run, as run_clm's train_loss."""
        return sum(self.losses) / len(self.losses) if self.losses else math.nan


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def steps_of(config: TrainingConfig, docs: list[Document], block_tokens: int) -> int:
    """How many optimizer steps the run has."""
    size = max(1, config.tokens_per_step // block_tokens)
    per_epoch = math.ceil(len(pack(docs, block_tokens, Random(config.seed))) / size)
    steps = max(1, math.ceil(per_epoch * config.epochs))
    return min(steps, config.max_steps) if config.max_steps else steps


def schedule(step: int, steps: int, warmup: int) -> float:
    """Share of the peak rate at a step (from 0): linear warm-up, then a cosine to a tenth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))


def _endless(
    docs: list[Document], config: TrainingConfig, block_tokens: int, pad: int
) -> Iterator[Batch]:
    order = Random(config.seed)
    while True:
        yield from batches(docs, block_tokens, config.tokens_per_step, pad, order)


def _optimizer(model: GPT2LMHeadModel, rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW without decay on biases and norms, as is usual for GPT-2."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True)


def train(
    model: GPT2LMHeadModel,
    docs: list[Document],
    config: TrainingConfig,
    block_tokens: int,
    pad: int,
    clock: Callable[[], float] = time.monotonic,
) -> Trained:
    """Fine-tune in place; raises TrainingFailed when the loss is no number any more."""
    torch.manual_seed(config.seed)
    rate = config.rate_for(model.num_parameters())
    steps = steps_of(config, docs, block_tokens)
    warmup = max(1, int(steps * config.warmup_share))
    optimizer = _optimizer(model, rate, config.weight_decay)
    bf16 = cpu_has_bf16()
    result = Trained()
    started = clock()
    model.train()
    source = _endless(docs, config, block_tokens, pad)
    with _progress() as progress:
        task = progress.add_task("training", total=steps, loss=math.nan)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule(step, steps, warmup)
            batch = next(source)
            loss = _step(model, optimizer, batch, bf16)
            if not math.isfinite(loss):
                raise TrainingFailed(f"the loss is {loss} at step {step}; lower the learning rate")
            result.losses.append(loss)
            result.tokens += batch.tokens
            progress.update(task, advance=1, loss=loss)
    result.steps, result.seconds = steps, clock() - started
    return result


def _step(model: GPT2LMHeadModel, optimizer: torch.optim.AdamW, batch: Batch, bf16: bool) -> float:
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits, targets = token_logits(model, batch)
        loss = torch.nn.functional.cross_entropy(logits.float(), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
