"""fnmath.calculus.derivatives: values, laws, modes, transforms and mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
from jax.experimental import checkify

from fnmath.calculus import (
    derivative,
    directional_derivative,
    gradient,
    hessian,
    hessian_vector_product,
    jacobian,
    partial_derivative,
)
from fnmath.numerics import checked
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x = jnp.linspace(0.5, 2.0, 4)
TREE = {"a": jnp.array([1.0, -2.0]), "b": (jnp.array(0.5), jnp.ones((2, 2)))}


def norms(rows):
    return jnp.sum(rows**2, axis=-1)


def loss(params, scale):
    return scale * jnp.sum(params["a"] ** 2)


def count(values):
    return jnp.sum(values > 0)


def pair(values):
    return values, values.sum()


def energy(tree):
    a, (b, c) = tree["a"], tree["b"]
    return jnp.sum(jnp.sin(a) * b) + jnp.sum(jnp.exp(b * c) * a)


MISTAKES = [
    Mistake(derivative, (3,), {}, TypeError, "derivative: f is a int; wanted a function"),
    Mistake(
        derivative,
        (jnp.sin,),
        {"order": 0},
        ValueError,
        "derivative: order is 0; wanted an integer of at least 1",
    ),
    Mistake(
        derivative(norms),
        (x,),
        {},
        ValueError,
        "derivative: norms maps rows of shape (4,) to shape (); wanted the same shape; "
        "did you mean gradient(norms)?",
    ),
    Mistake(
        derivative(norms),
        (x[:, None],),
        {},
        ValueError,
        "derivative: norms maps rows of shape (4, 1) to shape (4,); wanted the same shape; "
        "did you mean jacobian(norms)?",
    ),
    Mistake(
        derivative(pair),
        (x,),
        {},
        ValueError,
        "derivative: pair maps values of shape (4,) to a tuple; wanted the same shape; "
        "did you mean jacobian(pair)?",
    ),
    Mistake(
        derivative(jnp.sin),
        (2,),
        {},
        TypeError,
        "derivative: x is the integer 2; wanted a floating-point number; did you mean 2.0?",
    ),
    Mistake(
        derivative(jnp.sin),
        ([1.0],),
        {},
        TypeError,
        "derivative: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    Mistake(
        derivative(jnp.sign, order=2),
        (x.astype(int),),
        {},
        TypeError,
        "derivative: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        derivative(lambda t: t > 0),
        (1.0,),
        {},
        TypeError,
        "derivative: f returned dtype bool; wanted a floating dtype",
    ),
    Mistake(
        partial_derivative,
        (None, 0),
        {},
        TypeError,
        "partial_derivative: f is a NoneType; wanted a function",
    ),
    Mistake(
        partial_derivative,
        (loss, "param"),
        {},
        ValueError,
        "partial_derivative: by is 'param'; wanted a parameter of loss: params, scale; "
        "did you mean 'params'?",
    ),
    Mistake(
        partial_derivative,
        (loss, 2),
        {},
        ValueError,
        "partial_derivative: by is 2; wanted a parameter of loss: params, scale",
    ),
    Mistake(
        partial_derivative,
        (loss, 1.0),
        {},
        TypeError,
        "partial_derivative: by is 1.0 (float); wanted an integer",
    ),
    Mistake(
        partial_derivative(loss, "scale"),
        (TREE,),
        {},
        TypeError,
        "partial_derivative: loss got missing a required argument: 'scale'",
    ),
    Mistake(
        partial_derivative(loss, "scale"),
        (TREE,),
        {"scale": 2},
        TypeError,
        "partial_derivative: scale is the integer 2; wanted a floating-point number; "
        "did you mean 2.0?",
    ),
    Mistake(
        partial_derivative(jnp.dot, "b"),
        (jnp.ones((2, 4)), x),
        {},
        ValueError,
        "partial_derivative: dot maps b of shape (4,) to shape (2,); wanted the same shape; "
        "did you mean jacobian(dot)?",
    ),
    Mistake(
        partial_derivative(lambda *terms, **weights: sum(terms), "w"),
        (1.0,),
        {},
        TypeError,
        "partial_derivative: f got no argument 'w'",
    ),
    Mistake(gradient, ("f",), {}, TypeError, "gradient: f is a str; wanted a function"),
    Mistake(
        gradient(norms),
        (jnp.ones((4, 2)),),
        {},
        ValueError,
        "gradient: norms returned shape (4,); wanted a scalar; "
        "did you mean norms(...).mean(), or jacobian(norms)?",
    ),
    Mistake(
        gradient(norms),
        (jnp.ones((1, 2)),),
        {},
        ValueError,
        "gradient: norms returned shape (1,); wanted a scalar; did you mean norms(...).squeeze()?",
    ),
    Mistake(
        gradient(pair),
        (x,),
        {},
        TypeError,
        "gradient: pair returned a tuple; wanted a scalar; did you mean pair(...)[0]?",
    ),
    Mistake(
        gradient(count),
        (x,),
        {},
        TypeError,
        "gradient: count returned dtype int32; wanted a floating dtype",
    ),
    Mistake(
        gradient(loss),
        ({"a": x, "steps": [jnp.arange(3)]}, 1.0),
        {},
        TypeError,
        "gradient: params['steps'][0] has dtype int32; wanted a floating dtype; "
        "did you mean params['steps'][0].astype(jnp.float32)?",
    ),
    Mistake(
        gradient(loss),
        ({}, 1.0),
        {},
        TypeError,
        "gradient: params (dict) holds no array",
    ),
    Mistake(
        gradient(loss),
        ({"a": "1.0"}, 1.0),
        {},
        TypeError,
        "gradient: params['a'] is a str; wanted an array",
    ),
    Mistake(
        gradient(lambda x: None),
        (x,),
        {},
        TypeError,
        "gradient: f returned a NoneType; wanted an array",
    ),
    Mistake(
        directional_derivative,
        ("f", x, x),
        {},
        TypeError,
        "directional_derivative: f is a str; wanted a function",
    ),
    Mistake(
        directional_derivative,
        (norms, x, x[:3]),
        {},
        ValueError,
        "directional_derivative: direction has shape (3,); wanted (4,), that of x",
    ),
    Mistake(
        directional_derivative,
        (energy, TREE, {"a": x, "b": x}),
        {},
        ValueError,
        "directional_derivative: direction has the tree PyTreeDef({'a': *, 'b': *}); "
        "wanted PyTreeDef({'a': *, 'b': (*, *)}), that of x",
    ),
    Mistake(
        directional_derivative,
        (norms, x, x.astype(jnp.float16)),
        {},
        TypeError,
        "directional_derivative: direction has dtype float16; wanted float32, that of x; "
        "did you mean direction.astype(jnp.float32)?",
    ),
    Mistake(
        directional_derivative,
        (norms, x, jnp.array([1, 0, 0, 0])),
        {},
        TypeError,
        "directional_derivative: direction has dtype int32; wanted a floating dtype; "
        "did you mean direction.astype(jnp.float32)?",
    ),
    Mistake(
        directional_derivative,
        (count, x, x),
        {},
        TypeError,
        "directional_derivative: count returned dtype int32; wanted a floating dtype",
    ),
    Mistake(jacobian, (1,), {}, TypeError, "jacobian: f is a int; wanted a function"),
    Mistake(
        jacobian,
        (norms,),
        {"mode": "backward"},
        ValueError,
        "jacobian: mode is 'backward'; wanted one of 'auto', 'forward', 'reverse'",
    ),
    Mistake(
        jacobian(count),
        (x,),
        {},
        TypeError,
        "jacobian: count returned dtype int32; wanted a floating dtype",
    ),
    Mistake(
        jacobian(norms),
        (x.astype(int),),
        {},
        TypeError,
        "jacobian: rows has dtype int32; wanted a floating dtype; "
        "did you mean rows.astype(jnp.float32)?",
    ),
    Mistake(hessian, (1,), {}, TypeError, "hessian: f is a int; wanted a function"),
    Mistake(
        hessian(norms),
        (jnp.ones((4, 2)),),
        {},
        ValueError,
        "hessian: norms returned shape (4,); wanted a scalar; "
        "did you mean norms(...).mean(), or jacobian(norms)?",
    ),
    Mistake(
        hessian(norms),
        (x.astype(int),),
        {},
        TypeError,
        "hessian: rows has dtype int32; wanted a floating dtype; "
        "did you mean rows.astype(jnp.float32)?",
    ),
    Mistake(
        hessian_vector_product,
        (norms, jnp.ones((4, 2)), jnp.ones((4, 2))),
        {},
        ValueError,
        "hessian_vector_product: norms returned shape (4,); wanted a scalar; "
        "did you mean norms(...).mean(), or jacobian(norms)?",
    ),
    Mistake(
        hessian_vector_product,
        (norms, x, x[:3]),
        {},
        ValueError,
        "hessian_vector_product: direction has shape (3,); wanted (4,), that of x",
    ),
    Mistake(
        hessian_vector_product,
        (norms, x, x.astype(int)),
        {},
        TypeError,
        "hessian_vector_product: direction has dtype int32; wanted a floating dtype; "
        "did you mean direction.astype(jnp.float32)?",
    ),
    Mistake(
        hessian_vector_product,
        (1, x, x),
        {},
        TypeError,
        "hessian_vector_product: f is a int; wanted a function",
    ),
    *(
        Mistake(
            of(norms),
            (jnp.ones((2, 2)),),
            {},
            ValueError,
            f"{of.__name__}: norms returned shape (2,); wanted a scalar; "
            "did you mean norms(...).mean(), or jacobian(norms)?",
        )
        for of in (gradient, hessian)
    ),
]


class TestDerivative:
    points = jnp.array([-20.0, -1.0, -1e-6, 0.0, 1e-6, 0.5, 3.0, 80.0])

    @pytest.mark.last_digits
    def test_reference(self):
        assert_within_ulp(derivative(jnp.exp)(self.points), np.exp(np.float64(self.points)), 2)
        assert_within_ulp(derivative(jnp.arctan)(self.points), 1 / (1 + self.points**2.0), 2)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_reference_of_higher_orders(self):
        t = np.linspace(0.5, 3.0, 6)
        for order in range(1, 4):
            ours = derivative(log_gamma, order=order)(jnp.asarray(t))
            np.testing.assert_allclose(ours, scipy.special.polygamma(order - 1, t), rtol=1e-10)

    @pytest.mark.usefixtures("x64")
    def test_law_of_the_chain_rule_and_of_nesting(self):
        f, g = jnp.tanh, lambda t: t**3 - t
        t = jnp.linspace(-2.0, 2.0, 9)
        chain = derivative(f)(g(t)) * derivative(g)(t)
        np.testing.assert_allclose(derivative(lambda t: f(g(t)))(t), chain, rtol=1e-13)
        nested = derivative(derivative(derivative(f)))(t)
        np.testing.assert_array_equal(derivative(f, order=3)(t), nested)

    def test_velocity_of_a_curve(self):
        velocity = derivative(lambda t: {"place": jnp.stack([t, t**2]), "time": t})(3.0)
        np.testing.assert_array_equal(velocity["place"], [1.0, 6.0])
        assert velocity["time"] == 1.0

    def test_the_other_arguments_are_held_fixed(self):
        slope = derivative(lambda t, a, *, b: a * t**b)
        np.testing.assert_allclose(slope(x, x, b=3), 3 * x**3, rtol=1e-6)

    def test_checked_mode_sees_entries_that_mix(self):
        with checked():
            mixed, _ = checkify.checkify(derivative(jax.nn.softmax))(x)
            fine, _ = checkify.checkify(derivative(jax.nn.softplus))(x)
        assert mixed.get().startswith("derivative: softmax mixes the entries of x")
        assert fine.get() is None

    def test_transforms(self):
        assert_transforms(derivative(lambda t: jnp.tanh(t)), x)
        assert_transforms(derivative(lambda t: jnp.tanh(t), order=2), x)

    def test_edges(self):
        assert derivative(jnp.sin)(jnp.zeros((0, 3))).shape == (0, 3)
        assert jnp.isnan(derivative(jnp.sin)(jnp.nan))
        for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
            assert derivative(jnp.sin)(x.astype(dtype)).dtype == dtype


def log_gamma(t):
    """Stirling's series after eight steps of the recurrence: plain arithmetic and logarithms."""
    z = t + 8
    series = 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5) - 1 / (1680 * z**7)
    stirling = (z - 0.5) * jnp.log(z) - z + 0.5 * jnp.log(2 * jnp.pi) + series
    return stirling - sum(jnp.log(t + k) for k in range(8)) + 1 / (1188 * z**9)


class TestPartialDerivative:
    def test_by_name_and_by_position(self):
        def cone(radius, height, *, scale=2.0):
            return scale * radius**2 * height

        for by in ("height", 1):
            slope = partial_derivative(cone, by)
            assert slope(3.0, 5.0) == slope(3.0, height=5.0) == slope(height=5.0, radius=3.0) == 18
        assert partial_derivative(cone, "scale")(3.0, 5.0) == 45
        assert partial_derivative(cone, "scale")(3.0, 5.0, scale=7.0) == 45

    def test_of_variadic_functions(self):
        def weighted(*terms, **weights):
            return sum(t * w for t, w in zip(terms, weights.values(), strict=True))

        assert partial_derivative(weighted, 1)(2.0, 3.0, a=5.0, b=7.0) == 7
        assert partial_derivative(weighted, "a")(2.0, 3.0, a=5.0, b=7.0) == 2
        assert partial_derivative(jnp.multiply, 1)(2.0, 3.0) == 2

    def test_shapes(self):
        def cost(w, x, t):
            return jnp.sum((w @ x - t) ** 2)

        w, t = jnp.ones((2, 4)), jnp.zeros(2)
        np.testing.assert_allclose(
            partial_derivative(cost, "w")(w, x, t), 2 * jnp.outer(w @ x, x), rtol=1e-6
        )
        entrywise = partial_derivative(lambda y, t: (y - t) ** 2, "t")(x, x + 1)
        np.testing.assert_allclose(entrywise, 2.0 * jnp.ones(4), rtol=1e-6)
        curve = partial_derivative(lambda a, y: a**2 * y, "a")(3.0, x)
        np.testing.assert_allclose(curve, 6 * x, rtol=1e-6)
        tree = partial_derivative(loss, "params")(TREE, 0.5)
        np.testing.assert_allclose(tree["a"], TREE["a"], rtol=1e-6)
        assert tree["b"][1].shape == (2, 2)

    @pytest.mark.usefixtures("x64")
    def test_law_of_mixed_partials(self):
        def f(a, b):
            return jnp.exp(a * jnp.sin(b)) / (1 + a**2)

        ab = partial_derivative(partial_derivative(f, "a"), "b")(0.3, 0.7)
        ba = partial_derivative(partial_derivative(f, "b"), "a")(0.3, 0.7)
        np.testing.assert_allclose(ab, ba, rtol=1e-14)

    def test_transforms(self):
        assert_transforms(partial_derivative(lambda y, x: jnp.arctan2(y, x), "x"), x, x + 1)


class TestGradient:
    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self):
        z = jnp.array([-90.0, 0.0, 3.0, 80.0])
        expected = scipy.special.softmax(np.float64(z))
        # The exponent z − logsumexp(z) = −170 is right to half a unit of 128, which is 64 of 1.
        assert_within_ulp(gradient(jax.nn.logsumexp)(z)[1:], expected[1:], 64)
        assert_within_ulp(gradient(norms)(z), 2 * np.float64(z), 0)

    @pytest.mark.usefixtures("x64")
    def test_reference_on_rosenbrock(self):
        point = np.array([-1.2, 1.0, 0.7])
        ours = gradient(rosenbrock)(jnp.asarray(point))
        np.testing.assert_allclose(ours, scipy.optimize.rosen_der(point), rtol=1e-13)
        ours = hessian(rosenbrock)(jnp.asarray(point))
        np.testing.assert_allclose(ours, scipy.optimize.rosen_hess(point), rtol=1e-13)

    def test_law_of_the_product(self):
        f, g = jax.nn.logsumexp, norms
        product = gradient(lambda x: f(x) * g(x))(x)
        np.testing.assert_allclose(product, f(x) * gradient(g)(x) + g(x) * gradient(f)(x), 1e-6)

    def test_keeps_tree_shapes_and_dtypes(self):
        tree = {"a": TREE["a"].astype(jnp.float16), "b": TREE["b"]}
        slope = gradient(lambda t: energy(t).astype(jnp.float32))(tree)
        assert jax.tree.structure(slope) == jax.tree.structure(tree)
        assert jax.tree.map(jnp.shape, slope) == jax.tree.map(jnp.shape, tree)
        assert jax.tree.map(jnp.result_type, slope) == jax.tree.map(jnp.result_type, tree)

    def test_transforms(self):
        assert_transforms(gradient(energy), TREE)

    def test_edges(self):
        assert gradient(jnp.sum)(jnp.zeros((0,))).shape == (0,)
        assert jnp.isnan(gradient(lambda t: jnp.sum(jnp.sin(t)))(jnp.array([jnp.nan, 1.0]))[0])


def rosenbrock(p):
    return jnp.sum(100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2)


class TestDirectionalDerivative:
    @pytest.mark.usefixtures("x64")
    def test_law(self):
        tree = jax.tree.map(lambda a: a.astype(jnp.float64), TREE)
        v = jax.tree.map(jnp.cos, tree)
        slope = directional_derivative(energy, tree, v)
        products = jax.tree.map(jnp.vdot, gradient(energy)(tree), v)
        np.testing.assert_allclose(slope, sum(jax.tree.leaves(products)), rtol=1e-13)
        doubled = directional_derivative(energy, tree, jax.tree.map(lambda a: 2 * a, v))
        np.testing.assert_allclose(doubled, 2 * slope, rtol=1e-13)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def f(p):
            return p[0] ** 3 * p[1] - p[1] ** 2

        p, v = jnp.array([0.3, -0.8]), jnp.array([1.0, 2.0])
        assert_gradient(lambda v: directional_derivative(f, p, v), lambda v: gradient(f)(p), v)
        assert_gradient(lambda p: directional_derivative(f, p, v), lambda p: hessian(f)(p) @ v, p)

    def test_of_a_function_with_many_values(self):
        both = directional_derivative(pair, x, jnp.ones(4))
        np.testing.assert_array_equal(both[0], jnp.ones(4))
        assert both[1] == 4

    def test_transforms(self):
        assert_transforms(lambda p, v: directional_derivative(energy, p, v), TREE, TREE)

    def test_edges(self):
        half = x.astype(jnp.bfloat16)
        assert directional_derivative(norms, half, half).dtype == jnp.bfloat16
        assert directional_derivative(jnp.sin, 0.0, 2.0) == 2


class TestJacobian:
    @pytest.mark.usefixtures("x64")
    def test_law_of_spherical_coordinates(self):
        def spherical(p):
            r, θ, φ = p
            return r * jnp.array([jnp.sin(θ) * jnp.cos(φ), jnp.sin(θ) * jnp.sin(φ), jnp.cos(θ)])

        p = jnp.array([2.0, 0.7, -1.1])
        for mode in ("auto", "forward", "reverse"):
            volume = jnp.linalg.det(jacobian(spherical, mode=mode)(p))
            np.testing.assert_allclose(volume, 4 * np.sin(0.7), rtol=1e-13)

    def test_law_of_a_linear_map(self):
        matrix = jnp.arange(12.0).reshape(3, 4)
        np.testing.assert_array_equal(jacobian(lambda x: matrix @ x)(x), matrix)

    def test_takes_the_mode_with_fewer_passes(self):
        @jax.custom_vjp
        def tripled(t):  # has no forward mode
            return jnp.tile(jnp.sum(t), 3)

        tripled.defvjp(lambda t: (tripled(t), t), lambda t, ct: (jnp.full_like(t, ct.sum()),))
        four, three = jnp.ones(4), jnp.ones(3)
        np.testing.assert_array_equal(jacobian(tripled)(four), jnp.ones((3, 4)))
        with pytest.raises(TypeError, match="forward-mode"):
            jacobian(tripled)(three)
        np.testing.assert_array_equal(jacobian(tripled, mode="reverse")(three), jnp.ones((3, 3)))

    def test_nests_trees(self):
        j = jacobian(lambda t, k: {"sum": k * t["a"].sum(), "c": t["b"][1]})(TREE, 3.0)
        np.testing.assert_array_equal(j["sum"]["a"], [3.0, 3.0])
        assert j["c"]["a"].shape == (2, 2, 2)
        np.testing.assert_array_equal(j["c"]["b"][1].reshape(4, 4), jnp.eye(4))

    def test_transforms(self):
        assert_transforms(jacobian(lambda x: jnp.outer(x, jnp.sin(x))), x)
        assert_transforms(jacobian(norms), jnp.ones((2, 3)))


class TestHessian:
    @pytest.mark.usefixtures("x64")
    def test_law_of_symmetry(self):
        point = jnp.array([0.3, -0.8, 1.1])
        h = hessian(lambda p: jnp.exp(p[0] * p[1]) * jnp.sin(p[2] * p[0]))(point)
        np.testing.assert_allclose(h, h.T, rtol=1e-14)

    def test_of_a_quadratic_form(self):
        matrix = jnp.arange(16.0).reshape(4, 4)
        h = hessian(lambda x, k: k * x @ matrix @ x)(x, 2.0)
        np.testing.assert_allclose(h, 2 * (matrix + matrix.T), rtol=1e-6)

    def test_nests_trees(self):
        h = hessian(energy)(TREE)
        assert h["a"]["b"][1].shape == (2, 2, 2)
        np.testing.assert_allclose(
            jnp.moveaxis(h["a"]["b"][1], 0, -1), h["b"][1]["a"], rtol=1e-5, atol=1e-6
        )

    def test_cure_for_a_custom_vjp(self):
        square = jax.custom_vjp(lambda t: t @ t)
        square.defvjp(lambda t: (t @ t, t), lambda t, ct: (2 * t * ct,))
        h = jacobian(gradient(square), mode="reverse")(x)
        np.testing.assert_array_equal(h, 2 * jnp.eye(4))

    def test_transforms(self):
        assert_transforms(hessian(jax.nn.logsumexp), x)


class TestHessianVectorProduct:
    @pytest.mark.usefixtures("x64")
    def test_law(self):
        p, v = jnp.array([0.3, -0.8, 1.1]), jnp.array([1.0, 2.0, -1.0])
        product = hessian_vector_product(rosenbrock, p, v)
        reference = scipy.optimize.rosen_hess_prod(np.asarray(p), np.asarray(v))
        np.testing.assert_allclose(product, reference, rtol=1e-13)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        p, u, v = (jnp.array(a) for a in ([0.3, -0.8, 1.1], [2.0, 0.5, 1.0], [1.0, 2.0, -1.0]))
        assert_gradient(
            lambda v: u @ hessian_vector_product(rosenbrock, p, v),
            lambda v: hessian_vector_product(rosenbrock, p, u),
            v,
        )

    def test_keeps_the_tree(self):
        product = hessian_vector_product(energy, TREE, TREE)
        assert jax.tree.map(jnp.shape, product) == jax.tree.map(jnp.shape, TREE)

    def test_transforms(self):
        assert_transforms(lambda p, v: hessian_vector_product(energy, p, v), TREE, TREE)
