"""Record what the real PyTorch classes save and answer, for the tests that have no PyTorch.

    python -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 transformers==4.57.6
    cd tests/models/checkpoints && /tmp/torch/bin/python generate.py [family ...]

The families that 4.57 does not have, and ModernBERT, are recorded with transformers==5.24.0.

For every family a tiny model is made three times: with a classification head, without a head, and
with a masked-language-model head. Each is saved by PyTorch's `save_pretrained`; the names and
shapes in that file are recorded. The tensors are then given values by `tests/checkpoints.fill`,
loaded by PyTorch's `from_pretrained`, and the answers on fixed token ids are recorded: the logits
of the first, the last hidden state of the other two.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
from transformers import AutoModelForSequenceClassification as AutoClassifier

sys.path.insert(0, str(Path(__file__).parents[2]))
from checkpoints import LABELS, fill, write_config, write_weights

COMMON: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
}
ROBERTA = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
DEBERTA = {
    "relative_attention": True,
    "position_biased_input": False,
    "max_relative_positions": -1,
    "type_vocab_size": 0,
}
# Of which Transformers 5 saves encoders under the names of the published checkpoints, with fused
# tensors. Classifiers are recorded under its own names, which are what is saved here.
RENAMED = ("gte", "jina_embeddings_v3", "nomic_bert")
# Where a family has a setting that changes which weights there are, it is set as in the checkpoints
# people use: DeBERTa v3's relative attention, ELECTRA small's projected embeddings.
SETTINGS: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 8},
    "bert": {},
    "camembert": ROBERTA,
    "convbert": {"embedding_size": 8, "num_attention_heads": 4, "conv_kernel_size": 3},
    "deberta": {**DEBERTA, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {
        **DEBERTA,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pooler_hidden_size": 16,
    },
    "distilbert": {},
    "electra": {"embedding_size": 8},
    "eurobert": {"num_key_value_heads": 1, "pad_token_id": 0},
    "gte": {},
    "jina_embeddings_v3": {},
    "mobilebert": {"embedding_size": 8, "intra_bottleneck_size": 8, "true_hidden_size": 8},
    "modernbert": {"local_attention": 4, "pad_token_id": 0},
    "mpnet": {"pad_token_id": 1},
    "nomic_bert": {},
    "rembert": {"input_embedding_size": 8, "output_embedding_size": 12},
    "roberta": ROBERTA,
    "roberta-prelayernorm": ROBERTA,
    "xlm-roberta": ROBERTA,
}


def inputs(config: Any) -> dict[str, list[list[int]]]:
    """Two rows, the second padded."""
    pad = config.pad_token_id or 0
    made = {
        "input_ids": [[5, 8, 13, 21, 34, 6], [7, 11, 19, 30, pad, pad]],
        "attention_mask": [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]],
    }
    if getattr(config, "type_vocab_size", 0) > 1:
        made["token_type_ids"] = [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0]]
    return made


def record(config: Any, auto: Any, folder: Path) -> dict[str, Any]:
    """Save, fill, load and ask one model."""
    own_names = auto is AutoClassifier and config.model_type in RENAMED
    options = {"save_original_format": False} if own_names else {}
    auto.from_config(config).save_pretrained(folder, **options)
    with safe_open(folder / "model.safetensors", framework="np") as archive:
        tensors = {name: archive.get_slice(name).get_shape() for name in archive.keys()}  # noqa: SIM118
    saved_config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_config(folder, saved_config)
    write_weights(folder, fill(tensors))
    model, info = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    model.eval()
    asked = {name: torch.tensor(ids) for name, ids in inputs(config).items()}
    with torch.no_grad():
        if auto is AutoClassifier:
            name, answer = "logits", model(**asked).logits
        else:
            name, answer = "last_hidden_state", model.base_model(**asked)[0]
    return {
        "class": type(model).__name__,
        "config": saved_config,
        "tensors": tensors,
        name: [float(f"{value:.7g}") for value in answer.flatten().tolist()],
    }


def main() -> None:
    """Write one file a family."""
    for family in sys.argv[1:] or SETTINGS:
        config = AutoConfig.for_model(family, **{**COMMON, **SETTINGS[family]})
        with_head = AutoConfig.for_model(
            family,
            **{**COMMON, **SETTINGS[family]},
            id2label=dict(enumerate(LABELS)),
            label2id={name: i for i, name in enumerate(LABELS)},
        )
        made: dict[str, Any] = {
            "made_by": f"generate.py, torch {torch.__version__}, "
            f"transformers {transformers.__version__}",
            "inputs": inputs(config),
        }
        kinds = {"classifier": AutoClassifier, "base": AutoModel, "masked_lm": AutoModelForMaskedLM}
        for kind, auto in kinds.items():
            with tempfile.TemporaryDirectory() as folder:
                asked = with_head if kind == "classifier" else config
                made[kind] = record(asked, auto, Path(folder))
        file = Path(__file__).parent / f"{family}.json"
        file.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")
        print(family, file.stat().st_size)  # noqa: T201


if __name__ == "__main__":
    main()
