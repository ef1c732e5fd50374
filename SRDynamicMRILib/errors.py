"""The error that a user is meant to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """Something the user gave (a file, a volume, a number) cannot be used.

    The message is one plain sentence that says what is wrong and what to do. The command line prints it
    and exits with code 2; nothing else in the library turns it into anything.
    """


def look_up(name: str, table: Mapping[str, T], kind: str) -> T:
    """Return what a table has under a name.

    Parameters
    ----------
    name
        What is looked for.
    table
        By name; a registry of networks, budgets, ...
    kind
        What to call its entries, such as "recipe".

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in table:
        message = f"There is no {kind} named {name}; use one of {', '.join(table)}."
        raise InputError(message)
    return table[name]
