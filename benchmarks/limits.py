"""How near to what the machine can do, where the time goes, and how the cost grows.

    python benchmarks/limits.py

The peak is the best of ten products of two 2048² matrices, in float32 and in bfloat16. The arithmetic of a training
step, of the sampler and of the enhancer is counted by torch (multiplications and additions of matrix products,
convolutions and attention) and compared with the peak of the precision they use. Then the operators that take longest,
and the time against the size of images, their number and the width of the network. Nothing else should run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from common import save
from napari_smdiffusion import TrainConfig, load_enhancer
from napari_smdiffusion.compute import autocast
from napari_smdiffusion.denoiser import denoising_loss, draw_sigmas, make_unet, solve
from napari_smdiffusion.sampling import STEPS
from napari_smdiffusion.training import TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTHS = {"half": (32, 48, 64, 48), "as it is": TrainConfig().channels, "one and a half": (80, 144, 192, 160)}


def seconds(work: Callable[[], object], times: int = 8) -> float:
    """Return the median time of `work`, after two calls that are not counted."""
    for _ in range(2):
        work()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def peak(kind: torch.dtype) -> float:
    """Return the operations a second of a large matrix product, in 10⁹."""
    a, b = (torch.randn(2048, 2048).to(kind) for _ in range(2))
    found = []
    for _ in range(10):
        began = time.perf_counter()
        a @ b
        found.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(found) / 1e9


def training_step(size: int = 128, batch: int = 16, channels: tuple[int, ...] | None = None) -> Callable[[], None]:
    """Return a function that does one training step of the diffusion model."""
    unet = make_unet(channels or TrainConfig().channels)
    state = TrainingState(unet.train(), 1e-3)
    clean = 0.5 * torch.randn(batch, 1, size, size)
    sigma, _ = draw_sigmas(batch, torch.Generator().manual_seed(0))

    def step() -> None:
        torch.autograd.backward(denoising_loss(unet, clean, sigma, torch.randn_like(clean)).mean())
        state.update()

    return step


def sampling(size: int = 128, batch: int = 4, channels: tuple[int, ...] | None = None) -> Callable[[], None]:
    """Return a function that draws images in `STEPS` steps."""
    unet = make_unet(channels or TrainConfig().channels).eval()

    def draw() -> None:
        for _ in solve(unet, torch.randn(batch, 1, size, size), STEPS):
            pass

    return draw


def enhancing(size: int = 288) -> Callable[[], None]:
    """Return a function that enhances one tile, with the mirrored margin that a plane of 256² gets."""
    network = load_enhancer("microtubules").network
    image = torch.rand(1, 1, size, size)

    def enhance() -> None:
        with torch.no_grad(), autocast(image.device):
            network(image)

    return enhance


def counted(work: Callable[[], object]) -> float:
    """Return the operations that `work` takes, in 10⁹."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9


def operators(work: Callable[[], object], most: int = 8) -> dict[str, float]:
    """Return the share of the time that the operators take which take longest."""
    work()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(3):
            work()
    rows = profiled.key_averages()
    total = sum(row.self_cpu_time_total for row in rows)
    longest = sorted(rows, key=lambda row: row.self_cpu_time_total, reverse=True)[:most]
    return {row.key: round(row.self_cpu_time_total / total, 3) for row in longest}


def main() -> None:
    """Measure, and write the result beside the script."""
    peaks = {"float32": peak(torch.float32), "bfloat16": peak(torch.bfloat16)}
    bfloat = isinstance(autocast(torch.device("cpu")), torch.autocast)
    of = "bfloat16" if bfloat else "float32"
    result: dict[str, Any] = {"threads": torch.get_num_threads(), "peak_gigaflops": peaks, "precision": of}
    stages = {
        "training step, 16 patches of 128²": training_step(),
        "16 images of 128² drawn": sampling(batch=16),
        "one image of 512² drawn": sampling(512, 1),
        "256² enhanced to 1280²": enhancing(),
    }
    for name, work in stages.items():
        took, operations = seconds(work), counted(work)
        result[name] = {
            "seconds": took,
            "gigaflop": operations,
            "fraction_of_peak": operations / took / peaks[of],
            "operators": operators(work),
        }
        print(name, result[name], flush=True)
    result["growth"] = {
        "training step, per patch, against its size": {
            str(size): seconds(training_step(size, batch)) / batch for size, batch in ((64, 64), (128, 16), (256, 4))
        },
        "drawing one image, against its size": {
            str(size): seconds(sampling(size, 1), 3) for size in (64, 128, 256, 512, 1024)
        },
        "drawing images of 128² together, each, against their number": {
            str(batch): seconds(sampling(128, batch), 3) / batch for batch in (1, 4, 16, 64)
        },
        "training step of 16 patches of 128², against the width of the network": {
            name: seconds(training_step(channels=channels)) for name, channels in WIDTHS.items()
        },
        "drawing an image of 128², against the width of the network": {
            name: seconds(sampling(128, 1, channels), 3) for name, channels in WIDTHS.items()
        },
    }
    save("limits", result)


if __name__ == "__main__":
    main()
