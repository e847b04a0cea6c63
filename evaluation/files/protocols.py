"""The evaluation protocols by name: tasks, thresholds and file formats.

    hacs, activitynet   tIoU 0.5:0.05:0.95, one task ("action"), JSON annotations with subsets
    ek100               tIoU 0.1:0.1:0.5, verb, noun and action from one submission (C2-Action-Detection)
    ek100-separate      the same, but a verb model and a noun model are each scored alone, action is not

The last two give numbers that must not be compared: the same two models have had 32.9 verb mAP separate
and 26.9 joint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation.metrics.detection import PROTOCOL_TIOU_THRESHOLDS
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.ek100_csv import read_ek100_csv
from video_datasets.formats.ek100_labels import action_name, split_label
from video_datasets.formats.ek100_submission import read_ek100_json
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.predictions import Predictions, is_hdf5, read_predictions

ACTIVITYNET_VERSION = "ActivityNet eval_detection.py 82304fa"
EK100_VERSION = "EPIC-KITCHENS C2-Action-Detection evaluate_detection_json_ek100.py 4835721"
PROPOSAL_VERSION = "ActivityNet eval_proposal.py 82304fa"
TIE_RULE = "ties: later in file first"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What tells one benchmark from another.

    Attributes:
        name: as on the command line.
        detection_version: the official evaluator of detections, with its commit, that the figures equal.
        tiou_thresholds: of mAP. AR@AN always uses 0.5:0.05:0.95.
        class_names: per scored task, what turns a label of the files into the class that counts.
        read_ground_truth: reader of the annotation file.
        read_submission: reader of the official submission format.
    """

    name: str
    detection_version: str
    tiou_thresholds: tuple[float, ...]
    class_names: Mapping[str, Callable[[str], str]]
    read_ground_truth: Callable[[str | Path], AnnotationTable]
    read_submission: Callable[[str | Path], Predictions]

    def version(self, task: str) -> str:
        """Say which figures these are: the official evaluator of the task, its commit, the rule for ties."""
        return f"{PROPOSAL_VERSION if task == 'proposals' else self.detection_version}; {TIE_RULE}"


def _verb(label: str) -> str:
    return str(split_label(label)[0])


def _noun(label: str) -> str:
    return str(split_label(label)[1])


def _action(label: str) -> str:
    return action_name(split_label(label)[2])


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        *(
            Protocol(
                name=name,
                detection_version=ACTIVITYNET_VERSION,
                tiou_thresholds=PROTOCOL_TIOU_THRESHOLDS[name],
                class_names={"action": str},
                read_ground_truth=read_activitynet_json,
                read_submission=read_detections_json,
            )
            for name in ("hacs", "activitynet")
        ),
        Protocol(
            name="ek100",
            detection_version=EK100_VERSION,
            tiou_thresholds=PROTOCOL_TIOU_THRESHOLDS["ek100"],
            class_names={"verb": _verb, "noun": _noun, "action": _action},
            read_ground_truth=read_ek100_csv,
            read_submission=read_ek100_json,
        ),
        Protocol(
            name="ek100-separate",
            detection_version=EK100_VERSION,
            tiou_thresholds=PROTOCOL_TIOU_THRESHOLDS["ek100-separate"],
            class_names={"verb": _verb, "noun": _noun},
            read_ground_truth=read_ek100_csv,
            read_submission=read_ek100_json,
        ),
    )
}


def read_predictions_file(path: str | Path, protocol: Protocol) -> Predictions:
    """Read predictions: columnar HDF5 or the submission JSON of the protocol, told by the first bytes.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is neither.
    """
    return read_predictions(path) if is_hdf5(Path(path)) else protocol.read_submission(path)
