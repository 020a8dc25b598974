"""Where settings come from, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kfp_finetune.components.errors import InputError
from kfp_finetune.pipelines import parameters, paths
from kfp_finetune.pipelines.catalog import Pipeline
from kfp_finetune.pipelines.settings import settings
from tests.toy.command import Cli


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "data.csv").write_text("x")
    return tmp_path / "here" / "config.yaml"


def test_flags_come_before_the_config_and_that_before_the_defaults(
    toy: Pipeline, config: Path
) -> None:
    config.write_text("dataset: data.csv\nmodel: owner/model\nlearning_rate: 5e-3\nbatch_size: 7\n")
    found = settings(toy, {"batch_size": 9}, config)
    assert found["batch_size"] == 9
    assert found["learning_rate"] == 5e-3  # YAML 1.1 calls that text
    assert found["max_length"] == 128 and type(found["max_length"]) is int
    assert found["max_steps"] is None
    assert "dataset_fingerprint" not in found


def test_paths_in_a_config_are_its_own(
    toy: Pipeline, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parents[1])
    config.write_text("dataset: data.csv\nmodel: owner/model\n")
    found = settings(toy, {}, Path("here/config.yaml"))
    assert found["dataset"] == str(config.parent / "data.csv")
    assert found["model"] == "owner/model"
    found = settings(toy, {"dataset": "here/data.csv"}, config)
    assert found["dataset"] == str(config.parent / "data.csv")


@pytest.mark.parametrize(
    ("value", "is_path"),
    [
        ("imdb", False),
        ("owner/name", False),
        ("gone.csv", True),
        ("gone.jsonl.gz", True),
        ("gone.conllu", True),
        ("gone.iob2.xz", True),
        ("gone.ZIP", True),
        ("bert-v1.5", False),
        ("./name", True),
        ("../name", True),
        ("~/name", True),
        ("a/b/c", True),
        ("data/*", True),
        ("there", True),  # something is there
    ],
)
def test_a_hub_id_stays_one(tmp_path: Path, value: str, is_path: bool) -> None:
    (tmp_path / "there").mkdir()
    found = paths.absolute("dataset", value, tmp_path)
    assert Path(found).is_absolute() is is_path
    assert is_path or found == value


def test_urls_and_paths_are_distinguished(tmp_path: Path) -> None:
    assert paths.absolute("dataset", "s3://a/b.csv", tmp_path) == "s3://a/b.csv"
    assert paths.absolute("label_names", "new", tmp_path) == str(tmp_path / "new")
    assert paths.absolute("label_names", "gs://a/b", tmp_path) == "gs://a/b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lerning_rate: 1", "unknown parameter 'lerning_rate'\n  where:    {file}\n"
         "  expected: a known parameter, such as 'learning_rate'\n"
         "  remedy:   kfp-finetune run --help lists the parameters"),
        ("dataset_fingerprint: x", "unknown parameter 'dataset_fingerprint'"),
        ("batch_size: 3.0", "batch_size is 3.0\n  where:    {file}, batch_size\n"
         "  expected: a whole number\n  remedy:   change its value"),
        ("batch_size: true", "batch_size is True"),
        ("learning_rate: fast", "learning_rate is 'fast'\n  where:    {file}, learning_rate\n"
         "  expected: a number"),
        ("learning_rate: .inf", "learning_rate is inf"),
        ("learning_rate: ٣", "learning_rate is '٣'\n  where:    {file}, learning_rate\n"
         "  expected: a number"),
        ('learning_rate: "1_0"', "learning_rate is '1_0'"),
        ("batch_size: ３２", "batch_size is '３２'"),
        ("shout: 1", "shout is 1\n  where:    {file}, shout\n  expected: true or false"),
        ("text_column: no", "text_column is False\n  where:    {file}, text_column\n"
         '  expected: text\n  remedy:   put it in quotes: text_column: "False"'),
        ("text_column: [a]", "text_column is ['a']"),
        ("text_column:\n  spam: 5\n  1: 2", "text_column is {{'spam': 5, 1: 2}}\n"
         "  where:    {file}, text_column\n  expected: text\n"
         """  remedy:   write it as text: text_column: '{{"spam": 5, "1": 2}}'"""),
        ("max_length: 9007199254740993", "max_length is 9007199254740993\n"),
        ("- a", "the file contains a list"),
        ("? [a]\n: 1", "the file is not valid YAML: found unhashable key\n"),
        ("a: b: c", "the file is not valid YAML: mapping values are not allowed here\n"
         "  where:    {file}, line 3\n"),
        ("shout: true\nshout: false", "the file is not valid YAML: 'shout' is given twice"),
        ("!!python/object/apply:os.system [ls]: 1", "the file is not valid YAML: could not"),
        ("text_column: x", "--dataset, --model are missing\n"),
    ],
)  # fmt: skip
def test_wrong_configs(toy: Pipeline, config: Path, text: str, message: str) -> None:
    head = "" if text in ("- a", "text_column: x") else "dataset: data.csv\nmodel: owner/model\n"
    config.write_text(head + text)
    with pytest.raises(InputError) as caught:
        settings(toy, {}, config)
    assert str(caught.value).startswith(message.format(file=config))


BOMB = "\n".join(
    [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" if i else "a0: &a0 [x]" for i in range(30)]
)
MERGED = "\n".join(
    [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" if i else "a0: &a0 {x: 1}" for i in range(40)]
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "its aliases expand to more than a million values"),
        (MERGED, "its aliases expand to more than a million values"),
        ("a: &a [*a]", "its aliases expand to more than a million values"),
        ("a: " + "[" * 60 + "]" * 60, "it is nested too deeply"),
        ("a: " + "[" * 100_000, ""),
        ("#" * (5 << 20), "it is larger than 4 MB"),
    ],
    ids=["bomb", "merged", "circle", "deep", "deeper", "large"],
)
def test_a_config_that_would_exhaust_memory(
    toy: Pipeline, config: Path, text: str, message: str
) -> None:
    config.write_text(text)
    with pytest.raises(InputError, match=f"the file is not valid YAML: {message}"):
        settings(toy, {}, config)


@pytest.mark.parametrize("value", ["１２", "1_2", "٣"])
def test_options_take_ascii_digits_only(cli: Cli, value: str) -> None:
    for option in ("--batch-size", "--learning-rate"):
        code, _, err = cli.run(option, value)
        assert code == 2 and value in err
    assert not (cli.folder / "runs").exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa"])
def test_config_files_that_cannot_be_read(
    toy: Pipeline, config: Path, content: bytes | None
) -> None:
    if content is not None:
        config.write_bytes(content)
    with pytest.raises(InputError, match=r"the file (cannot be read|is not valid YAML)"):
        settings(toy, {}, config)


@pytest.mark.parametrize("own", ["model", "test_dataset", "validation_dataset", "model_revision"])
def test_the_sample_is_not_combined_with_a_model_or_data_of_ones_own(
    toy: Pipeline, config: Path, own: str
) -> None:
    option = "--" + own.replace("_", "-")
    with pytest.raises(InputError) as caught:
        settings(toy, {own: "mine"}, None)
    assert caught.value.found == f"{option} without --dataset"
    assert caught.value.remedy == "add --dataset DATASET"
    config.write_text("dataset: data.csv\n")
    assert settings(toy, {"model": "mine"}, config)["dataset"].endswith("data.csv")


def test_parameters_are_read_from_the_compiled_pipeline(toy: Pipeline) -> None:
    found = {p.name: p for p in parameters.load(toy.definition)}
    # By the step that takes them first, steps in running order; KFP sorts by name.
    assert list(found)[:2] == ["dataset", "model"]
    assert list(found).index("batch_size") < list(found).index("learning_rate")
    assert found["dataset"].required and not found["text_column"].required
    batch_size: Any = found["batch_size"]
    assert (batch_size.type, batch_size.default, batch_size.step) == (int, 2, "count_steps")
    assert found["learning_rate"].description == "The peak."
    assert found["learning_rate"].option == "--learning-rate"


def test_without_the_compiled_pipeline(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the pipeline has not been compiled"):
        parameters.load(tmp_path / "pipeline.yaml")
