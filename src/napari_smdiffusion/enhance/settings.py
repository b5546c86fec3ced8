"""Settings of training and application of an enhancer."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, MultipleOf, Unit

from ..base.settings import Batch, Checked, Count, Device, Help, Positive, Seed


@dataclass(frozen=True)
class EnhancerConfig(Checked):
    """How an enhancer is trained."""

    upscale: Annotated[int, Ge(1), Le(8), Help("how many times finer the enhanced pixels are")] = 4
    # More than about two made enhancers better on simulated widefield images, and no better on a real one.
    minutes: Annotated[Positive, Unit("min"), Help("how long to train")] = 2.0
    steps: Annotated[Count | None, Help("number of steps, instead of minutes")] = None
    patch: Annotated[
        int, Ge(32), Unit("px"), Help("side of the super-resolution patches; smaller images are put together")
    ] = 256
    batch: Annotated[Batch, Help("patches in one step")] = 4
    learning_rate: Annotated[
        Positive,
        Le(0.1),
        Help("highest learning rate of the schedule; half of it where the training starts from an enhancer"),
    ] = 1e-3
    channels: Annotated[
        int, Ge(8), MultipleOf(8), Help("width of the network; that of the enhancer it starts from")
    ] = 48
    seed: Annotated[Seed, Help("seed of every random draw")] = 0
    previews: Annotated[int, Ge(0), Le(16), Help("example images shown while training; 0 for none")] = 4
    device: Annotated[Device, Help("where to compute")] = "auto"


@dataclass(frozen=True)
class EnhanceConfig(Checked):
    """How widefield images are enhanced."""

    tile: Annotated[
        Annotated[int, Ge(64), Unit("px")] | None,
        Help("side of the widefield tiles; chosen automatically when not given"),
    ] = None
    uncertainty: Annotated[
        bool, Help("also map how far the truth may be from the result, beside it as …_uncertainty.tif")
    ] = False
    confidence: Annotated[
        float,
        Ge(0.5),
        Le(0.95),
        Help("share of the pixels whose true value is to lie within the uncertainty of the enhanced one"),
    ] = 0.9
    device: Annotated[Device, Help("where to compute")] = "auto"
