"""fnmath.bayes, probabilities and rates: against sums of log Γ in 40 digits, in any batches."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath import bayes
from fnmath.bayes import BetaParams, DirichletParams, GammaParams
from tests.bayes import families
from tests.bayes.families import WHATS, Family, answers
from tests.helpers import Mistake, assert_gradient

random = np.random.default_rng(0)


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
    np.testing.assert_allclose(answers(family)["log_evidence"], expected, rtol=2e-6)


def ones(k, n=100_000):
    return np.arange(n) < k


# Of one length each, so that all cases of a kind are one program.
EXTREMES = {
    "beta_bernoulli": [
        ((1.0, 1.0), ones(100_000)),
        ((0.5, 0.5), ones(99_999)),
        ((1e6, 1.0), ones(100_000)),
        ((1e7, 1e-2), ones(100_000)),
        ((1e6, 1e6), ones(50_020)),
        ((1e-3, 1e-3), ones(500)),
        ((3.0, 1e5), ones(0)),
    ],
    "gamma_poisson": [
        ((1e8, 1e6), [100, 90, 110, 95, 105]),
        ((100.0, 1.0), [100_000] * 5),
        ((1e-3, 1e-3), [5] * 5),
        ((1e6, 1e6), [0, 1, 1, 2, 0]),
        ((1e5, 1.0), [99_000, 101_000, 99_500, 100_500, 100_000]),
        ((1e8, 1e8), [1, 0, 1, 2, 1]),
        ((2.0, 1.0), [0] * 5),
    ],
    "dirichlet_categorical": [
        ([1e6, 1e-3], [0] * 5000),
        ([1e6, 1e6], [0, 1] * 2500),
        ([0.01, 0.01], [1] * 5000),
    ],
}


@pytest.mark.last_digits
@pytest.mark.parametrize("kind", list(EXTREMES))
def test_reference_where_log_gammas_cancel(kind):
    """In float32, of up to 10⁵ counts and priors as sure as 10⁸: five digits of the smallest."""
    family = FAMILIES[kind]
    parameters, data = map(np.array, zip(*EXTREMES[kind], strict=True))
    parameters = np.float32(parameters)
    of = type(family.prior)
    priors = of(parameters) if of is DirichletParams else of(*parameters.T)
    ours = jax.jit(jax.vmap(family.function("log_evidence")))(priors, data)
    for i, x in enumerate(data):
        prior = of(*(p[i] for p in priors))
        with mpmath.workdps(40):
            expected = float(family.log_evidence(exactly(prior), x))
        np.testing.assert_allclose(ours[i], expected, rtol=1e-5, err_msg=f"{prior}")


@EACH
def test_law_one_by_one_and_all_at_once(family):
    families.assert_one_by_one(family, rtol=3e-6)


def test_reference_of_predictions_by_scipy():
    beta, gamma = BetaParams(np.float32(1.5), np.float32(2)), GammaParams(*np.float32([2.5, 0.5]))
    k, x = np.arange(9), np.float32(np.linspace(0, 20, 9))
    one = DirichletParams(np.float32([3]))

    @jax.jit
    def ours(beta, gamma, one, k, x):
        return {
            "betabinom": bayes.beta_binomial_predictive(beta, k, jnp.full(9, 8)),
            "nbinom": bayes.gamma_poisson_predictive(gamma, k),
            "lomax": bayes.gamma_exponential_predictive(gamma, x),
            "bernoulli": bayes.beta_bernoulli_predictive(beta, k[:2] == 0),
            "one class": bayes.dirichlet_categorical_predictive(one, k[:1]),
        }

    expected = {
        "betabinom": scipy.stats.betabinom(8, 1.5, 2).logpmf(k),
        "nbinom": scipy.stats.nbinom(2.5, 0.5 / 1.5).logpmf(k),
        "lomax": scipy.stats.lomax(2.5, scale=0.5).logpdf(x),
        "bernoulli": np.log([1.5 / 3.5, 2 / 3.5]),
        "one class": [0.0],
    }
    for name, log_p in ours(beta, gamma, one, k, x).items():
        np.testing.assert_allclose(log_p, expected[name], rtol=3e-6, err_msg=name)


def digamma(x):
    return scipy.special.digamma(np.asarray(x))


def trigamma(x):
    return scipy.special.polygamma(1, x)


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

    f = family.function("log_evidence")
    assert_gradient(lambda p: f(p, x), gradient, prior, rtol=1e-10, order=1)


@pytest.mark.usefixtures("x64")
def test_gradients_of_times():
    """To second order: the evidence of all others is made of the same pieces."""
    p, (x,) = FAMILIES["gamma_exponential"].double().prior, FAMILIES["gamma_exponential"].data
    x = np.float64(x)
    (a, b), n, s = map(float, p), len(x), x.sum()

    def log_evidence(given):
        p = GammaParams(given["a"], given["b"])
        return bayes.gamma_exponential_log_evidence(p, given["x"])

    def f(given):
        p = GammaParams(given["a"], given["b"])
        slope = jax.grad(log_evidence)(given)
        return {
            "predicted": bayes.gamma_exponential_predictive(p, given["x"])[0],
            "evidence": log_evidence(given),
            "by a": slope["a"],
            "by b": slope["b"],
        }

    expected = {
        ("predicted", "x"): -(a + 1) / (b + x[0]) * np.eye(n)[0],
        ("predicted", "a"): 1 / a - np.log1p(x[0] / b),
        ("predicted", "b"): (a * x[0] / b - 1) / (b + x[0]),
        ("evidence", "x"): np.full(n, -(a + n) / (b + s)),
        ("evidence", "a"): digamma(a + n) - digamma(a) - np.log1p(s / b),
        ("evidence", "b"): (a * s / b - n) / (b + s),
        ("by a", "a"): trigamma(a + n) - trigamma(a),
        ("by a", "b"): s / b / (b + s),
        ("by a", "x"): np.full(n, -1 / (b + s)),
        ("by b", "a"): s / b / (b + s),
        ("by b", "b"): (a + n) / (b + s) ** 2 - a / b**2,
        ("by b", "x"): np.full(n, (a + n) / (b + s) ** 2),
    }
    families.assert_slopes(f, {"x": jnp.asarray(x), "a": p.shape, "b": p.rate}, expected)


@EACH
def test_batches_and_transforms(family):
    families.assert_batches_and_transforms(family, rtol=3e-6)


def with_second(family, value, trials=None):
    """The family's observations, the second replaced."""
    data = [np.array(a) for a in family.data]
    data[0][1] = value
    for a in data[1:]:
        a[1] = trials
    return tuple(data)


class TestEdges:
    @EACH
    def test_no_data(self, family):
        families.assert_no_data_no_news(family)

    @EACH
    @pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan])
    def test_no_prior(self, family, wrong):
        first = family.prior._fields[0]
        prior = family.prior._replace(**{first: np.full_like(family.prior[0], wrong)})
        for a in jax.tree.leaves(answers(family, prior)):
            assert np.isnan(a).all()

    @pytest.mark.parametrize("wrong", [2, -1])
    def test_what_cannot_be_observed(self, wrong):
        """Neither 0 nor 1, more successes than trials, less than nothing."""
        names = ["beta_bernoulli", "beta_binomial"]
        names += ["gamma_poisson", "gamma_exponential"] if wrong < 0 else []
        for name in names:
            found = answers(FAMILIES[name], data=with_second(FAMILIES[name], wrong, trials=1))
            assert all(np.isnan(p) for p in found["posterior"]), name
            assert found["log_evidence"] == -np.inf, name
            assert (found["predictive"] == -np.inf).tolist() == [False, True] + 10 * [False], name

    @pytest.mark.parametrize("label", [3, -1])
    def test_labels_outside(self, label):
        family = FAMILIES["dirichlet_categorical"]
        found = answers(family, data=with_second(family, label))
        assert np.isnan(found["posterior"].concentration).all()
        assert np.isnan(found["log_evidence"])
        assert np.isnan(found["predictive"]).tolist() == [False, True] + 10 * [False]

    @pytest.mark.parametrize("name", ["beta_bernoulli", "gamma_poisson", "gamma_exponential"])
    def test_numbers_missing(self, name):
        family = FAMILIES[name]
        x = np.array(family.data[0], np.float32)
        x[1] = np.nan
        found = answers(family, data=(x,))
        assert np.isnan(found["log_evidence"])
        assert np.isnan(found["predictive"]).tolist() == [False, True] + 10 * [False]

    @EACH
    def test_dtype_is_kept(self, family):
        families.assert_dtype_is_kept(family)
