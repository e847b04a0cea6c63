"""Parameters, multiply-accumulates, and the tables of ``python -m tadaconv``."""

from __future__ import annotations

import pytest

from tadaconv import list_models
from tadaconv.__main__ import main
from tadaconv.costs import PAPER_FIGURES, count_costs
from tadaconv.known_weights import KNOWN_WEIGHTS
from tadaconv.specs import SPECS


@pytest.mark.parametrize(
    ("name", "clip", "params_m", "gmacs"),
    [  # counted on the released modules
        ("slowfast_8x8", (32, 224, 224), 34.57, 50.31),
        ("tadaconvnextv2_tiny", (16, 224, 224), 45.97, 36.01),
        ("tadaformer_b16", (16, 224, 224), 104.2, 153.6),
        ("csn_r152", (32, 224, 224), 29.70, 74.05),
        ("vivit_b16", (32, 224, 224), 88.95, 451.5),
        ("vivit_fac_enc_b16", (32, 224, 224), 115.06, 283.3),
        ("timesformer_b16", (8, 224, 224), 115.53, 184.6),
    ],
)
def test_costs_of_the_released_networks(
    name: str, clip: tuple[int, int, int], params_m: float, gmacs: float
) -> None:
    costs = count_costs(name, clip)
    assert costs.params_m == pytest.approx(params_m, abs=0.006)
    assert costs.gmacs == pytest.approx(gmacs, rel=2e-4)


def test_table_of_networks(capsys: pytest.CaptureFixture[str]) -> None:
    main(["r3d_r50", "r2d_mini"])
    _, r3d, takes, mini, _, others, _ = capsys.readouterr().out.splitlines()
    assert takes.strip() == (
        "every 8 frames; mean 0.45 0.45 0.45, std 0.225 0.225 0.225; any size and length; no weights known"
    )
    assert r3d.split()[:6] == ["r3d_r50", "8x256x256", "46.98", "84.23", "-", "84.23"]
    assert mini.split()[:3] == ["r2d_mini", "8x64x64", "0.68"]
    assert others.startswith("hf:NAME, timm:NAME, timm-diff:NAME: networks of others")


def test_weights_stand_with_their_licence(capsys: pytest.CaptureFixture[str]) -> None:
    main(["csn_r152"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:7] == ["csn_r152", "32x256x256", "29.70", "96.71", "-", "96.70", "CSN,"]
    assert lines[2].endswith("weights: csn_r152_ek100")
    assert lines[3].strip().startswith("licence: not stated beside the files")


def test_unknown_networks_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["r4d"])
    assert error.value.code == 2
    assert "no network named 'r4d'; known: csn_r152, " in capsys.readouterr().err


def test_table_of_weights(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--weights"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("licence: not stated beside the files")
    assert lines[1].split() == ["tada2d_k400_8x8", "tada2d_r50"]
    assert lines[2].strip() == "400 classes, 8x224x224 every 8 frames, top-1 76.7 %"
    assert sum(line.startswith("    https://") for line in lines) == len(KNOWN_WEIGHTS)
    assert max(map(len, lines)) <= 83  # the longest licence


def test_tables_name_known_networks_only() -> None:
    assert {known.model for known in KNOWN_WEIGHTS} <= set(list_models())
    assert set(PAPER_FIGURES) <= set(list_models())
    assert len({known.name for known in KNOWN_WEIGHTS}) == len(KNOWN_WEIGHTS)
    assert all(SPECS[name].input.clip == figures.clip for name, figures in PAPER_FIGURES.items())
