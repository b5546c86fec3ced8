"""Export of enhancers as bioimage.io packages, for other programs that run such models.

A package is a zip with these files:

* `rdf.yaml`, the description of the input and the output,
* the network as TorchScript,
* an example with its result,
* the model card,
* the enhancer as one file of this package, with its sampler, from which `smdiffusion get` takes it back. The network as
  TorchScript is never read again, because it is code.

The network contains the whole enhancer with the local levels of the widefield image. It does not look for pixels
without a measurement, such as the borders of registered images.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..base.devices import generator
from ..base.errors import InputError
from ..base.folders import user_path
from ..base.temporary import temporary_folder
from ..base.version import __version__
from ..base.whole_files import cannot_be_written, check_allocation, rename_into_place
from ..microscope.camera import widefield_image
from ..store.folder import WEIGHTS, training_lock
from ..store.shared_file import NESTED, Terms, write_shared
from ..structures.simulate import simulate
from .local_levels import LocalLevels
from .model import KIND, Enhancer
from .network import ALIGN, REACH, EnhancerNetwork, even_background
from .tile_work import BORDER

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from bioimageio.spec.model.v0_5 import InputTensorDescr, ModelDescr, OutputTensorDescr

    from .facts import WidefieldLevels

# Widefield pixels that a pixel of the result depends on. The levels depend on pixels farther away too, but an error of
# the unit cancels: with this overlap the result differs by less than 0.5 %.
_HALO = REACH + 64
_EXAMPLE = 2 * _HALO + ALIGN  # side of the example in widefield pixels: the least
_PAPER = "Saguy et al., This Microtubule Does Not Exist, Small Methods 2024", "10.1002/smtd.202400672"


class _ScriptableEnhancer(nn.Module):
    """An enhancer from widefield pixels to enhanced ones that TorchScript can compile.

    It uses the layers of the network directly, because TorchScript cannot compile `EnhancerNetwork.forward`.
    """

    def __init__(self, network: EnhancerNetwork, widefield: WidefieldLevels) -> None:
        super().__init__()
        self.levels = LocalLevels(widefield.opening, widefield.around)
        self.contrast, self.light = widefield.contrast, widefield.light
        self.enter, self.top, self.middle, self.bottom = network.enter, network.top, network.middle, network.bottom
        self.down1, self.down2, self.up1, self.up2 = network.down1, network.down2, network.up1, network.up2
        self.enlarge, self.after1, self.after2 = network.enlarge, network.after1, network.after2
        self.shuffle, self.leave = network.shuffle, network.leave
        self.upscale, self.border, self.align = network.upscale, BORDER, ALIGN

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enhance (B, 1, Y, X), which is scaled and then mirrored at its borders, as by `enhance_steps`."""
        b, height, width = self.border, x.shape[2], x.shape[3]
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        scale = torch.exp2(torch.floor(torch.log2((high - low).clamp(min=1e-30))))
        margin = [0, -width % self.align, 0, -height % self.align]
        measured = F.pad(torch.ones_like(x), margin)
        above, unit, _ = self.levels(F.pad((x - low) / scale, margin, mode="replicate"), measured)
        x = self.levels.compressed(above[..., :height, :width] / self.contrast)
        unit = unit[..., :height, :width] * scale * (self.contrast / self.light)
        # More is mirrored at the end, up to a multiple of `align`, as by `tile_work`.
        below, right = b + -height % self.align, b + -width % self.align
        x = torch.cat([x[:, :, :b].flip(2), x, x[:, :, height - below :].flip(2)], 2)
        x = torch.cat([x[:, :, :, :b].flip(3), x, x[:, :, :, width - right :].flip(3)], 3)
        top = self.top(self.enter(x))
        middle = self.middle(self.down1(top))
        bottom = self.bottom(self.down2(middle))
        middle = self.after2(middle + self.enlarge(self.up2(bottom)))
        top = self.after1(top + self.enlarge(self.up1(middle)))
        sharp = self.leave(F.silu(F.pixel_shuffle(self.shuffle(F.silu(top)), self.upscale)))
        sharp = even_background(sharp, self.upscale)
        first, f = b * self.upscale, self.upscale
        sharp = sharp[:, :, first : first + height * f, first : first + width * f].clamp(min=0.0)
        if f > 1:
            unit = F.interpolate(unit, scale_factor=float(f), mode="bilinear", align_corners=False)
        enhanced: torch.Tensor = sharp * unit
        return enhanced


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
        Model folder of the enhancer.
    path
        The zip file to write; an existing file is replaced.
    authors
        Names of the authors.
    license_id
        SPDX identifier of the model's license: BSD-3-Clause, CC-BY-4.0, ...

    Returns
    -------
    The path.

    Raises
    ------
    ModelFolderError
        If the folder has no enhancer, or is damaged.
    InputError
        If bioimageio.spec is missing or rejects the package.
    """
    folder, path = user_path(folder), user_path(path).absolute()
    try:
        from bioimageio.spec import save_bioimageio_package
    except ImportError as error:
        raise InputError("Exporting needs bioimageio.spec: pip install bioimageio.spec.") from error
    enhancer = Enhancer.load(folder)
    # The weights twice, as files and in the zip, and examples of a few MB.
    stored = sum(file.stat().st_size for file in (folder / WEIGHTS).iterdir())
    check_allocation(path, 2 * (4 * sum(weights.numel() for weights in enhancer.network.parameters()) + stored) + 2**23)
    with training_lock(path, "is writing"):
        try:
            # Beside the zip: the folder of temporary files may be on a small disk.
            with temporary_folder(path) as work:
                model = _description(enhancer, folder, work, authors, license_id)
                save_bioimageio_package(model, output_path=work / path.name)
                rename_into_place(work / path.name, path)
        except OSError as error:
            if error.errno is None:
                raise
            raise cannot_be_written(path, error) from error
    return path


def _description(
    enhancer: Enhancer, folder: Path, work: Path, authors: Sequence[str], license_id: str | None
) -> ModelDescr:
    """Write the files of a package into `work` and return its description."""
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.generic.v0_3 import Author, CiteEntry, Doi, LicenseId
    from bioimageio.spec.model import v0_5 as spec
    from pydantic import ValidationError

    factor = enhancer.config.upscale
    script, example, result = _write_files(enhancer, work)
    terms = Terms(tuple(authors), license_id or "")
    write_shared(folder, KIND, work / NESTED, terms)
    try:
        input_tensor, output_tensor = _tensors(enhancer, example, result)
        torchscript = spec.TorchscriptWeightsDescr(
            source=script,
            pytorch_version=spec.Version(torch.__version__.split("+")[0]),
            comment=f"made by napari-smdiffusion {__version__}; trained on {enhancer.facts.trained_on}",
        )
        return spec.ModelDescr(
            # bioimageio.spec rejects other characters.
            name=re.sub(r"[^A-Za-z0-9_+\- ()]", "_", f"{enhancer.name[:80]} (widefield enhanced x{factor})"),
            description=f"A widefield image as a super-resolution image with pixels {factor} times finer.",
            authors=[Author(name=name) for name in authors],
            license=None if license_id is None else LicenseId(license_id),
            cite=[CiteEntry(text=_PAPER[0], doi=Doi(_PAPER[1]))],
            documentation=FileDescr(source=_card(folder, enhancer, work)),
            # A training of a few steps has no picture.
            covers=[FileDescr(source=path) for path in [folder / "picture.png"] if path.exists()],
            attachments=[FileDescr(source=work / NESTED)],
            tags=["super-resolution", "widefield", "fluorescence-light-microscopy", "image-restoration", "pytorch"],
            inputs=[input_tensor],
            outputs=[output_tensor],
            weights=spec.WeightsDescr(torchscript=torchscript),
        )
    except ValidationError as error:
        raise InputError(f"{folder} cannot be described for bioimage.io: {error.errors()[0]['msg']}.") from error


def _card(folder: Path, enhancer: Enhancer, work: Path) -> Path:
    """Write the model card with the section on validation that the collection asks for; return its path."""
    tested = enhancer.facts.tested_on or "Not stated: compare a result with an image that you trust."
    card = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    path = work / "README.md"
    path.write_text(f"{card.rstrip()}\n\n## Validation\n\n{tested}\n", encoding="utf-8")
    return path


def _tensors(enhancer: Enhancer, example: Path, result: Path) -> tuple[InputTensorDescr, OutputTensorDescr]:
    """Return the input and the output tensor: axes, sizes and pixel sizes."""
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.model import v0_5 as spec

    factor = enhancer.config.upscale
    step, unit = (enhancer.pixel_size, "nanometer") if enhancer.pixel_size else (1.0, None)
    # Readers compute size · scale / scale and truncate the result. With a multiple of 1/1024, that is exact.
    step = max(1, round(step * 1024)) / 1024
    widefield, enhanced = spec.TensorId("widefield"), spec.TensorId("enhanced")
    plane = [spec.AxisId(name) for name in "yx"]
    size = spec.ParameterizedSize(min=_EXAMPLE, step=ALIGN)
    coarse = [spec.SpaceInputAxis(id=axis, size=size, unit=unit, scale=step * factor) for axis in plane]
    fine = [
        spec.SpaceOutputAxisWithHalo(
            id=axis,
            size=spec.SizeReference(tensor_id=widefield, axis_id=axis),
            halo=_HALO * factor,
            unit=unit,
            scale=step,
        )
        for axis in plane
    ]
    return spec.InputTensorDescr(
        id=widefield,
        description="a widefield image, in any units",
        axes=[spec.BatchAxis(), spec.ChannelAxis(channel_names=[spec.Identifier("widefield")]), *coarse],
        test_tensor=FileDescr(source=example),
    ), spec.OutputTensorDescr(
        id=enhanced,
        description="an estimate, not a measurement, in the units of the widefield image above its background",
        axes=[spec.BatchAxis(), spec.ChannelAxis(channel_names=[spec.Identifier("enhanced")]), *fine],
        test_tensor=FileDescr(source=result),
    )


def _write_files(enhancer: Enhancer, work: Path) -> tuple[Path, Path, Path]:
    """Write the network as TorchScript, and an example with its result; return the three paths."""
    factor = enhancer.config.upscale
    module = _ScriptableEnhancer(enhancer.network.eval(), enhancer.widefield).eval()
    step = enhancer.pixel_size or 20.0
    fine = simulate("microtubules", size=_EXAMPLE * factor, pixel_size=step, seed=0)
    camera = widefield_image(fine, step, enhancer.microscope, factor, generator(0))
    counts = camera.pixels[:, None]
    with warnings.catch_warnings(), torch.no_grad():
        # TorchScript is deprecated in torch, but it is the format that other programs read.
        warnings.filterwarnings("ignore", message=".*deprecated.*", category=DeprecationWarning)
        script = torch.jit.script(module)
        # An open file, because torch on Windows cannot open a path with non-ASCII characters.
        with (work / "enhancer.pt").open("wb") as file:
            torch.jit.save(script, file)
        result = script(torch.from_numpy(counts.copy())).numpy()
    np.save(work / "widefield.npy", counts)
    np.save(work / "enhanced.npy", result)
    return work / "enhancer.pt", work / "widefield.npy", work / "enhanced.npy"
