"""Secrets of URIs are in no text, and in no file that a run leaves."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.storage import uris
from kfp_finetune.components.storage.uris import hide, is_hidden, with_secrets, without_secrets


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(uris.VARIABLE, "{}")


def secret(random_: random.Random, awkward: str = "'/ @:?#%&=+$!()") -> str:
    """Letters that occur nowhere else, with awkward characters between them."""
    parts = ["".join(random_.choices("QZXJ", k=4)) for _ in range(3)]
    return "".join(part + random_.choice(["", *awkward]) for part in parts) + "QZX"


def generated(count: int) -> Iterator[str]:
    """URIs with secrets wherever there can be some, encoded or as people paste them."""
    random_ = random.Random(19)
    for _ in range(count):
        scheme = random_.choice(["http", "https", "s3", "gs", "HTTPS", "ftp"])
        encode = quote if random_.random() < 0.5 else str
        user = random_.choice(["", "me", "a.b%40c"])
        userinfo = f"{user}:{encode(secret(random_))}@" if random_.random() < 0.8 else ""
        host = random_.choice(["host", "host.org:8080", "[::1]:80", "10.0.0.1"])
        path = random_.choice(["", "/", "/data.csv", "/a/b c.csv", "/*.csv", "/a.zip"])
        name = random_.choice(
            [
                "token",
                "sig",
                "X-Amz-Signature",
                "X-Amz-Credential",
                "key",
                "password",
                "qq",
                "TOKEN",
            ]
        )
        value = encode(secret(random_, "'/ :%+$!()"))
        query = f"?file=a.csv&{name}={value}&se=2" if random_.random() < 0.7 else ""
        fragment = f"#{encode(secret(random_, ''))}" if random_.random() < 0.2 and query else ""
        uri = f"{scheme}://{userinfo}{host}{path}{query}{fragment}"
        yield random_.choice(["", "zip://x.csv::", "simplecache::"]) + uri


@pytest.mark.parametrize("uri", generated(300))
def test_no_part_of_a_secret_is_shown(uri: str) -> None:
    shown = without_secrets(uri)
    assert not set(shown) & set("QZXJ"), shown
    assert "://" in shown and without_secrets(shown) == shown


@pytest.mark.parametrize("uri", [u for u in generated(120) if " " not in u and "'" not in u])
def test_nor_within_a_text(uri: str) -> None:
    for text in (f"Cannot connect to {uri}", f"url='{uri}'", f"a\n  File x, in {uri}\nb"):
        shown = without_secrets(text)
        assert not set(shown) & set("QZXJ"), shown


@pytest.mark.parametrize("uri", generated(60))
def test_what_is_hidden_is_in_no_text_however_a_library_spells_it(uri: str) -> None:
    shown = hide(uri)
    if shown == uri:
        return
    assert is_hidden(shown) and with_secrets(shown) == uri
    assert not set(without_secrets(f"it said {uri!r}: {shown}")) & set("QZXJ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/a@b.csv", "https://host/a@b.csv"),
        ("hf://datasets/me/texts@v1/a.csv", "hf://datasets/me/texts@v1/a.csv"),
        ("s3://bucket/a?.csv", "s3://bucket/a?.csv"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("http://host/get?file=a.csv&token=x", "http://host/get?file=a.csv"),
        ("see http://localhost:8080, or /a/b.csv", "see http://localhost:8080, or /a/b.csv"),
        ("a path/with spaces.csv?", "a path/with spaces.csv?"),
        ("zip://a.csv::https://u:p@host/b.zip?sig=1", "zip://a.csv::https://host/b.zip"),
    ],
)
def test_places_stay_readable(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_two_uris_that_would_be_stored_alike_are_refused() -> None:
    hide("https://host/get?token=a")
    assert hide("https://host/get?token=a") == "https://host/get"
    with pytest.raises(InputError, match="differ only in parts that are not stored"):
        hide("https://host/get?token=b")


def test_letters_of_the_property_are_nowhere_else() -> None:
    assert not set("QZXJ") & set(string.ascii_lowercase)
