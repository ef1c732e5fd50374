"""The networks that super-resolve, by the names that recipes and model files have for them."""

from __future__ import annotations

from typing import TypeVar

from ..errors import look_up
from .conditioned import ConditionedSubPixelNetwork
from .network import SuperResolutionNetwork
from .sub_pixel import SubPixelNetwork
from .unet import UNet3D

NETWORKS: dict[str, type[SuperResolutionNetwork]] = {
    each.__name__: each for each in (UNet3D, SubPixelNetwork, ConditionedSubPixelNetwork)
}
"""All of them. One that comes with the library has its place here; another is added by `register`."""

_Class = TypeVar("_Class", bound=type[SuperResolutionNetwork])


def register(network: _Class) -> _Class:
    """Add a network under the name of its class, as a decorator.

    Examples
    --------
    >>> @register
    ... class Pointwise(SuperResolutionNetwork):
    ...     halo, maps_at_once = 0, 2
    ...
    ...     def __init__(self, features: int = 64) -> None:
    ...         super().__init__()
    ...         self.features = features
    ...         self.first, self.last = nn.Conv3d(1, features, 1), nn.Conv3d(features, 1, 1)
    ...
    ...     def forward(self, x: Tensor) -> Tensor:
    ...         return self.last(torch.relu(self.first(x)))
    """
    NETWORKS[network.__name__] = network
    return network


def network_named(name: str) -> type[SuperResolutionNetwork]:
    """Return the network of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    return look_up(name, NETWORKS, "network")
