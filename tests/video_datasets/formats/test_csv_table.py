"""CSV files as people write them: what has one meaning is read, the rest is refused with all its
lines."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.csv_table import Column, clock_seconds, read_csv
from video_datasets.formats.own_csv import read_own_csv

HEADER = "video,start_s,end_s,label\n"
POUR = (("a",), [3.25], [8.5], ("pour",))


def _found(table: AnnotationTable) -> tuple[object, ...]:
    return table.video_ids, table.start_s.tolist(), table.end_s.tolist(), table.labels


def _read(folder: Path, content: str | bytes) -> AnnotationTable:
    path = folder / "segments.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_own_csv(path)


ONE_MEANING = {
    "capitals": "Video,Start,END,Label\na,3.25,8.5,pour\n",
    "blanks": " video , start_s,end_s ,label\n a , 3.25,8.5 ,  pour \n",
    "blank before a quote": HEADER + 'a, 3.25, 8.5, "pour"\n',
    "semicolons and decimal commas": "video;start_s;end_s;label\na;3,25;8,5;pour\n",
    "semicolons and points": "video;start_s;end_s;label\na;3.25;8.5;pour\n",
    "tabs": "video\tstart_s\tend_s\tlabel\na\t3,25\t8,5\tpour\n",
    "decimal commas in quotes": HEADER + 'a,"3,25","8,5",pour\n',
    "separator declared": "sep=;\nvideo;start_s;end_s;label\na;3,25;8,5;pour\n",
    "comment in front": "# mine\n\n" + HEADER + "a,3.25,8.5,pour\n",
    "index column": ",video,start_s,end_s,label\n0,a,3.25,8.5,pour\n",
    "further columns": "id,label,video,start_s,end_s,remark\n7,pour,a,3.25,8.5,\n",
    "empty lines": HEADER + "\na,3.25,8.5,pour\n,,,\n\n",
    "empty cells at the end": HEADER + "a,3.25,8.5,pour,,\n",
    "byte order mark": b"\xef\xbb\xbf" + (HEADER + "a,3.25,8.5,pour\r\n").encode(),
    "UTF-16": (HEADER + "a,3.25,8.5,pour\n").encode("utf-16"),
    "minutes": HEADER + "a,0:03.25,00:08.5,pour\n",
    "hours": HEADER + 'a,00:00:03.25,"0:00:08,500",pour\n',
    "exponents": HEADER + "a,325e-2,+8.5,pour\n",
}


@pytest.mark.parametrize("content", ONE_MEANING.values(), ids=ONE_MEANING)
def test_what_has_one_meaning_is_read(tmp_path: Path, content: str | bytes) -> None:
    assert _found(_read(tmp_path, content)) == POUR


TWO_MEANINGS = {
    HEADER + "a,3,2,8,5,pour\n": "line 2: 6 cells under a header of 4.*double quotes",
    HEADER + "a,3,8,cut, onion\n": "line 2: 5 cells under a header of 4",
    HEADER + "a,3,8\n": "line 2: 3 cells under a header of 4.*cut off",
    HEADER + 'a,"1,250",2000,pour\n': r"line 2: 'start_s' .*decimals, or thousands\? write 1.250 or 1250",
    "video;start_s;end_s;label\na;3,2;8.5;x\n": "line 2: decimals with both a comma .* and a point",
    HEADER + "a,1.234,5e,x\n": "line 2: 'end_s' must be a number of seconds, found '5e'",
    HEADER + "a,nan,5,x\n": "line 2: 'start_s' must be a number of seconds, found 'nan'",
    HEADER + "a,1_0,50,x\n": "found '1_0'",
    HEADER + "a,00:00:03:12,00:00:09:00,x\n": "line 2: 'start_s' must be seconds, mm:ss or hh:mm:ss",
    HEADER + "a,0:75:00,1:80:00,x\n": "bad timestamp '0:75:00'",
    HEADER + 'a,1,2,"x\nb,1,2,y\n': "line 2: cannot be read",
    "video,start_s,end_s,label,Label\na,1,2,x,y\n": "the column 'label' twice",
    b"video,start_s,end_s,label\na,1,2,\xdcberholen\nb,1,2,\xdcben\n": (
        r"2 errors:\n.*line 2: expected UTF-8 text.*Überholen.*\n.*line 3.*Üben.*save the file as UTF-8"
    ),
}


@pytest.mark.parametrize(("content", "message"), TWO_MEANINGS.items())
def test_what_has_two_meanings_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, content)


def test_all_errors_of_a_file_come_at_once(tmp_path: Path) -> None:
    lines = ["a,x,2,run", "b,1,2,run", "c,1,2,run,too much", ",1,2,run", "d,1,2,", "b.mp4,1,y,run"]
    with pytest.raises(InputError, match="5 errors:") as caught:
        _read(tmp_path, HEADER + "\n".join(lines) + "\n")
    found = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert found == ["line 2", "line 4", "line 5", "line 6", "line 7"]


def test_an_id_and_its_file_are_one_video(tmp_path: Path) -> None:
    table = _read(tmp_path, HEADER + "lab_03,1,2,run\nlab_03.mp4,3,4,run\nlab_03,5,6,run\n")
    assert table.video_ids == ("lab_03",)


def test_lines_are_counted_through_cells_of_several_lines(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 4: 'start_s'"):
        _read(tmp_path, HEADER + 'a,1,2,"two\nlines"\nb,x,2,run\n')


CELLS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=8).filter(lambda text: text != "")


@given(
    st.lists(st.tuples(CELLS, st.floats(0, 1e4), CELLS), max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, float, str]],
    separator: str,
    encoding: str,
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([("id", "time", "what"), *rows])
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    table = read_csv(path, (Column(("what",)), Column(("time", "t")), Column(("id",))))
    assert not table.errors
    found = [(id, table.seconds(line, time, "time"), what) for line, (what, time, id) in table.rows]
    table.refuse_errors()
    assert found == rows


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_clocks(hours: int, minutes: int, seconds: int, thousandths: int) -> None:
    short = f"{minutes}:{seconds:02}.{thousandths:03}"
    expected = minutes * 60 + seconds + thousandths / 1000
    assert clock_seconds(short) == pytest.approx(expected)
    assert clock_seconds(f"{hours}:{minutes:02}:{seconds:02}.{thousandths:03}") == pytest.approx(
        hours * 3600 + expected
    )
