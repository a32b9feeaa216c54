"""Device names are checked as written, and against what torch finds."""

from __future__ import annotations

import pytest

import icas
from icas.common.devices import check_device, choose_device


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_what_is_written_as_a_device_passes(device):
    check_device(device)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:", "cuda:-1", "mps:0", "CPU", "cpu\n"])
def test_what_is_not_is_told(device):
    with pytest.raises(icas.UsageError, match="choose from auto, cpu, cuda, cuda:N, mps"):
        check_device(device)


@pytest.mark.deep
def test_cuda_devices_are_counted(torch, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cpu") == "cpu"
    with pytest.raises(icas.UsageError, match="device cuda: torch finds no CUDA devices"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == "cuda"
    assert choose_device("cuda:1") == "cuda:1"
    with pytest.raises(icas.UsageError, match="finds 2"):
        choose_device("cuda:2")


@pytest.mark.deep
def test_the_gpu_of_a_mac_is_taken_when_asked_for_by_name(torch, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(icas.UsageError, match="device mps: torch finds no Apple GPU"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == "cpu"
    assert choose_device("mps") == "mps"
