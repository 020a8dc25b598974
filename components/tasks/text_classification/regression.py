"""The scores of predicted numbers."""

from __future__ import annotations

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from kfp_finetune.components.artifacts.metrics import Metrics
from kfp_finetune.components.tasks.scores.tally import Tally, stack


def regression(labels: np.ndarray, predicted: np.ndarray, split: str) -> Metrics:
    """Measure predicted numbers.

    Args:
        labels: Float64, shape [examples].
        predicted: Float64, shape [examples].
        split: The split's name.

    Returns:
        Scalars `mae`, `rmse`, `loss` (the mean squared error), `mean_error` (the mean of prediction
        minus label), `mean_baseline_mae` (the mean absolute error of always
        predicting the split's mean) and, unless all labels are equal, `r2` and `prediction_spread`
        (the standard deviation of the predictions, divided by the labels'); unless all labels or
        all predictions are, also `pearson` and `spearman`.
    """
    loss = float(mean_squared_error(labels, predicted))
    baseline = _baseline(labels)
    metrics = {
        "mae": float(mean_absolute_error(labels, predicted)),
        "rmse": float(np.sqrt(loss)),
        "loss": loss,
        "mean_error": float((predicted - labels).mean()),
        "mean_baseline_mae": baseline["mae"],
    }
    if _differ(labels):
        metrics["r2"] = float(r2_score(labels, predicted))
        metrics["prediction_spread"] = float(predicted.std() / labels.std())
        if _differ(predicted):
            metrics["pearson"] = float(pearsonr(labels, predicted).statistic)
            metrics["spearman"] = float(spearmanr(labels, predicted).statistic)
    intervals = regression_tally(labels, predicted).intervals()
    return Metrics(
        split=split,
        num_examples=len(labels),
        metrics=metrics,
        intervals={name: found for name, found in intervals.items() if name in metrics},
        baseline=baseline,
        per_class=[],
        confusion_matrix=[],
        label_names=[],
    )


def _differ(values: np.ndarray) -> bool:
    """Return True if numbers differ beyond rounding; otherwise a correlation is meaningless."""
    return bool(np.ptp(values) > 1e-12 * np.abs(values).max())


def regression_tally(labels: np.ndarray, predicted: np.ndarray) -> Tally:
    """Errors, R² and Pearson's correlation of any weighting; Spearman's is no function of sums."""
    error = predicted - labels
    x, y = (
        labels - labels.mean(),
        predicted - predicted.mean(),
    )  # centred, so that squares lose no digits
    columns = stack(np.ones(len(labels)), np.abs(error), error, error**2, x, y, x**2, y**2, x * y)

    def scores_of(sums: np.ndarray) -> dict[str, np.ndarray]:
        count, absolute, signed, squared, x, y, xx, yy, xy = sums.T
        x_spread, y_spread = xx - x**2 / count, yy - y**2 / count
        # Equal numbers have no spread except for rounding.
        x_spread = np.where(x_spread > 1e-9 * xx, x_spread, np.nan)
        y_spread = np.where(y_spread > 1e-9 * yy, y_spread, np.nan)
        return {
            "mae": absolute / count,
            "rmse": np.sqrt(squared / count),
            "loss": squared / count,
            "mean_error": signed / count,
            "r2": 1 - squared / x_spread,
            "pearson": (xy - x * y / count) / (np.sqrt(x_spread) * np.sqrt(y_spread)),
        }

    return Tally(columns, scores_of)


def _baseline(labels: np.ndarray) -> dict[str, float]:
    """Scores of always predicting the mean."""
    always = np.full(len(labels), labels.mean())
    # Rounding aside, the mean is off by 0 on average.
    return regression_tally(labels, always).overall() | {"mean_error": 0.0}
