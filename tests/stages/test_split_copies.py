"""The split stage and copies: they stay on one side, are counted, and can be dropped."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion.dataset.archive.faces import DatasetError
from tests.support.pictures import encoded, noise, numbered, smooth
from tests.support.split_run import Outcome, run_on


def copied_faces(pictures: int = 12) -> dict[str, bytes]:
    """Each training picture three times: itself, in another format (exact), encoded with losses (near)."""
    files = {}
    for seed in range(pictures):
        label = "ab"[seed % 2]
        files[f"train/{label}/{seed}_png.png"] = encoded(smooth(seed))
        files[f"train/{label}/{seed}_bmp.bmp"] = encoded(smooth(seed), "bmp")
        files[f"train/{label}/{seed}_jpg.jpg"] = encoded(smooth(seed), "jpeg", quality=70)
    return files


def kinds_together(outcome: Outcome) -> dict[str, bool]:
    """Whether the exact copies, and the near ones, of every picture lie in one split."""
    places = outcome.places()
    pairs = {"exact": ("png.png", "bmp.bmp"), "near": ("png.png", "jpg.jpg")}
    seeds = {path.rpartition("_")[0] for path in places}
    return {
        kind: all(places[f"{seed}_{one}"] == places[f"{seed}_{other}"] for seed in seeds)
        for kind, (one, other) in pairs.items()
    }


@pytest.mark.parametrize("own_test", [True, False])
@pytest.mark.parametrize(
    ("mode", "together"),
    [
        ("none", {"exact": False, "near": False}),
        ("exact", {"exact": True, "near": False}),
        ("near", {"exact": True, "near": True}),
    ],
)
def test_copies_stay_on_one_side(tmp_path: Path, mode: str, together: dict[str, bool], own_test: bool) -> None:
    files = copied_faces()
    outcome = run_on(
        files | (numbered("test/a") if own_test else {}),
        tmp_path,
        group_duplicates=mode,
        val_fraction=0.5,
        test_fraction=0.5,
    )
    if own_test:
        outcome = outcome._replace(test=outcome.test[:0])
    assert kinds_together(outcome) == together
    assert len(outcome.val) > 0


@given(seed=st.integers(0, 1000), val_fraction=st.floats(0.1, 0.7))
@settings(max_examples=8, deadline=None)
def test_no_copy_crosses_whatever_the_seed(
    tmp_path_factory: pytest.TempPathFactory, seed: int, val_fraction: float
) -> None:
    outcome = run_on(
        copied_faces(8), tmp_path_factory.mktemp("any"), seed=seed, val_fraction=val_fraction, test_fraction=0.4
    )
    assert (outcome.copies["first_split"] == outcome.copies["second_split"]).all()
    assert len(outcome.copies) == 8 * 3


def with_test_copies() -> dict[str, bytes]:
    """Copies: 0 exact across train and test, 1 near, 2 exact within train under two labels, 3 near within test."""
    jpeg = {seed: encoded(smooth(seed), "jpeg", quality=70) for seed in (1, 3)}
    return numbered("train/a", "train/b", images=10) | {
        "train/a/0.bmp": encoded(smooth(0), "bmp"),
        "test/a/0.png": encoded(smooth(0)),
        "train/a/1.jpg": jpeg[1],
        "test/b/1.png": encoded(smooth(1)),
        "train/a/2.bmp": encoded(smooth(2), "bmp"),
        "train/b/2.bmp": encoded(smooth(2), "bmp"),
        "test/a/3.png": encoded(smooth(3)),
        "test/a/3.jpg": jpeg[3],
    }


def test_report_counts_groups_conflicts_and_copies_of_the_test_set(tmp_path: Path) -> None:
    report = run_on(with_test_copies(), tmp_path, val_fraction=0.1).report
    assert report["copies"]["exact"] == {
        "groups": 2,
        "images_in_groups": 4,
        "groups_with_label_conflict": 1,  # 2
        "test_images_with_copy_in_train_or_val": 1,  # 0
    }
    assert report["copies"]["near"] == {
        "groups": 4,
        "images_in_groups": 8,
        "groups_with_label_conflict": 2,  # 1 and 2
        "test_images_with_copy_in_train_or_val": 2,  # 0 and 1
    }
    assert (report["dropped_from_train"], report["dropped_from_val"]) == (0, 0)


def test_table_of_copies_names_both_pictures(tmp_path: Path) -> None:
    copies = run_on(with_test_copies(), tmp_path, val_fraction=0).copies.set_index("first")
    rows = {(first, row["second"]): (row["kind"], bool(row["same_label"])) for first, row in copies.iterrows()}
    assert rows == {
        ("test/a/0.png", "train/a/0.bmp"): ("exact", True),
        ("test/b/1.png", "train/a/1.jpg"): ("near", False),
        ("train/a/2.bmp", "train/b/2.bmp"): ("exact", False),
        ("test/a/3.jpg", "test/a/3.png"): ("near", True),
    }
    assert (copies.loc["test/a/0.png", ["first_split", "second_split", "correlation"]] == ["test", "train", 1.0]).all()


def test_only_the_test_index_says_what_is_copied(tmp_path: Path) -> None:
    outcome = run_on(with_test_copies(), tmp_path)
    assert dict(zip(outcome.test["path"], outcome.test["copy"], strict=True)) == {
        "test/a/0.png": "exact", "test/b/1.png": "near", "test/a/3.png": "", "test/a/3.jpg": "",
    }  # fmt: skip
    assert "copy" not in outcome.train
    assert "copy" not in outcome.val


def test_the_test_set_has_no_say_in_the_validation_split(tmp_path: Path) -> None:
    files = {path: content for path, content in with_test_copies().items() if path.startswith("train/")}
    alone = run_on(files | {"test/a/x.png": encoded(noise(500))}, tmp_path / "one")
    copied = run_on(
        files | {"test/a/x.png": files["train/a/0.bmp"], "test/a/y.png": files["train/a/3.png"]}, tmp_path / "two"
    )
    assert alone.val.equals(copied.val)
    assert alone.train.equals(copied.train)


def test_training_copies_of_test_images_can_be_dropped(tmp_path: Path) -> None:
    kept = run_on(with_test_copies(), tmp_path / "kept")
    outcome = run_on(with_test_copies(), tmp_path / "dropped", drop_train_copies_of_test=True)
    assert set(kept.places()) - set(outcome.places()) == {"train/a/0.bmp", "train/a/1.jpg"}
    assert outcome.test.drop(columns="copy").equals(kept.test.drop(columns="copy"))
    assert (kept.test["copy"] != "").sum() == 2
    assert (outcome.test["copy"] != "").sum() == 0, "what was dropped is no copy any more: those pictures are unseen"
    report = outcome.report
    assert report["dropped_from_train"] + report["dropped_from_val"] == 2
    assert sum(report["images"][name]["total"] for name in ("train", "val")) == 24 - 2


def test_dropping_the_last_training_image_of_a_label_is_refused(tmp_path: Path) -> None:
    files = numbered("train/a", "test/a") | {"train/b/1.png": encoded(smooth(1)), "test/b/1.png": encoded(smooth(1))}
    with pytest.raises(DatasetError, match=r"left for \['b'\].*drop_train_copies_of_test: false"):
        run_on(files, tmp_path, drop_train_copies_of_test=True)


def test_broken_and_blank_pictures_are_split_like_others(tmp_path: Path) -> None:
    files = numbered("train/a", "train/b", "test/a", images=5) | {
        "train/a/broken.jpg": b"",
        "train/b/text.png": b"text",
        "train/b/blank.png": encoded(np.zeros((48, 48), np.uint8)),
        "test/a/grey.png": encoded(np.full((48, 48), 9, np.uint8)), "test/a/broken.jpg": b"",
    }  # fmt: skip
    outcome = run_on(files, tmp_path)
    assert sorted(outcome.places()) == sorted(files)
    assert outcome.copies[["first", "second"]].values.tolist() == [["test/a/broken.jpg", "train/a/broken.jpg"]]
