"""TFRecords: what is written comes back, in its order, whole or not at all."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.dataset.records import tfrecords
from emotion.dataset.records.tfrecords import RecordsAbout, open_records, read_records_about, write_records
from emotion.foundation.errors import UserError
from tests.support.pictures import noise

Pairs = list[tuple[np.ndarray, int]]


def faces(count: int, size_px: int = 8, channels: int = 1) -> Pairs:
    return [(noise(seed, size_px, size_px, channels), seed % 7) for seed in range(count)]


def write(pairs: Pairs, folder: Path, size_px: int = 8, channels: int = 1) -> RecordsAbout:
    return write_records(iter(pairs), folder, labels=["a", "b"], size_px=size_px, channels=channels)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@given(count=st.integers(0, 20), size_px=st.integers(1, 9), channels=st.sampled_from((1, 3)))
@settings(max_examples=12, deadline=None)
def test_faces_come_back_as_they_were_over_any_shards(
    tmp_path_factory: pytest.TempPathFactory, count: int, size_px: int, channels: int
) -> None:
    folder = tmp_path_factory.mktemp("any") / "train"
    pairs = faces(count, size_px, channels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfrecords, "IMAGES_PER_SHARD", 4)
        about = write(pairs, folder, size_px, channels)
    assert about == RecordsAbout(count, size_px, channels, ["a", "b"]) == read_records_about(folder)
    assert len(list(folder.glob("*.tfrecord"))) == -(-count // 4)
    loaded = open_records(folder)
    assert loaded.about == about
    assert loaded.images.shape == (count, size_px, size_px, channels)
    assert loaded.images[:].dtype == np.uint8
    assert loaded.label_indexes.tolist() == [label for _, label in pairs]
    assert all(np.array_equal(image, original) for image, (original, _) in zip(loaded.images[:], pairs, strict=True))


@pytest.mark.parametrize("at_once", [(3, 1 << 20), (1024, 200)], ids=["records", "bytes"])
def test_more_faces_than_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: tuple[int, int]
) -> None:
    monkeypatch.setattr(tfrecords, "_READ_AT_ONCE", at_once)
    write(faces(10), tmp_path / "train")
    opened = open_records(tmp_path / "train")
    assert opened.label_indexes.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    np.testing.assert_array_equal(opened.images[:], [image for image, _ in faces(10)])


def test_records_may_differ_in_length(tmp_path: Path) -> None:
    """A label from 128 on takes a byte more."""
    labels = [0, 300, 127, 128, 20_000, 1]
    pairs = [(image, label) for (image, _), label in zip(faces(6), labels, strict=True)]
    write(pairs, tmp_path / "train")
    opened = open_records(tmp_path / "train")
    assert opened.label_indexes.tolist() == labels
    np.testing.assert_array_equal(opened.images[[4, 0, 5, 3]], [pairs[row][0] for row in (4, 0, 5, 3)])


def test_blank_faces_and_labels_are_no_obstacle(tmp_path: Path) -> None:
    pairs = [(np.full((8, 8, 1), value, np.uint8), 0) for value in (0, 10, 0)]
    write(pairs, tmp_path / "train")
    assert open_records(tmp_path / "train").images[:][:, 0, 0, 0].tolist() == [0, 10, 0]


def test_records_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    write(faces(5), tmp_path / "one")
    write(faces(5), tmp_path / "two")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_what_was_there_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecords, "IMAGES_PER_SHARD", 2)
    write(faces(9), tmp_path / "train")
    write(faces(3), tmp_path / "train")
    assert sorted(bytes_of(tmp_path / "train")) == ["00000.tfrecord", "00001.tfrecord", "about.json"]
    assert len(open_records(tmp_path / "train").images) == 3


def test_records_that_cannot_be_finished_leave_the_old_ones(tmp_path: Path) -> None:
    def broken() -> object:
        yield from faces(2)
        raise UserError("no more")

    write(faces(5), tmp_path / "train")
    before = bytes_of(tmp_path / "train")
    with pytest.raises(UserError, match="no more"):
        write_records(broken(), tmp_path / "train", labels=[], size_px=8, channels=1)
    assert bytes_of(tmp_path / "train") == before
    write(faces(1), tmp_path / "train")  # and what was begun is no hindrance
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_a_missing_or_incomplete_folder_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"holds no records .*run the preprocess stage"):
        read_records_about(tmp_path)
    monkeypatch.setattr(tfrecords, "IMAGES_PER_SHARD", 2)
    write(faces(5), tmp_path / "train")
    (tmp_path / "train" / "00002.tfrecord").unlink()
    with pytest.raises(UserError, match=r"holds 4 faces, but its about\.json says 5; run preprocess again"):
        open_records(tmp_path / "train")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b"{}", b"{'images': 5}", b'{"images": "5"}', b"null"],
    ids=["empty", "no text", "a list", "nothing said", "no JSON", "a number as text", "null"],
)
def test_a_damaged_description_is_one_line(content: bytes, tmp_path: Path) -> None:
    write(faces(5), tmp_path / "train")
    about = json.loads((tmp_path / "train" / "about.json").read_text())
    content = json.dumps(about | json.loads(content)).encode() if content.startswith(b'{"') else content
    (tmp_path / "train" / "about.json").write_bytes(content)
    with pytest.raises(UserError, match=r"train/about\.json is damaged \(.*\); run preprocess again") as caught:
        open_records(tmp_path / "train")
    assert "\n" not in str(caught.value)


def test_more_faces_than_announced_are_refused(tmp_path: Path) -> None:
    write(faces(5), tmp_path / "train")
    about = json.loads((tmp_path / "train" / "about.json").read_text())
    (tmp_path / "train" / "about.json").write_text(json.dumps(about | {"images": 3}))
    with pytest.raises(UserError, match=r"holds 5 faces, but its about\.json says 3"):
        open_records(tmp_path / "train")


@pytest.mark.parametrize("damage", ["cut off", "a pixel", "a length"])
def test_a_damaged_record_is_named_and_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(tfrecords, "IMAGES_PER_SHARD", 5)
    write(faces(10), tmp_path / "train")
    shard = tmp_path / "train" / "00001.tfrecord"
    whole = shard.read_bytes()
    each = len(whole) // 5
    changed = {"a pixel": 3 * each + 60, "a length": 3 * each}.get(damage, 0)
    flipped = whole[:changed] + bytes([whole[changed] ^ 1]) + whole[changed + 1 :]
    shard.write_bytes(whole[: 4 * each - 9] if damage == "cut off" else flipped)
    with pytest.raises(UserError, match=r"00001\.tfrecord is damaged at record 3 \(.*run preprocess again"):
        open_records(tmp_path / "train")


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    write(faces(2), tmp_path / "train")
    about = json.loads((tmp_path / "train" / "about.json").read_text())
    (tmp_path / "train" / "about.json").write_text(json.dumps(about | {"size_px": 9}))
    with pytest.raises(UserError, match=r"damaged at record 0 \(its picture is of another size\)"):
        open_records(tmp_path / "train")
