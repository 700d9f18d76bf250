"""fnmath.bayes, probabilities and rates: against sums of log Γ in 40 digits, in any batches."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath import bayes
from fnmath.bayes import BetaParams, DirichletParams, GammaParams
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(0)


class Family(NamedTuple):
    """Its name, a prior, observations, and what its log evidence is by log Γ."""

    name: str
    prior: Any
    data: tuple
    log_evidence: Any

    def function(self, what):
        return getattr(bayes, f"{self.name}_{what}")

    def part(self, cut):
        return tuple(a[cut] for a in self.data)


def log_beta(a, b):
    return mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)


def of_bernoulli(p, x):
    k, n = int(np.sum(x)), len(x)
    return log_beta(p.a + k, p.b + n - k) - log_beta(p.a, p.b)


def of_binomial(p, k, t):
    ways = sum(mpmath.log(mpmath.binomial(int(n), int(i))) for i, n in zip(k, t, strict=True))
    K, T = int(np.sum(k)), int(np.sum(t))
    return ways + log_beta(p.a + K, p.b + T - K) - log_beta(p.a, p.b)


def of_categorical(p, x):
    n = np.bincount(x, minlength=len(p.concentration))
    total = sum(p.concentration)
    pairs = zip(p.concentration, n, strict=True)
    each = sum(mpmath.loggamma(a + int(k)) - mpmath.loggamma(a) for a, k in pairs)
    return each - mpmath.loggamma(total + len(x)) + mpmath.loggamma(total)


def of_poisson(p, x):
    s, n = int(np.sum(x)), len(x)
    ratio = mpmath.loggamma(p.shape + s) - mpmath.loggamma(p.shape)
    logs = p.shape * mpmath.log(p.rate / (p.rate + n)) - s * mpmath.log(p.rate + n)
    return ratio + logs - sum(mpmath.loggamma(int(k) + 1) for k in x)


def of_exponential(p, x):
    s, n = mpmath.fsum(map(float, x)), len(x)
    ratio = mpmath.loggamma(p.shape + n) - mpmath.loggamma(p.shape)
    return ratio + p.shape * mpmath.log(p.rate) - (p.shape + n) * mpmath.log(p.rate + s)


def exactly(params):
    """The same parameters in mpmath's numbers."""
    return type(params)(
        *([mpmath.mpf(float(a)) for a in p] if np.ndim(p) else mpmath.mpf(float(p)) for p in params)
    )


def two(kind, a, b):
    return kind(jnp.asarray(a), jnp.asarray(b))


bits, labels = random.integers(0, 2, 12), random.integers(0, 3, 12)
trials = random.integers(1, 9, 12)
FAMILIES = {
    f.name: f
    for f in [
        Family("beta_bernoulli", two(BetaParams, 1.5, 2.0), (jnp.asarray(bits),), of_bernoulli),
        Family(
            "beta_binomial",
            two(BetaParams, 1.5, 2.0),
            (jnp.asarray(random.binomial(trials, 0.3)), jnp.asarray(trials)),
            of_binomial,
        ),
        Family(
            "dirichlet_categorical",
            DirichletParams(jnp.array([0.5, 2.0, 1.0])),
            (jnp.asarray(labels),),
            of_categorical,
        ),
        Family(
            "gamma_poisson",
            two(GammaParams, 2.0, 0.5),
            (jnp.asarray(random.poisson(3, 12)),),
            of_poisson,
        ),
        Family(
            "gamma_exponential",
            two(GammaParams, 2.0, 0.5),
            (jnp.float32(random.exponential(3, 12)),),
            of_exponential,
        ),
    ]
}
EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
WHATS = ["posterior", "predictive", "log_evidence"]


def mistakes(family, what):
    f, (first, *others) = family.function(what), family.data
    name, kind = f.__name__, type(family.prior).__name__
    argument = {"dirichlet_categorical": "labels", "beta_binomial": "successes"}.get(
        family.name, "x"
    )
    params = "params" if what == "predictive" else "prior"
    batch = jnp.shape(family.prior[0])[: -1 if kind == "DirichletParams" else None]
    assert batch == ()
    yield Mistake(
        f,
        (tuple(family.prior), first, *others),
        {},
        TypeError,
        f"{name}: {params} is a tuple; wanted a {kind}; did you mean {kind}(…)?",
    )
    yield Mistake(
        f,
        (family.prior, first[None], *(a[None] for a in others)),
        {},
        ValueError,
        f"{name}: {argument} has shape (1, 12); wanted (n,)",
    )
    yield Mistake(
        f,
        (family.prior, first[0], *(a[0] for a in others)),
        {},
        ValueError,
        f"{name}: {argument} has shape (); wanted (n,); did you mean {argument}[..., None]?",
    )


MISTAKES = [m for f in FAMILIES.values() for what in WHATS for m in mistakes(f, what)]
for what in WHATS:
    f = FAMILIES["dirichlet_categorical"].function(what)
    MISTAKES += [
        Mistake(
            f,
            (DirichletParams(jnp.zeros(0)), jnp.asarray(labels)),
            {},
            ValueError,
            f"{f.__name__}: concentration (0,) has no classes",
        ),
        Mistake(
            f,
            (DirichletParams(jnp.ones(3)), jnp.ones(3)),
            {},
            TypeError,
            f"{f.__name__}: labels has dtype float32; wanted an integer dtype; "
            "did you mean labels.astype(jnp.int32)?",
        ),
    ]
    f = FAMILIES["beta_binomial"].function(what)
    MISTAKES += [
        Mistake(
            f,
            (FAMILIES["beta_binomial"].prior, jnp.ones(3), jnp.ones(2)),
            {},
            ValueError,
            f"{f.__name__}: successes (3,) and trials (2,) must have one shape",
        )
    ]


@EACH
def test_reference_of_the_evidence(family):
    with mpmath.workdps(40):
        expected = float(
            family.log_evidence(exactly(family.prior), *(np.asarray(a) for a in family.data))
        )
    ours = family.function("log_evidence")(family.prior, *family.data)
    np.testing.assert_allclose(ours, expected, rtol=2e-6)


EXTREMES = {
    "beta_bernoulli": [
        ((1.0, 1.0), np.ones(1000, int)),
        ((1e6, 1.0), np.ones(10, int)),
        ((1e6, 1e6), bits),
        ((1e-3, 1e-3), np.arange(100) % 2),
        ((0.5, 0.5), np.ones(100_000, int)),
        ((3.0, 1e5), np.zeros(1000, int)),
    ],
    "gamma_poisson": [
        ((1e8, 1e6), [100, 90, 110]),
        ((100.0, 1.0), [100_000] * 5),
        ((1e-3, 1e-3), [5] * 1000),
        ((1e6, 1e6), [0, 1, 1, 2]),
        ((1e5, 1.0), [99_000, 101_000]),
        ((2.0, 1.0), [0, 0]),
    ],
    "dirichlet_categorical": [
        ([1e6, 1e-3], [0] * 50),
        ([1e6, 1e6, 1.0], [0, 1, 1]),
        ([0.01] * 4, [3] * 5000),
    ],
}
CASES = [(name, p, x) for name, cases in EXTREMES.items() for p, x in cases]


@pytest.mark.last_digits
@pytest.mark.parametrize(("name", "parameters", "x"), CASES)
def test_reference_where_log_gammas_cancel(name, parameters, x):
    """In float32, of up to 10⁵ counts and priors as sure as 10⁸: five digits of the smallest."""
    family = FAMILIES[name]
    kind = type(family.prior)
    prior = kind(*map(jnp.float32, parameters if kind is not DirichletParams else [parameters]))
    data = jnp.asarray(x)
    with mpmath.workdps(40):
        expected = float(family.log_evidence(exactly(prior), np.asarray(x)))
    ours = jax.jit(family.function("log_evidence"))(prior, data)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


@EACH
def test_law_batch_by_batch_and_all_at_once(family):
    posterior, log_evidence = family.function("posterior"), family.function("log_evidence")
    after = family.prior
    total = 0.0
    for cut in (slice(0, 1), slice(1, 1), slice(1, 7), slice(7, None)):
        total += float(log_evidence(after, *family.part(cut)))
        after = posterior(after, *family.part(cut))
    once = posterior(family.prior, *family.data)
    for a, b in zip(after, once, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(total, log_evidence(family.prior, *family.data), rtol=2e-6)


@EACH
def test_law_the_evidence_is_made_of_predictions(family):
    """The product of what is predicted of each observation from those before it, by scan."""
    posterior, predictive = family.function("posterior"), family.function("predictive")

    def step(params, new):
        new = tuple(a[None] for a in new)
        return posterior(params, *new), predictive(params, *new)[0]

    _, each = jax.lax.scan(step, family.prior, family.data)
    expected = family.function("log_evidence")(family.prior, *family.data)
    np.testing.assert_allclose(each.sum(), expected, rtol=2e-6)


def test_reference_of_predictions_by_scipy():
    a, b = 1.5, 2.0
    k = jnp.arange(9)
    ours = bayes.beta_binomial_predictive(two(BetaParams, a, b), k, jnp.full(9, 8))
    np.testing.assert_allclose(ours, scipy.stats.betabinom(8, a, b).logpmf(k), rtol=3e-6)
    ours = bayes.gamma_poisson_predictive(two(GammaParams, 2.5, 0.5), k)
    expected = scipy.stats.nbinom(2.5, 0.5 / 1.5).logpmf(k)
    np.testing.assert_allclose(ours, expected, rtol=3e-6)
    x = jnp.linspace(0, 20, 9)
    ours = bayes.gamma_exponential_predictive(two(GammaParams, 2.5, 0.5), x)
    np.testing.assert_allclose(ours, scipy.stats.lomax(2.5, scale=0.5).logpdf(x), rtol=3e-6)
    ours = bayes.beta_bernoulli_predictive(two(BetaParams, a, b), jnp.array([True, False]))
    np.testing.assert_allclose(ours, np.log([1.5 / 3.5, 2 / 3.5]), rtol=1e-6)
    ours = bayes.dirichlet_categorical_predictive(DirichletParams(jnp.array([3.0])), jnp.array([0]))
    assert ours[0] == 0


def digamma(x):
    return scipy.special.digamma(np.asarray(x))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["beta_bernoulli", "gamma_poisson", "dirichlet_categorical"])
def test_gradient(name):
    family = FAMILIES[name]
    prior = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), family.prior)
    x = family.data[0]
    n, s = x.size, int(x.sum())

    def gradient(p):
        if name == "dirichlet_categorical":
            a, k = p.concentration, np.bincount(x, minlength=3)
            whole = digamma(a.sum() + n) - digamma(a.sum())
            return DirichletParams(digamma(a + k) - digamma(a) - whole)
        if name == "beta_bernoulli":
            both = digamma(p.a + p.b + n) - digamma(p.a + p.b)
            up = digamma(p.a + s) - digamma(p.a), digamma(p.b + n - s) - digamma(p.b)
            return BetaParams(*(u - both for u in up))
        a, b = p
        by_a = digamma(a + s) - digamma(a) + np.log(b / (b + n))
        return GammaParams(by_a, (n * a / b - s) / (b + n))

    assert_gradient(lambda p: family.function("log_evidence")(p, x), gradient, prior, rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_derivatives_by_what_is_observed():
    prior, x = two(GammaParams, 2.0, 0.5), jnp.asarray(random.exponential(2, 5))
    prior = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), prior)

    def f(p, x):
        each = bayes.gamma_exponential_predictive(bayes.gamma_exponential_posterior(p, x), x)
        return each.sum() + bayes.gamma_exponential_log_evidence(p, x)

    assert_derivatives(f, prior, x)


@EACH
def test_transforms(family):
    def all_three(prior, *data):
        return [family.function(what)(prior, *data) for what in WHATS]

    assert_transforms(all_three, family.prior, *family.data, rtol=3e-6)
    stacked = jax.tree.map(lambda a: jnp.stack([a, a]), (family.prior, *family.data))
    for one, both in zip(all_three(family.prior, *family.data), all_three(*stacked), strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(both), strict=True):
            np.testing.assert_allclose(b, np.stack([a, a]), rtol=1e-6)


class TestEdges:
    @EACH
    def test_no_data(self, family):
        nothing = family.part(slice(0, 0))
        after = family.function("posterior")(family.prior, *nothing)
        for a, b in zip(after, family.prior, strict=True):
            assert (a == b).all()
        assert family.function("log_evidence")(family.prior, *nothing) == 0
        assert family.function("predictive")(family.prior, *nothing).shape == (0,)

    @EACH
    @pytest.mark.parametrize("wrong", [0.0, -1.0, jnp.nan])
    def test_no_prior(self, family, wrong):
        prior = family.prior._replace(**{family.prior._fields[0]: family.prior[0] * 0 + wrong})
        for what in WHATS:
            for a in jax.tree.leaves(family.function(what)(prior, *family.data)):
                assert jnp.isnan(a).all()

    @pytest.mark.parametrize("wrong", [2, -1])
    def test_what_cannot_be_observed(self, wrong):
        beta, gamma = (FAMILIES[name].prior for name in ("beta_bernoulli", "gamma_poisson"))
        x = jnp.array([1, wrong])
        answers = [
            (bayes.beta_bernoulli_posterior(beta, x), bayes.beta_bernoulli_log_evidence(beta, x))
        ]
        if wrong < 0:
            y = jnp.float32(x)
            answers += [
                (
                    bayes.gamma_poisson_posterior(gamma, x),
                    bayes.gamma_poisson_log_evidence(gamma, x),
                ),
                (
                    bayes.gamma_exponential_posterior(gamma, y),
                    bayes.gamma_exponential_log_evidence(gamma, y),
                ),
            ]
            assert bayes.gamma_poisson_predictive(gamma, x)[1] == -jnp.inf
            assert bayes.gamma_exponential_predictive(gamma, y)[1] == -jnp.inf
        t = jnp.array([1, 1])
        answers.append(
            (
                bayes.beta_binomial_posterior(beta, x, t),
                bayes.beta_binomial_log_evidence(beta, x, t),
            )
        )
        for posterior, log_evidence in answers:
            assert all(jnp.isnan(p) for p in posterior)
            assert log_evidence == -jnp.inf
        assert bayes.beta_bernoulli_predictive(beta, x)[1] == -jnp.inf
        assert bayes.beta_binomial_predictive(beta, x, t)[1] == -jnp.inf

    def test_labels_outside_and_numbers_missing(self):
        prior = FAMILIES["dirichlet_categorical"].prior
        for x in (jnp.array([0, 3]), jnp.array([0, -1])):
            assert jnp.isnan(bayes.dirichlet_categorical_posterior(prior, x).concentration).all()
            assert jnp.isnan(bayes.dirichlet_categorical_log_evidence(prior, x))
            each = bayes.dirichlet_categorical_predictive(prior, x)
            assert (jnp.isnan(each) == jnp.array([False, True])).all()
        x = jnp.array([1.0, jnp.nan])
        for name in ("beta_bernoulli", "gamma_poisson", "gamma_exponential"):
            family = FAMILIES[name]
            assert jnp.isnan(family.function("log_evidence")(family.prior, x))
            assert jnp.isnan(family.function("predictive")(family.prior, x)[1])

    @EACH
    def test_dtype_is_kept(self, family):
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), family.prior)
        for what in WHATS:
            answer = family.function(what)(half, *family.data)
            assert {a.dtype for a in jax.tree.leaves(answer)} == {jnp.dtype(jnp.bfloat16)}
