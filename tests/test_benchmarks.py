"""Benchmarks that need what a test machine lacks run here on small sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, scale


@pytest.mark.slow
def test_the_measurements_of_a_device_run_on_the_cpu() -> None:
    found = gpu.measure(torch.device("cpu"), gpu.SMALL)
    assert json.loads(json.dumps(found)) == {**found, "sizes": json.loads(json.dumps(found["sizes"]))}
    lines = {(figure["group"], figure["case"]): figure for figure in found["figures"]}
    assert all(figure["seconds"] > 0 for figure in lines.values())
    for group in ("backbone forward", "backbone training", "BMN training", "small head inference"):
        assert next(figure["ratio"] for (of, _), figure in lines.items() if of == group) == 1.0
    assert "the device waits" in lines["extraction", "2 decoders"]["note"]


@pytest.mark.slow
def test_what_grows_how_is_measured(tmp_path: Path) -> None:
    found = scale.measure(64, tmp_path, scale.START_UP)
    assert found["entries"] == [8, 16, 32, 64]
    assert set(found["parts"]) == set(scale.START_UP)
    assert len(scale.render(found).splitlines()) == 2 + len(scale.START_UP)
