"""How near to what the machine can do, where the time goes, and how the cost grows.

    python -m benchmarks.speed.limits [--only limits|tried|formats] [--device cuda]

The peak is the best of ten products of two large matrices, in float32 and in bfloat16, each also written as a
convolution of 1×1: torch leaves the two to different libraries, of which the quicker counts. The arithmetic of a
training step, of the sampler and of the enhancer is counted by torch (multiplications and additions of matrix products
and convolutions; not those of attention on a CPU); each is timed in both precisions, and compared with the peak of
that. Then the operators that take longest in the precision that is used, and the time against the size of images, their
number and the width of the network. `tried` measures what may be quicker: `torch.compile`, with the time that the first
call takes, and other numbers of threads; `formats` what the other memory format takes. On a GPU the batch is the one
that draws most images a second. Nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import save
from napari_smdiffusion import TrainConfig, load_enhancer
from napari_smdiffusion.base.devices import autocast, is_out_of_memory, pick_device, release_memory
from napari_smdiffusion.diffusion.denoiser import EdmDenoiser
from napari_smdiffusion.diffusion.network import for_training, make_unet
from napari_smdiffusion.diffusion.noise import sample_sigmas
from napari_smdiffusion.diffusion.sampler import STEPS, sample_steps
from napari_smdiffusion.training.state import TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Work = Callable[[], None]

WIDTHS = {"half": (32, 48, 64, 48), "as it is": TrainConfig().channels, "one and a half": (80, 144, 192, 160)}
THREADS = (1, 2)
MATRIX = {"cpu": 2048, "cuda": 8192, "mps": 4096}  # the side of what the peak is measured with
MOST = 1024  # images together, on a GPU
CPU = torch.device("cpu")


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Compute in bfloat16 or in float32, whatever the hardware is good at."""
    with mock.patch("napari_smdiffusion.base.devices._native_bfloat16", return_value=name == "bfloat16"):
        yield


def finish(device: torch.device) -> None:
    """Wait until all that was asked of a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(work: Work, device: torch.device = CPU) -> float:
    """Return the seconds that one call takes."""
    finish(device)
    began = time.perf_counter()
    work()
    finish(device)
    return time.perf_counter() - began


def seconds(work: Work, times: int = 8, device: torch.device = CPU) -> float:
    """Return the median time of `work`, after two calls that are not counted."""
    for _ in range(2):
        work()
    return float(np.median([timed(work, device) for _ in range(times)]))


def peak(kind: torch.dtype, device: torch.device) -> float:
    """Return the operations a second of a large matrix product, in 10⁹."""
    side = MATRIX[device.type]
    a, b = (torch.randn(side, side).to(device, kind) for _ in range(2))
    # The same product: pixels by channels, and channels by channels.
    image = a.reshape(1, side // 64, 64, side).permute(0, 3, 1, 2)
    weights = b.T.reshape(side, side, 1, 1)

    def product() -> None:
        torch.matmul(a, b)

    def convolution() -> None:
        torch.nn.functional.conv2d(image, weights)

    def best(work: Work) -> float:
        work()
        return min(timed(work, device) for _ in range(10))

    return 2 * side**3 / min(best(product), best(convolution)) / 1e9


def training_step(
    size: int = 128,
    batch: int = 16,
    channels: tuple[int, ...] | None = None,
    device: torch.device = CPU,
    compiled: bool = False,
) -> Work:
    """Return a function that does one training step of the diffusion model."""
    unet = for_training(make_unet(channels or TrainConfig().channels), device)
    state = TrainingState(unet, 1e-3)
    clean = 0.5 * torch.randn(batch, 1, size, size, device=device)
    sigma = sample_sigmas(batch, torch.Generator().manual_seed(0))[0].to(device)
    if compiled:
        unet.compile()

    def step() -> None:
        torch.autograd.backward(EdmDenoiser(unet).loss(clean, sigma, torch.randn_like(clean)).mean())
        state.update()

    return step


def sampling(
    size: int = 128,
    batch: int = 4,
    channels: tuple[int, ...] | None = None,
    device: torch.device = CPU,
    compiled: bool = False,
) -> Work:
    """Return a function that draws images in `STEPS` steps."""
    unet = make_unet(channels or TrainConfig().channels).eval().to(device)
    if compiled:
        unet.compile()

    def draw() -> None:
        for _ in sample_steps(unet, torch.randn(batch, 1, size, size), STEPS):
            pass

    return draw


def enhancing(size: int = 288, device: torch.device = CPU) -> Work:
    """Return a function that enhances one tile, with the mirrored margin that a plane of 256² gets."""
    network = load_enhancer("microtubules").network.to(device)
    image = torch.rand(1, 1, size, size, device=device)

    def enhance() -> None:
        with torch.no_grad(), autocast(image.device):
            network(image)

    return enhance


def counted(work: Work) -> float:
    """Return the operations that `work` takes, in 10⁹."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9


def operators(work: Work, device: torch.device, most: int = 8) -> dict[str, float]:
    """Return the share of the time that the operators take which take longest: that of the device they run on."""
    work()
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as profiled:
        for _ in range(3):
            work()
        finish(device)
    kind = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    spent = {row.key: float(getattr(row, kind)) for row in profiled.key_averages()}
    longest = sorted(spent, key=lambda key: spent[key], reverse=True)[:most]
    return {key: round(spent[key] / sum(spent.values()), 3) for key in longest}


def best_batch(make: Callable[[int], Work], device: torch.device) -> int:
    """Return how many images together are done quickest, of 16, 32, 64 …; on a CPU it is 16."""
    best, rate, batch = 16, 0.0, 16
    while device.type != "cpu" and batch <= MOST:
        try:
            now = batch / seconds(make(batch), 3, device)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            release_memory()
            break
        # A larger batch for a twentieth more is not worth its memory.
        if now < 1.05 * rate:
            break
        best, rate, batch = batch, now, 2 * batch
    return best


def stages(device: torch.device) -> dict[str, tuple[Work, int]]:
    """Return what is measured, and how many images each makes or sees."""
    training = best_batch(lambda batch: training_step(batch=batch, device=device), device)
    drawing = best_batch(lambda batch: sampling(batch=batch, device=device), device)
    return {
        f"training step, {training} patches of 128²": (training_step(batch=training, device=device), training),
        f"{drawing} images of 128² drawn": (sampling(batch=drawing, device=device), drawing),
        "one image of 512² drawn": (sampling(512, 1, device=device), 1),
        "256² enhanced to 1280²": (enhancing(device=device), 1),
    }


def near(work: Work, images: int, peaks: dict[str, float], used: str, device: torch.device) -> dict[str, Any]:
    """Time a stage in both precisions, and compare it with the peak of each."""
    operations = counted(work)
    found: dict[str, Any] = {"gigaflop": operations, "images": images}
    for name, most in peaks.items():
        with precision(name):
            took = seconds(work, device=device)
        found[name] = {"seconds": took, "images_a_second": images / took, "fraction_of_peak": operations / took / most}
    with precision(used):
        found["operators"] = operators(work, device)
    return found


def growth(device: torch.device) -> dict[str, dict[str, float]]:
    """Time training and drawing against the size of images, their number and the width of the network."""

    def train(size: int = 128, batch: int = 16, channels: tuple[int, ...] | None = None) -> float:
        return seconds(training_step(size, batch, channels, device), device=device)

    def draw(size: int, batch: int, channels: tuple[int, ...] | None = None) -> float:
        return seconds(sampling(size, batch, channels, device), 3, device)

    return {
        "training step, per patch, against its size": {
            str(size): train(size, batch) / batch for size, batch in ((64, 64), (128, 16), (256, 4))
        },
        "drawing one image, against its size": {str(size): draw(size, 1) for size in (64, 128, 256, 512, 1024)},
        "drawing images of 128² together, each, against their number": {
            str(batch): draw(128, batch) / batch for batch in (1, 4, 16, 64)
        },
        "training step of 16 patches of 128², against the width of the network": {
            name: train(channels=channels) for name, channels in WIDTHS.items()
        },
        "drawing an image of 128², against the width of the network": {
            name: draw(128, 1, channels) for name, channels in WIDTHS.items()
        },
    }


def limits(device: torch.device) -> None:
    """Measure how near to the peak, and how the cost grows."""
    peaks = {name: peak(kind, device) for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16))}
    used = "bfloat16" if isinstance(autocast(device), torch.autocast) else "float32"
    result: dict[str, Any] = {**_where(device), "peak_gigaflops": peaks, "precision": used, "stages": {}}
    for name, (work, images) in stages(device).items():
        result["stages"][name] = near(work, images, peaks, used, device)
        print(name, result["stages"][name], flush=True)
    result["growth"] = growth(device)
    save("limits" if device.type == "cpu" else f"limits_{device.type}", result)


def tried(device: torch.device) -> None:
    """Measure what `torch.compile` and other numbers of threads bring."""
    made: dict[str, Callable[[bool], Work]] = {
        "training step, 16 patches of 128²": lambda compiled: training_step(device=device, compiled=compiled),
        "training step, 4 patches of 256²": lambda compiled: training_step(256, 4, device=device, compiled=compiled),
        "16 images of 128² drawn": lambda compiled: sampling(batch=16, device=device, compiled=compiled),
    }
    result: dict[str, Any] = {**_where(device), "compile": {}, "threads": {}}
    for name, make in made.items():
        plain, work = seconds(make(False), device=device), make(True)
        # As on a machine that never compiled it.
        with TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"TORCHINDUCTOR_CACHE_DIR": folder}):
            first = timed(work, device)
            compiled = seconds(work, device=device)
        result["compile"][name] = {"seconds": plain, "compiled": compiled, "first_call": first}
        print(name, result["compile"][name], flush=True)
    if device.type == "cpu":
        usual = torch.get_num_threads()
        for name, make in made.items():
            result["threads"][name] = {}
            for count in THREADS:
                torch.set_num_threads(count)
                result["threads"][name][str(count)] = seconds(make(False))
        torch.set_num_threads(usual)
    save("limits_tried" if device.type == "cpu" else f"limits_tried_{device.type}", result)


def formats(device: torch.device) -> None:
    """Time what is done in one memory format in the other, too: with channels last, and with channels first."""
    in_training = "napari_smdiffusion.diffusion.network.training_format"
    last, first = torch.channels_last, torch.contiguous_format
    # The package names the format where networks and what they are given are made.
    everywhere = mock.patch.object(torch, "channels_last", first)
    found: dict[str, dict[str, float]] = {}
    for size, batch in ((128, 16), (256, 4)):
        name = f"training step, {batch} patches of {size}²"
        found[name] = {}
        for kind, layout in (("channels last", last), ("channels first", first)):
            with mock.patch(in_training, return_value=layout):
                found[name][kind] = seconds(training_step(size, batch, device=device), device=device)
    made: dict[str, Callable[[], Work]] = {
        "16 images of 128² drawn": lambda: sampling(batch=16, device=device),
        "256² enhanced to 1280²": lambda: enhancing(device=device),
    }
    for name, make in made.items():
        found[name] = {"channels last": seconds(make(), device=device)}
        with everywhere:
            found[name]["channels first"] = seconds(make(), device=device)
    save(
        "limits_formats" if device.type == "cpu" else f"limits_formats_{device.type}",
        {**_where(device), "formats": found},
    )


def _where(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("limits", "tried", "formats"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps", "auto"))
    options = parser.parse_args()
    for stage in (limits, tried, formats):
        if options.only in (None, stage.__name__):
            stage(pick_device(options.device))
