"""Which stages run again after which change, and DVC's own commands, in a temporary Git repository."""

import copy
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import tiny
from tests.support.kaggle.stand_in import StandIn

EVERYTHING = {
    *("download", "split", "preprocess@train", "preprocess@val", "preprocess@test"),
    *("train@0", "evaluate", "report"),
}
FROM_SPLIT = EVERYTHING - {"download"}
FROM_PREPROCESS = FROM_SPLIT - {"split"}
FROM_TRAIN = {"train@0", "evaluate", "report"}


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"^Running stage '(.+)':$", output, re.MULTILINE))


class Project:
    """A copy of the project with tiny parameters, its pipeline run once and committed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=tiny.ROOT, capture_output=True, text=True, check=True)
        for name in tracked.stdout.split("\0"):
            if name and not name.startswith(("tests/", "results/", "docs/", "notebooks/", "metrics/", "dvc.lock")):
                target = root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(tiny.ROOT / name, target)
        tiny.write_params(root, {"train.epochs": 1})
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.run("git", "config", "user.email", "test@example.invalid")
        self.run("git", "config", "user.name", "test")
        self.commit("before")
        self.repro()
        self.commit("the tiny run")

    def run(self, *command: str, **changes: str) -> str:
        env = self.environment(**changes)
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def environment(self, **changes: str) -> dict[str, str]:
        # Not the outer PYTHONPATH: stages must come from this copy.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.root), "DVC_NO_ANALYTICS": "1", **changes}

    def repro(self, *arguments: str, **changes: str) -> set[str]:
        """Run the pipeline; returns the stages that ran (not those restored from the run cache)."""
        return stages_run(self.run("dvc", "repro", *arguments, **changes))

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def set_params(self, **changes: object) -> None:
        tiny.write_params(self.root, {"train.epochs": 1, **{key.replace("__", "."): v for key, v in changes.items()}})

    def append(self, file: str) -> None:
        with (self.root / file).open("a") as source:
            source.write("\n# edited\n")

    def back(self) -> None:
        """Return to the committed state and check that nothing has to run for it."""
        self.run("git", "checkout", "--quiet", ".")
        self.run("git", "clean", "--quiet", "--force", "-x", "data/local", "data/synthetic", "metrics")
        self.run("dvc", "checkout")  # clears what other parameters left, a second member's model say
        assert self.repro() == set()
        assert self.run("git", "status", "--porcelain") == ""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def edit(file: str) -> Callable[[Project], None]:
    return lambda project: project.append(file)


def change(**params: object) -> Callable[[Project], None]:
    return lambda project: project.set_params(**params)


def drop_a_zip(project: Project) -> None:
    with zipfile.ZipFile(project.root / "data/local/mine.zip", "w") as archive:
        archive.writestr("train/happy/1.png", b"")


def name_groups(project: Project) -> None:
    """Put groups beside the drawn faces: ten of them, by the last digit of their number."""
    with zipfile.ZipFile(project.root / "data/raw/faces.zip") as faces:
        rows = [f"{path},{path[-5]}" for path in faces.namelist()]
    (project.root / "data/synthetic/groups.csv").write_text("\n".join(["path,subject", *rows, ""]))


# What is changed -> what runs again. An edit that leaves a stage's outputs as they are stops the chain there.
QUICK = [
    ("nothing", lambda project: None, set()),
    ("a zip dropped into data/local", drop_a_zip, set()),
    ("a source that is not chosen", edit("emotion/sources/local/source.py"), set()),
    ("votes that are not chosen", edit("emotion/votes/ferplus/source.py"), set()),
    ("a network that is not chosen", edit("emotion/networks/stacked_cnn.py"), set()),
    ("a parameter of a network that is not chosen", change(model__stacked_cnn__dropout=0.1), set()),
    ("the figures", edit("emotion/report/charts.py"), {"report"}),
    ("evaluate.seed", change(evaluate__seed=7), {"evaluate", "report"}),
]
SLOW = [
    ("a file that every stage imports", edit("emotion/foundation/errors.py"), EVERYTHING),
    (
        "the archive's code",
        edit("emotion/dataset/archive/faces.py"),
        EVERYTHING - {"train@0"},
    ),
    ("data.synthetic.seed", change(data__synthetic__seed=5), EVERYTHING),
    ("split.group_by", change(split__group_by=r"_\d*(\d)\."), FROM_SPLIT),
    ("groups.csv without split.group_by", name_groups, {"download", "split", "evaluate", "report"}),
    ("split.val_fraction", change(split__val_fraction=0.3), FROM_SPLIT - {"preprocess@test"}),
    ("preprocess.size_px", change(preprocess__size_px=32), FROM_PREPROCESS),
    ("augment.shift", change(augment__shift=0.2), FROM_TRAIN),
    ("train.learning_rate", change(train__learning_rate=0.01), FROM_TRAIN),
    ("model.network", change(model__network="stacked_cnn", model__stacked_cnn__filters=2), FROM_TRAIN),
    ("one more member", change(model__members=[0, 1]), {"train@1", "evaluate", "report"}),
]


CHANGES = [pytest.param(*row, id=row[0]) for row in QUICK]
CHANGES += [pytest.param(*row, id=row[0], marks=pytest.mark.slow) for row in SLOW]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("what", "apply", "expected"), CHANGES)
def test_a_change_runs_exactly(
    project: Project, what: str, apply: Callable[[Project], None], expected: set[str]
) -> None:
    apply(project)
    assert project.repro() == expected
    project.back()


def write_votes(project: Project, *, changed: str = "") -> None:
    """Ten people on each drawn picture: two in ten see another label; in `changed` (its path) they are at odds."""
    with zipfile.ZipFile(project.root / "data/raw/faces.zip") as archive:
        paths = sorted(archive.namelist())
    labels = sorted({path.split("/")[1] for path in paths})
    rows = [",".join(["path", *labels])]
    for path in paths:
        place = labels.index(path.split("/")[1])
        votes = (
            {place: 8, (place + 1) % len(labels): 2} if path != changed else {place: 3, (place + 2) % len(labels): 7}
        )
        rows.append(",".join([path, *(str(votes.get(number, 0)) for number in range(len(labels)))]))
    (project.root / "data/synthetic/votes.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_votes_run_again_what_they_concern_and_nothing_else(project: Project) -> None:
    voted = {"data__votes": "file", "train__targets": "votes"}
    write_votes(project)
    assert project.repro() == {"download"}  # a file more beside the data, which data.votes does not ask for
    project.set_params(**voted)
    assert project.repro() == EVERYTHING
    with (project.root / "data/split/test.csv").open() as index:
        tested = next(csv.DictReader(index))["path"]
    write_votes(project, changed=tested)
    assert project.repro() == {"download", "split", "preprocess@test", "evaluate", "report"}
    project.set_params(**{**voted, "split__votes": {"outlier_votes": 1, "agreement": "plurality"}})
    assert {"split", "evaluate", "report"} <= project.repro() <= {"split", "preprocess@test", "evaluate", "report"}
    (project.root / "data/synthetic/votes.csv").unlink()
    project.back()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_changed_group_runs_what_it_moves(project: Project) -> None:
    name_groups(project)
    project.set_params(split__group_by="subject")
    project.repro()
    told = (project.root / "metrics/split.json").read_text()
    assert json.loads(told)["groups"]["groups"] == 10
    table = project.root / "data/synthetic/groups.csv"
    table.write_text(table.read_text().replace(",3\n", ",4\n"))
    ran = project.repro()
    assert ran >= {"download", "split", "evaluate", "report"}
    assert json.loads((project.root / "metrics/split.json").read_text())["groups"]["groups"] == 9
    project.set_params(split__group_by="person")
    with pytest.raises(AssertionError, match=r"names a column of groups\.csv, but it has \['subject'\]"):
        project.repro("split")
    project.back()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_removing_a_member_retrains_none_and_names_the_stale_model(project: Project) -> None:
    project.set_params(model__members=[0, 1])
    project.repro()
    project.commit("two members")
    project.set_params()
    with pytest.raises(AssertionError, match=r"models/1\.keras is not listed in model\.members.*dvc checkout"):
        project.repro()
    project.run("git", "checkout", "--quiet", ".")
    project.run("git", "reset", "--quiet", "--hard", "HEAD~1")
    project.run("dvc", "checkout")
    assert project.repro() == set()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_member_of_another_sitting_is_not_trained_again(project: Project, tmp_path: Path) -> None:
    clone = copy.copy(project)
    clone.root = tmp_path / "clone"  # has dvc.lock and the metrics, neither data nor cache
    project.run("git", "clone", "--quiet", str(project.root), str(clone.root))
    lock = clone.root / "dvc.lock"
    before = lock.read_text()
    clone.repro("preprocess")
    shutil.copytree(project.root / "models", clone.root / "models")
    clone.run("dvc", "commit", "--force", "train@0")
    assert lock.read_text() == before
    clone.set_params(model__members=[0, 1])
    assert clone.repro() == {"train@1", "evaluate", "report"}


@pytest.mark.timeout(900)
def test_experiments_run_queued_and_apart_and_diff(project: Project) -> None:
    project.run("dvc", "exp", "run", "--temp", "--name", "apart", "-S", "evaluate.seed=3")
    project.run("dvc", "exp", "run", "--queue", "--name", "queued", "-S", "evaluate.seed=4")
    project.run("dvc", "exp", "run", "--run-all")
    shown = json.loads(project.run("dvc", "exp", "show", "--json"))
    names = {experiment.get("name") for row in shown for experiment in row.get("experiments") or []}
    assert {"apart", "queued"} <= names
    assert "evaluate.seed" in project.run("dvc", "params", "diff", "HEAD", "apart")
    assert "metrics/evaluate.json" in project.run("dvc", "metrics", "diff", "--all", "HEAD", "apart")
    headline = project.run("dvc", "metrics", "diff", "--all", "HEAD", "apart", "--targets", "metrics/headline.json")
    assert 4 < len(headline.splitlines()) < 10 and max(map(len, headline.splitlines())) <= 80
    # `make test` runs this test, and a make within a make tells which folder it enters.
    make = ["make", "--no-print-directory", "-n", "experiments"]
    recipe = subprocess.run(make, cwd=tiny.ROOT, capture_output=True, text=True, check=True)
    command = recipe.stdout[recipe.stdout.index("dvc exp show") :]
    table = project.run("sh", "-c", command, COLUMNS="160")
    assert max(map(len, table.splitlines())) <= 160
    for shown_column in ("apart", "evaluate.seed", "test_accuracy", "test_calibration_error", "epochs"):
        assert shown_column in table
    assert "per_label" not in table and "images" not in table
    page = project.run("dvc", "plots", "diff", "HEAD", "apart")
    assert "index.html" in page
    assert '[id^="data_figures_"] { order: 2; }' in (project.root / "dvc_plots/index.html").read_text()
    project.back()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_experiment_run_apart_gives_the_bytes_of_dvc_repro(project: Project, tmp_path: Path) -> None:
    """From the commit without results, in a clone, whose cache is empty: `--temp` runs in yet another folder."""
    clone = tmp_path / "clone"
    project.run("git", "clone", "--quiet", str(project.root), str(clone))
    here, project.root = project.root, clone
    try:
        project.run("git", "reset", "--quiet", "--hard", "HEAD~1")
        assert not (clone / "dvc.lock").exists()
        output = project.run("dvc", "exp", "run", "--temp", "--name", "apart")
        assert stages_run(output) == EVERYTHING
        assert not (clone / "models").exists()
        project.run("dvc", "exp", "branch", "apart", "apart")
        # dvc.lock has the digest of every output; metrics and plots are in Git themselves.
        assert project.run("git", "diff", "origin/main", "apart") == ""
    finally:
        project.root = here


@pytest.mark.timeout(900)
def test_a_pulled_clone_has_nothing_to_run(project: Project, tmp_path: Path) -> None:
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    project.run("dvc", "remote", "add", "--local", "--default", "shelf", str(remote))
    project.run("dvc", "push")
    project.run("git", "clone", "--quiet", str(project.root), str(clone))
    here, project.root = project.root, clone
    try:
        project.run("dvc", "remote", "add", "--local", "--default", "shelf", str(remote))
        project.run("dvc", "pull")
        assert project.repro() == set()
        assert (clone / "models/0.keras").read_bytes() == (here / "models/0.keras").read_bytes()
        assert project.run("git", "status", "--porcelain") == ""
    finally:
        project.root = here


def wait_for(condition: Callable[[], bool], *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_dvc_leaves_its_child_training_which_the_next_names_and_later_goes_on_from(project: Project) -> None:
    state = project.root / ".cache/train/0"
    shutil.rmtree(state)
    project.set_params(train__epochs=100)

    def epochs_done() -> int:
        timings = state / "timings.csv"
        return timings.read_text().count("\n") if timings.exists() else 0

    with (project.root / ".cache/printed").open("w") as printed:  # not a pipe: the child outlives its reader
        command = [sys.executable, "-m", "dvc", "repro", "train"]
        dvc = subprocess.Popen(command, cwd=project.root, env=project.environment(), stdout=printed, stderr=printed)
        wait_for(lambda: epochs_done() >= 1)
        dvc.kill()
        dvc.wait()
    child = int((state / "pid").read_text())
    try:
        seen = epochs_done()
        wait_for(lambda: epochs_done() > seen)
        os.kill(child, signal.SIGSTOP)  # so that it is there still when the next one comes, however slow that is
        with pytest.raises(AssertionError) as refused:
            project.repro("train")
        named = f"train: process {child} is training this member already"
        assert str(refused.value).count(named) == 1
        assert "Traceback" not in str(refused.value)
        assert child != dvc.pid
        assert f"`kill {child}`" in str(refused.value)
        os.kill(child, signal.SIGTERM)  # what the message says to do
    finally:
        os.kill(child, signal.SIGCONT)
    with FileLock(state / "lock", timeout=60):  # until the child is gone
        assert epochs_done() < 100
    resumed = project.run("dvc", "repro", "train")
    assert re.search(r"going on after epoch [1-9]", resumed)
    interrupted = tiny.outputs(project.root)
    shutil.rmtree(state)
    assert "going on" not in project.run("dvc", "repro", "--force", "--single-item", "train@0")
    assert tiny.outputs(project.root) == interrupted
    project.back()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_pipeline_runs_from_kaggle_as_from_the_same_zip_in_data_local(project: Project) -> None:
    with zipfile.ZipFile(project.root / "data/raw/faces.zip") as faces:
        files = {name: faces.read(name) for name in faces.namelist()}
    served = io.BytesIO()
    with zipfile.ZipFile(served, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    project.set_params(data__source="kaggle", data__kaggle__dataset="someone/faces/1")
    with StandIn(served.getvalue()) as stand_in:
        ran = project.repro(**stand_in.environment())
    assert {"download", "report"} <= ran
    assert json.loads((project.root / "metrics/data.json").read_text())["origin"]["dataset"] == "someone/faces"
    from_kaggle = (project.root / "data/raw/faces.zip").read_bytes()
    (project.root / "data/local/mine.zip").write_bytes(served.getvalue())
    project.set_params(data__source="local")
    project.repro("download")
    assert (project.root / "data/raw/faces.zip").read_bytes() == from_kaggle
    project.back()


def test_invalid_parameters_stop_a_stage_before_it_works(project: Project) -> None:
    project.set_params(split__val_fraction=2.5)
    with pytest.raises(AssertionError, match=r"split\.val_fraction: 2\.5"):
        project.repro("split")
    project.back()
