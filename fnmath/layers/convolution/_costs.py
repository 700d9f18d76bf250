"""Nanoseconds for each product, entry copied, entry added up and operation called, by form.

Measured by ``python -m experiments.benchmarks.convolution_costs --write`` on two CPU cores.
"""

COSTS = {
    "output": {
        "blocks": (0.0193, 0.26, 0.0, 106000.0),
        "taps": (0.0217, 0.495, 0.0104, 9980.0),
        "rows": (0.0179, 0.325, 0.25, 42600.0),
        "patches": (0.0192, 0.455, 0.0, 91800.0),
        "spread": (0.0171, 0.0, 0.129, 111000.0),
    },
    "image": {
        "blocks": (0.011, 0.0347, 0.0, 155000.0),
        "taps": (0.0345, 0.328, 0.0284, 13400.0),
        "rows": (0.0233, 0.301, 0.311, 53400.0),
        "patches": (0.0185, 0.458, 0.0, 123000.0),
        "spread": (0.0203, 0.0, 0.368, 101000.0),
    },
    "kernel": {
        "blocks": (0.0203, 0.417, 0.0, 177000.0),
        "taps": (0.0194, 0.825, 0.0185, 5670.0),
        "rows": (0.0147, 0.938, 0.0, 27300.0),
        "patches": (0.0146, 1.2, 0.0, 58600.0),
    },
}
