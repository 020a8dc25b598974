"""The requirements of KFP's API server, driver and launcher, as a small model in Python.

Written from the Go source of KFP 2.17.0 (backend/src/): apiserver/template/v2_template.go (T),
v2/driver/resolve.go (R), v2/driver/dag.go (D), v2/driver/util.go (U), v2/component/launcher_v2.go
(L), v2/metadata/converter.go (X), v2/compiler/argocompiler (A). Every rule is tested in
tests/pipelines/test_kubeflow_rules.py. Of a run (`problems_of_run`):

- API server: schemaVersion 2.1.0, a pipeline's name (T:230); a required parameter is given (T:471);
  a value has the JSON kind of its type, null has none (T:476); it is one of `literals` (T:513); no
  parameter is unknown (T:519). No value holds {{, which Argo would replace.
- Compiler: executors are containers; no artifact iterators (A/dag.go:69); a producer is a task of
  the same graph (A/dag.go:666); what is handed to the driver as one argument is below 128 KiB.
- Driver, of parameters: what a nested graph's task takes from its graph must be there (R:389), and
  must not be null unless the component's own input is optional (R:399), when it is left out; an
  input that is not optional must have a value, a default is not enough (R:184); types match
  exactly, except that text takes anything (R:203); an expression on a loop's item finds its key
  (E:75); an upstream output is declared (R:684), of a graph among its outputs (R:623, R:1048).
- Driver, of artifacts: what is taken from the graph was handed to it (R:544); none is optional.
- Driver, of loops and conditions: what is gone over is resolved, and a list (D:174); an item has
  the type that the loop declares (R:268); what a condition names is resolved (E:134).
- Driver, of commands: a placeholder of an input without a value is inside IfPresent (U:168).

And of what a step leaves (`problems_of_output`): strict JSON without NaN (L:1208); an output
parameter that is declared is there and has its type (L:484); an artifact that is written about is
declared, and its URI is still the one that was given (L:811); metadata has no null (X:138), here
at any depth, since it comes back from the metadata store.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

NULL = object()  # a parameter that is there without a value
_KINDS = {
    "NUMBER_INTEGER": "number",
    "NUMBER_DOUBLE": "number",
    "STRING": "string",
    "BOOLEAN": "bool",
    "LIST": "list",
    "STRUCT": "struct",
}
_ARGUMENT = 128 * 1024
_KEY = re.compile(r'parseJson\(string_value\)\["([^"]+)"\]')
_NAMED = re.compile(r"inputs\.parameter_values\['([^']+)'\]")
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


class _Of:
    """A value that is known only when the run is under way: its kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


def _kind(value: Any) -> str:
    if isinstance(value, _Of):
        return value.kind
    kinds = {bool: "bool", int: "number", float: "number", str: "string", list: "list"}
    return kinds.get(type(value), "struct" if isinstance(value, Mapping) else "null")


def problems_of_run(spec: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The problems for which a cluster would refuse a run or fail.

    Args:
        spec: A compiled pipeline.
        given: The run's parameters.
    """
    return [*_submission(spec, given), *_Graphs(spec).problems(given)]


def _submission(spec: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("schemaVersion") != "2.1.0":
        yield f"schemaVersion is {spec.get('schemaVersion')!r}"
    if not re.search(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", spec["pipelineInfo"]["name"]):
        yield f"{spec['pipelineInfo']['name']!r} is no name of a pipeline"
    declared = _parameters(spec["root"])
    for name in given.keys() - declared.keys():
        yield f"parameter {name} is not declared"
    for name, how in declared.items():
        if name in given:
            if _kind(given[name]) != _KINDS[how["parameterType"]]:
                yield f"parameter {name} is {given[name]!r}, not {how['parameterType']}"
            yield from _literals(name, how, given[name])
            if "{{" in json.dumps(given[name]):
                yield f"parameter {name} holds {{{{, which Argo replaces"
        elif "defaultValue" not in how and not how.get("isOptional"):
            yield f"parameter {name} is required"


def _literals(name: str, how: Mapping[str, Any], value: Any) -> Iterator[str]:
    if how.get("literals") and value not in how["literals"]:
        yield f"parameter {name} is {value!r}, which is none of its literals"


def _parameters(component: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = component.get("inputDefinitions", {}).get("parameters", {})
    return found


class _Graphs:
    """The drivers of a run, from the root on."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        self._components = spec.get("components", {})
        self._executors = spec.get("deploymentSpec", {}).get("executors", {})

    def problems(self, given: Mapping[str, Any]) -> Iterator[str]:
        inputs = {
            name: given.get(name, how.get("defaultValue", NULL))
            for name, how in _parameters(self._spec["root"]).items()
        }
        yield from self._graph("root", self._spec["root"], inputs, set())

    def _graph(
        self, where: str, graph: Mapping[str, Any], inputs: dict[str, Any], artifacts: set[str]
    ) -> Iterator[str]:
        tasks = graph["dag"]["tasks"]
        for name, task in tasks.items():
            place = f"{where}/{name}"
            component = self._components.get(task["componentRef"]["name"])
            if component is None:
                yield f"{place}: no component {task['componentRef']['name']}"
                continue
            if len(json.dumps(component)) + len(json.dumps(task)) > _ARGUMENT:
                yield f"{place}: an argument of its driver is above 128 KiB"
            found: dict[str, Any] = {}
            yield from self._resolve(place, task, component, tasks, inputs, found)
            handed = set()
            for key, source in task.get("inputs", {}).get("artifacts", {}).items():
                yield from self._artifact(f"{place}.{key}", source, tasks, artifacts)
                handed.add(key)
            for key in component.get("inputDefinitions", {}).get("artifacts", {}).keys() - handed:
                yield f"{place}: artifact {key} is not given"
            for key in _NAMED.findall(task.get("triggerPolicy", {}).get("condition", "")):
                if found.get(key, NULL) is NULL:
                    yield f"{place}: the condition names {key}, which has no value"
            if "artifactIterator" in task:
                yield f"{place}: artifact iterators are refused"
            if "dag" not in component:
                yield from self._container(place, component, found)
                continue
            for inner in self._turns(place, task, component, found):
                if isinstance(inner, str):
                    yield inner
                else:
                    yield from self._graph(place, component, inner, handed)

    def _resolve(
        self,
        place: str,
        task: Mapping[str, Any],
        component: Mapping[str, Any],
        tasks: Mapping[str, Any],
        inputs: Mapping[str, Any],
        found: dict[str, Any],
    ) -> Iterator[str]:
        declared = _parameters(component)
        for name, source in task.get("inputs", {}).get("parameters", {}).items():
            how = declared.get(name, {})
            if key := source.get("componentInputParameter"):
                if key not in inputs:
                    yield f"{place}: parent DAG does not have input parameter {key}"
                    continue
                value = inputs[key]
                if value is NULL:
                    if not how.get("isOptional"):
                        yield f"{place}: the resolved input {name} is null"
                    continue
            elif output := source.get("taskOutputParameter"):
                problem, value = self._output(output, tasks)
                if problem:
                    yield f"{place}.{name}: {problem}"
                    continue
            else:
                value = source.get("runtimeValue", {}).get("constant", NULL)
            for key in _KEY.findall(source.get("parameterExpressionSelector", "")):
                if not isinstance(value, _Of) and not isinstance(value, Mapping):
                    yield f"{place}.{name}: the item {value!r} is no object"
                    break
                if isinstance(value, Mapping) and key not in value:
                    yield f"{place}.{name}: the item has no {key}"
                    break
                value = value[key] if isinstance(value, Mapping) else _Of("any")
            found[name] = value
        for name, how in declared.items():
            if name in found:
                yield from self._typed(f"{place}.{name}", name, how, found[name])
            elif name in task.get("inputs", {}).get("parameters", {}):
                continue  # reported above, or omitted, so that nothing inside has it
            elif name == task.get("parameterIterator", {}).get("itemInput"):
                continue
            elif not how.get("isOptional"):
                yield f"{place}: {name} is not optional and has no value"
            elif "dag" in component:
                found[name] = how.get("defaultValue", NULL)

    def _typed(self, place: str, name: str, how: Mapping[str, Any], value: Any) -> Iterator[str]:
        wanted = _KINDS[how["parameterType"]]
        if wanted != "string" and _kind(value) not in (wanted, "any"):
            yield f"{place}: type mismatch: expect {how['parameterType']}, got {_kind(value)}"
        if not isinstance(value, _Of):
            yield from _literals(name, how, value)

    def _output(self, output: Mapping[str, Any], tasks: Mapping[str, Any]) -> tuple[str, Any]:
        producer, key = output.get("producerTask", ""), output.get("outputParameterKey", "")
        if producer not in tasks:
            return f"producer task {producer} is not in this graph", None
        component = self._components[tasks[producer]["componentRef"]["name"]]
        definitions = component.get("outputDefinitions", {}).get("parameters", {})
        named = component.get("dag", {}).get("outputs", {}).get("parameters", {})
        if key not in definitions or ("dag" in component and key not in named):
            return f"{producer} has no output parameter {key}", None
        return "", _Of(_KINDS[definitions[key]["parameterType"]])

    def _artifact(
        self, place: str, source: Mapping[str, Any], tasks: Mapping[str, Any], handed: set[str]
    ) -> Iterator[str]:
        if key := source.get("componentInputArtifact"):
            if key not in handed:
                yield f"{place}: parent DAG does not have input artifact {key}"
            return
        output = source["taskOutputArtifact"]
        producer, key = output["producerTask"], output["outputArtifactKey"]
        component = self._components.get(
            tasks.get(producer, {}).get("componentRef", {}).get("name")
        )
        if component is None:
            yield f"{place}: producer task {producer} is not in this graph"
            return
        named = component.get("dag", {}).get("outputs", {}).get("artifacts", {})
        if key not in component.get("outputDefinitions", {}).get("artifacts", {}) or (
            "dag" in component and key not in named
        ):
            yield f"{place}: {producer} has no output artifact {key}"

    def _turns(
        self,
        place: str,
        task: Mapping[str, Any],
        component: Mapping[str, Any],
        found: dict[str, Any],
    ) -> Iterator[dict[str, Any] | str]:
        """The inputs of a nested graph, once for every item of a loop; or what is wrong."""
        iterator = task.get("parameterIterator")
        if iterator is None:
            yield found
            return
        items, item_input = iterator["items"], iterator["itemInput"]
        values = (
            json.loads(items["raw"])
            if "raw" in items
            else found.pop(items.get("inputParameter"), NULL)
        )
        if isinstance(values, str):
            values = json.loads(values)
        if isinstance(values, _Of):
            values = [_Of("any")]
        if not isinstance(values, list):
            yield f"{place}: {items} is not a list"
            return
        how = _parameters(component)[item_input]
        for item in values:
            yield from self._typed(f"{place}.{item_input}", item_input, how, item)
            yield found | {item_input: item}

    def _container(
        self, place: str, component: Mapping[str, Any], found: Mapping[str, Any]
    ) -> Iterator[str]:
        executor = self._executors.get(component.get("executorLabel"), {})
        if "container" not in executor:
            yield f"{place}: its executor is no container"
            return
        for word in [
            *executor["container"].get("command", []),
            *executor["container"].get("args", []),
        ]:
            for name in _PLACEHOLDER.findall(word if "IfPresent" not in word else ""):
                if found.get(name, NULL) is NULL:
                    yield f"{place}: the command names {name}, which has no value"


def problems_of_output(
    component: Mapping[str, Any], executor_input: Mapping[str, Any], output: str
) -> list[str]:
    """The problems for which the launcher would refuse a step's output.

    Args:
        component: Its component in the compiled pipeline.
        executor_input: What it was called with.
        output: The text of its executor_output.json; empty: it wrote none.
    """
    try:
        written = json.loads(output or "{}", parse_constant=_no_json)
    except ValueError as error:
        return [f"not JSON: {error}"]
    return list(_of_output(component.get("outputDefinitions", {}), executor_input, written))


def _no_json(constant: str) -> None:
    raise ValueError(constant)


def _of_output(
    declared: Mapping[str, Any], executor_input: Mapping[str, Any], written: Mapping[str, Any]
) -> Iterator[str]:
    if unknown := written.keys() - {"parameterValues", "artifacts", "taskFinalStatus"}:
        yield f"unknown fields {sorted(unknown)}"
    values = written.get("parameterValues", {})
    for name, how in declared.get("parameters", {}).items():
        if name not in values:
            yield f"output parameter {name} is missing"
        elif _kind(values[name]) != _KINDS[how["parameterType"]]:
            yield f"output parameter {name} is {values[name]!r}"
    assigned = executor_input.get("outputs", {}).get("artifacts", {})
    for name, artifacts in written.get("artifacts", {}).items():
        if name not in declared.get("artifacts", {}):
            yield f"artifact {name} is not declared"
            continue
        artifact = artifacts["artifacts"][0]
        if artifact.get("uri") != assigned[name]["artifacts"][0]["uri"]:
            yield f"the URI of {name} has changed"
        yield from _metadata(name, artifact.get("metadata", {}))


def _metadata(where: str, value: Any) -> Iterator[str]:
    if value is None:
        yield f"{where}: unknown/unsupported value type *structpb.Value_NullValue"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where} is {value}"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _metadata(f"{where}.{name}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _metadata(f"{where}[{number}]", inner)
