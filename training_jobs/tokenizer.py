"""The tokenizer of a model: byte-level BPE with `<s>` and `</s>`, as training and serving use it.

Ids come from the vocabulary, never from a configuration: published Russian GPT-2 folders often
declare no special tokens, or others than the vocabulary has.
"""

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from contracts.prompt import BOS, EOS
from contracts.refusal import Refusal

SPECIAL = ("<pad>", BOS, EOS, "<unk>", "<mask>")
"""ruGPT3's five."""


def load_tokenizer(folder: Path) -> tuple[Tokenizer, list[str]]:
    """Return the folder's tokenizer, and which of `<s>` and `</s>` had to be added to it.

    vocab.json and merges.txt are preferred to a tokenizer.json, which may be stale. Raises Refusal
    where there is neither, or where they are broken.
    """
    pair, single = (folder / "vocab.json", folder / "merges.txt"), folder / "tokenizer.json"
    has_pair = all(path.is_file() for path in pair)
    if not has_pair and not single.is_file():
        raise Refusal(f"{folder}: no tokenizer (vocab.json with merges.txt, or tokenizer.json)")
    try:
        if has_pair:
            tokenizer = Tokenizer(models.BPE.from_file(*map(str, pair)))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.decoder = decoders.ByteLevel()
        else:
            tokenizer = Tokenizer.from_file(str(single))
            tokenizer.no_truncation()
            tokenizer.no_padding()
    except Exception as error:  # the library raises bare Exception
        raise Refusal(f"{folder}: the tokenizer cannot be read ({error})") from None
    present = [token for token in SPECIAL if tokenizer.token_to_id(token) is not None]
    added = [token for token in (BOS, EOS) if token not in present]
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in (*present, *added)]
    )
    return tokenizer, added
