"""The application's settings as a mapping; what they hold outlives the session."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

import qt

PREFIX = "SRDynamicMRI/"


class QtSettings(MutableMapping[str, object]):
    """Settings of this module; values may come back as text, which is how some systems keep them."""

    def __getitem__(self, key: str) -> object:
        settings = qt.QSettings()
        if not settings.contains(PREFIX + key):
            raise KeyError(key)
        return settings.value(PREFIX + key)

    def __setitem__(self, key: str, value: object) -> None:
        qt.QSettings().setValue(PREFIX + key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        qt.QSettings().remove(PREFIX + key)

    def __iter__(self) -> Iterator[str]:
        return (key.removeprefix(PREFIX) for key in qt.QSettings().allKeys() if key.startswith(PREFIX))

    def __len__(self) -> int:
        return sum(1 for _key in self)
