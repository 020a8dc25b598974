import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_finetune.components.errors import InputError
from kfp_finetune.components.tasks.label_spelling import is_missing_mark, stripped
from kfp_finetune.components.tasks.labels import LabelContext, Labels
from kfp_finetune.components.tasks.text_classification import understanding
from kfp_finetune.components.tasks.text_classification.cells import printed_list
from kfp_finetune.components.tasks.text_classification.problem_types import (
    MULTI_LABEL,
    REGRESSION,
    SINGLE_LABEL,
)


def understand_labels(values: list[Any], problem_type: str = "auto", **context: Any) -> Labels:
    return understanding.understand_labels(values, problem_type, LabelContext(**context))


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
def test_the_problem_type_is_inferred_from_the_values(
    values: list[Any], problem_type: str, names: list[str], targets: list[Any]
) -> None:
    labels = understand_labels(values)
    assert (labels.problem_type, labels.names, labels.targets) == (problem_type, names, targets)
    assert bool(labels.note) == (problem_type != SINGLE_LABEL)


def test_a_given_problem_type_is_used() -> None:
    assert understand_labels([1, 2, 3], REGRESSION).targets == [1.0, 2.0, 3.0]
    assert understand_labels(["1.5", "2.5"], SINGLE_LABEL).names == ["1.5", "2.5"]
    assert understand_labels(["1,2", "1"], SINGLE_LABEL).names == ["1", "1,2"]
    assert understand_labels(["a", "b"], MULTI_LABEL).targets == [[0], [1]]


def test_declared_names_keep_their_order_and_minus_one_is_missing() -> None:
    labels = understand_labels([1, 0], declared=["neg", "pos", "unused"])
    assert (labels.names, labels.targets) == (["neg", "pos", "unused"], [1, 0])
    missing = understand_labels([-1, 1], declared=["neg", "pos"])
    assert missing.targets == [None, 1]
    assert missing.invalid == {0: "the label -1, which marks a missing value"}
    with pytest.raises(InputError, match="label 2 is not one of the 2 named labels"):
        understand_labels([2], declared=["neg", "pos"])


def test_numbers_refer_to_the_names_of_a_file() -> None:
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
            "  remedy:   fix the value, or --problem-type single_label_classification",
        ),
        (
            ["angre", "joy"],
            {"known": ["anger", "joy"]},
            "1 unknown label: 'angre'\n"
            "  where:    column 'label'\n"
            "  expected: one of 'anger', 'joy'\n"
            "  remedy:   fix the labels ('angre' may mean 'anger'), or --label-names",
        ),
        (
            [("0", "2")],
            {"columns": ["a", "b"]},
            "'2' is neither 0 nor 1\n"
            "  where:    column 'b'\n"
            "  expected: 0 or 1 in each of several label columns\n"
            "  remedy:   name one --label-column, or columns of 0 and 1",
        ),
    ],
)
def test_invalid_labels_are_refused(
    values: list[Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        understand_labels(values, **arguments)
    assert str(error.value) == message


def _is_name(text: str) -> bool:
    return bool(stripped(text)) and not is_missing_mark(text) and printed_list(text) is None


@given(st.lists(st.text(min_size=1).filter(_is_name) | st.integers(), min_size=1, unique=True))
def test_any_values_are_labels_or_an_input_error(values: list[Any]) -> None:
    try:
        labels = understand_labels(values, SINGLE_LABEL)
    except InputError:
        pytest.fail("a text or a whole number is always a label")
    assert len(labels.targets) == len(values)
    assert sorted(set(labels.targets)) == list(range(len(labels.names)))  # type: ignore[type-var]
    for value, target in zip(values, labels.targets, strict=True):
        assert labels.names[target] == stripped(str(value))  # type: ignore[index]


def test_vectors_of_0_and_1_mark_labels_by_position() -> None:
    names = ["joy", "love", "fear"]
    vectors = [(1.0, 0.0, 0.0), (0, 1, 1), (0, 0, 0), (True, False, True)]
    labels = understand_labels(vectors, known=names)
    assert (labels.problem_type, labels.names) == (MULTI_LABEL, names)
    assert labels.targets == [[0], [1, 2], [], [0, 2]]
    assert "vectors of 0 and 1 with 3 positions" in labels.note
    unnamed = understand_labels(["[1, 0, 0]", "[0 1 1]"])  # printed by Python, and by numpy
    assert (unnamed.names, unnamed.targets) == (["0", "1", "2"], [[0], [1, 2]])
    # Lists of numbers of labels: of several lengths, or with a number that no vector has.
    assert understand_labels([(0,), (0, 1)]).targets == [[0], [0, 1]]
    assert understand_labels([(0, 2), (0, 1)], known=names).targets == [[0, 2], [0, 1]]


@pytest.mark.parametrize("vectors", [[(1, 0, 0), (0, 0, 1)], [(1, 0, 0, 0), (0, 0, 1)]])
def test_vectors_of_another_length_are_refused(vectors: list[Any]) -> None:
    with pytest.raises(InputError, match="with 3 positions, but there are 2 label names"):
        understand_labels(vectors[-1:], known=["a", "b"])
    with pytest.raises(InputError, match=r"is a vector of 0 and 1 with . positions"):
        understand_labels(vectors, known=["a", "b", "c", "d"])


@pytest.mark.parametrize(
    ("values", "targets"),
    [
        (["['joy']", "[]", "['love', 'joy']"], [[0], [], [1, 0]]),
        (['["joy"]', "[]", '["love","joy"]'], [[0], [], [1, 0]]),
        (["['joy']", "[]", "['love' 'joy']"], [[0], [], [1, 0]]),
        (["['it\\'s']", "['a, b']", '["it\'s"]'], [[1], [0], [1]]),
        (["[3]", "[1, 3]"], [[1], [0, 1]]),
        (["('joy',)", "()", "('love', 'joy')"], [[0], [], [1, 0]]),
        (["{'joy'}", "set()", "{'love', 'joy'}"], [[0], [], [1, 0]]),
        (["array(['joy'], dtype=object)", "array(['a', 'joy'], dtype='<U3')"], [[1], [0, 1]]),
    ],
    ids=str,
)
def test_printed_lists_are_read(values: list[str], targets: list[list[int]]) -> None:
    labels = understand_labels(values)
    assert labels.problem_type == MULTI_LABEL
    assert labels.targets == [sorted(group) for group in targets]
    with pytest.raises(InputError, match="some labels are printed lists, but 'joy' is not"):
        understand_labels([*values, "joy"])


def test_a_very_long_printed_list_is_read() -> None:
    assert printed_list(f"[{'1 ' * 200_000}]") == (1,) * 200_000


def test_names_in_brackets_are_names() -> None:
    for values in (["(none)", "a"], ["[unk]", "a"], ["{x}", "a"], ["a (b, c)", "a"]):
        assert understand_labels(values).names == sorted(values)


def test_decimal_commas() -> None:
    def of(labels: Labels) -> tuple[str, list[Any]]:
        return labels.problem_type, labels.targets

    assert of(understand_labels(["1,5", "2", 3], decimal_comma=True)) == (REGRESSION, [1.5, 2, 3])
    assert of(understand_labels(["1,5", "2,05"])) == (REGRESSION, [1.5, 2.05])  # no set of labels
    assert of(understand_labels(["1,5", "2,5"], REGRESSION)) == (REGRESSION, [1.5, 2.5])
    sets = understand_labels(["1,5", "2,3"])
    assert sets.targets == [[0, 3], [1, 2]]
    assert "if they are numbers with a decimal comma: --problem-type regression" in sets.warnings[0]
    with pytest.raises(InputError, match=r"'1,234' may be 1234 or 1\.234"):
        understand_labels(["1,234", "2,345"], REGRESSION)


@pytest.mark.parametrize("mark", ["NA", "N/A", "NaN", "null", "None", "-"])
@pytest.mark.parametrize("numbers", [["0.5", "2"], ["0", "1"], [0.5, 1.5]])
def test_marks_for_missing_values_among_numbers_are_missing(mark: str, numbers: list[Any]) -> None:
    kind = SINGLE_LABEL if numbers == ["0", "1"] else REGRESSION
    for problem_type in ("auto", kind):
        labels = understand_labels([*numbers, mark], problem_type)
        assert labels.problem_type == kind
        assert labels.targets[-1] is None
        assert mark in labels.invalid[2]


def test_marks_for_missing_values_among_classes_are_reported() -> None:
    labels = understand_labels(["yes", "no", "-"], counts=[5, 4, 3])
    assert labels.names == ["-", "no", "yes"]
    assert labels.warnings[0].startswith("'-' (3): a common mark for a missing label")
    assert understand_labels(["yes", "no", "-"], known=["yes", "no"]).targets == [0, 1, None]
    assert "'-1' (1)" in understand_labels([-1, 0, 1, 2]).warnings[0]
    assert understand_labels([-1, 0, 1]).warnings == []  # bad, neutral, good
    assert understand_labels(["yes", "no", "none"], known=["yes", "no", "none"]).warnings == []


@pytest.mark.parametrize(
    "pair", [("Spam", "spam"), ("caf\xe9", "cafe\u0301"), ("a\xa0b", "a b"), ("a b", "a\u200b b")]
)
def test_nearly_identical_labels_are_reported(pair: tuple[str, str]) -> None:
    labels = understand_labels([*pair, "ham"], counts=[7, 8, 9])
    assert len(labels.names) == 3
    (warning,) = labels.warnings
    assert "(7)" in warning
    assert "(8)" in warning
    assert "(9)" not in warning


@pytest.mark.parametrize("written", [" spam", "spam\xa0", "\u200bspam\ufeff "])
def test_white_space_around_a_label_is_ignored_and_reported(written: str) -> None:
    labels = understand_labels([written, "spam", "ham"], counts=[2, 3, 4])
    assert (labels.names, labels.targets) == (["ham", "spam"], [1, 1, 0])
    (warning,) = labels.warnings
    assert warning.startswith("white space at the ends of the labels of 2 rows is ignored")
    assert ascii(written) in warning  # the character that was removed can be seen


def test_numbers_never_refer_to_the_names_of_a_model() -> None:
    model: dict[str, Any] = {"known": ["pay", "send"], "known_from": "train again"}
    with pytest.raises(InputError, match="numbers such as 0, but the model's labels have names"):
        understand_labels([1, 0], SINGLE_LABEL, numbered=(), **model)
    # Unless it is given what they count, in the data's order.
    assert understand_labels([1, 0], SINGLE_LABEL, numbered=["send", "pay"], **model).targets == [
        0, 1,
    ]  # fmt: skip
