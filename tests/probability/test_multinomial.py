"""fnmath.probability.multinomial: against SciPy and sums over all counts, and by its laws."""

import functools
import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import multinomial
from tests.helpers import Mistake, assert_within_ulp

P = np.array([[0.2, 0.3, 0.5], [1e-6, 0.25, 0.749999], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
HALF = jnp.array([0.5, 0.5])

MISTAKES = [
    Mistake(
        multinomial.logpmf,
        (jnp.ones(3, int), 3, HALF),
        {},
        ValueError,
        "logpmf: the number of classes must agree: k has 3 and probs has 2",
    ),
    Mistake(
        multinomial.pmf,
        (jnp.ones(2, int), jnp.ones(3, int), jnp.ones((2, 2))),
        {},
        ValueError,
        "pmf: k () and probs (2,) and n (3,) must have shapes that broadcast",
    ),
    Mistake(
        multinomial.pmf,
        (jnp.ones(2, int), 2j, HALF),
        {},
        TypeError,
        "pmf: n has dtype complex64; wanted real numbers",
    ),
    Mistake(
        multinomial.entropy,
        (3, jnp.ones(2, int)),
        {},
        TypeError,
        "entropy: probs has dtype int32; wanted a floating dtype; did you mean "
        "probs.astype(jnp.float32)?",
    ),
]


def compositions(n, classes):
    """All counts of so many classes that add up to n."""
    return np.array([k for k in itertools.product(range(n + 1), repeat=classes) if sum(k) == n])


def logarithm(k, n, p):
    """The formula as it is written, in 40 digits; 0 log 0 = 0."""
    with mpmath.workdps(40):
        value = mpmath.loggamma(n + 1)
        for j, q in zip(map(int, k), map(float, p), strict=True):
            value -= mpmath.loggamma(j + 1)
            value += j * mpmath.log(q) if j else 0
        return float(value)


@pytest.mark.last_digits
def test_last_digits():
    """Also of a million trials, of which SciPy in double precision has ten digits."""
    p = np.tile(np.float32(P[:2]), (4, 1))
    n = np.repeat([5, 40, 3000, 1_000_000], 2)
    k = np.random.default_rng(0).multinomial(n, np.float64(p) / np.float64(p).sum(1)[:, None])
    k[1], k[2] = [5, 0, 0], [0, 20, 20]

    @jax.jit
    def both(k, n, p):
        by_p = jax.vmap(jax.grad(multinomial.logpmf, 2))(k, n, p)
        return multinomial.logpmf(k, n, p), multinomial.pmf(k, n, p), by_p

    logarithms, masses, by_p = both(jnp.asarray(k), jnp.asarray(n), jnp.asarray(p))
    wanted = np.array([logarithm(*row) for row in zip(k, n, p, strict=True)])
    assert_within_ulp(logarithms, wanted, 1)
    assert_within_ulp(masses, np.exp(wanted), 1)
    assert_within_ulp(by_p, k / np.float64(p), 1)


@pytest.mark.usefixtures("x64")
def test_sums_over_all_counts():
    """Of masses 1; and entropy, divergence, mean, covariance, score and mode are such sums."""
    q = jnp.array([0.1, 0.6, 0.3])

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, None, 0))
    def everything(k, counts, p):
        n = k[0].sum()
        masses = jnp.where(counts, multinomial.pmf(k, n, p), 0)
        score = multinomial.score(k, n, p)
        ratios = multinomial.logpmf(k, n, p) - multinomial.logpmf(k, n, q)
        return {
            "one": (masses.sum(), 1.0),
            "mean": (masses @ k, multinomial.mean(n, p)),
            "second": (
                (masses * k.T) @ k,
                multinomial.variance(n, p) + jnp.outer(n * p, n * p),
            ),
            "entropy": (jax.scipy.special.entr(masses).sum(), multinomial.entropy(n, p)),
            "kl": (
                jnp.where(masses > 0, masses * ratios, 0).sum(),
                multinomial.kl(n, p, n, q),
            ),
            "score": (jnp.where(p > 0, masses @ score, 0), jnp.zeros(3)),
            "mode": (masses.max(), multinomial.pmf(multinomial.mode(n, p), n, p)),
            "information": (
                jnp.where(p.min() > 0, (masses * score.T) @ score, 0),
                jnp.where(p.min() > 0, multinomial.fisher_information(n, p), 0),
            ),
        }

    for n in (1, 7):
        k = compositions(n, 3)
        counts = np.arange(36) < len(k)  # one program for both
        found = everything(jnp.asarray(np.resize(k, (36, 3))), jnp.asarray(counts), jnp.asarray(P))
        for name, (total, ours) in found.items():
            np.testing.assert_allclose(ours, total, rtol=1e-9, atol=1e-9, err_msg=f"{name}, {n}")


@pytest.mark.usefixtures("x64")
def test_equals_scipy():
    n = np.array([3, 50, 4000])
    entropy, logpmf = jax.jit(multinomial.entropy), jax.jit(multinomial.logpmf)
    for p in P[:2]:
        peer = scipy.stats.multinomial(n, p)
        np.testing.assert_allclose(entropy(n, jnp.asarray(p)), peer.entropy(), rtol=1e-7)
        for count in (5, 200):
            k = np.random.default_rng(1).multinomial(count, p, 4)
            mass = logpmf(k, count, jnp.asarray(p))
            np.testing.assert_allclose(
                mass, scipy.stats.multinomial(count, p).logpmf(k), rtol=1e-10
            )


@pytest.mark.usefixtures("x64")
def test_gradients_are_the_closed_forms():
    k, p, q = jnp.array([2, 3, 1]), jnp.array([0.2, 0.3, 0.5]), jnp.array([0.1, 0.6, 0.3])

    def all_of(p, q):
        of_q = jax.grad(multinomial.kl, (1, 3))(6, p, 6, q)
        mass = [mode(multinomial.logpmf, 2)(k, 6, p) for mode in (jax.grad, jax.jacfwd)]
        return mass, of_q, jax.hessian(multinomial.logpmf, 2)(k, 6, p)

    mass, (by_p, by_q), second = jax.jit(all_of)(p, q)
    for slope in mass:
        np.testing.assert_allclose(slope, k / p, rtol=1e-13)
    np.testing.assert_allclose(by_p, 6 * (np.log(p / q) + 1), rtol=1e-13)
    np.testing.assert_allclose(by_q, -6 * p / q, rtol=1e-13)
    np.testing.assert_allclose(second, np.diag(-k / p**2), rtol=1e-12)

    def entropy(t):
        return multinomial.entropy(20, jnp.array([0.2 + t, 0.3 - t, 0.5]))

    slope, above, below = jax.jit(lambda h: (jax.grad(entropy)(0.0), entropy(h), entropy(-h)))(1e-5)
    np.testing.assert_allclose(slope, (above - below) / 2e-5, rtol=1e-6)


def test_samples_pass_a_test_of_their_frequencies():
    p = jnp.array([0.2, 0.0, 0.3, 0.5])
    drawn = jax.jit(lambda key: multinomial.sample(key, 3, p, shape=(20_000,)))
    k = np.asarray(drawn(jax.random.key(0)))
    assert k.dtype == np.int32
    assert (k.sum(1) == 3).all()
    every = compositions(3, 4)
    expected = 20_000 * np.exp([scipy.stats.multinomial(3, p).logpmf(row) for row in every])
    counts = np.array([(k == row).all(1).sum() for row in every])
    possible = expected > 0
    assert (counts[~possible] == 0).all()
    wanted = expected[possible] * 20_000 / expected.sum()
    assert scipy.stats.chisquare(counts[possible], wanted).pvalue > 1e-3
    np.testing.assert_allclose(multinomial.fit(jnp.asarray(k))[0], p, atol=0.01)
    weighted = multinomial.fit(jnp.array([[1, 0], [0, 1]]), weights=jnp.array([3.0, 1.0]))
    np.testing.assert_array_equal(weighted[0], [0.75, 0.25])


def test_mode_beats_its_neighbours():
    random = np.random.default_rng(0)
    p = jnp.asarray(random.dirichlet(np.full(5, 0.5), 30), jnp.float32)
    n = jnp.asarray(random.integers(0, 50, 30))
    k = np.asarray(jax.jit(multinomial.mode)(n, p))
    np.testing.assert_array_equal(k.sum(1), n)
    gain, loss = np.asarray(p)[:, :, None] / (k[:, :, None] + 1), np.asarray(p)[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        worse = gain <= loss / k[:, None, :] * (1 + 1e-6)
    assert (worse | (k[:, None, :] == 0)).all()


def test_edges():
    k = jnp.array([[1, 2], [2, 2], [-1, 4], [4, -1]])
    logarithms, masses = jax.jit(
        lambda k: (multinomial.logpmf(k, 3, HALF), multinomial.pmf(k, 3, HALF))
    )(k)
    np.testing.assert_array_equal(logarithms[1:], -np.inf)
    np.testing.assert_array_equal(masses[1:], 0)
    p = jnp.array([[0.5, 0.6], [-0.5, 1.5], [jnp.nan, 1], [0.5, 0.5]])
    n = jnp.array([3, 3, 3, -1])

    @jax.jit
    def ends():
        masses = [multinomial.logpmf(jnp.array([1.5, 1.5]), 3, HALF)]
        masses.append(multinomial.logpmf(jnp.zeros(2), 0, HALF))
        q = jnp.stack([HALF, jnp.array([1.0, 0.0]), HALF])
        return masses, multinomial.kl(2, HALF, jnp.array([3, 2, 2]), q)

    masses, divergences = ends()
    np.testing.assert_array_equal(masses, [-np.inf, 0])
    np.testing.assert_array_equal(divergences, [np.inf, np.inf, 0])

    @jax.jit
    def everything(n, p):
        functions = (multinomial.mean, multinomial.variance, multinomial.entropy)
        kl = multinomial.kl(n, p, 3, HALF)
        mass = multinomial.logpmf(k[0], n, p), multinomial.pmf(k[0], n, p)
        information = multinomial.fisher_information(n, p)
        return [f(n, p) for f in functions], mass, kl, information

    @jax.jit
    def counts(n, p):
        return multinomial.mode(n, p), multinomial.sample(jax.random.key(0), n, p)

    for y in jax.tree.leaves(everything(n, p)):
        assert jnp.isnan(y).all()
    for y in counts(n, p):
        np.testing.assert_array_equal(y, -1)


def test_shapes_and_dtypes():
    k, p = jnp.zeros((5, 1, 2), int), jnp.zeros((4, 2), jnp.bfloat16)
    mass = jax.eval_shape(multinomial.logpmf, k, jnp.zeros((3, 1, 1), int), p)
    assert (mass.shape, mass.dtype) == ((3, 5, 4), jnp.bfloat16)
    drawn = jax.eval_shape(multinomial.sample, jax.random.key(0), jnp.zeros((3, 1)), p)
    assert (drawn.shape, drawn.dtype) == ((3, 4, 2), jnp.int32)
