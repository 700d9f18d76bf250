"""Derivatives by the chain rule, exact but for rounding.

Forward mode carries a tangent ẋ along with the value and gives J ẋ: one pass for each direction in
x. Reverse mode carries a cotangent ȳ back and gives Jᵀ ȳ: one pass for each number in f(x), but it
stores what the forward pass computed. A pass of either kind costs a small multiple of f itself.

Each function here says which one it takes. Those that return a function differentiate in its first
argument and hold the others fixed; ``partial_derivative`` differentiates in any one.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from fnmath import _checks
from fnmath.calculus import _trees


def derivative(f: Callable[..., PyTree], *, order: int = 1) -> Callable[..., PyTree]:
    """The function x ↦ f′(x), for a number x or, entry by entry, for an array.

        f′(x) = lim (f(x + h) − f(x)) / h    as h → 0

    One forward pass with the tangent 1 in every entry, whatever the size of x: where each entry of
    f(x) depends on its own entry of x alone, J is diagonal and J·1 is that diagonal. If entries do
    mix (softmax), J·1 holds the sums of J's rows, which is no derivative; the mode
    ``fnmath.numerics.checked`` says so. The order k nests k passes and costs about 2ᵏ times f.

    Args:
        f: A function of a real number, with values of any shape (the derivative of a curve is its
            velocity); or a function of an array that works on each entry on its own.
        order: How many times to differentiate, at least once.

    Returns:
        The derivative, a function of the same arguments as f; it differentiates in the first.

    Raises:
        TypeError: If f is not a function; and from the derivative, if x or f(x) is not floating.
        ValueError: If order < 1; and from the derivative, if x is an array and f(x) is not an
            array of its shape.

    Example:
        >>> print(derivative(jnp.sin)(0.0), derivative(derivative(jnp.sin))(0.0))
        1.0 -0.0
        >>> print(derivative(lambda x: x**3, order=2)(jnp.array([1.0, 2.0])))
        [ 6. 12.]

    Source:
        Spivak, Calculus (2006), chapter 9; Griewank and Walther, Evaluating Derivatives (2008),
        chapter 3 (forward mode).
    """
    _checks.function("derivative", "f", f)
    _checks.size("derivative", order=order)
    inner = f if order == 1 else derivative(f, order=order - 1)

    @functools.wraps(f)
    def differentiated(x: Any, *others: Any, **options: Any) -> PyTree:
        argument = _trees.first_parameter(f)
        return _slope("derivative", f, lambda x: inner(x, *others, **options), argument, x)

    return differentiated


def _slope(
    function: str, f: Callable[..., Any], g: Callable[[Any], PyTree], argument: str, x: Any
) -> PyTree:
    """J·1 of ``g``, which is ``f`` with its other arguments held fixed."""
    _checks.array(function, argument, x)
    x = _trees.real(function, argument, x)
    y, slope = jax.jvp(g, (x,), (jnp.ones_like(x),))
    _trees.real_output(function, f, y)
    if x.ndim == 0:
        return slope
    name, one_array = _trees.name_of(f), jax.tree_util.treedef_is_leaf(jax.tree.structure(y))
    if not one_array or jnp.shape(y) != x.shape:
        came = f"shape {jnp.shape(y)}" if one_array else f"a {type(y).__name__}"
        cure = f"gradient({name})" if one_array and jnp.ndim(y) == 0 else f"jacobian({name})"
        problem = f"{name} maps {argument} of shape {x.shape} to {came}; wanted the same shape"
        _checks.fail(function, problem, cure)
    if _checks.value_checks.value:
        v = jnp.linspace(1, 2, x.size, dtype=x.dtype).reshape(x.shape)
        along_v = jax.jvp(g, (x,), (v,))[1]
        diagonal = ~(jnp.abs(along_v - v * slope) > 0.05 * jnp.abs(along_v))
        _checks.value(diagonal, f"{function}: {name} mixes the entries of {argument}")
    return slope


def partial_derivative(f: Callable[..., PyTree], by: str | int) -> Callable[..., PyTree]:
    """The derivative of a function of several variables in one, the others held fixed.

        ∂f/∂xᵢ (x₁, …, xₙ) = lim (f(…, xᵢ + h, …) − f(…, xᵢ, …)) / h    as h → 0

    The variable is a parameter of f. Where it is a number, the derivative has the shape of f's
    value (one forward pass); where f's value is a number, it has the shape, or the tree, of the
    variable (one backward pass); where the two have one shape, it is taken entry by entry, as by
    ``derivative``.

    Args:
        f: A function of several arguments.
        by: The parameter, by its name or its position, counted from 0. An optional one may be left
            out of the call: the derivative is then taken at its default.

    Returns:
        The partial derivative, a function of the same arguments as f, given in the same ways.

    Raises:
        TypeError: If f is not a function, or by is neither a name nor an integer; and from the
            derivative, if an argument is missing, or the variable or f's value is not floating.
        ValueError: If f has no such parameter; and from the derivative, if neither the variable
            nor f's value is a number, and the two differ in shape.

    Example:
        >>> def area(width, height):
        ...     return width * height
        >>> print(partial_derivative(area, "height")(2.0, height=3.0))
        2.0
        >>> print(partial_derivative(area, 0)(2.0, 3.0))
        3.0

    Source:
        Spivak, Calculus on Manifolds (1965), chapter 2 (Partial Derivatives).
    """
    _checks.function("partial_derivative", "f", f)
    slot = _slot(f, by)
    argument = by if isinstance(by, str) else f"argument {by}"

    @functools.wraps(f)
    def differentiated(*args: Any, **options: Any) -> PyTree:
        x, g = _set_apart(f, slot, args, options)
        y = jax.eval_shape(g, _trees.real("partial_derivative", argument, x))
        a_tree = not jax.tree_util.treedef_is_leaf(jax.tree.structure(x))
        if a_tree or (getattr(y, "shape", None) == () and jnp.ndim(x)):
            return _gradient("partial_derivative", f, g, argument, x)
        return _slope("partial_derivative", f, g, argument, x)

    return differentiated


def _slot(f: Callable[..., Any], by: str | int) -> str | int:
    """Where the parameter ``by`` stands in a call of ``f``: its position, or else its name."""
    if not isinstance(by, str):
        _checks.size("partial_derivative", by=by, minimum=0)
    try:
        parameters = inspect.signature(f).parameters
    except ValueError:  # a built-in function that does not say
        return by
    kinds = [p.kind for p in parameters.values()]
    any_position, any_name = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    names = [n for n, p in parameters.items() if p.kind not in (any_position, any_name)]
    positional = _trees.positional_parameters(f)
    if isinstance(by, str):
        known = by in names or any_name in kinds
    else:
        known = by < len(positional) or any_position in kinds
    if not known:
        close = difflib.get_close_matches(str(by), names, n=1)
        problem = f"by is {by!r}; wanted a parameter of {_trees.name_of(f)}: {', '.join(names)}"
        _checks.fail("partial_derivative", problem, repr(close[0]) if close else "")
    return positional.index(by) if by in positional else by


def _set_apart(
    f: Callable[..., Any], slot: str | int, args: tuple, options: dict[str, Any]
) -> tuple[Any, Callable[[Any], Any]]:
    """The argument at ``slot`` of a call of ``f``, and ``f`` as a function of that one alone."""
    try:
        bound = inspect.signature(f).bind(*args, **options)
        bound.apply_defaults()
        args, options = bound.args, bound.kwargs
    except ValueError:  # a built-in function that does not say
        pass
    except TypeError as error:
        problem = f"{_trees.name_of(f)} got {error}"
        _checks.fail("partial_derivative", problem, error=TypeError)
    given = dict(enumerate(args)) | options
    if slot not in given:
        problem = f"{_trees.name_of(f)} got no argument {slot!r}"
        _checks.fail("partial_derivative", problem, error=TypeError)

    def alone(x: Any) -> Any:
        at = given | {slot: x}
        return f(*(at[i] for i in range(len(args))), **{k: at[k] for k in options})

    return given[slot], alone


def gradient(f: Callable[..., Float[Array, ""]]) -> Callable[..., PyTree]:
    """The gradient ∇f of a scalar function: all its partial derivatives, in the shape of x.

        (∇f)ᵢ = ∂f/∂xᵢ,    f(x + v) = f(x) + ⟨∇f(x), v⟩ + o(‖v‖)

    One backward pass, of the cotangent 1: the cost does not depend on the number of variables.

    Args:
        f: A function with a scalar value; its first argument is a pytree of floating-point arrays.

    Returns:
        The gradient, a function of the same arguments as f. Its value has the tree, shapes and
        dtypes of the first argument.

    Raises:
        TypeError: If f is not a function; and from the gradient, if a leaf of x is not floating,
            or f's value is not one real array.
        ValueError: From the gradient, if f's value is not a scalar.

    Example:
        >>> def energy(params):
        ...     return (params["position"] ** 2).sum() / 2 + params["height"]
        >>> slope = gradient(energy)({"position": jnp.array([1.0, 2.0]), "height": 3.0})
        >>> print(slope["position"], slope["height"])
        [1. 2.] 1.0

    Source:
        Griewank and Walther, Evaluating Derivatives (2008), chapter 3 (reverse mode; the cheap
        gradient principle).
    """
    _checks.function("gradient", "f", f)

    @functools.wraps(f)
    def differentiated(x: PyTree, *others: Any, **options: Any) -> PyTree:
        argument = _trees.first_parameter(f)
        return _gradient("gradient", f, lambda x: f(x, *others, **options), argument, x)

    return differentiated


def _gradient(
    function: str, f: Callable[..., Any], g: Callable[[Any], Any], argument: str, x: PyTree
) -> PyTree:
    """∇g(x), where ``g`` is ``f`` with its other arguments held fixed."""
    x = _trees.real(function, argument, x)
    y, pull_back = jax.vjp(g, x)
    _trees.scalar_output(function, f, y)
    (slope,) = pull_back(jnp.ones_like(y))
    return slope


def directional_derivative(f: Callable[[Any], PyTree], x: PyTree, direction: PyTree) -> PyTree:
    """The derivative of f at x along a direction v: how fast f changes as x moves with velocity v.

        Dᵥf(x) = d/dt f(x + t v) at t = 0    = ⟨∇f(x), v⟩ for a scalar f,    = J v in general

    One forward pass; no gradient is formed. It is linear in v, whose length counts: for the slope
    in units of x, give a v of length 1.

    Gradient:
        ∂(Dᵥf)/∂v = ∇f(x)
        ∂(Dᵥf)/∂x = H v

    Args:
        f: A function of one argument, whose value may be a number, an array or a pytree.
        x: The point, a pytree of floating-point arrays.
        direction: The direction v, with the tree, shapes and dtypes of x.

    Returns:
        The derivative, in the shape of f(x).

    Raises:
        TypeError: If f is not a function, or x, v or f(x) is not floating, or v is of another
            dtype than x.
        ValueError: If v has another tree or other shapes than x.

    Example:
        >>> x, v = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
        >>> print(directional_derivative(lambda x: x @ x, x, v))  # 2 ⟨x, v⟩
        22.0

    Source:
        Spivak, Calculus on Manifolds (1965), chapter 2; Griewank and Walther, Evaluating
        Derivatives (2008), chapter 3 (forward mode).
    """
    _checks.function("directional_derivative", "f", f)
    x = _trees.real("directional_derivative", "x", x)
    v = _trees.like("directional_derivative", "direction", direction, "x", x)
    y, slope = jax.jvp(f, (x,), (v,))
    _trees.real_output("directional_derivative", f, y)
    return slope


def jacobian(f: Callable[..., PyTree], *, mode: str = "auto") -> Callable[..., PyTree]:
    """The Jacobian J of a function: every partial derivative of every number in its value.

        Jᵢⱼ = ∂fᵢ/∂xⱼ,    f(x + v) = f(x) + J v + o(‖v‖)

    Forward mode finds J column by column, in n passes for the n numbers in x; reverse mode row by
    row, in m passes for the m numbers in f(x), and keeps intermediate values for them. The passes
    are batched by ``vmap``. Both give the same J, in the dtype of f(x) forward and of x reverse.

    Args:
        f: A function whose first argument, and whose value, are pytrees of floating-point arrays.
        mode: ``"forward"``, ``"reverse"``, or ``"auto"``: forward where n ≤ m, otherwise reverse.

    Returns:
        The Jacobian, a function of the same arguments as f. For arrays its shape is that of f(x)
        followed by that of x; for pytrees it is the tree of f(x) with, at each leaf, a tree of x.

    Raises:
        TypeError: If f is not a function or mode no string; and from the Jacobian, if a leaf of x
            or of f(x) is not floating.
        ValueError: If mode is not one of the three.

    Example:
        >>> def polar(p):
        ...     return jnp.stack([p[0] * jnp.cos(p[1]), p[0] * jnp.sin(p[1])])
        >>> print(jacobian(polar)(jnp.array([2.0, 0.0])))
        [[1. 0.]
         [0. 2.]]

    Source:
        Griewank and Walther, Evaluating Derivatives (2008), chapter 3.
    """
    _checks.function("jacobian", "f", f)
    _checks.option("jacobian", "mode", mode, ("auto", "forward", "reverse"))

    @functools.wraps(f)
    def differentiated(x: PyTree, *others: Any, **options: Any) -> PyTree:
        def alone(x: PyTree) -> PyTree:
            return f(x, *others, **options)

        real = _trees.real("jacobian", _trees.first_parameter(f), x)
        y = jax.eval_shape(alone, real)
        _trees.real_output("jacobian", f, y)
        n, m = (sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (real, y))
        forward = mode == "forward" or (mode == "auto" and n <= m)
        return (jax.jacfwd if forward else jax.jacrev)(alone)(real)

    return differentiated


def hessian(f: Callable[..., Float[Array, ""]]) -> Callable[..., PyTree]:
    """The Hessian H of a scalar function: its second partial derivatives.

        Hᵢⱼ = ∂²f/∂xᵢ∂xⱼ = Hⱼᵢ,    f(x + v) = f(x) + ⟨∇f(x), v⟩ + ½ ⟨v, H v⟩ + o(‖v‖²)

    Forward over reverse: the gradient's Jacobian, in n forward passes over one backward pass, with
    n² numbers in the result. Where only products with H are wanted, ``hessian_vector_product``
    costs one pass. A function whose derivative is a ``custom_vjp`` has no forward mode; for it,
    ``jacobian(gradient(f), mode="reverse")`` is the Hessian.

    Args:
        f: A function with a scalar value; its first argument is a pytree of floating-point arrays.

    Returns:
        The Hessian, a function of the same arguments as f. For an array x its shape is that of x
        twice over; for a pytree it is a tree of x with, at each leaf, a tree of x.

    Raises:
        TypeError: If f is not a function; and from the Hessian, if a leaf of x is not floating,
            or f's value is not one real array.
        ValueError: From the Hessian, if f's value is not a scalar.

    Example:
        >>> print(hessian(lambda x: x[0] ** 2 * x[1])(jnp.array([1.0, 3.0])))
        [[6. 2.]
         [2. 0.]]

    Source:
        Griewank and Walther, Evaluating Derivatives (2008), chapter 5 (second derivatives).
    """
    _checks.function("hessian", "f", f)

    @functools.wraps(f)
    def differentiated(x: PyTree, *others: Any, **options: Any) -> PyTree:
        argument = _trees.first_parameter(f)

        def slope(x: PyTree) -> PyTree:
            return _gradient("hessian", f, lambda x: f(x, *others, **options), argument, x)

        return jax.jacfwd(slope)(_trees.real("hessian", argument, x))

    return differentiated


def hessian_vector_product(
    f: Callable[[Any], Float[Array, ""]], x: PyTree, direction: PyTree
) -> PyTree:
    """The product H v of a scalar function's Hessian with a direction, without the Hessian.

        H v = d/dt ∇f(x + t v) at t = 0

    Forward over reverse: one forward pass over one backward pass, in memory proportional to n and
    not to n².

    Gradient:
        ∂⟨u, H v⟩/∂v = H u        (H is symmetric)

    Args:
        f: A scalar function of one argument.
        x: The point, a pytree of floating-point arrays.
        direction: The direction v, with the tree, shapes and dtypes of x.

    Returns:
        H v, with the tree, shapes and dtypes of x.

    Raises:
        TypeError: If f is not a function, or x, v or f(x) is not floating, or v is of another
            dtype than x.
        ValueError: If v has another tree or other shapes than x, or f(x) is not a scalar.

    Example:
        >>> x, v = jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0])
        >>> print(hessian_vector_product(lambda x: x[0] ** 2 * x[1], x, v))
        [2. 0.]

    Source:
        Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994).
    """
    _checks.function("hessian_vector_product", "f", f)
    x = _trees.real("hessian_vector_product", "x", x)
    v = _trees.like("hessian_vector_product", "direction", direction, "x", x)
    slope = functools.partial(_gradient, "hessian_vector_product", f, f, "x")
    return jax.jvp(slope, (x,), (v,))[1]
