"""Installing Python packages into Slicer: what `dependencies.Installer` asks for."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import qt
import slicer

from ..translation import _

REQUESTER = "SRDynamicMRI"


class SlicerInstaller:
    """Slicer and its user; in tests (``--testing``) nothing is ever installed."""

    def has_pytorch_utils(self) -> bool:
        """Whether the PyTorch extension is installed."""
        return importlib.util.find_spec("PyTorchUtils") is not None

    def install_torch(self, version: str) -> None:
        """Install PyTorch through the PyTorch extension."""
        logic = importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
        with _busy(_("Installing PyTorch; this takes some minutes.")):
            logic.installTorch(askConfirmation=False, torchVersionRequirement=version)

    def has_pip_ensure(self) -> bool:
        """Whether there is ``slicer.packaging.pip_ensure``."""
        return importlib.util.find_spec("slicer.packaging") is not None

    def pip_ensure(self, requirements: Sequence[str], constraints: Path) -> None:
        """Install through ``slicer.packaging.pip_ensure``."""
        packaging = importlib.import_module("slicer.packaging")
        packaging.pip_ensure(
            list(requirements), constraints=constraints, prompt_install=False, prompt_restart=False, requester=REQUESTER
        )

    def pip_install(self, arguments: Sequence[str]) -> None:
        """Install through ``slicer.util.pip_install``."""
        with _busy(_("Installing Python packages; this takes some minutes.")):
            slicer.util.pip_install(list(arguments))

    def pip_uninstall(self, package: str) -> None:
        """Remove a package."""
        slicer.util.pip_uninstall(package)

    def ask(self, question: str) -> bool:
        """Whether the user agrees; a test is no user."""
        return not slicer.app.testingEnabled() and slicer.util.confirmYesNoDisplay(question)

    def show(self, message: str) -> None:
        """Tell the user."""
        slicer.util.warningDisplay(message)


@contextlib.contextmanager
def _busy(message: str) -> Iterator[None]:
    """Show that Slicer does not answer because it works."""
    slicer.util.showStatusMessage(message)
    qt.QApplication.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
    slicer.app.processEvents()
    try:
        yield
    finally:
        qt.QApplication.restoreOverrideCursor()
        slicer.util.showStatusMessage("")
