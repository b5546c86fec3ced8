"""Settings: limits, messages, and conversion to JSON and back."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_smdiffusion.base.errors import InputError
from napari_smdiffusion.base.settings import from_dict, setting_fields, to_dict
from napari_smdiffusion.diffusion.settings import GenerateConfig, ImportConfig, TrainConfig
from napari_smdiffusion.enhance.settings import EnhanceConfig, EnhancerConfig
from napari_smdiffusion.microscope.settings import MicroscopeConfig


@pytest.mark.parametrize(
    "kind", [TrainConfig, GenerateConfig, ImportConfig, EnhancerConfig, EnhanceConfig, MicroscopeConfig]
)
def test_configs_are_unchanged_by_json(kind):
    assert from_dict(kind, json.loads(json.dumps(to_dict(kind())))) == kind()


def test_unknown_names_are_ignored_and_missing_fields_get_their_defaults():
    config = from_dict(TrainConfig, {"seed": 5, "a_setting_of_the_future": 1})
    assert config == TrainConfig(seed=5)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (TrainConfig, {"minutes": 0}, "minutes must be more than 0"),
        (TrainConfig, {"minutes": float("nan")}, "minutes must be a finite number"),
        (TrainConfig, {"patch": 100}, "patch must be a multiple of 16, not 100"),
        (TrainConfig, {"steps": 0}, "steps must be at least 1"),
        (TrainConfig, {"device": "abacus"}, "device must be one of auto, cpu, cuda, mps"),
        (GenerateConfig, {"count": -1}, "count must be at least 1"),
        (GenerateConfig, {"width": 70}, "width must be a multiple of 16"),
        (EnhancerConfig, {"upscale": 9}, "upscale must be at most 8"),
        (TrainConfig, {"channels": (32, 24)}, "channels must be a multiple of 16, not 24"),
        (GenerateConfig, {"height": 0}, "height must be at least 32, not 0"),
        (ImportConfig, {"pixel_size": -1.0}, "pixel_size must be more than 0, not -1"),
        (MicroscopeConfig, {"haze_range": (0.1, float("nan"))}, "haze_range must be a finite number, not nan"),
        (MicroscopeConfig, {"haze_range": (0.5, 0.1)}, "haze_range must go from the smaller to the larger"),
    ],
)
def test_values_outside_their_limits_are_refused(kind, values, message):
    with pytest.raises(InputError, match=f"^{message}") as raised:
        kind(**values)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (TrainConfig, {"batch": 2.5}, "batch must be a whole number, not 2.5"),
        (TrainConfig, {"steps": 10.5}, "steps must be a whole number or None, not 10.5"),
        (TrainConfig, {"minutes": None}, "minutes must be a number, not None"),
        (TrainConfig, {"minutes": True}, "minutes must be a number, not True"),
        (TrainConfig, {"seed": True}, "seed must be a whole number, not True"),
        (TrainConfig, {"patch": "128"}, "patch must be a whole number, not '128'"),
        (TrainConfig, {"channels": ()}, r"channels must be a tuple of a whole number or more, not \(\)"),
        (TrainConfig, {"channels": [16, 32]}, "channels must be a tuple of a whole number or more"),
        (MicroscopeConfig, {"photons_range": (5.0,)}, r"photons_range must be a tuple \(a number, a number\), not"),
        (MicroscopeConfig, {"photons_range": 5.0}, "photons_range must be a tuple"),
        (EnhanceConfig, {"uncertainty": 1}, "uncertainty must be True or False, not 1"),
        (EnhanceConfig, {"device": None}, "device must be text, not None"),
    ],
)
def test_values_of_other_types_are_refused(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)


def test_whole_numbers_are_numbers_and_none_is_a_value_of_optional_fields():
    assert TrainConfig(minutes=2, steps=None).minutes == 2
    numbers = to_dict(TrainConfig(seed=np.int64(3), minutes=np.float32(2)))
    assert json.loads(json.dumps(numbers)) == to_dict(TrainConfig(seed=3, minutes=2))
    assert MicroscopeConfig(photons_range=(5, 50)).photons_range == (5, 50)
    channels = to_dict(TrainConfig(channels=(np.int64(16), np.int64(32))))["channels"]
    assert json.dumps(channels) == "[16, 32]"


def test_the_error_names_the_first_of_several_faults_in_one_sentence():
    with pytest.raises(ValueError, match=r"^steps must be at least 1, not 0\.$"):
        TrainConfig(steps=0, patch="128", device="abacus")


def test_configs_are_copied_compared_and_hashed_as_dataclasses():
    config = replace(TrainConfig(), seed=3)
    assert config == TrainConfig(seed=3)
    assert hash(config) == hash(TrainConfig(seed=3))
    with pytest.raises(ValueError, match="seed must be at least 0"):
        replace(config, seed=-1)
    with pytest.raises(AttributeError):
        config.seed = 4
    with pytest.raises(TypeError, match="sed"):
        TrainConfig(sed=3)


def test_setting_fields_state_the_declaration_for_forms_and_flags():
    fields = {field.name: field for field in setting_fields(TrainConfig)}
    assert list(fields) == list(to_dict(TrainConfig()))
    minutes, steps, channels, device = (fields[name] for name in ("minutes", "steps", "channels", "device"))
    assert (minutes.kind, minutes.above, minutes.low, minutes.unit) == (float, 0, None, "min")
    assert (minutes.default, minutes.help, minutes.optional, minutes.length) == (15.0, "how long to train", False, None)
    assert (steps.kind, steps.optional, steps.low) == (int, True, 1)
    assert (channels.kind, channels.length, channels.low, channels.multiple_of) == (int, 0, 16, 16)
    assert (device.kind, device.choices) == (str, ("auto", "cpu", "cuda", "mps"))
    ranges = [field for field in setting_fields(MicroscopeConfig) if field.name.endswith("_range")]
    assert {field.length for field in ranges} == {2}
    configs = (TrainConfig, GenerateConfig, ImportConfig, EnhancerConfig, EnhanceConfig, MicroscopeConfig)
    assert all(field.help for kind in configs for field in setting_fields(kind))


def test_a_range_with_descending_values_is_refused():
    for kind in (ImportConfig, MicroscopeConfig):
        for field in setting_fields(kind):
            if field.name.endswith("_range"):
                with pytest.raises(ValueError, match=f"{field.name} must go from the smaller to the larger value"):
                    kind(**{field.name: field.default[::-1]})
