"""A Kubeflow Pipelines that answers what a real 2.17 answered, from `recordings/`.

What it was not recorded to answer is HTTP 404, as is what a real one does not know.
"""

from __future__ import annotations

import base64
import copy
import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

RECORDINGS = Path(__file__).parent / "recordings"
NAMES = sorted(
    path.name.removesuffix(".json.gz")
    for path in RECORDINGS.glob("*.json.gz")
    if path.name != "endpoints.json.gz"
)


@cache
def _text(name: str) -> bytes:
    return gzip.decompress((RECORDINGS / f"{name}.json.gz").read_bytes())


def recording(name: str) -> dict[str, Any]:
    """A run's recording: "v2beta1", "v1beta1", "logs" and "store"; a copy that may be changed."""
    found: dict[str, Any] = json.loads(_text(name))
    return found


def workflow(v1: dict[str, Any]) -> dict[str, Any]:
    """The Argo workflow of a v1beta1 answer."""
    found: dict[str, Any] = json.loads(v1["pipeline_runtime"]["workflow_manifest"])
    return found


def argo_nodes(v1: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of the Argo workflow of a v1beta1 answer."""
    status = workflow(v1)["status"]
    nodes = status.get("nodes") or json.loads(
        gzip.decompress(base64.b64decode(status["compressedNodes"]))
    )
    return list(nodes.values())


def as_run(name: str, run_id: str) -> dict[str, Any]:
    """A recording as if it had been of another run: the same but for the run's id."""
    text = _text(name).decode()
    found: dict[str, Any] = json.loads(text.replace(recording(name)["v2beta1"]["run_id"], run_id))
    return found


class Replay:
    """The runs and pages of a recorded Kubeflow.

    Args:
        *names: The recorded runs that it has; they are listed in this order.

    Attributes:
        runs: The recordings by the runs' ids; tests may change them.
        v1beta1: Whether it answers GET /apis/v1beta1/runs/ID, as a server may not.
        retried: The ids of runs that it was asked to retry. The answer is 200 and {}, as recorded.
        terminated: The ids of runs that it was asked to terminate; 200 and {}, too.
        versions: Registered versions of pipelines by their ids; none was recorded.
        then: What a run's next looks answer, by its id: iterators of recordings.
        starts: The id of the recorded run that POST runs is to have started; "" if none.
    """

    def __init__(self, *names: str) -> None:
        self.runs = {r["v2beta1"]["run_id"]: r for r in map(recording, names)}
        self.v1beta1 = True
        self.retried: list[str] = []
        self.versions: dict[str, Any] = {}
        self.terminated: list[str] = []
        self.starts = ""
        self.then: dict[str, Iterator[dict[str, Any]]] = {}
        self._pages: dict[str, Any] = json.loads(_text("endpoints"))

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any] | None:
        """A recorded answer: status and body; None if there is none for such a request.

        A body that is text is sent as it is, as logs are.
        """
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match method, *parts:
            case "GET", "apis", "v2beta1", "healthz":
                return self._page("healthz")
            case "GET", "apis", "v2beta1", "runs", run_id:
                return self._v2beta1(run_id)
            case "GET", "apis", "v1beta1", "runs", run_id if self.v1beta1:
                found = self.runs.get(run_id)
                return (200, found["v1beta1"]) if found else self._page("run_not_found")
            case "GET", "apis", "v1alpha1", "runs", run_id, "nodes", pod, "log":
                return self._log(run_id, pod)
            case "GET", "apis", "v2beta1", "runs":
                return 200, {"runs": self._listed(query)}
            case "GET", "apis", "v2beta1", "recurringruns":
                return self._page("recurring")
            case "GET", "apis", "v2beta1", "recurringruns", schedule_id:
                _, body = self._page("recurring")
                for schedule in body["recurringRuns"]:
                    if schedule["recurring_run_id"] == schedule_id:
                        return 200, schedule
            case "GET", "apis", "v2beta1", "experiments":
                return self._filtered("experiments", query)
            case "GET", "apis", "v2beta1", "pipelines":
                return self._filtered("pipelines", query)
            case "POST", "apis", "v2beta1", "runs", action if ":" in action:
                run_id, _, verb = action.partition(":")
                {"retry": self.retried, "terminate": self.terminated}[verb].append(run_id)
                return 200, {}
            case "GET", "apis", "v2beta1", "pipelines", _, "versions", version_id:
                if version_id in self.versions:
                    return 200, self.versions[version_id]
                return self._page("run_not_found")  # of what it does not have, it says the same
        return None

    def _page(self, name: str) -> tuple[int, Any]:
        page = copy.deepcopy(self._pages[name])
        return page["status"], page["body"]

    def _filtered(self, kind: str, query: dict[str, str]) -> tuple[int, Any]:
        status, body = self._page(kind)
        return status, {kind: _named(body[kind], query)}

    def _v2beta1(self, run_id: str) -> tuple[int, Any]:
        if run_id in self.then:
            self.runs[run_id] = next(self.then[run_id], self.runs[run_id])
        found = self.runs.get(run_id)
        return (200, found["v2beta1"]) if found else self._page("run_not_found")

    def _log(self, run_id: str, pod: str) -> tuple[int, Any]:
        logs = self.runs[run_id]["logs"]["pods"]
        if pod in logs:
            return logs[pod]["status"], logs[pod]["body"]
        # The recorded answers for a pod that is not there are cut short; this one is whole.
        image = recording("pending_image")["logs"]["pods"]
        gone, answer = next((p, a) for p, a in image.items() if "error_message" in a["body"])
        return answer["status"], answer["body"].replace(gone, pod)

    def _listed(self, query: dict[str, str]) -> list[Any]:
        _, page = self._page("runs_page")
        own = [found["v2beta1"] for found in self.runs.values()]
        ids = set(self.runs)
        runs = own + [run for run in page["runs"] if run["run_id"] not in ids]
        runs = _named(runs, query)
        newest_first = query.get("sort_by") == "created_at desc"
        return sorted(runs, key=lambda run: run["created_at"], reverse=newest_first)


def _named(items: list[Any], query: dict[str, str]) -> list[Any]:
    """Those that the API's filter by name admits."""
    if "filter" not in query:
        return items
    (wanted,) = json.loads(unquote_plus(query["filter"]))["predicates"]
    assert wanted["operation"] == "EQUALS"
    return [item for item in items if item[wanted["key"]] == wanted["stringValue"]]
