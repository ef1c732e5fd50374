"""Tables as CSV and facts as JSON, whole or not at all."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .image_files import written_whole


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]], path: Path) -> None:
    """Write a CSV file, complete or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def write_json(content: object, path: Path) -> None:
    """Write a JSON file, complete or not at all; numbers that are not finite become null.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    text = json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _finite(content: Any) -> Any:
    """The same with null for numbers that JSON has no word for (a p-value that cannot be had, an infinite PSNR)."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
