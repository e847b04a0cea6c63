"""Where torch works."""

from __future__ import annotations

import pytest
import torch

from runtime.errors import InputError
from runtime.schema import RuntimeConfig
from training.device import prepare_device


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_threads_are_fixed() -> None:
    assert prepare_device(RuntimeConfig(device="cpu", threads=2)) == torch.device("cpu")
    assert torch.get_num_threads() == 2
    prepare_device(RuntimeConfig(device="cpu", threads=0))
    assert torch.get_num_threads() >= 1


def test_auto_is_what_there_is() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert prepare_device(RuntimeConfig(threads=1)).type == expected


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", r"expected auto, cpu or cuda\[:n\], found 'gpu'"),
        ("meta", r"expected auto, cpu or cuda\[:n\], found 'meta'"),
        ("cuda:63", r"'cuda:63', but torch sees \d+ GPUs; use runtime.device=cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare_device(RuntimeConfig(device=device, threads=1))
