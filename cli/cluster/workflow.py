"""The Argo workflow of a run: what its pods are, what they wait for, how they ended.

KFP's v2beta1 API says none of this. `GET /apis/v1beta1/runs/ID` has the workflow as text, also when
the workflow itself is long deleted.
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
# How long a pod's name may be, and the number that Argo adds to it (workflow/util/pod_name.go).
_PREFIX = 253 - 10 - 1
# Of nodes when decompressed: far more than Kubernetes' limit of 1.5 MB for a workflow unpacks to.
_MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Node:
    """One node of a workflow.

    Attributes:
        id: Its id.
        name: Its display name, such as "finetune-driver(0)".
        kind: "Pod", "Retry", "DAG", "TaskGroup" or "Skipped".
        phase: "Pending", "Running", "Succeeded", "Failed", "Error", "Skipped" or "Omitted".
        message: Why it waits or has failed; "" if nothing is said.
        boundary: The id of the DAG that it belongs to.
        pod: The name of its pod; "" if it has none.
        started: When it started.
        ended: When it ended.
        progress: Units done and in all; None if the pod does not report any.
        inputs: Its parameters.
        outputs: What it returned, such as "cached-decision".
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
        namespace: Where its pods are.
        nodes: Its nodes by their ids; empty if they are `unknown`.
        unknown: Why the nodes are not known; "" if they are.
        seen: When Argo last wrote down how far it is; None if that is not said.
        uid: Its unique id.
        created: When it was made.
        repository: Where Argo stores logs: its S3 bucket and the format of the keys.
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
        """From the manifest in the server's answer."""
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
        """The trial of the loop that a node belongs to, from 0; None if it is in no loop."""
        above: Node | None = node
        while above is not None:
            trial = above.inputs.get("iteration-index", "-1")
            # A driver within an iteration is given -1, the iteration its number.
            if trial.isdecimal():
                return int(trial)
            above = self.nodes.get(above.boundary)
        return None

    @cached_property
    def by_task(self) -> Mapping[tuple[int | None, str], list[Node]]:
        """The nodes by trial and task name, the node of all attempts first."""
        found: dict[tuple[int | None, str], list[Node]] = {}
        for node in sorted(self.nodes.values(), key=lambda n: n.attempt):
            found.setdefault((self.iteration(node), node.task), []).append(node)
        return found

    def archive(self, pod: str) -> str:
        """The URI of the folder in which Argo keeps a pod's log; "" if it keeps none in S3."""
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
        """The nodes right within some DAGs."""
        ids = {dag.id for dag in dags}
        return [node for node in self.nodes.values() if node.boundary in ids]


def moment(text: Any) -> datetime | None:
    """A time as Kubernetes writes it; None if there is none."""
    return datetime.fromisoformat(text) if text else None


def _nodes_of(status: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The nodes, and why they are not known: "" if they are."""
    if status.get("nodes"):
        return status["nodes"], ""
    if status.get("compressedNodes"):
        try:
            gzip = zlib.decompressobj(31)
            text = gzip.decompress(base64.b64decode(status["compressedNodes"]), _MOST_BYTES)
            if not gzip.eof and len(text) >= _MOST_BYTES:
                return {}, f"the workflow's nodes take more than {_MOST_BYTES >> 20} MB"
            if not gzip.eof:
                return {}, "the workflow's nodes cannot be decompressed: they are cut short"
            return json.loads(text), ""
        except (ValueError, zlib.error):
            return {}, "the workflow's nodes cannot be decompressed"
    if status.get("offloadNodeStatusVersion"):
        return {}, "Argo keeps the nodes of this workflow in a database of its own"
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
    """As Argo makes it: WORKFLOW-TEMPLATE-NUMBER, where the node's id is WORKFLOW-NUMBER."""
    if short or value["id"] == workflow:
        return str(value["id"])
    template = value.get("templateName") or (value.get("templateRef") or {}).get("template") or ""
    return f"{workflow}-{template}"[:_PREFIX] + "-" + str(value["id"]).rpartition("-")[2]


def _progress(text: Any) -> tuple[int, int] | None:
    """N/M; Argo says 0/1 and 1/1 of pods that report nothing."""
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
