"""Manifests: the JSON files that describe an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage.files import write_text

Manifest = TypeVar("Manifest", bound=BaseModel)


def write_manifest(path: Path, manifest: BaseModel) -> None:
    """Write a manifest as indented JSON, atomically."""
    write_text(path, manifest.model_dump_json(indent=2) + "\n")


def read_manifest(path: Path, kind: type[Manifest]) -> Manifest:
    """Read and validate a manifest.

    Raises:
        InputError: If the file does not exist or is not a valid manifest of this kind.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"there is no {path.name}",
            where=str(path.parent),
            expected=f"a folder with a {kind.__name__} in {path.name}",
            remedy="give a folder that kfp-finetune wrote",
        ) from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()
        )
        raise InputError(
            f"not a valid {kind.__name__}: {problems}",
            where=str(path),
            expected="a file written by this version of kfp-finetune",
            remedy="run the step that writes it again",
        ) from None
