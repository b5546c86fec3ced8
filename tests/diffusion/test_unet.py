"""The U-Net compared with that of diffusers, and folders saved by both."""

import json

import pytest
import torch
from diffusers import UNet2DModel

from napari_smdiffusion import DiffusionModel, ImportConfig
from napari_smdiffusion.diffusion.imported import Layout, make_network
from napari_smdiffusion.diffusion.network import clone_unet, make_unet
from napari_smdiffusion.diffusion.unet import UNet, read_unet, write_unet
from napari_smdiffusion.diffusion.unet_config import UNetConfig, UnknownNetworkError
from napari_smdiffusion.store.folder import ModelFolderError


def imported(channels, blocks, attention, scale_shift=True, **settings):
    return make_network(Layout(channels, blocks, attention, scale_shift), ImportConfig(**settings)).config


CONFIGS = {
    "ours": make_unet((16, 48, 32)).config,
    "ours, with classes": make_unet((16, 32), classes=2).config,
    "imported": imported((32, 64, 64, 64), 1, (False, True, True, False), image_size=32),
    "imported, time added": imported((32, 64, 64), 2, (False, False, True), scale_shift=False),
    "imported, two heads": imported((32, 32, 64, 64), 1, (False, False, True, True), heads=2),
    "one head": UNetConfig(
        block_out_channels=(32, 64),
        down_block_types=("AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D"),
        attention_head_dim=None,
    ),
}


def diffusers_unet(config):
    return UNet2DModel.from_config(config.to_json())


@pytest.fixture(params=CONFIGS)
def pair(request):
    """Return the network of this package and that of diffusers, created with the same seed."""
    networks = []
    for make in (UNet, diffusers_unet):
        torch.manual_seed(5)
        networks.append(make(CONFIGS[request.param]))
    return networks


def random_input(config, count=2, deepest=4):
    """Return images that are `deepest` pixels wide at the lowest resolution, times, and classes if there are any."""
    random = torch.Generator().manual_seed(1)
    size = deepest * 2 ** (len(config.block_out_channels) - 1)
    x = torch.randn((count, config.in_channels, size, size), generator=random)
    labels = () if config.num_class_embeds is None else (torch.arange(count) % config.num_class_embeds,)
    return x, 1000 * torch.rand(count, generator=random), *labels


def test_a_seed_gives_the_same_network(pair):
    ours, theirs = (dict(network.named_parameters()) for network in pair)
    # The averaged weights and the optimizer state of a saved training depend on the order.
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert list(pair[0].state_dict()) == list(pair[1].state_dict())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_the_same(pair, layout, training):
    x, *others = random_input(pair[0].config)
    results = []
    for network in pair:
        network.to(memory_format=layout).train(training)
        output = network(x.contiguous(memory_format=layout), *others)
        output = output if isinstance(output, torch.Tensor) else output.sample
        output.square().mean().backward()
        results.append([output.detach(), *(weights.grad for weights in network.parameters())])
    for ours, theirs in zip(*results, strict=True):
        # They are equal, except on processors whose rounding differs between calls.
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_outputs_of_many_images_and_times_of_any_shape_are_the_same(pair):
    x, time, *labels = random_input(pair[0].config, 65, deepest=1)
    with torch.no_grad():
        for times in (time, time[0], time[:1].long()):
            ours, theirs = pair[0](x, times, *labels), pair[1](x, times, *labels).sample
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_each_library_loads_the_folders_of_the_other(pair, tmp_path):
    ours, theirs = pair
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
    write_unet(tmp_path / "ours", ours.config, ours.state_dict())
    theirs.save_pretrained(tmp_path / "theirs")
    names, others = ({path.name for path in (tmp_path / folder).iterdir()} for folder in ("ours", "theirs"))
    assert names == others
    assert_same(theirs, UNet2DModel.from_pretrained(tmp_path / "ours", low_cpu_mem_usage=False))
    loaded = read_unet(tmp_path / "theirs")
    assert_same(ours, loaded)
    assert loaded.config == ours.config
    texts = [json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("ours", "theirs")]
    for text in texts:
        del text["_diffusers_version"]
    assert texts[0] == texts[1]


def assert_same(first, second):
    ours, theirs = first.state_dict(), second.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_half_precision_weights_are_loaded_in_single_precision(tmp_path):
    unet = make_unet((16, 32))
    write_unet(tmp_path, unet.config, unet.state_dict(), 16)
    theirs = UNet2DModel.from_pretrained(tmp_path, torch_dtype=torch.float16, low_cpu_mem_usage=False)
    assert theirs.dtype == torch.float16
    loaded = read_unet(tmp_path)
    assert {weights.dtype for weights in loaded.parameters()} == {torch.float32}
    assert_same(loaded, theirs.float())


def test_a_copy_shares_no_weights():
    unet = make_unet((16, 32))
    copy = clone_unet(unet)
    assert_same(unet, copy)
    assert copy.config == unet.config
    pointers, others = ({weights.data_ptr() for weights in network.parameters()} for network in (unet, copy))
    assert not pointers & others


def test_fields_that_an_older_diffusers_left_out_have_defaults():
    stored = CONFIGS["one head"].to_json()
    del stored["num_train_timesteps"], stored["dropout"], stored["_diffusers_version"]
    assert UNetConfig.from_json(stored) == CONFIGS["one head"]


_LISTS = ("block_out_channels", "down_block_types", "up_block_types")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"]}, "down_block_types must be .* CrossAttnDown"),
        ({"up_block_types": ["SkipUpBlock2D", "UpBlock2D"]}, "up_block_types must be .* SkipUpBlock2D"),
        ({"resnet_time_scale_shift": "ada_group"}, "resnet_time_scale_shift must be default or scale_shift"),
        ({"time_embedding_type": "fourier"}, "time_embedding_type must be 'positional' .* not 'fourier'"),
        ({"num_class_embeds": 0}, "num_class_embeds must be from 1 to 1024 .* not 0"),
        ({"class_embed_type": "timestep"}, "class_embed_type must be None .* not 'timestep'"),
        ({"block_out_channels": [16, 32, 64]}, "equally long"),
        ({"layers_per_block": True}, "layers_per_block must be from 1 to 8 .* not True"),
        ({"block_out_channels": [32, 10**9]}, "block_out_channels must be whole numbers from 1 to 4096"),
        ({"block_out_channels": "wide"}, "block_out_channels must be whole numbers"),
        (
            {key: [value] * 10**5 for key, value in zip(_LISTS, (32, "DownBlock2D", "UpBlock2D"), strict=True)},
            "at most 8 resolutions, not 100000",
        ),
        ({"down_block_types": 3}, "down_block_types must be"),
        ({"norm_num_groups": 0}, "norm_num_groups must be from 1"),
        ({"norm_num_groups": 5}, "must be multiples of its numbers of groups"),
        ({"norm_eps": "small"}, "norm_eps must be from 0 to 1 .* not 'small'"),
        ({"attention_head_dim": 65}, "attention_head_dim must be at most the widths"),
        ({"sample_size": [1]}, "sample_size must be from 1"),
        ({"in_channels": 10**6}, "in_channels must be from 1 to 64"),
        ({"downsample_padding": 1000}, "downsample_padding must be 1"),
        ({"add_attention": 1}, "add_attention must be True"),
        ({"layers_per_block": 10**6}, "layers_per_block must be from 1 to 8 .* not 1000000"),
        ({"_class_name": "UNet2DConditionModel"}, "must be a UNet2DModel, not a UNet2DConditionModel"),
        ({"cross_attention_dim": 8}, "cross_attention_dim is not supported"),
    ],
)
def test_unsupported_networks_are_refused(change, message, tiny_model, tmp_path):
    values = {**CONFIGS["one head"].to_json(), **change}
    with pytest.raises(UnknownNetworkError, match=message):
        UNetConfig.from_json(values)
    tiny_model.save(tmp_path / "m")
    (tmp_path / "m" / "weights" / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelFolderError, match=f"m holds a network that this version cannot use. .*{message}.* Update"):
        DiffusionModel.load(tmp_path / "m")


def test_a_config_that_is_no_object_is_refused():
    with pytest.raises(UnknownNetworkError, match=r"The content of config\.json must be an object"):
        UNetConfig.from_json([1])


def test_missing_weights_are_refused(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "m")
    weights = {name: value for name, value in tiny_model.unet.state_dict().items() if name != "conv_in.bias"}
    write_unet(tmp_path / "m" / "weights", tiny_model.unet.config, weights)
    with pytest.raises(ModelFolderError, match="m is damaged"):
        DiffusionModel.load(tmp_path / "m")
