"""Ctrl-C ends a run as it ends the command's, reaches the caller, and the run can be resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.processes import alive, wait_for
from tests.toy.command import Cli

SCRIPT = """
import os, signal
from kfp_finetune.pipelines import catalog
toy = catalog.Pipeline("toy", "toy_pipeline", "toy")
catalog.PIPELINES |= {"finetune": toy, "toy": toy}
from kfp_finetune import finetune, load_run
handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
try:
    finetune("data.csv", model="model.bin", name="long", seconds_per_step=600.0)
except KeyboardInterrupt:
    print("caught", load_run("long").status, flush=True)
assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
"""


@pytest.mark.usefixtures("toy")
def test_ctrl_c(cli: Cli) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=cli.folder,
        env=os.environ | {"PYTHONPATH": str(cli.modules)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    pid_file = cli.folder / "model.pid"
    assert wait_for(pid_file.exists, 60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "caught interrupted"
    record = cli.record("long")
    assert record["steps"]["load_data"]["status"] == "succeeded"
    assert not alive(int(pid_file.read_text()))
