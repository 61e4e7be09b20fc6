"""A training run: its settings, base model and data set, and what is learned at which step.

The same seed gives the same steps, from whatever step on.
"""

import hashlib
import math
from pathlib import Path
from random import Random

from contracts.dataset import HELDOUT, TRAIN, dataset_sha256, read_card, read_records
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from training_jobs.bot_config import TrainingConfig
from training_jobs.checkpoint import FOLDER, Checkpoints
from training_jobs.hardware import detect_hardware
from training_jobs.language_model import LanguageModel, find_base, load_model
from training_jobs.loss import document_losses
from training_jobs.packing import Batch, Document, collate, pack, render_documents

MEASURED_DOCUMENTS = 500
"""Held-out documents by which a run is measured, spread evenly over all of them: a quarter of a
minute's work for ruGPT3Small, and a SIGTERM waits for it."""


class TrainingRun:
    """Everything that a training run needs.

    output     the run folder
    base       the model to fine-tune; once it is trained, the fine-tuned one
    documents  to learn from
    left_out   answers that are too long for a block
    heldout    documents that are not learned from
    measured   those of them by which the run is measured
    blocks     the documents, packed; each epoch takes all of them in an order of its own
    """

    def __init__(self, config: TrainingConfig, dataset: Path, output: Path) -> None:
        self.config = config
        self.output = output
        self.hardware = detect_hardware(config.precision)
        self.card = read_card(dataset)
        if dataset_sha256(dataset) != self.card.sha256:
            reason = "the records are not those of the card; build the data set again"
            raise Refusal(f"{dataset}: {reason}")
        self.base = self.load_base()
        if config.method == "lora" and self.base.notes:  # its embedding would have to learn
            raise Refusal(
                "LoRA cannot learn the tokens that this base lacks; use training.method: full"
            )
        self.block_tokens = min(config.block_tokens, self.base.context_length)
        self.documents, self.left_out = self._render(dataset / TRAIN)
        if not self.documents:
            reason = "there is nothing in it to learn from"
            if self.card.train_records:
                reason = f"no record fits into a block of {self.block_tokens} tokens"
            raise Refusal(f"{dataset}: {reason}")
        self.heldout, _ = self._render(dataset / HELDOUT)
        self.measured = self.heldout[:: max(1, len(self.heldout) // MEASURED_DOCUMENTS)]
        self.blocks = pack(self.documents, self.block_tokens, Random(config.seed))
        self._shuffled = -1, self.blocks
        self.checkpoints = Checkpoints(output / FOLDER, self._fingerprint())

    @property
    def step_blocks(self) -> int:
        """Blocks of one optimizer step."""
        return max(1, self.config.tokens_per_step // self.block_tokens)

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.blocks) / self.step_blocks)

    @property
    def steps(self) -> int:
        epochs = self.config.epochs_for(len(self.documents))
        steps = max(1, math.ceil(self.steps_per_epoch * epochs))
        return min(steps, self.config.max_steps or steps)

    def step(self, number: int) -> list[Batch]:
        """Return the passes over the model of a step (from 0); their gradients are added up."""
        epoch, index = divmod(number, self.steps_per_epoch)
        if epoch != self._shuffled[0]:
            order = list(self.blocks)
            # seeded by the epoch, so that a resumed run need not go through the epochs before it
            Random(f"{self.config.seed}/{epoch}").shuffle(order)
            self._shuffled = epoch, order
        chosen = self._shuffled[1][index * self.step_blocks :][: self.step_blocks]
        rows, pad = max(1, self.config.pass_tokens // self.block_tokens), self.base.vocabulary.eos
        starts = range(0, len(chosen), rows)
        return [collate(chosen[i : i + rows], self.block_tokens, pad) for i in starts]

    def load_base(self) -> LanguageModel:
        """Return the base model as it is before training."""
        return load_model(find_base(self.config.base, from_environment(Volumes)))

    def _render(self, path: Path) -> tuple[list[Document], int]:
        return render_documents(read_records(path), self.base.vocabulary, self.block_tokens)

    def _fingerprint(self) -> str:
        """Hash the data set, the base's weights and the settings: a checkpoint is of these alone.

        Settings that do not change what is learned are left out, so that they may be changed
        between a checkpoint and its resumption. Weights and not the base's name: the files under a
        name may be replaced.
        """
        settings = self.config.model_dump_json(exclude={"checkpoint_minutes", "weights"})
        digest = hashlib.sha256(f"{self.card.sha256} {settings}".encode())
        for name, weights in self.base.model.named_parameters():
            digest.update(name.encode() + weights.detach().numpy().tobytes())
        return digest.hexdigest()

    def heldout_loss(self) -> float:
        """Return the mean loss of a held-out answer's tokens; call it only where there are any."""
        tokens = sum(document.loss_tokens for document in self.measured)
        return sum(document_losses(self.base.model, self.measured, self.hardware)) / tokens
