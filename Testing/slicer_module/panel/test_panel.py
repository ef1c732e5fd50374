"""The panel as it is drawn, held against the code: names, choices, connections, tooltips and texts."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.project import ROOT

from SRDynamicMRILib.acquisition.windows import WINDOWS, Window

MODULE = ROOT / "SRDynamicMRI"
UI = MODULE / "Resources" / "UI" / "SRDynamicMRI.ui"
PARTS = sorted((MODULE / "SRDynamicMRISlicer").rglob("*.py"))
CODE = [MODULE / "SRDynamicMRI.py", *PARTS]

SECTIONS = [
    "inputsCollapsibleButton",
    "simulateCollapsibleButton",
    "fineTuneCollapsibleButton",
    "superResolveCollapsibleButton",
    "compareCollapsibleButton",
    "logCollapsibleButton",
]
WIDGET_OF = {
    "bool": {"QCheckBox"},
    "int": {"QSpinBox"},
    "float": {"QDoubleSpinBox", "ctkSliderWidget"},
    "enum": {"QComboBox"},
    "str": {"QLineEdit"},
    "node": {"qMRMLNodeComboBox"},
}
"""Widgets that Slicer's parameter nodes can bind, by what they hold."""

NOT_IN_THE_PANEL = {
    "baseModel": "a path whose empty value is none",
    "device": "a list that depends on the computer",
    "kspaceWindow": "a list that takes other texts too, which Slicer does not bind",
    "comparing": "follows the buttons of the comparison",
    "interpolated": "made",
    "tunedOn": "made",
    "ssimMaps": "made",
    "differenceMaps": "made",
    "metricsTable": "made",
    "summaryTable": "made",
    "metricChart": "made",
}
"""Choices without a bound widget, and why."""


@pytest.fixture(scope="module")
def ui() -> ET.Element:
    return ET.parse(UI).getroot()


def widgets(ui: ET.Element) -> dict[str, ET.Element]:
    return {widget.get("name", ""): widget for widget in ui.iter("widget")}


def properties(widget: ET.Element) -> dict[str, ET.Element]:
    return {one.get("name", ""): one[0] for one in widget.findall("property")}


def text(widget: ET.Element, name: str) -> str:
    found = properties(widget).get(name)
    return "" if found is None else found.text or ""


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def used_names(file: Path) -> set[str]:
    """Widgets that a file names: attributes of `ui`, and the strings of the panel's lists."""
    found = set(re.findall(r"\b_?ui\.(\w+)", file.read_text(encoding="utf-8")))
    if file.name == "panel.py":
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
                values = (one for value in node.value.values for one in ast.walk(value))
                found |= {one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def fields(file: Path, name: str) -> dict[str, ast.AnnAssign]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {one.target.id: one for one in node.body if isinstance(one, ast.AnnAssign)}  # type: ignore[union-attr]
    raise LookupError(name)


@pytest.fixture(scope="module")
def parameters() -> dict[str, ast.AnnAssign]:
    return fields(MODULE / "SRDynamicMRISlicer" / "scene" / "parameters.py", "Parameters")


def kind(field: ast.AnnAssign) -> str:
    """What a choice holds, in the words of `WIDGET_OF`."""
    written = ast.unparse(field.annotation)
    if "vtkMRML" in written or written == "Images":
        return "node"
    base = re.sub(r"^Annotated\[(\w+),.*$", r"\1", written)
    return base if base in ("bool", "int", "float", "str") else "enum"


def bound(ui: ET.Element) -> dict[str, ET.Element]:
    named = {text(widget, "SlicerParameterName"): widget for widget in ui.iter("widget")}
    return {name: widget for name, widget in named.items() if name}


def controls(ui: ET.Element) -> Iterator[ET.Element]:
    """What the user can touch or read, besides plain captions."""
    for widget in ui.iter("widget"):
        caption = re.fullmatch(r"label\d+", widget.get("name", ""))
        if widget.get("class") != "qMRMLWidget" and not caption:
            yield widget


def test_the_panel_is_one_of_slicer(ui: ET.Element) -> None:
    top = ui.find("widget")
    assert (top.get("class"), top.get("name"), ui.find("class").text) == ("qMRMLWidget", "SRDynamicMRI", "SRDynamicMRI")
    names = [widget.get("name") for widget in ui.iter("widget")]
    assert len(names) == len(set(names))
    custom = {one.find("class").text for one in ui.iter("customwidget")}
    assert {w.get("class") for w in ui.iter("widget") if w.get("class").startswith(("q", "ctk"))} == custom


def test_sections_from_top_to_bottom(ui: ET.Element) -> None:
    found = [w for w in ui.iter("widget") if w.get("class") == "ctkCollapsibleButton"]
    assert [widget.get("name") for widget in found] == SECTIONS
    folded = [widget.get("name") for widget in found if text(widget, "collapsed") == "true"]
    assert folded == ["simulateCollapsibleButton", "logCollapsibleButton"]


def test_what_is_declared_of_the_acquisition_is_folded_away(ui: ET.Element) -> None:
    """Few need it; a number is taken once it is complete, and what is left alone is as recognised."""
    group = widgets(ui)["acquisitionGroupBox"]
    assert group.get("class") == "ctkCollapsibleGroupBox"
    assert text(group, "collapsed") == "true"
    inside = widgets(group)
    for name in ("acquiredRowsSpinBox", "acquiredColumnsSpinBox"):
        assert text(inside[name], "specialValueText") == "As recognised"
        assert text(inside[name], "keyboardTracking") == "false"
    assert text(inside["noiseLineEdit"], "placeholderText") == "As recognised"
    window = inside["kspaceWindowComboBox"]
    offered = [text(item, "text") for item in window.findall("item")]
    assert offered[0] == "As recognised"
    assert [str(Window.named(name)) for name in offered[1:]] == offered[1:]
    assert {Window.named(name).name for name in offered[1:]} == set(WINDOWS)
    assert (text(window, "editable"), text(window, "insertPolicy")) == ("true", "QComboBox::NoInsert")
    assert "intensitiesComboBox" in inside


def test_every_name_that_the_code_uses_is_in_the_panel(ui: ET.Element) -> None:
    used = set().union(*(used_names(file) for file in CODE))
    assert len(used) > 50
    assert used <= set(widgets(ui))


def test_every_control_of_the_panel_does_something(ui: ET.Element) -> None:
    used = set().union(*(used_names(file) for file in CODE)) | {w.get("name") for w in bound(ui).values()}
    idle = {widget.get("name") for widget in controls(ui)} - used
    assert idle <= {*SECTIONS, "acquisitionGroupBox"}


def test_every_bound_widget_has_a_choice_that_fits_it(ui: ET.Element, parameters: dict[str, ast.AnnAssign]) -> None:
    for name, widget in bound(ui).items():
        assert name in parameters
        assert widget.get("class") in WIDGET_OF[kind(parameters[name])], name
    assert set(parameters) - set(bound(ui)) == set(NOT_IN_THE_PANEL)


def test_numbers_have_the_same_limits_in_the_panel(ui: ET.Element, parameters: dict[str, ast.AnnAssign]) -> None:
    """Slicer gives the widget the limits of the choice; the file says the same, so that Designer shows the truth."""
    checked = 0
    for name, widget in bound(ui).items():
        limits = re.search(r"WithinRange\(([\d.]+), ([\d.]+)\)", ast.unparse(parameters[name].annotation))
        if kind(parameters[name]) in ("int", "float"):
            assert limits, f"Slicer would set the limits of {name} to those of its type"
            low, high = (float(limit) for limit in limits.groups())
            assert low <= ast.literal_eval(parameters[name].value) <= high
            assert float(text(widget, "maximum") or 99) == high, name
            assert float(text(widget, "minimum") or 0) == low, name
            checked += 1
    assert checked == 8


def test_node_selectors_offer_what_their_choice_takes(ui: ET.Element, parameters: dict[str, ast.AnnAssign]) -> None:
    for name, widget in bound(ui).items():
        if widget.get("class") == "qMRMLNodeComboBox":
            offered = [one.text for one in properties(widget)["nodeTypes"]]
            written = ast.unparse(parameters[name].annotation)
            taken = ["vtkMRMLSequenceNode", "vtkMRMLScalarVolumeNode"] if written == "Images" else []
            assert offered == (taken or re.findall(r"vtkMRML\w+", written)), name
            assert text(widget, "noneEnabled") == "true", "nothing is chosen without the user"
            assert text(widget, "addEnabled") == text(widget, "removeEnabled") == "false"
            assert text(widget, "showChildNodeTypes") in ("true", "false")
    hidden = [one.text for one in properties(widgets(ui)["seriesSelector"])["hideChildNodeTypes"]]
    assert "vtkMRMLLabelMapVolumeNode" in hidden


def test_every_mrml_widget_follows_the_scene(ui: ET.Element) -> None:
    wanted = {w.get("name") for w in ui.iter("widget") if w.get("class").startswith("qMRML")} - {"SRDynamicMRI"}
    connected = []
    for connection in ui.iter("connection"):
        parts = [connection.find(name).text for name in ("sender", "signal", "slot")]
        assert parts == ["SRDynamicMRI", "mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"]
        connected.append(connection.find("receiver").text)
    assert sorted(connected) == sorted(wanted)


def test_every_control_has_a_tooltip(ui: ET.Element) -> None:
    for widget in controls(ui):
        tooltip = text(widget, "toolTip")
        assert tooltip.endswith("."), widget.get("name")
        assert tooltip[0].isupper(), widget.get("name")


def test_every_caption_belongs_to_its_control(ui: ET.Element) -> None:
    for name, widget in widgets(ui).items():
        if re.fullmatch(r"label\d+", name):
            assert text(widget, "text").endswith(":")
            assert text(widget, "buddy") in widgets(ui)


def test_every_text_can_be_translated(ui: ET.Element) -> None:
    kept = {"SlicerParameterName", "nodeTypes", "hideChildNodeTypes", "nameFilters"}
    for widget in ui.iter("widget"):
        for name, value in properties(widget).items():
            if value.tag in ("string", "stringlist"):
                assert (value.get("notr") == "true") == (name in kept), f"{widget.get('name')}: {name}"


@pytest.mark.parametrize("file", CODE, ids=lambda file: file.stem)
def test_no_text_is_shown_untranslated(file: Path) -> None:
    displays = {"errorDisplay", "warningDisplay", "infoDisplay", "confirmYesNoDisplay", "showStatusMessage"}
    for node in ast.walk(tree(file)):
        shown: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = [one.attr for one in node.targets if isinstance(one, ast.Attribute)]
            shown = [node.value] if {"text", "toolTip", "windowTitle", "title"} & set(targets) else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in displays:
            shown = node.args[:1]
        for value in shown:
            literal = isinstance(value, ast.Constant) and bool(value.value)
            assert not literal, f"line {node.lineno}"


def test_a_click_never_ends_in_a_traceback() -> None:
    """All buttons go through `slots.plain`."""
    source = (MODULE / "SRDynamicMRISlicer" / "session.py").read_text(encoding="utf-8")
    assert source.count('connect("clicked') == 1
    assert 'connect("clicked(bool)", plain(action))' in source


def test_observers_and_timers_never_end_in_a_traceback() -> None:
    """What goes wrong in them is a sentence in the panel: they go through `slots.guarded`."""
    folder = MODULE / "SRDynamicMRISlicer"
    source = (folder / "session.py").read_text(encoding="utf-8")
    # What the removal of a node calls only takes note, and a timer does the rest.
    observers = {re.sub(r"\s+", "", text).rsplit("self.", 1)[1] for text in re.findall(r"addObserver\([^)]*", source)}
    assert observers == {"_follow", "_on_node_going"}
    assert "self._follow = guarded(self._on_parameters, self._report)" in source
    assert "guarded(action, self._report)" in (folder / "qt" / "timer.py").read_text(encoding="utf-8")
