"""A report of an evaluation: figures like the paper's, tables and tests in one self-contained HTML file.

Figures need matplotlib, an optional extra. The names below are therefore loaded when first used, so that
the rest of the library works without it; import them where they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from .figures import (
        Comparison,
        Panel,
        confidence_plot,
        detail_figure,
        metric_plot,
        png,
        qualitative_figure,
        ssim_map_figure,
        write_figures,
    )
    from .html import Illustration, ReportContent, verdict, write_report

__all__ = [
    "Comparison",
    "Illustration",
    "Panel",
    "ReportContent",
    "confidence_plot",
    "detail_figure",
    "metric_plot",
    "png",
    "qualitative_figure",
    "ssim_map_figure",
    "verdict",
    "write_figures",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a name of this package; `InputError` without matplotlib."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    try:
        from . import figures, html
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        message = "Figures need matplotlib; install the extra with: pip install SRDynamicMRI[report]."
        raise InputError(message) from error
    return next(getattr(module, name) for module in (figures, html) if hasattr(module, name))
