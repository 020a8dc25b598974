"""The URI schemes, with one entry each for reading, identifying and writing files.

If fsspec has a filesystem for it, a new scheme is one entry in `SCHEMES`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from kfp_finetune.components.storage import hub_client
from kfp_finetune.components.storage.uris import without_secrets

_STRONG_ETAG = re.compile(r'"[^"]+"')  # a weak ETag, W/"...", can refer to several contents
_PRECONDITION_FAILED = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True)
class Scheme:
    """A URI scheme.

    Attributes:
        extra: The extra of kfp-finetune that installs the filesystem; "" if none is needed.
        options: Returns the filesystem's options.
        tag: Returns an identifier of a file's content, given the filesystem's information on the
            file and its URI; "" if there is none.
        credentials: The remedy if access is denied.
        write_if: Writes an object on a condition; None if the store does not support this. The
            arguments are the filesystem, the path, the content, and the tag that the object must
            still have (None if it must not exist). Returns True if the condition held.
    """

    extra: str = "train"
    options: Callable[[], dict[str, Any]] = dict
    tag: Callable[[Mapping[str, Any], str], str] = lambda info, uri: ""
    credentials: str = "check the address, and whether its signature has expired"
    write_if: Callable[[Any, str, bytes, str | None], bool] | None = None


def scheme_of(uri: str) -> str:
    """The scheme of a URI, in lower case."""
    return uri.partition("://")[0].lower()


def open_filesystem(scheme: str) -> Any:
    """The fsspec filesystem of a scheme, with time limits for interactive use.

    Raises:
        ImportError: If its package is not installed.
    """
    import fsspec

    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints tracebacks when it retries
    return fsspec.filesystem(scheme, skip_instance_cache=True, **SCHEMES[scheme].options())


def _web_options() -> dict[str, Any]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    return {"client_kwargs": {"trust_env": True, "timeout": timeout}}


def _web_tag(info: Mapping[str, Any], uri: str) -> str:
    """The address that responded and its ETag, if that is a strong one.

    An ETag belongs to one address. It is ignored after a redirect to an address with a query, which
    is usually a signature that changes every time.
    """
    parts = urlsplit(info["url"])
    etag = info.get("ETag", "")
    if not _STRONG_ETAG.fullmatch(etag) or parts.query not in ("", urlsplit(uri).query):
        return ""
    return f"{without_secrets(info['url'])} {etag}"


def _s3_options() -> dict[str, Any]:
    return {
        "config_kwargs": {"connect_timeout": 15, "retries": {"max_attempts": 3}},
        "use_listings_cache": False,  # a partial listing of a folder would hide the rest
    }


def _s3_tag(info: Mapping[str, Any], uri: str) -> str:
    return f"{info['ETag']} {info['size']}" if info.get("ETag") else ""


def _s3_write_if(files: Any, path: str, content: bytes, tag: str | None) -> bool:
    bucket, key, _ = files.split_path(path)
    condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag.partition(" ")[0]}
    try:
        files.call_s3("put_object", Bucket=bucket, Key=key, Body=content, **condition)
    except OSError as error:
        answer = getattr(error.__cause__, "response", {})
        if answer.get("Error", {}).get("Code") in _PRECONDITION_FAILED:
            return False
        if tag is not None and isinstance(error, FileNotFoundError):
            return False
        raise
    return True


def _gs_tag(info: Mapping[str, Any], uri: str) -> str:
    if info.get("md5Hash"):  # composite objects have none
        return str(info["md5Hash"])
    # Two contents can have the same CRC by chance, but every write has its own generation.
    return f"{info['crc32c']} {info['generation']}" if {"crc32c", "generation"} <= set(info) else ""


def _gs_write_if(files: Any, path: str, content: bytes, tag: str | None) -> bool:
    bucket, key, _ = files.split_path(path)
    generation = "0"
    try:
        if tag is not None:
            info = files.info(path)
            if _gs_tag(info, path) != tag:
                return False
            generation = str(info["generation"])
        files.call(
            "POST",
            f"{files._location}/upload/storage/v1/b/{quote(bucket)}/o",
            uploadType="media",
            name=key,
            ifGenerationMatch=generation,
            data=content,
            headers={"Content-Type": "application/octet-stream"},
        )
    except FileExistsError:
        return False
    except FileNotFoundError:  # removed in the meantime
        if tag is None:
            raise
        return False
    return True


def _hf_options() -> dict[str, Any]:
    hub_client.prepare()
    return {}


SCHEMES: Mapping[str, Scheme] = {
    "https": Scheme(options=_web_options, tag=_web_tag),
    "http": Scheme(options=_web_options, tag=_web_tag),
    "s3": Scheme(
        "s3",
        _s3_options,
        _s3_tag,
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        _s3_write_if,
    ),
    "gs": Scheme(
        "gcs",
        lambda: {"use_listings_cache": False},
        _gs_tag,
        "set GOOGLE_APPLICATION_CREDENTIALS",
        _gs_write_if,
    ),
    "hf": Scheme(
        options=_hf_options,
        tag=lambda info, uri: str(info.get("blob_id") or ""),
        credentials="set HF_TOKEN",
    ),
    "file": Scheme(extra=""),
}
WEB = ("http", "https")
BUCKETS = ("s3", "gs")
