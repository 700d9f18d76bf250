"""fnmath.bayes, means, variances and weights: by other formulas, by SciPy, in any batches."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from fnmath import bayes
from fnmath.bayes import (
    LinearRegressionParams,
    NormalInverseGammaParams,
    NormalInverseWishartParams,
    NormalParams,
)
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(0)
WHATS = ["posterior", "predictive", "log_evidence"]


class Family(NamedTuple):
    name: str
    prior: Any
    data: tuple
    options: dict

    def function(self, what):
        f = getattr(bayes, f"{self.name}_{what}")
        return lambda *args: f(*args, **self.options)

    def part(self, cut):
        return tuple(a[cut] for a in self.data)

    def double(self):
        to = lambda a: jnp.asarray(a, jnp.float64)  # noqa: E731
        return self._replace(prior=jax.tree.map(to, self.prior), data=tuple(map(to, self.data)))


def params(kind, *fields):
    return kind(*map(jnp.float32, fields))


A, B = random.standard_normal((2, 3, 3))
X = random.standard_normal((10, 3))
y = X @ [1.0, -2.0, 0.5] + 0.3 * random.standard_normal(10)
numbers, vectors = jnp.float32(random.normal(2, 3, 10)), jnp.float32(X @ A + 1)
FAMILIES = {
    f.name: f
    for f in [
        Family("normal", params(NormalParams, 0.5, 2.0), (numbers,), {"variance": 4.0}),
        Family(
            "normal_inverse_gamma",
            params(NormalInverseGammaParams, 0.5, 0.7, 1.5, 2.0),
            (numbers,),
            {},
        ),
        Family(
            "normal_inverse_wishart",
            params(NormalInverseWishartParams, [0.5, 0, 1], 0.7, 3.5, B @ B.T + np.eye(3)),
            (vectors,),
            {},
        ),
        Family(
            "linear_regression",
            params(LinearRegressionParams, [0.5, 0, 1], B @ B.T + np.eye(3), 1.5, 2.0),
            (jnp.float32(X), jnp.float32(y)),
            {},
        ),
    ]
}
EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def mistakes(family, what):
    f, (x, *others) = getattr(bayes, f"{family.name}_{what}"), family.data
    name, kind, options = f.__name__, type(family.prior).__name__, family.options
    argument = "params" if what == "predictive" else "prior"
    yield Mistake(
        f,
        (tuple(family.prior), x, *others),
        options,
        TypeError,
        f"{name}: {argument} is a tuple; wanted a {kind}; did you mean {kind}(…)?",
    )
    yield Mistake(
        f,
        (family.prior, x.astype(int), *others),
        options,
        TypeError,
        f"{name}: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    )
    own = (3,) if x.ndim == 2 else ()
    wanted = "n, 3" if own else "n,"
    yield Mistake(
        f,
        (family.prior, x[None], *others),
        options,
        ValueError,
        f"{name}: x has shape (1, 10{', 3' if own else ''}); wanted ({wanted})",
    )
    cure = "x[..., None, :]" if own else "x[..., None]"
    came = "(3,)" if own else "()"
    yield Mistake(
        f,
        (family.prior, x[0], *others),
        options,
        ValueError,
        f"{name}: x has shape {came}; wanted ({wanted}); did you mean {cure}?",
    )
    if own:
        second = family.prior._fields[1]
        yield Mistake(
            f,
            (family.prior._replace(**{second: jnp.ones(2)}), x, *others),
            options,
            ValueError,
            f"{name}: {second} has shape (2,); wanted {(3, 3) if others else ()}",
        )
        first = family.prior._replace(mean=jnp.zeros(0))
        yield Mistake(
            f, (first, x, *others), options, ValueError, f"{name}: mean (0,) has no features"
        )
    if others:
        yield Mistake(
            f,
            (family.prior, x, others[0][:, None]),
            options,
            ValueError,
            f"{name}: y has shape (10, 1); wanted (10,); did you mean y[..., 0]?",
        )
    if options:
        for v, problem in [
            (0.0, "variance is 0.0; wanted a number in (0, inf)"),
            (jnp.ones(2), "variance (2,) must broadcast to mean ()"),
        ]:
            yield Mistake(f, (family.prior, x), {"variance": v}, ValueError, f"{name}: {problem}")


MISTAKES = [m for f in FAMILIES.values() for what in WHATS for m in mistakes(f, what)]


def joint_log_density(family):
    """All observations at once: a normal or Student's density with one covariance for all."""
    p, (x, *others) = jax.tree.map(np.float64, family.prior), map(np.float64, family.data)
    n = len(x)
    if family.name == "normal":
        C = p.variance * np.ones((n, n)) + 4 * np.eye(n)
        return scipy.stats.multivariate_normal(np.full(n, p.mean), C).logpdf(x)
    if family.name == "normal_inverse_gamma":
        C, mean, y = np.ones((n, n)) / p.observations + np.eye(n), np.full(n, p.mean), x
    else:
        C, mean, y = x @ np.linalg.solve(p.precision, x.T) + np.eye(n), x @ p.mean, others[0]
    student = scipy.stats.multivariate_t(mean, C * p.scale / p.shape, df=2 * p.shape)
    return student.logpdf(y)


@EACH
def test_reference_of_the_evidence(family):
    if family.name != "normal_inverse_wishart":
        ours = family.function("log_evidence")(family.prior, *family.data)
        np.testing.assert_allclose(ours, joint_log_density(family), rtol=2e-6)
        return
    p, x = jax.tree.map(np.float64, family.prior), np.float64(vectors)
    n, d = x.shape
    after = family.function("posterior")(family.prior, vectors)
    k, nu = p.observations + n, p.degrees + n
    gap = np.mean(x, 0) - p.mean
    scale = p.scale + np.cov(x.T, ddof=0) * n + p.observations * n / k * np.outer(gap, gap)
    np.testing.assert_allclose(after.scale, scale, rtol=2e-6, atol=2e-6)
    gammas = scipy.special.multigammaln
    expected = (
        gammas(nu / 2, d)
        - gammas(p.degrees / 2, d)
        + p.degrees / 2 * np.linalg.slogdet(p.scale)[1]
        - nu / 2 * np.linalg.slogdet(scale)[1]
        + d / 2 * np.log(p.observations / k)
        - n * d / 2 * np.log(np.pi)
    )
    ours = family.function("log_evidence")(family.prior, vectors)
    np.testing.assert_allclose(ours, expected, rtol=2e-6)


def test_reference_of_predictions_by_scipy():
    f = FAMILIES["normal_inverse_gamma"]
    m, k, a, b = map(float, f.prior)
    expected = scipy.stats.t(2 * a, m, np.sqrt(b / a * (k + 1) / k)).logpdf(numbers)
    np.testing.assert_allclose(f.function("predictive")(f.prior, numbers), expected, rtol=2e-6)
    f = FAMILIES["normal_inverse_wishart"]
    m, k, nu, psi = map(np.float64, f.prior)
    student = scipy.stats.multivariate_t(m, psi * (k + 1) / (k * (nu - 2)), df=nu - 2)
    ours = f.function("predictive")(f.prior, vectors)
    np.testing.assert_allclose(ours, student.logpdf(vectors), rtol=3e-6)


def test_reference_by_the_integral_over_what_is_not_known():
    """Bayes' theorem by quadrature, of a mean of three observations."""
    x = np.array([1.0, 2.5, 3.0])

    def joint(mu):
        each = scipy.stats.norm(mu, 2).pdf(x).prod()
        return scipy.stats.norm(0.5, np.sqrt(2)).pdf(mu) * each

    evidence = scipy.integrate.quad(joint, -20, 20)[0]
    mean = scipy.integrate.quad(lambda mu: mu * joint(mu), -20, 20)[0] / evidence
    prior = FAMILIES["normal"].prior
    ours = bayes.normal_log_evidence(prior, jnp.float32(x), variance=4.0)
    np.testing.assert_allclose(ours, np.log(evidence), rtol=1e-6)
    after = bayes.normal_posterior(prior, jnp.float32(x), variance=4.0)
    np.testing.assert_allclose(after.mean, mean, rtol=1e-6)


def test_reference_of_the_posterior_of_a_regression():
    """Least squares with as many more rows as the prior is worth."""
    f = FAMILIES["linear_regression"]
    p = jax.tree.map(np.float64, f.prior)
    root = np.linalg.cholesky(p.precision).T
    rows = np.concatenate([root, np.float64(f.data[0])])
    targets = np.concatenate([root @ p.mean, np.float64(f.data[1])])
    w, (squares,), *_ = np.linalg.lstsq(rows, targets)
    after = f.function("posterior")(f.prior, *f.data)
    np.testing.assert_allclose(after.mean, w, rtol=3e-6)
    np.testing.assert_allclose(after.scale, p.scale + squares / 2, rtol=3e-6)
    np.testing.assert_allclose(after.precision, rows.T @ rows, rtol=3e-6, atol=1e-6)


@EACH
def test_law_batch_by_batch_and_all_at_once(family):
    posterior, log_evidence = family.function("posterior"), family.function("log_evidence")
    after, total = family.prior, 0.0
    for cut in (slice(0, 1), slice(1, 1), slice(1, 6), slice(6, None)):
        total += float(log_evidence(after, *family.part(cut)))
        after = posterior(after, *family.part(cut))
    once = posterior(family.prior, *family.data)
    for a, b in zip(after, once, strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=3e-6)
    np.testing.assert_allclose(total, log_evidence(family.prior, *family.data), rtol=3e-6)


@EACH
def test_law_the_evidence_is_made_of_predictions(family):
    posterior, predictive = family.function("posterior"), family.function("predictive")

    def step(params, new):
        new = tuple(a[None] for a in new)
        return posterior(params, *new), predictive(params, *new)[0]

    _, each = jax.lax.scan(step, family.prior, family.data)
    expected = family.function("log_evidence")(family.prior, *family.data)
    np.testing.assert_allclose(each.sum(), expected, rtol=3e-6)


def test_law_far_from_zero_nothing_cancels():
    """Around 10⁴ with deviation 1, where Σx² − n x̄² has no digit left in float32."""
    x = jnp.float32(random.standard_normal(500) + 1e4)
    exact = np.float64(x)
    squares = np.sum((exact - exact.mean()) ** 2)
    prior = params(NormalInverseGammaParams, 1e4, 1.0, 1.0, 1.0)
    after = bayes.normal_inverse_gamma_posterior(prior, x)
    expected = 1 + 0.5 * (squares + 500 / 501 * (exact.mean() - 1e4) ** 2)
    np.testing.assert_allclose(after.scale, expected, rtol=2e-6)


@pytest.mark.usefixtures("x64")
def test_gradients_of_evidence_and_posterior():
    f = FAMILIES["normal_inverse_gamma"].double()
    (x,) = f.data
    m, k, *_ = map(float, f.prior)
    n, after = len(x), f.function("posterior")(f.prior, x)
    by_scale = np.asarray(x) - np.mean(x) + k * (np.mean(x) - m) / (k + n)
    assert_gradient(lambda x: f.function("posterior")(f.prior, x).scale, lambda x: by_scale, x)
    assert_gradient(
        lambda x: f.function("log_evidence")(f.prior, x),
        lambda x: -np.asarray(after.shape / after.scale) * by_scale,
        x,
    )
    f = FAMILIES["linear_regression"].double()
    X, y = f.data
    after = f.function("posterior")(f.prior, X, y)
    left = np.asarray(y - X @ after.mean)
    assert_gradient(lambda y: f.function("posterior")(f.prior, X, y).scale, lambda y: left, y)
    assert_gradient(
        lambda y: f.function("log_evidence")(f.prior, X, y),
        lambda y: -np.asarray(after.shape / after.scale) * left,
        y,
    )
    f = FAMILIES["normal"].double()
    (x,), p = f.data, f.prior
    gap = np.mean(x) - p.mean
    by_x = (np.mean(x) - np.asarray(x)) / 4 - gap / (4 + n * p.variance)
    assert_gradient(lambda x: f.function("log_evidence")(p, x), lambda x: by_x, x)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["normal_inverse_wishart", "linear_regression"])
def test_derivatives(name):
    family = FAMILIES[name].double()

    def f(prior, *data):
        each = family.function("predictive")(family.function("posterior")(prior, *data), *data)
        return each.sum() + family.function("log_evidence")(prior, *data)

    assert_derivatives(f, family.prior, *(a[:4] for a in family.data))


@EACH
def test_transforms(family):
    def all_three(prior, *data):
        return [family.function(what)(prior, *data) for what in WHATS]

    assert_transforms(all_three, family.prior, *family.data, rtol=5e-6)
    stacked = jax.tree.map(lambda a: jnp.stack([a, a]), (family.prior, *family.data))
    for one, both in zip(all_three(family.prior, *family.data), all_three(*stacked), strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(both), strict=True):
            np.testing.assert_allclose(b, np.stack([a, a]), rtol=5e-6, atol=5e-6)


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
    @pytest.mark.parametrize("sign", [0.0, -1.0, jnp.nan])
    def test_no_prior(self, family, sign):
        """No parameter but the mean may be 0, negative or missing."""
        for field in family.prior._fields[1:]:
            prior = family.prior._replace(**{field: getattr(family.prior, field) * sign})
            assert jnp.isnan(family.function("log_evidence")(prior, *family.data))
            assert jnp.isnan(family.function("predictive")(prior, *family.data)).all()
            after = family.function("posterior")(prior, *family.data)
            assert any(jnp.isnan(a).all() for a in after)

    def test_no_variance(self):
        f = FAMILIES["normal"]
        for v in (0.0, -1.0):
            assert jnp.isnan(bayes.normal_log_evidence(f.prior, numbers, variance=jnp.array(v)))

    def test_fewer_points_than_features(self):
        f = FAMILIES["normal_inverse_wishart"]
        after = f.function("posterior")(f.prior, vectors[:1])
        assert (jnp.linalg.eigvalsh(after.scale) > 0).all()
        assert jnp.isfinite(f.function("log_evidence")(f.prior, vectors[:1]))
        f = FAMILIES["linear_regression"]
        after = f.function("posterior")(f.prior, *f.part(slice(0, 1)))
        assert jnp.isfinite(after.mean).all()

    @EACH
    def test_dtype_is_kept(self, family):
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (family.prior, *family.data))
        for what in WHATS:
            answer = family.function(what)(*half)
            assert {a.dtype for a in jax.tree.leaves(answer)} == {jnp.dtype(jnp.bfloat16)}
