"""The training loop: a plan in, a fine-tuned model out; killed anywhere, it goes on where it was.

The loss of a step is the mean over all its tokens with a loss, however many passes and processes
share it, so that neither changes the curve.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from contracts.refusal import Refusal
from telemetry.job import Interrupted
from training_jobs.checkpoint import Checkpoints
from training_jobs.config import TrainingConfig
from training_jobs.figures import Figures
from training_jobs.hardware import Hardware
from training_jobs.head import summed_loss
from training_jobs.packing import IGNORED
from training_jobs.plan import Plan

WORTH = 0.002
"""Gain in held-out loss (nats a token) that counts as one."""


class TrainingFailed(Refusal):
    """Training went wrong in a way that more of it would not mend."""


@dataclass
class Curve:
    """What a run has gone through. losses: one a step; heldout: (steps done, loss) pairs."""

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    heldout: list[tuple[int, float]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return len(self.losses)

    @property
    def loss(self) -> float:
        """Mean over the run, as run_clm's train_loss."""
        return sum(self.losses) / len(self.losses) if self.losses else math.nan

    @property
    def best(self) -> tuple[int, float]:
        """Where the held-out loss was lowest; a later one must be lower by WORTH."""
        best = (0, math.inf)
        for step, loss in self.heldout:
            if loss < best[1] - WORTH:
                best = (step, loss)
        return best


def schedule(step: int, steps: int, warmup: int) -> float:
    """Share of the peak rate at a step (from 0): linear warm-up, then a cosine to a tenth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))


def _optimizer(parameters: Sequence[nn.Parameter], rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW without decay on biases and norms, as is usual for GPT-2."""
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True)


class Trainer:
    """One run. `measure` gives the held-out figures of the model, None where nothing is held out.

    `told` is asked after each step whether the job is to end; `seen` hears of each step.
    """

    def __init__(
        self,
        model: GPT2LMHeadModel,
        plan: Plan,
        config: TrainingConfig,
        hardware: Hardware,
        checkpoints: Checkpoints,
        measure: Callable[[], Figures | None],
        told: Callable[[], bool] = lambda: False,
        seen: Callable[[Curve], None] = lambda curve: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._plan = plan
        self._config = config
        self._hardware = hardware
        self._checkpoints = checkpoints
        self._measure = measure
        self._told = told
        self._seen = seen
        self._clock = clock
        self._learned = [p for p in model.parameters() if p.requires_grad]
        self._rate = config.rate_for(model.num_parameters(), plan.documents)
        self._optimizer = _optimizer(self._learned, self._rate, config.weight_decay)
        self.curve = Curve()

    def run(self) -> Curve:
        """Train in place, and leave the best weights; raises TrainingFailed or Interrupted."""
        self._resume()
        saved, measured_every = self._clock(), self._measured_every()
        self._model.train()
        while self.curve.steps < self._plan.steps and not self._overlearns():
            began = self._clock()
            self._step(self.curve.steps)
            if self.curve.steps % measured_every == 0 or self.curve.steps == self._plan.steps:
                self._measure_heldout()
            self.curve.seconds += self._clock() - began
            self._seen(self.curve)
            if self._hardware.agree(self._told()):
                self._save()
                raise Interrupted
            if self._clock() - saved > 60 * self._config.checkpoint_minutes:
                self._save()
                saved = self._clock()
        if best := self._checkpoints.best(self.curve.best[0]):
            self._load_weights(best["weights"])
        return self.curve

    def _measured_every(self) -> int:
        return max(1, math.ceil(self._plan.steps * self._config.measure_share))

    def _overlearns(self) -> bool:
        """The held-out loss has not fallen for as many measurements as patience goes."""
        best = self.curve.best[0]
        since = sum(step > best for step, _ in self.curve.heldout)
        return 0 < self._config.patience <= since

    def _step(self, number: int) -> None:
        torch.manual_seed(hash((self._config.seed, number, self._hardware.rank)))  # dropout's
        passes = self._plan.step(number)
        counted = sum(int((batch.labels[:, 1:] != IGNORED).sum()) for batch in passes)
        rate = self._rate * schedule(number, self._plan.steps, self._warmup())
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros(1, device=self._hardware.device)
        for batch in passes[self._hardware.rank :: self._hardware.world]:
            with self._hardware.autocast():
                part = summed_loss(self._model, batch.to(self._hardware.device)) / max(1, counted)
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        self._share(loss)
        value = float(loss)
        slope = float(nn.utils.clip_grad_norm_(self._learned, 1.0))
        for name, found in (("loss", value), ("gradient", slope)):
            if not math.isfinite(found):
                raise TrainingFailed(
                    f"the {name} is {found} at step {number}; lower training.learning_rate."
                    " The checkpoint before it is kept"
                )
        self._optimizer.step()
        self.curve.losses.append(value)
        self.curve.tokens += sum(batch.tokens for batch in passes)

    def _warmup(self) -> int:
        return max(1, int(self._plan.steps * self._config.warmup_share))

    def _share(self, loss: Tensor) -> None:
        """Add up the processes' parts of the loss and of its gradient."""
        if self._hardware.world == 1:
            return
        for parameter in self._learned:
            if parameter.grad is None:  # this process had no pass of its own
                parameter.grad = torch.zeros_like(parameter)
        self._hardware.sum([loss, *(p.grad for p in self._learned if p.grad is not None)])

    def _measure_heldout(self) -> None:
        figures = self._measure()
        if figures is None:
            return
        self.curve.heldout.append((self.curve.steps, figures.loss))
        if self.curve.best[0] == self.curve.steps and self._hardware.leads:
            self._checkpoints.save_best(self.curve.steps, {"weights": self._weights()})

    def _weights(self) -> dict[str, Tensor]:
        """What is learned, by name."""
        return {
            name: parameter.detach().cpu()
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }

    def _load_weights(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(weights[name])

    def _save(self) -> None:
        state: dict[str, Any] = {
            "curve": vars(self.curve),
            "weights": self._weights(),
            "optimizer": self._optimizer.state_dict(),
        }
        if self._hardware.leads:
            self._checkpoints.save(self.curve.steps, state)

    def _resume(self) -> None:
        state = self._checkpoints.latest()
        if state is None:
            return
        self.curve = Curve(**state["curve"])
        self._load_weights(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
