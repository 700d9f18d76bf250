"""How right are fnmath, jax.nn with optax.losses, and PyTorch, at the reference points?

Run      python -m tests.conformance
Cost     1 minute on two CPU cores
Expect   every answer of fnmath within 4 ULP; 80 to 95 % of the others'
"""

import numpy as np

from tests.conformance import adapter, judging, peers


def shares(functions, answer):
    """Of the functions that a library has: how many answers are asked, and how many are right."""
    asked, right, wrong_zero, not_finite, none = {}, {}, 0, 0, 0
    for cases in judging.load():
        if (name := cases[0]["function"]) not in functions:
            continue
        found = answer(functions[name], cases)
        for mode, error in judging.errors(found, cases).items():
            kind, wanted = (
                mode.partition(",")[0],
                judging.expected(cases, judging.quantities(cases)[mode]),
            )
            asked[kind] = asked.get(kind, 0) + wanted.size
            if error is None:
                none += wanted.size
                continue
            right[kind] = right.get(kind, 0) + int((error <= judging.WITHIN).sum())
            got = np.asarray(found[mode])
            wrong_zero += int(((got == 0) & (np.abs(wanted) > 1.2e-38)).sum())
            not_finite += int((~np.isfinite(got)).sum())
    share = {kind: right.get(kind, 0) / asked[kind] for kind in asked}
    return asked, share, wrong_zero, not_finite, none


def main() -> None:
    libraries = {
        "fnmath": (adapter.FUNCS, judging.answers),
        "jax.nn, optax.losses": (peers.jax_functions(), judging.answers),
        "PyTorch": (peers.torch_functions(), judging.torch_answers),
    }
    print(
        "| within 4 ULP | answers | value | gradient | curvature | wrong 0 | nan, inf | no rule |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, (functions, answer) in libraries.items():
        asked, share, *counts = shares(functions, answer)
        if not asked:
            print(f"| {name}: not installed |")
            continue
        cells = [f"{share[kind]:.1%}" for kind in ("value", "gradient", "curvature")]
        print(
            "| " + " | ".join([name, f"{sum(asked.values()):,}", *cells, *map(str, counts)]) + " |"
        )


if __name__ == "__main__":
    main()
