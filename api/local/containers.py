"""Run steps in Docker containers with restricted access to this machine.

A step has access to the run's folder and to the paths in its parameters, at the same paths as
outside: data and model read-only, output folders with the caller's permissions. Its root is
read-only, it has no privileges, and it has network access only if a parameter is a remote location.
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

_RUN = "kfp-finetune.run"  # the label with the run of a container
_VERSION = "org.opencontainers.image.version"
_WRITTEN = ("checkpoint_dir", "tensorboard_dir")
_PATTERN = re.compile(r"[*?\[]")
# Credentials and settings for the Hub and object stores.
_ACCESS = re.compile(
    r"(HF|AWS|GOOGLE|STORAGE|GCS)_\w+|NO_GCE_CHECK|SSL_CERT_FILE|(REQUESTS|CURL)_CA_BUNDLE"
    r"|(https?|no|all)_proxy",
    re.IGNORECASE,
)
# Their locations if no variable is set.
_ACCESS_FILES = {
    "HF_HOME": "~/.cache/huggingface",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
    "GOOGLE_APPLICATION_CREDENTIALS": "~/.config/gcloud/application_default_credentials.json",
}


@dataclass(frozen=True)
class Image:
    """A local image.

    Attributes:
        reference: The reference that was given.
        id: The id of its content.
    """

    reference: str
    id: str


def find_image(reference: str | None) -> Image:
    """Find an image of this version.

    Args:
        reference: The image's name; None for the one that `make image` builds.

    Raises:
        InputError: If Docker cannot be reached, or the image is missing or of another version.
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
            expected="a running daemon that this user may use",
            remedy="start it, or run without --runner docker",
        ) from None
    made_for, own = image.labels.get(_VERSION), version("kfp-finetune")
    if made_for != own:
        raise InputError(
            f"the image has version {made_for or 'unknown'}, but this command has {own}",
            where=reference,
            expected="the same version, because the image contains the code of the steps",
            remedy="rebuild it: make image",
        )
    return Image(reference, image.id)


def remove_left(run: Path) -> None:
    """Remove the containers of a run whose command was killed with SIGKILL."""
    import docker

    with contextlib.closing(docker.from_env()) as client:
        for container in client.containers.list(all=True, filters={"label": f"{_RUN}={run}"}):
            with contextlib.suppress(docker.errors.APIError):  # it is already being removed
                container.remove(force=True)


class Containers:
    """The containers of a run's steps, which replace KFP's.

    KFP mistakes an unobserved exit for success (kubeflow/pipelines#13332), and its containers
    outlive the command.

    Args:
        image: The image's id.
        run: The run's folder.
        parameters: The run's parameters.
        temporary: A folder of this machine, which becomes the steps' temporary folder.
        stop_requested: Set when the steps should end.
    """

    def __init__(
        self,
        image: str,
        run: Path,
        parameters: Mapping[str, Any],
        temporary: Path,
        stop_requested: threading.Event,
    ) -> None:
        self._image = image
        self._run = run
        self._parameters = parameters
        self._temporary = temporary
        self._stop_requested = stop_requested

    def run(self, client: docker.DockerClient, image: str, command: list[str], **given: Any) -> int:
        """Run one step, with the signature of `kfp.local.docker_task_handler.run_docker_container`.

        Returns:
            The exit code.
        """
        environment = self._environment() | given.get("environment", {})
        container = client.containers.create(
            self._image, command, environment=environment, **self._arguments()
        )
        ended = threading.Event()
        threading.Thread(
            target=self._end_if_requested, args=[container, ended], daemon=True
        ).start()
        try:
            if self._stop_requested.is_set():
                return 1
            container.start()
            for line in _lines(container.logs(stream=True, follow=True)):
                print(line, end="", flush=True)
            result = container.wait()
            container.reload()
            if container.attrs["State"].get("OOMKilled"):
                print("the container was killed: out of memory", flush=True)
            return int(result["StatusCode"])
        finally:
            ended.set()
            container.remove(force=True)

    def _end_if_requested(self, container: Any, ended: threading.Event) -> None:
        """Send the step SIGTERM, so that it can save, and kill it after a while."""
        while not self._stop_requested.wait(0.2):
            if ended.is_set():
                return
        with contextlib.suppress(Exception):  # it has already ended
            # To all processes, because the first is a shell, which would not forward it.
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
            # No relabelling for SELinux, which would change data and runs for everybody else.
            "security_opt": ["no-new-privileges", "label=disable"],
            # The host's network, so that addresses such as localhost keep their meaning.
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
            if available_cpus() < len(affinity(0)):  # this command itself runs in a container
                arguments["nano_cpus"] = available_cpus() * 10**9
        if Path("/proc/driver/nvidia/version").exists():
            request = docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])
            arguments["device_requests"] = [request]
        return arguments

    def _needs_network(self) -> bool:
        values = [self._parameters.get(name) for name in paths.PATH_PARAMETERS]
        return any(value and paths.on_this_disk(str(value)) is None for value in values)

    def _mounts(self) -> dict[Path, bool]:
        """The paths that the steps need, with True for those that they write to."""
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
            if name == "HF_HOME":  # downloaded files
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
    """The paths needed to read a file, a folder or a pattern, including the targets of links."""
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
    """Join pieces of output to whole lines."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", errors="replace") + "\n"
    if rest:
        yield rest.decode("utf-8", errors="replace") + "\n"
