"""Training: gradient descent as one pure function of its initial state and the data.

Notation: θ are the parameters, B a batch, ℓ(θ; e) the loss of example e; L = (1/|B|) Σₑ ℓ(θ; e),
over e in B, is the loss of a step, g = ∂L/∂θ its gradient, and u(g) what an optax optimiser adds.

What varies from run to run is said in one function, the objective:

    objective(params, batch, key) -> (losses, metrics)

``batch`` is a slice of the data, of the data's own structure. ``losses`` holds one loss per example
(they are averaged here), ``metrics`` maps names to one number per example ({} for none). ``key`` is
fresh for each step, and None in evaluation: no key, no noise.

Everything random follows from the key of the state and the number of the step, so a run is decided
by (state, data) alone. On the CPU it has the same bits (``fit_with_progress`` names an exception)
from ``fit``, from ``fit_with_progress`` in chunks of any size, from single calls of ``train_step``
over ``epoch_order``, and from a state that was saved and loaded in between.

    train_state_init, train_step, train_steps, epoch_order     one step, and the order of the data
    evaluate                                                   the means over a data set
    fit, fit_with_progress                                     a whole run
"""

from fnmath.training._arguments import Metrics, Objective
from fnmath.training.runs import History, NonFiniteLossError, Progress, fit, fit_with_progress
from fnmath.training.steps import (
    TrainState,
    epoch_order,
    evaluate,
    train_state_init,
    train_step,
    train_steps,
)

__all__ = [
    "History",
    "Metrics",
    "NonFiniteLossError",
    "Objective",
    "Progress",
    "TrainState",
    "epoch_order",
    "evaluate",
    "fit",
    "fit_with_progress",
    "train_state_init",
    "train_step",
    "train_steps",
]
