"""Folders of tokenizers of every kind, trained on a few lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXTS = [
    "Where is my parcel? It was due on Monday!",
    "  Señor Muñoz's café — déjà vu\tÅNGSTRÖM ",
    "北京 is not 東京, naïve coöperation",
    "don't split it's 3.14, e-mail me@example.com",
    "🙂 emoji and \u200bzero width, ﬁ ligature №5",
    "The capital LETTERS ARE not the same as small letters",
    "a <mask> b [MASK] c </s> d [SEP] e",
    "",
    "x" * 120,
]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
Folder = Callable[[Path], str]  # writes the files, and gives the model's family


def _train(tokenizer: Tokenizer, trainer: Any) -> Tokenizer:
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def word_piece(special: list[str] = BERT, *, lower: bool = True, unk: str = "[UNK]") -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token=unk))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    _train(tokenizer, trainers.WordPieceTrainer(vocab_size=220, special_tokens=special))
    cls, sep = (token for token in special if token in ("[CLS]", "[SEP]", "<s>", "</s>"))
    return _processed(tokenizer, cls, sep)


def bytes_bpe(special: list[str] = ROBERTA) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    _train(tokenizer, trainer)
    if special == BERT:
        return _processed(tokenizer, "[CLS]", "[SEP]")
    number = tokenizer.token_to_id
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", number("</s>")), ("<s>", number("<s>")), add_prefix_space=False
    )
    return tokenizer


def unigram(special: list[str], unk: str, cls: str, sep: str, *, own: bool = True) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    if own:  # not what Transformers 5 builds for any family
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        parts = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.Metaspace()
    _train(
        tokenizer, trainers.UnigramTrainer(vocab_size=150, special_tokens=special, unk_token=unk)
    )
    mask = next(token for token in special if "mask" in token.lower())
    tokenizer.add_special_tokens([AddedToken(mask, lstrip=True, normalized=False)])
    return _processed(tokenizer, cls, sep)


def _processed(tokenizer: Tokenizer, cls: str, sep: str) -> Tokenizer:
    between = f" {sep}:0" if cls == "<s>" else ""
    types = 0 if cls == "<s>" else 1
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep}{between} $B:{types} {sep}:{types}",
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in (cls, sep)],
    )
    return tokenizer


def write(
    folder: Path,
    model_type: str,
    tokenizer: Tokenizer,
    *,
    files: bool = False,
    settings: dict[str, Any] | None = None,
    **others: Any,
) -> str:
    """Write a folder.

    Args:
        folder: Where to; made.
        model_type: The model's family.
        tokenizer: What is written.
        files: Whether as the files of its vocabulary, instead of as tokenizer.json.
        settings: tokenizer_config.json; None: there is none.
        others: Further JSON files, by name without ".json".
    """
    folder.mkdir(parents=True)
    if not files:
        tokenizer.save(str(folder / "tokenizer.json"))
    elif isinstance(tokenizer.model, models.WordPiece):
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        text = "".join(token + "\n" for token, _ in vocabulary)
        (folder / "vocab.txt").write_text(text, encoding="utf-8")
    else:
        tokenizer.model.save(str(folder))
    others["config"] = {"model_type": model_type, "vocab_size": 1_000}
    if settings is not None:
        others["tokenizer_config"] = settings
    for name, content in others.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return model_type


MPNET = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
ALBERT = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
NEW = {"content": "parcel", "special": False, "lstrip": False, "rstrip": False, "normalized": True}
_PLAIN = {"tokenizer_class": "PreTrainedTokenizerFast"}
_NAMED = {f"{token[1:-1].lower()}_token": token for token in BERT}


def _mask_strips(tokenizer: Tokenizer, token: str) -> Tokenizer:
    tokenizer.add_special_tokens([AddedToken(token, lstrip=True, normalized=False)])
    return tokenizer


# By name: tokenizers that Transformers 5 and 4.57 open alike.
SAME: dict[str, Folder] = {
    "bert vocabulary": lambda f: write(f, "bert", word_piece(), files=True),
    "bert vocabulary, cased": lambda f: write(
        f, "bert", word_piece(lower=False), files=True, settings={"do_lower_case": False}
    ),
    "bert vocabulary, accents": lambda f: write(
        f,
        "bert",
        word_piece(),
        files=True,
        settings={"strip_accents": False, "tokenize_chinese_chars": False},
    ),
    "bert": lambda f: write(f, "bert", word_piece(), settings={"model_max_length": 64}),
    "bert, nothing else": lambda f: write(f, "bert", word_piece()),
    "bert, settings win": lambda f: write(
        f,
        "bert",
        word_piece(),
        settings={"do_lower_case": False, "tokenizer_class": "BertTokenizer"},
    ),
    "bert, as it is": lambda f: write(f, "bert", word_piece(lower=False), settings=_PLAIN | _NAMED),
    "bert, as it is whatever is said": lambda f: write(
        f, "bert", word_piece(lower=False), settings=_PLAIN | _NAMED | {"do_lower_case": True}
    ),
    "electra": lambda f: write(f, "electra", word_piece(), files=True),
    "distilbert": lambda f: write(
        f, "distilbert", word_piece(), settings={"tokenizer_class": "DistilBertTokenizer"}
    ),
    "mpnet vocabulary": lambda f: write(f, "mpnet", word_piece(MPNET), files=True),
    "mpnet": lambda f: write(f, "mpnet", word_piece(MPNET), settings={"do_lower_case": True}),
    "roberta with bert's": lambda f: write(
        f, "roberta", word_piece(), settings={"tokenizer_class": "BertTokenizer"}
    ),
    "roberta vocabulary": lambda f: write(f, "roberta", bytes_bpe(), files=True),
    "roberta vocabulary, space": lambda f: write(
        f, "roberta", bytes_bpe(), files=True, settings={"add_prefix_space": True}
    ),
    "roberta": lambda f: write(
        f, "roberta", _mask_strips(bytes_bpe(), "<mask>"), settings={"model_max_length": 512}
    ),
    "roberta, space": lambda f: write(
        f,
        "roberta",
        _mask_strips(bytes_bpe(), "<mask>"),
        settings={"add_prefix_space": True, "tokenizer_class": "RobertaTokenizer"},
    ),
    "deberta vocabulary": lambda f: write(f, "deberta", bytes_bpe(BERT), files=True),
    "deberta": lambda f: write(
        f, "deberta", bytes_bpe(BERT), settings={"tokenizer_class": "DebertaTokenizer"}
    ),
    "modernbert": lambda f: write(f, "modernbert", bytes_bpe(BERT), settings=_PLAIN | _NAMED),
    "unigram, as it is": lambda f: write(
        f, "deberta-v2", unigram(BERT, "[UNK]", "[CLS]", "[SEP]"), settings=_PLAIN | _NAMED
    ),
    "xlm-roberta": lambda f: write(
        f,
        "xlm-roberta",
        unigram(ROBERTA, "<unk>", "<s>", "</s>", own=False),
        settings={"tokenizer_class": "XLMRobertaTokenizer"},
    ),
    "added tokens": lambda f: write(
        f,
        "bert",
        word_piece(),
        settings={
            "added_tokens_decoder": {"900": NEW},
            "additional_special_tokens": ["Monday"],
            "tokenizer_class": "BertTokenizer",
        },
    ),
    "added names": lambda f: write(
        f,
        "bert",
        word_piece(),
        files=True,
        added_tokens={"parcel": 220, "Monday": 221},
        special_tokens_map={"mask_token": {**NEW, "content": "[MASK]", "lstrip": True}},
    ),
}
# Transformers 5 rebuilds these and loses what tokenizer.json has of its own: as in 4.57 here.
AS_IN_4: dict[str, Folder] = {
    "camembert": lambda f: write(f, "camembert", unigram(ROBERTA, "<unk>", "<s>", "</s>")),
    "albert": lambda f: write(f, "albert", unigram(ALBERT, "<unk>", "[CLS]", "[SEP]")),
    "rembert": lambda f: write(f, "rembert", unigram(ALBERT, "<unk>", "[CLS]", "[SEP]")),
    "deberta-v2": lambda f: write(
        f,
        "deberta-v2",
        unigram(BERT, "[UNK]", "[CLS]", "[SEP]"),
        settings={"tokenizer_class": "DebertaV2Tokenizer"},
    ),
}
