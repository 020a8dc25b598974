"""Run by a Python that has PyTorch and Transformers, and nothing of this project.

    python torch_side.py make FOLDER ...
    python torch_side.py read FOLDER ...

Every folder below these has `asked.json`: a configuration, the class to build ("sequence" or
"token" for a classifier, "encoder" or "masked_lm" for what is saved without one), a seed, and token
ids. `make` builds the model with random weights, saves it there and adds `answered.json`: the
logits. `read` loads what was saved there by others instead, without building anything. If it has
`toward`, a number for each logit, `make` also saves a model in `gradients/` whose weights are the
gradients of the sum of their products, without dropout.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.utils import logging

CLASSES: dict[str, Any] = {
    "sequence": AutoModelForSequenceClassification,
    "token": AutoModelForTokenClassification,
    "encoder": AutoModel,
    "masked_lm": AutoModelForMaskedLM,
}


def make(asked: dict[str, Any], folder: Path) -> Any:
    """A model of a configuration, with weights of the size that training leaves."""
    torch.manual_seed(asked["seed"])
    described = dict(asked["config"])
    config = AutoConfig.for_model(described.pop("model_type"), **described)
    model = CLASSES[asked["kind"]].from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                # An embedding's rows are vectors; a matrix keeps the size of what it is applied to.
                scale = 1 if "embed" in name else 1 / math.sqrt(weight[0].numel())
                weight.normal_(0, scale)
            else:
                is_scale = name.endswith("norm.weight") or "LayerNorm.weight" in name
                weight.normal_(float(is_scale), 0.2)
    model.eval()
    model.save_pretrained(folder)
    return model


def read(asked: dict[str, Any], folder: Path) -> Any:
    """A saved model; nothing of it may be missing, left over or of another shape."""
    model, info = CLASSES[asked["kind"]].from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), (folder.name, info)
    assert model.dtype == torch.float32
    return model.eval()


def save_gradients(model: Any, logits: Any, asked: dict[str, Any], folder: Path) -> None:
    """Save the gradients under the weights' names, whatever those are in a file."""
    (logits * torch.tensor(asked["toward"])).sum().backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.zeros_like(weight) if weight.grad is None else weight.grad)
    model.save_pretrained(folder / "gradients")


def main() -> None:
    logging.set_verbosity_error()
    build = {"make": make, "read": read}[sys.argv[1]]
    name = f"answered_{transformers.__version__.partition('.')[0]}.json"
    for file in sorted(
        file for folder in sys.argv[2:] for file in Path(folder).rglob("asked.json")
    ):
        asked = json.loads(file.read_text())
        model = build(asked, file.parent)
        inputs = {name: torch.tensor(rows) for name, rows in asked["inputs"].items()}
        with torch.set_grad_enabled("toward" in asked):
            outputs = model(**inputs)
        answer = outputs.logits if "logits" in outputs else outputs.last_hidden_state
        (file.parent / name).write_text(json.dumps(answer.tolist()))
        if "toward" in asked:
            save_gradients(model, answer, asked, file.parent)


if __name__ == "__main__":
    main()
