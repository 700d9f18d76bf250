"""The local rules of JAX's operations, in mathematics: what each does to the cotangents.

Notation: an operation makes y of x, of a and b, or of x₁, x₂, …; a bar marks the cotangent of what
is below it. Products are written side by side and are of entries, but those of matrices, which have
capitals; ``[…]`` is 1 where the statement holds and 0 elsewhere. What moves entries is called as
the function of NumPy that does it; ``spread`` repeats along axes that a sum has taken away,
``added`` adds at the indices i, as often as each occurs; ``half`` is the lower triangle of a matrix
with half of its diagonal. Sums Σ go over all places that there are.

Each rule's text is evaluated by the tests, and held against JAX's own derivative.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fnmath.backprop.record import Rule

# Of one x, entry by entry.
ENTRIES = {
    "neg": ("y = −x", "−ȳ"),
    "copy": ("y = x", "ȳ"),
    "copy_p": ("y = x", "ȳ"),
    "reduce_precision": ("y = round(x)", "ȳ"),
    "sign": ("y = sign(x)", "0 ȳ"),
    "floor": ("y = floor(x)", "0 ȳ"),
    "ceil": ("y = ceil(x)", "0 ȳ"),
    "round": ("y = round(x)", "0 ȳ"),
    "abs": ("y = |x|", "sign(x) ȳ"),
    "exp": ("y = exp(x)", "y ȳ"),
    "exp2": ("y = 2ˣ", "log(2) y ȳ"),
    "expm1": ("y = exp(x) − 1", "(y + 1) ȳ"),
    "log": ("y = log(x)", "ȳ / x"),
    "log1p": ("y = log(1 + x)", "ȳ / (1 + x)"),
    "tanh": ("y = tanh x", "(1 − y²) ȳ"),
    "logistic": ("y = 1 / (1 + exp(−x))", "y (1 − y) ȳ"),
    "sin": ("y = sin x", "cos(x) ȳ"),
    "cos": ("y = cos x", "−sin(x) ȳ"),
    "tan": ("y = tan x", "(1 + y²) ȳ"),
    "asin": ("y = arcsin x", "ȳ / √(1 − x²)"),
    "acos": ("y = arccos x", "−ȳ / √(1 − x²)"),
    "atan": ("y = arctan x", "ȳ / (1 + x²)"),
    "sinh": ("y = sinh x", "cosh(x) ȳ"),
    "cosh": ("y = cosh x", "sinh(x) ȳ"),
    "asinh": ("y = arsinh x", "ȳ / √(x² + 1)"),
    "acosh": ("y = arcosh x", "ȳ / √(x² − 1)"),
    "atanh": ("y = artanh x", "ȳ / (1 − x²)"),
    "sqrt": ("y = √x", "ȳ / (2 y)"),
    "rsqrt": ("y = 1 / √x", "−y³ ȳ / 2"),
    "cbrt": ("y = ∛x", "ȳ / (3 y²)"),
    "square": ("y = x²", "2 x ȳ"),
    "erf": ("y = erf x", "2 exp(−x²) ȳ / √π"),
    "erfc": ("y = 1 − erf x", "−2 exp(−x²) ȳ / √π"),
    "erf_inv": ("y = erf⁻¹ x", "√π exp(y²) ȳ / 2"),
    "lgamma": ("y = log |Γ(x)|", "digamma(x) ȳ"),
    "digamma": ("y = d/dx log Γ(x)", "polygamma(1, x) ȳ"),
}

# Of two, a and b, entry by entry.
PAIRS = {
    "add": ("y = a + b", "ȳ", "ȳ"),
    "add_any": ("y = a + b", "ȳ", "ȳ"),
    "sub": ("y = a − b", "ȳ", "−ȳ"),
    "mul": ("y = a b", "b ȳ", "a ȳ"),
    "div": ("y = a / b", "ȳ / b", "−y ȳ / b"),
    "pow": ("y = aᵇ, a > 0", "b power(a, b − 1) ȳ", "log(a) y ȳ"),
    "max": ("y = max(a, b)", "([a > b] + [a = b] / 2) ȳ", "([b > a] + [a = b] / 2) ȳ"),
    "min": ("y = min(a, b)", "([a < b] + [a = b] / 2) ȳ", "([b < a] + [a = b] / 2) ȳ"),
    "atan2": ("y = angle of (b, a)", "b ȳ / (a² + b²)", "−a ȳ / (a² + b²)"),
    "rem": ("y = a − b trunc(a / b)", "ȳ", "−trunc(a / b) ȳ"),
}

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def local_rule(
    operation: str, params: Mapping[str, Any], given: Sequence[Any], made: Sequence[Any]
) -> Rule | None:
    """The local rule of an operation in mathematics, or None where none is written down.

        of y = φ(x):    x̄ = ȳ ∂φ/∂x

    Args:
        operation: JAX's name of the primitive.
        params: The primitive's parameters.
        given: What it takes: anything with ``shape`` and ``dtype``.
        made: What it makes, likewise.

    Returns:
        The rule: the equation of the operation, and one for each input that has a cotangent.

    Example:
        >>> x = jnp.zeros((2, 3))
        >>> print(local_rule("reduce_sum", {"axes": (1,)}, [x], [x[:, 0]]))
        Rule(forward='y = sum(x, (1,))', backward=('x̄ = spread(ȳ, (1,))',))

    Source:
        Griewank and Walther, Evaluating derivatives (2008), table 2.3, for functions of entries;
        Giles, Collected matrix derivative results for forward and reverse mode algorithmic
        differentiation (2008), §2, for products of matrices and for Cholesky's decomposition.
    """
    if any(str(x.dtype).startswith("complex") for x in (*given, *made)):
        return None  # some rules are others then, |x| and those of real parts among them
    if operation in ENTRIES:
        forward, slope = ENTRIES[operation]
        return Rule(forward, (f"x̄ = {slope}",))
    if operation in PAIRS:
        forward, first, second = PAIRS[operation]
        return Rule(forward, (f"ā = {first}", f"b̄ = {second}"))
    rule = WRITTEN.get(operation)
    return rule(params, given, made) if rule else None


def _integer_pow(params: Any, given: Any, made: Any) -> Rule:
    n = params["y"]
    return Rule(f"y = {_power(n)}", (f"x̄ = {_number(n)} {_power(n - 1)} ȳ",))


def _power(n: int) -> str:
    return "x" if n == 1 else f"x{str(n).translate(SUPERSCRIPTS)}"


def _number(n: int) -> str:
    return str(n).replace("-", "−")


def _subscript(i: int) -> str:
    return chr(ord("₀") + i) if i < 10 else _subscript(i // 10) + _subscript(i % 10)


def _select(params: Any, given: Any, made: Any) -> Rule:
    names = [f"x{_subscript(i + 1)}" for i in range(len(given) - 1)]
    cases = ", ".join(f"{x} where c = {i}" for i, x in enumerate(names))
    bars = (f"x̄{x[1:]} = [c = {i}] ȳ" for i, x in enumerate(names))
    return Rule(f"y = {cases}", tuple(bars))


def _mark(params: Any, given: Any, made: Any) -> Rule:
    if len(given) == 1:
        return Rule("y = x", ("x̄ = ȳ",))
    parts = [_subscript(i + 1) for i in range(len(given))]
    forward = ", ".join(f"y{i} = x{i}" for i in parts)
    return Rule(forward, tuple(f"x̄{i} = ȳ{i}" for i in parts))


def _clamp(params: Any, given: Any, made: Any) -> Rule:
    low, high = "[x < l] ȳ", "[x > u] ȳ"
    ends = [f"sum({z}, {tuple(range(len(given[1].shape)))})" for z in (low, high)]
    scalar = not given[0].shape and given[1].shape
    low, high = ends if scalar else (low, high)
    bars = f"l̄ = {low}", "x̄ = [l < x] [x < u] ȳ", f"ū = {high}"
    return Rule("y = min(max(x, l), u)", bars)


def _convert(params: Any, given: Any, made: Any) -> Rule:
    return Rule(f"y = {made[0].dtype}(x)", ("x̄ = ȳ",))


def _reduce_sum(params: Any, given: Any, made: Any) -> Rule:
    axes = tuple(params["axes"])
    return Rule(f"y = sum(x, {axes})", (f"x̄ = spread(ȳ, {axes})",))


def _extreme(word: str) -> Callable[..., Rule]:
    def rule(params: Any, given: Any, made: Any) -> Rule:
        axes = tuple(params["axes"])
        where = f"[x = spread(y, {axes})]"
        share = f"{where} spread(ȳ, {axes}) / spread(sum({where}, {axes}), {axes})"
        return Rule(f"y = {word}(x, {axes})", (f"x̄ = {share}",))

    return rule


def _reduce_prod(params: Any, given: Any, made: Any) -> Rule:
    axes = tuple(params["axes"])
    return Rule(f"y = prod(x, {axes}), x ≠ 0", (f"x̄ = spread(y ȳ, {axes}) / x",))


def _cumulative(params: Any) -> tuple[str, str]:
    """The sums along the axis, and those from its other end, which are the adjoint."""
    first, second = ("cumsum", "revcumsum")[:: -1 if params["reverse"] else 1]
    axis = params["axis"]
    return f"{first}(%s, {axis})", f"{second}(%s, {axis})"


def _cumsum(params: Any, given: Any, made: Any) -> Rule:
    forward, back = _cumulative(params)
    return Rule(f"y = {forward % 'x'}", (f"x̄ = {back % 'ȳ'}",))


def _cumprod(params: Any, given: Any, made: Any) -> Rule:
    forward, back = _cumulative(params)
    forward = (forward % "x").replace("sum", "prod")
    return Rule(f"y = {forward}, x ≠ 0", (f"x̄ = {back % 'y ȳ'} / x",))


def _cumlogsumexp(params: Any, given: Any, made: Any) -> Rule:
    forward, back = _cumulative(params)
    return Rule(f"y = log({forward % 'exp(x)'})", (f"x̄ = exp(x) {back % 'exp(−y) ȳ'}",))


def _broadcast(params: Any, given: Any, made: Any) -> Rule | None:
    if len(given) > 1:
        return None
    shape, dims = tuple(params["shape"]), params["broadcast_dimensions"]
    new = [i for i in range(len(shape)) if i not in dims]
    stretched = [d for d, n in zip(dims, given[0].shape, strict=True) if n != shape[d]]
    axes, inner = tuple(sorted(new + stretched)), tuple(given[0].shape)
    total = f"sum(ȳ, {axes})" if axes else "ȳ"
    back = total if not stretched and inner else f"reshape({total}, {inner})"
    return Rule(f"y = broadcast(x, {shape})", (f"x̄ = {back}",))


def _reshape(params: Any, given: Any, made: Any) -> Rule:
    before, after = tuple(given[0].shape), tuple(made[0].shape)
    return Rule(f"y = reshape(x, {after})", (f"x̄ = reshape(ȳ, {before})",))


def _transpose(params: Any, given: Any, made: Any) -> Rule:
    order = tuple(params["permutation"])
    if order == (1, 0):
        return Rule("Y = Xᵀ", ("X̄ = Ȳᵀ",))
    back = tuple(int(i) for i in np.argsort(order))
    return Rule(f"y = transpose(x, {order})", (f"x̄ = transpose(ȳ, {back})",))


def _reverse(params: Any, given: Any, made: Any) -> Rule:
    axes = tuple(params["dimensions"])
    return Rule(f"y = flip(x, {axes})", (f"x̄ = flip(ȳ, {axes})",))


def _window(starts: Any, stops: Any, steps: Any) -> str:
    """The slices of an array, as Python writes them."""
    each = zip(starts, stops, steps, strict=True)
    return ", ".join(f"{a}:{b}" + (f":{s}" if s != 1 else "") for a, b, s in each)


def _slice(params: Any, given: Any, made: Any) -> Rule | None:
    starts, stops = params["start_indices"], params["limit_indices"]
    where = _window(starts, stops, params["strides"] or (1,) * len(starts))
    zeros = f"zeros({tuple(given[0].shape)})"
    return Rule(f"y = x[{where}]", (f"x̄ = put({zeros}, [{where}], ȳ)",))


def _pad(params: Any, given: Any, made: Any) -> Rule | None:
    config = params["padding_config"]
    if any(low < 0 or high < 0 for low, high, _ in config):
        return None
    ends = [
        low + (n - 1) * (i + 1) + 1 for (low, _, i), n in zip(config, given[0].shape, strict=True)
    ]
    where = _window([low for low, _, _ in config], ends, [i + 1 for _, _, i in config])
    whole = tuple(range(len(config)))
    return Rule(
        f"y = v outside of [{where}], x inside",
        (f"x̄ = ȳ[{where}]", f"v̄ = sum(ȳ, {whole}) − sum(ȳ[{where}], {whole})"),
    )


def _concatenate(params: Any, given: Any, made: Any) -> Rule:
    axis, start, bars = params["dimension"], 0, []
    for k, x in enumerate(given):
        stop = start + x.shape[axis]
        where = ", ".join([":"] * axis + [f"{start}:{stop}"])
        bars.append(f"x̄{_subscript(k + 1)} = ȳ[{where}]")
        start = stop
    names = ", ".join(f"x{_subscript(k + 1)}" for k in range(len(given)))
    return Rule(f"y = concatenate(({names}), {axis})", tuple(bars))


def _split(params: Any, given: Any, made: Any) -> Rule:
    names = ", ".join(f"ȳ{_subscript(k + 1)}" for k in range(len(made)))
    parts = names.replace("ȳ", "y")
    axis = params["axis"]
    return Rule(f"{parts} = split(x, {axis})", (f"x̄ = concatenate(({names}), {axis})",))


def _starts(given: Sequence[Any], first: int) -> str:
    names = [f"i{_subscript(k + 1)}" for k in range(len(given) - first)]
    return "(" + ", ".join(names) + ("," if len(names) == 1 else "") + ")"


def _dynamic_slice(params: Any, given: Any, made: Any) -> Rule:
    at, shape = _starts(given, 1), tuple(params["slice_sizes"])
    zeros = f"zeros({tuple(given[0].shape)})"
    return Rule(f"y = block(x, {at}, {shape})", (f"x̄ = place({zeros}, {at}, ȳ)",))


def _dynamic_update_slice(params: Any, given: Any, made: Any) -> Rule:
    at, shape = _starts(given, 2), tuple(given[1].shape)
    return Rule(
        f"y = place(a, {at}, b)",
        (f"ā = place(ȳ, {at}, zeros({shape}))", f"b̄ = block(ȳ, {at}, {shape})"),
    )


def _sort(params: Any, given: Any, made: Any) -> Rule | None:
    if len(given) != 1:
        return None
    axis = params["dimension"]
    return Rule(
        f"y = take(x, argsort(x, {axis}), {axis})",
        (f"x̄ = take(ȳ, argsort(argsort(x, {axis}), {axis}), {axis})",),
    )


# By which axis each matrix is summed over: the product, and the cotangents of both.
PRODUCTS = {
    (1, 0): ("A B", "C̄ Bᵀ", "Aᵀ C̄"),
    (0, 0): ("Aᵀ B", "B C̄ᵀ", "A C̄"),
    (1, 1): ("A Bᵀ", "C̄ B", "C̄ᵀ A"),
    (0, 1): ("Aᵀ Bᵀ", "Bᵀ C̄ᵀ", "C̄ᵀ Aᵀ"),
}


def _dot_general(params: Any, given: Any, made: Any) -> Rule:
    (summed, batched) = params["dimension_numbers"]
    a, b = (len(x.shape) for x in given)
    if a == b == 2 and not batched[0] and len(summed[0]) == 1:
        product, first, second = PRODUCTS[summed[0][0], summed[1][0]]
        return Rule(f"C = {product}", (f"Ā = {first}", f"B̄ = {second}"))
    letters = iter(string.ascii_lowercase)
    left = [next(letters) for _ in range(a)]
    right = [""] * b
    for i, j in zip((*summed[0], *batched[0]), (*summed[1], *batched[1]), strict=True):
        right[j] = left[i]
    right = [letter or next(letters) for letter in right]
    shared = [left[i] for i in batched[0]]
    free = [
        letter
        for letters_, numbers, own in (
            (left, summed[0], batched[0]),
            (right, summed[1], batched[1]),
        )
        for i, letter in enumerate(letters_)
        if i not in numbers and i not in own
    ]
    A, B, C = "".join(left), "".join(right), "".join(shared + free)
    return Rule(
        f"y = einsum({A},{B}→{C}; a, b)",
        (f"ā = einsum({C},{B}→{A}; ȳ, b)", f"b̄ = einsum({A},{C}→{B}; a, ȳ)"),
    )


def _indexed(numbers: Any, window: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether numbers say x[i], with coordinates on the leading axes, and all of the others."""
    fields = type(numbers)._fields
    collapsed, batched = (getattr(numbers, fields[k]) for k in (1, 3))
    leading = tuple(range(len(collapsed)))
    rest = tuple(window)[len(leading) :] == tuple(shape)[len(leading) :]
    return tuple(collapsed) == tuple(numbers[2]) == leading and not batched and rest


def _gather(params: Any, given: Any, made: Any) -> Rule | None:
    numbers, shape = params["dimension_numbers"], tuple(given[0].shape)
    window, ranks = tuple(params["slice_sizes"]), (len(given[1].shape), len(made[0].shape))
    if _indexed(numbers, window, shape) and numbers.offset_dims == tuple(
        range(ranks[0] - 1, ranks[1])
    ):
        return Rule("y = x[i]", (f"x̄ = added(zeros({shape}), i, ȳ)",))
    along = tuple(numbers.start_index_map)
    others = tuple(k for k in range(len(shape)) if k not in along)
    if len(along) == 1 and tuple(numbers.operand_batching_dims) == others and not numbers[0]:
        (axis,) = along
        return Rule(f"y = take(x, i, {axis})", (f"x̄ = added(zeros({shape}), i, ȳ, {axis})",))
    return None


def _scatter_add(params: Any, given: Any, made: Any) -> Rule | None:
    numbers, shape = params["dimension_numbers"], tuple(given[0].shape)
    free = len(given[1].shape) - 1
    trailing = tuple(range(free, len(given[2].shape)))
    window = (1,) * len(numbers.inserted_window_dims) + tuple(given[2].shape)[free:]
    if _indexed(numbers, window, shape) and tuple(numbers.update_window_dims) == trailing:
        return Rule("y = added(x, i, u)", ("x̄ = ȳ", "ū = ȳ[i]"))
    return None


def _cholesky(params: Any, given: Any, made: Any) -> Rule:
    return Rule("L Lᵀ = A", ("Ā = inv(L)ᵀ half(Lᵀ L̄) inv(L)",))


def _triangular_solve(params: Any, given: Any, made: Any) -> Rule | None:
    if params["unit_diagonal"]:
        return None
    triangle = "lower" if params["lower"] else "upper"
    plain, turned = ("A", "Aᵀ")[:: -1 if params["transpose_a"] else 1]
    if params["left_side"]:
        forward, b = f"{plain} X = B", f"inv({turned}) X̄"
        a = f"X ({b})ᵀ" if params["transpose_a"] else f"{b} Xᵀ"
    else:
        forward, b = f"X {plain} = B", f"X̄ inv({turned})"
        a = f"({b})ᵀ X" if params["transpose_a"] else f"Xᵀ {b}"
    return Rule(forward, (f"Ā = −{triangle}({a})", f"B̄ = {b}"))


def _windows(strides: Sequence[int], dilation: Sequence[int], low: Sequence[int]) -> Rule:
    """The rule of a convolution: which entry of x the tap t of the window p sees."""
    apart = f"{_coefficient(dilation)}t"
    less, more = (f" {sign} {_vector(low)}" if any(low) else "" for sign in "−+")
    place, window = f"{_coefficient(strides)}p + {apart}{less}", f"q − {apart}{more}"
    if set(strides) != {1}:
        window = f"({window}) / {_vector(strides)}"
    return Rule(
        f"y[p] = Σₜ x[{place}] k[t]",
        (f"x̄[q] = Σₜ ȳ[{window}] k[t]ᵀ", f"k̄[t] = Σₚ x[{place}]ᵀ ȳ[p]"),
    )


def _vector(numbers: Sequence[int]) -> str:
    """A vector of integers, or one number where all are the same."""
    same = len(set(numbers)) == 1
    return str(numbers[0]) if same else f"({', '.join(map(str, numbers))})"


def _coefficient(numbers: Sequence[int]) -> str:
    return "" if set(numbers) == {1} else f"{_vector(numbers)} "


def _convolution(params: Any, given: Any, made: Any) -> Rule | None:
    low = [before for before, _ in params["padding"]]
    groups = params["feature_group_count"], params["batch_group_count"]
    if groups != (1, 1) or set(params["lhs_dilation"]) - {1} or min(low, default=-1) < 0:
        return None
    return _windows(params["window_strides"], params["rhs_dilation"], low)


def _correlate(params: Any, given: Any, made: Any) -> Rule | None:
    grid = params["grid"]
    plain = params["role"] == "output" and (params["groups"], params["sets"]) == (1, 0)
    if not plain or set(grid.modes) != {"CONSTANT"}:
        return None
    return _windows(grid.strides, grid.dilation, [low for low, _ in grid.margins])


WRITTEN: dict[str, Callable[..., Rule | None]] = {
    "integer_pow": _integer_pow,
    "select_n": _select,
    "clamp": _clamp,
    "mark": _mark,
    "convert_element_type": _convert,
    "reduce_sum": _reduce_sum,
    "reduce_max": _extreme("max"),
    "reduce_min": _extreme("min"),
    "reduce_prod": _reduce_prod,
    "cumsum": _cumsum,
    "cumprod": _cumprod,
    "cumlogsumexp": _cumlogsumexp,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
    "rev": _reverse,
    "slice": _slice,
    "pad": _pad,
    "concatenate": _concatenate,
    "split": _split,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "sort": _sort,
    "dot_general": _dot_general,
    "gather": _gather,
    "scatter-add": _scatter_add,
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
    "conv_general_dilated": _convolution,
    "correlate": _correlate,
}
