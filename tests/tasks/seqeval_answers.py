"""Run by a Python with seqeval and without this project.

    python seqeval_answers.py FILE

The file has pairs of true and predicted tags of several sentences. What is printed is seqeval's
strict report on each pair, as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

warnings.simplefilter("ignore")
asked = json.loads(Path(sys.argv[1]).read_text())
answers = [
    classification_report(*pair, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    for pair in asked
]
print(json.dumps(answers, default=float))  # noqa: T201
