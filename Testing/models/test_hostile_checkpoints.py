"""Checkpoints made to do harm: nothing in them is executed, and none takes more memory or other files than its own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.command_line import QUIET, Command
from helpers.models import TINY, tiny_network
from helpers.operating_system import needs_posix
from helpers.patient import FRACTION, Patient
from safetensors.torch import save_file

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.import_checkpoint import import_checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")


class Reduced:
    """Calls a function with some arguments when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.arguments


class Built:
    """Does it when its state is set."""

    def __init__(self, payload: object) -> None:
        self.payload = payload

    def __reduce__(self) -> tuple[object, ...]:
        return dict, (), None, None, iter([(self.payload, 1)])


PAYLOADS: dict[str, Callable[[Path], object]] = {
    "system": lambda mark: Reduced(os.system, f"touch '{mark}'"),
    "eval": lambda mark: Reduced(eval, f"__import__('pathlib').Path({str(mark)!r}).touch()"),
    "process": lambda mark: Reduced(subprocess.check_call, ["touch", str(mark)]),
    "method": lambda mark: Reduced(Path.touch, mark),
    "within a container": lambda mark: Built(Reduced(os.system, f"touch '{mark}'")),
    "pickle within": lambda mark: Reduced(pickle.loads, pickle.dumps(Reduced(os.system, f"touch '{mark}'"))),
}


def zipped(content: object, path: Path) -> None:
    torch.save(content, path)


def old(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def plain(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def text(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=0))


WITHOUT_PROTECTION = """
import pickle, sys, torch
for path in sys.argv[1:]:
    try:
        torch.load(path, weights_only=False)
    except Exception:
        pickle.load(open(path, "rb"))
"""


@pytest.mark.parametrize("save", [zipped, old, plain, text], ids=lambda f: f.__name__)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_is_executed(
    command: Command, patient: Patient, tmp_path: Path, payload: str, save: Callable[[object, Path], None]
) -> None:
    mark = tmp_path / "mark"
    content = {"state_dict": tiny_network().state_dict(), "extra": PAYLOADS[payload](mark)}
    for name in ("evil.pth", "evil.safetensors", "m.state.safetensors"):
        save(content, tmp_path / name)
    evil, out = tmp_path / "evil.safetensors", tmp_path / "m.safetensors"
    tuning = ("finetune", patient.static, "--fraction", FRACTION, "--output", out)
    for arguments in (
        ("import-checkpoint", tmp_path / "evil.pth", out),
        ("info", evil),
        ("superresolve", patient.low, tmp_path / "o.nii.gz", "--model", evil),
        (*tuning, "--model", evil),
        (*tuning, "--model", patient.model, "--resume"),
        (*tuning, "--model", patient.model, "--budget", "paper", "--perceptual-network", evil),
    ):
        outcome = command(*arguments, *QUIET)
        assert outcome.code == 2, outcome.err
        assert outcome.err.count("\n") == 1
        assert not mark.exists()
    assert not out.exists()


@pytest.mark.parametrize("save", [zipped, old, plain, text], ids=lambda f: f.__name__)
def test_the_payloads_do_harm_where_nothing_protects(tmp_path: Path, save: Callable[[object, Path], None]) -> None:
    for number, payload in enumerate(PAYLOADS.values()):
        mark, file = tmp_path / f"mark{number}", tmp_path / f"evil{number}.pth"
        save({"extra": payload(mark)}, file)
    names = sorted(map(str, tmp_path.glob("*.pth")))
    subprocess.run([sys.executable, "-c", WITHOUT_PROTECTION, *names], check=True, capture_output=True)
    assert len(list(tmp_path.glob("mark*"))) == len(PAYLOADS)


def rewritten(
    source: Path, target: Path, change: Callable[[zipfile.ZipInfo, bytes], tuple[str, bytes]], kind: int
) -> None:
    """A checkpoint's ZIP file with other entries."""
    with zipfile.ZipFile(source) as old_file, zipfile.ZipFile(target, "w", kind) as new_file:
        for entry in old_file.infolist():
            name, content = change(entry, old_file.read(entry))
            new_file.writestr(name, content)


def test_a_zip_bomb_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"state_dict": tiny_network().state_dict(), "fill": torch.zeros(32 * 2**20)}, tmp_path / "large.pth")
    bomb = tmp_path / "bomb.pth"
    rewritten(tmp_path / "large.pth", bomb, lambda entry, content: (entry.filename, content), zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2**20 < 128 * 2**20 < (tmp_path / "large.pth").stat().st_size

    def load(*_: object, **__: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(InputError, match="claims to hold more than its own size"):
        import_checkpoint(bomb)


def test_weights_that_are_one_number_seen_many_times_are_refused(tmp_path: Path) -> None:
    """A file of some bytes would become a network of gigabytes."""
    tiny = {name: torch.zeros(1).expand(t.shape) for name, t in tiny_network().state_dict().items()}
    torch.save(tiny, tmp_path / "small.pth")
    with pytest.raises(InputError, match="not plain floating-point numbers"):
        import_checkpoint(tmp_path / "small.pth")


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_names_that_lead_elsewhere_are_only_names(command: Command, patient: Patient, tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    way_out = "../../../../mark"
    torch.save(tiny_network().state_dict(), inner / "sound.pth")
    rewritten(
        inner / "sound.pth",
        inner / "m.pth",
        lambda e, content: (f"{way_out}/{e.filename}", content),
        zipfile.ZIP_STORED,
    )
    info = replace(TINY, training_data=way_out, parent=way_out, loss=way_out, metrics={way_out: 1.0}, created="/etc/x")
    save_model(Model(tiny_network(), info), inner / "m.safetensors")
    before = everything(tmp_path)
    command("import-checkpoint", inner / "m.pth", inner / "imported.safetensors", *QUIET)
    assert command("info", inner / "m.safetensors").code == 0
    out = inner / "o.nii.gz"
    assert command("superresolve", patient.low_volume, out, "--model", inner / "m.safetensors", *QUIET).code == 0
    made = everything(tmp_path) - before
    assert made <= {"a/b/o.nii.gz", "a/b/o.json", "a/b/imported.safetensors"}
    with pytest.raises(InputError, match="not those of a UNet3D"):
        save_file({way_out: torch.zeros(1)}, inner / "n.safetensors", metadata={"SRDynamicMRI": TINY.to_json()})
        load_model(inner / "n.safetensors")


def test_links_are_replaced_not_followed(command: Command, patient: Patient, tmp_path: Path) -> None:
    """Whoever may put a link into the output's folder does not choose what is overwritten."""
    dear = tmp_path / "dear"
    dear.mkdir()
    (dear / "diary").write_text("dear to someone")
    (dear / "job.json").write_text("someone else's")
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "o.nii.gz").symlink_to(dear / "diary")
    arguments = ("superresolve", patient.low_volume, folder / "o.nii.gz", "--model", patient.model)
    for link, target in ((folder / "o.json", dear / "diary"), (folder / "o.nii.gz.frames", dear)):
        link.symlink_to(target)  # to what this software has not made
        outcome = command(*arguments, *QUIET)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert link.name in outcome.err
        link.unlink()
    assert command(*arguments, *QUIET).code == 0
    assert not (folder / "o.nii.gz").is_symlink()
    (folder / ".o.nii.gz.lock").symlink_to(dear / "diary")
    outcome = command(*arguments, *QUIET)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert {file.name: file.read_text() for file in dear.iterdir()} == {
        "diary": "dear to someone",
        "job.json": "someone else's",
    }


@needs_posix
@pytest.mark.parametrize("what", ["pipe", "device", "loop", "folder"])
def test_what_is_no_file_is_not_waited_for(command: Command, patient: Patient, tmp_path: Path, what: str) -> None:
    odd = tmp_path / "odd.safetensors"
    if what == "pipe":
        os.mkfifo(odd)
    elif what == "device":
        odd.symlink_to("/dev/zero")
    elif what == "loop":
        odd.symlink_to(odd)
    else:
        odd.mkdir()
    out = tmp_path / "o.nii.gz"
    for arguments in (
        ("info", odd),
        ("import-checkpoint", odd, tmp_path / "m.safetensors"),
        ("superresolve", patient.low, out, "--model", odd),
        ("superresolve", odd, out, "--model", patient.model),
    ):
        outcome = command(*arguments, *QUIET)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert not out.exists()
