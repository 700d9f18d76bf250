"""fnmath.statistics, whitening: W Σ Wᵀ = I three ways, with derivatives where axes are alike."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from fnmath.linear_algebra._spectral import inverse_square_root, square_root
from fnmath.statistics import WhiteningParams, covariance, whitening, whitening_init
from tests.helpers import Mistake, assert_derivatives, assert_transforms

random = np.random.default_rng(4)
METHODS = ["pca", "zca", "cholesky"]
x = jnp.float32(random.standard_normal((6, 3)))
params = whitening_init(x)
MISTAKES = [
    Mistake(
        whitening_init,
        (x.astype(int),),
        {},
        TypeError,
        "whitening_init: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        whitening_init,
        (x[:3],),
        {},
        ValueError,
        "whitening_init: x (3, 3) has 3 observations of 3 features; wanted more; "
        "did you mean ridge=1e-3?",
    ),
    Mistake(
        whitening_init,
        (x[:1],),
        {"ridge": 0.1},
        ValueError,
        "whitening_init: x (1, 3) has 1 observations of 3 features; wanted more",
    ),
    Mistake(
        whitening_init,
        (x[0],),
        {},
        ValueError,
        "whitening_init: x has shape (3,); wanted at least 2 axes, "
        "(*batch observations features); did you mean x[None]?",
    ),
    Mistake(
        whitening_init,
        (x,),
        {"method": "svd"},
        ValueError,
        "whitening_init: method is 'svd'; wanted one of 'pca', 'zca', 'cholesky'",
    ),
    Mistake(
        whitening_init,
        (x,),
        {"ridge": -1.0},
        ValueError,
        "whitening_init: ridge is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        whitening,
        (x, x),
        {},
        TypeError,
        f"whitening: params is a {type(x).__name__}; wanted a WhiteningParams; "
        "did you mean whitening_init(x)?",
    ),
    Mistake(
        whitening,
        (params, x[:, :2]),
        {},
        ValueError,
        "whitening: the number of features must agree: x has 2 and mean has 3",
    ),
    Mistake(
        whitening,
        (params._replace(matrix=x), x),
        {},
        ValueError,
        "whitening: matrix has shape (6, 3); wanted (3, 3)",
    ),
]
# The type of an array differs under jit, where it is a tracer.
MISTAKES = [m for m in MISTAKES if "ArrayImpl" not in m.message] + [
    Mistake(
        whitening,
        (0.5, x),
        {},
        TypeError,
        "whitening: params is a float; wanted a WhiteningParams; did you mean whitening_init(x)?",
    )
]


@pytest.mark.parametrize("method", METHODS)
def test_law_what_is_whitened_is_white(method):
    mixed = jnp.float32(random.standard_normal((500, 4)) @ random.standard_normal((4, 4)) + 100)
    white = whitening(whitening_init(mixed, method=method), mixed)
    np.testing.assert_allclose(covariance(white), np.eye(4), atol=5e-5)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-4)


@pytest.mark.usefixtures("x64")
def test_reference():
    x = random.standard_normal((9, 3)) @ random.standard_normal((3, 3))
    S = np.cov(x, rowvar=False)
    variances, U = np.linalg.eigh(S)
    expected = {
        "zca": np.linalg.inv(scipy.linalg.sqrtm(S)),
        "cholesky": np.linalg.inv(np.linalg.cholesky(S)),
        "pca": (U / np.sqrt(variances)).T[::-1],
    }
    for method, W in expected.items():
        ours = whitening_init(jnp.asarray(x), method=method).matrix
        if method == "pca":
            W = W * np.sign(W[np.arange(3), np.abs(W).argmax(1)])[:, None]
        np.testing.assert_allclose(ours, W, rtol=1e-9, atol=1e-12)
    ridged = whitening_init(jnp.asarray(x), ridge=0.5, ddof=0).matrix
    W = np.linalg.inv(scipy.linalg.sqrtm(np.cov(x, rowvar=False, ddof=0) + 0.5 * np.eye(3)))
    np.testing.assert_allclose(ridged, W, rtol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method):
    x = jnp.asarray(random.standard_normal((6, 2)) * np.array([1.0, 2.0]))

    def f(x):
        params = whitening_init(x, method=method)
        return params.mean, params.matrix

    assert_derivatives(f, x)


@pytest.mark.usefixtures("x64")
def test_gradient():
    """Ẇ = −W Ṙ W and Ẇ = −low(W Σ̇ Wᵀ) W."""
    x, x_dot = jnp.asarray(random.standard_normal((2, 7, 3)))
    S, S_dot = jax.jvp(covariance, (x,), (x_dot,))
    for method in ("zca", "cholesky"):
        W, W_dot = jax.jvp(lambda x: whitening_init(x, method=method).matrix, (x,), (x_dot,))  # noqa: B023
        if method == "zca":
            R_dot = scipy.linalg.solve_sylvester(*[np.asarray(scipy.linalg.sqrtm(S))] * 2, S_dot)
            expected = -W @ R_dot @ W
        else:
            inner = np.tril(W @ S_dot @ W.T)
            expected = -(inner - 0.5 * np.diag(np.diag(inner))) @ W
        np.testing.assert_allclose(W_dot, expected, rtol=1e-8)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("root", [square_root, inverse_square_root])
def test_roots_have_derivatives_where_eigenvalues_are_alike(root):
    """There those of eigenvectors are nan, in both modes and to second order."""
    S_dot = random.standard_normal((3, 3))
    S_dot = S_dot + S_dot.T

    def along(s):
        return root(2 * jnp.eye(3) + s * S_dot)

    assert_derivatives(along, jnp.asarray(0.0))
    power = 0.5 if root is square_root else -0.5
    slope = jax.jacfwd(along)(0.0)
    np.testing.assert_allclose(slope, power * 2 ** (power - 1) * S_dot, rtol=1e-12)
    assert jnp.isfinite(jax.hessian(lambda S: root(S).sum())(2 * jnp.eye(3))).all()


def test_transforms():
    assert_transforms(lambda x: tuple(whitening_init(x)), x, rtol=1e-5)
    assert_transforms(lambda m, W, x: whitening(WhiteningParams(m, W), x), *params, x)
    batch = whitening_init(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(batch.matrix[0], 2 * batch.matrix[1], rtol=1e-5)


def test_edges():
    flat = jnp.concatenate([x, x[:, :1]], 1)  # two features that are one
    for method in METHODS:
        assert jnp.isnan(whitening_init(flat, method=method).matrix).all()
        assert jnp.isfinite(whitening_init(flat, method=method, ridge=0.1).matrix).all()
        few = whitening_init(x[:2], method=method, ridge=jnp.asarray(0.1))
        assert jnp.isfinite(few.matrix).all()
        assert jnp.isnan(whitening_init(x, method=method, ridge=jnp.asarray(-1.0)).matrix).all()
    half = whitening_init(x.astype(jnp.bfloat16))
    assert half.matrix.dtype == half.mean.dtype == jnp.bfloat16
    init = functools.partial(whitening_init, method="pca")
    rows = init(x).matrix
    assert (jnp.take_along_axis(rows, jnp.abs(rows).argmax(1)[:, None], 1) > 0).all()
