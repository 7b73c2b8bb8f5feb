"""Every fault of network, site and file: nothing is lost, the message helps, and a healthy run follows."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import repeat
from typing import Any

import pytest

from tests.support.kaggle.project import (
    DATASET,
    ETAG,
    FACES,
    HALF,
    IMPATIENT,
    LINK,
    OTHER_FACES,
    Project,
    flipped,
    origin,
    with_member,
)
from tests.support.kaggle.stand_in import (
    Delivery,
    Refusal,
    StandIn,
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how the stage must end, and what it must leave in the cache."""

    name: str
    says: str  # a regular expression of the output
    code: int = 1
    left: str = ""  # names in the cache: "zip", "zip.part", "zip.part.json"
    refusals: Callable[[], Any] = tuple
    deliveries: Callable[[], Any] = tuple
    anonymous: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    got: int | None = None  # bytes that must be in the partial file


KEPT = "zip.part zip.part.json"
DONE = "zip"
# Long enough for the healthy answers before the fault, on a machine that is busy.
DELETED = "(?s:.*)It was deleted, nothing else was changed: run the stage again"


def always(delivery: Delivery) -> Callable[[], Iterator[Delivery]]:
    return lambda: repeat(delivery)


def once(*deliveries: Delivery) -> Callable[[], tuple[Delivery, ...]]:
    return lambda: deliveries


def refused(*refusals: Refusal) -> Callable[[], tuple[Refusal, ...]]:
    return lambda: refusals


def bad_zip(name: str, content: bytes, says: str) -> Fault:
    return Fault(name, says + DELETED, deliveries=once(Delivery(content=content, etag=ETAG)))


FAULTS = [
    Fault("cut once", "broke off.*trying again", 0, DONE, deliveries=once(Delivery(cut_after=HALF))),
    Fault("cut always", r"gave up after 3.*is kept", 1, KEPT, deliveries=always(Delivery(cut_after=500)), got=1500),
    Fault(
        "cut, then the address has expired",
        "broke off.*trying again",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF, expires_after=2)),
    ),
    Fault(
        "cut, then every address has expired",
        "the storage answered HTTP 400; gave up after 3",
        1,
        KEPT,
        deliveries=lambda: iter([Delivery(cut_after=HALF), *[Delivery(expires_after=0)] * 9]),
        got=HALF,
    ),
    Fault(
        "addresses that expire between the package's request and ours",
        "the storage answered HTTP 400; gave up after 3",
        deliveries=always(Delivery(expires_after=1)),
    ),
    Fault(
        "a storage that hangs up",
        "cannot reach the storage storage.example: .*the connection broke; gave up after 3",
        deliveries=always(Delivery(hangs_up_after=1)),
    ),
    Fault(
        "one flipped byte",
        "no intact zip" + DELETED,
        deliveries=once(Delivery(content=flipped(FACES, HALF), etag=ETAG)),
    ),
    Fault("a length too large", "gave up after 3", 1, KEPT, deliveries=always(Delivery(length_error=7))),
    Fault("a length too small", "no intact zip" + DELETED, deliveries=once(Delivery(length_error=-7))),
    Fault("no length, no etag", "", 0, DONE, deliveries=once(Delivery(headers={"Content-Length": ""}, etag=""))),
    Fault("cut without an etag", "broke off", 0, DONE, deliveries=once(Delivery(cut_after=HALF, etag=""))),
    Fault(
        "cut, then ranges are ignored",
        "broke off",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF), Delivery(ignores_range=True)),
    ),
    Fault(
        "cut, then another object, whole",
        "broke off",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF, content=OTHER_FACES)),
    ),
    Fault(
        "cut, then a part that is too short",
        "bytes came where [0-9,]+ were announced",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF), Delivery(length_error=-7)),
    ),
    Fault(
        "cut, then another object without an etag, cut",
        "gave up after 3",
        1,
        "zip.part",
        deliveries=once(Delivery(cut_after=HALF), *[Delivery(content=OTHER_FACES, etag="", cut_after=500)] * 2),
    ),
    Fault(
        "cut, then a part of another object",
        "another part than the one",
        0,
        DONE,
        deliveries=once(Delivery(cut_after=HALF, content=OTHER_FACES), Delivery(ignores_if_range=True)),
    ),
    Fault(
        "401",
        r"without signing in \(HTTP 401\).*no credentials(?s:.*)settings/api(?s:.*)data.source to synthetic",
        anonymous=False,
    ),
    Fault("403", r"HTTP 403.*terms are not accepted.*kaggle.com/datasets/ada/faces", refusals=refused(Refusal(403))),
    Fault("404", r"no dataset ada/faces, version 1 \(HTTP 404\)", refusals=refused(Refusal(404))),
    Fault("418", "HTTP 418.*not expected", refusals=refused(Refusal(418))),
    Fault(
        "429 with Retry-After",
        r"HTTP 429; trying again in 1\.0 s",
        0,
        DONE,
        refusals=refused(Refusal(429, {"Retry-After": "1"})),
    ),
    Fault(
        "429 that asks for an hour",
        "asks to come back in 3600 s",
        refusals=refused(Refusal(429, {"Retry-After": "3600"})),
    ),
    Fault(
        "429 that asks for a date",
        "asks to come back in 3[56][0-9]{2} s",
        refusals=lambda: [Refusal(429, {"Retry-After": formatdate(time.time() + 3600, usegmt=True)})],
    ),
    Fault(
        "429 that asks in riddles",
        r"HTTP 429; trying again in 0\.0 s",
        0,
        DONE,
        refusals=refused(Refusal(429, {"Retry-After": "later"})),
    ),
    Fault(
        "cut always, with a weak etag",
        "gave up after 3",
        1,
        "zip.part",
        deliveries=always(Delivery(cut_after=500, etag='W/"weak"')),
    ),
    Fault("500 twice", "(?s)HTTP 500; trying.*HTTP 500; trying", 0, DONE, refusals=refused(Refusal(500), Refusal(500))),
    Fault("500 always", "HTTP 500; gave up after 3", refusals=lambda: repeat(Refusal(500))),
    Fault("503 of the storage", "storage answered HTTP 503; trying", 0, DONE, deliveries=once(Delivery(status=503))),
    Fault(
        "an API that never answers",
        "cannot reach Kaggle: no answer in time; gave up after 1",
        refusals=refused(Refusal(0, hangs=True)),
        settings={"EMOTION_KAGGLE_TIMEOUT_SECONDS": "0.3", "EMOTION_KAGGLE_RETRIES": "0"},
    ),
    Fault(
        "an endless slow body",
        "too slow: [0-9]+ bytes in [0-9]+ s; gave up after 1",
        1,
        "zip.part",
        deliveries=always(Delivery(drip_s=0.02)),
        settings=IMPATIENT,
    ),
    Fault(
        "a body that stops",
        "broke off: no answer in time; gave up after 1",
        1,
        KEPT,
        deliveries=always(Delivery(hold_after=HALF)),
        settings=IMPATIENT,
        got=HALF,
    ),
    Fault(
        "HTML instead of a zip",
        "sent text/html instead of a zip; a login page",
        deliveries=once(Delivery(content=b"<!DOCTYPE html>", content_type="text/html; charset=utf-8")),
    ),
    Fault(
        "HTML that claims to be a zip",
        r"no intact zip .*<!DOCTYPE",
        deliveries=once(Delivery(content=b"<!DOCTYPE html><html>login</html>")),
    ),
    Fault(
        "HTML instead of an address",
        "answered with text/html instead of an address",
        refusals=refused(Refusal(200, body=b"<!DOCTYPE html>")),
    ),
    Fault("an error with status 200", "HTTP 403.*terms are not accepted", refusals=refused(Refusal(200, code=403))),
    bad_zip(
        "a member outside the root", with_member("train/happy/../../../evil.png"), "lies outside the archive's root"
    ),
    bad_zip("a link", with_member("train/happy/a.png", b"/etc/passwd", attributes=LINK), "is a link or a device"),
    bad_zip("a zip bomb", with_member("train/happy/a.png", file_size=300 << 20), "would unpack to 314,"),
    bad_zip("a truncated zip", FACES[:-HALF], "no intact zip"),
    bad_zip("an empty file", b"", "no intact zip"),
    bad_zip("a zip of something else", b"PK\5\6" + bytes(18), "no image; found nothing"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_loses_nothing_and_a_healthy_run_follows(fault: Fault, project: Project, expected: bytes) -> None:
    project.settings = fault.settings
    before = project.data()
    with StandIn(
        FACES, refusals=fault.refusals(), deliveries=fault.deliveries(), anonymous=fault.anonymous
    ) as stand_in:
        code, output = project.run(stand_in)
        assert (code, bool(re.search(fault.says, output))) == (fault.code, True), output
        assert project.left() == set(fault.left.split())
        if fault.got is not None:
            assert project.partial.read_bytes() == FACES[: fault.got]
        if fault.code:
            assert project.data() == before

        stand_in.heal()
        project.settings = {}
        project.run_here(stand_in)
    assert project.archive.read_bytes() == expected
    assert project.left() == {"zip"}
    assert origin(project) == {"dataset": DATASET, "version": 1}
