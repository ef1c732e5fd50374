"""Training budgets: how much fine-tuning to do. Without PyTorch, so that every front end can offer them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import look_up


@dataclass(frozen=True)
class TrainingBudget:
    """How much fine-tuning to do.

    Parameters
    ----------
    name
        What the command line calls it.
    steps
        Optimisation steps; None means one epoch over all patches of the paper's grid.
    """

    name: str
    steps: int | None


BUDGETS = {
    b.name: b
    for b in (
        TrainingBudget("quick", 100),
        TrainingBudget("standard", 300),
        TrainingBudget("long", 1000),
        TrainingBudget("paper", None),
    )
}


def budget_named(name: str) -> TrainingBudget:
    """Return the budget of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    return look_up(name, BUDGETS, "budget")
