"""Makes the tables that moderation reads beside its patterns, from the dictionary of pymorphy3.

innocent.txt  all forms that fit a pattern of moderation/words.tsv and are of no word in GUILTY, or
              that are near to a word of moderation/obscene.tsv. The dictionary is OpenCorpora's,
              CC BY-SA 3.0
parts.txt     the dictionary's words of up to five letters that people use: those of a text

`python -m benchmarks.moderation_tables TEXT...` (five minutes); run it when words.tsv or
obscene.tsv has changed, with plain texts that nobody swears in.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

import typer
from pymorphy3 import MorphAnalyzer

from moderation import rules as tables
from moderation.normalise import normalise
from moderation.rules import rules

FOLDER = Path(tables.__file__).parent
LONGEST_PART, FEWEST = 5, 2
FRAGMENTS = {"зд", "пи", "пид", "пиз", "уй", "уя", "уе", "ня", "дец"}
"""What the dictionary has, and nobody says alone."""
GUILTY = re.compile(
    r"азер|лярва|фак|хули|насер|бля(?:дь|дский|ть)?|выблядок|мля|говн(?:о|юк|яный)|жид(?:|овка|овский|овски)|кацап\w*"
    r"|москаль|ниггер|негрилла|пиндос|узкоглазый|хач|хачик|хохл\w+|хохол|черномазый|чурка|чучмек"
    r"|а?хуй|нехуй|нахуй|охуе\w+|хуев\w+|хуйня|засереться|засра\w+|насрать|посереть|посрать"
    r"|сраный|срань|срач|еб\w+|заебись|г[ао]ндон|дерьмо\w*|долба\w+|дрочить|жопа|черножопый"
    r"|залуп\w+|курва|шалав\w+|шлю\w+|шмара|муд(?:ак|ил)\w*|нигг\w+|гомик|гомосек|дрист\w*"
    r"|ссать|пид[ао]р\w*|педераст\w*|пизд\w+|порнуха|писька|сперма|трахать(?:ся)?|трахн\w+|трахан\w+|херовый|херня|хер|похерить|сиська|титька|сука"
    r"|сучий|сучка|соса\w+|отсосать|пососать"
)
"""Words in the form that a dictionary lists, beside all that rules in MEANT find."""
MEANT = ("insult", "sex", "hidden")
SPARED = re.compile(r"ебонит\w*|хохлов\w*|хохлом\w*|дрочена|себя|[её]бург\w*")


ENGLISH = (
    "blead bleat bleating chmod ebay ebb ebbing ebcdic ebola ebony ebook ebooks ebpf ebit ebitda",
    "ebert hue huey job jobs jobless joblib mandy sabre sucre",
)
"""Innocent words that sound like obscene Russian ones."""
SPOKEN = (
    "нибудь вейп едроссы петруха петруху доча шопа шопе шопу курлы тыпила еешь шобы поубывал "
    "худна бать бись гебе бестыжий бестыжая бестыжее нехай пукай мандан пикрил шабак проека буть "
    "нибуть дранный дранная поку выплотах обобраного росияне сать сэбэ дебич баль хотябы жонами "
    "суху зюга подрозить потрашить иблет бало ебонит ебонита ебоните ебониту ебонитом ебонитовый "
    "ебонитовая ебонитовое ебонитовые ебонитового ебонитовой"
)
"""Innocent words near to obscene ones that people write and no dictionary has."""


def is_guilty(word: str, rule: tables.Rule, analyzer: MorphAnalyzer) -> bool:
    if rule.name in MEANT:
        return True
    forms = {word, *(parse.normal_form.replace("ё", "е") for parse in analyzer.parse(word))}
    return any(GUILTY.fullmatch(each) and not SPARED.fullmatch(each) for each in forms)


def innocent(analyzer: MorphAnalyzer) -> set[str]:
    words = {each.replace("ё", "е") for each in analyzer.dictionary.words.iterkeys()}
    found = {word: rules().search(word) for word in words}
    near = {word for word in words if not found[word] and rules().near(word)}
    return near | {
        word for word, rule in found.items() if rule and not is_guilty(word, rule, analyzer)
    }


def parts(analyzer: MorphAnalyzer, texts: Iterable[str]) -> set[str]:
    words = Counter(word for text in texts for word in re.findall("[а-я]+", normalise(text).look))
    return {
        word
        for word, count in words.items()
        if len(word) <= LONGEST_PART and count >= FEWEST and analyzer.word_is_known(word)
        if not rules().search(word) and word not in FRAGMENTS
    }


def main(texts: list[Path]) -> None:
    analyzer = MorphAnalyzer()
    for name, words in (
        ("innocent.txt", innocent(analyzer) | {*" ".join((*ENGLISH, SPOKEN)).split()}),
        ("parts.txt", parts(analyzer, (path.read_text(encoding="utf-8") for path in texts))),
    ):
        text = fill(" ".join(sorted(words)), 120, break_long_words=False)
        (FOLDER / name).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
