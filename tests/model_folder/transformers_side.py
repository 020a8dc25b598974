"""Open tokenizer folders with Transformers, in any Python and version."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(texts: str, *folders: str) -> None:
    """Print the ids of all texts, and of all neighbours as pairs, for every folder.

    Args:
        texts: A JSON file with a list of texts.
        folders: Each with a tokenizer's files and a config.json.
    """
    from transformers import AutoTokenizer

    singles = json.loads(Path(texts).read_text(encoding="utf-8"))
    answers = {}
    for folder in folders:
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            answers[folder] = {
                "singles": tokenizer(singles)["input_ids"],
                "pairs": tokenizer(singles[1:], singles[:-1])["input_ids"],
                "pad": tokenizer.pad_token_id,
                "length": int(min(tokenizer.model_max_length, 10**6)),
                "inputs": sorted(tokenizer.model_input_names),
            }
        except Exception as error:  # whatever that version says of it
            answers[folder] = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(answers))  # noqa: T201


main(*sys.argv[1:])
