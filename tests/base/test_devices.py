"""The use of networks on devices."""

import threading
from types import SimpleNamespace

import pytest
import torch

from napari_smdiffusion.base import devices
from napari_smdiffusion.base.devices import autocast, on_device, pick_device, to_cpu
from napari_smdiffusion.base.errors import InputError

# The meta device has a type of its own, as a GPU has, and every machine has it. Its tensors hold no numbers.
OTHER = torch.device("meta")


def small_network():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))


def test_a_network_that_is_on_the_device_is_not_copied():
    network = small_network()
    with on_device(network, torch.device("cpu")) as used:
        assert used is network
        assert not used.training


def test_the_callers_network_stays_on_its_device():
    network = small_network()
    weights = network[0].weight.clone()
    with on_device(network, OTHER) as used:
        assert {parameter.device for parameter in used.parameters()} == {OTHER}
        assert not used.training
        assert torch.equal(network[0].weight, weights)
    assert torch.equal(network[0].weight, weights)


def test_two_threads_use_one_network_on_two_devices():
    """Both threads are in their block at once, and one leaves it while the other still has to compute."""
    network, barrier, devices = small_network(), threading.Barrier(2, timeout=60), {}

    def compute(device):
        with on_device(network, device) as used:
            barrier.wait()
            devices[device] = used(torch.zeros(1, 1, 8, 8, device=device)).device
        barrier.wait()

    def compute_for_longer(device):
        with on_device(network, device) as used:
            barrier.wait()
            barrier.wait()  # the other thread has left its block
            devices[device] = used(torch.zeros(1, 1, 8, 8, device=device)).device

    threads = [
        threading.Thread(target=compute, args=(OTHER,)),
        threading.Thread(target=compute_for_longer, args=(torch.device("cpu"),)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert devices == {device: device for device in (OTHER, torch.device("cpu"))}


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(InputError, match="This machine has no device 'mps' that torch can use: choose auto or cpu"):
        pick_device("mps")
    assert pick_device("auto").type == "cpu"


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_the_memory_of_the_device_is_released(monkeypatch, kind):
    released = []
    monkeypatch.setattr(devices, "gc", SimpleNamespace(collect=lambda: released.append("garbage")))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: kind == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: kind == "mps")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: released.append("cuda"))
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: released.append("mps"))
    to_cpu(small_network(), torch.device("cpu"))
    assert released == []
    to_cpu(small_network(), torch.device(kind))
    assert released == ["garbage", kind]


def test_bfloat16_is_used_where_the_hardware_multiplies_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    for device in (torch.device("cuda"), OTHER):
        with autocast(device):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
