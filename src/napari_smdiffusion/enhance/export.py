"""Enhancers as bioimage.io packages, for the programs that run such models.

A package is a zip of `rdf.yaml`, which says what goes in and what comes out, of the network as TorchScript, of an
example with its result, and of the model card. The network in it is the whole enhancer but for the levels of the
widefield image, which each program measures itself, as `rdf.yaml` tells it.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..base.devices import generator
from ..base.errors import InputError
from ..base.version import __version__
from ..base.whole_files import atomic_file
from ..microscope.camera import widefield_image
from ..structures.simulate import simulate
from .applying import BORDER
from .levels import BRIGHT, DARK, widefield_levels
from .model import Enhancer
from .network import ALIGN, REACH, EnhancerNetwork, even_background

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from bioimageio.spec.model.v0_5 import InputTensorDescr, ModelDescr, OutputTensorDescr

_EXAMPLE = 128  # widefield pixels along a side of the example
_PAPER = "Saguy et al., This Microtubule Does Not Exist, Small Methods 2024", "10.1002/smtd.202400672"


class _Whole(nn.Module):
    """An enhancer from scaled widefield pixels to intensities, written so that TorchScript can compile it.

    It has the layers of the network themselves: what `EnhancerNetwork.forward` does to be quick, TorchScript has no
    words for.
    """

    def __init__(self, network: EnhancerNetwork, dark: float, bright: float) -> None:
        super().__init__()
        self.enter, self.top, self.middle, self.bottom = network.enter, network.top, network.middle, network.bottom
        self.down1, self.down2, self.up1, self.up2 = network.down1, network.down2, network.up1, network.up2
        self.after1, self.after2, self.shuffle, self.leave = (
            network.after1,
            network.after2,
            network.shuffle,
            network.leave,
        )
        self.upscale, self.border, self.align = network.upscale, BORDER, ALIGN
        self.dark, self.bright = dark, bright

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enhance (B, 1, Y, X); at the borders it sees the image mirrored, as `enhance_steps` has it."""
        b, height, width = self.border, x.shape[2], x.shape[3]
        x = torch.cat([x[:, :, :b].flip(2), x, x[:, :, height - b :].flip(2)], 2)
        x = torch.cat([x[:, :, :, :b].flip(3), x, x[:, :, :, width - b :].flip(3)], 3)
        x = F.pad(x, [0, -width % self.align, 0, -height % self.align], mode="replicate")
        top = self.top(self.enter(x))
        middle = self.middle(self.down1(top))
        bottom = self.bottom(self.down2(middle))
        middle = self.after2(middle + F.interpolate(self.up2(bottom), scale_factor=2.0, mode="nearest"))
        top = self.after1(top + F.interpolate(self.up1(middle), scale_factor=2.0, mode="nearest"))
        sharp = self.leave(F.silu(F.pixel_shuffle(self.shuffle(F.silu(top)), self.upscale)))
        sharp = even_background(sharp, self.upscale)
        first, f = b * self.upscale, self.upscale
        sharp = sharp[:, :, first : first + height * f, first : first + width * f].clamp(min=0.0)
        return sharp * (self.bright - self.dark) + self.dark


def export_enhancer(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    authors: Sequence[str] = (),
    license_id: str | None = None,
) -> Path:
    """Write the enhancer in a model folder as a bioimage.io package (needs bioimageio.spec).

    Parameters
    ----------
    folder
        Of the enhancer.
    path
        The zip to write; one that is there is replaced.
    authors
        Names of who made it.
    license_id
        Of the model, by its SPDX identifier: BSD-3-Clause, CC-BY-4.0, ...

    Returns
    -------
    The path.

    Raises
    ------
    ModelFolderError
        If the folder is no enhancer, or a damaged one.
    InputError
        If bioimageio.spec is missing, or refuses what is to be written.
    """
    folder, path = Path(folder), Path(path)
    try:
        from bioimageio.spec import save_bioimageio_package
    except ImportError as error:
        raise InputError("Exporting needs bioimageio.spec: pip install bioimageio.spec.") from error
    enhancer = Enhancer.load(folder)
    with tempfile.TemporaryDirectory() as work, atomic_file(path) as temporary:
        model = _described(enhancer, folder, Path(work), authors, license_id)
        temporary.unlink()  # it writes no file that is there
        save_bioimageio_package(model, output_path=temporary)
    return path


def _described(
    enhancer: Enhancer, folder: Path, work: Path, authors: Sequence[str], license_id: str | None
) -> ModelDescr:
    """Return the description of a package, whose files are written into `work`."""
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.generic.v0_3 import Author, CiteEntry, Doi, LicenseId
    from bioimageio.spec.model import v0_5 as spec
    from pydantic import ValidationError

    factor = enhancer.config.upscale
    script, example, result = _written(enhancer, work)
    try:
        taken, made = _tensors(enhancer, example, result)
        torchscript = spec.TorchscriptWeightsDescr(
            source=script,
            pytorch_version=spec.Version(torch.__version__.split("+")[0]),
            comment=f"made by napari-smdiffusion {__version__}; trained on {enhancer.facts.trained_on}",
        )
        return spec.ModelDescr(
            # Other characters are refused.
            name=re.sub(r"[^A-Za-z0-9_+\- ()]", "_", f"{enhancer.name[:80]} (widefield enhanced x{factor})"),
            description=f"A widefield image as a super-resolution image with pixels {factor} times finer.",
            authors=[Author(name=name) for name in authors],
            license=None if license_id is None else LicenseId(license_id),
            cite=[CiteEntry(text=_PAPER[0], doi=Doi(_PAPER[1]))],
            documentation=FileDescr(source=folder / "README.md"),
            # There is no picture of a training of a few steps.
            covers=[FileDescr(source=path) for path in [folder / "picture.png"] if path.exists()],
            tags=["super-resolution", "widefield", "fluorescence-light-microscopy", "image-restoration", "pytorch"],
            inputs=[taken],
            outputs=[made],
            weights=spec.WeightsDescr(torchscript=torchscript),
        )
    except ValidationError as error:
        raise InputError(f"{folder} cannot be described for bioimage.io: {error.errors()[0]['msg']}.") from error


def _tensors(enhancer: Enhancer, example: Path, result: Path) -> tuple[InputTensorDescr, OutputTensorDescr]:
    """Return what goes in and what comes out: axes, sizes, pixel sizes, and what is to be done before."""
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.model import v0_5 as spec

    factor = enhancer.config.upscale
    step, unit = (enhancer.pixel_size, "nanometer") if enhancer.pixel_size else (1.0, None)
    # Whoever reads it multiplies sizes by one scale and divides by the other, and cuts off what is behind the point:
    # with so few binary digits that is exact.
    step = max(1, round(step * 1024)) / 1024
    taken, made, plane = spec.TensorId("widefield"), spec.TensorId("enhanced"), [spec.AxisId(name) for name in "yx"]
    size = spec.ParameterizedSize(min=2 * REACH + ALIGN, step=ALIGN)
    coarse = [spec.SpaceInputAxis(id=axis, size=size, unit=unit, scale=step * factor) for axis in plane]
    fine = [
        spec.SpaceOutputAxisWithHalo(
            id=axis,
            size=spec.SizeReference(tensor_id=taken, axis_id=axis),
            halo=REACH * factor,
            unit=unit,
            scale=step,
        )
        for axis in plane
    ]
    levels = spec.ScaleRangeKwargs(axes=[spec.AxisId("channel"), *plane], min_percentile=DARK, max_percentile=BRIGHT)
    return spec.InputTensorDescr(
        id=taken,
        description="a whole widefield image, in any units",
        axes=[spec.BatchAxis(), spec.ChannelAxis(channel_names=[spec.Identifier("widefield")]), *coarse],
        test_tensor=FileDescr(source=example),
        preprocessing=[spec.ScaleRangeDescr(kwargs=levels)],
    ), spec.OutputTensorDescr(
        id=made,
        description="an estimate, not a measurement, in the units of the images it was trained on",
        axes=[spec.BatchAxis(), spec.ChannelAxis(channel_names=[spec.Identifier("enhanced")]), *fine],
        test_tensor=FileDescr(source=result),
    )


def _written(enhancer: Enhancer, work: Path) -> tuple[Path, Path, Path]:
    """Write the network as TorchScript, and an example with its result."""
    levels, factor = enhancer.levels, enhancer.config.upscale
    whole = _Whole(enhancer.network.eval(), levels.dark, levels.bright).eval()
    step = enhancer.pixel_size or 20.0
    fine = simulate("microtubules", size=_EXAMPLE * factor, pixel_size=step, seed=0)
    camera = widefield_image(fine, step, enhancer.microscope, factor, generator(0))
    seen, found = camera.pixels[:, None], widefield_levels(camera)
    # As the preprocessing does it, which does not divide by zero.
    scaled = (seen - found.dark) / (found.bright - found.dark + 1e-6)
    with warnings.catch_warnings(), torch.no_grad():
        # torch says so of TorchScript, which is what these programs read.
        warnings.filterwarnings("ignore", message=".*deprecated.*", category=DeprecationWarning)
        script = torch.jit.script(whole)
        # By its name torch would not open a file in a folder whose name is not ASCII on Windows.
        with (work / "enhancer.pt").open("wb") as file:
            torch.jit.save(script, file)
        result = script(torch.from_numpy(scaled.astype(np.float32))).numpy()
    np.save(work / "widefield.npy", seen)
    np.save(work / "enhanced.npy", result)
    return work / "enhancer.pt", work / "widefield.npy", work / "enhanced.npy"
