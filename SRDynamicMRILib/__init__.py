"""Super-resolution of dynamic MRI with prior knowledge.

The names below are the public interface. Each is loaded when first used, so that importing the package is quick and
reading files does not need PyTorch.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

TYPE_CHECKING = False  # not typing's: until loading that is over, Ctrl-C ends in a traceback
if TYPE_CHECKING:
    from typing import Any

    from .acquisition.acquisition import Acquisition, data_consistency, downsample
    from .api import evaluate, fine_tune, interpolate, super_resolve
    from .complex_series import ComplexSeries
    from .errors import InputError
    from .evaluation.evaluation import Evaluation
    from .evaluation.metrics import Metrics, compare, psnr, ssim, ssim_map
    from .geometry import Geometry
    from .io.complex_images import read_complex, write_complex
    from .io.files import read_series, read_volume, write_series, write_volume
    from .io.ismrmrd import read_ismrmrd
    from .models.checkpoints import Model, load_model, save_model
    from .models.import_checkpoint import import_checkpoint
    from .models.model_info import ModelInfo
    from .volume import Series, Volume

_MODULES = {
    "acquisition.acquisition": ("Acquisition", "data_consistency", "downsample"),
    "api": ("evaluate", "fine_tune", "interpolate", "super_resolve"),
    "complex_series": ("ComplexSeries",),
    "errors": ("InputError",),
    "evaluation.evaluation": ("Evaluation",),
    "evaluation.metrics": ("Metrics", "compare", "psnr", "ssim", "ssim_map"),
    "geometry": ("Geometry",),
    "io.complex_images": ("read_complex", "write_complex"),
    "io.files": ("read_series", "read_volume", "write_series", "write_volume"),
    "io.ismrmrd": ("read_ismrmrd",),
    "models.checkpoints": ("Model", "load_model", "save_model"),
    "models.import_checkpoint": ("import_checkpoint",),
    "models.model_info": ("ModelInfo",),
    "volume": ("Series", "Volume"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
