"""Faces from frame to frame: followed, found anew, numbered; labels that hold still."""

from itertools import pairwise

import numpy as np
import pytest

from emotion.inference.detector import Box, Found, YuNet, overlap
from emotion.inference.predictor import Predictor
from emotion.inference.tracking import FaceTracker, Follower
from tests.inference.test_photographs import portrait
from tests.inference.test_video import tracker_of
from tests.support.sample_pictures import canvas_with

RATE = 25


class Counting(YuNet):
    """Counts the frames that it searches."""

    searched = 0

    def find(self, image: np.ndarray) -> list[Found]:
        self.searched += 1
        return super().find(image)


def portraits(*lefts: int) -> np.ndarray:
    """A plain frame with a portrait at each of `lefts`: uint8 [360, 640, 3]."""
    frame, head = np.full((360, 640, 3), 150, np.uint8), portrait()[::3, ::3]
    for left in lefts:
        frame[80:280, left : left + head.shape[1]] = head
    return frame


def test_a_moving_face_is_followed_and_the_frame_seldom_searched():
    detector, wholly = Counting(longest_px=480), YuNet(longest_px=480)
    follower, boxes = Follower(detector), []
    for step in range(RATE):
        frame = portraits(40 + 6 * step)
        (face,) = follower.find(frame, boxes[-1:], step / RATE)
        boxes.append(face.box)
    assert overlap(boxes[-1], wholly.find(frame)[0].box) > 0.6
    assert detector.searched <= 5  # a second has five intervals of SEARCH_EVERY_S


def test_a_face_that_jumps_is_found_in_the_same_frame():
    detector = Counting(longest_px=480)
    follower = Follower(detector)
    (before,) = follower.find(portraits(40), [], 0.0)
    (after,) = follower.find(portraits(400), [before.box], 0.04)
    assert after.box.left - before.box.left == pytest.approx(360, abs=20)
    assert detector.searched == 2


def test_a_new_face_beside_one_that_is_followed_waits_a_fifth_of_a_second_at_most():
    tracker = FaceTracker(Predictor().for_video())
    tracker.update(portraits(40), 0.0)
    seen = [len(tracker.update(portraits(40, 400), step / RATE)) for step in range(1, 7)]
    assert seen[-1] == 2 and sorted(seen) == seen


def test_two_faces_side_by_side_stay_two():
    tracker = FaceTracker(Predictor().for_video())
    for step in range(8):
        tracks = tracker.update(portraits(100 + step, 240 - step), step / RATE)
        assert sorted(track.number for track in tracks) == [1, 2]


def test_another_detector_searches_every_frame():
    calls = []

    class Mine:
        def find(self, image: np.ndarray) -> list[Found]:
            calls.append(image.shape)
            return [Found(Box(10, 10, 40, 40), 1.0)]

    follower = Follower(Mine())
    for step in range(4):
        assert len(follower.find(np.zeros((60, 80, 3), np.uint8), [Box(10, 10, 40, 40)], step / RATE)) == 1
    assert calls == [(60, 80, 3)] * 4


@pytest.mark.parametrize(
    ("away_s", "left", "number"),
    [(1.0, 100, 1), (1.0, 400, 2), (3.0, 100, 2)],
    ids=["a second later, at its place", "elsewhere", "three seconds later"],
)
def test_a_person_who_leaves_and_returns(away_s, left, number):
    tracker = FaceTracker(Predictor().for_video())
    assert [track.number for track in tracker.update(portraits(100), 0.0)] == [1]
    for step in range(1, round(10 * away_s)):
        assert tracker.update(portraits(), step / 10) == []
    assert [track.number for track in tracker.update(portraits(left), away_s)] == [number]


class NowAndThen:
    """Finds a face in some of the frames."""

    def __init__(self, *found: bool) -> None:
        self._found = iter(found)

    def find(self, image: np.ndarray) -> list[Found]:
        return [Found(Box(10, 10, 40, 40), 1.0)] if next(self._found) else []


def test_what_a_face_showed_before_it_was_away_counts_less_with_time():
    tracker, frame = tracker_of([np.eye(7)[0], np.eye(7)[3]], smoothing_s=0.4), np.zeros((60, 60, 3), np.uint8)
    tracker.follower = Follower(NowAndThen(True, False, True))
    for time_s in (0.0, 1.56, 1.6):
        tracks = tracker.update(frame, time_s)
    assert [track.number for track in tracks] == [1]
    assert tracks[0].probabilities[3] == pytest.approx(1 - np.exp(-4))


def changes_in_half_a_minute(smoothing_s: float) -> int:
    """Of the label of a face between two labels, whose probabilities a camera's noise moves by 0.1."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(30 * RATE):
        tilt = rng.normal(0, 0.1)
        rows.append(np.array([0.4 + tilt, 0.0, 0.0, 0.4 - tilt, 0.2, 0.0, 0.0]))
    tracker, frame = tracker_of(rows, smoothing_s=smoothing_s), np.zeros((60, 60, 3), np.uint8)
    labels = [tracker.describe(tracker.update(frame, step / RATE)[0]).label for step in range(len(rows))]
    return sum(one != other for one, other in pairwise(labels))


def test_the_label_of_a_still_face_between_two_holds():
    assert changes_in_half_a_minute(0.0) > 150 and changes_in_half_a_minute(0.4) <= 1


def test_a_noisy_portrait_keeps_its_label():
    tracker, rng, labels = FaceTracker(Predictor().for_video()), np.random.default_rng(0), []
    for step in range(RATE):
        noisy = portraits(200) * rng.normal(1, 0.02) + rng.normal(0, 8, (360, 640, 3))
        (track,) = tracker.update(np.clip(noisy, 0, 255).astype(np.uint8), step / RATE)
        labels.append(tracker.describe(track).label)
    assert len(set(labels)) == 1 and track.number == 1


def test_small_frames_and_faces_at_the_edge_are_followed():
    tracker = FaceTracker(Predictor().for_video())
    for step in range(6):
        (track,) = tracker.update(canvas_with([(0, 0, 100)], height=100, width=110), step / RATE)
    assert track.number == 1 and track.box.width > 50
