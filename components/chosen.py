"""Choose max_length, num_train_epochs and learning_rate if they are not given.

The recipe of the Hugging Face course (Adam, 5e-5 decaying linearly to 0 over 3 epochs, 128 tokens)
is for BERT-base and tens of thousands of rows, for which these functions choose the same values. A
smaller model gets a higher rate, little data more epochs, and longer texts a larger max_length. The
shape of the schedule does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_finetune.components.artifacts.optimizer_config import usual_rates
from kfp_finetune.components.counts import counted
from kfp_finetune.components.number_text import rate_text

if TYPE_CHECKING:
    from kfp_finetune.components.artifacts.model import ModelManifest
    from kfp_finetune.components.artifacts.optimizer_config import OptimizerConfig

CHOSEN = ("max_length", "num_train_epochs", "learning_rate")
LEARNING_RATE, NUM_TRAIN_EPOCHS, MAX_LENGTH = 5e-5, 3, 128

_LONGEST = 512
_MANY_EPOCHS, _MOST_EPOCHS = 20, 80
_FEWEST_EXAMPLES, _MOST_EXAMPLES, _EXAMPLES_PER_LABEL = 30_000, 90_000, 1_200
_FEWEST_EXAMPLES_PER_LABEL = 300
_BASE_WIDTH = 768
_LOWEST_RATE, _HIGHEST_RATE = 2e-5, 5e-4


def choose_max_length(longest_text: int, limit: int | None) -> int:
    """Choose max_length so that no text is truncated, up to the model's limit and 512.

    It is at least 128: batches are as wide as their longest text, so a larger max_length costs
    nothing until a text needs it, and texts that are predicted later may be longer than those seen
    in training. It is at most 512, which is what BERT reads: attention takes memory and time with
    the square of the length, and a batch of 32 texts of 512 tokens fits a GPU of 16 GB.

    Args:
        longest_text: Tokens of the longest text, including special tokens.
        limit: The maximum number of tokens of the model; None for no limit.
    """
    rounded = -(-longest_text // 8) * 8  # GPUs compute multiples of 8 fastest
    return min(max(MAX_LENGTH, rounded), longest_max_length(limit))


def longest_max_length(limit: int | None) -> int:
    """The largest value that `choose_max_length` returns.

    Args:
        limit: The maximum number of tokens of the model; None for no limit.
    """
    return min(limit or _LONGEST, _LONGEST)


def choose_num_train_epochs(num_train_examples: int, num_labels: int = 0) -> int:
    """Choose the epochs so that training sees enough examples in total: from 3 to 80.

    What counts is the number of steps, not of passes (Mosbach et al., 2006.04884: 20 epochs
    instead of 3 make BERT stable on small data; Zhang et al., 2006.05987, find the same). Each
    label gets 1,200 examples, all together at least 30,000 and at most 90,000. That is 10 epochs of
    BANKING77's 9,003 training rows, with which docs/guide.md measures 92.8 % on the test file; two
    labels need far fewer.

    More than 20 epochs are chosen only until each label has had 300 examples: 600 rows with 77
    labels get 38 epochs. There, accuracy rises by 22 points from 20 to 40 epochs, and by 3 from 40
    to 80 (benchmarks/README.md, "Epochs on little data").

    Args:
        num_train_examples: Examples in the training split.
        num_labels: Number of labels; 0 for regression, or if unknown.
    """
    rows = max(1, num_train_examples)
    wanted = min(max(_FEWEST_EXAMPLES, _EXAMPLES_PER_LABEL * num_labels), _MOST_EXAMPLES)
    most = max(_MANY_EPOCHS, round(_FEWEST_EXAMPLES_PER_LABEL * num_labels / rows))
    return min(max(NUM_TRAIN_EPOCHS, round(wanted / rows)), most, _MOST_EPOCHS)


def choose_learning_rate(hidden_size: int, optimizer: str = "adam", momentum: float = 0.0) -> float:
    """Choose the peak learning rate from the width of the model, to one digit.

    For Adam and AdamW it is 5e-5 × (768 / hidden size)², from 2e-5 to 5e-4. Small models need
    higher rates (Turc et al., 1908.08962, tune BERTs of 128 to 512 with rates up to 3e-4; MiniLM of
    384 does best at 2e-4 on BANKING77), large ones lower rates (RoBERTa-large, 1907.11692: 1e-5 to
    3e-5). Lion and SGD take the multiples of it in `usual_rates`: a fifth, and 2,000
    times; with a momentum of 0.9, 200 times, which is SGD's default in Keras, 0.01, for BERT-base.

    Args:
        hidden_size: Width of the encoder; 0: unknown, which is taken for BERT-base's 768.
        optimizer: The optimizer, as `usual_rates` takes it.
        momentum: Momentum of sgd.
    """
    rate = LEARNING_RATE * (_BASE_WIDTH / (hidden_size or _BASE_WIDTH)) ** 2
    rate = min(max(_LOWEST_RATE, rate), _HIGHEST_RATE)
    return float(f"{rate * usual_rates(optimizer, momentum).of_adam:.0e}")


def max_length_note(longest_text: int, max_length: int, truncated_share: float) -> str:
    """The choice of max_length and its reason, in one line."""
    cut = f"; {truncated_share:.2%} of the texts are truncated" if truncated_share else ""
    return f"longest text {counted(longest_text, 'token')}: max_length {max_length}{cut}"


def num_train_epochs_note(num_train_examples: int, num_labels: int, epochs: float) -> str:
    """The choice of num_train_epochs and its reason, in one line."""
    labels = f", {counted(num_labels, 'label')}" if num_labels else ""
    return f"{counted(num_train_examples, 'row')}{labels}: {counted(float(epochs), 'epoch')}"


def learning_rate_note(hidden_size: int, optimizer: OptimizerConfig) -> str:
    """The choice of learning_rate and its reason, in one line."""
    of_model = f"hidden size {hidden_size}" if hidden_size else "model of unknown size"
    of_optimizer = "" if optimizer.name.startswith("adam") else f", {optimizer.name}"
    if optimizer.name == "sgd" and optimizer.momentum:
        of_optimizer += f" with momentum {optimizer.momentum:g}"
    return f"{of_model}{of_optimizer}: peak {rate_text(optimizer.schedule.learning_rate)}"


def defaults_used(model: ModelManifest) -> dict[str, str]:
    """The values of a trained model that are the defaults for its data and size, with the reason.

    Given and chosen values are not distinguished, because they are equal.

    Args:
        model: The model's manifest.

    Returns:
        Reasons such as "the default for hidden size 384", by parameter.
    """
    labels, optimizer = len(model.label_names), model.optimizer
    found = {}
    if model.num_train_epochs == choose_num_train_epochs(model.num_train_examples, labels):
        rows = counted(model.num_train_examples, "example")
        of_labels = f" and {counted(labels, 'label')}" if labels else ""
        found["num_train_epochs"] = f"the default for {rows}{of_labels}"
    rate = choose_learning_rate(model.hidden_size, optimizer.name, optimizer.momentum)
    if model.hidden_size and optimizer.schedule.learning_rate == rate:
        found["learning_rate"] = f"the default for hidden size {model.hidden_size}"
    return found
