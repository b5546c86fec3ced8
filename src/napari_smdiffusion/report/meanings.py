"""What the numbers in reports mean and which are good: one sentence for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..measure.filaments import SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIES = "good where the generated median lies between the 5 % and 95 % marks of the experimental patches"

_MARKS = {
    "generated": "Median over the generated patches.",
    "experimental": "Median over the experimental patches.",
    "low": "5 % of the experimental patches lie below.",
    "high": "5 % of the experimental patches lie above.",
    "inside": "Whether the generated median lies between these two: it should.",
    "difference": (
        "Kolmogorov-Smirnov statistic of both kinds: good below `by_chance`, as where they are of one distribution; 1 "
        "is no overlap."
    ),
    "by_chance": "What that statistic stays below with 95 % confidence where both kinds are of one distribution.",
    "unit": "Of the medians and of the marks.",
}

_TWO_SAMPLE = {
    "auc": (
        "How well a small network tells generated from experimental patches that it has not seen: 0.5 is guessing and "
        "ideal, 1 is every time. It learns for a short time: one that learns for longer may tell more."
    ),
    "by_chance": "As far from 0.5 a network that guesses comes with 95 % confidence, for so many patches.",
    "auc_two_halves": (
        "The same for the first and the second half of the experimental patches, of which there are fewer: what two "
        "regions or images of the experiment differ by; generated ones should not differ more."
    ),
    "patch": "Side of the patches that the network saw, in pixels.",
    "meaning": "The same in words.",
    "folds": (
        "The same for each third of the patches, near each other at best: their spread is the least error of the mean."
    ),
}

_RESTORATION = {
    "correlation": "Correlation with the super-resolution image: 1 is the same.",
    "correlation_blurred": (
        "Correlation with the super-resolution image blurred by 2 pixels, which takes out the chance of single "
        "localizations: 1 is the same structure."
    ),
    "psnr": "Peak signal-to-noise ratio in dB after a linear fit of intensities: more is better.",
    "ssim": "Structural similarity after that fit: 1 is the same.",
    "ms_ssim": "Structural similarity over several scales after that fit: 1 is the same.",
}

# What is compared with the super-resolution image.
_COMPARED = {
    "enhanced": "",
    "interpolated": " Of the widefield image, interpolated: what the enhanced one should exceed.",
    "registered.enhanced": " The two are laid exactly on each other.",
    "registered.interpolated": (
        " Of the widefield image, interpolated, laid exactly on it: what the enhanced one should exceed."
    ),
}

# By the place of a number in a report, its keys joined by dots.
MEANINGS: dict[str, str] = {
    "realism.score": (
        "How far the textures of generated patches are from experimental ones: 0 is as near as those are "
        "to each other and ideal, 1 is as far as a mathematical model; there is none where that model is nearly as "
        "near. Wavy filaments hardly show here: look at their curvature."
    ),
    "realism_of_training_images": "What is to be known where the experimental images were trained on.",
    "realism.score_low": "The score is above this with 95 % confidence, as far as the choice of patches goes.",
    "realism.score_high": "The score is below this with 95 % confidence, as far as the choice of patches goes.",
    "realism.frechet_generated": (
        "Fréchet distance of generated patches to half of the experimental ones: the nearer to the distance of the two "
        "experimental halves, the better."
    ),
    "realism.frechet_experimental": (
        "Fréchet distance of the two halves of the experimental patches: the least that can be asked of generated ones."
    ),
    "realism.frechet_mathematical_model": (
        "Fréchet distance of the nearest mathematical model to the experimental patches: generated ones should be well "
        "below."
    ),
    "realism.diversity": (
        "How different generated patches are from each other, relative to experimental ones: 1 is ideal, well below 1 "
        "means that they repeat themselves."
    ),
    "realism.repeated": (
        "Share of the generated patches that come more than once, beyond that of experimental ones (empty ones do): 0 "
        "is good."
    ),
    "realism.coverage": (
        "How many of the experimental patches have a generated one that is like them, relative to other experimental "
        "patches: 1 is ideal, and near 0 the generated patches repeat a few images or look like none of the experiment."
    ),
    "spectrum.unit": "Of the frequencies.",
    "spectrum.frequency": "The middle of each ring of the radial power spectrum.",
    **{
        f"spectrum.{kind}_{part}": f"Power of the {kind} patches in each ring: {word}."
        for kind in ("experimental", "generated")
        for part, word in (("low", "lower quartile"), ("median", "median"), ("high", "upper quartile"))
    },
    "spectrum.log2_ratio": (
        "By how many doublings the powers of both kinds differ, as a mean over the rings: 0 is ideal; from 1 on they "
        "are blurred, noisy or of another brightness."
    ),
    "histogram.edges": "Intensities between which pixels are counted.",
    "histogram.experimental_share": "Share of the pixels of experimental patches between two of them.",
    "histogram.generated_share": "Share of the pixels of generated patches between two of them.",
    "histogram.overlap": (
        "What the two have in common: 1 is ideal. Most of it may be background, so that a black image has 0.9: look at "
        "the curves as well."
    ),
    "resolution": (
        "Finest detail in nm by decorrelation analysis (median over patches): generated patches should have that of "
        "the experimental ones; more nm means blurred, and fewer means noise that the experiment has not."
    ),
    "enhanced.part": "Which part of the widefield image is judged: the one that the super-resolution image shows.",
    "enhanced.resolution": (
        "Finest detail of the enhanced image in nm, by decorrelation analysis of it alone: it says how sharp it looks, "
        "not whether what it shows is true. Good where it is not finer than frc_half_with_reference, and below the "
        "widefield image's."
    ),
    "enhanced.resolution_widefield": "The same of the widefield image: about the width of its point spread function.",
    "enhanced.frc_widefield": (
        "Resolution of the widefield image in nm by Fourier ring correlation of two halves of its counts (1/7): what "
        "the noise leaves of what the optics show; None where it is finer than the pixels, or lost in noise."
    ),
    "enhanced.frc_widefield_warning": "Why this number should not be believed; none where the pixels are counts.",
    "enhanced.frc_with_reference": (
        "The period in nm at which the Fourier ring correlation with the super-resolution image falls below 1/7: what "
        "is finer is made up, or the chance of single localizations. Two pixels where it never does, and None where "
        "they hardly agree at all, or are too small to tell."
    ),
    "enhanced.frc_half_with_reference": (
        "The same at one half: what resolution the enhanced image really has, or better, for the super-resolution "
        "image has noise of its own, which lowers the correlation."
    ),
    "enhanced.rse": (
        "Root mean square difference of the enhanced image, blurred again, and the widefield image, in its units: the "
        "smaller, the better; where the error map is hotter than places of the same brightness, something was made up "
        "or lost; bright and hazy places are hot by themselves."
    ),
    "enhanced.rsp": (
        "Correlation of the two: near 1 where the enhanced image explains the widefield image. Haze, which it leaves "
        "out, lowers it; then look where the error map is hot rather than at this number."
    ),
    "enhanced.uncertainty.stated": "The share of the pixels that should lie within the uncertainty map.",
    "enhanced.uncertainty.coverage": (
        "The share of the pixels of the super-resolution image that do, after a linear fit of intensities: good where "
        "it is what was stated."
    ),
    "enhanced.uncertainty.coverage_bright": (
        "The same where the enhanced image is brighter than on the average, rather than in the background, which is "
        "the easier part; structure that it misses is not among these."
    ),
    "enhanced.uncertainty.coverage_structure": (
        "The same where the super-resolution image is brighter than on the average: of structure that is there, with "
        "the chance of single localizations in it, which no enhancer can know."
    ),
    "enhanced.uncertainty.rank_correlation": (
        "Whether the map is large where the error is (Spearman): 1 is ideal, 0 means that it tells nothing."
    ),
    **{
        f"enhancement.{images}.{key}": text + of
        for images, of in _COMPARED.items()
        for key, text in _RESTORATION.items()
    },
    "enhancement.registered.offset": (
        "By how many pixels of the super-resolution image the widefield image was moved, down and to the right, to lie "
        "exactly on it: half a widefield pixel is common."
    ),
    "enhancement.registered.found": (
        "Whether that was found, within two widefield pixels: false where they are off by more, or show other fields."
    ),
    "memorization.verdict": "Whether generated patches are copies of training images, in words.",
    "memorization.generated_median": (
        "Correlation of a generated patch with the training window it resembles most (median): 1 is a copy. Images of "
        "fewer structures or less noise have more than held-out experimental patches without being any; the verdict "
        "tells."
    ),
    "memorization.held_out_median": (
        "The same for experimental patches that the model was not trained on: how alike patches are without copying."
    ),
    "memorization.fraction_above_held_out_99": (
        "Share of generated patches that resemble a training window more than 99 % of the held-out patches do: about "
        "0.01, or one in as many as were held out, where they show as much and are as noisy. More may be copies, or "
        "simpler images; the verdict tells."
    ),
    "memorization.threshold": (
        "By how many standard errors a patch must fit one symmetry of a training window better than all others to be "
        "called a copy; a patch that is none exceeds it in one of 100 reports."
    ),
    "memorization.copies": "How many generated patches were called copies of a training image: 0 is good.",
    "memorization.held_out_copies": (
        "How many of the other held-out experimental patches were called copies: 0 is expected, and more mean that so "
        "many are called copies by mistake, or lie in the training images a little changed."
    ),
    "memorization.held_out_trained_on": (
        "How many experimental patches lie in the training images as they are: 0 is expected. They are left out, for "
        "what the model was trained on says nothing of what it copies."
    ),
    "memorization.threshold_correlation": (
        "The correlation from which on a patch is called a copy whatever its margin, for structures that look alike in "
        "several symmetries."
    ),
    "memorization.copied": (
        "Where the patches that were called copies begin in the generated images: image (from 0), row and column."
    ),
    "two_sample_large": "The same as two_sample, of larger patches, which show more of the course of a structure.",
    **{f"{name}.{key}": text for name in ("two_sample", "two_sample_large") for key, text in _TWO_SAMPLE.items()},
    "filaments.length_density": f"Length of the skeleton per area: {_LIES}.",
    "filaments.branch_length": (
        f"Length of the skeleton's branches between crossings, ends and gaps (median): {_LIES}; short means broken "
        "filaments, where the structure has some."
    ),
    "filaments.curvature": (
        f"How bent the skeleton is, one over the radius (median): {_LIES}; more means wavy or crooked branches."
    ),
    "filaments.curvature_90": f"How bent the most bent tenth of the skeleton is: {_LIES}; more means kinks.",
    "filaments.order": f"How parallel its branches are, 0 for all directions alike and 1 for parallel: {_LIES}.",
    "filaments.intensity_variation": (
        f"How uneven the light along a branch is, standard deviation over mean (median): {_LIES}; more means dashes."
    ),
    "filaments.free_ends": f"How many ends the skeleton has per length, two for each gap: {_LIES}; more means dashes.",
    **{f"filaments.{name}.{key}": text for name in SUMMARIES for key, text in _MARKS.items()},
    "seconds.compare": "How long the comparison took, in seconds.",
    "provenance.patch": "Side in pixels of the patches whose textures, spectra and skeletons were compared.",
    "provenance.patches": "How many patches of each kind that were.",
}

_UNITS = {
    "resolution": "nm",
    "enhanced.resolution": "nm",
    "enhanced.resolution_widefield": "nm",
    "enhanced.frc_widefield": "nm",
    "enhanced.frc_with_reference": "nm",
    "enhanced.frc_half_with_reference": "nm",
    **{f"enhancement.{images}.psnr": "dB" for images in _COMPARED},
    "enhancement.registered.offset": "pixels",
    "two_sample.patch": "pixels",
    "two_sample_large.patch": "pixels",
}


def unit_of(name: str) -> str:
    """Return the unit of a number by its place in a report, and "" for one that has none or tells it itself."""
    return _UNITS.get(name, "")


def meanings_of(report: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return the sentences for what stands in a report, by the keys of each number joined by dots."""
    found = {}
    for key, value in report.items():
        name = f"{above}{key}"
        if name in MEANINGS:
            found[name] = MEANINGS[name]
        if isinstance(value, dict):
            found.update(meanings_of(value, f"{name}."))
    return found
