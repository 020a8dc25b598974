"""A small Kubeflow Pipelines: the v2beta1 API over a real socket, made of the client's own models.

`Registering` takes runs and what else is made; this moves a run on when it is looked at. What
comes in is deserialized and what goes out is serialized by `kfp_server_api`, so a field that the
API does not have fails a test.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api

from tests.cli.cluster.artifact_route import ArtifactRoute
from tests.cli.cluster.registering import Registering, filtered
from tests.cli.cluster.replay import Replay

_API = api.ApiClient()
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Kubeflow(Registering):
    """The state of the server, and what tests set up.

    Attributes:
        token: What has to be in the Authorization header; None: nothing.
        namespaces: Those that there are, in a multi-user install; None: one user.
        failures: Answered instead, one a request: an HTTP status, with headers, or "drop".
        slow: Seconds before every answer.
        asked: Every request: method and path.
        logs: Pods' logs by their names.
        artifacts: The artifact route, where the host is Kubeflow's UI; None: there is none.
        replay: What answers first, where it has been recorded.
        finish: Called with a run to move it on when it is looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self.token: str | None = None
        self.namespaces: list[str] | None = None
        self.failures: list[Any] = []
        self.slow = 0.0
        self.asked: list[str] = []
        self.logs: dict[str, str] = {}
        self.finish: Callable[[Any], None] = lambda run: None
        self.login_page = False
        self.is_ui = False
        self.artifacts: ArtifactRoute | None = None
        self.replay: Replay | None = None

    def add_run(self, **fields: Any) -> Any:
        number = len(self.runs)
        run = api.V2beta1Run(
            run_id=str(uuid.uuid4()),
            state="PENDING",
            created_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number),
            finished_at=_NEVER,
            run_details=api.V2beta1RunDetails(task_details=[]),
        )
        for name, value in fields.items():
            setattr(run, name, value)
        self.runs[run.run_id] = run
        return run

    def end(self, run: Any, state: str = "SUCCEEDED", **steps: str) -> None:
        """End a run with its steps in the given states; of the others each has succeeded.

        Nodes are as Argo has them: the step, its driver, and below the step its executor, which is
        skipped for a step that came from the cache ("CACHED").
        """
        run.state, run.finished_at = state, run.created_at + timedelta(minutes=5)
        spec = run.pipeline_spec.get("pipeline_spec", run.pipeline_spec)
        details = []
        for number, name in enumerate(sorted(spec["root"]["dag"]["tasks"])):
            found = steps.get(name.replace("-", "_"), "SUCCEEDED")
            if found == "WAITING":
                continue
            executor = f"wf-{number}1"
            inner = {"CACHED": "SKIPPED"}.get(found, found)
            outer = {"CACHED": "SUCCEEDED"}.get(found, found)
            for display, pod, status, children in (
                (f"{name}-driver", f"wf-{number}2", "SUCCEEDED", [f"wf-{number}0"]),
                (name, f"wf-{number}0", outer, [executor]),
                ("executor", executor, inner, []),
            ):
                details.append(
                    api.V2beta1PipelineTaskDetail(
                        display_name=display,
                        pod_name=pod,
                        state=status,
                        start_time=run.created_at,
                        end_time=_NEVER if status == "RUNNING" else run.finished_at,
                        child_tasks=[api.PipelineTaskDetailChildTask(pod_name=c) for c in children],
                    )
                )
        if state == "RUNNING":
            run.finished_at = _NEVER
        run.run_details = api.V2beta1RunDetails(task_details=details)

    # The answers of the API: (status, object).

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        parts = path.removeprefix("/apis/v2beta1/").split("/")
        kind, rest = parts[0], parts[1:]
        namespace = query.get("namespace", "")
        listing = kind in ("runs", "experiments") and method == "GET" and not rest
        if listing and self.namespaces is not None and namespace not in self.namespaces:
            return 403, {"message": f"User is not authorized in namespace {namespace!r}"}
        handler = getattr(self, f"_{method.lower()}_{kind}", None)
        return handler(rest, query, body) if handler else (404, {"message": "no such path"})

    def _get_healthz(self, rest: list[str], query: Any, body: Any) -> tuple[int, Any]:
        return 200, api.V2beta1GetHealthzResponse(multi_user=self.namespaces is not None)

    def _get_runs(self, rest: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        if rest:
            run = self.runs.get(rest[0])
            if run is None:
                return 404, {"message": f"Run {rest[0]} not found"}
            self.finish(run)
            return 200, run
        runs = sorted(self.runs.values(), key=lambda run: run.created_at, reverse=True)
        page, token = _page(filtered(runs, query), query)
        return 200, api.V2beta1ListRunsResponse(runs=page, next_page_token=token)

    def _post_runs(self, rest: list[str], query: Any, body: Any) -> tuple[int, Any]:
        if rest:
            run_id, _, action = rest[0].partition(":")
            assert action == "terminate"
            self.end(self.runs[run_id], "CANCELED", finetune="CANCELED", evaluate="WAITING")
            return 200, {}
        return self._create_run(body)


def _page(items: list[Any], query: dict[str, str]) -> tuple[list[Any], str | None]:
    size, start = int(query.get("page_size", 10)), int(query.get("page_token") or 0)
    assert size <= 200
    return items[start : start + size], str(start + size) if start + size < len(items) else None


_STARTS = ("POST", "/apis/v2beta1/runs")


class _Handler(BaseHTTPRequestHandler):
    kubeflow: Kubeflow

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        own = self.kubeflow
        url = urlsplit(self.path)
        own.asked.append(f"{self.command} {url.path}")
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(own.slow)
        if own.failures and not url.path.endswith("/healthz"):
            failure = own.failures.pop(0)
            if failure == "drop":
                self.connection.close()
                return
            status, headers = failure if isinstance(failure, tuple) else (failure, {})
            said = {"message": "it went wrong", "secret": "hunter2"}
            self._say(status, json.dumps(said).encode(), headers)
            return
        if own.login_page:
            self._say(200, b"<html>Log in</html>", {"Content-Type": "text/html"})
            return
        if own.token is not None and self.headers.get("Authorization") != f"Bearer {own.token}":
            self._say(401, b'{"message": "who are you?"}', {"Set-Cookie": "session=hunter2"})
            return
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        recorded = own.replay and own.replay.answer(self.command, url.path, query)
        if recorded:
            status, answer = recorded
            text = answer if isinstance(answer, str) else json.dumps(answer)
            self._say(status, text.encode(), {})
            return
        if own.artifacts and url.path.startswith("/artifacts/"):
            self._say(*own.artifacts.answer(url.path, query))
            return
        if url.path.startswith("/apis/v1alpha1/runs/"):
            text = own.logs.get(url.path.split("/")[-2])
            if own.is_ui:  # which does not pass this on
                self._say(200, b"<!doctype html><html>", {"Content-Type": "text/html"})
            else:
                self._say(200 if text is not None else 400, (text or "{}").encode(), {})
            return
        if url.path == "/k8s/pod/logs" and own.is_ui:
            text = own.logs.get(query["podname"])
            self._say(200 if text is not None else 500, (text or "no such pod").encode(), {})
            return
        if self.headers.get("Content-Type", "").startswith("multipart/"):
            body: Any = _file_in(content)
            own.uploads.append(body)
        else:
            body = json.loads(content) if content else None
        status, answer = own.answer(self.command, url.path, query, body)
        if own.replay and own.replay.starts and (self.command, url.path) == _STARTS:
            answer = own.replay.runs[own.replay.starts]["v2beta1"]
        self._say(status, json.dumps(_API.sanitize_for_serialization(answer)).encode(), {})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _file_in(content: bytes) -> bytes:
    boundary = content.split(b"\r\n", 1)[0]
    part = content.split(boundary)[1]
    return part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")


@contextmanager
def serve() -> Iterator[tuple[str, Kubeflow]]:
    """Start one; gives its address, and itself."""
    kubeflow = Kubeflow()
    handler = type("Handler", (_Handler,), {"kubeflow": kubeflow})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", kubeflow
    server.shutdown()
    server.server_close()
