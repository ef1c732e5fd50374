"""Arguments of the command line, as the requests declare them."""

from __future__ import annotations

import argparse
import re
from argparse import Namespace
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from ..requests import Matrix, Request, options_of, without_none

EVERY_COMMAND = "every command"
"""Title of the options that all commands share."""


def add_arguments(parser: argparse.ArgumentParser, kind: type[Request]) -> None:
    """Let a parser take the options of a request."""
    groups: dict[str, argparse._MutuallyExclusiveGroup] = {}
    present = (group for group in parser._action_groups if group.title == EVERY_COMMAND)
    common = next(present, None) or parser.add_argument_group(EVERY_COMMAND)
    for name, (item, hint) in options_of(kind).items():
        group = item.metadata["group"]
        where: Any = common if name in {each.name for each in fields(Request)} else parser
        if group:
            if group not in groups:
                groups[group] = parser.add_mutually_exclusive_group(required=group.endswith("!"))
            where = groups[group]
        _add(where, item, without_none(hint))


def request_of(kind: type[Request], arguments: Namespace) -> Request:
    """The request that parsed arguments make."""
    given = vars(arguments)
    return kind(**{item.name: _value(given[item.name]) for item in fields(kind)})


def _value(value: Any) -> Any:
    """Lists as the tuples of requests; groups of an option that was given several times are put together."""
    if not isinstance(value, list):
        return value
    return tuple(one for each in value for one in (each if isinstance(each, list) else [each]))


def _add(where: Any, item: Field[Any], hint: Any) -> None:
    metadata = item.metadata
    flag = metadata["flag"]
    options: dict[str, Any] = {"help": metadata["help"] or None}
    if metadata["metavar"] is not None:
        options["metavar"] = metadata["metavar"]
    if metadata["choices"] is not None:
        options["choices"] = metadata["choices"]
    if flag == "":
        where.add_argument(item.name, type=hint, **options)
        return
    default = None if item.default is MISSING else item.default
    if isinstance(default, tuple):
        default = list(default)  # argparse appends to a copy of it
    options |= {"dest": item.name, "default": default}
    if hint is bool:
        options["action"] = "store_false" if default else "store_true"
    else:
        options |= {"required": item.default is MISSING, **_kind(hint)}
    where.add_argument(flag or f"--{item.name.replace('_', '-')}", **options)
    for other in metadata["hidden"]:
        where.add_argument(other, **{**options, "help": argparse.SUPPRESS})


def _kind(hint: Any) -> dict[str, Any]:
    """How argparse reads texts as values of a type."""
    parts = get_args(hint)
    if hint == Matrix:
        return {"type": _matrix}
    if get_origin(hint) is Literal:
        return {"choices": parts}
    if hint == tuple[tuple[str, Path], ...]:
        return {"type": _named_file, "action": "append", "nargs": "+"}
    if get_origin(hint) is tuple and get_origin(parts[0]) is Literal:
        return {"choices": get_args(parts[0]), "nargs": "+"}
    if get_origin(hint) is tuple:
        return {"type": parts[0], "nargs": "+" if parts[-1] is Ellipsis else len(parts)}
    kind: Callable[[str], Any] = hint
    return {"type": kind}


def _named_file(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        message = f"give a baseline as NAME=FILE, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return name, Path(path)


def _matrix(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found:
        message = f"give the matrix as ROWSxCOLUMNS, such as 96x128, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(found[1]), int(found[2])
