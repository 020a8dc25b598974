"""A problem type: everything that training and the reports need to know about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kfp_finetune.components.artifacts.metrics import LESS_IS_BETTER, Metrics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kfp_finetune.components.tasks.predictions import Prediction
    from kfp_finetune.components.tasks.results import Result


@dataclass(frozen=True, kw_only=True)
class ProblemType:
    """One problem type: what training may do with it, and how its results are shown.

    Attributes:
        name: As in the parameter `problem_type` and in every manifest.
        training_metrics: Metrics of the validation split during training, besides the loss. The
            first one is the headline metric: it is plotted, and ranks trials that optimise none.
        activation: Function that turns logits into probabilities.
        has_labels: Whether the model predicts labels, so that `LossParameters` have a meaning.
        takes_positive_label: Whether one of two labels may be the positive one.
        in_hub_config: Whether Transformers knows the name as `problem_type` in config.json.
        metric_name: The headline metric's name within a sentence.
        metric_text: Formats a value of the headline metric.
        axis_text: Formats the same value for the axis of a chart.
        metric_top: The largest possible value of the headline metric; None if there is none.
        result: The score beside that of a constant answer: the first sentence of the report.
        tiles: Metrics shown as tiles, the most important first.
        slice_metrics: Metrics by which slices are compared; the first one is drawn as a bar.
        metric_names: Display names that differ from those of the other problem types.
        class_name: Name of a class in the table of scores by class.
        class_unit: Column heading of the number of examples of a class.
        label_slices: Title of the table of slices by label; empty if labels have their own table.
        calibration_lead: The meaning of the bars of the reliability diagram.
        label_kind: The content of the label column, for the data report.
        background: The label of everything that is not of interest; empty if there is none.
        class_of: The class that is counted by the examples of a label; None if no class is.
        card: The purpose of the model, with {} for the number of labels.
        card_limit: The first item under "Limits" of the model card.
        record: A prediction as the object of a JSON line, given `top_k`.
        lines: The same object as lines for the terminal: the probability, or None, and the text.
        no_top_k: The kind of predictions if they are not labels with probabilities, else empty.
    """

    name: str
    training_metrics: tuple[str, ...]
    activation: Literal["softmax", "sigmoid", "none"]
    has_labels: bool = True
    takes_positive_label: bool = False
    in_hub_config: bool = False

    metric_name: str
    metric_text: Callable[[float], str]
    axis_text: Callable[[float], str]
    metric_top: float | None = 1.0
    result: Callable[[Metrics], Result]
    tiles: tuple[str, ...]
    slice_metrics: tuple[str, ...]
    metric_names: Mapping[str, str] = field(default_factory=dict)
    class_name: str = "label"
    class_unit: str = "Examples"
    label_slices: str = ""
    calibration_lead: str = "The share of predictions that are correct, by their probability."

    label_kind: str
    background: str = ""
    class_of: Callable[[str], str | None] = lambda label: label

    card: str
    card_limit: str

    record: Callable[[Prediction, int | None], dict[str, Any]]
    lines: Callable[[dict[str, Any]], list[tuple[float | None, str]]]
    no_top_k: str = ""

    @property
    def metric(self) -> str:
        """The headline metric."""
        return self.training_metrics[0]

    def measured_in_training(self, positive_label: str | None) -> tuple[str, ...]:
        """The metrics of the validation split during training, besides the loss.

        Args:
            positive_label: The positive one of two labels; empty or None if there is none.
        """
        if positive_label and self.takes_positive_label:
            return (*self.training_metrics, "f1")
        return self.training_metrics

    @property
    def less_is_better(self) -> bool:
        """Return True if a smaller value of the headline metric is better."""
        return self.metric in LESS_IS_BETTER

    @property
    def has_probabilities(self) -> bool:
        """Return True if logits stand for probabilities."""
        return self.activation != "none"

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.floating]:
        """Probabilities of logits, shape [..., labels]."""
        from scipy.special import expit, softmax

        if self.activation == "softmax":
            return softmax(logits, axis=-1)  # type: ignore[no-any-return]
        return expit(logits)  # type: ignore[no-any-return]
