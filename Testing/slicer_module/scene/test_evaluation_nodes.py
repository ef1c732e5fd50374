"""Figures and report come back with a scene: table and plot can be changed, the report saved, in a later session."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.processes import FakeTimer
from helpers.scenes import Slicer, random_series
from SRDynamicMRISlicer.presenter.panel_choices import Metric
from SRDynamicMRISlicer.scene.evaluation_nodes import evaluation_of, keep_choice, keep_evaluation, report_of
from SRDynamicMRISlicer.scene.job_files import JobFiles
from SRDynamicMRISlicer.scene.job_scene import JobScene
from SRDynamicMRISlicer.scene.metrics_nodes import TIME_COLUMN, column_name, evaluation_from_csv
from SRDynamicMRISlicer.scene.outputs import saving_table, write_figures
from SRDynamicMRISlicer.step_queue import StepQueue, at_once
from vtkmodules.util.numpy_support import vtk_to_numpy

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import evaluate, write_csv
from SRDynamicMRILib.volume import Geometry, Series

GRID = Geometry((8, 16, 24), (2.0, 2.0, 4.0))
REPORT = "<!DOCTYPE html>\n<title>é</title>\n"


@dataclass
class Compared:
    """A scene in which time points 1 and 3 of five were compared."""

    app: Slicer
    file: Path

    def __post_init__(self) -> None:
        truth = random_series(GRID, (1, 3))
        result, low = (Series.of([v.with_data(v.data * by) for v in truth], truth.times) for by in (1.1, 0.8))
        write_csv(evaluate({"result": result, "trilinear": low}, truth), self.file)
        self.times = (0.0, 1.0, 2.0, 3.0, 4.0)
        self.made = write_figures(
            self.app.scene, evaluation_from_csv(self.file), (1, 3), "cine", "ssim", False, None, self.times
        )
        keep_choice(self.made.table, "ssim", False)
        keep_evaluation(self.made.table, self.file.read_text(encoding="utf-8"), REPORT, (1, 3), self.times, "cine")


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    return Compared(Slicer(), tmp_path / "metrics.csv")


def values(table: Any, column: str) -> list[float]:
    return vtk_to_numpy(table.GetTable().GetColumnByName(column)).tolist()


def test_a_time_point_that_was_not_computed_has_a_line_without_figures(compared: Compared, tmp_path: Path) -> None:
    table = compared.made.table
    names = table.GetTable().GetColumnByName("Time point")
    lines = [names.GetValue(row) for row in range(5)]
    assert lines == ["0 (not computed)", "1", "2 (not computed)", "3", "4 (not computed)"]
    assert values(table, TIME_COLUMN) == list(compared.times)
    ssim = values(table, column_name("Super-resolved", "ssim"))
    assert [math.isnan(value) for value in ssim] == [True, False, True, False, True]
    at_once(saving_table(table, tmp_path / "table.csv"))
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert len(rows) == 6
    assert rows[1][2:] == [""] * (len(rows[0]) - 2)
    assert all(rows[2])


@pytest.mark.parametrize("loaded", [False, True])
def test_metric_and_region_can_be_chosen_and_the_report_saved(compared: Compared, tmp_path: Path, loaded: bool) -> None:
    app = compared.app.saved_and_loaded(tmp_path) if loaded else compared.app
    table, summary = (app.scene.GetFirstNodeByName(name) for name in ("cine metrics", "cine summary"))
    chart = app.scene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    choices = {"metric": Metric.PSNR, "bodyOnly": True, "metricsTable": table, "summaryTable": summary}
    p = SimpleNamespace(**choices, metricChart=chart)
    jobs = JobScene(app.scene, JobFiles(tmp_path / "jobs"), tmp_path, StepQueue(FakeTimer()), lambda question: True)
    jobs.set_parameters(p)
    assert jobs.report == REPORT
    ssim = values(table, column_name("Super-resolved", "ssim"))
    assert [math.isnan(value) for value in ssim] == [True, False, True, False, True], "numbers, as the chart needs them"
    jobs.choose_figures()
    evaluation = evaluation_from_csv(compared.file)
    psnr = values(table, column_name("Super-resolved", "psnr"))
    assert [psnr[1], psnr[3]] == pytest.approx(evaluation.values("result", "psnr", body=True))
    assert (p.metricsTable, p.summaryTable, p.metricChart) == (table, summary, chart), "the same nodes"
    assert chart.GetTitle() == "PSNR (dB)"
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    written = table.GetMTime()
    jobs.choose_figures()
    assert table.GetMTime() == written, "only what has changed is written anew"


def test_what_is_kept_is_replaced_by_the_next_comparison(compared: Compared) -> None:
    table, text = compared.made.table, compared.file.read_text(encoding="utf-8")
    keep_evaluation(table, text, "", (0, 2), (0.0, 1.0, 2.0), "cine")
    assert evaluation_of(table).numbers == (0, 2)
    assert report_of(table) is None
    assert len(compared.app.names("vtkMRMLTextNode")) == 1


def test_a_table_of_others_keeps_nothing(compared: Compared) -> None:
    other = compared.app.scene.AddNewNodeByClass("vtkMRMLTableNode")
    assert evaluation_of(other) is evaluation_of(None) is None
    assert report_of(other) is report_of(None) is None


@pytest.mark.parametrize("damage", ["text", "numbers", "times"])
def test_damaged_figures_are_told_of_once(compared: Compared, tmp_path: Path, damage: str) -> None:
    table = compared.made.table
    if damage == "text":
        table.GetNodeReference("SRDynamicMRI.figures").SetText("a,b\n1,2\n")
    else:
        table.SetAttribute(f"SRDynamicMRI.{'TimePoints' if damage == 'numbers' else 'Times'}", "1 x")
    p = SimpleNamespace(metric=Metric.PSNR, bodyOnly=False, metricsTable=table)
    jobs = JobScene(
        compared.app.scene, JobFiles(tmp_path / "jobs"), tmp_path, StepQueue(FakeTimer()), lambda question: True
    )
    jobs.set_parameters(p)
    with pytest.raises(InputError, match="compare the series again"):
        jobs.choose_figures()
    jobs.choose_figures()
