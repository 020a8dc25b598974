"""Messages for problems of the machine rather than the input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.load_data.readers.formats import DATA
from kfp_finetune.components.storage import unpacking
from kfp_finetune.components.storage.files import File
from tests.commands import COMMAND
from tests.toy.command import Cli


def test_a_damaged_record_is_reported_and_does_not_hide_the_others(cli: Cli) -> None:
    assert cli.run("--name", "good")[0] == 0
    bad = cli.folder / "runs" / "bad"
    shutil.copytree(cli.folder / "runs" / "good", bad)
    for content in ('{"name": "bad", ', "", "[]", "\0", '{"name": 1}'):
        (bad / "run.json").write_text(content)
        for command in ("resume", "rerun", "tensorboard"):
            code, _, err = cli(command, "bad")
            assert code == 2 and "run.json is damaged: " in err and str(bad) in err
            assert "Traceback" not in err and "log:" not in err
    code, out, err = cli("runs")
    assert code == 0 and "good" in out and "skipped runs/bad: run.json is damaged" in err


def test_who_runs_it_is_named_while_the_record_still_names_the_one_before(cli: Cli) -> None:
    assert cli.run("--name", "one", "--trouble", "killed")[0] == 1
    record = cli.folder / "runs" / "one" / "run.json"
    first = json.loads(record.read_text())["pid"]
    arguments = ("--name", "two", "--seconds-per-step", "20", "--max-steps", "2")
    going = cli.start_run(*arguments)
    try:
        path = cli.folder / "runs" / "two" / "run.json"
        while not (path.exists() and "finetune" in json.loads(path.read_text())["steps"]):
            time.sleep(0.2)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": first}))
        code, _, err = cli("resume", "two")
        assert code == 2 and f"still running in process {going.pid}" in err
    finally:
        going.terminate()
        going.communicate()


def test_a_working_directory_that_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        ["sh", "-c", f'rmdir "{folder}"; exec "{COMMAND}" runs'],
        cwd=folder,
        env=os.environ | {"PWD": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: the working directory cannot be used: ")
    assert str(folder) in done.stderr


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_a_full_disk_is_named_as_an_archive_is_unpacked(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "data.csv").symlink_to("/dev/full")  # whose every write says so
    monkeypatch.setattr(unpacking, "new_folder", lambda: tmp_path / "full")
    path = tmp_path / f"data.csv.{kind}"
    file = File(path, str(path))
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.csv", "text,label\n" + "a,b\n" * 10_000)
    else:
        import gzip

        path.write_bytes(gzip.compress(b"text,label\n" + b"a,b\n" * 10_000))
    with pytest.raises(InputError) as caught:
        if kind == "zip":
            unpacking.unzip(file, DATA, "a file")
        else:
            unpacking.decompressed(file)
    assert caught.value.found == "the disk is full" and caught.value.where == str(path)
    assert "TMPDIR" in caught.value.remedy
