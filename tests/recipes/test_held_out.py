"""From a training with a held-out region to a comparison that knows which part the model was trained on."""

import numpy as np
import pytest

from napari_smdiffusion import (
    CompareJob,
    GenerateConfig,
    GenerateJob,
    Image,
    TrainConfig,
    TrainJob,
    run_job,
    simulate,
    write_image,
)

_HELD_OUT = (128, 256, 0, 256)


@pytest.mark.usefixtures("no_picture", "quick_classifier")
def test_a_comparison_knows_the_part_that_was_trained_on_and_the_part_that_was_held_out(tmp_path):
    clean = simulate("microtubules", size=256, pixel_size=20.0, seed=5).pixels
    cell, made, model = (tmp_path / name for name in ("cell.tif", "made.tif", "my model"))
    write_image(cell, Image(np.random.default_rng(0).poisson(20 * clean + 0.3).astype(np.float32), 20.0))
    settings = TrainConfig(steps=3, patch=64, batch=2, channels=(16, 32), previews=0)
    run_job(TrainJob(cell, settings, start=None, out=model, held_out=_HELD_OUT))
    run_job(GenerateJob(model, GenerateConfig(count=1, height=192, width=192, steps=3), out=made))
    whole = run_job(CompareJob(cell, made, out=tmp_path / "whole"))
    note = whole["realism_of_training_images"]
    assert "trained on parts of the experimental images (cell.tif: cell.tif)" in note
    held_out = run_job(CompareJob(cell, made, cell, out=tmp_path / "held out", region=_HELD_OUT))
    assert "realism_of_training_images" not in held_out
    assert held_out["memorization"]["copies"] == 0
    assert held_out["provenance"]["patches"] == {"experimental": 8, "generated": 9}
    assert held_out["realism"]["patches"] == 8
