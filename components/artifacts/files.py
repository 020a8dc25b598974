"""Write files atomically, so that a reader never sees a partial one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kfp_finetune.components.errors import InputError

Manifest = TypeVar("Manifest", bound=BaseModel)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically: it has its old content or all of the new content.

    This also holds after a power failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """Flush the content of a file, or the names in a folder, to the disk.

    Raises:
        OSError: If this fails, for example because the disk is full.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # not every file system can
            raise
    finally:
        os.close(descriptor)


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
