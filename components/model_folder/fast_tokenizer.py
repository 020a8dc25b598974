"""A folder's tokenizer, opened through the `tokenizers` library.

tokenizer.json decides, with the few settings of tokenizer_config.json that Transformers' classes
apply to it; without it, Transformers' class builds the tokenizer from the vocabulary, or its
converter does from a SentencePiece model. Either way the result is a plain
`PreTrainedTokenizerFast` that has never seen the folder.
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

# Transformers' classes for families whose folders do not say the class.
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
# tokenizer.json as it is.
_PLAIN = ("PreTrainedTokenizer", "TokenizersBackend")
# Families of whose folders Transformers 5 opens tokenizer.json as it is, whatever class they name.
_AS_IT_IS = ("modernbert", "eurobert")
# Models whose tokenizers tell the texts of a pair apart although Transformers 5 no longer says so.
_TOKEN_TYPES = ("AlbertTokenizer", "RemBertTokenizer", *_PLAIN)


def class_of(settings: TokenizerSettings, model_type: str) -> str:
    """The class that a folder's tokenizer is opened as.

    Args:
        settings: What the folder says.
        model_type: The model's family; "" if there is no model.

    Returns:
        A name without "Fast"; "" if nothing says it.
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
    """Whether Transformers has a class of this name, and it is not a fast one."""
    import transformers

    return name not in _PLAIN and hasattr(transformers, name) and _fast_class(name) is None


def open_tokenizer(
    files: Mapping[str, Path], settings: TokenizerSettings, name: str
) -> PreTrainedTokenizerFast | None:
    """Open a tokenizer.

    Args:
        files: Its vocabulary, from `vocabulary_files`.
        settings: What its folder says of it.
        name: The class, from `class_of`.

    Returns:
        The tokenizer; None if there is no tokenizer.json and none can be made from the files.

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
        """Has its backend from the start, as Transformers' own classes do it.

        Given as an argument, the backend would be copied: seconds for a large vocabulary.
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
    """The arguments of a class's that have a default, its bases' included, and their defaults."""
    found: dict[str, Any] = {}
    for base in reversed(made_as.__mro__[:-1] if made_as else ()):
        for parameter in inspect.signature(base.__init__).parameters.values():
            if parameter.default is not inspect.Parameter.empty:
                found[parameter.name] = parameter.default
    return found


def _apply(backend: Tokenizer, settings: Mapping[str, Any]) -> None:
    """Let a tokenizer.json follow the settings that Transformers' classes apply to it.

    Args:
        backend: What tokenizer.json holds; changed.
        settings: The class's, those that it has; none for a class that takes it as it is.
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
    """Build a tokenizer from vocab.txt, or from vocab.json and merges.txt, as a class does it."""
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
    """[CLS] A [SEP] B [SEP], as DeBERTa was trained; Transformers 5 writes [SEP] twice between."""
    from tokenizers import processors

    return processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (cls, sep)],
    )
