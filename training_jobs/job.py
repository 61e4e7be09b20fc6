"""A fine-tuning run: what it needs, loaded and checked, and its training."""

import hashlib
from itertools import chain
from pathlib import Path
from random import Random

from contracts.dataset import HELDOUT, TRAIN, Card, dataset_sha256, read_card, read_records
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from training_jobs.allocator import give_back_memory
from training_jobs.base import SCRATCH, Base, load_base, make_base
from training_jobs.checkpoint import FOLDER, Checkpoints
from training_jobs.config import TrainingConfig
from training_jobs.figures import Figures, measure
from training_jobs.hardware import Hardware
from training_jobs.layers import quicken
from training_jobs.loop import Curve, Trainer
from training_jobs.lora import add_lora, merge_lora
from training_jobs.packing import Examples, batches, documents, grouped
from training_jobs.plan import Plan
from training_jobs.watch import Watch

AT_ONCE = 4096
"""Tokens in one pass when nothing is learned."""
MOST_MEASURED = 500
"""Held-out documents, evenly over all, by which a run is measured: a quarter of a minute's work for
ruGPT3Small, and a SIGTERM waits for it."""


class Job:
    """A fine-tuning run with all that it needs, loaded and checked."""

    def __init__(
        self, config: TrainingConfig, dataset: Path, output: Path, machine: Hardware
    ) -> None:
        self.config = config
        self.machine = machine
        self.card = _card(dataset)
        self.dataset = dataset
        self.output = output
        self.base = _base(config, dataset)
        self.block_tokens = min(config.block_tokens, self.base.context)
        self.learn = self._documents(dataset / TRAIN)
        self.held = self._documents(dataset / HELDOUT)
        self.measured = self.held.documents[:: max(1, len(self.held.documents) // MOST_MEASURED)]
        if not self.learn.documents:
            raise Refusal(
                f"{dataset}: no record fits into a block of {self.block_tokens} tokens"
                if self.card.train_records
                else f"{dataset}: there is nothing in it to learn from"
            )
        self.plan = Plan.of(
            self.learn.documents,
            block_tokens=self.block_tokens,
            pad=self.base.words.eos,
            tokens_per_step=config.tokens_per_step,
            tokens_at_once=min(config.pass_tokens, config.tokens_per_step // machine.world),
            epochs=config.epochs_for(len(self.learn.documents)),
            max_steps=config.max_steps,
            seed=config.seed,
        )
        self.checkpoints = Checkpoints(output / FOLDER, self._fingerprint())

    def _fingerprint(self) -> str:
        """Of this very run: the same data, base and settings."""
        settings = self.config.model_dump_json(exclude={"checkpoint_minutes", "weights"})
        told = hashlib.sha256(f"{self.card.sha256} {settings}".encode())
        for name, weights in self.base.model.named_parameters():
            told.update(name.encode() + weights.detach().numpy().tobytes())
        return told.hexdigest()

    def _documents(self, path: Path) -> Examples:
        return documents(
            read_records(path),
            self.base.words,
            self.block_tokens,
            last_turn_only=self.card.whole_chat,
            all_turns=self.config.loss_on == "all",
        )

    def figures(self) -> Figures | None:
        """Of the persona's turns in the held-out part, None where nothing is held out."""
        if not self.measured:
            return None
        pad, order = self.base.words.eos, Random(0)
        held = batches(self.measured, self.block_tokens, AT_ONCE, pad, order)
        return measure(self.base.model, held, self.machine)

    def clm_figures(self) -> Figures | None:
        """Of all tokens of the held-out part, in run_clm's blocks."""
        blocks = grouped(self.measured, self.block_tokens, AT_ONCE)
        return measure(self.base.model, blocks, self.machine) if blocks else None


def train(job: Job, watch: Watch, told: list[int]) -> Curve:
    model, config = job.base.model, job.config
    if config.method == "lora" and any("added to the vocabulary" in n for n in job.base.notes):
        raise Refusal(
            "LoRA cannot learn the tokens that this base lacks; use training.method: full"
        )
    model.to(job.machine.device)  # type: ignore[arg-type]
    quicken(model, lora=config.method == "lora")
    if config.method == "lora":
        add_lora(model, config, job.machine.bf16)
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable()  # type: ignore[no-untyped-call]
    trainer = Trainer(
        model, job.plan, config, job.machine, job.checkpoints, job.figures,
        told=lambda: bool(told), seen=watch.seen if job.machine.leads else lambda curve: None,
    )  # fmt: skip
    with watch.running(job.plan.steps):
        curve = trainer.run()
    if config.method == "lora":
        give_back_memory()
        job.base = _base(config, job.dataset)  # as it was
        merge_lora(model, job.base.model)
        job.base.model.to(job.machine.device)  # type: ignore[arg-type]
    return curve


def _card(dataset: Path) -> Card:
    card = read_card(dataset)
    if dataset_sha256(dataset) != card.sha256:
        raise Refusal(f"{dataset}: the records are not those of the card; build the data set again")
    return card


def _base(config: TrainingConfig, dataset: Path) -> Base:
    if config.base != SCRATCH:
        return load_base(config.base, from_environment(Volumes))
    turns = chain.from_iterable(record.turns for record in read_records(dataset / TRAIN))
    return make_base((turn.text for turn in turns), config.seed)
