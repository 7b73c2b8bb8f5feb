import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.evaluation.predictions import COLUMNS, Predictions, read_predictions, rounded
from emotion.foundation.errors import UserError

NAMES = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r"), min_size=1),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(names=NAMES, rows=st.integers(0, 6), seed=st.integers(0, 99))
def test_a_written_table_reads_back_equal(names: list[str], rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rounded(rng.dirichlet(np.full(len(names), 0.2), size=rows))
    labels = [names[index] for index in rng.integers(0, len(names), rows)]
    table = Predictions(
        [f'test/{n},"{n}' for n in range(rows)], labels, [""] * rows, ["near"] * rows, names, probabilities
    )
    again = read_predictions(table.to_csv())
    assert (again.paths, again.labels, again.subsets, again.copies, again.label_names) == (
        table.paths,
        table.labels,
        table.subsets,
        table.copies,
        table.label_names,
    )
    np.testing.assert_array_equal(again.probabilities, probabilities)
    np.testing.assert_array_equal(again.label_indexes, table.label_indexes)


def test_labels_may_be_called_like_columns() -> None:
    table = Predictions(["p"], ["copy"], ["public"], [""], list(COLUMNS), np.full((1, 4), 0.25))
    again = read_predictions(table.to_csv())
    assert again.label_names == list(COLUMNS) and again.labels == ["copy"] and again.subsets == ["public"]
    assert again.label_indexes.tolist() == [3]


def test_columns_are_as_documented() -> None:
    table = Predictions(["p"], ["sad"], [""], ["exact"], ["happy", "sad"], rounded(np.array([[0.25, 0.75]])))
    assert list(csv.reader(io.StringIO(table.to_csv()))) == [
        ["path", "label", "subset", "copy", "happy", "sad"],
        ["p", "sad", "", "exact", "0.25", "0.75"],
    ]


def test_rounding_keeps_logarithms_finite_and_is_idempotent() -> None:
    once = rounded(np.array([[1.0, 0.0, 0.0], [0.2, 0.5, 0.3]]))
    assert once.min() > 1e-7 and np.allclose(once.sum(axis=1), 1)
    np.testing.assert_allclose(rounded(once), once, atol=1e-7)


@pytest.mark.parametrize("text", ["", "a,b\n", "path,label,subset,copy\n", "path,label,copy,subset,sad\n"])
def test_another_table_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a table of predictions"):
        read_predictions(text)


def test_a_true_label_without_a_probability_is_refused() -> None:
    with pytest.raises(UserError, match=r"true label 'Happy', but probabilities only for \['sad', 'happy'\]"):
        read_predictions("path,label,subset,copy,sad,happy\np,Happy,,,0.5,0.5\n")


@pytest.mark.parametrize(
    ("columns", "row", "says"),
    [
        ("sad,happy", "q,sad,,,nan,0.5", "not a number"),
        ("sad,happy", "q,sad,,,-0.5,0.5", "not between 0 and 1"),
        ("sad,happy", "q,sad,,,inf,0", "not a number"),
        ("sad,happy", "q,sad,,,1e308,0", "not between 0 and 1"),
        ("sad,happy", "p,sad,,,0.5,0.5", "a path twice"),
        ("sad,sad", "q,sad,,,0.5,0.5", "a label twice"),
    ],
)
def test_numbers_that_are_no_probabilities_and_names_twice_are_refused(columns: str, row: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_predictions(f"path,label,subset,copy,{columns}\np,sad,,,0.5,0.5\n{row}\n")


def test_a_text_with_an_endless_field_is_refused() -> None:
    with pytest.raises(UserError, match="not a table of predictions"):
        read_predictions("x" * 200_000)


def test_a_cut_off_table_is_refused() -> None:
    with pytest.raises(UserError, match="cut off"):
        read_predictions("path,label,subset,copy,sad,happy\np,sad,,,0.5,0.5\nq,sad,,\n")
