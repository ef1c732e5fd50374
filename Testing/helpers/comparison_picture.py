"""The comparison of a small phantom as Slicer draws it, without a window.

``python comparison_picture.py`` (``make screenshots``) stores it as the picture that test_comparison.py holds later
ones against: run it after a change that is meant to be seen, and look at the picture before committing it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # pytest has found the project already
    root = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root), str(root / "SRDynamicMRI"), str(root / "Testing")]

from matplotlib.image import imsave
from SRDynamicMRISlicer.comparison.captions import ViewCaptions
from SRDynamicMRISlicer.comparison.comparison import Comparison, on_one_slider
from SRDynamicMRISlicer.comparison.layouts import ROWS, Layout, LayoutSwitch, View
from SRDynamicMRISlicer.comparison.notice import Notice
from SRDynamicMRISlicer.scene.browsers import browser_of
from SRDynamicMRISlicer.scene.metrics_nodes import MapSequences
from SRDynamicMRISlicer.scene.outputs import difference_map
from SRDynamicMRISlicer.scene.provenance import facts_of_result
from SRDynamicMRISlicer.scene.results import ResultSequence

from helpers.project import TESTS
from helpers.scenes import Slicer, SliceView, Window
from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import interpolate
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series

WIDTH, HEIGHT = 960, 300
STORED = TESTS / "pictures" / "comparison.png"


def comparison_picture() -> dict[View, np.ndarray]:
    """Draw all views of the largest layout: for each its colours ``(height, width, 3)`` of 0..255.

    Sinc interpolation stands in for a network, so that the picture needs no weights and never changes.
    """
    app = Slicer()
    phantom = abdomen(3, (12, 96, 128), (2.7, 2.7, 8.0), time_points=2)
    truth = Series.of(list(phantom.dynamic), phantom.dynamic.times)
    low = Series.of([downsample(volume, 0.1) for volume in truth], truth.times)
    layout = app.layouts.GetLayoutNode()
    LayoutSwitch(layout).show(Layout.MAPS)
    windows = {}
    for row in ROWS[Layout.MAPS]:
        for view in row:
            windows[view] = Window(app, SliceView(app, view.value, (WIDTH // len(row), HEIGHT)))
    source, true = app.sequence(low, "low"), app.sequence(truth, "truth")
    result = ResultSequence(source, "result", facts_of_result("none"))
    maps = MapSequences(source, "result")
    for number, volume in enumerate(low):
        made = interpolate(volume, truth.geometry, "zero_filled")
        result.add(number, made)
        true_now = truth[number]
        similarity = compare(made.data, true_now.data)[1]
        maps.add(number, true_now.with_data(similarity), difference_map(made, true_now))
    shown = on_one_slider(source, {View.LOW: source, View.RESULT: result.node, View.TRUTH: true})
    shown |= {View.SSIM: maps.ssim.proxy, View.DIFFERENCE: maps.difference.proxy}
    Comparison(layout).show(shown)

    def draw(view: View, missing: str, notice: str) -> None:
        if notice:
            Notice(windows[view].renderer, notice)

    captions = ViewCaptions(app.scene, draw)
    captions.show(shown, shown)
    browser_of(source).SetSelectedItemNumber(1)
    return {view: window.pixels() for view, window in windows.items()}


def put_together(views: dict[View, np.ndarray]) -> np.ndarray:
    """The views as the layout arranges them."""
    return np.vstack([np.hstack([views[view] for view in row]) for row in ROWS[Layout.MAPS]])


if __name__ == "__main__":
    STORED.parent.mkdir(exist_ok=True)
    imsave(STORED, put_together(comparison_picture()))
