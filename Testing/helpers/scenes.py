"""Real scenes for tests: MRML and logics as a Slicer without its windows has them, from the slicer-core wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - makes windows that draw
from scipy.spatial.transform import Rotation
from SRDynamicMRISlicer.scene.browsers import add_browser
from SRDynamicMRISlicer.scene.sequences import SequenceIndex, add_sequence
from SRDynamicMRISlicer.scene.volumes import add_volume
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkCollection
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkFiltersHybrid import vtkBSplineTransform
from vtkmodules.vtkRenderingCore import (
    vtkActor2D,
    vtkImageMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkRenderWindowInteractor,
    vtkWindowToImageFilter,
)

from SRDynamicMRILib.geometry import Geometry, Shape
from SRDynamicMRILib.volume import Series, Volume


@dataclass
class Slicer:
    """A scene with the logics that keep proxies, colours, layouts and slices up to date."""

    scene: slicer.vtkMRMLScene = field(default_factory=slicer.vtkMRMLScene)

    def __post_init__(self) -> None:
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self.application.SetSliceLogics(vtkCollection())
        self.application.SetViewLogics(vtkCollection())
        colours = self.application.GetColorLogic()
        colours.SetMRMLScene(self.scene)
        colours.AddDefaultColorNodes()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        self.colours = slicer.vtkSlicerColorLogic()
        self.colours.SetMRMLApplicationLogic(self.application)
        self.colours.SetMRMLScene(self.scene)
        self.sequences = slicer.vtkSlicerSequencesLogic()
        self.sequences.SetMRMLScene(self.scene)
        self.layouts = slicer.vtkMRMLLayoutLogic()
        self.layouts.SetMRMLScene(self.scene)

    def saved_and_loaded(self, folder: Path) -> Slicer:
        """Another Slicer that has loaded this one's scene from an .mrb."""
        self.scene.SetRootDirectory(str(folder))
        assert self.scene.WriteToMRB(str(folder / "saved.mrb"))
        with zipfile.ZipFile(folder / "saved.mrb") as archive:
            archive.extractall(folder)
        again = Slicer()
        again.scene.SetURL(str(next((folder / "saved").glob("*.mrml"))))
        again.scene.Connect()
        return again

    def names(self, class_name: str) -> list[str]:
        count = self.scene.GetNumberOfNodesByClass(class_name)
        return [self.scene.GetNthNodeByClass(number, class_name).GetName() for number in range(count)]

    def volume(self, volume: Volume, name: str = "volume") -> slicer.vtkMRMLScalarVolumeNode:
        return add_volume(self.scene, volume, name)

    def sequence(
        self, series: Series, name: str = "series", index: SequenceIndex | None = None
    ) -> slicer.vtkMRMLSequenceNode:
        """A sequence with its browser."""
        sequence = add_sequence(self.scene, series, name, index)
        add_browser(sequence)
        return sequence

    def transform(self, matrix: np.ndarray, name: str = "moved") -> slicer.vtkMRMLLinearTransformNode:
        """A linear transform of RAS positions."""
        node = self.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        content = vtkMatrix4x4()
        content.DeepCopy(np.asarray(matrix, dtype=float).ravel())
        node.SetMatrixTransformToParent(content)
        return node

    def bending_transform(self) -> slicer.vtkMRMLTransformNode:
        node = self.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "bent")
        node.SetAndObserveTransformToParent(vtkBSplineTransform())
        return node


def oblique(shape: Shape = (3, 4, 5), angles: Sequence[float] = (0.3, -0.2, 1.1), mirrored: bool = False) -> Geometry:
    direction = Rotation.from_euler("xyz", angles).as_matrix() * (-1 if mirrored else 1)
    return Geometry(shape, (1.5, 2.25, 7.0), (10.0, -20.5, 30.25), tuple(direction.ravel().tolist()))


def random_volume(geometry: Geometry, seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).uniform(1, 100, geometry.shape), geometry)


def random_series(geometry: Geometry, times: Sequence[float] = (0, 0.5, 1.25)) -> Series:
    return Series.of([random_volume(geometry, seed) for seed in range(len(times))], times)


def rigid(angles: Sequence[float] = (0.4, 0.1, -0.7), shift: Sequence[float] = (5, -7, 11)) -> np.ndarray:
    """4x4 matrix of a rotation and a shift in mm."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_euler("xyz", angles).as_matrix(), shift
    return matrix


class SliceView:
    """A slice view of a layout as Slicer's logic and displayable managers draw it, without a window.

    Parameters
    ----------
    app
        Its layout has been set, so that the slice node is there.
    name
        Singleton tag of the view.
    size
        Pixels ``(width, height)``.
    """

    def __init__(self, app: Slicer, name: str, size: tuple[int, int] = (160, 120)) -> None:
        self.node = app.scene.GetSingletonNode(name, "vtkMRMLSliceNode")
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(app.application)
        self.logic.SetSliceNode(self.node)
        self.logic.SetMRMLScene(app.scene)
        app.application.GetSliceLogics().AddItem(self.logic)
        self.size = size
        self.logic.ResizeSliceNode(*size)

    def pixels(self) -> np.ndarray:
        """What a view gets to draw, ``(height, width, 3)`` of 0..255, rows from the top; needs no OpenGL."""
        self.logic.UpdatePipeline()
        source = self.logic.GetImageDataConnection()
        source.GetProducer().Update()
        image = source.GetProducer().GetOutputDataObject(source.GetIndex())
        width, height, _ = image.GetDimensions()
        colours = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return colours[::-1, :, :3].copy()


class Window:
    """An off-screen window with Slicer's displayable managers, for what the logic alone does not draw."""

    def __init__(self, app: Slicer, view: SliceView) -> None:
        self.window = vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetSize(*view.size)
        self.renderer = vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtkRenderWindowInteractor()  # displayable managers ask the window for it
        self.interactor.SetRenderWindow(self.window)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(app.application)
        legend = "vtkMRMLColorLegendDisplayableManager"
        if not factory.IsDisplayableManagerRegistered(legend):
            factory.RegisterDisplayableManager(legend)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)
        self.group.SetMRMLDisplayableNode(view.node)
        mapper = vtkImageMapper()  # the slice as Slicer's view shows it: colours of 0..255
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self.actor = vtkActor2D()
        self.actor.SetMapper(mapper)
        self.actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self.actor)
        self.view = view

    def pixels(self) -> np.ndarray:
        """Colours ``(height, width, 3)`` of 0..255, rows from the top."""
        self.view.logic.UpdatePipeline()
        self.actor.GetMapper().SetInputConnection(self.view.logic.GetImageDataConnection())
        self.window.Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        return vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(height, width, -1)[::-1].copy()


def need_drawing() -> None:
    """Skip the test where nothing can draw."""
    if not can_draw():
        pytest.skip("this machine has neither EGL nor OSMesa to draw with (Debian: libegl1 with libgl1-mesa-dri)")


@cache
def can_draw() -> bool:
    """Whether off-screen OpenGL finds EGL or OSMesa here; found out in a process that may die of it."""
    code = (
        "import vtkmodules.vtkRenderingOpenGL2, vtkmodules.vtkRenderingCore as r; "
        "w, n, g = r.vtkRenderWindow(), r.vtkRenderer(), r.vtkWindowToImageFilter(); n.SetBackground(1, 0, 0); "
        "w.SetOffScreenRendering(1); w.SetSize(8, 8); w.AddRenderer(n); w.Render(); "
        "g.SetInput(w); g.ReadFrontBufferOff(); g.Update(); "
        "raise SystemExit(g.GetOutput().GetScalarComponentAsDouble(4, 4, 0, 0) != 255)"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120).returncode == 0


def multivolume(app: Slicer, labels: str | None) -> slicer.vtkMRMLScalarVolumeNode:
    """A node as the MultiVolume modules make it: three time points as components of each voxel."""
    node = app.volume(random_volume(oblique()), "multi")
    voxels = np.arange(60, dtype=np.int16)[:, None] + 100 * np.arange(3, dtype=np.int16)
    image = vtkImageData()
    image.SetDimensions(5, 4, 3)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(voxels), deep=True))
    node.SetAndObserveImageData(image)
    node.SetAttribute("MultiVolume.NumberOfFrames", "3")
    if labels:
        node.SetAttribute("MultiVolume.FrameLabels", labels)
        node.SetAttribute("MultiVolume.FrameIdentifyingDICOMTagName", "TriggerTime")
        node.SetAttribute("MultiVolume.FrameIdentifyingDICOMTagUnits", "ms")
    return node
