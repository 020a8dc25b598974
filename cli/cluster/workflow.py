"""The Argo workflow of a run: its pods, their states and their ends.

KFP's v2beta1 API returns none of this. `GET /apis/v1beta1/runs/ID` has the workflow as text, even
long after the workflow itself was deleted.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

_ATTEMPT = re.compile(r"\((\d+)\)$")
_VARIABLE = re.compile(r"{{([\w.]+)}}")
# Maximum length of a pod's name, and of the number that Argo adds (workflow/util/pod_name.go).
_PREFIX = 253 - 10 - 1
# Limit for decompressed nodes, far more than a workflow can have (Kubernetes' limit is 1.5 MB).
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Node:
    """One node of a workflow.

    Attributes:
        id: Its id.
        name: Its display name, such as "finetune-driver(0)".
        kind: "Pod", "Retry", "DAG", "TaskGroup" or "Skipped".
        phase: "Pending", "Running", "Succeeded", "Failed", "Error", "Skipped" or "Omitted".
        message: The reason why it waits or has failed; "" if there is none.
        boundary: The id of the DAG that it belongs to.
        pod: The name of its pod; "" if it has none.
        started: Its start time.
        ended: Its end time.
        progress: Units done and in total; None if the pod reports none.
        inputs: Its parameters.
        outputs: Its results, such as "cached-decision".
    """

    id: str
    name: str
    kind: str
    phase: str
    message: str = ""
    boundary: str = ""
    pod: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    progress: tuple[int, int] | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """Its display name without the number of the attempt."""
        return _ATTEMPT.sub("", self.name)

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 0; -1 for the node of all attempts."""
        found = _ATTEMPT.search(self.name)
        return int(found[1]) if found else -1


@dataclass(frozen=True)
class Workflow:
    """A run's workflow.

    Attributes:
        name: Its name.
        namespace: The namespace of its pods.
        nodes: Its nodes by id; empty if they are `unknown`.
        unknown: The reason why the nodes are unknown; "" if they are known.
        seen: The time at which Argo last recorded its progress, or None.
        uid: Its unique id.
        created: Its creation time.
        repository: The location of Argo's logs: its S3 bucket and the format of the keys.
    """

    name: str
    namespace: str
    nodes: Mapping[str, Node]
    unknown: str
    seen: datetime | None
    uid: str = ""
    created: datetime | None = None
    repository: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_text(cls, manifest: str) -> Workflow:
        """Create it from the manifest in the server's response."""
        workflow = json.loads(manifest)
        metadata, status = workflow["metadata"], workflow.get("status") or {}
        nodes, unknown = _nodes_of(status)
        own_names = (metadata.get("annotations") or {}).get("workflows.argoproj.io/pod-name-format")
        name = str(metadata["name"])
        found = (_node(name, value, short=own_names == "v1") for value in nodes.values())
        writers = (
            moment(entry.get("time"))
            for entry in metadata.get("managedFields") or []
            if entry.get("manager") == "workflow-controller"
        )
        return cls(
            name=name,
            namespace=str(metadata.get("namespace") or ""),
            nodes={node.id: node for node in found},
            unknown=unknown,
            seen=max((time for time in writers if time), default=None),
            uid=str(metadata.get("uid") or ""),
            created=moment(metadata.get("creationTimestamp")),
            repository=(status.get("artifactRepositoryRef") or {}).get("artifactRepository") or {},
        )

    def iteration(self, node: Node) -> int | None:
        """The trial of the loop that a node belongs to, from 0; None outside loops."""
        above: Node | None = node
        while above is not None:
            trial = above.inputs.get("iteration-index", "-1")
            # A driver within an iteration gets -1, the iteration its number.
            if trial.isdecimal():
                return int(trial)
            above = self.nodes.get(above.boundary)
        return None

    @cached_property
    def by_task(self) -> Mapping[tuple[int | None, str], list[Node]]:
        """The nodes by trial and task name, starting with the node of all attempts."""
        found: dict[tuple[int | None, str], list[Node]] = {}
        for node in sorted(self.nodes.values(), key=lambda n: n.attempt):
            found.setdefault((self.iteration(node), node.task), []).append(node)
        return found

    def archive(self, pod: str) -> str:
        """The URI of the folder of a pod's log; "" if Argo stores none in S3."""
        place = self.repository.get("s3") or {}
        if not self.repository.get("archiveLogs") or not place.get("bucket") or not self.created:
            return ""
        values = {
            "workflow.name": self.name,
            "workflow.namespace": self.namespace,
            "workflow.uid": self.uid,
            "pod.name": pod,
        } | {
            f"workflow.creationTimestamp.{letter}": self.created.strftime(f"%{letter}")
            for letter in "YmdHMS"
        }
        key = _VARIABLE.sub(
            lambda found: values.get(found[1], found[0]), str(place.get("keyFormat") or "")
        )
        return "" if "{{" in key or not key else f"s3://{place['bucket']}/{key}"

    def within(self, dags: Iterable[Node]) -> list[Node]:
        """The nodes directly inside some DAGs."""
        ids = {dag.id for dag in dags}
        return [node for node in self.nodes.values() if node.boundary in ids]


def moment(text: Any) -> datetime | None:
    """Parse a time in Kubernetes' format; None if there is none."""
    return datetime.fromisoformat(text) if text else None


def _nodes_of(status: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The nodes, and the reason why they are unknown ("" if they are known)."""
    if status.get("nodes"):
        return status["nodes"], ""
    if status.get("compressedNodes"):
        try:
            gzip = zlib.decompressobj(31)
            text = gzip.decompress(base64.b64decode(status["compressedNodes"]), _MOST_BYTES)
            if not gzip.eof and len(text) >= _MOST_BYTES:
                return {}, f"the workflow's nodes take more than {_MOST_BYTES >> 20} MB"
            if not gzip.eof:
                return {}, "the workflow's nodes cannot be decompressed: they are incomplete"
            return json.loads(text), ""
        except (ValueError, zlib.error):
            return {}, "the workflow's nodes cannot be decompressed"
    if status.get("offloadNodeStatusVersion"):
        return {}, "Argo keeps the nodes of this workflow in a separate database"
    return {}, ""


def _node(workflow: str, value: Mapping[str, Any], *, short: bool) -> Node:
    is_pod = value.get("type") == "Pod"
    return Node(
        id=value["id"],
        name=str(value.get("displayName") or value.get("name") or ""),
        kind=str(value.get("type") or ""),
        phase=str(value.get("phase") or "Pending"),
        message=str(value.get("message") or ""),
        boundary=str(value.get("boundaryID") or ""),
        pod=_pod_name(workflow, value, short=short) if is_pod else "",
        started=moment(value.get("startedAt")),
        ended=moment(value.get("finishedAt")),
        progress=_progress(value.get("progress")) if is_pod else None,
        inputs=_parameters(value.get("inputs")),
        outputs=_parameters(value.get("outputs")),
    )


def _pod_name(workflow: str, value: Mapping[str, Any], *, short: bool) -> str:
    """The pod name from Argo's rule: WORKFLOW-TEMPLATE-NUMBER for the node WORKFLOW-NUMBER."""
    if short or value["id"] == workflow:
        return str(value["id"])
    template = value.get("templateName") or (value.get("templateRef") or {}).get("template") or ""
    return f"{workflow}-{template}"[:_PREFIX] + "-" + str(value["id"]).rpartition("-")[2]


def _progress(text: Any) -> tuple[int, int] | None:
    """Parse N/M; Argo has 0/1 and 1/1 for pods that report nothing."""
    done, _, total = str(text or "").partition("/")
    if not (done.isdecimal() and total.isdecimal()) or int(total) <= 1:
        return None
    return int(done), int(total)


def _parameters(values: Any) -> dict[str, str]:
    given = (values or {}).get("parameters") or []
    found = {p["name"]: str(p["value"]) for p in given if p.get("value") is not None}
    if exit_code := (values or {}).get("exitCode"):
        found["exit-code"] = str(exit_code)
    return found
