"""Values and derivatives of a library's functions at the reference points, and their errors."""

import json
from collections import defaultdict

import jax
import jax.numpy as jnp
import numpy as np

from tests.conformance.truths import FILE
from tests.helpers import ulp_error

WITHIN = 4.0  # ULP


def load():
    """The reference cases by function, options and shapes: what one compiled call can answer."""
    groups = defaultdict(list)
    for case in json.loads(FILE.read_text()):
        shapes = [np.shape(a) for a in case["arguments"]]
        groups[case["function"], json.dumps(case["options"]), str(shapes)].append(case)
    return list(groups.values())


def inputs(cases):
    """The arguments of cases that belong together, stacked."""
    columns = zip(*(case["arguments"] for case in cases), strict=True)
    return [
        np.array(column, np.int32 if isinstance(column[0], int) else np.float32)
        for column in columns
    ]


def expected(cases, quantity):
    return np.array([np.asarray(case[quantity], np.float64) for case in cases])


def quantities(cases):
    """What is known of the cases, by the name that its answers have: in every mode."""
    modes = {"value": "value", "gradient, reverse": "gradient", "gradient, forward": "gradient"}
    if "curvature" in cases[0]:
        names = ("reverse over reverse", "forward over reverse", "forward over forward")
        modes |= {f"curvature, {name}": "curvature" for name in names}
    return modes


def first(y):
    """The number that is judged where a function gives several."""
    return jnp.ravel(y)[0]


def answers(f, cases, dtype=np.float32):
    """Value, gradient and curvature of a JAX function, in every mode, compiled and batched."""
    options = cases[0]["options"]
    x, *others = (a.astype(dtype) if a.dtype == np.float32 else a for a in inputs(cases))

    def g(x, *others):
        return first(f(x, *others, **options))

    modes = {"value": g, "gradient, reverse": jax.grad(g), "gradient, forward": jax.jacfwd(g)}
    if "curvature" in cases[0]:
        modes |= {
            "curvature, reverse over reverse": jax.grad(jax.grad(g)),
            "curvature, forward over reverse": jax.jacfwd(jax.grad(g)),
            "curvature, forward over forward": jax.jacfwd(jax.jacfwd(g)),
        }
    every = jax.jit(jax.vmap(lambda *a: {name: mode(*a) for name, mode in modes.items()}))
    return every(x, *others)


def torch_answers(f, cases):
    """The same of a PyTorch function, one example at a time."""
    import torch

    options = cases[0]["options"]

    def g(x, *others):
        return torch.ravel(f(x, *others, **options))[0]

    reverse, forward = torch.func.grad(g), torch.func.jacfwd(g)
    modes = {"value": g, "gradient, reverse": reverse, "gradient, forward": forward}
    if "curvature" in cases[0]:
        modes |= {
            "curvature, reverse over reverse": torch.func.grad(reverse),
            "curvature, forward over reverse": torch.func.jacfwd(reverse),
            "curvature, forward over forward": torch.func.jacfwd(forward),
        }
    rows = [
        [torch.tensor(a).long() if a.dtype == np.int32 else torch.tensor(a) for a in row]
        for row in zip(*inputs(cases), strict=True)
    ]
    found = {}
    for name, mode in modes.items():
        try:
            found[name] = np.array([np.asarray(mode(*row).detach()) for row in rows])
        except (RuntimeError, NotImplementedError):  # PyTorch has no rule for this mode
            found[name] = None
    return found


def errors(found, cases):
    """The errors in ULP of every answer, by its name; None where there is no answer."""
    return {
        name: None if found[name] is None else ulp_error(found[name], expected(cases, quantity))
        for name, quantity in quantities(cases).items()
    }
