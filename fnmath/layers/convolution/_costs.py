"""Nanoseconds for each product, entry copied, entry added up and operation called, by form.

Measured by ``python -m experiments.benchmarks.convolution_costs --write`` on two CPU cores.
"""

COSTS = {
    "output": {"blocks": (1.0, 1.0, 1.0, 1.0)},
    "image": {"blocks": (1.0, 1.0, 1.0, 1.0)},
    "kernel": {"blocks": (1.0, 1.0, 1.0, 1.0)},
}
