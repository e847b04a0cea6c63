"""The doctor tells what is installed, and finds a package that hides one of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest
import torch

from pipeline import doctor

ROOT = Path(__file__).resolve().parents[2]


def test_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert found["av"]["found"] == av.__version__
    assert found["torch"]["found"] == torch.__version__
    assert found["packages"] == {"found": f"all in {ROOT}", "ok": True}
    assert str(torch.get_num_threads()) in found["threads"]["found"]
    assert {"decoder", "devices", "locks", "disk", "encoding"} <= found.keys()


def test_lines_fit_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    doctor.main([])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) < 80 or " " not in line.strip() for line in lines)  # a path may be longer
    assert "libavcodec" in " ".join(lines)


def test_a_folder_of_the_user_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training/__init__.py").write_text("")
    paths = [str(tmp_path), str(ROOT)]
    code = f"import sys; sys.path[:0] = {paths!r}; import pipeline.doctor as d; sys.exit(d.main([]))"
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 1, found.stderr
    words = " ".join(found.stdout.split())
    assert f"packages ! training is {tmp_path / 'training/__init__.py'}" in words
