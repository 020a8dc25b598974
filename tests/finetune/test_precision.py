"""The precision is decided by the processor's flags, or measured where they do not decide."""

from __future__ import annotations

import subprocess

import keras
import pytest
import tensorflow as tf

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.finetune import devices, precision
from kfp_finetune.components.finetune.precision import (
    BFLOAT16,
    FLOAT32,
    by_flags,
    decide,
    decide_before_run,
    measured,
)

INTEL = "Intel Xeon 8480 (amx_bf16 amx_tile avx2 avx512_bf16 avx512f fma)"
AMD = "AMD EPYC 9654 (avx avx2 avx512_bf16 avx512f fma)"
OLDER = "Intel Xeon 8175M (avx avx2 avx512f fma)"
ARM = "aarch64 (asimd asimdhp bf16 sve svebf16)"


@pytest.mark.parametrize(
    ("processor", "decided"),
    [(INTEL, BFLOAT16), (AMD, BFLOAT16), (OLDER, FLOAT32), ("arm", FLOAT32), (ARM, "")],
)
def test_flags_decide_where_they_can(processor: str, decided: str) -> None:
    assert by_flags(processor) == decided


@pytest.mark.parametrize(
    ("asked", "processor", "capabilities", "decided"),
    [
        ("auto", AMD, [], BFLOAT16),
        ("auto", ARM, [], FLOAT32),  # a step does not measure
        ("auto", AMD, [(7, 5)], FLOAT32),
        ("auto", OLDER, [(8, 0), (9, 0)], BFLOAT16),
        ("auto", OLDER, [(7, 5), (9, 0)], FLOAT32),
        ("float32", AMD, [(9, 0)], FLOAT32),
        ("bfloat16", OLDER, [], BFLOAT16),
    ],
)
def test_a_step_decides_by_its_devices_alone(
    asked: str,
    processor: str,
    capabilities: list[tuple[int, int]],
    decided: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "processor", lambda: processor)
    assert decide(asked, capabilities) == decided


def test_before_a_run_it_is_measured_only_where_flags_do_not_decide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[list[str]] = []
    said = ["bfloat16\n"]

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, stdout=said[0])

    monkeypatch.setattr(subprocess, "run", run)
    for processor in (INTEL, AMD, OLDER):
        monkeypatch.setattr(precision, "processor", lambda processor=processor: processor)
        assert decide_before_run("auto", 512, 384, 1536) == by_flags(processor)
    assert calls == []
    monkeypatch.setattr(precision, "processor", lambda: ARM)
    assert decide_before_run("float32", 512, 384, 1536) == FLOAT32 and calls == []
    assert decide_before_run("auto", 512, 384, 1536) == BFLOAT16
    assert calls[0][2:] == [precision.__name__, "512", "384", "1536"]
    said[0] = ""  # it failed
    assert decide_before_run("auto", 512, 384, 1536) == FLOAT32


def test_the_faster_of_the_two_is_chosen_only_if_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter([1.0] * 12 + [0.5] * 12 + [1.0] * 12 + [0.9] * 12)
    monkeypatch.setattr(precision, "_seconds", lambda run: next(seconds))
    assert measured(8, 4, 4) == BFLOAT16
    assert measured(8, 4, 4) == FLOAT32


def test_the_precision_is_recorded_and_sets_no_policy_on_a_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for processor, decided in ((AMD, BFLOAT16), (OLDER, FLOAT32)):
        monkeypatch.setattr(precision, "processor", lambda processor=processor: processor)
        assert devices.configure(0, "auto")["precision"] == decided
        assert keras.config.dtype_policy().name == "float32"


def test_a_process_that_has_used_tensorflow_keeps_and_records_its_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tf.constant(1.0)  # TensorFlow fixes the number of threads when it starts
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    monkeypatch.setattr(devices, "available_cpus", lambda: threads + 1)
    monkeypatch.setattr(devices, "schedulable_cpus", lambda: 7)
    assert devices.configure(0)["threads"] == threads or 7


def test_keras_on_another_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match="Keras was imported with the jax backend"):
        devices.configure(0)


def test_a_home_directory_that_names_another_library_changes_nothing(tmp_path: object) -> None:
    """Keras reads its settings when it is first imported: in a process of its own."""
    import json
    import os
    import sys
    from pathlib import Path

    home = Path(str(tmp_path))
    (home / "keras.json").write_text(json.dumps({"backend": "jax", "floatx": "float64"}))
    code = (
        "from kfp_finetune.components.finetune import devices\n"
        "devices.configure(0)\n"
        "import keras\n"
        "print(keras.backend.backend(), keras.config.floatx(), keras.Variable(1.0).dtype)"
    )
    environment = {n: v for n, v in os.environ.items() if n != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment | {"KERAS_HOME": str(home)},
        check=True,
    )
    assert done.stdout.split() == ["tensorflow", "float32", "float32"]
