"""``sr-dynamic-mri phantom``: a synthetic abdomen as files."""

from __future__ import annotations

from ..io.files import beside, write_series, write_volume
from ..io.paths import make_folder
from ..io.tables import write_json
from ..phantom import abdomen
from ..progress import Progress
from ..requests import PhantomRequest
from .outputs import Outputs


def run(request: PhantomRequest, progress: Progress) -> Outputs:
    """Write the synthetic abdomen: the planning scan and the dynamic series."""
    progress.stage("Making the phantom")
    made = abdomen(request.seed, time_points=request.time_points, needle=request.needle)
    outputs = {"static": request.outdir / "static.nii.gz", "dynamic": request.outdir / "dynamic.nii.gz"}
    make_folder(request.outdir)
    write_volume(made.static, outputs["static"])
    write_series(made.dynamic, outputs["dynamic"])
    if request.phase:
        outputs |= {f"{name}_phase": beside(outputs[name], "phase") for name in ("static", "dynamic")}
        write_volume(made.static_phase, outputs["static_phase"])
        write_series(made.dynamic_phase, outputs["dynamic_phase"])
    if made.needle_tip is not None and made.needle_entry is not None:
        outputs["needle"] = request.outdir / "needle.json"
        positions = {"unit": "mm, LPS", "tip": made.needle_tip.tolist(), "entry": made.needle_entry.tolist()}
        write_json(positions, outputs["needle"])
    return outputs
