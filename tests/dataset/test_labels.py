"""The order of labels, which every array keeps."""

from hypothesis import given
from hypothesis import strategies as st

from emotion.dataset.labels import EMOTIONS, FER2013_CODES, label_order


def test_fer2013_has_seven_labels_in_the_order_of_their_folders() -> None:
    assert label_order(FER2013_CODES) == list(EMOTIONS) == sorted(FER2013_CODES)


def test_fer2013_codes_are_those_of_its_description() -> None:
    assert dict(enumerate(FER2013_CODES)) == {
        0: "angry", 1: "disgust", 2: "fear", 3: "happy", 4: "sad", 5: "surprise", 6: "neutral",
    }  # fmt: skip


def test_numbers_come_first_and_by_value() -> None:
    assert label_order(["10", "happy", "2", "Angry", "1", "2", "-1"]) == ["1", "2", "10", "-1", "Angry", "happy"]


def test_equal_numbers_written_differently_stay_apart() -> None:
    assert label_order(["1", "01", "²"]) == ["01", "1", "²"]


@given(st.lists(st.one_of(st.text(max_size=3), st.integers(0, 20).map(str))))
def test_order_is_of_the_labels_alone_and_loses_none(labels: list[str]) -> None:
    ordered = label_order(labels)
    assert ordered == label_order(reversed(labels))
    assert set(ordered) == set(labels)
    assert len(ordered) == len(set(labels))
