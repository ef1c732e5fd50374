"""Everything that `evaluate` writes: figures, SSIM maps, tables and the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..acquisition.consistency import consistency_in, in_words
from ..io.files import file_name, write_images
from ..io.sidecar import environment, warnings_in
from ..io.tables import write_json
from ..io.times import sidecar_of
from ..progress import Progress
from ..volume import Series
from .evaluation import Evaluation, as_text, evaluate, summary, write_csv

RESULT = "result"
"""What `evaluate` calls the series it is about."""


def write_evaluation(
    methods: dict[str, Series], truth: Series, folder: Path, progress: Progress, reported: Mapping[str, Any] | None
) -> dict[str, Path]:
    """Evaluate and write everything into a folder, with figures and a report if the facts of the result are given."""
    evaluation = evaluate(
        methods, truth, progress, lambda name, number, values: np.save(_map_file(folder, name, number), values)
    )
    outputs = {"metrics": folder / "metrics.csv", "summary": folder / "summary.json"}
    for name in methods:
        path = folder / f"ssim_{file_name(name)}.nii.gz"
        outputs[f"ssim map of {name}"] = path
        write_images(_map_series(folder, name, truth).with_facts(method=name, image="SSIM map"), path)
        outputs[f"description of the ssim map of {name}"] = sidecar_of(path)
    write_csv(evaluation, outputs["metrics"])
    write_json(summary(evaluation, RESULT), outputs["summary"])
    if reported is not None:
        outputs |= _figures(evaluation, methods, truth, folder, progress, reported)
    progress.log(as_text(evaluation, RESULT))
    return outputs


def _map_file(folder: Path, method: str, number: int) -> Path:
    return folder / f"{file_name(method)}.{number}.npy"


def _map_series(folder: Path, method: str, truth: Series) -> Series:
    """The SSIM maps of a method, each loaded when asked for."""
    return Series(lambda number: np.load(_map_file(folder, method, number)), truth.times, truth.geometry)


def _figures(
    evaluation: Evaluation,
    series: dict[str, Series],
    truth: Series,
    folder: Path,
    progress: Progress,
    reported: Mapping[str, Any],
) -> dict[str, Path]:
    from .report import Panel, ReportContent, write_figures, write_report

    progress.stage("Drawing figures")
    agreement = consistency_in(reported)
    given = next((name for name in series if name != RESULT), RESULT)
    panel = Panel(label="Series", evaluation=evaluation, series=series, truth=truth)
    outputs = write_figures(panel, given, RESULT, folder)
    if given != RESULT:
        content = ReportContent(
            title="Comparison with the ground truth",
            summary=f"{len(truth)} time points of the result and of {len(series) - 1} other methods.",
            panels=[panel],
            result=RESULT,
            input=given,
            timings={},
            details={**environment(), **({"Data consistency": in_words(agreement)} if agreement else {})},
            notes=warnings_in(reported),
        )
        outputs["report"] = folder / "report.html"
        write_report(content, outputs["report"])
    return outputs
