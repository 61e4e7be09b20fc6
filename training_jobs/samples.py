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
    turns = ([Turn(speaker="", role=Role.OTHER, messages=(each,))] for each in QUESTIONS)
    longest = base.context_length // 2
    prompts = [render_prompt(one, PromptFormat.TURNS_1, words, longest).ids for one in turns]
    width = max(map(len, prompts))
    ids = torch.tensor([[words.eos] * (width - len(each)) + each for each in prompts])
    lengths = torch.tensor([[len(each)] for each in prompts])
    mask = (torch.arange(width) >= width - lengths).long()
    with hardware.autocast(), torch.no_grad():
        whole = model.generate(  # type: ignore[misc]
            ids.to(hardware.device),
            attention_mask=mask.to(hardware.device),
            max_new_tokens=TOKENS,
            do_sample=True,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            pad_token_id=words.eos,
        )
    replies = [[token for token in row if token != words.eos] for row in whole[:, width:].tolist()]
    texts = (
        reply_messages(base.tokenizer.decode(reply), PromptFormat.TURNS_1) for reply in replies
    )
    return [(asked, " ".join(text)) for asked, text in zip(QUESTIONS, texts, strict=True)]
