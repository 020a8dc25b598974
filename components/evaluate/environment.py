"""The environment of a training, as facts that a person reads."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kfp_finetune.components.counts import counted

Facts = list[tuple[str, str]]

_NAMES = {
    "variables": "environment variables",
    "op_determinism": "deterministic operations",
}
# The result of `runtime.processor`: the name, and the vector instructions in parentheses.
_PROCESSOR = re.compile(r"(.+) \(([a-z0-9_ ]+)\)")


def environment_facts(environment: Mapping[str, Any]) -> Facts:
    """Versions, processor, devices and settings, by name; without what is empty."""
    facts = [(_NAMES.get(name, name), _text(name, value)) for name, value in environment.items()]
    return [(name, text) for name, text in facts if text]


def instruction_sets(environment: Mapping[str, Any]) -> Facts:
    """The processor's vector instructions, by which numeric kernels are chosen."""
    found = _PROCESSOR.fullmatch(str(environment.get("processor", "")))
    return [("Instruction sets", found[2])] if found else []


def _text(name: str, value: Any) -> str:
    if name == "devices" and isinstance(value, list):
        return devices_text(value)
    if name == "processor" and (found := _PROCESSOR.fullmatch(str(value))):
        return found[1]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def devices_text(names: list[str]) -> str:
    """TensorFlow's names of devices, such as /physical_device:GPU:0, as "1 CPU, 2 GPUs"."""
    kinds = Counter(name.split(":")[-2] if name.count(":") >= 2 else name for name in names)
    return ", ".join(counted(number, kind) for kind, number in kinds.items())
