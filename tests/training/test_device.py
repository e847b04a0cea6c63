"""Where torch works."""

from __future__ import annotations

import pytest
import torch

from runtime.errors import InputError
from runtime.settings import RuntimeConfig
from training import distributed
from training.device import devices, prepare_device


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


def test_several_devices_are_of_one_kind_and_the_first_does_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices(RuntimeConfig(device="cpu, cpu")) == (torch.device("cpu"), torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    both = RuntimeConfig(device="cuda:1,cuda:0", threads=1)
    assert devices(both) == (torch.device("cuda:1"), torch.device("cuda:0"))
    assert prepare_device(both) == torch.device("cuda:1")
    with pytest.raises(InputError, match="devices of one kind, found 'cuda,cpu'"):
        devices(RuntimeConfig(device="cuda,cpu"))
    with pytest.raises(InputError, match=r"expected auto, cpu or cuda\[:n\], found ''"):
        devices(RuntimeConfig(device="cpu,"))


@pytest.fixture
def third_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of process 2 of 4, all on a machine with 4 GPUs; nobody is met."""
    numbers = {"RANK": 2, "WORLD_SIZE": 4, "LOCAL_RANK": 2, "LOCAL_WORLD_SIZE": 4}
    for name, number in numbers.items():
        monkeypatch.setenv(name, str(number))
    monkeypatch.setattr(distributed, "start", lambda device, timeout_s: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.usefixtures("third_of_four")
def test_every_process_has_its_own_gpu_and_its_part_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.device.cpu_count", lambda: 9)
    for device in ("auto", "cuda"):
        assert prepare_device(RuntimeConfig(device=device)) == torch.device("cuda", 2)
    assert torch.get_num_threads() == 2
    assert prepare_device(RuntimeConfig(device="cpu", threads=1)) == torch.device("cpu")
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("third_of_four")
def test_gpus_that_do_not_suffice_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match=r"'cuda:1' names one GPU, but torchrun started 4 processes; use .*=cuda,"
    ):
        prepare_device(RuntimeConfig(device="cuda:1", threads=1))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    with pytest.raises(
        InputError, match=r"started 4 processes on this machine, but torch sees 3 GPUs; lower --nproc"
    ):
        prepare_device(RuntimeConfig(threads=1))
