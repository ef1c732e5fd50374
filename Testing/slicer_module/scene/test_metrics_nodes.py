"""Figures of a comparison in tables and charts, against the library's own numbers, and maps of its time points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.scenes import Slicer, random_series
from SRDynamicMRISlicer.scene.browsers import browser_of
from SRDynamicMRISlicer.scene.map_colours import DIFFERENCE_COLOURS, SSIM_COLOURS
from SRDynamicMRISlicer.scene.metrics_nodes import (
    SHOWN,
    TIME_COLUMN,
    MapSequences,
    column_name,
    evaluation_from_csv,
    fill_metrics_table,
    fill_summary_table,
    metric_chart,
)
from SRDynamicMRISlicer.scene.volumes import volume_of
from vtkmodules.util.numpy_support import vtk_to_numpy

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import Evaluation, evaluate, write_csv
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Series

GRID = Geometry((8, 16, 24), (2.0, 2.0, 4.0))
TIMES = (0.0, 0.5, 1.25)


@pytest.fixture
def app() -> Slicer:
    """A Slicer that lives as long as the test: its nodes go with it."""
    return Slicer()


def noisy(series: Series, sd: float) -> Series:
    random = np.random.default_rng(7)
    return Series.of([v.with_data(v.data + random.normal(0, sd, v.shape)) for v in series], series.times)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    truth = random_series(GRID, TIMES)
    return evaluate({"low": noisy(truth, 20), "result": noisy(truth, 5)}, truth)


def column(node: object, name: str) -> list[float]:
    return vtk_to_numpy(node.GetTable().GetColumnByName(name)).tolist()


def texts(node: object, name: str) -> list[str]:
    values = node.GetTable().GetColumnByName(name)
    return [values.GetValue(number) for number in range(values.GetNumberOfValues())]


def test_a_line_for_every_time_point(app: Slicer, evaluation: Evaluation) -> None:
    table = app.scene.AddNewNodeByClass("vtkMRMLTableNode", "figures")
    fill_metrics_table(table, evaluation, [4, 5, 6])
    assert table.GetNumberOfRows() == 3
    assert table.GetNumberOfColumns() == 2 + 2 * len(SHOWN)
    assert texts(table, "Time point") == ["4", "5", "6"]
    assert column(table, TIME_COLUMN) == list(TIMES)
    for method in ("low", "result"):
        for metric in SHOWN:
            assert column(table, column_name(method, metric)) == evaluation.values(method, metric)
    fill_metrics_table(table, evaluation, body=True)
    assert table.GetNumberOfColumns() == 2 + 2 * len(SHOWN), "filled again, not added to"
    assert column(table, column_name("low", "ssim")) == evaluation.values("low", "ssim", body=True)


def test_the_summary_has_means_and_p_values(app: Slicer, evaluation: Evaluation) -> None:
    table = app.scene.AddNewNodeByClass("vtkMRMLTableNode", "summary")
    fill_summary_table(table, evaluation, "result")
    assert texts(table, "Method") == ["low", "result"]
    mean, sd = evaluation.mean_sd("low", "psnr")
    assert texts(table, "PSNR (dB), mean")[0] == f"{mean:.2f}"
    assert texts(table, "PSNR (dB), SD")[0] == f"{sd:.2f}"
    tests = evaluation.test("result", "low", "ssim")
    shown = texts(table, "p (t-test)")
    assert shown[1] == ""
    assert shown[0] == (f"{tests.t_test:.3f}" if tests.t_test >= 0.001 else "< 0.001")
    assert float(texts(table, "p (Wilcoxon)")[0]) == pytest.approx(tests.wilcoxon, abs=5e-4)


def test_a_single_time_point_has_no_p_value(app: Slicer) -> None:
    truth = random_series(GRID, (0,))
    table = app.scene.AddNewNodeByClass("vtkMRMLTableNode", "summary")
    fill_summary_table(table, evaluate({"low": noisy(truth, 9), "result": noisy(truth, 1)}, truth), "result")
    assert texts(table, "p (t-test)") == ["too few", ""]


@pytest.mark.parametrize("metric", SHOWN)
def test_a_chart_draws_the_columns_of_the_table(app: Slicer, evaluation: Evaluation, metric: str) -> None:
    table = app.scene.AddNewNodeByClass("vtkMRMLTableNode", "figures")
    fill_metrics_table(table, evaluation)
    chart = metric_chart(table, evaluation, metric)
    for _ in range(2):
        assert chart.GetNumberOfPlotSeriesNodes() == 2
        for number, method in enumerate(evaluation.methods):
            line = chart.GetNthPlotSeriesNode(number)
            assert line.GetTableNode() is table
            assert line.GetXColumnName() == TIME_COLUMN
            assert column(table, line.GetYColumnName()) == evaluation.values(method, metric)
        assert metric_chart(table, evaluation, metric, chart) is chart
    assert len(app.names("vtkMRMLPlotSeriesNode")) == 2, "lines of the chart before are gone"


def test_the_workers_table_is_read_back(tmp_path: Path, evaluation: Evaluation) -> None:
    path = tmp_path / "metrics é.csv"
    write_csv(evaluation, path)
    again = evaluation_from_csv(path)
    assert again.times == evaluation.times
    assert again.methods == evaluation.methods
    for body in (False, True):
        for metric in SHOWN:
            expected = evaluation.values("low", metric, body)
            assert again.values("low", metric, body) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "content",
    ["", "a,b\n1,2\n", "method,region,time_point,time_s,ssim,psnr,difference_sd,nrmse\nlow,whole,0,0,x,1,1,1\n"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics\.csv"):
        evaluation_from_csv(path)
    with pytest.raises(InputError):
        evaluation_from_csv(tmp_path / "none.csv")


def test_a_table_that_was_cut_short_is_refused(tmp_path: Path, evaluation: Evaluation) -> None:
    path = tmp_path / "metrics.csv"
    write_csv(evaluation, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="not complete"):
        evaluation_from_csv(path)


def test_maps_move_with_the_slider_in_their_colours(app: Slicer) -> None:
    truth = random_series(GRID, TIMES)
    low = Series.of([downsample(volume, 0.25) for volume in truth], TIMES)
    source = app.sequence(low, "low")
    maps = MapSequences(source, "result")
    ssim, difference = noisy(truth, 5), truth
    for number in (1, 0, 2):
        maps.add(number, ssim[number], difference[number])
    browser = browser_of(source)
    assert browser_of(maps.ssim.node) is browser_of(maps.difference.node) is browser
    for number in range(3):
        browser.SetSelectedItemNumber(number)
        assert np.allclose(volume_of(maps.ssim.proxy).data, ssim[number].data)
        assert np.allclose(volume_of(maps.difference.proxy).data, difference[number].data)
    displays = [maps.ssim.proxy.GetScalarVolumeDisplayNode(), maps.difference.proxy.GetScalarVolumeDisplayNode()]
    assert [display.GetColorNode().GetName() for display in displays] == [SSIM_COLOURS, DIFFERENCE_COLOURS]
    assert len(app.names("vtkMRMLColorLegendDisplayNode")) == 2
