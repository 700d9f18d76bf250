"""The definitions of activations and losses in mpmath, and the points at which they are judged.

``python -m tests.conformance.truths`` evaluates them to 50 digits, with their first and second
derivatives in the first argument, and writes ``references.json``: a few hundred numbers, made
without any code of fnmath.
"""

import json
from pathlib import Path

import mpmath
from mpmath import mp, mpf

FILE = Path(__file__).with_name("references.json")
mp.dps = 50
TAIL = (-80.0, -17.25, -3.5, -0.75, -1e-4, 1e-4, 0.75, 3.5, 17.25, 80.0)
NEAR = (-17.25, -3.5, -0.75, -1e-4, 1e-4, 0.75, 3.5, 17.25)


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x))


def log_sigmoid(x):
    return -softplus(-x)


def elu(x):
    return x if x > 0 else mp.expm1(x)


def celu(x, alpha):
    return x if x > 0 else mpf(alpha) * mp.expm1(x / mpf(alpha))


def selu(x):
    alpha = mpf("1.6732632423543772848170429916717")
    scale = mpf("1.0507009873554804934193349852946")
    return scale * (x if x > 0 else alpha * mp.expm1(x))


def gelu_tanh(x):
    return x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3))


def squareplus(x):
    return (x + mp.sqrt(x * x + 4)) / 2


def hard_sigmoid(x):
    return min(max(x + 3, 0), 6) / mpf(6)


def log_sum_exp(z):
    return mp.log(mp.fsum(mp.exp(a) for a in z))


def sparsemax(z):
    """The projection onto the simplex: max(z − τ, 0), with τ so that the sum is 1."""
    for k in range(len(z), 0, -1):
        leaders = sorted(z, reverse=True)[:k]
        tau = (mp.fsum(leaders) - 1) / k
        if leaders[-1] > tau:
            return [max(a - tau, mpf(0)) for a in z]
    raise ValueError(z)


def log_mean_exp(z):
    return log_sum_exp(z) - mp.log(len(z))


ELEMENTWISE = {  # name: (definition, options, points)
    "sigmoid": (sigmoid, {}, TAIL),
    "tanh": (mp.tanh, {}, NEAR),
    "softplus": (softplus, {}, TAIL),
    "log_sigmoid": (log_sigmoid, {}, TAIL),
    "silu": (lambda x: x * sigmoid(x), {}, TAIL),
    "gelu_tanh": (gelu_tanh, {}, (-6.5, *NEAR[1:-1], 6.5)),
    "gelu_erf": (lambda x: x * mp.ncdf(x), {}, (-11.0, *NEAR[1:-1], 6.5)),
    "mish": (lambda x: x * mp.tanh(softplus(x)), {}, TAIL),
    "elu": (elu, {}, TAIL),
    "celu": (celu, {"alpha": 0.5}, NEAR),
    "selu": (selu, {}, TAIL),
    "squareplus": (squareplus, {}, (*TAIL, -1e5)),
    "soft_sign": (lambda x: x / (1 + abs(x)), {}, TAIL),
    "hard_sigmoid": (hard_sigmoid, {}, (-4.0, -2.5, 0.25, 2.5, 4.0)),
    "hard_silu": (lambda x: x * hard_sigmoid(x), {}, (-4.0, -2.5, 0.25, 2.5, 4.0)),
    "tanhshrink": (lambda x: x - mp.tanh(x), {}, (-3.5, -0.75, -0.01, 0.01, 0.75, 3.5)),
    "gaussian": (lambda x: mp.exp(-x * x), {}, (-8.0, -3.5, -0.1, 0.1, 2.0, 8.0)),
    "log1mexp": (lambda x: mp.log(-mp.expm1(-x)), {}, (1e-6, 0.25, 0.75, 17.25, 80.0)),
}
OF_ROWS = {  # name: (definition, rows); of a row of results the first is judged
    "softmax": (
        lambda z: mp.exp(z[0] - log_sum_exp(z)),
        ([17.0, 0.0, 0.0], [-60.0, 1.0, 2.0], [0.5, 0.25, -3.0]),
    ),
    "log_softmax": (
        lambda z: z[0] - log_sum_exp(z),
        ([17.0, 0.0, 0.0], [-200.0, 1.0, 2.0], [0.5, 0.25, -3.0]),
    ),
    "softmin": (
        lambda z: mp.exp(-z[0] - log_sum_exp([-a for a in z])),
        ([17.0, 0.0, 0.0], [-60.0, 1.0, 2.0], [0.5, 0.25, -3.0]),
    ),
    "sparsemax": (lambda z: sparsemax(z)[0], ([0.5, 0.25, -3.0], [0.1, 0.2, 0.3])),
    "logsumexp": (log_sum_exp, ([17.0, 0.0, 0.0], [-200.0, 1.0, 2.0], [0.5, 0.25, -3.0])),
    "logmeanexp": (log_mean_exp, ([17.0, 0.0, 0.0], [-2.0, 1.0, 2.0], [0.5, 0.25, -1.0])),
}


def huber(y, t, delta):
    r = abs(y - t)
    return r * r / 2 if r <= delta else delta * (r - mpf(delta) / 2)


def binary_cross_entropy(z, t):
    return t * softplus(-z) + (1 - t) * softplus(z)


def focal(z, t, gamma):
    p = sigmoid(z) if t == 1 else sigmoid(-z)
    return -((1 - p) ** mpf(gamma)) * mp.log(p)


def pinball(y, t, quantile):
    r, q = t - y, mpf(quantile)
    return max(q * r, (q - 1) * r)


def expectile_loss(y, t, expectile):
    r = t - y
    return abs(mpf(expectile) - (1 if r < 0 else 0)) * r * r


def gaussian_nll(y, t, var):
    return (mp.log(var) + (y - t) ** 2 / var) / 2


def cross_entropy(z, label):
    return log_sum_exp(z) - z[label]


def soft_cross_entropy(z, t):
    return mp.fsum(p * (log_sum_exp(z) - a) for p, a in zip(t, z, strict=True) if p)


def poly_cross_entropy(z, t, epsilon):
    one_minus = 1 - mp.fsum(p * mp.exp(a - log_sum_exp(z)) for p, a in zip(t, z, strict=True))
    return soft_cross_entropy(z, t) + epsilon * one_minus


def cosine(u, v):
    dot = mp.fsum(a * b for a, b in zip(u, v, strict=True))
    return dot / mp.sqrt(mp.fsum(a * a for a in u) * mp.fsum(b * b for b in v))


RESIDUALS = (-40.0, -2.0, -0.3, -1e-5, 1e-5, 0.3, 2.0, 40.0)
LOGITS = (-80.0, -17.25, -0.5, 1e-4, 3.0, 17.25, 60.0)
ROWS = ([17.0, 0.0, 0.0], [-60.0, 1.0, 2.0], [0.5, 0.25, -3.0])
LOSSES = {  # name: (definition, options, first arguments, the other arguments)
    "squared_error": (lambda y, t: (y - t) ** 2, {}, RESIDUALS, (0.0,)),
    "l2_loss": (lambda y, t: (y - t) ** 2 / 2, {}, RESIDUALS, (0.0,)),
    "huber_loss": (huber, {"delta": 0.25}, RESIDUALS, (0.0,)),
    "log_cosh": (lambda y, t: mp.log(mp.cosh(y - t)), {}, RESIDUALS, (0.0,)),
    "pinball_loss": (pinball, {"quantile": 0.75}, RESIDUALS, (0.0,)),
    "expectile_loss": (expectile_loss, {"expectile": 0.75}, RESIDUALS, (0.0,)),
    "gaussian_nll_loss": (gaussian_nll, {}, RESIDUALS, (0.0, 0.5)),
    "poisson_nll_loss": (lambda y, t: mp.exp(y) - t * y, {}, (-17.25, 0.1, 3.0, 17.25), (2.0,)),
    "sigmoid_binary_cross_entropy": (binary_cross_entropy, {}, LOGITS, (1.0,)),
    "sigmoid_focal_loss": (focal, {"gamma": 1.5}, LOGITS, (1.0,)),
    "soft_margin_loss": (lambda z, t: softplus(-t * z), {}, LOGITS, (-1.0,)),
    "hinge_loss": (lambda z, t: max(1 - t * z, 0), {}, (-3.0, 0.5, 2.0), (1.0,)),
    "softmax_cross_entropy": (soft_cross_entropy, {}, ROWS, ([0.75, 0.25, 0.0],)),
    "softmax_cross_entropy_with_integer_labels": (cross_entropy, {}, ROWS, (0,)),
    "poly_loss_cross_entropy": (poly_cross_entropy, {"epsilon": 2.0}, ROWS, ([1.0, 0.0, 0.0],)),
    "cosine_similarity": (cosine, {}, ([1.0, 2.0, -0.5], [1e-3, -1.0, 2.0]), ([2.0, -1.0, 0.25],)),
    "cosine_distance": (
        lambda u, v: 1 - cosine(u, v), {}, ([2.0, -1.0, 0.2500001], [1.0, 2.0, 0.5]),
        ([2.0, -1.0, 0.25],),
    ),
}  # fmt: skip


def exact(x):
    """The float that a test will pass, as an exact number: 0.1 means its nearest float32."""
    import numpy as np

    return [exact(a) for a in x] if isinstance(x, list) else mpf(float(np.float32(x)))


def text(x):
    return mpmath.nstr(x, 20, strip_zeros=False)


def reference(name, f, options, x, others=()):
    """Value and derivatives in the first argument: of a number two, of a row the gradient."""
    at, rest = exact(x), [o if isinstance(o, int) else exact(o) for o in others]
    options = {key: exact(value) for key, value in options.items()}
    entry = {"function": name, "arguments": [x, *others], "options": {}}
    entry["value"] = text(f(at, *rest, **options))
    if isinstance(at, list):

        def moved(i):
            return lambda a: f([*at[:i], a, *at[i + 1 :]], *rest, **options)

        entry["gradient"] = [text(mp.diff(moved(i), at[i])) for i in range(len(at))]
    else:
        along = [mp.diff(lambda a: f(a, *rest, **options), at, n) for n in (1, 2)]
        entry["gradient"], entry["curvature"] = map(text, along)
    return entry


def references():
    """All of them, in the order of the tables."""
    entries = []
    for name, (f, options, points) in ELEMENTWISE.items():
        entries += [reference(name, f, options, x) | {"options": options} for x in points]
    for name, (f, rows) in OF_ROWS.items():
        entries += [reference(name, f, {}, row) for row in rows]
    for name, (f, options, firsts, others) in LOSSES.items():
        entries += [reference(name, f, options, x, others) | {"options": options} for x in firsts]
    return entries


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(entry) for entry in references())
    FILE.write_text(f"[\n{lines}\n]\n")
