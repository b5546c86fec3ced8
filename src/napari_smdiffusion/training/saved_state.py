"""The check of a saved training state before it is loaded: types, shapes and ranges of every value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ..base.tensors import TensorFileError, check_names, check_plain, check_weights, shapes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_STEPS = 2**53
_WINDOW = 10  # values of `LossSums`
_ROWS = (2, 6)  # values in a row of the loss curve, without and with the quartiles
_MOMENTS = ("exp_avg", "exp_avg_sq")


def checked_state(saved: Any, network: torch.nn.Module) -> Sequence[torch.Tensor]:
    """Return the averaged weights in a saved state, after a check of all its values.

    Parameters
    ----------
    saved
        Content of the file of a state; see `TrainingState.state_dict`.
    network
        The network that the state is for.

    Raises
    ------
    TensorFileError
        For the first unsuitable value.
    """
    if not isinstance(saved, Mapping):
        raise TensorFileError("its content is no training state")
    for key in ("network", "average", "optimizer", "step", "total", "curve", "window"):
        if key not in saved:
            raise TensorFileError(f"its training state lacks {key}")
    shapes = [weights.shape for weights in network.parameters()]
    _check_network(saved["network"], shapes_of(network))
    average = saved["average"]
    # Earlier versions saved the averages as diffusers does.
    average = average.get("shadow_params") if isinstance(average, Mapping) else average
    if not isinstance(average, (list, tuple)) or len(average) != len(shapes):
        raise TensorFileError("its averaged weights are not those of the network")
    named = {f"average.{index}": value for index, value in enumerate(average)}
    for (name, value), shape in zip(named.items(), shapes, strict=True):
        _check_tensor(name, value, shape)
    check_weights(named)
    _check_optimizer(saved["optimizer"], shapes)
    _check_numbers(saved)
    return average


def _check_network(weights: Any, shapes: Mapping[str, torch.Size]) -> None:
    if not isinstance(weights, Mapping):
        raise TensorFileError("its network has no weights")
    check_names(weights, shapes)
    for name, shape in shapes.items():
        _check_tensor(name, weights[name], shape)
    check_weights(weights)


def _check_tensor(name: str, value: Any, shape: torch.Size) -> None:
    if not isinstance(value, torch.Tensor):
        raise TensorFileError(f"its {name} is no tensor")
    check_plain(name, value)
    # A smaller tensor would be repeated to fill the larger one.
    if value.shape != shape:
        raise TensorFileError(f"its tensor {name} has the shape {list(value.shape)}, not {list(shape)}")


def _check_optimizer(optimizer: Any, shapes: Sequence[torch.Size]) -> None:
    moments = optimizer.get("state") if isinstance(optimizer, Mapping) else None
    # Before its first step, an optimizer has no moments.
    if not isinstance(moments, Mapping) or set(moments) not in (set(), set(range(len(shapes)))):
        raise TensorFileError("its state of the optimizer is not that of the network")
    for index, values in moments.items():
        if not isinstance(values, Mapping) or set(values) != {"step", *_MOMENTS}:
            raise TensorFileError("its state of the optimizer is not that of this program")
        for key, value in values.items():
            name = f"optimizer.{index}.{key}"
            _check_tensor(name, value, torch.Size() if key == "step" else shapes[index])
            if not bool(torch.isfinite(value).all()):
                raise TensorFileError(f"its tensor {name} has values that are not finite")
        if bool((values["exp_avg_sq"] < 0).any()) or not 0 <= float(values["step"]) <= _MOST_STEPS:
            raise TensorFileError(f"its optimizer.{index} has negative values, which a training never has")


def _check_numbers(saved: Mapping[str, Any]) -> None:
    step, total, curve, window = (saved[key] for key in ("step", "total", "curve", "window"))
    if not _is_count(step) or not (total is None or (_is_count(total) and total > 0)):
        raise TensorFileError("its numbers of steps are not whole numbers of at least 0")
    seconds = saved.get("seconds")  # missing in states of earlier versions
    if seconds is not None and not (_is_finite(seconds) and seconds >= 0):
        raise TensorFileError("its time is no finite number of at least 0")
    if not isinstance(curve, list) or not all(isinstance(row, list) and len(row) in _ROWS for row in curve):
        raise TensorFileError("its loss curve is no list of rows")
    if not isinstance(window, list) or len(window) != _WINDOW:
        raise TensorFileError("its sums of losses are incomplete")
    if not all(_is_finite(value) for row in (*curve, window) for value in row):
        raise TensorFileError("its losses are not all finite numbers")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_STEPS


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _MOST_STEPS and math.isfinite(value)
