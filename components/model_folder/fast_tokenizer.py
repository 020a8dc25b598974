"""Open a folder's tokenizer with the `tokenizers` library.

The tokenizer is read from tokenizer.json, with the few settings of tokenizer_config.json that
Transformers' classes apply to it. Without tokenizer.json, Transformers' class builds it from the
vocabulary, or Transformers' converter from a SentencePiece model. The result is always a plain
`PreTrainedTokenizerFast` without access to the folder.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.model_folder import sentencepiece_model
from kfp_finetune.components.model_folder.files import find, read_bytes
from kfp_finetune.components.model_folder.special_tokens import text_of, with_special_tokens
from kfp_finetune.components.model_folder.tokenizer_files import VOCABULARY_FILES
from kfp_finetune.components.model_folder.tokenizer_settings import (
    SPECIAL_TOKENS,
    TokenizerSettings,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

# Transformers' class by family, for folders that do not name a class.
_CLASS_OF = {
    **dict.fromkeys(("bert", "electra", "mobilebert", "nomic_bert"), "BertTokenizer"),
    **dict.fromkeys(("roberta", "roberta-prelayernorm"), "RobertaTokenizer"),
    **dict.fromkeys(("xlm-roberta", "gte", "jina_embeddings_v3"), "XLMRobertaTokenizer"),
    "albert": "AlbertTokenizer",
    "camembert": "CamembertTokenizer",
    "convbert": "ConvBertTokenizer",
    "deberta": "DebertaTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "distilbert": "DistilBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "rembert": "RemBertTokenizer",
}
# Classes that use tokenizer.json unchanged.
_PLAIN = ("PreTrainedTokenizer", "TokenizersBackend")
# Families whose tokenizer.json Transformers 5 uses unchanged, whatever class the folder names.
_AS_IT_IS = ("modernbert", "eurobert")
# Classes with token types for pairs of texts, which Transformers 5 no longer declares.
_TOKEN_TYPES = ("AlbertTokenizer", "RemBertTokenizer", *_PLAIN)


def class_of(settings: TokenizerSettings, model_type: str) -> str:
    """The class of a folder's tokenizer.

    Args:
        settings: The settings in the folder.
        model_type: The model's family; "" if there is no model.

    Returns:
        A name without "Fast"; "" if unknown.
    """
    if model_type in _AS_IT_IS:
        return _PLAIN[0]
    return (settings.tokenizer_class or _CLASS_OF.get(model_type, "")).removesuffix("Fast")


def vocabulary_files(folder: Path) -> dict[str, Path]:
    """The files of the vocabulary that a folder has, by name.

    Raises:
        InputError: If one is a link out of the folder.
    """
    return {name: path for name in VOCABULARY_FILES if (path := find(folder, name)) is not None}


def is_slow(name: str) -> bool:
    """Return True if Transformers has a class of this name that is not a fast tokenizer."""
    import transformers

    return name not in _PLAIN and hasattr(transformers, name) and _fast_class(name) is None


def open_tokenizer(
    files: Mapping[str, Path], settings: TokenizerSettings, name: str
) -> PreTrainedTokenizerFast | None:
    """Open a tokenizer.

    Args:
        files: The files of its vocabulary, from `vocabulary_files`.
        settings: The settings in its folder.
        name: The class, from `class_of`.

    Returns:
        The tokenizer; None if there is no tokenizer.json and the files are not sufficient.

    Raises:
        InputError: If a SentencePiece model is damaged.
        Exception: If another file is damaged; the `tokenizers` library raises `Exception` itself.
    """
    from tokenizers import AddedToken, Tokenizer

    made_as = _fast_class(name)
    defaults = _arguments(made_as)
    model = None
    if "tokenizer.json" not in files:
        model = files.get(sentencepiece_model.FILES.get(name, ""))
    if model is not None:
        settings = sentencepiece_model.with_defaults(settings, name)
    if "tokenizer.json" in files:
        backend = Tokenizer.from_str(read_bytes(files["tokenizer.json"]).decode("utf-8"))
        _apply(backend, {key: settings.keys.get(key, value) for key, value in defaults.items()})
    elif model is not None:
        backend = sentencepiece_model.convert(model, name, {**defaults, **settings.keys})
    elif made_as is None:
        return None
    else:
        built = _build(made_as, files, settings)
        if built is None:
            return None
        backend = built
    names = list(made_as.model_input_names) if made_as else []
    if name in _TOKEN_TYPES or made_as is None:
        names = ["input_ids", "token_type_ids", "attention_mask"]
    given: dict[str, Any] = {k: v for k, v in defaults.items() if k in SPECIAL_TOKENS}
    given |= {"model_input_names": names, **settings.keys}
    listed = backend.get_added_tokens_decoder() if "tokenizer.json" in files else {}
    arguments = with_special_tokens(given, settings, listed)
    if model is not None:  # of a token that the backend already has, Transformers 5 sets no flags
        special = (arguments.get(key) for key in SPECIAL_TOKENS)
        flagged = [token for token in special if isinstance(token, AddedToken)]
        backend.add_tokens([t for t in flagged if backend.token_to_id(t.content) is not None])
    return _wrap(backend, arguments)


def _wrap(backend: Tokenizer, arguments: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    """Transformers' tokenizer around a backend."""
    from transformers import PreTrainedTokenizerFast

    class Opened(PreTrainedTokenizerFast):
        """A tokenizer that sets its backend before initialisation, as Transformers' classes do.

        A backend given as an argument is copied, which takes seconds for a large vocabulary.
        """

        def __init__(self, **arguments: Any) -> None:
            self._tokenizer = backend
            super().__init__(**arguments)

    return Opened(**arguments)


def _fast_class(name: str) -> Any:
    """Transformers' class of this name if it is a fast one, else None."""
    import transformers
    from transformers import PreTrainedTokenizerFast

    found = getattr(transformers, name, None) if name and name not in _PLAIN else None
    is_fast = isinstance(found, type) and issubclass(found, PreTrainedTokenizerFast)
    return found if is_fast and found is not PreTrainedTokenizerFast else None


def _arguments(made_as: Any) -> dict[str, Any]:
    """The arguments with defaults of a class and its bases, with their defaults."""
    found: dict[str, Any] = {}
    for base in reversed(made_as.__mro__[:-1] if made_as else ()):
        for parameter in inspect.signature(base.__init__).parameters.values():
            if parameter.default is not inspect.Parameter.empty:
                found[parameter.name] = parameter.default
    return found


def _apply(backend: Tokenizer, settings: Mapping[str, Any]) -> None:
    """Apply the same settings to a tokenizer.json as Transformers' classes do.

    Args:
        backend: The content of tokenizer.json; changed in place.
        settings: The settings of the class; empty for a class that uses tokenizer.json unchanged.
    """
    from tokenizers import normalizers, pre_tokenizers

    normalizer, pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    if isinstance(normalizer, normalizers.BertNormalizer) and "do_lower_case" in settings:
        for ours, key in {
            "lowercase": "do_lower_case",
            "strip_accents": "strip_accents",
            "handle_chinese_chars": "tokenize_chinese_chars",
        }.items():
            if key in settings:
                setattr(normalizer, ours, settings[key])
        backend.normalizer = normalizer
    if isinstance(pre_tokenizer, pre_tokenizers.ByteLevel) and "add_prefix_space" in settings:
        pre_tokenizer.add_prefix_space = bool(settings["add_prefix_space"])
        backend.pre_tokenizer = pre_tokenizer


def _build(
    made_as: Any, files: Mapping[str, Path], settings: TokenizerSettings
) -> Tokenizer | None:
    """Build a tokenizer from vocab.txt, or from vocab.json and merges.txt, as the class does."""
    from tokenizers import models

    needed = {n for key, n in made_as.vocab_files_names.items() if key != "tokenizer_file"}
    read: dict[str, Any] = {}
    for file in needed & files.keys():
        read_bytes(files[file])  # the library's own readers have no limit
    if needed == {"vocab.txt"} <= files.keys():
        read["vocab"] = models.WordPiece.read_file(str(files["vocab.txt"]))
    elif needed == {"vocab.json", "merges.txt"} <= files.keys():
        paths = str(files["vocab.json"]), str(files["merges.txt"])
        read["vocab"], read["merges"] = models.BPE.read_file(*paths)
    else:
        return None
    known = _arguments(made_as).keys()
    given = {k: text_of(v) for k, v in {**settings.keys, **settings.tokens}.items() if k in known}
    tokenizer = made_as(**read, **given)
    backend: Tokenizer = tokenizer.backend_tokenizer
    if made_as.__name__ == "DebertaTokenizer":
        backend.post_processor = _as_bert(tokenizer.cls_token, tokenizer.sep_token, backend)
    return backend


def _as_bert(cls: str, sep: str, backend: Tokenizer) -> Any:
    """[CLS] A [SEP] B [SEP], as in DeBERTa's training; Transformers 5 doubles the first [SEP]."""
    from tokenizers import processors

    return processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (cls, sep)],
    )
