"""Super-resolution of dynamic MRI with prior knowledge.

The names below are the library's front door; each is loaded when first used, so that importing the package is quick and
reading files does not need PyTorch.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

TYPE_CHECKING = False  # not typing's: until loading that is over, Ctrl-C ends in a traceback
if TYPE_CHECKING:
    from typing import Any

    from .checkpoint_import import import_checkpoint
    from .checkpoints import Model, ModelInfo, load_model, save_model
    from .errors import InputError
    from .evaluation import Evaluation, evaluate
    from .files import read_series, read_volume, write_series, write_volume
    from .inference import Inference
    from .interpolation import interpolate
    from .kspace import data_consistency, downsample
    from .metrics import Metrics, compare, psnr, ssim, ssim_map
    from .super_resolution import super_resolve, target_grid
    from .training.fine_tuning import fine_tune
    from .volume import Geometry, Series, Volume

_MODULES = {
    "checkpoint_import": ("import_checkpoint",),
    "checkpoints": ("Model", "ModelInfo", "load_model", "save_model"),
    "errors": ("InputError",),
    "evaluation": ("Evaluation", "evaluate"),
    "files": ("read_series", "read_volume", "write_series", "write_volume"),
    "inference": ("Inference",),
    "interpolation": ("interpolate",),
    "kspace": ("data_consistency", "downsample"),
    "metrics": ("Metrics", "compare", "psnr", "ssim", "ssim_map"),
    "super_resolution": ("super_resolve", "target_grid"),
    "training.fine_tuning": ("fine_tune",),
    "volume": ("Geometry", "Series", "Volume"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
