"""The module's help: what it is for, and a tutorial of three minutes."""

from __future__ import annotations

from ..translation import _


def help_text() -> str:
    """Text of the module's help section."""
    what = _(
        "Fast dynamic MRI trades spatial resolution for time. This module restores it: it fine-tunes a neural network "
        "on the patient's own high-resolution planning scan and super-resolves every time point of the series."
    )
    warning = _("Not for diagnosis. A network can show structures that are not there and miss ones that are.")
    steps = (
        _("Press <i>Load sample data</i>: a planning scan and a breathing abdomen appear."),
        _("Open <i>Simulate a fast acquisition</i> and press <i>Simulate low-resolution series</i>."),
        _("Under <i>Fine-tune</i>, set the training budget to Quick and press <i>Fine-tune</i>. Watch the loss fall."),
        _("Press <i>Super-resolve</i>: low resolution, result and ground truth appear side by side, then the maps."),
        _("Step through time with comma and full stop. Set <i>Compare</i> to Alternate and press X to switch images."),
        _("Save the scene: it holds the images, the fine-tuned model and all settings."),
    )
    title = _("Three-minute tutorial")
    own = _("With your own data, choose the planning scan and the series and skip the simulation.")
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
