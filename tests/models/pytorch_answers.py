"""Run by a Python that has PyTorch and a current Transformers, and nothing of this project.

    python pytorch_answers.py FOLDER

The folder has one folder per model, and in each `asked.json`: token ids as {name: [rows]}, or
texts. Beside it `answered.json` is written: the logits, and of texts what the pipeline of the model
card says of the first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer, pipeline


def main() -> None:
    for file in sorted(Path(sys.argv[1]).glob("*/asked.json")):
        folder, asked = file.parent, json.loads(file.read_text())
        name = json.loads((folder / "config.json").read_text())["architectures"][0]
        kind = "Token" if "Token" in name else "Sequence"
        auto = getattr(transformers, f"AutoModelFor{kind}Classification")
        model, info = auto.from_pretrained(folder, output_loading_info=True)
        assert type(model).__name__ == name
        assert not any(info.values()), (folder.name, info)
        assert model.dtype == torch.float32
        model.eval()
        answered = {}
        if isinstance(asked, list):
            tokenizer = AutoTokenizer.from_pretrained(folder)
            batch = tokenizer(
                asked, padding=True, truncation=True, max_length=128, return_tensors="pt"
            )
            classify = pipeline("text-classification", model=str(folder), top_k=None)
            answered["pipeline"] = classify(asked[:1])[0]
        else:
            batch = {name: torch.tensor(rows) for name, rows in asked.items()}
        with torch.no_grad():
            answered["logits"] = model(**batch).logits.tolist()
        (folder / "answered.json").write_text(json.dumps(answered))


if __name__ == "__main__":
    main()
