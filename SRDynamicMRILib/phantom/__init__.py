"""A synthetic abdomen that breathes: static planning scan, dynamic series and labels, from a seed.

The anatomy is a list of solids, each a signed depth in mm (positive inside) as a function of position (`solids`,
`body`, `anatomy` and its organs). They are painted one over the other on the voxels of a scan (`rendering`).
Breathing displaces the positions before the anatomy is evaluated there, so that a moved organ is as sharp as a
resting one. Edges are partial-volume ramps about one voxel wide, whatever the voxel's proportions, hence the object
is roughly band-limited on its grid.

Body coordinates are LPS in mm: x to the patient's left, y to the back, z to the head; the origin is in the
middle of the trunk at the height of the kidneys.
"""

from .patient import Phantom, abdomen, random_abdomen
from .tissues import LABELS

__all__ = ["LABELS", "Phantom", "abdomen", "random_abdomen"]
