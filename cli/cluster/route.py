"""The artifact route of Kubeflow's UI: /artifacts/SOURCE/BUCKET/KEY, for those without store keys.

The UI's server sends an object as it is, and a folder as a .tar.gz; but of SeaweedFS, Kubeflow's
own store, it sends an empty object for a folder, and it does not list. So the files of our own
folders are then asked for one by one, by the names that they may have.

What comes is not trusted: an archive is bounded, and never writes outside its folder.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote, urlencode

from kfp_finetune.cli.cluster.client import Cluster
from kfp_finetune.components.errors import InputError
from kfp_finetune.components.model_folder.tokenizer_files import TOKENIZER_FILES
from kfp_finetune.components.storage.uris import without_secrets
from kfp_finetune.progress.lines import clean

_SOURCES = {"minio": "minio", "s3": "s3"}
_CHUNK = 1 << 20
# The files that may be in our folders, that which always is first.
_FILES = {
    "optimizer_config": ("optimizer.json",),
    "model": (
        "manifest.json",
        "config.json",
        "model.safetensors",
        "training_log.jsonl",
        *TOKENIZER_FILES,
    ),
}
_NOT_THERE = "it no longer exists"
_FOLDER = (
    "Kubeflow's UI sends no folders of its own store; set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY to fetch it from there"
)
# An archive with more is none of ours: a model folder has a dozen files.
_MOST_FILES = 100_000
_MOST_BYTES = 256 << 30


class Route:
    """The artifact route of a cluster's UI.

    Args:
        cluster: Whose.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @cached_property
    def is_there(self) -> bool:
        """Whether the host is Kubeflow's UI: the API's server has no such route."""
        path = self._path("minio", "mlpipeline", "v2/nothing", peek="1")
        with self._cluster.download(path) as answer:
            said = bytes(answer.read(200)).lower()
        # "No objects found at …", or whose artifact it is not.
        return answer.status != 200 and (b"object" in said or b"artifact" in said)

    def get(self, uri: str, target: Path) -> None:
        """Download what is at a URI: a file, or a folder with all files: whole, or not at all.

        Raises:
            FileNotFoundError: If there is nothing, or it cannot be had this way; it says which.
            InputError: If the download fails.
        """
        scheme, _, place = uri.partition("?")[0].partition("://")
        bucket, _, key = place.partition("/")
        if scheme not in _SOURCES:
            raise InputError(
                f"Kubeflow's UI cannot send files of {scheme}:// unchanged",
                where=uri,
                expected="access to the store itself",
                remedy="set the store's credentials, such as GOOGLE_APPLICATION_CREDENTIALS",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        _remove(partial)
        try:
            self._download(self._path(_SOURCES[scheme], bucket, key), partial, uri)
            if partial.is_file() and partial.stat().st_size == 0:  # a folder, in SeaweedFS
                partial.unlink()
                self._download_each(_SOURCES[scheme], bucket, key, partial)
            _remove(target)
            partial.replace(target)
        finally:
            _remove(partial)

    def _download(self, path: str, target: Path, uri: str) -> None:
        with _explained(uri), self._cluster.download(path) as answer:
            _check(answer, uri)
            if "attachment" in answer.headers.get("Content-Disposition", ""):
                unpack(answer, target, uri)
            else:
                with target.open("wb") as file:
                    shutil.copyfileobj(answer, file, _CHUNK)

    def _download_each(self, source: str, bucket: str, key: str, folder: Path) -> None:
        """Download the files of one of our folders."""
        names = _FILES.get(key.rpartition("/")[2], ())
        if not names:
            raise FileNotFoundError(_FOLDER)
        folder.mkdir()
        for name in names:
            path = self._path(source, bucket, f"{key}/{name}")
            try:
                self._download(path, folder / name, f"{key}/{name}")
            except FileNotFoundError:
                if name == names[0]:
                    raise

    def _path(self, source: str, bucket: str, key: str, **query: str) -> str:
        if self._cluster.namespace:
            query["namespace"] = self._cluster.namespace
        asked = f"?{urlencode(query)}" if query else ""
        return f"/artifacts/{source}/{quote(bucket)}/{quote(key)}{asked}"


def unpack(
    archive: IO[bytes],
    folder: Path,
    where: str,
    most_files: int = _MOST_FILES,
    most_bytes: int = _MOST_BYTES,
) -> None:
    """Unpack a .tar.gz as it comes, which may be hostile.

    Only files are taken, none outside the folder: what else is in it is refused.

    Raises:
        InputError: If it holds anything else, or more than it may, or breaks off.
    """
    folder.mkdir(parents=True)
    files, size = 0, 0
    with tarfile.open(fileobj=archive, mode="r|gz") as opened:
        for member in opened:
            if member.isdir():
                continue
            path = PurePosixPath(member.name)
            files, size = files + 1, size + member.size
            inside = not path.is_absolute() and ".." not in path.parts and path.name
            content = opened.extractfile(member) if member.isreg() and inside else None
            if content is None or "\0" in member.name:
                raise _refused(f"it holds {member.name[:100]!r}, which is no file in it", where)
            if files > most_files or size > most_bytes:
                raise _refused(
                    f"it holds more than {most_files:,} files or {most_bytes:,} bytes", where
                )
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("xb") as file:
                shutil.copyfileobj(content, file, _CHUNK)


def _refused(found: str, where: str) -> InputError:
    return InputError(
        f"the archive is refused: {found}",
        where=where,
        expected="an archive of a step's output, as Kubeflow's UI makes it",
        remedy="check --host; with access to the store no archive is needed",
    )


def _check(answer: Any, uri: str) -> None:
    """Raise what an answer other than 200 means."""
    if answer.status == 200 and "text/html" not in answer.headers.get("Content-Type", ""):
        return
    said = clean(without_secrets(bytes(answer.read(300)).decode("utf-8", errors="replace")))
    if answer.status == 404:
        raise FileNotFoundError(f"{_NOT_THERE}: {uri}")
    if "NoSuchKey" in said:
        said = "it is not there, or a folder, which the UI sends from Kubeflow Pipelines 2.17 on"
    raise InputError(
        f"Kubeflow's UI does not send it: HTTP {answer.status}: {said[:200]}",
        where=uri,
        expected="a store that the UI can read",
        remedy="set the store's address and keys: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,"
        " AWS_SECRET_ACCESS_KEY",
    )


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what breaks off or is no archive into one sentence."""
    import urllib3

    try:
        yield
    except (urllib3.exceptions.HTTPError, tarfile.TarError, EOFError) as error:
        raise InputError(
            f"the download broke off ({type(error).__name__})",
            where=uri,
            expected="a whole file or archive",
            remedy="run the command again; what is whole is not downloaded again",
        ) from None
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.errno is None:
            raise
        raise InputError(
            f"it cannot be written: {error.strerror or error}",
            where=uri,
            expected="room for the download, in a folder that can be written",
            remedy="make room, or give another folder with -o",
        ) from None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
