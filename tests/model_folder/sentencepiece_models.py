"""Small SentencePiece models, written without the `sentencepiece` library."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

from transformers.convert_slow_tokenizer import import_protobuf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
TEXTS = [
    "good parcel!",
    "  Good  bad\ncard ",
    "ﬁ Ａ née",
    "2,0, 2",
    "a [MASK]b <mask> c",
    "",
    "(good) ``bad''",
]
# "ﬁ" becomes "fi", "Ａ" becomes "A", and a newline a space: what SentencePieceTrainer made of these
# three rules (`normalization_rule_tsv`).
CHARSMAP = zlib.decompress(
    base64.b64decode(
        b"eNol03WQllUUB+CXHZihY6gFpRuWRkV6aenuklgEFZBulm6QULoblu5GSkGUElQUlBhQurueD+7MM7+Ze84fd+acG8QOgiAiCOInCkInOiY8LBgcJwhcRy+QYTKeQlwSEJ9Qa0KSkJhkJCU5u06EBSllClKTijSE8wFpSceHZCA9mchIFjKTjazkIDu5yEkecpP3/ZOD/OSjIAUoTCE+ogif8DGfUpTiFKMkJShNKSIpQznKUoHyVKIin1GZqlShOtWoSQ1qU4u61KE+9WhIAxrTiKY0oTnNaEkLPqcVbWhNO9rSnig68AVf0pGv+YrOdOIbutCNrvSgO73oSR9604++DKA/gxjI4NDgGcoQhjOMkYxgNKMYyxjGM46JTGAS3zKFyXzHVKbxPTOYzixmMofZzGMuC5jPIhayhMUsYykrWM4qVrKaGNayhvWsYyMb2MwmtrKF7WxjJzvYHdpT9rKHH9jHAfZziIP8yGGO8BM/c5RfOMZxfuUkJzjNKc7wG79zlj/5g784x3n+5h8ucJF/ucwl7kTECq7Ia1zlf/7jBte5xc1QH7e5x10ecJ9HPOQJj3nGU17wnFe85A2v3/29yCCqQ/AWQtuGBw=="
    )
)
_PIECES = (
    *("▁", "▁good", "▁par", "cel", "▁bad", "▁card", "▁2", "2", "0", ",", "2,", "!", "fi", "é"),
    *("a", "b", "c", "d", "e", "g", "o", "n", "A", "G", "▁Good", '"', "`"),
)
_SPECIAL = {
    "deberta-v2": ("[PAD]", "[CLS]", "[SEP]", "[UNK]"),
    "albert": ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
    "rembert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "xlm-roberta": ("<unk>", "<s>", "</s>"),
    "camembert": ("<unk>", "<s>", "</s>"),
}
FILES = {
    "deberta-v2": "spm.model",
    "albert": "spiece.model",
    "rembert": "sentencepiece.model",
    "xlm-roberta": "sentencepiece.bpe.model",
    "camembert": "sentencepiece.bpe.model",
}


def model(family: str) -> Any:
    """A ModelProto with at most 34 pieces, of a family's special tokens and a few common ones."""
    proto = import_protobuf().ModelProto()
    proto.trainer_spec.model_type = 1  # unigram
    proto.normalizer_spec.precompiled_charsmap = CHARSMAP
    for number, piece in enumerate(_SPECIAL[family]):
        if "unk" in piece.lower():
            proto.pieces.add(piece=piece, score=0, type=UNKNOWN)
            proto.trainer_spec.unk_id, proto.trainer_spec.unk_piece = number, piece
        else:
            proto.pieces.add(piece=piece, score=0, type=CONTROL)
    for piece in ("(", ")"):
        proto.pieces.add(piece=piece, score=0, type=USER_DEFINED)
    for number, piece in enumerate(_PIECES):
        proto.pieces.add(piece=piece, score=-1 - number / 4 - 4 * (len(piece) == 1), type=NORMAL)
    return proto


def write(folder: Path, family: str, proto: Any = None, **settings: Any) -> None:
    """Write a folder whose only vocabulary is a SentencePiece model.

    Args:
        folder: Where to; made.
        family: The model's family, one of `FILES`.
        proto: What is written; None: `model(family)`. It may be bytes.
        settings: tokenizer_config.json; there is none if there are no settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    proto = model(family) if proto is None else proto
    content = proto if isinstance(proto, bytes) else proto.SerializeToString()
    (folder / FILES[family]).write_bytes(content)
    config = {"model_type": family, "vocab_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
