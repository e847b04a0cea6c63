"""BMN against the original's outputs and against a dense mask with a Conv3d."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bmn import BMN, load_original_weights, validity_mask
from bmn.boundary_matching import BoundaryMatching

SMALL = {"hidden_1d": 8, "hidden_2d": 6, "hidden_3d": 10}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def dense_outputs(model: BMN, feats_BCT: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The original form: every cell sampled with a dense mask, then Conv3d and Conv2d on the
    whole map."""
    head = model.head
    feats = model.backbone(feats_BCT)
    sampled = torch.einsum("bcx,xndt->bcndt", head.x_1d_p(feats), mask)
    cells = head.x_3d_p(sampled).squeeze(2)
    return {
        "start": head.x_1d_s(feats).squeeze(1).sigmoid(),
        "end": head.x_1d_e(feats).squeeze(1).sigmoid(),
        "confidence_map": head.x_2d_p(cells).sigmoid(),
    }


def golden_weights(model: BMN) -> dict[str, Tensor]:
    """The recipe of the golden data: seeded by the key's checksum."""
    weights = {}
    for key, value in model.state_dict().items():
        shape = tuple(value.shape)
        scale = np.sqrt(2 / np.prod(shape[1:])) if key.endswith("weight") else 0.05
        noise = np.random.RandomState(zlib.crc32(key.encode())).randn(*shape)
        weights[key] = torch.from_numpy((noise * scale).astype(np.float32))
    return weights


@pytest.mark.parametrize(
    ("case", "in_channels", "tscale", "dscale"),
    [("T16_D16_C64_B2", 64, 16, 16), ("T24_D12_C32_B1", 32, 24, 12)],
)
def test_equals_original_network(shared: Path, case: str, in_channels: int, tscale: int, dscale: int) -> None:
    golden = np.load(shared / "golden/bmn/head_forward.npz")
    model = BMN(in_channels, tscale, dscale)
    assert list(model.state_dict()) == list(golden["keys"])
    model.load_state_dict(golden_weights(model))
    feats = torch.from_numpy(golden[f"{case}/x"]).requires_grad_()
    outputs = model(feats)
    for name, out in outputs.items():
        np.testing.assert_allclose(out.detach(), golden[f"{case}/{name}"], atol=1e-5)

    valid = torch.from_numpy(validity_mask(tscale, dscale))
    scalar = (outputs["confidence_map"] * valid).sum() + outputs["start"].sum() - outputs["end"].sum()
    scalar.backward()
    np.testing.assert_allclose(scalar.item(), golden[f"{case}/scalar"], rtol=1e-5)
    np.testing.assert_allclose(feats.grad, golden[f"{case}/grad_x"], atol=1e-5)
    norms = [parameter.grad.double().norm().item() for parameter in model.parameters()]
    np.testing.assert_allclose(norms, golden[f"{case}/grad_norms"], rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    tscale=st.integers(1, 11),
    dscale=st.integers(1, 11),
    num_samples=st.integers(1, 5),
    per_bin=st.integers(2, 3),
    ratio=st.sampled_from([0.0, 0.5, 0.7]),
    batch=st.integers(1, 3),
)
def test_folded_equals_dense(
    dense_mask: Callable[..., np.ndarray],
    tscale: int,
    dscale: int,
    num_samples: int,
    per_bin: int,
    ratio: float,
    batch: int,
) -> None:
    torch.manual_seed(0)
    sizes = tscale, min(dscale, tscale), num_samples, per_bin, ratio
    with default_dtype(torch.float64):
        model = BMN(4, *sizes, **SMALL)
        feats = torch.randn(batch, 4, tscale, requires_grad=True)
        inputs = [feats, *model.parameters()]
        found, expected = model(feats), dense_outputs(model, feats, torch.from_numpy(dense_mask(*sizes)))
        cotangents = [torch.randn_like(out) for out in found.values()]
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)
        for ours, theirs in zip(
            torch.autograd.grad(list(found.values()), inputs, cotangents),
            torch.autograd.grad(list(expected.values()), inputs, cotangents),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-9)


def test_sampling_has_correct_first_and_second_derivatives() -> None:
    torch.manual_seed(0)
    with default_dtype(torch.float64):
        layer = BoundaryMatching(5, 4, 2, 2, 0.5)
        inputs = tuple(torch.randn(shape, requires_grad=True) for shape in ((2, 3, 5), (2, 3, 2, 1, 1), (2,)))

    def sample(feats_BCT: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.stack([layer(responses, bias) for responses in layer.responses(feats_BCT, weight)])

    assert torch.autograd.gradcheck(sample, inputs)
    assert torch.autograd.gradgradcheck(sample, inputs)


class LargestTensor(TorchDispatchMode):
    """Record the number of elements of the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


def test_neither_dense_mask_nor_sampled_tensor_is_made() -> None:
    tscale, num_samples = 32, 32
    with LargestTensor() as largest:
        model = BMN(8, tscale, tscale, num_samples, **SMALL)
        sum(out.sum() for out in model(torch.randn(1, 8, tscale)).values()).backward()
    sampled_numel = 8 * num_samples * tscale * tscale  # C, N, D, T; the mask has T, N, D, T
    assert largest.numel < sampled_numel / 4


def test_same_bits_every_time() -> None:
    torch.manual_seed(0)
    model, feats = BMN(8, 20, 10, **SMALL), torch.randn(3, 8, 20)

    def gradients() -> list[Tensor]:
        outputs = model(feats)
        return list(torch.autograd.grad([out.sum() for out in outputs.values()], list(model.parameters())))

    for first, second in zip(gradients(), gradients(), strict=True):
        assert torch.equal(first, second)


def test_bf16_autocast_keeps_probabilities_in_float32() -> None:
    torch.manual_seed(0)
    model, feats = BMN(8, 12, 8, **SMALL), torch.randn(2, 8, 12)
    expected = model(feats)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(feats)
    for name, out in found.items():
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, expected[name], atol=0.02, rtol=0)
    sum(out.sum() for out in found.values()).backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


def original_checkpoint(model: BMN) -> dict[str, Tensor]:
    return {**model.state_dict(), "head.sample_mask": torch.zeros(8, 32 * 8 * 8)}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model_state": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    ],
    ids=["bare", "tadaconv", "jjboy_data_parallel"],
)
def test_loads_original_checkpoints(tmp_path: Path, wrap: Any) -> None:
    source, target = BMN(8, 8, 8, **SMALL), BMN(8, 8, 8, **SMALL)
    torch.save(wrap(original_checkpoint(source)), tmp_path / "bmn.pth")
    load_original_weights(target, tmp_path / "bmn.pth")
    torch.testing.assert_close(target.state_dict(), source.state_dict(), atol=0, rtol=0)


def test_loading_is_strict_otherwise(tmp_path: Path) -> None:
    model = BMN(8, 8, 8, **SMALL)
    state = original_checkpoint(model)
    state["head.unknown.weight"] = state.pop("head.x_3d_p.0.weight")
    torch.save(state, tmp_path / "bmn.pth")
    with pytest.raises(ValueError, match=r"bmn\.pth: not the weights of this BMN(?s:.)*x_3d_p(?s:.)*unknown"):
        load_original_weights(model, tmp_path / "bmn.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    model = BMN(8, 8, 8, **SMALL)
    state = original_checkpoint(model)
    state["head.x_3d_p.0.weight"].view(-1)[0] = value
    torch.save(state, tmp_path / "bmn.pth")
    with pytest.raises(ValueError, match=r"bmn\.pth: not finite.*head\.x_3d_p\.0\.weight"):
        load_original_weights(BMN(8, 8, 8, **SMALL), tmp_path / "bmn.pth")


def test_a_web_page_named_as_weights_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "bmn.pth").write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(ValueError, match=r"bmn\.pth: .*HTML"):
        load_original_weights(BMN(8, 8, 8, **SMALL), tmp_path / "bmn.pth")


def test_refuses_input_of_other_size() -> None:
    with pytest.raises(ValueError, match=r"8 channels, 12 positions\), got \(1, 8, 13\)"):
        BMN(8, 12, 8, **SMALL)(torch.zeros(1, 8, 13))


@pytest.mark.parametrize("sizes", [{"in_channels": 6}, {"in_channels": 8, "hidden_1d": 10}])
def test_refuses_channels_that_do_not_group(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be a positive multiple of 4"):
        BMN(**sizes, tscale=8, dscale=8)
