"""Train CARE (csbdeep) and our enhancer on the same pairs for the same time, and test both on the same images.

    python -m benchmarks.speed.against_care [--minutes 1 2 4 8] [--our-minutes 0.05 0.1 0.2 0.5 1 2] [--only KIND ...]

Makes `build/care` with csbdeep and tensorflow-cpu from PyPI the first time. The pairs are 400 patches of 240² from
fields that the bundled model generates, and their simulated widefield images; CARE gets these interpolated to the fine
grid and cut in four, as it works on that grid. Both see each pair in its 8 symmetries, and both are trained anew for
each time, with a learning rate that falls linearly to zero within it, from 4e-4 for CARE (its default; else its
learning rate would hardly have begun to fall). CARE minimizes the absolute error by default, and the squared error, as
ours does, in a second run for the longest time. Tested on a simulated and on the real widefield image of the test
columns. Told is how long ours takes to the best PSNR that CARE reaches on the simulated image, interpolated between
the times, and what a patch and a pixel of it take in training. Ours computes in bfloat16 where the processor
multiplies it, CARE in float32, as TensorFlow does unless told otherwise. One seed. `speed` times enhancing alone, three
times each with the network warm, of which the best counts; an untrained CARE takes as long as a trained one. Run these
two with nothing beside them: everything is time. `deconvolution` is what needs no training: Richardson and Lucy's on
the fine grid, with the Gaussian point spread function of the simulated microscope in focus, after some numbers of
iterations; needs scikit-image, which comes with napari.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import zoom

from benchmarks.common import FACTOR, TRAIN_COLUMNS, environment, microtubules, save
from napari_smdiffusion import (
    EnhancedField,
    EnhancerConfig,
    Image,
    MicroscopeConfig,
    load_diffusion_model,
    load_enhancer,
    run,
    train_enhancer_steps,
)
from napari_smdiffusion.enhance.examples import simulation_task
from napari_smdiffusion.enhance.held_out import draw_weights, split_held_out
from napari_smdiffusion.enhance.local_levels import LocalLevels
from napari_smdiffusion.enhance.plane_levels import plane_levels
from napari_smdiffusion.images.unmeasured import scan
from napari_smdiffusion.microscope.camera import widefield as simulated_widefield
from napari_smdiffusion.microscope.optics import psf_sigma
from napari_smdiffusion.report.enhanced import compare_with_reference

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]

PAIRS, PATCH, BATCH = 400, 240, 4
CARE_PATCH, CARE_BATCH = PATCH // 2, 16  # fine pixels of a side; CARE's own default
THEIRS = """
import json, os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
from csbdeep.models import CARE, Config
from importlib.metadata import version

arrays, marks, out = np.load(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
x, y = (arrays[name][..., np.newaxis] for name in ("coarse", "fine"))
random = np.random.default_rng(0)

def symmetries(*pair):
    k = int(random.integers(8))
    turned = (np.rot90(image, k % 4) for image in pair)
    return tuple(image[:, ::-1] if k >= 4 else image for image in turned)

class Falling(keras.callbacks.Callback):
    def __init__(self, minutes):
        super().__init__()
        self.minutes, self.steps, self.began = minutes, 0, time.monotonic()
    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == 1:
            self.began = time.monotonic()  # not the time it takes to build the graph
        done = (time.monotonic() - self.began) / 60 / self.minutes
        self.model.optimizer.learning_rate.assign(4e-4 * max(0.0, 1 - done))
        if done >= 1:
            self.model.stop_training = True

found = {"version": version("csbdeep"), "tensorflow": version("tensorflow-cpu"), "steps": {}}
made = {}
for loss, minutes in [("mae", mark) for mark in marks] + [("mse", marks[-1])]:
    keras.utils.set_random_seed(0)
    config = Config("YXC", n_channel_in=1, n_channel_out=1, train_steps_per_epoch=20, train_tensorboard=False,
                    train_checkpoint=None, train_checkpoint_last=None, train_checkpoint_epoch=None,
                    train_reduce_lr=None, train_loss=loss, train_batch_size=int(sys.argv[4]))
    model = CARE(config, f"care_{loss}_{minutes}", os.path.dirname(out))
    model.prepare_for_training()
    falling = Falling(minutes)
    model.callbacks.append(falling)
    model.train(x[32:], y[32:], validation_data=(x[:2], y[:2]), epochs=100000, augmenter=symmetries)
    name = str(minutes) if loss == "mae" else f"{minutes} mse"
    found["steps"][name] = falling.steps
    for image in ("real", "simulated"):
        made[f"{image}_{name}"] = model.predict(arrays[image], "YX", normalizer=None)
found["parameters"] = int(model.keras_model.count_params())
np.savez(out, **made)
json.dump(found, open(out + ".json", "w"))
"""
THEIR_SPEED = """
import json, os, sys, tempfile, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
from csbdeep.models import CARE, Config

found = {}
with tempfile.TemporaryDirectory() as folder:
    model = CARE(Config("YXC", n_channel_in=1, n_channel_out=1, train_tensorboard=False), "care", folder)
    for side in json.loads(sys.argv[1]):
        image = np.random.default_rng(0).random((side, side), np.float32)
        seconds = []
        for _ in range(4):
            began = time.monotonic()
            model.predict(image, "YX", normalizer=None)
            seconds.append(time.monotonic() - began)
        found[str(side)] = min(seconds[1:])
print(json.dumps(found))
"""
SIDES = (128, 256, 512)  # widefield pixels
KINDS = ("curve", "speed", "deconvolution")
ITERATIONS = (5, 10, 20, 50, 100, 200)


def pairs() -> tuple[Pixels, Pixels]:
    """Return simulated widefield patches (N, 48, 48) and the generated patches (N, 240, 240), in network units."""
    fields = load_diffusion_model("microtubules").generate(32, size=512, seed=11)
    config = EnhancerConfig(upscale=FACTOR, patch=PATCH, batch=BATCH)
    training, _ = split_held_out([fields], draw_weights([fields], None), config)
    task = simulation_task([fields], training, config, MicroscopeConfig(), fields.pixel_size or 20.0)
    drawn = [task.examples(step) for step in range(PAIRS // BATCH)]
    coarse, fine = (torch.cat(kind)[:, 0].numpy() for kind in list(zip(*drawn, strict=True))[:2])
    return coarse, fine


def tests() -> dict[str, EnhancedField]:
    """Return the widefield images that both are tested on, with the STORM image; what is enhanced is put in later."""
    storm, _, real = microtubules()
    random = torch.Generator().manual_seed(5)
    planes = torch.from_numpy(storm.pixels)[:, None]
    counts = simulated_widefield(planes, MicroscopeConfig(), storm.pixel_size or 20.0, FACTOR, random)
    simulated = Image(counts[:, 0].numpy(), real.pixel_size, name="simulated widefield")
    return {"real": EnhancedField(storm, real, storm), "simulated": EnhancedField(storm, simulated, storm)}


def interpolated(plane: Pixels) -> Pixels:
    """Return a widefield plane on the fine grid."""
    return np.asarray(zoom(plane, FACTOR, order=3, grid_mode=True, mode="nearest"), np.float32)


def judged(sharp: Pixels, place: EnhancedField) -> dict[str, Any]:
    """Compare an enhanced plane with the STORM image in the test columns."""
    image = Image(sharp, place.enhanced.pixel_size, name="enhanced")
    said = compare_with_reference(EnhancedField(image, place.widefield, place.reference), slice(TRAIN_COLUMNS, None))
    return {"as it is": said["enhanced"], "registered": said["registered"]["enhanced"]}


def care_python() -> Path:
    """Return the Python that has CARE, and make its environment the first time."""
    return environment("care", ("csbdeep==0.8.2", "tensorflow-cpu"))


def care(coarse: Pixels, fine: Pixels, places: dict[str, EnhancedField], marks: list[float]) -> dict[str, Any]:
    """Train CARE in its own environment up to the last mark, and judge it at each."""
    half = PATCH // 2
    quarters = (slice(0, half), slice(half, None))
    cut = {
        name: np.concatenate([planes[:, rows, columns] for rows in quarters for columns in quarters])
        for name, planes in (("coarse", np.stack([interpolated(plane) for plane in coarse])), ("fine", fine))
    }
    order = np.random.default_rng(0).permutation(len(cut["fine"]))
    arrays: dict[str, Any] = {name: planes[order] for name, planes in cut.items()}
    for name, place in places.items():
        plane = place.widefield.pixels[0]
        arrays[name] = interpolated(plane_levels(plane, scan(plane), LocalLevels(), None).above)
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, **arrays)
        subprocess.run([care_python(), "-c", THEIRS, given, json.dumps(marks), out, str(CARE_BATCH)], check=True)
        found: dict[str, Any] = json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))
        with np.load(out) as made:
            found["curve"] = {
                mark: {name: judged(made[f"{name}_{mark}"], place) for name, place in places.items()}
                for mark in found["steps"]
            }
    return found


def ours(coarse: Pixels, fine: Pixels, places: dict[str, EnhancedField], marks: list[float]) -> dict[str, Any]:
    """Train our enhancer on the pairs, anew for each mark, for its learning rate follows the time it has."""
    pair = Image(coarse, 100.0, name="widefield"), Image(fine, 100.0 / FACTOR, name="generated")
    found: dict[str, Any] = {"steps": {}, "curve": {}}
    for mark in marks:
        config = EnhancerConfig(upscale=FACTOR, minutes=mark, patch=PATCH, previews=0)
        network = run(train_enhancer_steps([], config, MicroscopeConfig(), pairs=[pair]))
        found["steps"][str(mark)] = network.facts.steps
        found["curve"][str(mark)] = {
            name: judged(network.enhance(place.widefield).pixels[0], place) for name, place in places.items()
        }
    return found


def took(found: dict[str, Any], batch: int, side: int) -> dict[str, float]:
    """Return what a patch and a fine pixel of it take in training, by the longest of the times."""
    mark = max((mark for mark in found["steps"] if " " not in mark), key=float)
    seconds = 60 * float(mark) / found["steps"][mark] / batch
    return {"batch": batch, "side": side, "seconds_a_patch": seconds, "seconds_a_pixel": seconds / side**2}


def to_equal_psnr(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return how long each takes to the best PSNR of CARE on the simulated image.

    Between the times that ours was trained for, PSNR is interpolated over their logarithm. Where the shortest of them
    is enough already, and where the longest is not, the time is the nearest of them and a bound.
    """

    def psnr(found: dict[str, Any]) -> dict[str, float]:
        return {mark: one["simulated"]["as it is"]["psnr"] for mark, one in found["curve"].items()}

    reached, curve = psnr(theirs), psnr(ours)
    best = max(reached, key=lambda mark: reached[mark])
    marks = sorted(curve, key=float)
    heights = [curve[mark] for mark in marks]
    # A curve that dips again reached the PSNR where it was reached first.
    minutes = np.exp(np.interp(reached[best], np.maximum.accumulate(heights), np.log([float(mark) for mark in marks])))
    theirs_minutes = float(best.split()[0])
    bound = "at most" if reached[best] < heights[0] else "more than" if reached[best] > max(heights) else ""
    return {
        "psnr": reached[best],
        "care_mark": best,
        "care_minutes": theirs_minutes,
        "ours_minutes": float(minutes),
        "ours_is": bound,
        "ratio": theirs_minutes / float(minutes),
    }


def curve(marks: list[float], our_marks: list[float]) -> None:
    """Train both for each of the times, and judge them."""
    given, places = pairs(), tests()
    theirs, own = care(*given, places, marks), ours(*given, places, our_marks)
    result: dict[str, Any] = {
        "interpolated": {
            name: judged(interpolated(place.widefield.pixels[0]), place) for name, place in places.items()
        },
        "care": {**theirs, "training": took(theirs, CARE_BATCH, CARE_PATCH)},
        "ours": {**own, "training": took(own, EnhancerConfig().batch, PATCH)},
        "equal": to_equal_psnr(theirs, own),
        "threads": torch.get_num_threads(),
    }
    sys.stdout.flush()
    save("against_care", result)


def speed() -> None:
    """Time how long both take to enhance an image."""
    command = [str(care_python()), "-W", "ignore", "-c", THEIR_SPEED, json.dumps([FACTOR * side for side in SIDES])]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    theirs = json.loads(said.splitlines()[-1])
    network = load_enhancer("microtubules")
    result: dict[str, Any] = {}
    for side in SIDES:
        image = np.random.default_rng(0).random((side, side), np.float32)
        seconds = []
        for _ in range(4):
            began = time.monotonic()
            network.enhance(image)
            seconds.append(time.monotonic() - began)
        pair = {"care": theirs[str(FACTOR * side)], "ours": min(seconds[1:])}
        result[str(side)] = {**pair, "ratio": round(pair["care"] / pair["ours"], 1)}
    save("against_care_speed", result)


def deconvolution() -> None:
    """Deconvolve the images that both are tested on, by Richardson and Lucy's iterations."""
    from skimage.restoration import richardson_lucy

    places, microscope = tests(), MicroscopeConfig()
    sigma = psf_sigma(microscope.na, microscope.wavelength) / (places["real"].enhanced.pixel_size or 20.0)
    reach = np.arange(-np.ceil(4 * sigma), np.ceil(4 * sigma) + 1)
    spread = np.exp(-(reach**2) / (2 * sigma**2))
    function = np.outer(spread, spread) / spread.sum() ** 2
    found: dict[str, Any] = {}
    for name, place in places.items():
        plane = interpolated(place.widefield.pixels[0])
        # The camera's offset and what light is everywhere are not blurred structure.
        above = np.maximum(plane - np.percentile(plane, 1), 1e-6)
        padded = np.pad(above / above.max(), len(reach), mode="reflect")
        inner = (slice(len(reach), -len(reach)),) * 2
        for iterations in ITERATIONS:
            sharp = richardson_lucy(padded, function, num_iter=iterations, clip=False)[inner]
            found.setdefault(str(iterations), {})[name] = judged(sharp.astype(np.float32), place)
    save("deconvolution", {"sigma_pixels": sigma, "iterations": found})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 2.0, 4.0, 8.0], help="of CARE")
    parser.add_argument("--our-minutes", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.5, 1.0, 2.0])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    if "curve" in options.only:
        curve(options.minutes, options.our_minutes)
    if "speed" in options.only:
        speed()
    if "deconvolution" in options.only:
        deconvolution()
