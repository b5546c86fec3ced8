"""Settings: limits, and the way through JSON."""

import json

import pytest

from napari_smdiffusion.config import (
    EnhanceConfig,
    EnhancerConfig,
    GenerateConfig,
    ImportConfig,
    MicroscopeConfig,
    TrainConfig,
    from_dict,
    to_dict,
)


@pytest.mark.parametrize(
    "kind", [TrainConfig, GenerateConfig, ImportConfig, EnhancerConfig, EnhanceConfig, MicroscopeConfig]
)
def test_configs_survive_json(kind):
    assert from_dict(kind, json.loads(json.dumps(to_dict(kind())))) == kind()


def test_unknown_names_are_ignored_and_missing_ones_take_the_default():
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
        (MicroscopeConfig, {"haze_range": (0.5, 0.1)}, "haze_range must go from the smaller to the larger"),
    ],
)
def test_values_outside_their_limits_are_refused(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)
