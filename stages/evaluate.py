"""Score the members and their average on the test split."""

from stages._entry.start import START

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from emotion.dataset.votes import VotesParams, read_votes
from emotion.evaluation.crowd import against_the_crowd
from emotion.evaluation.heatmaps import heatmap_bytes
from emotion.evaluation.passes import check_models, measure_robustness, predict, saliency_maps, unanswered
from emotion.evaluation.results import evaluation_report, headline_report, plot_tables, variants_table
from emotion.evaluation.tables import confusion_table
from emotion.evaluation.views import views
from emotion.foundation.files import write_file, write_json
from emotion.foundation.params import Params
from emotion.runtime.pins import pin
from stages._entry.stage import Reads, Section, Values, run_stage


class MembersParams(Params):
    """What evaluation reads from the `model` section."""

    members: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(min_length=1, max_length=100)

    @field_validator("members")
    @classmethod
    def _distinct(cls, members: list[int]) -> list[int]:
        if len(set(members)) < len(members):
            raise ValueError("names a member twice; each must be a different seed")
        return members


class ViewsParams(Params):
    """The views of each face that predictions are averaged over, besides the face itself."""

    flip: bool
    shift_px: int = Field(ge=0, le=64)


class EvaluateParams(Params):
    """The `evaluate` section."""

    seed: int = Field(ge=0, lt=2**32)
    views: ViewsParams
    robustness: bool
    portable: bool
    intra_op_threads: int = Field(ge=1, le=1024)
    inter_op_threads: int = Field(ge=1, le=1024)


READS: Reads = {
    "params": Section("evaluate", EvaluateParams),
    "members": Values("model", MembersParams),
    "votes": Section("split.votes", VotesParams),
}


def evaluate(
    models: Path,
    val: Path,
    test: Path,
    index: Path,
    facts: Path,
    predictions: Path,
    variants: Path,
    confusion: Path,
    saliency: Path,
    plots: Path,
    report: Path,
    headline: Path,
    members: MembersParams,
    params: EvaluateParams,
    votes: VotesParams,
) -> None:
    """Predict the test split with the average of members and views; write predictions, scores, tables, saliency."""
    check_models(models, members.members)
    pin(**params.model_dump(include={"portable", "intra_op_threads", "inter_op_threads", "seed"}))
    from emotion.dataset.examples import examples
    from emotion.dataset.records.tfrecords import open_records
    from emotion.evaluation.members import load_members

    networks = load_members(models, members.members, portable=params.portable)
    first, faces = networks[0], open_records(test)
    held_out = examples(open_records(val), first.targets, labels=first.about.labels)
    blank = unanswered(index, test, faces, first.about.labels)
    results = predict(networks, faces, held_out, views(**params.views.model_dump()), blank)
    robustness = {}
    if params.robustness:
        robustness = measure_robustness(networks, faces.images, blank.label_indexes, seed=params.seed)
    crowd = against_the_crowd(results.final, read_votes(facts), votes, seed=params.seed)
    write_file(predictions, results.final.csv_parts())
    write_file(variants, variants_table(results))
    write_file(confusion, confusion_table(results.final))
    write_file(saliency, heatmap_bytes(saliency_maps(networks, faces, results.final)))
    for name, text in (plot_tables(results, robustness, seed=params.seed) | crowd.tables).items():
        write_file(plots / f"{name}.csv", text)
    scores = evaluation_report(results, robustness, learnt=first.about.prior, seed=params.seed)
    write_json(report, scores | crowd.report)
    write_json(headline, headline_report(scores))


if __name__ == "__main__":
    run_stage(evaluate, READS, START)
