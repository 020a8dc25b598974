"""Resources per step: image, CPUs, memory, GPUs, secrets by name, volumes, retries.

They come from a YAML file (`--platform`) and from options. They are compiled into the pipeline, not
passed as parameters, because parameters are part of every cache key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from kfp_finetune.cli.cluster.secrecy import looks_secret
from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines.checks import check_templates
from kfp_finetune.pipelines.settings import read

HUB_CACHE = "/mnt/hub-cache"
CHECKPOINTS = "/mnt/checkpoints"
_DOWNLOADING = ("load_data", "finetune")
_IMAGE = re.compile(r"[\w][\w.:/@-]*", re.ASCII)
_FLAG_SECRET = re.compile(r"([\w.-]+)/([\w.-]+)=(\w+)", re.ASCII)
_YEAR = 365 * 24 * 3600

# The formats that kfp's setters accept.
Cpu = Annotated[str, Field(pattern=r"^([0-9]*[.])?[0-9]+m?$")]
Memory = Annotated[str, Field(pattern=r"^[0-9]+(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?$")]


def _checked_image(image: str) -> str:
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"'{image}' is not an image reference")
    return image


Image = Annotated[str, AfterValidator(_checked_image)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class Toleration(_Settings):
    """A taint that a step's pod tolerates."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None


class Step(_Settings):
    """Resources of one step, or of all steps."""

    cpu_request: Cpu | None = None
    cpu_limit: Cpu | None = None
    memory_request: Memory | None = None
    memory_limit: Memory | None = None
    accelerator: str | None = Field(default=None, description="a resource, such as nvidia.com/gpu")
    accelerator_count: int = Field(default=1, ge=1)
    node_selector: dict[str, str] = {}
    tolerations: list[Toleration] = []
    shm_size: Memory | None = Field(default=None, description="of /dev/shm, for several GPUs")
    retries: int | None = Field(default=None, ge=0)
    retry_wait_seconds: int = Field(
        default=60, ge=0, description="before the first; then twice as long"
    )
    retry_for_seconds: int = Field(
        default=_YEAR,
        ge=1,
        description="since the step first started: after that nothing is retried, and Argo ends"
        " what a retry has started",
    )
    timeout_seconds: int | None = Field(default=None, ge=1)
    cache: bool = True


class Secret(_Settings):
    """A Kubernetes secret's keys as environment variables of every step."""

    name: str
    env: dict[str, str] = Field(description="environment variables to the secret's keys")
    optional: bool = False


class TensorBoardPod(_Settings):
    """The pod in which Kubeflow's UI shows TensorBoard; it reads the logs from the store."""

    image: Image | None = Field(
        default=None, description="one with tensorboard that can read the store"
    )
    env: dict[str, str] = {}
    secrets: list[Secret] = []


class Platform(_Settings):
    """Settings of the cluster for a pipeline.

    Attributes:
        image: Image of every step; None for the one that the components declare.
        defaults: Resources of every step.
        steps: Additional resources of single steps, by name.
        env: Environment variables of every step, such as AWS_ENDPOINT_URL; no secrets.
        secrets: Environment variables from Kubernetes secrets.
        hub_cache_pvc: Volume for downloads from the Hub.
        checkpoints_pvc: Volume for `checkpoint_dir`, mounted at `CHECKPOINTS`.
        volumes: Other volumes, as claims by path in the container.
        image_pull_secrets: Names of secrets.
        ttl_seconds: Seconds to keep the finished workflow and its pods; artifacts and logs are kept
            anyway.
        parallelism: Number of candidates to train at the same time; None for all of them.
        tensorboard: The UI's TensorBoard; None if the UI has no viewer and shows a command instead.
    """

    image: Image | None = None
    defaults: Step = Step()
    steps: dict[str, Step] = {}
    env: dict[str, str] = {}
    secrets: list[Secret] = []
    hub_cache_pvc: str | None = None
    checkpoints_pvc: str | None = None
    volumes: dict[str, str] = {}
    image_pull_secrets: list[str] = []
    ttl_seconds: int | None = Field(default=None, ge=1)
    parallelism: int | None = Field(default=None, ge=1)
    tensorboard: TensorBoardPod | None = None

    def of(self, step: str) -> Step:
        """Return a step's settings; its own override the defaults."""
        own = self.steps.get(step, Step())
        given = own.model_dump(include=own.model_fields_set)
        return Step(**self.defaults.model_dump() | given)

    def mounts(self, step: str) -> dict[str, str]:
        """A step's volumes, as claims by path in the container."""
        mounts = dict(self.volumes)
        if self.hub_cache_pvc and step in _DOWNLOADING:
            mounts[HUB_CACHE] = self.hub_cache_pvc
        if self.checkpoints_pvc and step == "finetune":
            mounts[CHECKPOINTS] = self.checkpoints_pvc
        return mounts


def load(
    file: Path | None,
    steps: Sequence[str],
    *,
    image: str | None = None,
    cpu: str | None = None,
    memory: str | None = None,
    gpus: int | None = None,
    secrets: Sequence[str] = (),
) -> Platform:
    """Read a platform file, which flags override.

    Args:
        file: YAML with the attributes of `Platform`, or None.
        steps: The pipeline's steps.
        image: `--image`.
        cpu: `--cpu`, the request and limit of finetune.
        memory: `--memory`, the request and limit of finetune.
        gpus: `--gpus` of finetune.
        secrets: `--secret NAME/KEY=VARIABLE`.

    Raises:
        InputError: Listing every problem.
    """
    values = read(file, "--platform") if file is not None else {}
    where = str(file) if file is not None else "the command line"
    if image is not None:
        values["image"] = image
    of_flags = {
        "cpu_request": cpu, "cpu_limit": cpu, "memory_request": memory, "memory_limit": memory
    }  # fmt: skip
    if gpus:
        of_flags |= {"accelerator": "nvidia.com/gpu", "accelerator_count": str(gpus)}
    of_flags = {name: value for name, value in of_flags.items() if value is not None}
    if of_flags and isinstance(values.setdefault("steps", {}), dict):
        own = values["steps"].get("finetune")
        values["steps"]["finetune"] = (own if isinstance(own, dict) else {}) | of_flags
    if secrets:
        values["secrets"] = [*(values.get("secrets") or []), *map(_secret, secrets)]
    try:
        platform = Platform.model_validate(values)
    except ValidationError as error:
        raise _explained(error, where) from None
    _check(platform, steps, where)
    return platform


def _secret(flag: str) -> dict[str, Any]:
    found = _FLAG_SECRET.fullmatch(flag)
    if found is None:
        raise InputError(
            f"--secret is '{flag}'" if "=" not in flag else "--secret cannot be read",
            where="--secret",
            expected="NAME/KEY=VARIABLE: a Kubernetes secret's name, its key, a variable's name",
            remedy="for example --secret hub/token=HF_TOKEN; never the secret itself",
        )
    name, key, variable = found.groups()
    return {"name": name, "env": {variable: key}}


def _explained(error: ValidationError, where: str) -> InputError:
    problems = []
    for problem in error.errors(include_url=False):
        place = ".".join(map(str, problem["loc"]))
        found = f"{place}: {problem['msg']}"
        if problem["type"] == "value_error":
            found = str(problem["ctx"]["error"])
        elif problem["type"] == "string_pattern_mismatch":
            found = f"{place} is '{problem['input']}'"
        problems.append(
            InputError(
                found,
                where=where,
                expected=_expected(problem["loc"]),
                remedy="correct the file; docs/cluster.md has an example",
            )
        )
    return InputError.of_all(problems)


def _expected(place: tuple[int | str, ...]) -> str:
    known: Mapping[str, Any] = Platform.model_fields
    if len(place) > {"steps": 2, "defaults": 1}.get(str(place[0]), len(place)):
        known = Step.model_fields
    if place[-1] in known:
        return "a value such as " + _EXAMPLES.get(str(place[-1]), "the example's")
    return "one of " + ", ".join(known)


_EXAMPLES = {
    "image": "registry.example.com/kfp-finetune:0.2.0",
    "cpu_request": "4 or 500m", "cpu_limit": "4 or 500m",
    "memory_request": "8Gi", "memory_limit": "8Gi", "shm_size": "2Gi",
}  # fmt: skip


def _check(platform: Platform, steps: Sequence[str], where: str) -> None:
    problems = [
        InputError(
            f"there is no step {name}",
            where=f"{where}, steps",
            expected="one of " + ", ".join(steps),
        )
        for name in platform.steps
        if name not in steps
    ]
    named = platform.env | (platform.tensorboard.env if platform.tensorboard else {})
    problems += [
        InputError(
            f"env sets {name}, which looks like a secret: the compiled pipeline would show it",
            where=f"{where}, env",
            expected="a secret's name under secrets",
            remedy=f"put it into a Kubernetes secret and add --secret NAME/KEY={name}",
        )
        for name, value in named.items()
        if looks_secret(name, value)
    ]
    check_templates(named, f"{where}, env")
    problems += [
        InputError(f"volumes: {path} is not an absolute path", where=f"{where}, volumes")
        for path in platform.volumes
        if not path.startswith("/")
    ]
    if problems:
        raise InputError.of_all(problems)
