"""The training loop. Killed anywhere, a run goes on from its last checkpoint to the same result.

The loss of a step is the mean over all its tokens with a loss, however many passes share it.
"""

import math
import time
from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from contracts.refusal import Refusal
from telemetry.job import Interrupted, JobReport
from training_jobs.checkpoint import BEST, STEP
from training_jobs.gpt2_layers import add_lora, merge_lora, speed_up
from training_jobs.jemalloc import release_memory
from training_jobs.loss import summed_loss
from training_jobs.progress import ProgressLog, TrainingProgress
from training_jobs.samples import sample_replies
from training_jobs.training_run import TrainingRun

RELEASE_STEPS = 32
"""Steps after which unused memory is given back. Tensors of ever other sizes leave gaps: without it
11,000 short records took 4.7 GB after 676 steps, 1.1 of them in use.
"""


def train(run: TrainingRun, report: JobReport, should_stop: Callable[[], bool]) -> TrainingProgress:
    """Fine-tune `run.base`.

    Raises Refusal where training fails, and Interrupted after the step at which `should_stop` is
    true.
    """
    config, model = run.config, run.base.model
    is_lora = config.method == "lora"
    model.to(run.hardware.device)  # type: ignore[arg-type]
    speed_up(model, is_lora)
    if is_lora:
        torch.manual_seed(config.seed)  # of the additions' first values
        add_lora(model, config.lora_rank, run.hardware.bf16)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable()  # type: ignore[no-untyped-call]
    trainer = Trainer(run, report, should_stop)
    with trainer.log.bar:
        progress = trainer.train()
    if is_lora:
        # The frozen weights may be rounded to bf16: the base as it was takes the additions.
        release_memory()
        run.base = run.load_base()
        merge_lora(model, run.base.model)
        run.base.model.to(run.hardware.device)  # type: ignore[arg-type]
    return progress


def schedule(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak learning rate at a step (from 0).

    Linear warm-up, then a cosine to a tenth.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def _optimizer(parameters: Collection[nn.Parameter], rate: float, decay: float) -> AdamW:
    """Return AdamW without decay on biases and norms, as is usual for GPT-2."""
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True)


class Trainer:
    """The steps of one run, from its checkpoint on if it has one."""

    def __init__(
        self, run: TrainingRun, report: JobReport, should_stop: Callable[[], bool]
    ) -> None:
        self._run = run
        self._config = run.config
        self._hardware = run.hardware
        self._model = run.base.model
        self.log = ProgressLog(report, run.output, run.steps, run.steps_per_epoch)
        self._should_stop = should_stop
        self._trained = {n: p for n, p in self._model.named_parameters() if p.requires_grad}
        self._rate = run.config.rate_for(self._model.num_parameters(), len(run.documents))
        self._optimizer = _optimizer(self._trained.values(), self._rate, run.config.weight_decay)
        self._progress = TrainingProgress()

    def train(self) -> TrainingProgress:
        """Take all steps and leave the model with its best weights."""
        self._resume()
        progress, steps = self._progress, self._run.steps
        measure_every = max(1, math.ceil(steps * self._config.measure_share))
        saved_at = time.monotonic()
        while progress.steps < steps and not self._is_overfitting():
            started = time.monotonic()
            self._step(progress.steps)
            is_due = progress.steps % measure_every == 0 or progress.steps == steps
            if is_due and self._run.measured:
                self._measure()
            if progress.steps % RELEASE_STEPS == 0:
                release_memory()
            progress.seconds += time.monotonic() - started
            if is_due:
                replies = sample_replies(self._run.base, self._hardware)
                progress.samples.append((progress.steps, replies))
            self.log.note(progress)
            if self._should_stop():
                self._save()
                raise Interrupted
            if time.monotonic() - saved_at > 60 * self._config.checkpoint_minutes:
                self._save()
                saved_at = time.monotonic()
        self.log.write(progress)
        if best := self._run.checkpoints.load(BEST):
            self._model.load_state_dict(best, strict=False)
        return progress

    def _is_overfitting(self) -> bool:
        """Whether the held-out loss has not fallen for as many measurements as patience allows."""
        best = self._progress.best_step
        since = sum(step > best for step, _ in self._progress.heldout)
        return 0 < self._config.patience <= since

    def _step(self, number: int) -> None:
        # Dropout is drawn from the step's own seed: a resumed run draws what the whole one did.
        torch.manual_seed(hash((self._config.seed, number)))
        self._model.train()
        passes = self._run.step(number)
        warmup = max(1, int(self._run.steps * self._config.warmup_share))
        rate = self._rate * schedule(number, self._run.steps, warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad()
        loss = torch.zeros(1, device=self._hardware.device)
        loss_tokens = max(1, sum(batch.loss_tokens for batch in passes))
        for batch in passes:
            with self._hardware.autocast():
                part = summed_loss(self._model, batch.to(self._hardware.device)) / loss_tokens
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        norm = nn.utils.clip_grad_norm_(self._trained.values(), 1.0)
        for name, value in (("loss", float(loss)), ("gradient", float(norm))):
            if not math.isfinite(value):
                raise Refusal(
                    f"the {name} is {value} at step {number}; lower training.learning_rate."
                    " The checkpoint before it is kept"
                )
        self._optimizer.step()
        self._progress.losses.append(float(loss))
        self._progress.tokens += sum(batch.tokens for batch in passes)

    def _measure(self) -> None:
        done = self._progress.steps
        self._progress.heldout.append((done, self._run.heldout_loss()))
        if self._progress.best_step == done:
            self._run.checkpoints.save(BEST, self._weights())

    def _weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach().cpu() for name, parameter in self._trained.items()}

    def _save(self) -> None:
        state = {
            "progress": vars(self._progress),
            "weights": self._weights(),
            "optimizer": self._optimizer.state_dict(),
        }
        self._run.checkpoints.save(STEP, state)

    def _resume(self) -> None:
        if state := self._run.checkpoints.load(STEP):
            self._progress = TrainingProgress(**state["progress"])
            # not strict: with LoRA only the additions were trained and saved
            self._model.load_state_dict(state["weights"], strict=False)
            self._optimizer.load_state_dict(state["optimizer"])
