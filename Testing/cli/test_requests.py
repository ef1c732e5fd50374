"""Requests: their way to JSON and back, what is refused, and that they agree with the functions they are for."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from helpers.command_line import Command
from helpers.project import ROOT

from SRDynamicMRILib import api
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.requests import (
    REQUESTS,
    EvaluateRequest,
    FineTuneRequest,
    SuperResolveRequest,
    from_json,
    options_of,
)

VALUES = {bool: True, int: 3, float: 0.5, str: "ein Wort für 日本", Path: Path("folder of/scans.nii.gz")}


def value_of(hint: Any) -> Any:
    """A value of a type, which is not what any option has by default."""
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return value_of(next(part for part in parts if part is not NoneType))
    if get_origin(hint) is Literal:
        return parts[-1]
    if get_origin(hint) is tuple:
        return tuple(map(value_of, parts[:1] * 2 if parts[-1] is Ellipsis else parts))
    return VALUES[hint]


def needed(command: str) -> dict[str, Any]:
    """Values of the options that have to be given."""
    options = options_of(REQUESTS[command])
    return {name: value_of(hint) for name, (item, hint) in options.items() if item.default is MISSING}


@pytest.mark.parametrize("command", REQUESTS)
def test_a_request_survives_json(command: str) -> None:
    kind = REQUESTS[command]
    everything = kind(**{name: value_of(hint) for name, (_, hint) in options_of(kind).items()})
    as_little_as_possible = kind(**needed(command))
    for request in (everything, as_little_as_possible):
        text = request.to_json()
        assert "\n" not in text, "a worker reads one line"
        assert from_json(text) == request
    assert from_json(json.dumps({"command": command, "options": json_values(needed(command))})) == as_little_as_possible


def json_values(values: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def text_of(command: object, /, **options: object) -> str:
    return json.dumps({"command": command, "options": options})


FINE_TUNE = {"prior": "p.nii", "output": "m.safetensors"}


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "is not JSON"),
        ("finetune", "is not JSON"),
        ('{"command": "info"', "is not JSON"),
        ("[" * 200_000, "is not JSON"),
        ('{"a":' * 200_000, "is not JSON"),
        ("9" * 10_000, "is not JSON"),
        ("null", "names no command"),
        ("[]", "names no command"),
        ('["info", "m.safetensors"]', "names no command"),
        ("{}", "names no command"),
        (text_of("abolish"), "names no command"),
        (text_of(None), "names no command"),
        (text_of(["info"], model="m"), "names no command"),
        (text_of({"info": 1}), "names no command"),
        ('{"command": "info", "options": ["m.safetensors"]}', "names no command"),
        (text_of("info", file="m", colour="red"), "info has no option 'colour'"),
        (text_of("info", file="m", **{"x" * 10_000: 1}), "info has no option 'xxx"),
        (text_of("info"), "info needs the option 'file'"),
        ('{"command": "info"}', "info needs the option 'file'"),
        (text_of("finetune", prior="p.nii"), "finetune needs the option 'output'"),
        (text_of("info", file=None), "option file"),
        (text_of("info", file=["m"]), "option file"),
        (text_of("info", file={}), "option file"),
        (text_of("finetune", **FINE_TUNE, seed="1"), "option seed"),
        (text_of("finetune", **FINE_TUNE, seed=1.0), "option seed"),
        (text_of("finetune", **FINE_TUNE, seed=True), "option seed"),
        (text_of("finetune", **FINE_TUNE, seed=-1), "seed must be zero or larger"),
        (text_of("finetune", **FINE_TUNE, resume=1), "option resume"),
        (text_of("finetune", **FINE_TUNE, fraction="0.25"), "option fraction"),
        (text_of("finetune", **FINE_TUNE, fraction=10**400), "option fraction"),
        (text_of("finetune", **FINE_TUNE, fraction=False), "option fraction"),
        (text_of("finetune", **FINE_TUNE, precision="float8"), "option precision"),
        (text_of("finetune", **FINE_TUNE, precision=["float32"]), "option precision"),
        (text_of("finetune", **FINE_TUNE, acquired_matrix=[96]), "option acquired_matrix"),
        (text_of("finetune", **FINE_TUNE, acquired_matrix=[96, 128, 3]), "option acquired_matrix"),
        (text_of("finetune", **FINE_TUNE, acquired_matrix=[96, "128"]), "option acquired_matrix"),
        (text_of("finetune", **FINE_TUNE, acquired_matrix="96x128"), "option acquired_matrix"),
        (text_of("benchmark", data="d", output="o", fractions=[0.25, None]), "option fractions"),
        (text_of("evaluate", result="r", truth="t", output="o", baseline=[["a"]]), "option baseline"),
        (text_of("evaluate", result="r", truth="t", output="o", baseline={"a": "b"}), "option baseline"),
    ],
)
def test_what_is_no_request_is_refused_in_one_sentence(text: str, phrase: str) -> None:
    with pytest.raises(InputError) as caught:
        from_json(text)
    sentence = str(caught.value)
    assert phrase in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 1000


def test_a_whole_number_is_a_fraction_too() -> None:
    request = from_json(text_of("finetune", **FINE_TUNE, fraction=1))
    assert isinstance(request, FineTuneRequest)
    assert type(request.fraction) is float


@pytest.mark.parametrize(
    ("command", "function"),
    [("finetune", api.fine_tune), ("superresolve", api.super_resolve)],
    ids=["finetune", "superresolve"],
)
def test_defaults_are_those_of_python(command: str, function: Callable[..., object]) -> None:
    parameters = inspect.signature(function).parameters
    options = options_of(REQUESTS[command])
    shared = [name for name, (item, _) in options.items() if item.default is not MISSING and name in parameters]
    assert len(shared) > 8
    for name in shared:
        assert options[name][0].default == parameters[name].default, name


@pytest.mark.parametrize("name", REQUESTS)
def test_help_says_what_every_option_is(command: Command, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    said = command(name, "--help").out
    for option, (item, _) in options_of(REQUESTS[name]).items():
        assert item.metadata["help"] or item.metadata["flag"] == "", option
        assert item.metadata["help"] in said


def test_the_command_line_makes_the_request_that_it_was_asked_for(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []
    monkeypatch.setattr("SRDynamicMRILib.cli.superresolve.run", lambda request, progress: heard.append(request) or {})
    words = "in.nii out.nii --prior p.nii --acquired-matrix 96x128 --stride 8 12 16 --frames 0:3 --precision float32"
    assert command("superresolve", *words.split(), "--skip-unusable", "--seed", 7).code == 0
    assert heard == [
        SuperResolveRequest(
            input=Path("in.nii"),
            output=Path("out.nii"),
            prior=Path("p.nii"),
            acquired_matrix=(96, 128),
            stride=(8, 12, 16),
            frames="0:3",
            precision="float32",
            skip_unusable=True,
            seed=7,
        )
    ]


def test_baselines_may_be_given_at_once_or_one_by_one(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[EvaluateRequest] = []
    monkeypatch.setattr("SRDynamicMRILib.cli.evaluate.run", lambda request, progress: heard.append(request) or {})
    words = ("evaluate", "r.nii", "t.nii", "--output", "o")
    assert command(*words).code == 0
    assert command(*words, "--baseline", "a=a.nii", "b=b=c.nii", "--baseline", "d=d.nii").code == 0
    assert command(*words, "--baseline", "a=a.nii").code == 0
    a, b, d = ("a", Path("a.nii")), ("b", Path("b=c.nii")), ("d", Path("d.nii"))
    assert [request.baseline for request in heard] == [(), (a, b, d), (a,)], "and none is kept for the next"


def test_requests_load_nothing_that_takes_long() -> None:
    slow = "{'torch', 'numpy', 'scipy', 'SimpleITK', 'argparse'}"
    code = f"import sys\nimport SRDynamicMRILib.requests\nsys.exit(sorted({slow} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
