"""Weight decay is for the weights that Hugging Face Trainer applies it to."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from kfp_finetune.components.build_optimizer.optimizers import is_decayed
from kfp_finetune.components.models import registry
from kfp_finetune.components.models.classifier import Classifier
from kfp_finetune.components.models.names import weights_of
from tests.models.parity.cases import CONFIGURATIONS


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_biases_and_norms_are_spared_and_nothing_else(family: str) -> None:
    described = hypothesis.find(CONFIGURATIONS[family](), lambda _: True)
    config = registry.read_config(described, Path("config.json"))
    model = Classifier(
        registry.family(family), config, num_labels=2, problem_type="single_label_classification"
    )
    parts = [part for part in model._flatten_layers() if hasattr(part, "TORCH")]
    norms = [part for part in parts if "Norm" in type(part).__name__]
    of_norms = {id(variable) for norm in norms for variable in norm.weights}
    assert of_norms
    for weight in weights_of(model):
        # transformers.trainer_pt_utils.get_parameter_names, as Trainer calls it
        spared = "bias" in weight.name or id(weight.variable) in of_norms
        assert is_decayed(weight.variable) is not spared, weight.name
