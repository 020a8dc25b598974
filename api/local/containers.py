"""Runs steps in Docker containers: what they see of this machine, and how they end.

A step sees the run's folder and what its parameters name, at the same paths as here: data and model
read-only, the folders that it writes to with the caller's rights. It has a root that cannot be
written, no privileges, and the network only if a parameter names something elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.image import IMAGE
from kfp_finetune.components.numerics import numeric_variables
from kfp_finetune.components.runtime import available_cpus
from kfp_finetune.components.storage.uris import VARIABLE
from kfp_finetune.local.processes import GRACE_SECONDS
from kfp_finetune.pipelines import paths

if TYPE_CHECKING:
    import docker

_RUN = "kfp-finetune.run"  # the label that says whose container it is
_VERSION = "org.opencontainers.image.version"
_WRITTEN = ("checkpoint_dir", "tensorboard_dir")
_PATTERN = re.compile(r"[*?\[]")
# How the Hub and stores are reached, with which rights.
_ACCESS = re.compile(
    r"(HF|AWS|GOOGLE|STORAGE|GCS)_\w+|NO_GCE_CHECK|SSL_CERT_FILE|(REQUESTS|CURL)_CA_BUNDLE"
    r"|(https?|no|all)_proxy",
    re.IGNORECASE,
)
# Where the same is found without a variable.
_ACCESS_FILES = {
    "HF_HOME": "~/.cache/huggingface",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
    "GOOGLE_APPLICATION_CREDENTIALS": "~/.config/gcloud/application_default_credentials.json",
}


@dataclass(frozen=True)
class Image:
    """An image that is here.

    Attributes:
        reference: As it was asked for.
        id: Of its content.
    """

    reference: str
    id: str


def find_image(reference: str | None) -> Image:
    """Find an image of this version.

    Args:
        reference: Its name; None: the one that `make image` builds.

    Raises:
        InputError: If Docker cannot be reached, or the image is not here or of another version.
    """
    import docker

    reference = reference or IMAGE
    try:
        with contextlib.closing(docker.from_env()) as client:
            image = client.images.get(reference)
    except docker.errors.ImageNotFound:
        raise InputError(
            f"there is no image {reference}",
            where="--image" if reference != IMAGE else "--runner docker",
            expected="an image on this machine",
            remedy="make image builds it; docker pull fetches one from a registry",
        ) from None
    except docker.errors.DockerException as error:
        raise InputError(
            "Docker cannot be reached: " + " ".join(str(error).split()),
            where="--runner docker",
            expected="a daemon that is running and that this user may use",
            remedy="start it, or run without --runner docker",
        ) from None
    made_for, own = image.labels.get(_VERSION), version("kfp-finetune")
    if made_for != own:
        raise InputError(
            f"the image is of version {made_for or 'none that it names'}, this command of {own}",
            where=reference,
            expected="the same version: the steps' code is in the image",
            remedy="make image builds it anew",
        )
    return Image(reference, image.id)


def remove_left(run: Path) -> None:
    """Remove containers of a run whose command is gone; there are some only after a SIGKILL."""
    import docker

    with contextlib.closing(docker.from_env()) as client:
        for container in client.containers.list(all=True, filters={"label": f"{_RUN}={run}"}):
            with contextlib.suppress(docker.errors.APIError):  # it is going already
                container.remove(force=True)


class Containers:
    """Where a run's steps run, in place of KFP's own containers.

    KFP's take an end that they do not see for success (kubeflow/pipelines#13332), and do not end
    with the command.

    Args:
        image: The image's id.
        run: The run's folder.
        parameters: The run's.
        temporary: A folder of this machine that is the steps' temporary folder.
        told_to_end: Set when steps are to end.
    """

    def __init__(
        self,
        image: str,
        run: Path,
        parameters: Mapping[str, Any],
        temporary: Path,
        told_to_end: threading.Event,
    ) -> None:
        self._image = image
        self._run = run
        self._parameters = parameters
        self._temporary = temporary
        self._told_to_end = told_to_end

    def run(self, client: docker.DockerClient, image: str, command: list[str], **given: Any) -> int:
        """Run one step, as `kfp.local.docker_task_handler.run_docker_container` is called.

        Returns:
            Its exit code.
        """
        environment = self._environment() | given.get("environment", {})
        container = client.containers.create(
            self._image, command, environment=environment, **self._arguments()
        )
        ended = threading.Event()
        threading.Thread(target=self._end_if_told, args=[container, ended], daemon=True).start()
        try:
            if self._told_to_end.is_set():
                return 1
            container.start()
            for line in _lines(container.logs(stream=True, follow=True)):
                print(line, end="", flush=True)
            result = container.wait()
            container.reload()
            if container.attrs["State"].get("OOMKilled"):
                print("the container was killed: it had no memory left", flush=True)
            return int(result["StatusCode"])
        finally:
            ended.set()
            container.remove(force=True)

    def _end_if_told(self, container: Any, ended: threading.Event) -> None:
        """Tell the step to end, so that it can save, and after a while do not ask any more."""
        while not self._told_to_end.wait(0.2):
            if ended.is_set():
                return
        with contextlib.suppress(Exception):  # it has ended by itself
            # To all processes: the first is a shell, which would not pass it on.
            container.exec_run(["sh", "-c", "kill -TERM -1"])
            if not ended.wait(GRACE_SECONDS - 5):
                container.kill()

    def _arguments(self) -> dict[str, Any]:
        import docker

        mounts = {self._run: True, self._temporary: True} | self._mounts()
        arguments: dict[str, Any] = {
            "labels": {_RUN: str(self._run)},
            "user": f"{os.getuid()}:{os.getgid()}",
            "group_add": [str(group) for group in os.getgroups()],
            "read_only": True,
            "cap_drop": ["ALL"],
            # Not relabelled for SELinux: data and runs stay what they are for everybody else.
            "security_opt": ["no-new-privileges", "label=disable"],
            # Of the machine's own, so that an address such as localhost means the same.
            "network_mode": "host" if self._needs_network() else "none",
            "tmpfs": {"/tmp": ""},  # noqa: S108
            "mounts": [
                docker.types.Mount(str(path), str(path), type="bind", read_only=not written)
                for path, written in sorted(mounts.items())
            ],
        }
        affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
        if affinity:
            arguments["cpuset_cpus"] = ",".join(map(str, sorted(affinity(0))))
            if available_cpus() < len(affinity(0)):  # this is in a container itself
                arguments["nano_cpus"] = available_cpus() * 10**9
        if Path("/proc/driver/nvidia/version").exists():
            request = docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])
            arguments["device_requests"] = [request]
        return arguments

    def _needs_network(self) -> bool:
        values = [self._parameters.get(name) for name in paths.PATH_PARAMETERS]
        return any(value and paths.on_this_disk(str(value)) is None for value in values)

    def _mounts(self) -> dict[Path, bool]:
        """What the steps need of this disk, and whether they write to it."""
        mounts: dict[Path, bool] = {}
        for name in paths.PATH_PARAMETERS:
            path = paths.on_this_disk(str(self._parameters.get(name) or ""))
            if path is None or Path(path).is_relative_to(self._run):
                continue
            if name in _WRITTEN:
                Path(path).mkdir(parents=True, exist_ok=True)
                mounts[Path(path)] = True
            else:
                mounts |= dict.fromkeys(_read(Path(path)), False)
        for name, value in self._environment().items():
            file = Path(value)
            if name.endswith(("_FILE", "_BUNDLE", "_CREDENTIALS")) and file.is_file():
                mounts |= dict.fromkeys(_read(file), False)
            if name == "HF_HOME":  # what has been downloaded, and will be
                mounts[file] = True
        return mounts

    def _environment(self) -> dict[str, str]:
        found = {n: v for n, v in numeric_variables().items() if n != "LD_PRELOAD"}
        if self._needs_network():
            found |= {n: v for n, v in os.environ.items() if _ACCESS.fullmatch(n)}
            if VARIABLE in os.environ:
                found[VARIABLE] = os.environ[VARIABLE]
            for name, place in _ACCESS_FILES.items():
                path = Path(found.get(name, place)).expanduser().absolute()
                if path.exists():
                    found[name] = str(path)
        return found | {"TMPDIR": str(self._temporary)}


def _read(path: Path) -> Iterator[Path]:
    """What has to be there for a file, a folder or a pattern to be read, links followed."""
    if _PATTERN.search(str(path)) and not path.exists():
        parts = path.parts
        fixed = next(i for i, part in enumerate(parts) if _PATTERN.search(part))
        path = Path(*parts[:fixed])
    if not path.exists():
        return
    yield path
    for link in (p for p in path.rglob("*") if p.is_symlink()):
        target = link.resolve()
        if target.exists() and not target.is_relative_to(path):
            yield target


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Whole lines from however they come."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", errors="replace") + "\n"
    if rest:
        yield rest.decode("utf-8", errors="replace") + "\n"
