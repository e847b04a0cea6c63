"""Losses and their gradients against the original's, and finite where the original is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bmn import LossConstants, bmn_loss, validity_mask
from bmn.losses import boundary_loss, classification_loss, regression_loss

CONSTANTS = LossConstants()
SIZES = ["small_T20_D10_B2", "T40_D40_B1"]


def golden_case(shared: Path, case: str) -> dict[str, Tensor]:
    golden = np.load(shared / "golden/bmn/losses.npz")
    names = [key.removeprefix(f"{case}/") for key in golden if key.startswith(f"{case}/")]
    return {name: torch.from_numpy(np.asarray(golden[f"{case}/{name}"])) for name in names}


def parts(case: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """tem, pem_reg and pem_cls with the golden uniform maps."""
    confidence_map, valid = case["pred_conf"], case["mask"][0] > 0
    tem = sum(boundary_loss(case[f"pred_{side}"], case[f"gt_{side}"], CONSTANTS) for side in ("start", "end"))
    reg = regression_loss(confidence_map[:, 0], case["iou"], valid, case["u_mid"], case["u_low"], CONSTANTS)
    return tem, reg, classification_loss(confidence_map[:, 1], case["iou"], valid, CONSTANTS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["seeded", "allkept"])
def test_equals_original(shared: Path, size: str, kind: str) -> None:
    case = golden_case(shared, f"{size}_{kind}")
    predictions = [case[f"pred_{name}"].requires_grad_() for name in ("start", "end", "conf")]
    tem, pem_reg, pem_cls = parts(case)
    for ours, name in ((tem, "tem"), (pem_reg, "pem_reg"), (pem_cls, "pem_cls")):
        torch.testing.assert_close(ours, case[name], rtol=1e-5, atol=0)
    total = tem + 10 * pem_reg + pem_cls
    torch.testing.assert_close(total, case["total"], rtol=1e-5, atol=0)
    total.backward()
    for prediction, name in zip(predictions, ("start", "end", "conf"), strict=True):
        torch.testing.assert_close(prediction.grad, case[f"g_{name}"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_more_high_than_mid_cells_keeps_all_instead_of_the_whole_map(shared: Path, size: str) -> None:
    case = golden_case(shared, f"{size}_ratio_gt1_quirk")
    tem, pem_reg, pem_cls = parts(case)
    torch.testing.assert_close((tem, pem_cls), (case["tem"], case["pem_cls"]), rtol=1e-5, atol=0)
    overlapping = (case["iou"] > 0) & (case["mask"] > 0)
    error = (case["pred_conf"][:, 0] - case["iou"])[overlapping]
    torch.testing.assert_close(pem_reg, 0.5 * error.square().mean())


@pytest.mark.parametrize("size", SIZES)
def test_no_high_cell_is_finite_and_else_as_original(shared: Path, size: str) -> None:
    case = golden_case(shared, f"{size}_no_high")
    assert case["pem_reg"].isnan()
    tem, pem_reg, pem_cls = parts(case)
    torch.testing.assert_close((tem, pem_cls), (case["tem"], case["pem_cls"]), rtol=1e-5, atol=0)
    assert 0 < pem_reg < 1


def test_no_high_cell_thins_to_the_smaller_band() -> None:
    iou = torch.tensor([[[0.5, 0.1, 0.2, 0.25]]])  # one cell in the middle band, three in the low band
    u_low = torch.tensor([[[0.0, 0.1, 0.6, 0.7]]])  # kept above 1 - 1/3: only the last
    loss = regression_loss(
        torch.zeros_like(iou), iou, torch.ones(1, 4).bool(), torch.full_like(iou, 0.5), u_low, CONSTANTS
    )
    torch.testing.assert_close(loss, torch.tensor(0.5 * (0.5**2 + 0.25**2) / 2))


def batch(batch_size: int, tscale: int, dscale: int, seed: int) -> tuple[dict[str, Tensor], list[Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    outputs = {
        "start": torch.rand(batch_size, tscale, generator=draw),
        "end": torch.rand(batch_size, tscale, generator=draw),
        "confidence_map": torch.rand(batch_size, 2, dscale, tscale, generator=draw),
    }
    shapes = ((batch_size, tscale), (batch_size, tscale), (batch_size, dscale, tscale))
    return outputs, [torch.rand(shape, generator=draw) for shape in shapes]


def test_total_draws_middle_band_first_and_weighs_the_parts() -> None:
    outputs, labels = batch(2, 12, 8, seed=1)
    constants = LossConstants(tem_weight=2.0, pem_reg_weight=3.0, pem_cls_weight=5.0)
    losses = bmn_loss(outputs, *labels, generator=torch.Generator().manual_seed(7), constants=constants)
    draw = torch.Generator().manual_seed(7)
    u_mid, u_low = (torch.rand(2, 8, 12, generator=draw) for _ in range(2))
    valid = torch.from_numpy(validity_mask(12, 8))
    confidence = outputs["confidence_map"]
    pem_reg = regression_loss(confidence[:, 0], labels[2], valid, u_mid, u_low, constants)
    assert losses["pem_reg"] == pem_reg
    expected = 2 * losses["tem"] + 3 * losses["pem_reg"] + 5 * losses["pem_cls"]
    torch.testing.assert_close(losses["loss"], expected)


def test_thinning_is_repeatable_and_random() -> None:
    outputs, labels = batch(2, 30, 30, seed=1)

    def draw(seed: int) -> float:
        return bmn_loss(outputs, *labels, generator=torch.Generator().manual_seed(seed))["pem_reg"].item()

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)


def test_invalid_cells_do_not_count() -> None:
    outputs, (start, end, iou) = batch(2, 12, 8, seed=3)
    valid = torch.from_numpy(validity_mask(12, 8))
    results = [
        bmn_loss(outputs, start, end, iou.where(valid, filler), generator=torch.Generator().manual_seed(0))
        for filler in torch.tensor([0.0, 0.5, 1.0])
    ]
    assert results[0] == results[1] == results[2]


LEVEL = st.sampled_from(["zeros", "ones", "low", "mid", "high", "random", "one_cell"])


def labels_of(level: str, shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    constant = {"zeros": 0.0, "ones": 1.0, "low": 0.2, "mid": 0.6, "high": 0.8, "one_cell": 0.0}
    if level == "random":
        return torch.rand(shape, generator=draw)
    labels = torch.full(shape, constant[level])
    if level == "one_cell":
        labels.view(-1)[0] = 0.95
    return labels


@settings(max_examples=80, deadline=None)
@given(LEVEL, LEVEL, LEVEL, st.sampled_from([0.0, 0.5, 1.0, None]), st.integers(1, 2), st.integers(1, 6))
def test_always_finite(
    start: str, end: str, iou: str, probability: float | None, batch_size: int, tscale: int
) -> None:
    outputs, _ = batch(batch_size, tscale, max(1, tscale // 2), seed=0)
    if probability is not None:
        outputs = {name: torch.full_like(out, probability) for name, out in outputs.items()}
    outputs = {name: out.requires_grad_() for name, out in outputs.items()}
    draw = torch.Generator().manual_seed(0)
    labels = [
        labels_of(start, (batch_size, tscale), draw),
        labels_of(end, (batch_size, tscale), draw),
        labels_of(iou, (batch_size, max(1, tscale // 2), tscale), draw),
    ]
    losses = bmn_loss(outputs, *labels, generator=draw)
    losses["loss"].backward()
    assert all(bool(loss.isfinite()) for loss in losses.values())
    assert all(bool(out.grad.isfinite().all()) for out in outputs.values())


def test_refuses_labels_of_other_shape() -> None:
    outputs, (start, end, iou) = batch(2, 12, 8, seed=1)
    with pytest.raises(
        ValueError, match=r"\(2, 2, 8, 12\) must be .*'iou_map': \(2, 8, 12\).*got .*\(2, 7, 12\)"
    ):
        bmn_loss(outputs, start, end, iou[:, 1:], generator=torch.Generator())
