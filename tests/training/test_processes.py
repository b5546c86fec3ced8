"""Training in several processes: the same losses as in one, resuming with another number, and what is refused."""

import json
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_smdiffusion import DiffusionModel, Image, InputError, TrainConfig, TrainJob, run, write_image
from napari_smdiffusion.base.events import Progress
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.training.processes import TogetherWithOthers

accelerate = pytest.importorskip("accelerate")

STEPS = 40


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("processes") / "storm.tif"
    write_image(path, Image(np.random.default_rng(0).gamma(1.0, 10.0, (1, 96, 96)), 20.0))
    return path


def _command(image, out, *more):
    place = ["train", str(image), "--out", str(out), "--start", "none", "--device", "cpu"]
    return [*place, "--patch", "32", "--batch", "6", "--channels", "16", "32", "--steps", str(STEPS), *more]


def _launched(*command, count=2, **variables):
    """Run a command in several processes, as `accelerate launch` and `torchrun` start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(count), "--master-port", port]
    return subprocess.run(
        [sys.executable, *launcher, "-m", "napari_smdiffusion", "--", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _facts(folder):
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))


def test_two_processes_go_on_as_one_would(image, tmp_path):
    out = tmp_path / "both"
    config = TrainConfig(patch=32, batch=6, channels=(16, 32), steps=STEPS, previews=0, device="cpu")
    done = []
    # The first quarter in this process alone.
    steps = TrainJob(str(image), config, None, out).steps(lambda: len(done) >= STEPS // 4)
    run(steps, lambda event: done.append(event) if isinstance(event, Progress) else None)
    assert _facts(out)["steps"] == STEPS // 4
    both = _launched(*_command(image, out, "--resume"))
    assert both.returncode == 0, both.stderr
    assert both.stderr.count("The model is in") == 1
    whole = run(TrainJob(str(image), config, None).steps())
    curves = [np.array(curve) for curve in (_facts(out)["curve"], whole.facts.curve)]
    assert len(curves[0]) == STEPS // 20
    np.testing.assert_allclose(*curves, rtol=5e-3)  # bfloat16 rounds where the processor has it
    weights = [
        np.concatenate([weights.float().numpy().ravel() for weights in model.unet.state_dict().values()])
        for model in (DiffusionModel.load(out), whole)
    ]
    assert np.sqrt(np.mean((weights[0] - weights[1]) ** 2)) < 0.01 * weights[1].std()


def test_more_processes_than_patches_are_refused():
    state = SimpleNamespace(num_processes=3, process_index=2, device=torch.device("cpu"))
    with pytest.raises(InputError, match="3 processes share a batch of 2 patches: start fewer processes"):
        TogetherWithOthers(accelerate, state).check_same([], 2)


def test_several_processes_do_nothing_but_train(monkeypatch, capsys):
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert main(["models"]) == 2
    assert "start this command once" in capsys.readouterr().err
