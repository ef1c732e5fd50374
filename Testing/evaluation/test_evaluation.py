"""Evaluation: figures per time point, their mean and spread, and the table that is written."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.recorder import Recorder

from SRDynamicMRILib.acquisition.body import body_mask
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.evaluation.evaluation import METRIC_NAMES, Evaluation, align, evaluate, write_csv
from SRDynamicMRILib.evaluation.metrics import Metrics, compare
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Series, Volume

GRID = Geometry((7, 16, 18), (1.5, 1.5, 3.0), (-10.0, 5.0, 20.0))


def series(spread: float, points: int = 3, grid: Geometry = GRID) -> Series:
    """A bright block in air, with noise of another strength at every time point."""
    rng = np.random.default_rng(1)
    volumes = []
    for number in range(points):
        image = np.zeros(grid.shape)
        image[:, 4:13, 4:14] = 600
        volumes.append(Volume(np.abs(image + rng.normal(0, 1 + spread * (number + 1), grid.shape)), grid))
    return Series.of(volumes, [0.5 * n for n in range(points)])


TRUTH = series(0.0)


def test_figures_are_those_of_compare_at_every_time_point() -> None:
    result = series(20.0)
    maps: dict[tuple[str, int], np.ndarray] = {}
    progress = Recorder()

    def keep(name: str, number: int, similarity: np.ndarray) -> None:
        maps[name, number] = similarity

    found = evaluate({"unet": result, "truth": TRUTH}, TRUTH, progress, keep)
    assert found.methods == ("unet", "truth")
    assert found.times == (0.0, 0.5, 1.0)
    assert progress.steps == [(1, 3), (2, 3), (3, 3)]
    assert progress.messages == []
    for number in range(3):
        expected, similarity = compare(result[number].data, TRUTH[number].data)
        assert found.whole["unet"][number] == expected
        np.testing.assert_allclose(maps["unet", number], similarity, atol=1e-6)
        assert maps["unet", number].dtype == np.float32
        mask = body_mask(TRUTH[number].data)
        inside = found.body["unet"][number]
        masked, _ = compare(result[number].data, TRUTH[number].data, mask)
        assert inside.ssim == pytest.approx(similarity[mask].mean(), abs=1e-6)
        assert inside.psnr == pytest.approx(masked.psnr, abs=1e-3)
        assert found.whole["truth"][number].ssim == pytest.approx(1)


def made_up(values: list[float]) -> Evaluation:
    rows = [Metrics(ssim=v, psnr=30 + v, difference_sd=0.1, nrmse=0.2) for v in values]
    better = [replace(row, ssim=row.ssim + 0.01) for row in rows]
    times = tuple(float(n) for n in range(len(values)))
    return Evaluation(times, {"a": rows, "b": better}, {"a": better, "b": rows})


def test_mean_and_sample_standard_deviation() -> None:
    evaluation = made_up([0.8, 0.9, 0.7])
    assert evaluation.mean_sd("a", "ssim") == pytest.approx((0.8, 0.1))
    assert evaluation.mean_sd("a", "ssim", body=True) == pytest.approx((0.81, 0.1))
    assert made_up([0.8]).mean_sd("a", "ssim") == (0.8, 0.0)


def test_paired_tests_are_of_the_methods_named() -> None:
    evaluation = made_up([0.8, 0.9, 0.7])
    assert evaluation.test("b", "a", "ssim").mean_difference == pytest.approx(0.01)
    assert evaluation.test("b", "a", "ssim", body=True).mean_difference == pytest.approx(-0.01)


def test_table_has_a_line_per_method_region_and_time_point(tmp_path: Path) -> None:
    evaluation = made_up([0.8, 0.9])
    write_csv(evaluation, tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["method"], r["region"], r["time_point"]) for r in rows] == [
        (method, region, str(n)) for region in ("whole", "body") for method in ("a", "b") for n in range(2)
    ]
    for row in rows:
        table = evaluation.whole if row["region"] == "whole" else evaluation.body
        metrics = table[row["method"]][int(row["time_point"])]
        for name in METRIC_NAMES:
            assert float(row[name]) == pytest.approx(getattr(metrics, name))
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*missing to write metrics\.csv to"):
        write_csv(made_up([0.8]), tmp_path / "missing" / "metrics.csv")


def test_other_number_of_time_points_is_refused() -> None:
    with pytest.raises(InputError, match="unet has 2 time points but the ground truth has 3"):
        evaluate({"unet": series(1.0, 2)}, TRUTH)


def test_result_on_another_grid_is_resampled_and_logged() -> None:
    larger = Geometry((7, 20, 22), GRID.spacing, tuple(GRID.position((-2, -2, 0)).tolist()))
    padded = [Volume(np.pad(v.data, ((0, 0), (2, 2), (2, 2))), larger) for v in TRUTH]
    progress = Recorder()
    found = evaluate({"padded": Series.of(padded)}, TRUTH, progress)
    assert len(progress.messages) == 1
    assert "padded lies on another grid" in progress.messages[0]
    assert found.mean_sd("padded", "ssim")[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("voxels", "as_it_is"), [(0.0, True), (0.005, True), (0.1, False)])
def test_result_on_a_grid_that_rounding_moved_is_taken_as_it_is(voxels: float, as_it_is: bool) -> None:
    moved = replace(GRID, origin=tuple(GRID.position((voxels, voxels, 0)).tolist()))
    noise = series(3.0)
    progress = Recorder()
    found = align({"moved": Series.of([Volume(v.data, moved) for v in noise])}, TRUTH, progress)["moved"]
    assert found.geometry == TRUTH.geometry
    assert bool(progress.messages) != as_it_is
    assert [np.array_equal(a.data, b.data) for a, b in zip(found, noise, strict=True)] == [as_it_is] * len(noise)


def test_result_elsewhere_is_refused() -> None:
    far = replace(GRID, origin=(500.0, 0.0, 0.0))
    with pytest.raises(InputError, match="do not overlap"):
        evaluate({"far": series(1.0, grid=far)}, TRUTH)
