"""Settings for training and applying an enhancer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MultipleOf, Unit

from ..base.settings import Batch, Checked, Count, Device, Help, Positive, Seed


@dataclass(frozen=True)
class EnhancerConfig(Checked):
    """Settings for training an enhancer."""

    upscale: Annotated[int, Ge(1), Le(8), Help("enhanced pixels per widefield pixel, along each axis")] = 4
    method: Annotated[
        Literal["estimate", "samples"],
        Help(
            "what to train: a network for the best estimate, or also one for posterior samples. A training of samples "
            "that starts from an enhancer keeps its best estimate"
        ),
    ] = "estimate"
    # In our benchmarks, longer trainings improved simulated widefield images, but not a real one.
    minutes: Annotated[Positive, Unit("min"), Help("how long to train")] = 2.0
    steps: Annotated[Count | None, Help("number of steps, instead of minutes")] = None
    patch: Annotated[
        int, Ge(32), Unit("px"), Help("side of the super-resolution patches; smaller images are tiled into one patch")
    ] = 256
    batch: Annotated[Batch, Help("patches in one step")] = 4
    learning_rate: Annotated[
        Positive,
        Le(0.1),
        Help("highest learning rate of the schedule; a training that starts from an enhancer uses half of it"),
    ] = 1e-3
    channels: Annotated[
        int,
        Ge(8),
        Le(2048),
        MultipleOf(8),
        Help("width of the network; a training that starts from an enhancer keeps its width"),
    ] = 48
    seed: Annotated[Seed, Help("seed of every random draw")] = 0
    previews: Annotated[int, Ge(0), Le(16), Help("example images shown while training; 0 for none")] = 4
    device: Annotated[Device, Help("where to compute")] = "auto"


MOST_SAMPLES = 64


@dataclass(frozen=True)
class EnhanceConfig(Checked):
    """Settings for enhancing widefield images."""

    tile: Annotated[
        Annotated[int, Ge(64), Unit("px")] | None,
        Help("side of the widefield tiles; by default chosen automatically"),
    ] = None
    uncertainty: Annotated[
        bool, Help("also map the uncertainty, the likely distance of the result from the truth, as …_uncertainty.tif")
    ] = False
    samples: Annotated[
        int,
        Ge(0),
        Le(MOST_SAMPLES),
        Help(
            "number of posterior samples: sharp images that are all probable, as …_samples.tif; 0 for the best "
            "estimate only"
        ),
    ] = 0
    seed: Annotated[Seed, Help("seed of the samples")] = 0
    confidence: Annotated[
        float,
        Ge(0.5),
        Le(0.95),
        Help("share of the pixels whose true value should be within the uncertainty of the enhanced value"),
    ] = 0.9
    device: Annotated[Device, Help("where to compute")] = "auto"
