"""fnmath.information, discrete distributions: against mpmath and SciPy, at zeros, in both modes."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance

from fnmath.information import (
    cross_entropy,
    entropy,
    hellinger_distance,
    jensen_shannon,
    relative_entropy,
    renyi_divergence,
    renyi_entropy,
    total_variation_distance,
)
from fnmath.losses import jensen_shannon_divergence, kl_divergence
from tests.helpers import Mistake, assert_derivatives, assert_transforms, assert_within_ulp

random = np.random.default_rng(0)
ORDERS = [0.5, 1.0, 1.0001, 2.0, 10.0]


def with_order(f, order):
    named = functools.partial(f, order=order)
    return lambda *a, **options: named(*a, **options)


OF_ONE = {"entropy": entropy} | {f"renyi_entropy {a}": with_order(renyi_entropy, a) for a in ORDERS}
OF_TWO = {
    "cross_entropy": cross_entropy,
    "relative_entropy": relative_entropy,
    "jensen_shannon": jensen_shannon,
    "total_variation_distance": total_variation_distance,
    "hellinger_distance": hellinger_distance,
} | {f"renyi_divergence {a}": with_order(renyi_divergence, a) for a in ORDERS}
ALL = OF_ONE | OF_TWO
WITH_BASE = [cross_entropy, relative_entropy, jensen_shannon]
p = jnp.full((2, 3), 1 / 3)
MISTAKES = [
    mistake
    for f in [*WITH_BASE, total_variation_distance, hellinger_distance]
    for mistake in [
        Mistake(
            f,
            (p, p.astype(int)),
            {},
            TypeError,
            f"{f.__name__}: q has dtype int32; wanted a floating dtype; "
            "did you mean q.astype(jnp.float32)?",
        ),
        Mistake(
            f,
            (p, p[0]),
            {},
            ValueError,
            f"{f.__name__}: p (2, 3) and q (3,) must have one shape",
        ),
        Mistake(
            f,
            (p[:, :0], p[:, :0]),
            {},
            ValueError,
            f"{f.__name__}: p (2, 0) has no outcomes",
        ),
    ]
]
MISTAKES += [
    mistake
    for f, args, options in [
        (entropy, (p,), {}),
        (cross_entropy, (p, p), {}),
        (relative_entropy, (p, p), {}),
        (jensen_shannon, (p, p), {}),
        (renyi_entropy, (p,), {"order": 2}),
        (renyi_divergence, (p, p), {"order": 2}),
    ]
    for mistake in [
        Mistake(
            f,
            args,
            {**options, "base": 1},
            ValueError,
            f"{f.__name__}: base is 1; wanted a number in (1, inf)",
        ),
        Mistake(
            f,
            args,
            {**options, "base": "2"},
            TypeError,
            f"{f.__name__}: base is '2' (str); wanted a number",
        ),
    ]
]
MISTAKES += [
    Mistake(
        f,
        (p,) * n,
        {"order": -1},
        ValueError,
        f"{f.__name__}: order is -1; wanted a number in [0, inf]",
    )
    for f, n in [(renyi_entropy, 1), (renyi_divergence, 2)]
] + [
    Mistake(
        entropy,
        (jnp.asarray(1.0),),
        {},
        ValueError,
        "entropy: p has shape (); wanted at least 1 axis, (*batch outcomes); did you mean p[None]?",
    ),
    Mistake(
        renyi_entropy,
        (p,),
        {"order": "2"},
        TypeError,
        "renyi_entropy: order is '2' (str); wanted a number",
    ),
]

# Apart, near, and with what is nearly impossible; each row sums to 1 but for rounding.
P = jnp.float32([[0.2, 0.3, 0.5], [0.21, 0.31, 0.48], [1e-20, 0.75, 0.25], [1e-6, 0.25, 0.75]])
Q = jnp.float32(
    [[0.1, 0.6, 0.3], [0.2100001, 0.3099999, 0.48], [0.5, 0.25, 0.25], [0.98, 0.01, 0.01]]
)


def exact(name, p, q=None):
    """The value at 50 digits, of the float32 numbers as they are."""
    with mpmath.workdps(50):
        p = [mpmath.mpf(float(a)) for a in p]
        q = [mpmath.mpf(float(a)) for a in p] if q is None else [mpmath.mpf(float(a)) for a in q]
        name, _, order = name.partition(" ")
        pairs = list(zip(p, q, strict=True))
        if name == "entropy" or (name == "renyi_entropy" and order == "1.0"):
            value = -sum(a * mpmath.log(a) for a in p)
        elif name == "cross_entropy":
            value = -sum(a * mpmath.log(b) for a, b in pairs)
        elif name == "relative_entropy" or (name == "renyi_divergence" and order == "1.0"):
            value = sum(a * mpmath.log(a / b) for a, b in pairs)
        elif name == "jensen_shannon":
            value = sum(
                (a * mpmath.log(2 * a / (a + b)) + b * mpmath.log(2 * b / (a + b))) / 2
                for a, b in pairs
            )
        elif name == "total_variation_distance":
            value = sum(abs(a - b) for a, b in pairs) / 2
        elif name == "hellinger_distance":
            value = mpmath.sqrt(sum((mpmath.sqrt(a) - mpmath.sqrt(b)) ** 2 for a, b in pairs) / 2)
        elif name == "renyi_entropy":
            total, order = sum(p), mpmath.mpf(float(order))
            value = mpmath.log(sum((a / total) ** order for a in p)) / (1 - order)
        else:
            order = mpmath.mpf(float(order))
            p, q = [a / sum(p) for a in p], q
            value = mpmath.log(
                sum(a**order * b ** (1 - order) for a, b in zip(p, q, strict=True))
            ) / (order - 1)
        return float(value)


@pytest.mark.last_digits
@pytest.mark.parametrize("name", list(ALL))
def test_reference(name):
    """To the last digits where terms do not cancel; else to the rounding of the terms."""
    args = (P,) if name in OF_ONE else (P, Q)
    expected = np.array([exact(name, *row) for row in zip(*args, strict=True)])
    ours = np.asarray(jax.jit(ALL[name])(*args))
    if name.startswith(("relative", "renyi")):
        # Rows sum to 1 only to rounding, and terms of both signs cancel where rows are near.
        order = float(name.partition(" ")[2] or 1)
        slack = 4e-7 / abs(order - 1) if 0 < abs(order - 1) < 0.1 else 4e-7
        slack = slack if name.startswith("renyi") else 4e-8
        np.testing.assert_allclose(ours, expected, rtol=2e-6, atol=slack)
    else:
        assert_within_ulp(ours, expected, 6)


@pytest.mark.usefixtures("x64")
def test_agrees_with_scipy():
    p, q = random.dirichlet(np.ones(5), (2, 3))
    P, Q = jnp.asarray(p), jnp.asarray(q)
    for base in (None, 2, 10):
        close = functools.partial(np.testing.assert_allclose, rtol=1e-12)
        close(entropy(P, base=base), scipy.stats.entropy(p, axis=-1, base=base))
        kl = scipy.stats.entropy(p, q, axis=-1, base=base)
        close(relative_entropy(P, Q, base=base), kl)
        close(cross_entropy(P, Q, base=base), kl + scipy.stats.entropy(p, axis=-1, base=base))
        theirs = distance.jensenshannon(p, q, axis=-1, base=base) ** 2
        close(jensen_shannon(P, Q, base=base), theirs)
    hellinger = np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(-1) / 2)
    np.testing.assert_allclose(hellinger_distance(P, Q), hellinger, rtol=1e-12)


def test_agrees_with_the_losses_of_log_predictions():
    for ours, loss in [
        (relative_entropy, kl_divergence),
        (jensen_shannon, jensen_shannon_divergence),
    ]:
        np.testing.assert_allclose(ours(P, Q), loss(jnp.log(Q), P), rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("x64")
def test_reference_of_renyis_orders():
    p, q = jnp.asarray([0.5, 0.3, 0.2, 0.0]), jnp.asarray([0.2, 0.3, 0.4, 0.1])
    with np.errstate(divide="ignore"):
        for order in (0.3, 3.0, 30.0):
            value = np.log((p[:3] ** order).sum()) / (1 - order)
            np.testing.assert_allclose(renyi_entropy(p, order=order), value, rtol=1e-12)
            value = np.log((p[:3] ** order * q[:3] ** (1 - order)).sum()) / (order - 1)
            np.testing.assert_allclose(renyi_divergence(p, q, order=order), value, rtol=1e-12)
    np.testing.assert_allclose(renyi_entropy(p, order=0), np.log(3))
    np.testing.assert_allclose(renyi_entropy(p, order=math.inf), -np.log(0.5))
    np.testing.assert_allclose(renyi_divergence(p, q, order=math.inf), np.log(2.5))
    np.testing.assert_allclose(renyi_divergence(p, q, order=0), -np.log(0.9))
    near = renyi_entropy(p, order=1 + 1e-9)
    np.testing.assert_allclose(near, entropy(p), rtol=1e-8)
    near = renyi_divergence(p, q, order=1 - 1e-9)
    np.testing.assert_allclose(near, relative_entropy(p, q), rtol=1e-7)


def slopes(name, p, q):
    """The ``Gradient:`` lines, by p and, where there is one, by q."""
    name, _, order = name.partition(" ")
    a = float(order or 1)
    m, r = (p + q) / 2, p / q
    h = np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum() / 2)
    if a == 1:
        name = {"renyi_entropy": "entropy", "renyi_divergence": "relative_entropy"}.get(name, name)
    else:
        mean = (p * r ** (a - 1)).sum()
        powers = a / (1 - a) * p ** (a - 1) / (p**a).sum()
        of_renyi = {
            "renyi_entropy": (powers,),
            "renyi_divergence": (a / (a - 1) * r ** (a - 1) / mean, -(r**a) / mean),
        }
        return of_renyi[name]
    return {
        "entropy": (-np.log(p) - 1,),
        "cross_entropy": (-np.log(q), -p / q),
        "relative_entropy": (np.log(r) + 1, -r),
        "jensen_shannon": (np.log(p / m) / 2, np.log(q / m) / 2),
        "total_variation_distance": (np.sign(p - q) / 2, -np.sign(p - q) / 2),
        "hellinger_distance": ((1 - np.sqrt(q / p)) / 4 / h, (1 - np.sqrt(p / q)) / 4 / h),
    }[name]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", list(ALL))
def test_gradient(name):
    """At distributions, where finite differences would leave what sums to 1: through softmax."""
    p, q = jnp.asarray([0.2, 0.3, 0.5]), jnp.asarray([0.3, 0.25, 0.45])
    args = (p,) if name in OF_ONE else (p, q)
    expected = slopes(name, np.asarray(p), np.asarray(q))
    for derivative in (jax.grad, jax.jacfwd):
        ours = derivative(ALL[name], tuple(range(len(args))))(*args)
        for mine, theirs in zip(ours, expected, strict=True):
            if name.startswith("renyi") and not name.endswith(" 1.0"):
                # Its value is that of p over its sum, of which the slope keeps no part along 1.
                mine, theirs = mine - (mine * p).sum(), theirs - (theirs * np.asarray(p)).sum()
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    assert_derivatives(lambda *z: ALL[name](*map(jax.nn.softmax, z)), *map(jnp.log, args))


@pytest.mark.parametrize("name", list(ALL))
def test_transforms(name):
    assert_transforms(ALL[name], *((P,) if name in OF_ONE else (P, Q)), rtol=2e-6)


@pytest.mark.parametrize("name", list(ALL))
def test_edges(name):
    f, n = ALL[name], 1 if name in OF_ONE else 2
    for wrong in ([0.5, 0.4], [1.5, -0.5], [jnp.nan, 1.0], [0.0, 0.0]):
        bad, good = jnp.array(wrong), jnp.array([0.5, 0.5])
        assert jnp.isnan(jax.jit(f)(*[bad, good][:n]))
        assert jnp.isnan(jax.jit(f)(*[good, bad][2 - n :]))
    assert f(*[jnp.zeros((0, 3))] * n).shape == (0,)
    half = jnp.array([0.25, 0.75], jnp.bfloat16)
    assert f(*[half] * n).dtype == jnp.bfloat16
    certain, other = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.5, 0.5, 0.0])
    assert f(*[certain] * n) == 0
    for args in ([certain, other], [other, certain], [other, other], [certain, certain[::-1]]):
        args = args[:n]
        value, pull = jax.vjp(f, *args)
        assert not jnp.isnan(value)
        for slope in (*pull(jnp.ones(())), *jax.jacfwd(f, tuple(range(n)))(*args)):
            assert not jnp.isnan(slope).any(), (args, slope)


def test_edges_of_what_is_held_impossible():
    p, q = jnp.array([0.5, 0.5]), jnp.array([1.0, 0.0])
    assert relative_entropy(p, q) == cross_entropy(p, q) == jnp.inf
    assert renyi_divergence(p, q, order=2) == jnp.inf
    assert renyi_divergence(p, q, order=math.inf) == jnp.inf
    np.testing.assert_allclose(renyi_divergence(p, q, order=0.5), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(relative_entropy(q, p), np.log(2), rtol=1e-6)
    for order in (0, 0.5, 1, 2, math.inf):
        assert renyi_divergence(q, q[::-1], order=order) == jnp.inf
    assert total_variation_distance(q, q[::-1]) == hellinger_distance(q, q[::-1]) == 1
    assert jensen_shannon(q, q[::-1]) == jnp.float32(np.log(2))
    tiny = jnp.array([2e-38, 1.0])  # whose ratio to 1 leaves the range
    np.testing.assert_allclose(relative_entropy(tiny[::-1], tiny), np.log(5e37), rtol=1e-5)
    steep = jax.grad(entropy)(q)
    assert steep[1] > 1e38
    assert jnp.isfinite(steep).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(arrays(np.float64, (2, 4), elements=st.floats(0, 1)))
def test_law_bounds(w):
    """Pinsker's inequality, and 2 TV ≥ 2 H² ≥ TV², between distributions with zeros."""
    w = w + np.array([[1e-9, 0, 0, 0]])
    p, q = jnp.float32(w / w.sum(-1, keepdims=True))
    of = (relative_entropy, total_variation_distance, hellinger_distance)
    kl, tv, h = (float(f(p, q)) for f in of)
    js = float(jensen_shannon(p, q))
    assert kl >= 2 * tv**2 - 1e-6
    assert tv >= h**2 - 1e-6
    assert h**2 >= tv**2 / 2 - 1e-6
    assert -1e-7 <= js <= np.log(2) * (1 + 1e-6)
    assert -1e-7 <= float(entropy(p)) <= np.log(4) * (1 + 1e-6)
    by_order = [float(renyi_divergence(p, q, order=a)) for a in (0.25, 0.5, 1, 2, 8, math.inf)]
    pairs = itertools.pairwise(by_order)
    assert all(b >= a or b >= a - 2e-6 * (1 + abs(a)) for a, b in pairs)
