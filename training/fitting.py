"""Networks from files of weights that may be damaged, or a stranger's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from runtime.errors import InputError
from tadaconv.weights import refuse_not_finite

Network = TypeVar("Network", bound=nn.Module)
_SHOWN = 3


def fitted(
    build: Callable[[], Network],
    state: Mapping[str, Any],
    *,
    layout: Callable[[], nn.Module] | None = None,
) -> Network:
    """Build a network and load weights into it.

    It is laid out without memory first and compared with the weights, so that sizes which a file
    promises but does not hold take none.

    Args:
        build: makes the network.
        state: all its parameters and buffers by name.
        layout: makes a network with the same ones, where `build` also computes tables; None:
            `build` does.

    Returns:
        The network with these weights.

    Raises:
        ValueError: if the weights are others than the network's, or not finite.
    """
    with torch.device("meta"), _Uninitialised():
        expected = (layout or build)().state_dict()
    different = [
        *(f"{key} is missing" for key in expected if key not in state),
        *(f"{key} is unknown" for key in state if key not in expected),
        *(
            f"{key} is {_shape(state[key])} instead of {list(expected[key].shape)}"
            for key in expected
            if key in state and _shape(state[key]) != list(expected[key].shape)
        ),
    ]
    if different:
        more = ", ..." if len(different) > _SHOWN else ""
        raise ValueError(f"its tensors are not its network's: {', '.join(different[:_SHOWN])}{more}")
    refuse_not_finite(state, "its weights")
    network = build()
    network.load_state_dict(state)
    return network


class _Uninitialised(TorchFunctionMode):
    """Leaves out initialisers, which would load torch's compiler for tensors without memory."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        values = kwargs or {}
        is_initialiser = getattr(func, "__module__", None) == "torch.nn.init"
        if is_initialiser or getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return values["tensor"] if "tensor" in values else args[0]
        return func(*args, **values)


def _shape(value: Any) -> list[int] | str:
    return list(value.shape) if isinstance(value, Tensor) else f"a {type(value).__name__}"


@contextmanager
def weights_of(path: Path, what: str) -> Iterator[None]:
    """Within, whatever the content of a file leads to is an error of the file.

    Args:
        path: of the weights.
        what: they should be, such as "BMN's weights".

    Raises:
        InputError: naming the file.
    """
    try:
        yield
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: not {what} (no entry {error})") from error
    except (ValueError, TypeError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        raise InputError(f"{path}: not {what} ({error})") from error
