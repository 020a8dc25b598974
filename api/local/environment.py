"""The machine and software on which a run's numbers depend."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_finetune.components.numerics import numeric_variables
from kfp_finetune.components.runtime import available_cpus

if TYPE_CHECKING:
    from kfp_finetune.local.containers import Image

_PACKAGES = (
    "datasets",
    "keras",
    "kfp",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "tensorflow",
    "tokenizers",
    "transformers",
)


def describe(image: Image | None, precision: str) -> dict[str, Any]:
    """The description of the environment in run.json.

    Args:
        image: The image in which the steps run; None if they run in this environment.
        precision: The precision of the run's matrix products.
    """
    common = {
        "runner": "docker" if image else "subprocess",
        "precision": precision,
        "threads": available_cpus(),
        "platform": f"{platform.system()} {platform.machine()}",
        "kfp-finetune": _version("kfp-finetune"),
        "variables": numeric_variables(),
    }
    if image:  # the model's manifest lists its packages
        return common | {"image": image.reference, "image_id": image.id, "kfp": _version("kfp")}
    return common | {"python": platform.python_version(), **_packages()}


def cache_name(image: Image | None, precision: str) -> str:
    """The name of the cache folder for runs that compute the same numbers as this one.

    Args:
        image: The image in which the steps run; None if they run in this environment.
        precision: The precision of the run's matrix products.
    """
    facts = {
        "image": image.id if image else None,
        "precision": precision,
        "threads": available_cpus(),
        "python": platform.python_version(),
        "packages": _packages(),
        "sources": _sources(),
        "processor": _processor(),
        "variables": numeric_variables(),
        "workers": os.environ.get("TF_CONFIG"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def has_gpus() -> bool:
    """Return True if this machine has NVIDIA GPUs."""
    return Path("/proc/driver/nvidia/version").exists()


def _packages() -> dict[str, str]:
    return {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _sources() -> str:
    """A hash of the installed code of the steps."""
    from kfp_finetune import components, local, pipelines, runs

    digest = hashlib.sha256()
    for package in (components, local, pipelines, runs):
        folder = Path(str(package.__file__)).parent
        for file in sorted(f for pattern in ("*.py", "*.jinja") for f in folder.rglob(pattern)):
            digest.update(f"{folder.name}/{file.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _processor() -> list[str]:
    """The properties of the machine by which numeric libraries choose kernels."""
    facts = [platform.machine(), platform.system()]
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                facts.append(" ".join(sorted(value.split())))
                break
    with contextlib.suppress(OSError):
        facts.append(Path("/proc/driver/nvidia/version").read_text())
    # Training uses all visible GPUs; CUDA_VISIBLE_DEVICES is recorded too.
    facts += sorted(gpu.name for gpu in Path("/proc/driver/nvidia/gpus").glob("*"))
    return facts
