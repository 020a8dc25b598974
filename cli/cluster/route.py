"""The artifact route of Kubeflow's UI: /artifacts/SOURCE/BUCKET/KEY, for users without store keys.

The UI's server sends an object unchanged, and a folder as a .tar.gz. For a folder in SeaweedFS,
Kubeflow's own store, it sends an empty object, and it cannot list. So the files of our folders are
requested one by one, by their possible names.

The response is not trusted: the size of an archive is limited, and it cannot write outside its
folder.
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
# The files that may be in our folders, starting with the one that always exists.
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
    "Kubeflow's UI cannot send folders of its own store; set AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID"
    " and AWS_SECRET_ACCESS_KEY to fetch it from there"
)
# Larger archives are not ours: a model folder has a dozen files.
_MOST_FILES = 100_000
_MOST_BYTES = 256 << 30


class Route:
    """The artifact route of a cluster's UI.

    Args:
        cluster: The cluster.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @cached_property
    def is_there(self) -> bool:
        """Return True if the host is Kubeflow's UI; the API's server has no such route."""
        path = self._path("minio", "mlpipeline", "v2/nothing", peek="1")
        with self._cluster.download(path) as answer:
            said = bytes(answer.read(200)).lower()
        # "No objects found at …", or a message about another user's artifact.
        return answer.status != 200 and (b"object" in said or b"artifact" in said)

    def get(self, uri: str, target: Path) -> None:
        """Download a file, or a folder with all files, atomically.

        Raises:
            FileNotFoundError: If it does not exist or cannot be downloaded this way, with the
                reason.
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
    """Unpack a stream of a possibly hostile .tar.gz.

    It may only contain files, and none outside the folder.

    Raises:
        InputError: If it contains anything else, is too large, or ends too early.
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
                raise _refused(f"it contains {member.name[:100]!r}, not a file inside it", where)
            if files > most_files or size > most_bytes:
                raise _refused(
                    f"it contains more than {most_files:,} files or {most_bytes:,} bytes", where
                )
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("xb") as file:
                shutil.copyfileobj(content, file, _CHUNK)


def _refused(found: str, where: str) -> InputError:
    return InputError(
        f"the archive was refused: {found}",
        where=where,
        expected="an archive of a step's output from Kubeflow's UI",
        remedy="check --host; with access to the store no archive is needed",
    )


def _check(answer: Any, uri: str) -> None:
    """Raise the error for a status other than 200."""
    if answer.status == 200 and "text/html" not in answer.headers.get("Content-Type", ""):
        return
    said = clean(without_secrets(bytes(answer.read(300)).decode("utf-8", errors="replace")))
    if answer.status == 404:
        raise FileNotFoundError(f"{_NOT_THERE}: {uri}")
    if "NoSuchKey" in said:
        said = "it does not exist, or is a folder, which the UI sends since Kubeflow Pipelines 2.17"
    raise InputError(
        f"Kubeflow's UI does not send it: HTTP {answer.status}: {said[:200]}",
        where=uri,
        expected="a store that the UI can read",
        remedy="set the store's address and keys: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,"
        " AWS_SECRET_ACCESS_KEY",
    )


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Explain an interrupted download or an invalid archive in one sentence."""
    import urllib3

    try:
        yield
    except (urllib3.exceptions.HTTPError, tarfile.TarError, EOFError) as error:
        raise InputError(
            f"the download was interrupted ({type(error).__name__})",
            where=uri,
            expected="a complete file or archive",
            remedy="run the command again; complete files are not downloaded again",
        ) from None
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.errno is None:
            raise
        raise InputError(
            f"it cannot be written: {error.strerror or error}",
            where=uri,
            expected="enough space for the download, in a writable folder",
            remedy="free some space, or use another folder: -o FOLDER",
        ) from None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
