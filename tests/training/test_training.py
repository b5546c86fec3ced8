"""The training loop, on a task whose solution is known."""

import copy
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from napari_smdiffusion import DiffusionModel, Enhancer, EnhancerConfig, MicroscopeConfig, Stopped, TrainConfig
from napari_smdiffusion.base.devices import generator, seeded
from napari_smdiffusion.base.events import Note, Preview, Progress, run
from napari_smdiffusion.base.tensors import TensorFileError
from napari_smdiffusion.diffusion import training as diffusion_training
from napari_smdiffusion.enhance import training as enhancer_training
from napari_smdiffusion.training.loop import TrainingDivergedError, optimize_steps
from napari_smdiffusion.training.pace import Budget
from napari_smdiffusion.training.state import TrainingState, averaging_decay, with_averaged_weights
from napari_smdiffusion.training.task import Batch

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Line:
    """Learn y = 2 x + 1."""

    stage: str = "fitting"
    fits: int = 1000  # examples that fit into memory
    factor: float = 2.0

    def draw(self, step):
        x = torch.randn(8, 1, generator=generator(0, step))
        return Batch((x, self.factor * x + 1), torch.arange(8) // 2)

    def loss(self, network, tensors):
        x, y = tensors
        if len(x) > self.fits:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return (network(x) - y).square().mean(1)

    def preview(self, network):
        return network(torch.ones(1, 1)).detach().numpy()


def _state(rate=0.05):
    torch.manual_seed(0)
    return TrainingState(torch.nn.Linear(1, 1), rate)


def test_training_lowers_the_loss_and_reports_every_step():
    state, events = _state(), []
    run(optimize_steps(state, Line(), Budget(1, 300), device=CPU), events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.step for event in progress] == list(range(1, 301))
    assert progress[-1].loss < 1e-2 < progress[0].loss
    assert len(progress[-1].quartiles) == 4
    previews = [event.step for event in events if isinstance(event, Preview)]
    assert previews[0] == 0
    assert len(previews) == 1 + 10
    assert float(state.network.weight.detach()) == pytest.approx(2, abs=0.05)
    assert state.curve[0][0] == 20
    assert state.curve[-1][1] < state.curve[0][1]


def test_a_resumed_run_equals_an_uninterrupted_run():
    whole = _state()
    run(optimize_steps(whole, Line(), Budget(1, 90), device=CPU))
    interrupted, saved = _state(), {}
    run(
        optimize_steps(
            interrupted,
            Line(),
            Budget(1, 90),
            stop=lambda: interrupted.step >= 37,
            checkpoint=lambda state, last: saved.update(copy.deepcopy(state.state_dict())),
            device=CPU,
        )
    )
    assert saved["step"] == 37
    resumed = _state()
    resumed.load_state_dict(saved)
    run(optimize_steps(resumed, Line(), Budget(1, 90), device=CPU))
    assert torch.equal(resumed.network.weight, whole.network.weight)
    assert resumed.curve == whole.curve


def test_the_part_is_halved_when_memory_runs_out_and_the_result_is_the_same():
    whole, in_parts, events = _state(), _state(), []
    run(optimize_steps(whole, Line(), Budget(1, 30), device=CPU))
    run(optimize_steps(in_parts, Line(fits=3), Budget(1, 30), device=CPU), events.append)
    notes = [event.message for event in events if isinstance(event, Note)]
    assert [note.split(":")[0] for note in notes] == ["Memory ran out"] * 2
    assert "2 patches at a time" in notes[1]
    assert in_parts.step == 30
    np.testing.assert_allclose(in_parts.network.weight.detach(), whole.network.weight.detach(), rtol=1e-5)


def test_training_raises_an_error_when_one_patch_does_not_fit_into_memory():
    with pytest.raises(MemoryError, match="choose a smaller patch"):
        run(optimize_steps(_state(), Line(fits=0), Budget(1, 30), device=CPU))


def test_other_runtime_errors_are_raised_unchanged():
    class Broken(Line):
        def loss(self, network, tensors):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        run(optimize_steps(_state(), Broken(), Budget(1, 30), device=CPU))


def test_training_raises_an_error_when_the_loss_is_infinite():
    with pytest.raises(TrainingDivergedError, match="lower learning rate"):
        run(optimize_steps(_state(), Line(factor=float("inf")), Budget(1, 30), device=CPU))


def test_training_raises_an_error_when_the_loss_rises():
    class Diverging(Line):
        def loss(self, network, tensors):
            losses = super().loss(network, tensors)
            return 0 * losses + (1.0 if len(state.curve) < 6 else 3.0)

    state = _state()
    with pytest.raises(TrainingDivergedError, match="rose instead of falling"):
        run(optimize_steps(state, Diverging(), Budget(1, 400), device=CPU))


def test_training_continues_when_a_checkpoint_fails(monkeypatch):
    monkeypatch.setattr("napari_smdiffusion.training.loop._CHECKPOINT_SECONDS", 0.0)
    state, events, saved = _state(), [], []

    def checkpoint(state, last):
        if state.step < 5:
            raise OSError("The drive is not available.")
        saved.append((state.step, last))

    run(optimize_steps(state, Line(), Budget(1, 10), checkpoint=checkpoint, device=CPU), events.append)
    assert saved[-2:] == [(10, False), (10, True)]
    assert any(isinstance(event, Note) and "drive is not available" in event.message for event in events)


def test_a_training_stopped_before_its_first_step_saves_nothing():
    saved = []

    def checkpoint(state, last):
        saved.append(state)

    with pytest.raises(Stopped, match="before the first step"):
        run(optimize_steps(_state(), Line(), Budget(1, 10), stop=lambda: True, checkpoint=checkpoint, device=CPU))
    assert not saved


def test_a_quartile_without_examples_keeps_its_last_mean():
    state = _state()
    losses = torch.tensor([1.0, 2.0])
    for quartile in ([0, 3], [0, 0]):
        for _ in range(20):
            state.note_loss(losses, torch.tensor(quartile))
            state.step += 1
    assert state.curve[0] == pytest.approx([20, 1.5, 1.0, 1.5, 1.5, 2.0])
    assert state.curve[1] == pytest.approx([40, 1.5, 1.5, 1.5, 1.5, 2.0])


def test_loss_sums_are_saved_as_a_list_and_read_again():
    """The list holds the sum, the steps, four sums and four numbers of examples, as in states of earlier versions."""
    state = _state()
    state.note_loss(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 3, 3]))
    saved = state.state_dict()
    assert saved["window"] == [pytest.approx(7 / 3), 1, 1, 0, 0, 6, 1, 0, 0, 2]
    resumed = _state()
    resumed.load_state_dict(saved)
    assert resumed.sums == state.sums


@pytest.mark.parametrize("fails", [True, False])
def test_training_releases_the_device_also_when_it_fails(storm, monkeypatch, fails):
    on_cpu, states = [], []
    monkeypatch.setattr("napari_smdiffusion.training.state.to_cpu", lambda network, device: on_cpu.append(network))

    def steps(state, *_, **__):
        states.append(state)
        yield Note("One step.")
        if fails:
            raise RuntimeError("device-side assert")

    for module, config in (
        (diffusion_training, TrainConfig(channels=(16, 32))),
        (enhancer_training, EnhancerConfig()),
    ):
        monkeypatch.setattr(module, "optimize_steps", steps)
        monkeypatch.setattr(enhancer_training, "calibration_steps", lambda *_: iter(()))
        microscope = (MicroscopeConfig(),) if module is enhancer_training else ()
        train = getattr(module, "train_enhancer_steps" if microscope else "train_steps")
        with pytest.raises(RuntimeError, match="device-side") if fails else nullcontext():
            run(train([storm], config, *microscope))
    assert [state.network for state in states] == on_cpu
    assert not any(hasattr(state, "optimizer") or hasattr(state, "average") for state in states)


def test_trainings_do_not_use_the_global_generator(storm, quick_calibration):
    settings = {"steps": 1, "batch": 1, "previews": 0}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    DiffusionModel.train([storm], start=None, patch=64, channels=(16, 32), **settings)
    Enhancer.train(storm, upscale=4, patch=64, channels=8, **settings)
    assert torch.equal(torch.rand(3), expected)


def test_seeded_blocks_in_parallel_threads_are_independent():
    def draw(seed):
        with seeded(seed):
            first = torch.rand(3)
            time.sleep(0.002)
            return torch.cat([first, torch.rand(3)])

    with ThreadPoolExecutor(8) as threads:
        draws = list(threads.map(draw, [0, 1] * 8))
    for k, values in enumerate(draws):
        assert torch.equal(values, torch.rand(6, generator=torch.Generator().manual_seed(k % 2)))


def test_models_take_the_pixel_size_of_the_caller(storm, quick_calibration):
    settings = {"steps": 1, "batch": 1, "patch": 64, "previews": 0, "pixel_size": 30.0}
    assert DiffusionModel.train(storm.pixels, start=None, channels=(16, 32), **settings).pixel_size == 30
    assert Enhancer.train(storm.pixels, upscale=4, channels=8, **settings).pixel_size == 30


def _trained_with_reference(average_model, steps):
    """Train a network for some steps; return its state, and the average of `average_model` (diffusers' EMAModel)."""
    state = _state()
    reference = average_model(state.network.parameters(), decay=0.9995, use_ema_warmup=True, power=0.75, foreach=True)
    for step in range(steps):
        state.network(torch.randn(4, 1, generator=generator(1, step))).square().mean().backward()
        state.update()
        reference.step(state.network.parameters())
    return state, reference


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 50])
def test_averaged_weights_equal_those_of_diffusers(steps):
    from diffusers.training_utils import EMAModel

    state, reference = _trained_with_reference(EMAModel, steps)
    assert all(torch.equal(a, b) for a, b in zip(state.average, reference.shadow_params, strict=True))
    assert averaging_decay(steps + 1) == reference.get_decay(steps + 1)
    for step in (20_000, 30_000):  # below and above the step at which the decay reaches its maximum
        assert averaging_decay(step) == reference.get_decay(step)


def test_states_saved_with_diffusers_are_resumed(tmp_path):
    from diffusers.training_utils import EMAModel

    state, reference = _trained_with_reference(EMAModel, 7)
    torch.save({**state.state_dict(), "average": reference.state_dict()}, tmp_path / "old.pt")
    torch.save(state.state_dict(), tmp_path / "new.pt")
    for name in ("old.pt", "new.pt"):
        resumed = _state()
        resumed.load_state_dict(torch.load(tmp_path / name, weights_only=True))
        assert resumed.step == 7
        assert all(torch.equal(a, b) for a, b in zip(resumed.average, state.average, strict=True))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("network", {}, "is missing"),
        ("network", {"weight": torch.ones(9), "bias": torch.ones(1)}, "has the shape"),
        ("average", [torch.ones(1)], "averaged weights"),
        ("average", [torch.ones(1), torch.full((1,), float("nan"))], "has the shape|not finite"),
        ("average", 3, "averaged weights"),
        ("optimizer", {"state": {0: {"step": "x"}}}, "state of the optimizer"),
        ("optimizer", [], "state of the optimizer"),
        ("step", -1, "numbers of steps"),
        ("step", True, "numbers of steps"),
        ("network", [1, 2], "its network has no weights"),
        ("step", 1.5, "numbers of steps"),
        ("total", "9", "numbers of steps"),
        ("seconds", -1.0, "its time"),
        ("seconds", float("nan"), "its time"),
        ("curve", [[1.0]], "loss curve"),
        ("curve", [[1.0, "x"]], "not all finite"),
        ("window", [0.0] * 9, "sums of losses"),
        ("window", [float("inf")] * 10, "not all finite"),
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(key, value, reason):
    saved, resumed = _state().state_dict(), _state()
    before = copy.deepcopy(resumed.state_dict())
    lacking = {name: part for name, part in saved.items() if name != key}
    # States of earlier versions have no time.
    for damaged in ({**saved, key: value}, lacking)[: 1 + (key != "seconds")]:
        with pytest.raises(TensorFileError, match=f"{reason}|lacks {key}"):
            resumed.load_state_dict(damaged)
    assert torch.equal(before["network"]["weight"], resumed.network.weight)
    assert resumed.step == 0


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("exp_avg", float("inf"), "has values that are not finite"),
        ("exp_avg_sq", -1.0, "has negative values, which a training never has"),
    ],
)
def test_impossible_moments_are_refused(name, value, reason):
    state = _state()
    run(optimize_steps(state, Line(), Budget(1, 2), device=CPU))
    saved = state.state_dict()
    saved["optimizer"]["state"][0][name].fill_(value)
    with pytest.raises(TensorFileError, match=reason):
        _state().load_state_dict(saved)


def test_the_network_holds_the_averaged_weights_only_inside_the_block():
    state = _state()
    own = [weights.detach().clone() for weights in state.network.parameters()]
    for value in state.average:
        value += 1
    with with_averaged_weights(state) as network:
        assert all(torch.equal(a, b + 1) for a, b in zip(network.parameters(), own, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(state.network.parameters(), own, strict=True))
