"""A base model's tokenizer as training and serving use it: byte-level BPE with `<s>` and `</s>`.

Ids come from the vocabulary, never from a configuration: published Russian GPT-2 folders often
declare no special tokens, or others than the vocabulary has.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from contracts.prompt import BOS, EOS, Vocabulary
from contracts.refusal import Refusal

SPECIAL = ("<pad>", BOS, EOS, "<unk>", "<mask>")
"""ruGPT3's five."""


class TokenizerMissing(Refusal):
    """The folder has no tokenizer that we can read."""


def load_tokenizer(folder: Path) -> tuple[Tokenizer, list[str]]:
    """The folder's tokenizer, and which of `<s>` and `</s>` had to be added to it.

    vocab.json and merges.txt win over a tokenizer.json, which may be stale.
    """
    vocab, merges, whole = (
        folder / name for name in ("vocab.json", "merges.txt", "tokenizer.json")
    )
    try:
        if vocab.is_file() and merges.is_file():
            tokenizer = _byte_level(models.BPE.from_file(str(vocab), str(merges)))
        elif whole.is_file():
            tokenizer = Tokenizer.from_file(str(whole))
            tokenizer.no_truncation()
            tokenizer.no_padding()
        else:
            raise TokenizerMissing(
                f"{folder}: no tokenizer (vocab.json with merges.txt, or tokenizer.json)"
            )
    except TokenizerMissing:
        raise
    except Exception as error:  # the library raises bare Exception
        raise TokenizerMissing(f"{folder}: the tokenizer cannot be read ({error})") from None
    added = [token for token in (BOS, EOS) if tokenizer.token_to_id(token) is None]
    known = [token for token in SPECIAL if tokenizer.token_to_id(token) is not None]
    _declare(tokenizer, [*known, *added])
    return tokenizer, added


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """A byte-level BPE of at most `size` tokens, ruGPT3's special tokens at ids 0 to 4."""
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    _declare(tokenizer, SPECIAL)
    return tokenizer


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _declare(tokenizer: Tokenizer, tokens: Iterable[str]) -> None:
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in tokens]
    )
    tokenizer.encode_special_tokens = True  # the words "</s>" in a message are just words


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """The renderer's view of it."""

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    return Vocabulary(encode, tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS))
