"""Judge the posterior samples of an enhancer on the real pair of its structure, in the part that nothing saw.

    python -m benchmarks.models.samples {microtubules,mitochondria} [--enhancer FOLDER] [--samples 16] [--seeds 3]
    python -m benchmarks.models.samples mitochondria --enhancer microtubules --picture samples_wrong

What is measured:

- the best estimate of the enhancer, the mean of the samples, and single samples;
- whether samples differ from each other as much as from the truth, at three scales;
- how often the intervals hold;
- whether the map of trust and the widths of the intervals follow the error, also with a sample as the truth;
- whether a classifier recognizes samples among STORM patches.

Each seed is saved at once, and a seed that is there is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.common import CELLS, FACTORS, PICTURES, RESULTS, TESTED, save_entry
from napari_smdiffusion import EnhanceConfig, EnhancedField, Image, load_enhancer, run
from napari_smdiffusion.images.patches import grid_patches
from napari_smdiffusion.images.registration import translated
from napari_smdiffusion.measure.classifier import two_sample_test
from napari_smdiffusion.measure.realism import realism
from napari_smdiffusion.measure.restoration import rank_correlation
from napari_smdiffusion.report.enhanced import compare_with_reference
from napari_smdiffusion.report.pictures import contrast, new_figure, save_figure, show
from napari_smdiffusion.samples.applying import sample_image_steps

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_smdiffusion import Enhancer

    Pixels = npt.NDArray[np.float32]

MARGIN = 16  # widefield pixels around the tested part that are sampled with it
BLURS = (0.0, 2.0, 4.0)  # pixels
BLUR = 2.0  # pixels; the resolution that intervals and trust are about
CORNERS = {"microtubules": (300, 960), "mitochondria": (2000, 1000)}  # (y, x) of the picture, in STORM pixels
SHOWN = 64  # widefield pixels along the side of the picture
PATCH = 64  # pixels; patches of the realism score and of the classifier


def pair(structure: str) -> tuple[Image, Image, tuple[slice, slice]]:
    """Return the STORM image, the widefield image, and the (rows, columns) of the STORM image that are tested."""
    storm, _, coarse = CELLS[structure]()
    rows, columns = TESTED[structure]
    height, width = storm.size
    return storm, coarse, (slice(*rows.indices(height)), slice(*columns.indices(width)))


def judged(enhancer: Enhancer, structure: str, count: int, seed: int) -> dict[str, Any]:
    """Return all figures of one seed."""
    storm, coarse, (rows, columns) = pair(structure)
    factor = FACTORS[structure]
    first = [max(0, part.start // factor - MARGIN) for part in (rows, columns)]
    near = replace(coarse, pixels=coarse.pixels[:, first[0] :, first[1] :])
    began = time.monotonic()
    sampled = run(sample_image_steps(enhancer, near, EnhanceConfig(samples=count, seed=seed, uncertainty=True)))
    seconds = time.monotonic() - began
    estimate = enhancer.enhance(coarse)
    registered = compare_with_reference(EnhancedField(estimate, coarse, storm), columns, rows)["registered"]

    def placed(pixels: Pixels) -> Pixels:
        """Return the tested part of a result of the sampled field, registered to the STORM image."""
        whole = np.zeros(estimate.size, np.float32)
        whole[first[0] * factor :, first[1] * factor :] = pixels
        return translated(whole, registered["offset"])[rows, columns]

    def own_pixels(pixels: Pixels) -> Pixels:
        """Return the tested part of samples (N, Y, X) without interpolation, which a classifier would recognize."""
        return pixels[:, rows.start - first[0] * factor :, columns.start - first[1] * factor :][
            :, : rows.stop - rows.start, : columns.stop - columns.start
        ]

    assert sampled.samples is not None
    assert sampled.trust is not None
    assert sampled.uncertainty is not None
    truth = storm.pixels[0][rows, columns]
    samples = np.stack([placed(plane) for plane in sampled.samples.pixels])
    mean, trust, width = (placed(image.pixels[0]) for image in (sampled.image, sampled.trust, sampled.uncertainty))
    regression = translated(estimate.pixels[0], registered["offset"])[rows, columns]
    return {
        "seconds": round(seconds, 1),
        "estimate": similarity(regression, truth),
        "mean_of_samples": similarity(mean, truth),
        "honesty": {f"{blur:g}": honesty(samples, truth, blur) for blur in BLURS},
        "intervals": intervals(samples, mean, width, truth),
        "trust": {**followed(mean, width, trust, truth), "width_if_true": followed_if_true(samples, width, truth)},
        "realism": {
            "sample": recognized(own_pixels(sampled.samples.pixels[:2]), truth),
            "estimate": recognized(estimate.pixels[:, rows, columns], truth),
            "halves": {"auc": halves(truth)},
        },
    }


def correlation(one: Pixels, other: Pixels) -> float:
    """Return Pearson's correlation of two planes."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def scaled(plane: Pixels, truth: Pixels) -> Pixels:
    """Return a plane in the units of the truth: the factor with the least squared error."""
    return np.asarray(plane * (float((plane * truth).sum()) / max(float(np.square(plane).sum()), 1e-12)), np.float32)


def similarity(plane: Pixels, truth: Pixels) -> dict[str, float]:
    """Return correlations, PSNR (dB) and SSIM of a result."""
    from skimage.metrics import structural_similarity

    top = float(np.percentile(truth, 99.9))
    fitted = scaled(plane, truth)
    error = float(np.square(fitted - truth).mean())
    return {
        "raw": round(correlation(plane, truth), 4),
        "blurred": round(correlation(plane, gaussian_filter(truth, BLUR)), 4),
        "both_blurred": round(correlation(gaussian_filter(plane, BLUR), gaussian_filter(truth, BLUR)), 4),
        "psnr": round(10 * float(np.log10(top**2 / error)), 3),
        "ssim": round(float(structural_similarity(fitted, truth, data_range=top)), 4),
    }


def honesty(samples: Pixels, truth: Pixels, blur: float) -> dict[str, float]:
    """Return the mean correlation of a sample with the truth, and with another sample: equal if samples are honest."""
    planes = np.stack([gaussian_filter(plane, blur) for plane in samples]) if blur else samples
    target = gaussian_filter(truth, blur) if blur else truth
    between = np.corrcoef(planes.reshape(len(planes), -1))[np.triu_indices(len(planes), 1)]
    return {
        "with_truth": round(float(np.mean([correlation(plane, target) for plane in planes])), 4),
        "with_sample": round(float(between.mean()), 4),
    }


def intervals(samples: Pixels, mean: Pixels, width: Pixels, truth: Pixels) -> dict[str, float]:
    """Return how often intervals hold: the range of the samples about pixels, and that of 90 % about the blurred image.

    "structure" are pixels where the STORM image shows anything. The width is relative to the mean of the truth there.
    """
    factor = float((mean * truth).sum()) / max(float(np.square(mean).sum()), 1e-12)
    low, high = samples.min(0) * factor, samples.max(0) * factor
    inside, structure = (truth >= low - 1e-6) & (truth <= high), truth > 0
    blurred, smooth = gaussian_filter(truth, BLUR), gaussian_filter(mean, BLUR) * factor
    held = np.abs(blurred - smooth) <= width * factor
    return {
        "range_all": round(float(inside.mean()), 4),
        "range_structure": round(float(inside[structure].mean()), 4),
        "range_stated": round((len(samples) - 1) / (len(samples) + 1), 4),
        "ninety_all": round(float(held.mean()), 4),
        "ninety_structure": round(float(held[structure].mean()), 4),
        "relative_width": round(float(width[structure].mean() * factor / blurred[structure].mean()), 4),
    }


def followed(mean: Pixels, width: Pixels, trust: Pixels, truth: Pixels) -> dict[str, float | None]:
    """Return rank correlations with the error of the blurred image, where the STORM image shows anything."""
    blurred = gaussian_filter(truth, BLUR)
    error = np.abs(blurred - scaled(gaussian_filter(mean, BLUR), blurred))
    structure = truth > 0
    found = {"width": width, "distrust": 1 - trust}
    ranks = {name: rank_correlation(plane[structure], error[structure]) for name, plane in found.items()}
    return {name: None if rank is None else round(rank, 4) for name, rank in ranks.items()}


def followed_if_true(samples: Pixels, width: Pixels, truth: Pixels) -> float:
    """Return the rank correlation of the width with the error if a sample was the truth: no width can do much better.

    The error of one pixel is a single draw, so that even an exact standard deviation of it ranks errors poorly.
    """
    share, total = float((truth > 0).mean()), samples.sum(0)
    ranks = []
    for sample in samples[:4]:
        others = gaussian_filter((total - sample) / (len(samples) - 1), BLUR)
        error = np.abs(gaussian_filter(sample, BLUR) - others)
        structure = sample >= np.quantile(sample, 1 - share)
        ranks.append(rank_correlation(width[structure], error[structure]) or 0.0)
    return round(float(np.mean(ranks)), 4)


def recognized(planes: Pixels, truth: Pixels) -> dict[str, float | None]:
    """Return the realism score of patches among held-out STORM patches, and the AUC of a classifier."""
    experimental = grid_patches([truth], PATCH)
    # The brightness of the truth, and its 8 bits: they are those of a display.
    ratio = float(truth.mean()) / max(float(planes.mean()), 1e-12)
    made = grid_patches([np.clip(np.rint(plane * ratio), 0, 255).astype(np.float32) for plane in planes], PATCH)
    score = realism(made, experimental, 20.0)
    return {"score": score.score, "auc": round(two_sample_test(experimental, made[: len(experimental)]).auc, 4)}


def halves(truth: Pixels) -> float:
    """Return the AUC of a classifier of the patches of both halves of the truth: how far parts of it differ."""
    middle = truth.shape[1] // 2
    one, other = (grid_patches([part], PATCH) for part in (truth[:, :middle], truth[:, middle:]))
    return round(two_sample_test(one, other).auc, 4)


def picture(enhancer: Enhancer, structure: str, name: str) -> None:
    """Draw a field of 64 widefield pixels of the tested part: widefield, best estimate, three samples, trust, truth."""
    storm, coarse, _ = pair(structure)
    factor, (y, x) = FACTORS[structure], CORNERS[structure]
    top, left = (max(0, start // factor - MARGIN) for start in (y, x))
    side = SHOWN + 2 * MARGIN
    near = replace(coarse, pixels=coarse.pixels[:, top : top + side, left : left + side])
    sampled = run(sample_image_steps(enhancer, near, EnhanceConfig(samples=8)))
    assert sampled.samples is not None
    assert sampled.trust is not None
    times = sampled.image.size[0] // near.size[0]
    rows, columns = (
        slice((start // factor - first), (start // factor - first) + SHOWN) for start, first in ((y, top), (x, left))
    )
    fine = tuple(slice(part.start * times, part.stop * times) for part in (rows, columns))
    truth = storm.pixels[0][y : y + SHOWN * factor, x : x + SHOWN * factor]
    samples = [plane[fine] for plane in sampled.samples.pixels[:3]]
    best, trust = sampled.image.pixels[0][fine], sampled.trust.pixels[0][fine]
    size = storm.pixel_size or 20.0
    bright = contrast([best, *samples])
    panels = [
        (near.pixels[0][rows, columns], "Real widefield", size * factor, None),
        (best, "Best estimate, with 8 samples", size * factor / times, bright),
        (trust, "Trust: share of samples with structure", size * factor / times, (0.0, 1.0)),
        (truth, "STORM image of the same field, never seen", size, None),
        *((sample, f"Sample {k + 1}", size * factor / times, bright) for k, sample in enumerate(samples)),
    ]
    figure = new_figure(18, 9.6)
    axes = figure.subplots(2, 4).ravel()
    for axis, (plane, title, pixel, limits) in zip(axes, panels, strict=False):
        show(axis, plane, limits or contrast([plane]), title, pixel)
    axes[-1].set_visible(False)
    save_figure(figure, PICTURES / f"{name}.png")


def main() -> None:
    """Measure every seed that is missing, or draw a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structure", choices=sorted(CELLS))
    parser.add_argument("--enhancer", help="name or folder; the bundled enhancer of the structure by default")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", metavar="NAME", help="only draw docs/images/NAME.png")
    options = parser.parse_args()
    enhancer = load_enhancer(options.enhancer or options.structure)
    if options.picture:
        picture(enhancer, options.structure, options.picture)
        return
    name = f"samples_{options.structure}"
    path = RESULTS / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for seed in range(options.seeds):
        key = f"{enhancer.digest()[:12]} seed {seed}, {options.samples} samples"
        if key not in known:
            result = judged(enhancer, options.structure, options.samples, seed)
            print(json.dumps(result, indent=1), flush=True)
            save_entry(name, key, result)


if __name__ == "__main__":
    main()
