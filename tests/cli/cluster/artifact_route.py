"""The artifact route of Kubeflow's UI: frontend/server/handlers/artifacts.ts of 2.17, in Python.

An object is sent as it is, without a type; a prefix as a .tar.gz with a Content-Disposition. It
does not list: with `peek` it only says how many files a prefix has.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote


class ArtifactRoute:
    """The route over a bucket.

    Args:
        objects: Gives the objects below a prefix, by their keys.

    Attributes:
        namespace: The only one that it sends artifacts of, where there are several users.
        asked: What it was asked for: paths and queries.
        seaweed: Whether the store is SeaweedFS, which has folders: of one it gives an object of no
            bytes, where others say that there is none. So the UI sends that.
        archive: What it sends for a prefix instead of its archive, for hostile ones.
    """

    def __init__(self, objects: Callable[[str], dict[str, bytes]]) -> None:
        self._objects = objects
        self.namespace: str | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.seaweed = False
        self.archive: bytes | None = None

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append((path, query))
        plain = {"Content-Type": "text/html; charset=utf-8"}
        if self.namespace is not None:
            if "namespace" not in query:
                return 400, b"Namespace parameter is required when authentication is enabled", plain
            if query["namespace"] != self.namespace:
                said = b"Artifact does not belong to the requested namespace"
                return 403, said, plain
        _, _, source, bucket, key = map(unquote, path.split("/", 4))
        if source not in ("minio", "s3"):
            return 500, b"Unknown storage source", plain
        found = self._objects(key)
        if key in found:
            return 200, found[key], {"Content-Type": ""}
        below = {k.removeprefix(f"{key}/"): b for k, b in found.items() if k.startswith(f"{key}/")}
        if not below:
            return 404, f"No objects found at {bucket}/{key}".encode(), plain
        if self.seaweed:
            return 200, b"", {"Content-Type": ""}
        if "peek" in query:
            return 200, f'Directory artifact "x" \u2014 {len(below)} file(s).'.encode(), plain
        name = key.rpartition("/")[2]
        headers = {
            "Content-Type": "application/gzip",
            "Content-Disposition": f'attachment; filename="{name}.tar.gz"',
        }
        return 200, self.archive or packed(below), headers


def packed(files: dict[str, bytes], **fields: Any) -> bytes:
    """A .tar.gz.

    Args:
        files: Contents by name.
        **fields: Of every member, such as its type.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()
