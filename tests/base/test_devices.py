"""Networks on devices."""

import threading

import torch

from napari_smdiffusion.base.devices import on_device

# Has a type of its own, as a GPU has, and is on every machine. Its tensors hold no numbers.
OTHER = torch.device("meta")


def network():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))


def test_a_network_is_used_where_it_lies():
    own = network()
    with on_device(own, torch.device("cpu")) as used:
        assert used is own
        assert not used.training


def test_the_callers_network_stays_where_it_is():
    own = network()
    weights = own[0].weight.clone()
    with on_device(own, OTHER) as used:
        assert {one.device for one in used.parameters()} == {OTHER}
        assert not used.training
        assert torch.equal(own[0].weight, weights)
    assert torch.equal(own[0].weight, weights)


def test_one_network_serves_two_threads_on_two_devices():
    """Each begins when the other has begun, and ends while the other still computes."""
    own, together, places = network(), threading.Barrier(2, timeout=60), {}

    def compute(device):
        with on_device(own, device) as used:
            together.wait()
            places[device] = used(torch.zeros(1, 1, 8, 8, device=device)).device
        together.wait()

    def compute_for_longer(device):
        with on_device(own, device) as used:
            together.wait()
            together.wait()  # the other has ended
            places[device] = used(torch.zeros(1, 1, 8, 8, device=device)).device

    threads = [
        threading.Thread(target=compute, args=(OTHER,)),
        threading.Thread(target=compute_for_longer, args=(torch.device("cpu"),)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert places == {device: device for device in (OTHER, torch.device("cpu"))}
