"""Import of checkpoints of the reference implementation: outputs, settings, and files that are refused."""

import hashlib
import json
import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ddim import ddim
from napari_smdiffusion import DiffusionModel, GenerateConfig, ImportConfig, TrainConfig, import_checkpoint, list_models
from napari_smdiffusion.base.events import Preview, run
from napari_smdiffusion.base.folders import user_folder
from napari_smdiffusion.cli.entry import main
from napari_smdiffusion.diffusion.denoiser import Clamped
from napari_smdiffusion.diffusion.generating import generate_steps
from napari_smdiffusion.diffusion.imported import CheckpointError
from napari_smdiffusion.diffusion.noise import start_noise
from napari_smdiffusion.diffusion.noise_prediction import NoisePredictionDenoiser, NoiseSchedule
from napari_smdiffusion.diffusion.solvers import SOLVERS
from napari_smdiffusion.diffusion.training import train_steps

SAME = 1e-6  # of the standard deviation: the time embedding is rounded to float32
WIDTHS = {32: (1, 2, 2, 2), 64: (1, 2, 2, 2), 128: (1, 1, 2, 2, 2), 256: (1, 1, 2, 2, 2, 2)}


class Shapes:
    """An independent description of the reference network: the names and shapes of its weights."""

    def __init__(self, size, base, blocks=1, outputs=3, sides=(16, 8), scale_shift=True):
        self.base, self.scale_shift, self.shapes = base, scale_shift, {}
        self.layer("time_embed.0", 4 * base, base)
        self.layer("time_embed.2", 4 * base, 4 * base)
        self.layer("input_blocks.0.0", base, 3, 3, 3)
        skips, width, block = [base], base, 1
        for level, times in enumerate(WIDTHS[size]):
            for _ in range(blocks):
                self.block(f"input_blocks.{block}", width, base * times, size >> level in sides)
                skips, width, block = [*skips, base * times], base * times, block + 1
            if level < len(WIDTHS[size]) - 1:
                self.layer(f"input_blocks.{block}.0.op", width, width, 3, 3)
                skips, block = [*skips, width], block + 1
        self.block("middle_block", width, width, True)
        self.residual("middle_block.2", width, width)
        block = 0
        for level, times in reversed(list(enumerate(WIDTHS[size]))):
            for i in range(blocks + 1):
                attends = size >> level in sides
                self.block(f"output_blocks.{block}", width + skips.pop(), base * times, attends)
                width = base * times
                if level and i == blocks:
                    self.layer(f"output_blocks.{block}.{1 + attends}.conv", width, width, 3, 3)
                block += 1
        self.layer("out.0", base)
        self.layer("out.2", outputs, base, 3, 3)

    def layer(self, name, *shape):
        self.shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}

    def block(self, name, before, after, attends):
        self.residual(f"{name}.0", before, after)
        if attends:
            self.layer(f"{name}.1.norm", after)
            self.layer(f"{name}.1.qkv", 3 * after, after, 1)
            self.layer(f"{name}.1.proj_out", after, after, 1)

    def residual(self, name, before, after):
        self.layer(f"{name}.in_layers.0", before)
        self.layer(f"{name}.in_layers.2", after, before, 3, 3)
        self.layer(f"{name}.emb_layers.1", (1 + self.scale_shift) * after, 4 * self.base)
        self.layer(f"{name}.out_layers.0", after)
        self.layer(f"{name}.out_layers.3", after, after, 3, 3)
        if before != after:
            self.layer(f"{name}.skip_connection", after, before, 1, 1)

    def random(self):
        random = torch.Generator().manual_seed(0)
        return {name: 0.1 * torch.randn(shape, generator=random) for name, shape in self.shapes.items()}


class Network:
    """An independent implementation of the reference network, which predicts the noise with given weights."""

    def __init__(self, weights, heads=4):
        self.weights, self.heads = weights, heads

    def __call__(self, x, time):
        half = len(self.weights["input_blocks.0.0.bias"]) // 2
        angles = time[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half) / half)
        angles = torch.cat([angles.cos(), angles.sin()], 1).to(x.dtype)
        time = self.apply("time_embed.0", angles, F.linear)
        time = self.apply("time_embed.2", F.silu(time), F.linear)
        x = self.apply("input_blocks.0.0", x, F.conv2d, padding=1)
        skips = [x]
        for name in self.blocks("input_blocks")[1:]:
            x = self.block(name, x, time)
            skips.append(x)
        x = self.residual("middle_block.2", self.block("middle_block", x, time), time)
        for name in self.blocks("output_blocks"):
            x = self.block(name, torch.cat([x, skips.pop()], 1), time)
        return self.apply("out.2", F.silu(self.norm("out.0", x)), F.conv2d, padding=1)

    def blocks(self, kind):
        numbers = {int(name.split(".")[1]) for name in self.weights if name.startswith(kind)}
        return [f"{kind}.{number}" for number in sorted(numbers)]

    def apply(self, name, x, layer, **options):
        return layer(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], **options)

    def norm(self, name, x):
        return F.group_norm(x, 32, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def block(self, name, x, time):
        if f"{name}.0.op.weight" in self.weights:
            return self.apply(f"{name}.0.op", x, F.conv2d, stride=2, padding=1)
        x = self.residual(f"{name}.0", x, time)
        if f"{name}.1.qkv.weight" in self.weights:
            x = self.attention(f"{name}.1", x)
        for up in (f"{name}.1.conv", f"{name}.2.conv"):
            if f"{up}.weight" in self.weights:
                x = self.apply(up, F.interpolate(x, scale_factor=2), F.conv2d, padding=1)
        return x

    def residual(self, name, x, time):
        h = self.apply(f"{name}.in_layers.2", F.silu(self.norm(f"{name}.in_layers.0", x)), F.conv2d, padding=1)
        embedded = self.apply(f"{name}.emb_layers.1", F.silu(time), F.linear)[..., None, None]
        if embedded.shape[1] == h.shape[1]:
            h = self.norm(f"{name}.out_layers.0", h + embedded)
        else:
            scale, shift = embedded.chunk(2, 1)
            h = self.norm(f"{name}.out_layers.0", h) * (1 + scale) + shift
        h = self.apply(f"{name}.out_layers.3", F.silu(h), F.conv2d, padding=1)
        skip = f"{name}.skip_connection"
        return h + (self.apply(skip, x, F.conv2d) if f"{skip}.weight" in self.weights else x)

    def attention(self, name, x):
        flat = self.norm(f"{name}.norm", x.flatten(2))
        heads = self.apply(f"{name}.qkv", flat, F.conv1d).reshape(len(x) * self.heads, -1, flat.shape[-1])
        q, k, v = heads.chunk(3, 1)
        attention = torch.softmax(torch.einsum("bct,bcs->bts", q, k) / math.sqrt(q.shape[1]), -1)
        result = torch.einsum("bts,bcs->bct", attention, v).reshape(flat.shape)
        return x + self.apply(f"{name}.proj_out", result, F.conv1d).reshape(x.shape)


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Return a checkpoint of random weights for images of 32 pixels."""
    path = tmp_path_factory.mktemp("reference") / "ema_0.9999_002000.pt"
    torch.save(Shapes(32, 32).random(), path)
    return path


def _outputs(model, weights, size, heads=4):
    """Return the outputs of the imported model and of `Network` for the same input, in float64."""
    x, time = start_noise(0, range(2), (size, size), 3).double(), torch.tensor([37, 803])
    weights = {name: value.double() for name, value in weights.items()}
    with torch.no_grad():
        return model.unet.double()(x, time), Network(weights, heads)(x, time)


def test_the_noise_of_the_reference_is_reproduced(reference, tmp_path):
    import_checkpoint(reference / "ema_0.9999_000000.pt").save(tmp_path / "m")
    model = DiffusionModel.load(tmp_path / "m")
    stored = {name: torch.from_numpy(a) for name, a in np.load(reference / "ema_0.9999_000000.npz").items()}
    with torch.no_grad():
        predicted = model.unet(stored["x"], stored["t"])
    torch.testing.assert_close(predicted, stored["predicted_noise"], atol=2e-5, rtol=0)


def test_the_samples_of_the_reference_are_reproduced(reference):
    model = import_checkpoint(reference / "ema_0.9999_000000.pt")
    stored = {name: torch.from_numpy(a) for name, a in np.load(reference / "ema_0.9999_000000.npz").items()}
    *_, sample = ddim(model.unet, stored["ddim_noise"], 25, NoiseSchedule(), 256)
    # The first step multiplies rounding by 1 / √ᾱ = 16.
    torch.testing.assert_close(sample, stored["ddim_sample"], atol=2e-4, rtol=0)


# Digests of the names and shapes of the weights, computed with the code of the reference.
KNOWN = [
    (32, 32, {}, "6637f1271bc32574"),
    (64, 64, {}, "4fbc2a2ff74fd7ff"),
    (64, 32, {"blocks": 2, "scale_shift": False}, "e6192962bce8bf43"),
    (128, 32, {"outputs": 6}, "063293e008fd42bb"),
    (128, 32, {"blocks": 2, "sides": (32, 16, 8)}, "0cea04a4f6a8b3fe"),
    (256, 32, {}, "e559176619b2fd8c"),
    (256, 96, {}, "211e75d072319ac1"),
]


@pytest.mark.parametrize(("size", "base", "options", "known"), KNOWN)
def test_every_size_and_width_computes_the_same(tmp_path, size, base, options, known):
    shapes = Shapes(size, base, **options)
    assert hashlib.sha256(repr(sorted(shapes.shapes.items())).encode()).hexdigest()[:16] == known
    weights = shapes.random()
    torch.save(weights, tmp_path / "model004000.pt")
    model = import_checkpoint(tmp_path / "model004000.pt")
    assert model.facts.imported.image_size == size
    assert model.facts.imported.channels == base
    assert model.facts.steps == 4000
    ours, theirs = _outputs(model, weights, 64)
    torch.testing.assert_close(ours, theirs[:, :3], atol=SAME * float(theirs.std()), rtol=0)


def test_the_number_of_heads_is_a_setting(tmp_path):
    weights = Shapes(32, 32).random()
    torch.save(weights, tmp_path / "m.pt")
    for heads in (1, 8):
        ours, theirs = _outputs(import_checkpoint(tmp_path / "m.pt", ImportConfig(heads=heads)), weights, 32, heads)
        torch.testing.assert_close(ours, theirs, atol=SAME * float(theirs.std()), rtol=0)
    with pytest.raises(ValueError, match="heads must divide the width of the network, 64, not 5"):
        import_checkpoint(tmp_path / "m.pt", ImportConfig(heads=5))


def test_the_image_size_must_be_stated_if_the_weights_are_ambiguous(tmp_path):
    torch.save(Shapes(64, 32, sides=(8,)).random(), tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"image_size must be stated for the network in m\.pt: it is 32 or 64"):
        import_checkpoint(tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"image_size must be 32 or 64 for the network in m\.pt, not 128"):
        import_checkpoint(tmp_path / "m.pt", ImportConfig(image_size=128))
    assert import_checkpoint(tmp_path / "m.pt", ImportConfig(image_size=64)).unet.config.sample_size == 64


def test_an_imported_model_is_listed_and_generates_images(small, capsys):
    out = user_folder() / "diffusion" / "theirs"
    assert main(["import", str(small), "--out", str(out), "--pixel-size", "20"]) == 0
    messages = capsys.readouterr().err
    assert "images of 32 × 32 pixels" in messages
    assert "docks" not in messages, "the model is in the catalogue already"
    assert {entry.name: entry.description for entry in list_models("diffusion")}["theirs"] == "20 nm, 2000 steps"
    model, events = DiffusionModel.load(out), []
    assert main(["generate", "theirs", "--out", str(out.parent / "g.tif"), "--size", "32", "--steps", "4"]) == 0
    images = model.generate(2, size=(32, 48), steps=4, seed=1)
    assert images.pixels.shape == (2, 32, 48)
    assert images.pixel_size == 20
    assert images.provenance["model"] == "theirs"
    assert 0 <= images.pixels.min() < 100 < images.pixels.max() <= 255
    # Image k does not depend on the batch.
    single = model.generate(2, size=(32, 48), steps=4, seed=1, batch=1)
    np.testing.assert_allclose(single.pixels, images.pixels, atol=1)
    run(generate_steps(model, GenerateConfig(count=1, height=32, width=32, steps=4)), events.append)
    assert any(isinstance(event, Preview) and event.images.shape == (1, 32, 32) for event in events)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Trained by improved_diffusion_for_SMLM, 2000 steps; imported from ema_0.9999_002000.pt" in card
    assert "learning_rate" not in card


def test_generated_images_are_the_mean_of_the_three_colors(small):
    model = import_checkpoint(small, ImportConfig(intensity_range=(100, 1100)))
    images = model.generate(1, size=32, steps=3, seed=7).pixels
    denoiser, schedule = Clamped(NoisePredictionDenoiser(model.unet, NoiseSchedule()), -1, 1), NoiseSchedule()
    with torch.no_grad():
        *_, color = SOLVERS["dpmpp-2m"](denoiser, start_noise(7, [0], (32, 32), 3), schedule.levels(3))
    np.testing.assert_allclose(images, 600 + 500 * color.mean(1).numpy(), atol=0.1)


def test_settings_that_do_not_suit_the_network_are_refused(small, storm):
    model = import_checkpoint(small, ImportConfig(diffusion_steps=100))
    with pytest.raises(ValueError, match="steps must be at most 100 for this model, not 101"):
        model.generate(1, size=32, steps=101)
    with pytest.raises(ValueError, match="imported model, and no training can start from it"):
        run(train_steps([storm], TrainConfig(steps=1, patch=64), start=model))
    with pytest.raises(ValueError, match="intensity_range must go from the smaller"):
        import_checkpoint(small, ImportConfig(intensity_range=(5, 5)))


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def _wider(weights):
    """Return weights of a 64 times wider network, each of which repeats one value."""
    return {k: torch.zeros(1).expand(*[n * 64 if n >= 32 else n for n in v.shape]) for k, v in weights.items()}


def _others():
    """Return the contents of other files by name, each with the message that refuses it."""
    weights = Shapes(32, 32).random()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(3))]).state_dict()
    missing = {name: value for name, value in weights.items() if name != "out.2.bias"}
    nan = {**weights, "out.2.bias": torch.full((3,), float("nan"))}
    conditioned = {**weights, "input_blocks.0.0.weight": torch.zeros(32, 6, 3, 3)}
    return {
        "opt002000.pt": (optimizer, "is the state of the optimizer"),
        "harmful.pt": (Harmful(), "is damaged, or no checkpoint"),
        "tensor.pt": (torch.zeros(3), "does not hold the weights of a network"),
        "empty.pt": ({}, "holds the weights of another network"),
        "linear.pt": (torch.nn.Linear(3, 3).state_dict(), "holds the weights of another network"),
        "missing.pt": (missing, "holds the weights of another network"),
        "more.pt": ({**weights, "more.weight": torch.zeros(3)}, "holds the weights of another network"),
        "shape.pt": ({**weights, "out.0.bias": torch.zeros(5)}, "holds the weights of another network"),
        "nan.pt": (nan, "has weights that are not finite"),
        "stride.pt": ({**weights, "out.0.bias": torch.zeros(1).expand(10**5, 10**5)}, "is damaged, or no checkpoint"),
        "strides.pt": (_wider(weights), "is damaged, or no checkpoint"),
        "shared.pt": ({**weights, "out.0.bias": torch.zeros(1).expand(32)}, "more values than are stored"),
        "sparse.pt": ({**weights, "out.0.bias": torch.eye(3).to_sparse()}, "is sparse, quantized or without data"),
        "meta.pt": ({**weights, "out.0.bias": torch.empty(3, device="meta")}, "is sparse, quantized or without data"),
        "float8.pt": ({**weights, "out.0.bias": torch.zeros(32).to(torch.float8_e4m3fn)}, "has the type float8_e4m3fn"),
        "block.pt": ({**weights, "input_blocks.1000000000.0.op.weight": torch.zeros(1)}, "weights of another network"),
        "absurd.pt": ({**weights, "out.0.bias": torch.full((32,), 1e9)}, "which no trained network has"),
        "classes.pt": ({**weights, "label_emb.weight": torch.zeros(9, 128)}, "was trained with conditions"),
        "wide.pt": (Shapes(128, 32, sides=(64, 16)).random(), "has attention at grids of different widths"),
        "images.pt": (conditioned, "was trained with conditioning images"),
        "images_variance.pt": (
            {**conditioned, "out.2.weight": torch.zeros(6, 32, 3, 3), "out.2.bias": torch.zeros(6)},
            "was trained with conditioning images",
        ),
    }


@pytest.mark.parametrize("name", _others())
def test_other_torch_files_are_refused_with_one_sentence(tmp_path, capsys, name):
    content, message = _others()[name]
    torch.save(content, tmp_path / name)
    _refused(tmp_path / name, message, capsys)


def test_other_files_are_refused_with_one_sentence(small, tmp_path, capsys):
    for name, content in {
        "text.pt": b"precious notes",
        "nothing.pt": b"",
        "pickled.pt": pickle.dumps({"a": [1, 2]}),
        "cut.pt": small.read_bytes()[:100_000],
    }.items():
        (tmp_path / name).write_bytes(content)
        _refused(tmp_path / name, "is damaged, or no checkpoint", capsys)
    _refused(tmp_path / "none.pt", "There is no file", capsys)
    _refused(tmp_path, "There is no file", capsys)


def _refused(path, message, capsys):
    before = sorted(path.parent.rglob("*"))
    assert main(["import", str(path), "--out", str(path.parent / "model")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("smdiffusion import: ")
    assert str(path) in lines[0]
    assert message in lines[0]
    assert sorted(path.parent.rglob("*")) == before
    with pytest.raises(CheckpointError):
        import_checkpoint(path)


def test_an_import_does_not_replace_a_model(small, tmp_path, capsys):
    assert main(["import", str(small), "--out", str(tmp_path / "m")]) == 0
    assert str(user_folder() / "diffusion") in capsys.readouterr().err
    before = json.loads((tmp_path / "m" / "model.json").read_text())
    assert main(["import", str(small), "--out", str(tmp_path / "m"), "--heads", "2"]) == 2
    assert "There is a model in" in capsys.readouterr().err
    assert json.loads((tmp_path / "m" / "model.json").read_text()) == before
