import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.labels import understand_labels
from kfp_finetune.components.tasks.problem_types import MULTI_LABEL, REGRESSION, SINGLE_LABEL


@pytest.mark.parametrize(
    ("values", "problem_type", "names", "targets"),
    [
        (["b", "a", "C"], SINGLE_LABEL, ["C", "a", "b"], [2, 1, 0]),
        ([10, 9, 2], SINGLE_LABEL, ["2", "9", "10"], [2, 1, 0]),
        (["10", "9", "2"], SINGLE_LABEL, ["2", "9", "10"], [2, 1, 0]),
        ([True, False], SINGLE_LABEL, ["false", "true"], [1, 0]),
        ([1.0, 0.0], SINGLE_LABEL, ["0", "1"], [1, 0]),
        (["a", None, "", "  ", math.nan], SINGLE_LABEL, ["a"], [0, None, None, None, None]),
        (["food, drink", "sport"], SINGLE_LABEL, ["food, drink", "sport"], [0, 1]),
        (["a", "b", "a,b"], MULTI_LABEL, ["a", "b"], [[0], [1], [0, 1]]),
        (["a", "b", "b | a"], MULTI_LABEL, ["a", "b"], [[0], [1], [0, 1]]),
        (["27", "2,25", "2"], MULTI_LABEL, ["2", "25", "27"], [[2], [0, 1], [0]]),
        ([("x", "y"), (), ("y",)], MULTI_LABEL, ["x", "y"], [[0, 1], [], [1]]),
        ([(3, 1), (1,)], MULTI_LABEL, ["1", "3"], [[0, 1], [0]]),
        ([0.5, 2, 1.0], REGRESSION, [], [0.5, 2.0, 1.0]),
        (["0.5", "2", "-1e3"], REGRESSION, [], [0.5, 2.0, -1000.0]),
    ],
    ids=str,
)
def test_the_problem_type_is_read_off_the_values(
    values: list[Any], problem_type: str, names: list[str], targets: list[Any]
) -> None:
    labels = understand_labels(values)
    assert (labels.problem_type, labels.names, labels.targets) == (problem_type, names, targets)
    assert bool(labels.note) == (problem_type != SINGLE_LABEL)


def test_the_user_rules() -> None:
    assert understand_labels([1, 2, 3], REGRESSION).targets == [1.0, 2.0, 3.0]
    assert understand_labels(["1.5", "2.5"], SINGLE_LABEL).names == ["1.5", "2.5"]
    assert understand_labels(["1,2", "1"], SINGLE_LABEL).names == ["1", "1,2"]
    assert understand_labels(["a", "b"], MULTI_LABEL).targets == [[0], [1]]


def test_declared_names_keep_their_order_and_minus_one_is_refused() -> None:
    labels = understand_labels([1, 0], declared=["neg", "pos", "unused"])
    assert (labels.names, labels.targets) == (["neg", "pos", "unused"], [1, 0])
    with pytest.raises(InputError, match="label -1 is not among the 2 named ones"):
        understand_labels([-1], declared=["neg", "pos"])


def test_numbers_count_the_names_of_a_file() -> None:
    names = ["admiration", "amusement", "anger"]
    labels = understand_labels(["2,0", "1"], known=names)
    assert (labels.names, labels.targets) == (names, [[0, 2], [1]])
    assert understand_labels(["anger", "amusement"], known=names).targets == [2, 1]


def test_one_column_per_label() -> None:
    labels = understand_labels(
        [("0", "1"), (1, 1), (0.0, False), (None, 1)], columns=["toxic", "threat"]
    )
    assert labels.problem_type == MULTI_LABEL
    assert (labels.names, labels.targets) == (["toxic", "threat"], [[1], [0, 1], [], None])


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        (
            [1.5, "a"],
            {},
            "1.5 cannot be a label\n"
            "  where:    column 'label'\n"
            "  expected: a text or a whole number; numbers with fractions are for regression\n"
            "  remedy:   --problem-type regression",
        ),
        (
            [{"a": 1}],
            {},
            "{'a': 1} cannot be a label\n"
            "  where:    column 'label'\n"
            "  expected: a text or a whole number\n"
            "  remedy:   name another --label-column",
        ),
        (
            [("a", "b")],
            {"problem_type": SINGLE_LABEL},
            "['a', 'b'] is a list of labels\n"
            "  where:    column 'label'\n"
            "  expected: one label per row\n"
            "  remedy:   --problem-type multi_label_classification",
        ),
        (
            ["high"],
            {"problem_type": REGRESSION},
            "'high' is not a number\n"
            "  where:    column 'label'\n"
            "  expected: a finite number per row, for regression\n"
            "  remedy:   mend the value, or --problem-type single_label_classification",
        ),
        (
            ["angre", "joy"],
            {"known": ["anger", "joy"]},
            "1 unknown label: 'angre'\n"
            "  where:    column 'label'\n"
            "  expected: one of 'anger', 'joy'\n"
            "  remedy:   mend the labels ('angre' may mean 'anger'), or --label-names",
        ),
        (
            [("0", "2")],
            {"columns": ["a", "b"]},
            "'2' is neither 0 nor 1\n"
            "  where:    column 'b'\n"
            "  expected: 0 or 1 in every one of several label columns\n"
            "  remedy:   name one --label-column, or columns of 0 and 1",
        ),
    ],
)
def test_what_is_no_label_is_refused(
    values: list[Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        understand_labels(values, **arguments)
    assert str(error.value) == message


@given(st.lists(st.text(min_size=1).filter(str.strip) | st.integers(), min_size=1, unique=True))
def test_texts_and_numbers_are_either_labels_or_a_clean_error(values: list[Any]) -> None:
    try:
        labels = understand_labels(values, SINGLE_LABEL)
    except InputError:
        pytest.fail("a text or a whole number is always a label")
    assert len(labels.targets) == len(values)
    assert sorted(set(labels.targets)) == list(range(len(labels.names)))  # type: ignore[type-var]
    for value, target in zip(values, labels.targets, strict=True):
        assert labels.names[target] == str(value)  # type: ignore[index]
