"""Cross-entropy of a linear map onto a large vocabulary, which never holds all of its logits.

Notation: h are the hidden states of the tokens, W the kernel and b the bias of the map, z = h W + b
the logits, m = max z, p = softmax(z), L = log Σₖ exp(zₖ); y is the label of a token, w its weight;
T counts tokens, D features, V classes; ε is the label smoothing, ζ the weight of the z-loss, r the
derivative of the loss by the logits.

What it costs
-------------
With 32,768 classes the logits of 4096 tokens fill half a gigabyte, and the plain form holds two
arrays of that size on its way back. Here the tokens come in chunks, and only the logits of one are
there at a time. That leaves a choice. A product of matrices takes 2 T D V operations, and the plain
form makes three: one forward, one for each gradient.

- One loss for each token may be followed by anything, so the logits have to be formed anew on the
  way back, when it is known what each loss counts: four products.
- Of the weighted sum of the losses it is known beforehand. The function has one output, so its
  derivative is an inner product with its gradient, which is formed on the way forward: three.

Both are built of ordinary operations, so that both modes of differentiation are there, and higher
orders.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.numerics._shifted import centred, largest, shifted_logsumexp, shifted_softmax


class _Terms(NamedTuple):
    """What the loss adds to −log p_y, and how many tokens a chunk holds at most."""

    label_smoothing: float
    z_loss: float
    chunk: int


class _Map(NamedTuple):
    """The logits' map; any of the three may also be a tangent, or a gradient."""

    hidden: Any  # (T, D)
    kernel: Any  # (D, V)
    bias: Any  # (V,), or None


class _Tokens(NamedTuple):
    """What is known of each token: a label of −1 is no class; one that is not kept counts 0."""

    labels: Integer[Array, " tokens"]
    kept: Bool[Array, " tokens"]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _losses(
    terms: _Terms, z: Float[Array, "tokens classes"], y: Integer[Array, " tokens"]
) -> tuple[Float[Array, " tokens"], Float[Array, "tokens classes"]]:
    """The losses ℓ and their derivatives r = ∂ℓ/∂z, of which none is a difference that cancels.

    o = Σ_{k≠y} exp(zₖ − m) holds the odds against the label: L − z_y = log(1 + o / exp(z_y − m)),
    and r_y = −o / Σₖ exp(zₖ − m) but for smoothing and z-loss.
    """
    (ε, ζ, _), m, y, V = terms, largest(z, (-1,)), y[:, None], z.shape[-1]
    z_y = jnp.take_along_axis(z, y, -1, mode="clip")
    e, e_y = _odds(z, m), _odds(z_y, m)
    o = jnp.sum(e * (y != jnp.arange(V)), -1, keepdims=True)
    s = o + e_y
    loss = jnp.where(o < e_y, jnp.log1p(o / e_y), jnp.log(s) + jnp.where(z_y == m, 0, m - z_y))
    growth = jnp.zeros_like(s)
    if ε:
        loss = (1 - ε) * loss + ε * (jnp.log(s) + m - jnp.mean(z, -1, keepdims=True))
    if ζ:
        loss, growth = loss + ζ * jnp.square(m + jnp.log(s)), 2 * ζ * (m + jnp.log(s))
    r_y = ((ε + growth) * e_y - (1 - ε) * o) / s
    r = jnp.where(y == jnp.arange(V), r_y, jnp.where(y < 0, jnp.nan, (1 + growth) / s) * e)
    return jnp.where(y < 0, jnp.nan, loss)[:, 0], r - ε / V if ε else r


def _odds(z: Float[Array, "tokens ..."], m: Float[Array, "tokens 1"]) -> Array:
    """exp(z − m); 1 where both are +∞. Without a select, whose zeros XLA would keep as an array."""
    return jnp.minimum(jnp.exp(z - jnp.minimum(m, jnp.finfo(m.dtype).max)), 1.0)


@_losses.defjvp
def _losses_jvp(terms: _Terms, primals: tuple, tangents: tuple) -> tuple:
    (z, y), (z_dot, _), ζ = primals, tangents, terms.z_loss
    losses, r = _losses(terms, z, y)
    p = shifted_softmax(z, (-1,))
    slope = p * centred(z_dot, p, (-1,))
    if ζ:
        growth = 1 + 2 * ζ * shifted_logsumexp(z, (-1,))
        slope = growth * slope + 2 * ζ * p * jnp.sum(p * z_dot, -1, keepdims=True)
    slope = jnp.where(y[:, None] < 0, jnp.nan, slope)
    return (losses, r), (jnp.sum(r * z_dot, -1), slope)


def _logits(map_: _Map) -> Float[Array, "tokens classes"]:
    z = map_.hidden @ map_.kernel
    return z if map_.bias is None else z + map_.bias


def _chunked(rows: Any, chunk: int) -> Any:
    """Rows of arrays in the fewest chunks, all of one size; the last is filled up with zeros."""
    tokens = len(jax.tree.leaves(rows)[0])
    chunks = max(1, -(-tokens // chunk))
    size = max(1, -(-tokens // chunks))

    def cut(x: Array) -> Array:
        filled = jnp.pad(x, [(0, chunks * size - tokens), *[(0, 0)] * (x.ndim - 1)])
        return filled.reshape(chunks, size, *x.shape[1:])

    return jax.tree.map(cut, rows)


def _token_losses(terms: _Terms, map_: _Map, tokens: _Tokens) -> Float[Array, " tokens"]:
    """The loss of each token; the logits of a chunk are formed anew when its gradient is wanted."""

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def losses(rows: tuple) -> Array:
        hidden, labels = rows
        return _losses(terms, _logits(map_._replace(hidden=hidden)), labels)[0]

    rows = _chunked((map_.hidden, tokens.labels), terms.chunk)
    found = jnp.ravel(jax.lax.map(losses, rows))[: len(tokens.labels)]
    return jnp.where(tokens.kept, found, 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _weighted_sum(
    terms: _Terms, map_: _Map, weights: Float[Array, " tokens"], tokens: _Tokens
) -> Float[Array, ""]:
    return jnp.sum(weights * _token_losses(terms, map_, tokens))


@functools.partial(_weighted_sum.defjvp, symbolic_zeros=True)
def _weighted_sum_jvp(terms: _Terms, primals: tuple, tangents: tuple) -> tuple:
    total, gradient = _weighted_sum_and_gradient(terms, *primals)
    slope = jnp.zeros_like(total)
    for g, x_dot in zip(jax.tree.leaves(gradient), jax.tree.leaves(tangents[:2]), strict=True):
        if not isinstance(x_dot, SymbolicZero):
            slope = slope + jnp.sum(g * x_dot)
    return total, slope


def _weighted_sum_and_gradient(
    terms: _Terms, map_: _Map, weights: Float[Array, " tokens"], tokens: _Tokens
) -> tuple[Array, tuple[_Map, Array]]:
    """Σₜ wₜ ℓₜ, and its gradient by the map and by the weights, in one run over the chunks."""

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def add(sums: tuple, rows: tuple) -> tuple:
        hidden, weights, labels = rows
        losses, r = _losses(terms, _logits(map_._replace(hidden=hidden)), labels)
        r = weights[:, None] * r
        by_bias = None if map_.bias is None else jnp.sum(r, 0)
        here = jnp.einsum("td,tv->dv", hidden, r), by_bias
        return jax.tree.map(jnp.add, sums, here), (jnp.einsum("tv,dv->td", r, map_.kernel), losses)

    start = jax.tree.map(jnp.zeros_like, (map_.kernel, map_.bias))
    rows = _chunked((map_.hidden, weights, tokens.labels), terms.chunk)
    sums, (by_hidden, losses) = jax.lax.scan(add, start, rows)
    by_hidden = by_hidden.reshape(-1, map_.hidden.shape[1])[: len(weights)]
    losses = jnp.where(tokens.kept, jnp.ravel(losses)[: len(weights)], 0)
    return jnp.sum(weights * losses), (_Map(by_hidden, *sums), losses)


def _rows(
    name: str,
    hidden: Any,
    kernel: Any,
    labels: Any,
    bias: Any,
    ignore_label: int | None,
    weights: Any = None,
) -> tuple[_Map, _Tokens]:
    """The arguments, checked: tokens in a row, in single precision at least."""
    _check_map(name, hidden, kernel, bias)
    _check_one_for_each_token(name, "labels", labels, hidden)
    _checks.integer(name, labels=labels)
    kept = _kept(name, jnp.asarray(labels), ignore_label)
    known = _checks.labels_known(name, labels, jnp.shape(kernel)[1], where=kept)
    wide = jnp.promote_types(_dtype(hidden, kernel, bias, weights), jnp.float32)
    kernel, bias = jnp.asarray(kernel, wide), None if bias is None else jnp.asarray(bias, wide)
    hidden = jnp.where(kept[..., None], jnp.asarray(hidden, wide), 0)
    y = jnp.where(known, jnp.asarray(labels).astype(jnp.int32), -1)
    y = jnp.where(kept, y, 0)  # whatever its loss, it does not count
    map_ = _Map(hidden.reshape(y.size, len(kernel)), kernel, bias)
    return map_, _Tokens(jnp.ravel(y), jnp.ravel(kept))


def _dtype(*arrays: Any) -> Any:
    return jnp.result_type(*(x for x in arrays if x is not None))


def _check_map(name: str, hidden: Any, kernel: Any, bias: Any) -> None:
    _checks.floating(name, hidden=hidden, kernel=kernel)
    _checks.rank(name, "hidden", hidden, "features")
    _checks.rank(name, "kernel", kernel, "features classes", exact=True)
    features, classes = jnp.shape(kernel)
    _checks.same_size(name, "features", hidden=jnp.shape(hidden)[-1], kernel=features)
    if not classes:
        _checks.fail(name, f"kernel {jnp.shape(kernel)} has no classes")
    if bias is not None:
        _checks.floating(name, bias=bias)
        _checks.rank(name, "bias", bias, "classes", exact=True)
        _checks.same_size(name, "classes", kernel=classes, bias=len(bias))


def _check_one_for_each_token(name: str, argument: str, x: Any, hidden: Any) -> None:
    _checks.array(name, argument, x)
    came, wanted = jnp.shape(x), jnp.shape(hidden)[:-1]
    if came != wanted:
        column = f"{argument}[{':, ' * len(wanted)}0]" if came == (*wanted, 1) else ""
        problem = f"{argument} {came} do not fit hidden {jnp.shape(hidden)}; wanted {wanted}"
        _checks.fail(name, problem, column)


def _terms(name: str, label_smoothing: Any, z_loss: Any, chunk: Any) -> _Terms:
    for argument, x in {"label_smoothing": label_smoothing, "z_loss": z_loss}.items():
        if isinstance(x, jax.Array | np.ndarray):
            problem = f"{argument} is an array; wanted a Python number"
            _checks.fail(name, problem, error=TypeError)
    _checks.number(name, "label_smoothing", label_smoothing, above=0, below=1, closed="[]")
    _checks.number(name, "z_loss", z_loss, above=0, closed="[")
    _checks.size(name, chunk=chunk)
    return _Terms(float(label_smoothing), float(z_loss), int(chunk))


def _kept(name: str, labels: Array, ignore_label: int | None) -> Bool[Array, "*batch"]:
    """Which tokens count: all but those with the ignored label, if their dtype can hold it."""
    if ignore_label is None:
        return jnp.ones(labels.shape, bool)
    _checks.size(name, minimum=-(2**63), ignore_label=ignore_label)
    limits = jnp.iinfo(labels.dtype)
    if not limits.min <= ignore_label <= limits.max:
        return jnp.ones(labels.shape, bool)
    return labels != jnp.asarray(ignore_label, labels.dtype)


def linear_softmax_cross_entropy(
    hidden: Float[Array, "*batch features"],
    kernel: Float[Array, "features classes"],
    labels: Integer[Array, "*batch"],
    *,
    bias: Float[Array, " classes"] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    ignore_label: int | None = None,
    chunk: int = 352,
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of the softmax of a linear map of each token's hidden state.

        ℓ = (1 − ε) (L − z_y) + ε (L − mean z) + ζ L²,    z = h W + b,    L = log Σₖ exp(zₖ)

    At ε = ζ = 0 it is ``softmax_cross_entropy_with_integer_labels(hidden @ kernel + bias, labels)``
    to rounding, without ever holding more than the logits of one chunk of tokens. The way back
    forms them anew: less memory for a third more work than the plain form. Where the objective is a
    weighted sum or mean, ``linear_softmax_cross_entropy_sum`` saves that work too.

    Gradient:
        ∂ℓ/∂h = r Wᵀ,    ∂ℓ/∂W = hᵀ r,    ∂ℓ/∂b = r
        r = ∂ℓ/∂z = p (1 + 2 ζ L) − (1 − ε) 1[· = y] − ε / V

    At the label, r is formed of the sum of the other probabilities: a confident token has neither
    a loss nor a gradient of 0. A label outside [0, V) makes the loss of its token nan, the gradient
    of its hidden state, and the whole gradient of the kernel and of the bias.

    Args:
        hidden: The hidden states h of the tokens, features last.
        kernel: The kernel W, a column for each of the V classes.
        labels: The class y of each token.
        bias: The bias b of each class; none if None. A bias of −∞ marks a class that cannot occur.
        label_smoothing: The ε of the label's probability that is spread over all classes evenly,
            in [0, 1], a Python number.
        z_loss: The weight ζ, in 1/nat, of the penalty that keeps L near 0, a Python number; 10⁻⁴
            in PaLM.
        ignore_label: The label, −1 for example, of tokens that do not count: their loss is 0 and
            nothing depends on their hidden states, even on nan. None ignores no label.
        chunk: The most tokens whose logits are held at a time.

    Returns:
        One loss per token, of the shape of the labels, in nats.

    Raises:
        TypeError: If hidden, kernel or bias are not floating-point arrays, the labels, the ignored
            label or the chunk no integers, or another option no Python number.
        ValueError: If the shapes do not fit, there are no classes, or an option is out of range.

    Example:
        >>> hidden, kernel = jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([[17.0, 0], [0, 0]])
        >>> loss = linear_softmax_cross_entropy(hidden, kernel, jnp.array([0, 1]))
        >>> print(f"{loss[0]:.3e} {loss[1]:.4f}")  # log(1 + e⁻¹⁷) and log 2
        4.140e-08 0.6931

    Source:
        Szegedy et al., Rethinking the Inception architecture for computer vision (2016), §7 (label
        smoothing); Chowdhery et al., PaLM (2022), §5 (z-loss); Chen et al., Training deep nets with
        sublinear memory cost (2016), §4 (forming anew what was not kept).
    """
    name = "linear_softmax_cross_entropy"
    terms = _terms(name, label_smoothing, z_loss, chunk)
    map_, tokens = _rows(name, hidden, kernel, labels, bias, ignore_label)
    losses = _token_losses(terms, map_, tokens).astype(_dtype(hidden, kernel, bias))
    return losses.reshape(jnp.shape(labels))


def linear_softmax_cross_entropy_sum(
    hidden: Float[Array, "*batch features"],
    kernel: Float[Array, "features classes"],
    labels: Integer[Array, "*batch"],
    *,
    weights: Float[Array, "*batch"] | None = None,
    bias: Float[Array, " classes"] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    ignore_label: int | None = None,
    chunk: int = 352,
) -> Float[Array, ""]:
    """Weighted sum of the cross-entropies of a linear map, with its gradient formed on the way.

        Σₜ wₜ ℓₜ,    ℓ = ``linear_softmax_cross_entropy(hidden, kernel, labels, …)``

    The objective of a language model without its logits and without forming any of them twice: what
    each token counts is known beforehand, so the gradients of a chunk are formed as long as its
    logits are there, and only those that are asked for. ``weights`` of 1 / (number of tokens) make
    the mean.

    Gradient:
        ∂/∂h = w r Wᵀ,    ∂/∂W = Σₜ wₜ hₜᵀ rₜ,    ∂/∂b = Σₜ wₜ rₜ,    ∂/∂w = ℓ
        r = ∂ℓ/∂z = p (1 + 2 ζ L) − (1 − ε) 1[· = y] − ε / V

    A label outside [0, V) makes the sum nan, and the gradients but those of other tokens' hidden
    states and weights. A weight of 0 is a factor like any other, and 0 · nan is nan: what is to
    leave no trace goes by ``ignore_label``.

    Args:
        hidden: The hidden states h of the tokens, features last.
        kernel: The kernel W, a column for each of the V classes.
        labels: The class y of each token.
        weights: The weight w of each token; 1 for all if None.
        bias: The bias b of each class; none if None. A bias of −∞ marks a class that cannot occur.
        label_smoothing: The ε of the label's probability that is spread over all classes evenly,
            in [0, 1], a Python number.
        z_loss: The weight ζ, in 1/nat, of the penalty that keeps L near 0, a Python number; 10⁻⁴
            in PaLM.
        ignore_label: The label, −1 for example, of tokens that do not count: they add 0, and
            nothing depends on their hidden states, even on nan. None ignores no label.
        chunk: The most tokens whose logits are held at a time.

    Returns:
        The sum, in nats times the unit of the weights; 0 where every token is ignored.

    Raises:
        TypeError: If hidden, kernel, bias or weights are not floating-point arrays, the labels, the
            ignored label or the chunk no integers, or another option no Python number.
        ValueError: If the shapes do not fit, there are no classes, or an option is out of range.

    Example:
        >>> hidden, kernel = jnp.eye(2), jnp.zeros((2, 8))
        >>> labels, weights = jnp.array([3, -1]), jnp.array([2.0, 5.0])
        >>> total = linear_softmax_cross_entropy_sum(
        ...     hidden, kernel, labels, weights=weights, ignore_label=-1
        ... )
        >>> print(f"{total:.4f}")  # 2 log 8
        4.1589

    Source:
        Hsu et al., Liger Kernel: efficient Triton kernels for LLM training (2024), whose fused
        linear cross-entropy forms the gradients on the way forward; for the terms of the loss, see
        ``linear_softmax_cross_entropy``.
    """
    name = "linear_softmax_cross_entropy_sum"
    terms = _terms(name, label_smoothing, z_loss, chunk)
    _check_map(name, hidden, kernel, bias)
    if weights is None:
        weights = jnp.ones(jnp.shape(hidden)[:-1], _dtype(hidden, kernel, bias))
    _checks.floating(name, weights=weights)
    _check_one_for_each_token(name, "weights", weights, hidden)
    map_, tokens = _rows(name, hidden, kernel, labels, bias, ignore_label, weights)
    wide = jnp.ravel(jnp.asarray(weights, map_.kernel.dtype))
    wide = jnp.where(tokens.kept, wide, 0)
    total = _weighted_sum(terms, map_, wide, tokens)
    return total.astype(_dtype(hidden, kernel, bias, weights))
