"""The stated rules of labelling tools' readers and writers, on small files written by hand as
the tools write them."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from runtime.errors import InputError
from video_datasets.dataset import load_dataset
from video_datasets.formats.tools.boris import read_boris, write_boris
from video_datasets.formats.tools.boris_export import read_boris_export
from video_datasets.formats.tools.elan import read_elan
from video_datasets.formats.tools.elan_write import write_elan
from video_datasets.formats.tools.feral import read_feral, write_feral
from video_datasets.formats.tools.fiftyone import read_fiftyone
from video_datasets.formats.tools.frame_clock import FrameClock
from video_datasets.formats.tools.label_studio import label_config, read_label_studio, write_label_studio
from video_datasets.formats.tools.labelling import (
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    lines,
    tracks_of,
    writable,
)
from video_datasets.formats.tools.merging import best, merged
from video_datasets.formats.tools.mmaction import read_mmaction
from video_datasets.formats.tools.plain_labels import read_label_csv, write_label_csv
from video_datasets.formats.tools.table import tool_of
from video_datasets.formats.tools.tool_files import media_id, read_bytes, read_table_text
from video_datasets.formats.tools.tool_media import Media
from video_datasets.formats.tools.via3 import read_via3
from video_datasets.settings import DataConfig

AT_25 = LabelReading(lambda _: FrameClock(25.0))


def saved(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def boris_project(events: list, files: list[str] | None = None, **observation: Any) -> dict[str, Any]:
    files = files or ["/data/a.mp4"]
    media = {"length": dict.fromkeys(files, 10.0), "fps": dict.fromkeys(files, 25.0)}
    behaviours = {"0": ("State event", "run"), "1": ("Point event", "peck"), "2": ("State event", "never")}
    content = {
        "type": "MEDIA",
        "file": {"1": files, "2": []},
        "events": events,
        "media_info": media,
        "time offset": 0.0,
    }
    return {
        "behaviors_conf": {key: {"type": kind, "code": code} for key, (kind, code) in behaviours.items()},
        "observations": {"o": {**content, **observation}},
    }


# ---- BORIS


def test_boris_pairs_events_by_behaviour_subject_and_modifiers(tmp_path: Path) -> None:
    events = [
        [4.0, "B", "run", "", "score=0.5; source=m"],  # another subject in between
        [1.0, "A", "run", "fast", ""],
        [2.0, "A", "run", "fast", ""],
        [6.0, "B", "run", "", "", 150],  # six fields
        [7.0, "A", "run", "", ""],  # never stops
        [8.0, "A", "peck", "", ""],
    ]
    found = read_boris(saved(tmp_path / "p.boris", boris_project(events)), LabelReading())
    assert found.videos[0].bouts == (Bout(1, 2, "run", "A"), Bout(4, 6, "run", "B", "m", 0.5))
    assert found.labels == ("run", "peck", "never")
    lost, remarks = lines(found.notes.lost), lines(found.notes.remarks)
    assert any("'run' begins at 7 s and never stops, left out" in line for line in lost)
    assert any("point event 'peck' left out; a half width (--point-half-width" in line for line in lost)
    assert any("never used for a segment: peck, never" in line for line in remarks)
    assert any("2 subjects (A, B)" in line for line in remarks)


def test_boris_point_events_are_widened_on_request(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.boris", boris_project([[0.2, "", "peck", "", ""], [8.0, "", "peck", "", ""]]))
    found = read_boris(path, LabelReading(point_half_width_s=0.5)).videos[0].bouts
    assert [(bout.start_s, bout.end_s) for bout in found] == [(0.0, 0.7), (7.5, 8.5)]


def test_a_data_set_states_the_half_width_of_its_point_events(tmp_path: Path) -> None:
    events = [[0.2, "", "peck", "", ""], [8.0, "", "peck", "", ""]]
    saved(tmp_path / "p.boris", boris_project(events))
    words = {"root": str(tmp_path), "format": "boris", "annotations": "p.boris"}
    (video,) = load_dataset(DataConfig(**words, point_half_width_s=0.5)).videos.values()
    assert [(segment.start_s, segment.end_s) for segment in video.segments] == [(0.0, 0.7), (7.5, 8.5)]
    with pytest.raises(InputError, match=r"no usable labelled segment.*data.point_half_width_s"):
        load_dataset(DataConfig(**words))
    with pytest.raises(ValueError, match="half_width_s must be at least 0, found -1"):
        DataConfig(**words, point_half_width_s=-1)


def test_boris_files_one_after_the_other(tmp_path: Path) -> None:
    events = [[time_s, "", "run", "", ""] for time_s in (1.0, 2.0, 9.0, 12.0, 13.0, 14.0)]
    found = read_boris(saved(tmp_path / "p.boris", boris_project(events, ["a.mp4", "b.mp4"])), LabelReading())
    assert [(bout.start_s, bout.end_s) for bout in found.videos[0].bouts] == [(1, 2), (9, 10)]
    assert [(bout.start_s, bout.end_s) for bout in found.videos[1].bouts] == [(0, 2), (3, 4)]
    assert any("goes on in the next file, cut in two" in line for line in lines(found.notes.remarks))


def test_boris_time_offset_is_taken_off(tmp_path: Path) -> None:
    project = boris_project(
        [[101.0, "", "run", "", ""], [102.0, "", "run", "", ""]], **{"time offset": 100.0}
    )
    assert read_boris(saved(tmp_path / "p.boris", project), LabelReading()).videos[0].bouts == (
        Bout(1, 2, "run"),
    )


def test_boris_compressed_and_as_utf16(tmp_path: Path) -> None:
    text = json.dumps(boris_project([[1.0, "", "run", "", ""], [2.0, "", "run", "", ""]]))
    (tmp_path / "p.boris.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "q.boris").write_bytes(text.encode("utf-16"))
    for name in ("p.boris.gz", "q.boris"):
        assert tool_of(tmp_path / name).name == "boris"
        assert len(read_boris(tmp_path / name, LabelReading()).videos[0].bouts) == 1


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([[1.0, "", "run"]], "observation 'o', event 0: expected .* found 3 values"),
        ([["soon", "", "run", "", ""]], "observation 'o', event 0: expected a number, found 'soon'"),
        ([[1.0, None, "run", "", ""]], "observation 'o', event 0: expected text, found None"),
        ([7], "observation 'o', event 0: expected a list, found 7"),
    ],
)
def test_boris_refusals_say_where(events: list, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "p.boris", boris_project(events))
    with pytest.raises(InputError, match=rf"p\.boris: {message}"):
        read_boris(path, LabelReading())


def test_boris_gives_overlapping_bouts_a_subject_of_their_own(tmp_path: Path) -> None:
    bouts = (Bout(1, 5, "run", "A"), Bout(2, 6, "run", "A"), Bout(3, 4, "run"))
    notes = Notes()
    path = tmp_path / "p.boris"
    write_boris(path, Labelling((AnnotatedVideo("a", bouts),), ("run",)), Media(), notes)
    found = read_boris(path, LabelReading()).videos[0].bouts
    assert found == (Bout(1, 5, "run", "A"), Bout(2, 6, "run", "A #2"), Bout(3, 4, "run"))
    assert any("overlapping 'run' written under the subject 'A #2'" in line for line in lines(notes.remarks))


# ---- exports of BORIS


AGGREGATED = (
    "Observation id,Media file name,FPS (frame/s),Subject,Behavior,Behavior type,Start (s),Stop (s),"
    "Comment start\n"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("new", AGGREGATED + "o,/v/a.mp4,25,No focal subject,run,STATE,1.0,2.5,late\n"),
        (
            "old",
            AGGREGATED.replace("Media file name", "Media file")
            + "o,a.mp4,25,No focal subject,run,STATE,1,2.5,\n",
        ),
        (
            "source",
            AGGREGATED.replace("Media file name", "Source") + "o,player #1:a.mp4,25,,run,STATE,1,2.5,\n",
        ),
        ("tabs", (AGGREGATED + "o,a.mp4,25,No focal subject,run,STATE,1.0,2.5,late\n").replace(",", "\t")),
        ("semicolons", (AGGREGATED + "o,a.mp4,25,,run,STATE,1.0,2.5,late\n").replace(",", ";")),
        (
            "tabular",
            "Observation id,Media file name,Subject,Behavior,Behavior type,Time\n"
            "o,a.mp4,,run,START,1.0\no,a.mp4,,run,STOP,2.5\n",
        ),
        (
            "tabular with preamble",
            "Observation id,o,,,\n,,,,\nTime offset (s),10.0,,,\n\n"
            "Time,Media file path,Subject,Behavior,Status\n11.0,a.mp4,,run,START\n12.5,a.mp4,,run,STOP\n",
        ),
    ],
)
def test_boris_exports(name: str, text: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "export.csv", text)
    assert tool_of(path).name == "boris-export"
    (video,) = read_boris_export(path, LabelReading()).videos
    assert (video.video_id, video.bouts) == ("a", (Bout(1.0, 2.5, "run"),))


def test_boris_export_of_several_files_is_left_out(tmp_path: Path) -> None:
    rows = "o,a.mp4,25,,run,STATE,1,2,\no,b.mp4,25,,run,STATE,11,12,\nq,c.mp4,25,,run,STATE,1,2,\n"
    found = read_boris_export(saved(tmp_path / "export.csv", AGGREGATED + rows), LabelReading())
    assert [video.video_id for video in found.videos] == ["c"]
    assert any("'o': 2 media files, left out" in line for line in lines(found.notes.lost))


def test_boris_export_refusals_say_where(tmp_path: Path) -> None:
    path = saved(tmp_path / "export.csv", AGGREGATED + "o,a.mp4,25,,run,STATE,soon,2,\n")
    with pytest.raises(
        InputError, match=r"export\.csv: line 2, 'Start \(s\)': expected a number, found 'soon'"
    ):
        read_boris_export(path, LabelReading())
    path = saved(tmp_path / "export.csv", AGGREGATED + "o,a.mp4\n")
    with pytest.raises(InputError, match=r"line 2: expected 9 cells and a behaviour, found 2 cells"):
        read_boris_export(path, LabelReading())


# ---- ELAN


def eaf(tiers: str, slots: str, header: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT FORMAT="2.7"><HEADER TIME_UNITS="milliseconds">'
        f"{header}</HEADER><TIME_ORDER>{slots}</TIME_ORDER>{tiers}</ANNOTATION_DOCUMENT>"
    )


def aligned(name: str, start: str, end: str, value: str = "") -> str:
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}" TIME_SLOT_REF1="{start}" TIME_SLOT_REF2="{end}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


def referring(name: str, to: str, value: str) -> str:
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{to}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


def tier(name: str, content: str, more: str = "") -> str:
    return f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="t" {more}>{content}</TIER>'


def slots(**times: int | None) -> str:
    return "".join(
        f'<TIME_SLOT TIME_SLOT_ID="{name}"' + ("/>" if time is None else f' TIME_VALUE="{time}"/>')
        for name, time in times.items()
    )


def test_elan_chains_missing_slots_and_offset(tmp_path: Path) -> None:
    header = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/a.wav" MIME_TYPE="audio/x-wav"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/my%20day.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="500"/>'
    )
    words = (
        aligned("a1", "s1", "s2", "one")
        + aligned("a2", "s2", "s3", "two")
        + aligned("a3", "s3", "s4", "three")
    )
    tiers = (
        tier("w", words, 'PARTICIPANT="Anna" ANNOTATOR="Ben"')
        + tier("gloss", referring("r1", "a2", "2"))
        + tier("deep", referring("r2", "r1", "II"))
        + tier("wave", aligned("a4", "s1", "s4"))
    )
    path = saved(tmp_path / "x.eaf", eaf(tiers, slots(s1=1000, s2=None, s3=None, s4=4000), header))
    (video,) = read_elan(path, LabelReading()).videos
    assert video.video_id == "my day"
    assert set(video.bouts) == {
        Bout(1.5, 2.5, "one", "Anna", "Ben"),
        Bout(2.5, 3.5, "two", "Anna", "Ben"),
        Bout(3.5, 4.5, "three", "Anna", "Ben"),
        Bout(2.5, 3.5, "2"),
        Bout(2.5, 3.5, "II"),
        Bout(1.5, 4.5, "wave"),  # no value: the tier's name
    }


def test_elan_without_time_on_one_side_is_left_out(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "x.eaf", eaf(tier("w", aligned("a1", "s1", "s2", "one")), slots(s1=1000, s2=None))
    )
    found = read_elan(path, LabelReading())
    assert found.videos[0].bouts == ()
    assert any("annotation without a time, left out" in line for line in lines(found.notes.lost))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
            "line 1: expected plain XML, found <!DOCTYPE",
        ),
        ("<html></html>", "expected <ANNOTATION_DOCUMENT> of ELAN, found <html>"),
        ('<?xml version="1.0" encoding="zip"?><a/>', "found encoding 'zip'"),
        (eaf(tier("w", referring("r1", "r2", "x") + referring("r2", "r1", "y")), ""), "found 'r1' again"),
        (
            eaf(tier("w", aligned("a1", "s1", "s9")), slots(s1=0)),
            "annotation 'a1': expected a known time slot, found 's9'",
        ),
        (
            eaf("", '<TIME_SLOT TIME_SLOT_ID="s" TIME_VALUE="soon"/>'),
            "time slot 's': expected a number, found 'soon'",
        ),
        (eaf("", "")[:80], "expected XML, found something else or a file cut off"),
    ],
)
def test_elan_refusals_say_where(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_elan(saved(tmp_path / "x.eaf", text), LabelReading())
    assert "x.eaf: " in str(error.value)


def test_elan_tiers_hold_no_overlap_and_nothing_of_no_length(tmp_path: Path) -> None:
    bouts = (
        Bout(1, 3, "run"),
        Bout(2, 4, "run"),
        Bout(2, 2.0001, "sit"),
        Bout(3, 3.5, "run", "Anna", "m", 0.25),
    )
    notes = Notes()
    path = tmp_path / "a.eaf"
    write_elan(path, Labelling((AnnotatedVideo("a", bouts),), ("run", "sit")), Media(), notes)
    tiers = [element.get("TIER_ID") for element in ElementTree.parse(path).getroot().iterfind("TIER")]
    assert tiers == ["run", "run #2", "sit", "run (Anna)", "run (Anna) score"]
    assert any("overlapping 'run' written to 2 tiers" in line for line in lines(notes.remarks))
    found = read_elan(path, LabelReading()).videos[0].bouts
    assert Bout(2, 2.001, "sit") in found
    assert Bout(3, 3.5, "run", "Anna", "m", 0.25) in found


def test_elan_files_are_valid_by_the_schema_of_the_tool(shared: Path, tmp_path: Path) -> None:
    xmlschema = pytest.importorskip("xmlschema")
    path = tmp_path / "a.eaf"
    bouts = (Bout(1, 3, "run", "Anna", "m", 0.25), Bout(2, 4, "run", "Anna", "m", 0.5))
    write_elan(path, Labelling((AnnotatedVideo("a", bouts),), ("run",)), Media(), Notes())
    xmlschema.validate(path, shared / "cases" / "annotation_tools" / "EAFv3.0.xsd")


def test_an_eaf_file_holds_one_video(tmp_path: Path) -> None:
    two = Labelling((AnnotatedVideo("a"), AnnotatedVideo("b")))
    with pytest.raises(
        InputError, match=r"one\.eaf: an \.eaf file holds one video, found 2; name a folder instead"
    ):
        write_elan(tmp_path / "one.eaf", two, Media(), Notes())


# ---- VIA, Label Studio, FiftyOne, FERAL, mmaction2


def via_project(**segments: dict) -> dict[str, Any]:
    return {
        "attribute": {
            "1": {
                "aname": "TEMPORAL-SEGMENTS",
                "anchor_id": "FILE1_Z2_XY0",
                "type": 4,
                "options": {"0": "run"},
            },
            "2": {"aname": "mood", "anchor_id": "FILE1_Z2_XY0", "type": 1, "options": {}},
            "3": {"aname": "box", "anchor_id": "FILE1_Z1_XY1", "type": 1, "options": {}},
        },
        "file": {
            "7": {"fid": "7", "fname": "a.mp4", "type": 4, "loc": 2, "src": "https://x.org/v/a%20b.mp4?k=1"}
        },
        "view": {"1": {"fid_list": ["7"]}},
        "metadata": segments,
    }


def test_via_options_free_text_points_and_regions(tmp_path: Path) -> None:
    project = via_project(
        k1={"vid": "1", "z": [1, 2.5], "xy": [], "av": {"1": "0", "2": "happy"}},
        k2={"vid": "1", "z": [1.5, 3], "xy": [], "av": {"1": "typed"}},
        k3={"vid": "1", "z": [4], "xy": [], "av": {"1": "0"}},
        k4={"vid": "1", "z": [4], "xy": [2, 0, 0, 5, 5], "av": {"1": "0"}},
        k5={"vid": "1", "z": [6, 7], "xy": [], "av": {}},
    )
    found = read_via3(saved(tmp_path / "v.json", project), LabelReading(point_half_width_s=0.5))
    assert found.videos[0].video_id == "a b"
    assert found.videos[0].bouts == (Bout(1, 2.5, "run"), Bout(1.5, 3, "typed"), Bout(3.5, 4.5, "run"))
    lost = lines(found.notes.lost)
    assert any("segment 'k4': a region in a picture" in line for line in lost)
    assert any("segment 'k5': no label" in line for line in lost)
    with pytest.raises(InputError, match="segment 'k': expected a view of a file, found '9'"):
        read_via3(
            saved(tmp_path / "v.json", via_project(k={"vid": "9", "z": [1, 2], "xy": [], "av": {}})),
            LabelReading(),
        )


def label_studio_task(region: dict[str, Any], **data: Any) -> list[dict[str, Any]]:
    return [
        {"data": {"video": "/data/local-files/?d=v%2Fa.mp4", **data}, "annotations": [{"result": [region]}]}
    ]


TIMELINE = {
    "type": "timelinelabels",
    "value": {"ranges": [{"start": 3, "end": 5}], "timelinelabels": ["run"]},
}


def test_label_studio_counts_frames_from_one_with_both_ends(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.json", label_studio_task(TIMELINE, fps=10))
    assert read_label_studio(path, LabelReading()).videos[0].bouts == (Bout(0.2, 0.5, "run"),)
    assert read_label_studio(path, AT_25).videos[0].bouts == (
        Bout(2 / 25, 5 / 25, "run"),
    )  # the video's own rate
    path = saved(tmp_path / "t.json", label_studio_task(TIMELINE))
    with pytest.raises(InputError, match=r"task 0, video 'a', annotations 0: frames are counted.*--fps"):
        read_label_studio(path, LabelReading())


@pytest.mark.parametrize(
    ("address", "video_id"),
    [
        ("/data/upload/3/5f0c2a1b-kitchen_01.mp4", "kitchen_01"),
        ("https://host/data/upload/5f0c2a1b-v_kitchen.mp4", "kitchen"),
        ("/data/upload/3/ab-kitchen.mp4", "ab-kitchen"),
        ("/data/local-files/?d=5f0c2a1b-kitchen.mp4", "5f0c2a1b-kitchen"),
    ],
)
def test_label_studio_gives_uploaded_videos_a_prefix(tmp_path: Path, address: str, video_id: str) -> None:
    tasks = [{"data": {"video": address}, "annotations": [{"result": [TIMELINE]}]}]
    (video,) = read_label_studio(saved(tmp_path / "t.json", tasks), AT_25).videos
    assert video.video_id == video_id


def test_label_studio_labels_are_seconds(tmp_path: Path) -> None:
    region = {"type": "labels", "value": {"start": 1.25, "end": 2.5, "labels": ["run", "fast"]}}
    found = read_label_studio(saved(tmp_path / "t.json", label_studio_task(region)), LabelReading())
    assert set(found.videos[0].bouts) == {Bout(1.25, 2.5, "run"), Bout(1.25, 2.5, "fast")}


def test_label_studio_passes_over_what_is_no_stretch_of_time(tmp_path: Path) -> None:
    tasks = label_studio_task({"type": "choices", "value": {"choices": ["x"]}})
    tasks[0]["annotations"].append({"was_cancelled": True, "result": [TIMELINE]})
    found = read_label_studio(saved(tmp_path / "t.json", tasks), AT_25)
    assert found.videos[0].bouts == ()
    assert len(found.notes.lost) == 2


def test_label_studio_writes_predictions_and_a_configuration(tmp_path: Path) -> None:
    path, notes = tmp_path / "t.json", Notes()
    video = AnnotatedVideo("a", (Bout(0.2, 0.5, "run & sit", "", "m", 0.5), Bout(1, 2, "run & sit")))
    write_label_studio(path, Labelling((video,), ("run & sit",)), Media(fps=10.0), notes)
    (task,) = json.loads(path.read_text())
    assert task["predictions"][0]["result"][0]["value"]["ranges"] == [{"start": 3, "end": 5}]
    assert task["predictions"][0]["model_version"] == "m"
    assert len(task["annotations"][0]["result"]) == 1
    config = ElementTree.fromstring(label_config(("run & sit",)))
    assert [label.get("value") for label in config.iter("Label")] == ["run & sit"]
    assert any("label configuration" in line for line in lines(notes.remarks))


def test_formats_that_count_frames_ask_for_the_rate(tmp_path: Path) -> None:
    one = Labelling((AnnotatedVideo("a", (Bout(0, 1, "run"),)),), ("run",))
    for write in (write_label_studio, write_feral):
        with pytest.raises(InputError, match=r"video 'a': frames are counted.*--videos"):
            write(tmp_path / "t.json", one, Media(), Notes())


def test_fiftyone_positions_names_and_frames(tmp_path: Path) -> None:
    labels = {
        "a": [{"label": 0, "timestamps": [1, 2], "confidence": 0.5}, {"label": "sit", "support": [1, 25]}],
        "b": None,
    }
    path = saved(tmp_path / "labels.json", {"classes": ["run"], "labels": labels})
    found = read_fiftyone(tmp_path, AT_25)
    assert found.videos[0].bouts == (Bout(0, 1, "sit"), Bout(1, 2, "run", "", "", 0.5))
    assert found.videos[1].bouts == ()
    with pytest.raises(InputError, match=r"video 'a', detection 1: frames are counted"):
        read_fiftyone(path, LabelReading())


def test_feral_one_class_or_several_a_frame(tmp_path: Path) -> None:
    content = {"class_names": {"0": "other", "1": "run", "2": "sit"}, "splits": {"val": ["a.mp4"]}}
    path = saved(tmp_path / "f.json", {**content, "labels": {"a.mp4": [0, 1, 1, 2, 0]}})
    (video,) = read_feral(path, AT_25).videos
    assert video.bouts == (Bout(1 / 25, 3 / 25, "run"), Bout(3 / 25, 4 / 25, "sit"))
    assert video.subset == "validation"
    several = [[0, 1, 0], [0, 1, 1], [0, 0, 1]]
    path = saved(tmp_path / "f.json", {**content, "labels": {"a.mp4": several}})
    assert read_feral(path, AT_25).videos[0].bouts == (Bout(0, 2 / 25, "run"), Bout(1 / 25, 3 / 25, "sit"))


@pytest.mark.parametrize("frames", [[0, 7], [[0, 1], [1]], ["run"], [[0, 1]], [0.5], [-1]])
def test_feral_refuses_other_frames(frames: list, tmp_path: Path) -> None:
    content = {"class_names": {"0": "other", "1": "run", "2": "sit"}, "labels": {"a.mp4": frames}}
    with pytest.raises(InputError, match=r"f\.json: video 'a\.mp4': expected a class 0 to 2 a frame"):
        read_feral(saved(tmp_path / "f.json", content), AT_25)


def test_feral_frames_must_be_as_many_as_the_video_has(tmp_path: Path) -> None:
    content = {"class_names": {"0": "other"}, "labels": {"a.mp4": [0, 0, 0]}}
    reading = LabelReading(lambda _: FrameClock(25.0, np.arange(5) / 25))
    with pytest.raises(InputError, match="expected 4 frames as the video has, found 3"):
        read_feral(saved(tmp_path / "f.json", content), reading)


def test_mmaction2(tmp_path: Path) -> None:
    entry = {
        "duration_second": 82.1,
        "fps": 24.0,
        "annotations": [{"segment": [6.2, 13.9], "label": "Archery"}],
    }
    path = saved(tmp_path / "anet_anno_val.json", {"v_abc": entry})
    assert tool_of(path).name == "mmaction2"
    (video,) = read_mmaction(path, LabelReading()).videos
    assert (video.video_id, video.subset, video.bouts) == ("abc", "validation", (Bout(6.2, 13.9, "Archery"),))


def test_csv_with_the_columns_of_labelling_tools(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    bouts = (Bout(0.1, 0.2, "run", "A", "m", 0.125), Bout(0.3, 0.4, "run"))
    write_label_csv(path, Labelling((AnnotatedVideo("a", bouts), AnnotatedVideo("b"))), Media(), Notes())
    assert path.read_text().splitlines()[0] == "video,start_s,end_s,label,subset,subject,source,score"
    assert [video.bouts for video in read_label_csv(path, LabelReading()).videos] == [bouts, ()]


# ---- what all share


@pytest.mark.parametrize(
    ("text", "video_id"),
    [
        ("file:///data/my%20day.mp4", "my day"),
        ("/data/upload/3/ab-kitchen.mp4", "ab-kitchen"),
        ("C:\\videos\\a.b.avi", "a.b"),
        ("https://x.org/v.mp4?token=1#t=3", "v"),
        ("../../etc/v_abc.webm", "abc"),
    ],
)
def test_ids_of_media(text: str, video_id: str) -> None:
    assert media_id(text, "here") == video_id


@pytest.mark.parametrize("text", ["", "..", "a/.hidden", "x\n.mp4"])
def test_media_without_a_safe_id_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="here: unsafe video id"):
        media_id(text, "here")


def test_size_is_bounded_also_behind_gzip(tmp_path: Path) -> None:
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"[" * 5_000_000))
    (tmp_path / "large.json").write_bytes(b"[" * 2_000_000)
    for name in ("bomb.gz", "large.json"):
        with pytest.raises(InputError, match=f"{name}: expected at most 1 MiB, found more"):
            read_bytes(tmp_path / name, max_bytes=2**20)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"[1, 2, 3]" * 99)[:-9])
    with pytest.raises(InputError, match=r"cut\.gz: damaged gzip file"):
        read_bytes(tmp_path / "cut.gz")


def test_tables_of_excel_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("Müller".encode("cp1252"))
    assert read_table_text(tmp_path / "t.csv") == "Müller"


def test_one_video_in_two_subsets_is_refused(tmp_path: Path) -> None:
    tasks = label_studio_task(TIMELINE, subset="training") + label_studio_task(TIMELINE, subset="validation")
    with pytest.raises(InputError, match="video 'a' stands in two subsets, 'training' and 'validation'"):
        read_label_studio(saved(tmp_path / "t.json", tasks), AT_25)


def test_unknown_files_name_the_formats(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"x\.json: expected a file of one of these: boris .* found a json with \['a'\]"
    ):
        tool_of(saved(tmp_path / "x.json", {"a": 1}))


def test_tracks_do_not_overlap() -> None:
    bouts = [Bout(0, 2, "run"), Bout(1, 3, "run"), Bout(2, 4, "run"), Bout(0, 9, "sit")]
    tracks = tracks_of(bouts)
    assert tracks[("run", "", "")] == [[Bout(0, 2, "run"), Bout(2, 4, "run")], [Bout(1, 3, "run")]]
    assert tracks[("sit", "", "")] == [[Bout(0, 9, "sit")]]


def test_what_no_tool_holds_is_left_out() -> None:
    bad = (
        Bout(2, 1, "a"),
        Bout(1, 1, "a"),
        Bout(-1, 1, "a"),
        Bout(0, math.inf, "a"),
        Bout(0, 1, " "),
        Bout(0, 1, "\ud800"),
        Bout(math.nan, 1, "a"),
    )
    notes = Notes()
    kept = writable(Labelling((AnnotatedVideo("v", (*bad, Bout(0, 1, "a"))),)), notes)
    assert kept.videos[0].bouts == (Bout(0, 1, "a"),)
    assert sum(notes.lost.values()) == len(bad)


def test_best_keeps_labels_and_the_highest_scores() -> None:
    bouts = (
        Bout(0, 1, "a", score=0.1),
        Bout(1, 2, "a", score=0.9),
        Bout(2, 3, "a", score=0.5),
        Bout(3, 4, "a"),
    )
    kept = best(Labelling((AnnotatedVideo("v", bouts),)), min_score=0.2, top=1)
    assert kept.videos[0].bouts == (bouts[1], bouts[3])


def test_merge_tells_the_person_from_the_model() -> None:
    model = tuple(Bout(start_s, start_s + 1.0, "a", source="m", score=0.5) for start_s in (0.0, 2.0, 4.0))
    corrected = (
        replace(model[0], start_s=0.0004, source="", score=None),  # rounded by the tool
        replace(model[1], end_s=3.5),  # moved
        Bout(6, 7, "b"),  # added
    )
    notes = Notes()
    found = merged(
        Labelling((AnnotatedVideo("v", corrected),)), Labelling((AnnotatedVideo("v", model),)), 0.001, notes
    )
    assert [(bout.source, bout.score) for bout in found.videos[0].bouts[:1]] == [("m", 0.5)]
    assert [bout.source for bout in found.videos[0].bouts[1:]] == ["person", "person"]
    assert all(bout.score is None for bout in found.videos[0].bouts[1:])
    assert lines(notes.remarks) == [
        "video 'v': 2 bouts by a person, 1 as the model wrote them, 2 of the model's moved, relabelled or deleted"
    ]


# ---- frames


def test_frame_clock_of_a_variable_rate() -> None:
    clock = FrameClock(2.0, np.array([0.0, 0.1, 0.2, 1.9, 2.0]))
    assert clock.is_variable
    assert clock.edges(0.09, 1.8) == (1, 3)
    assert clock.edges(1.99, 5.0) == (3, 4)  # at least one frame, none behind the end
    assert [clock.time_s(edge) for edge in (1, 3, 4, 5)] == [0.1, 1.9, 2.0, 2.5]
    assert not FrameClock(25.0, np.arange(100) / 25 + 0.001).is_variable
