"""Explain in one line why a step waits or failed, and how to fix it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kfp_finetune.cli.cluster.steps import Step
from kfp_finetune.components.runtime import ERROR_LINE, parse_line
from kfp_finetune.progress.lines import clean

OUT_OF_MEMORY = "OOMKilled"
_UNSCHEDULABLE = re.compile(r"Unschedulable: (?:\d+/\d+ nodes are available: )?(.*)", re.DOTALL)
_INSUFFICIENT = re.compile(r"Insufficient ([\w./-]+)")
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
_SECRET = re.compile(r'(secret|configmap) "([^"]+)" not found', re.IGNORECASE)
_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) (\S+)")
_IMAGE = re.compile(r'(\w*Image\w*|ErrImagePull)\b.*?"([^"]+)"', re.DOTALL)
_EXIT = re.compile(r"exit status (\d+)")
# The last line of KFP's launcher and driver, with the reason (klog: fatal or error).
_KLOG = re.compile(r"^[FE]\d{4} \S+ +\d+ \S+\] (.*)$")
_PREFIXES = ("failed to execute component: ", "KFP driver: ")
_LINE = 400


@dataclass(frozen=True)
class Reason:
    """The reason why a step waits or failed.

    Attributes:
        text: The reason, in one line.
        remedy: How to fix it; "" if there is no specific remedy.
        change: Options for running it again; "" if the run can be resumed unchanged.
        input_error: The fields of the `InputError` that our component reported.
    """

    text: str
    remedy: str = ""
    change: str = ""
    input_error: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.text


def of_waiting(step: Step, namespace: str) -> Reason:
    """Explain why a step's pod cannot start.

    Args:
        step: The step.
        namespace: The namespace of its pod.
    """
    message = step.message
    if found := _UNSCHEDULABLE.match(message):
        # The sentences after the first are about preemption.
        short = found[1].split(". ")[0].rstrip(".")
        return Reason(clean(f"Unschedulable: {short}"), _of_scheduling(short, namespace))
    if found := _SECRET.search(message):
        kind, name = found[1].lower(), found[2]
        make = {
            "secret": f"kubectl create secret generic {name} -n {namespace}"
            " --from-literal=KEY=VALUE",
            "configmap": f"kubectl create configmap {name} -n {namespace}",
        }[kind]
        return Reason(clean(message), f"{make}; or correct its name in --secret or --platform")
    if found := _KEY.search(message):
        remedy = f"add the key {found[1]} to {found[3]}; or correct it in --secret or --platform"
        return Reason(clean(message), remedy)
    if found := _IMAGE.search(message):
        last = message.rsplit(": ", 1)[-1]
        return Reason(
            clean(f"{found[1]}: {found[2]}: {last}" if last != message else message),
            "check --image; a private registry needs image_pull_secrets in --platform",
        )
    pods = step.attempts or step.drivers
    if not pods or pods[-1].phase != "Pending":
        return Reason(clean(message)[:_LINE])
    return Reason(
        clean(message)[:_LINE],
        f"kubectl describe pod -n {namespace} {pods[-1].pod} shows the reason",
    )


def _of_scheduling(short: str, namespace: str) -> str:
    if found := _CLAIM.search(short):
        return (
            f"create the volume claim {found[1]} in namespace {namespace}, or correct its name in"
            " --platform"
        )
    lacking = list(dict.fromkeys(_INSUFFICIENT.findall(short)))
    if lacking:
        return (
            f"no node has enough free {' and '.join(lacking)}: wait until one has, or terminate the"
            " run and submit it with less (--gpus, --memory, --cpu, or resources in --platform)"
        )
    if "taint" in short:
        return "add tolerations to --platform, or wait for a node without the taint"
    if "affinity" in short or "selector" in short:
        return "check node_selector in --platform: no node has these labels"
    return ""


def of_failure(step: Step, log: str | None) -> Reason:
    """Explain why a step failed.

    Args:
        step: The step.
        log: The log of its last pod, or of its driver if that failed; None if unavailable.
    """
    lines = (log or "").splitlines()
    own = _own_error(lines)
    if own is not None and own.get("kind") == "input":
        return Reason(clean(str(own.get("found") or "")), change="CHANGES", input_error=own)
    if OUT_OF_MEMORY in step.message:
        return _out_of_memory(step)
    if own is not None:
        return Reason(clean(str(own.get("found") or "")))
    said = _last_words(lines)
    if step.failed_in_driver:
        # A refusal would be repeated; a failure of its pod may not happen again.
        refused = bool(said) or step.message.startswith("main: ")
        text = f"KFP's driver failed: {said or _short(step.message)}"
        return Reason(text, change="CHANGES" if refused else "")
    if said == "signal: killed":  # messages of Go
        return Reason(_of_code(137))
    if found := _EXIT.fullmatch(said):
        return Reason(_of_code(int(found[1])))
    if said:
        return Reason(said)
    if "pod deleted" in step.message:
        return Reason("its pod was deleted, e.g. because a node was drained or lost")
    if "DeadlineExceeded" in step.message or "specified deadline" in step.message:
        return Reason(
            "DeadlineExceeded: it ran longer than its time limit",
            "raise the step's timeout in --platform, or resume the run",
        )
    return Reason(_short(step.message))


def _out_of_memory(step: Step) -> Reason:
    limit = step.task.memory
    text = f"{OUT_OF_MEMORY}: it needed more memory than its limit of {limit}"
    if not limit:
        text = f"{OUT_OF_MEMORY}: the node has run out of memory, and the step has no limit"
    name = step.task.name.replace("-", "_")
    more = _doubled(limit) or "16Gi"
    if name == "finetune":
        return Reason(
            text, "give it more memory, or a smaller --batch-size", change=f"--memory {more}"
        )
    inside = f"steps: {{{name}: {{memory: {more}}}}}"
    return Reason(text, f"give it more memory in --platform: {inside}", change="--platform FILE")


def _doubled(limit: str) -> str:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", limit)
    return f"{float(found[1]) * 2:g}{found[2]}" if found else ""


def _of_code(code: int) -> str:
    signals = {
        137: " (killed: SIGKILL, e.g. by the kernel when out of memory)",
        139: " (crashed: SIGSEGV)",
        143: " (ended: SIGTERM)",
    }
    return f"exit code {code}{signals.get(code, '')}"


def _short(message: str) -> str:
    """Shorten Argo's "main: Error (exit code 1)" by the container's name."""
    return clean(message.removeprefix("main: "))[:_LINE]


def _own_error(lines: list[str]) -> dict[str, Any] | None:
    """Return the last error that our component reported."""
    for line in reversed(lines):
        parsed = parse_line(line)
        if parsed and parsed[0] == ERROR_LINE:
            return parsed[1]
    return None


def _last_words(lines: list[str]) -> str:
    """The last line with a reason from KFP's launcher or driver; "" if there is none."""
    for line in reversed(lines):
        if found := _KLOG.match(line):
            text = found[1]
            for prefix in _PREFIXES:
                text = text.removeprefix(prefix)
            return clean(text)[:_LINE]
    return ""
