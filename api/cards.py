"""HTML of runs and evaluations for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from kfp_finetune.calling import same_environment
from kfp_finetune.components.artifacts import leaderboard
from kfp_finetune.components.artifacts import metrics as metrics_artifact
from kfp_finetune.components.artifacts import model as model_artifact
from kfp_finetune.components.inert import inert

if TYPE_CHECKING:
    from kfp_finetune.results import Evaluation, Run

# Height before the page has loaded; then the frame gets the height of the page.
_HEIGHT = 900
_FIT = "this.style.height=this.contentDocument.body.offsetHeight+8+'px'"


def of_run(run: Run) -> str:
    """The head of a run's report with its curves; without a report, the status and candidates."""
    measured = run.folder / run.artifacts.get("metrics_json", "")
    if run.model is None or not measured.is_file():
        return _plain(run)
    with same_environment():
        from kfp_finetune.components.evaluate.card import render_card

        return _framed(
            render_card(
                run.name,
                metrics_artifact.read(measured),
                model_artifact.read(run.model),
                run.history(),
            )
        )


def of_evaluation(evaluation: Evaluation) -> str:
    """The head of an evaluation's report."""
    with same_environment():
        from kfp_finetune.components.evaluate.card import render_card

        return _framed(
            render_card(
                evaluation.folder.name,
                metrics_artifact.read(evaluation.folder / "metrics.json"),
                model_artifact.read(evaluation.model),
                [],
            )
        )


def _framed(page: str) -> str:
    """A page in a separate frame, so that its style and the notebook's do not interfere."""
    return (
        f'<iframe srcdoc="{escape(page)}" onload="{_FIT}"'
        f' style="width:100%;height:{_HEIGHT}px;border:0"></iframe>'
    )


def _plain(run: Run) -> str:
    head = f"<div><b>{_text(run.name)}</b> ({_text(run.pipeline)}): {_text(run.status)}</div>"
    rows = [("folder", str(run.folder)), *((n, f"{v:.4f}") for n, v in run.metrics.items())]
    facts = "".join(f"<tr><th>{_text(n)}</th><td>{_text(v)}</td></tr>" for n, v in rows)
    return f"{head}<table>{facts}</table>{_comparison(run)}"


def _comparison(run: Run) -> str:
    """The verdict and the candidates of a comparison, the best first; "" for other runs."""
    path = run.folder / run.artifacts.get("leaderboard", "")
    if not path.is_file():
        return ""
    board = leaderboard.read(path)
    columns = {
        "Candidate": "name",
        f"{board.split.capitalize()} {board.metric}": "mean",
        "Spread over seeds": "spread",
        "Diverged seeds": "diverged",
        "Diagnosis": "finding",
    }
    head = "".join(f"<th>{_text(title)}</th>" for title in columns)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{_cell(getattr(c, name))}</td>" for name in columns.values())
        + "</tr>"
        for c in board.candidates
    )
    return f"<p>{_text(board.verdict)}</p><table><tr>{head}</tr>{rows}</table>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else _text(str(value))


def _text(text: str) -> str:
    return escape(inert(text))
