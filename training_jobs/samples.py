"""What the model would reply to a few fixed questions while it learns: for who watches it."""

import torch

from contracts.prompt import PromptFormat, render_prompt, reply_messages
from contracts.turn import Role, Turn
from training_jobs.hardware import Hardware
from training_jobs.language_model import LanguageModel

QUESTIONS = ("Привет!", "Как дела?", "Что нового?")
TOKENS, TEMPERATURE, TOP_P, SEED = 20, 0.7, 0.9, 1


def sample_replies(base: LanguageModel, hardware: Hardware) -> list[tuple[str, str]]:
    """Return each question with a reply of at most TOKENS tokens, drawn from the same seed."""
    words, model = base.vocabulary, base.model
    model.eval()  # type: ignore[no-untyped-call]
    torch.manual_seed(SEED)
    replies = []
    for question in QUESTIONS:
        turns = [Turn(speaker="", role=Role.OTHER, messages=(question,))]
        ids = render_prompt(turns, PromptFormat.TURNS_1, words, base.context_length // 2).ids
        prompt = torch.tensor([ids], device=hardware.device)
        with hardware.autocast(), torch.no_grad():
            whole = model.generate(  # type: ignore[misc]
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=TOKENS,
                do_sample=True,
                temperature=TEMPERATURE,
                top_p=TOP_P,
                pad_token_id=words.eos,
            )
        reply = [token for token in whole[0, len(ids) :].tolist() if token != words.eos]
        messages = reply_messages(base.tokenizer.decode(reply), PromptFormat.TURNS_1)
        replies.append((question, " ".join(messages)))
    return replies
