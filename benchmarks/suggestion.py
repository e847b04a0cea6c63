"""Labelling by suggestion against labelling by chance: a simulated annotator on a data set whose
labels are all there.

    python -m benchmarks.suggestion run configs/hacs_mini.yaml --store features.h5 --out mini.json
    python -m benchmarks.suggestion plot mini.json other.json --out docs/pictures/suggestion.svg

Each round trains a head (`head=temporalmaxer`, so many steps however much is labelled) on the
videos labelled so far, through the stages of a run; then the annotator labels as many more training
videos as the next budget asks for: those that `pipeline.suggest --by uncertainty` puts first, or
any. Both begin with the same videos, drawn until every class is among them. The features stay as
they are, and should come from a network that has not seen the labels of these videos: with
`data.training_subset=validation` both parts are drawn from those it was validated on. Finished
rounds are read from --out, and not done again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.stages import STAGES, load_config
from pipeline.uncertainty import uncertain_stretches
from runtime.atomic import write_json
from runtime.command import limit_spinning, run_of_words
from runtime.exit_codes import EXIT_SKIPPED_ITEMS
from runtime.paths import user_path
from video_datasets.dataset import VideoDataset, load_dataset
from video_datasets.formats.submission_json import read_detections_json

WAYS = ("random", "uncertainty")
UNLABELLED = "unlabelled"
BATCH = 4
_STAGES = ("features", "one_stage", "proposals", "classification", "evaluation")


@dataclass(frozen=True)
class Round:
    """What came of training on some videos.

    Attributes:
        way: how they were chosen.
        labelled: their ids.
        ranking: the videos still unlabelled, the most uncertain first.
    """

    way: str
    seed: int
    minutes: float
    average_map: float
    labelled: list[str]
    ranking: list[str]


@dataclass(frozen=True)
class Study:
    """What all rounds share.

    Attributes:
        config: file of the run.
        words: `key=value` that go before those of a round.
        dataset: with all its labels.
        training: ids of the videos to choose from.
        validation: ids of those that figures come from.
        steps: of training a head.
    """

    config: str
    words: tuple[str, ...]
    dataset: VideoDataset
    training: list[str]
    validation: list[str]
    steps: int

    def labels(self, video_id: str) -> set[str]:
        """Classes that a video shows."""
        return {segment.label for segment in self.dataset.videos[video_id].segments}

    def train(self, way: str, seed: int, labelled: Sequence[str]) -> Round:
        """Train on some videos, and detect in all others."""
        minutes = sum(self.dataset.videos[name].duration_s for name in labelled) / 60
        with TemporaryDirectory() as folder:
            write_json(Path(folder) / "annotations.json", self._annotations(labelled))
            run = Path(folder) / "run"
            self._run_stages([f"seed={seed}", f"run_dir={run}", *self._words_of_round(folder, len(labelled))])
            average = json.loads((run / "metrics.json").read_text())["average_mAP"]["action"]
            pool = [name for name in self.training if name not in labelled]
            ranking = self._most_uncertain(pool, run / "classification") if pool else []
        return Round(way, seed, minutes, average, sorted(labelled), ranking)

    def _annotations(self, labelled: Sequence[str]) -> dict[str, object]:
        """In the layout of HACS; of the other training videos nothing is known."""
        subsets = dict.fromkeys(self.training, UNLABELLED)
        subsets |= dict.fromkeys(labelled, "training") | dict.fromkeys(self.validation, "validation")
        database = {}
        for name, subset in subsets.items():
            video = self.dataset.videos[name]
            segments = () if subset == UNLABELLED else video.segments
            rows = [{"segment": [s.start_s, s.end_s], "label": s.label} for s in segments]
            database[name] = {"subset": subset, "duration": video.duration_s, "annotations": rows}
        return {"database": database}

    def _words_of_round(self, folder: str, count: int) -> list[str]:
        epochs = max(round(self.steps * BATCH / count), 1)
        return [
            "head=temporalmaxer",
            "data.mini=false",
            "data.format=hacs",
            f"data.annotations={Path(folder).resolve()}/annotations.json",
            "data.training_subset=training",
            "data.validation_subset=validation",
            f"one_stage.batch_size={BATCH}",
            f"one_stage.epochs={epochs}",
            f"one_stage.validate_every_epochs={epochs}",
            f"one_stage.warmup_epochs={epochs / 8}",
            f"one_stage.weight_average_decay={1 - 10 / self.steps}",  # 0.999 would not forget the first step
        ]

    def _run_stages(self, words: Sequence[str]) -> None:
        for name in _STAGES:
            code = run_of_words(STAGES[name], STAGES, self.config, [*self.words, *words], whole_run=True)
            if code > EXIT_SKIPPED_ITEMS:
                raise SystemExit(f"stage {name} ended with code {code}")

    def _most_uncertain(self, pool: Sequence[str], classification: Path) -> list[str]:
        """Rank as `pipeline.suggest` does, each video one stretch."""
        found = read_detections_json(classification / f"detections_{UNLABELLED}.json")
        position = {name: index for index, name in enumerate(found.videos)}
        stretches = []
        for name in pool:
            rows = np.flatnonzero(found.video_index == position.get(name, -1))
            segments_s = np.stack([found.start_s[rows], found.end_s[rows]], axis=1)
            labels = [found.labels[number] for number in found.label[rows]]
            duration_s = self.dataset.videos[name].duration_s
            stretches += uncertain_stretches(
                name, duration_s, duration_s, segments_s, found.score[rows], labels
            )
        return [stretch.video_id for stretch in sorted(stretches, key=lambda stretch: -stretch.value)]


def start_set(study: Study, count: int, rng: np.random.Generator) -> list[str]:
    """Draw videos until every class is among them."""
    while True:
        drawn: list[str] = rng.choice(study.training, size=count, replace=False).tolist()
        if set().union(*map(study.labels, drawn)) == set(study.dataset.labels):
            return drawn


def some(names: list[str], most: int) -> list[str]:
    """Draw so many names, the same ones every time, in their order."""
    drawn = np.random.default_rng(0).permutation(len(names))[:most]
    return [names[index] for index in sorted(drawn.tolist())]


def follow(study: Study, way: str, seed: int, budgets: Sequence[int], done: list[Round], out: Path) -> None:
    """Label and train in turns; each round is written as it ends."""
    rng = np.random.default_rng(seed)
    labelled, ranking = [], start_set(study, budgets[0], rng)
    for budget in budgets:
        labelled = [*labelled, *ranking[: budget - len(labelled)]]
        # The first round is the same both ways, and so is the last where all videos are labelled.
        known = [one for one in done if (one.seed, one.labelled) == (seed, sorted(labelled))]
        found = replace(known[0], way=way) if known else study.train(way, seed, labelled)
        if found not in done:
            done.append(found)
            write_json(out, [asdict(one) for one in done])
        print(
            f"seed {seed}  {way:11s} {budget:4d} videos {found.minutes:6.1f} min  "
            f"average mAP {100 * found.average_map:5.1f} %",
            flush=True,
        )
        ranking = found.ranking if way == "uncertainty" else rng.permutation(found.ranking).tolist()


def run(arguments: argparse.Namespace) -> None:
    """Follow both ways for every seed."""
    limit_spinning()
    words = (*arguments.overrides, f"features.store={arguments.store.resolve()}")
    config = load_config(arguments.config, words)
    dataset = load_dataset(config.data)
    pool, held_out = (
        [video.video_id for video in dataset.subset(name)]
        for name in (config.data.training_subset, config.data.validation_subset)
    )
    training = some(pool, arguments.most[0])
    validation = some([name for name in held_out if name not in training], arguments.most[1])
    study = Study(arguments.config, words, dataset, training, validation, arguments.steps)
    out: Path = arguments.out
    done = [Round(**row) for row in json.loads(out.read_text())] if out.exists() else []
    for seed in arguments.seeds:
        for way in WAYS:
            follow(study, way, seed, [min(n, len(training)) for n in arguments.videos], done, out)


def plot(arguments: argparse.Namespace) -> None:
    """Draw the curves of several studies, seeds thin and their mean thick."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "suggestion", "font.size": 9})
    figure, axes = pyplot.subplots(
        1, len(arguments.studies), figsize=(4.2 * len(arguments.studies), 3), squeeze=False
    )
    for axis, path in zip(axes[0], arguments.studies, strict=True):
        rounds = [Round(**row) for row in json.loads(path.read_text())]
        for way, colour in zip(WAYS, ("#777777", "#c2410c"), strict=True):
            curves = []
            for seed in sorted({one.seed for one in rounds}):
                chosen = [one for one in rounds if (one.way, one.seed) == (way, seed)]
                curves.append([(one.minutes, 100 * one.average_map) for one in chosen])
                axis.plot(*np.transpose(curves[-1]), color=colour, linewidth=0.7, alpha=0.5)
            rounds_of_all = min(map(len, curves))
            mean = np.mean([curve[:rounds_of_all] for curve in curves], axis=0)
            axis.plot(*mean.T, color=colour, marker="o", markersize=3, label=way)
        axis.set(title=path.stem, xlabel="labelled minutes", ylabel="average mAP (%)")
        axis.grid(alpha=0.3)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(arguments.out, metadata={"Date": None})


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="follow the annotator")
    runs.set_defaults(act=run)
    runs.add_argument("config", help="of a run")
    runs.add_argument("overrides", nargs="*", metavar="key=value")
    runs.add_argument("--store", type=user_path, required=True, help="features of all videos")
    runs.add_argument("--out", type=user_path, required=True, metavar="FILE.json")
    runs.add_argument(
        "--videos", type=int, nargs="+", default=[8, 16, 32, 64], help="labelled, round by round"
    )
    runs.add_argument(
        "--most",
        type=int,
        nargs=2,
        default=[10**9, 10**9],
        metavar="N",
        help="take so many training videos, drawn, and so many of the other validation videos",
    )
    runs.add_argument("--steps", type=int, default=300, help="of training a head (default 300)")
    runs.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    plots = commands.add_parser("plot", help="draw what came of it")
    plots.set_defaults(act=plot)
    plots.add_argument("studies", type=user_path, nargs="+", metavar="FILE.json")
    plots.add_argument("--out", type=user_path, required=True, metavar="FILE.svg")
    arguments = parser.parse_args(argv)
    arguments.act(arguments)


if __name__ == "__main__":
    main()
