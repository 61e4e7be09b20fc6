"""How surprised a model is by what was really said: nats, a document each."""

from collections.abc import Sequence

import torch
from torch.nn import functional
from transformers import GPT2LMHeadModel

from training_jobs.hardware import Hardware
from training_jobs.packing import IGNORED, Document, collate

AT_ONCE = 8


@torch.no_grad()
def nats(model: GPT2LMHeadModel, docs: Sequence[Document], machine: Hardware) -> list[float]:
    """Summed loss of each document, in the order given; the model is left as for use."""
    model.to(machine.device).train(False)  # type: ignore[arg-type]
    order = sorted(range(len(docs)), key=lambda number: len(docs[number].ids))
    losses = [0.0] * len(docs)
    for start in range(0, len(order), AT_ONCE):
        chosen = order[start : start + AT_ONCE]
        longest = max(len(docs[number].ids) for number in chosen)
        batch = collate([[docs[number]] for number in chosen], longest, 0).to(machine.device)
        with machine.autocast():
            logits = model(
                input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False
            ).logits[:, :-1]
        each = functional.cross_entropy(
            logits.float().transpose(1, 2), batch.labels[:, 1:], ignore_index=IGNORED,
            reduction="none",
        ).sum(1)  # fmt: skip
        for number, loss in zip(chosen, each.tolist(), strict=True):
            losses[number] = loss
    return losses


def tokens(docs: Sequence[Document]) -> list[int]:
    """Tokens with a loss, a document each."""
    return [sum(doc.loss_mask[1:]) for doc in docs]
