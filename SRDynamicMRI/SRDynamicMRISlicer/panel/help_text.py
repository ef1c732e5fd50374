"""The module's help: what it is for, and a tutorial of three minutes."""

from __future__ import annotations

from ..translation import _


def help_text() -> str:
    """Text of the module's help section."""
    what = _(
        "Fast dynamic MRI trades resolution for time. This module gives the resolution back: it fine-tunes a neural "
        "network on the patient's own high-resolution planning scan, and super-resolves every time point of the series."
    )
    warning = _("Not for diagnosis: a network can show what is not there and miss what is.")
    steps = (
        _("Press <i>Load sample data</i>: a planning scan and a breathing abdomen appear."),
        _("Open <i>Simulate a fast acquisition</i> and make the low-resolution series."),
        _("Under <i>Fine-tune</i> choose the length Quick and press <i>Fine-tune</i>; watch the loss fall."),
        _("Press <i>Super-resolve</i>: low resolution, result and ground truth stand side by side, then the maps."),
        _("Move the time point with comma and full stop; press X to swap images where <i>Look through</i> says so."),
        _("Save the scene: images, the subject's model and all choices come back with it."),
    )
    title = _("Tutorial, three minutes")
    own = _("With your own scans, choose planning scan and series, and leave out the simulation.")
    items = "".join(f"<li>{step}</li>" for step in steps)
    return f"<p>{what}</p><p><b>{warning}</b></p><p><b>{title}</b></p><ol>{items}</ol><p>{own}</p>"


def acknowledgement() -> str:
    """Text of the module's acknowledgements."""
    text = _(
        "The method is that of C. Sarasaen, S. Chatterjee, M. Breitkopf, G. Rose, A. Nürnberger and O. Speck: "
        "Fine-tuning deep learning model parameters for improved super-resolution of dynamic MRI with "
        "prior-knowledge. Artificial Intelligence in Medicine 121, 102196 (2021)."
    )
    return f"<p>{text}</p>"
