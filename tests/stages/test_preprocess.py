"""The preprocess stage: one index's faces as records; bad pictures are listed, counted and limited."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from emotion.dataset.archive.faces import Dataset, write_archive
from emotion.dataset.images import decode_face
from emotion.foundation.errors import UserError
from stages.preprocess import PreprocessParams, preprocess
from tests.support.pictures import encoded, noise, numbered

VALUES: dict[str, Any] = {"size_px": 16, "channels": 1, "max_bad_fraction": 0.0}
HEADER = "path,label,label_index,subset\n"


def run(files: dict[str, bytes], folder: Path, index: str | None = None, **changes: Any) -> dict[str, Any]:
    """Preprocess the files that `index` names (all, in reverse order, if it names none) to `folder/records/train`."""
    write_archive(Dataset(files, bytes), folder / "faces.zip")
    labels = sorted({path.split("/")[1] for path in files})
    rows = (f"{path},{(label := path.split('/')[1])},{labels.index(label)},\n" for path in sorted(files, reverse=True))
    (folder / "train.csv").write_text(HEADER + "".join(rows) if index is None else index)
    params = PreprocessParams.model_validate({**VALUES, **changes})
    preprocess(folder / "faces.zip", folder / "train.csv", folder / "records" / "train", folder / "train.json", params)
    return json.loads((folder / "train.json").read_text())


def load(folder: Path) -> Any:
    from emotion.dataset.records.tfrecords import open_records

    return open_records(folder / "records" / "train")


@pytest.mark.parametrize("changes", [{}, {"channels": 3}, {"size_px": 48}], ids=str)
def test_each_face_of_the_index_is_decoded_in_its_order(tmp_path: Path, changes: dict[str, int]) -> None:
    files = numbered("train/b", "train/a", images=20) | {"train/b/colour.bmp": encoded(noise(1, 60, 30, 3), "bmp")}
    report = run(files, tmp_path, **changes)
    loaded = load(tmp_path)
    expected = {"size_px": 16, "channels": 1} | changes
    assert report == {"images": 41, "skipped": 0}
    assert loaded.about.labels == ["a", "b"]
    assert loaded.label_indexes.tolist() == [1] * 21 + [0] * 20
    for image, path in zip(loaded.images[:], sorted(files, reverse=True), strict=True):
        assert np.array_equal(image, decode_face(files[path], **expected))


def test_only_what_the_index_names_is_taken(tmp_path: Path) -> None:
    run(numbered("train/b", "train/a"), tmp_path, HEADER + "train/b/2.png,b,1,\ntrain/a/1.png,a,0,\n")
    assert load(tmp_path).label_indexes.tolist() == [1, 0]


@pytest.mark.parametrize("labels", [("007", "10"), ("NA", "null"), ("1e3", "2.50")])
def test_labels_that_look_like_numbers_or_like_nothing_stay_text(tmp_path: Path, labels: tuple[str, str]) -> None:
    run({f"train/{label}/1.png": encoded(noise(1)) for label in labels}, tmp_path)
    assert load(tmp_path).about.labels == list(labels)


def test_an_empty_index_gives_empty_records(tmp_path: Path) -> None:
    assert run(numbered("train/a"), tmp_path, HEADER) == {"images": 0, "skipped": 0}
    loaded = load(tmp_path)
    assert loaded.images.shape == (0, 16, 16, 1)
    assert loaded.about.labels == []


BAD = {
    "train/a/empty.jpg": (b"", "empty file"),
    "train/a/text.png": (b"text", "not an image"),
    "train/b/cut.png": (encoded(noise(3, 48, 48))[:200], "damaged or truncated image"),
}


def test_bad_images_are_all_listed_with_their_reasons_before_the_stage_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = numbered("train/a", "train/b", images=10) | {path: content for path, (content, _) in BAD.items()}
    with pytest.raises(UserError, match=r"3 of 23 images in .*train\.csv are unusable .*max_bad_fraction: 0\.1 allows"):
        run(files, tmp_path, max_bad_fraction=0.1)
    listed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("unusable: ")]
    assert len(listed) == 3
    for path, (_, reason) in BAD.items():
        assert any(line.startswith(f"unusable: {path}: {reason}") for line in listed)
    assert not (tmp_path / "train.json").exists()


def test_bad_images_within_the_limit_are_skipped_and_counted(tmp_path: Path) -> None:
    files = numbered("train/a", "train/b", images=10) | {path: content for path, (content, _) in BAD.items()}
    report = run(files, tmp_path, max_bad_fraction=3 / 23)
    assert report == {"images": 20, "skipped": 3}
    loaded = load(tmp_path)
    good = [path for path in sorted(files, reverse=True) if path not in BAD]
    assert loaded.label_indexes.tolist() == [int("/b/" in path) for path in good]
    assert np.array_equal(loaded.images[-1:][0], decode_face(files[good[-1]], size_px=16, channels=1))


def test_a_label_whose_images_are_all_bad_keeps_its_place(tmp_path: Path) -> None:
    files = numbered("train/a", "train/c") | {"train/b/1.png": b""}
    run(files, tmp_path, max_bad_fraction=0.5)
    loaded = load(tmp_path)
    assert loaded.about.labels == ["a", "b", "c"]
    assert loaded.label_indexes.tolist() == [2] * 4 + [0] * 4


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    files = numbered("train/a", "train/b")
    outputs = []
    for _ in range(2):
        run(files, tmp_path)
        outputs.append({path.name: path.read_bytes() for path in (tmp_path / "records" / "train").iterdir()})
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    "changes",
    [{"size_px": 7}, {"size_px": 1025}, {"channels": 2}, {"max_bad_fraction": 1.1}, {"size": 48}],
    ids=str,
)
def test_parameters_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PreprocessParams.model_validate({**VALUES, **changes})


def test_an_index_written_by_pandas_is_read(tmp_path: Path) -> None:
    files = {'train/a, "b"/é 1.png': encoded(noise(1))}
    table = pd.DataFrame({"path": list(files), "label": ['a, "b"'], "label_index": [0], "subset": [""]})
    run(files, tmp_path, table.to_csv(index=False))
    assert load(tmp_path).about.labels == ['a, "b"']
