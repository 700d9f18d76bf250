"""Drawn configurations of attention, and what other implementations make of them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Case(NamedTuple):
    """Arrays in float64, options, and the whole mask that the options amount to."""

    arrays: dict[str, Any]  # query, key, value, and bias where there is one
    masks: dict[str, Any]  # mask and lengths, where there are some
    options: dict[str, Any]
    seen: np.ndarray  # (*batch heads queries keys)
    cotangent: np.ndarray


def draw(seed: int) -> Case:
    """One configuration: sizes, sharing of heads, bias, mask, causality, window and lengths."""
    rng = np.random.default_rng(seed)
    batch = ((), (2,), (2, 3))[rng.integers(3)]
    groups, shared = rng.integers(1, 4, 2)
    heads = int(groups * shared)
    T, S, D, E = (int(n) for n in rng.integers(1, (7, 7, 5, 5)))
    shapes = {
        "query": (*batch, T, heads, D),
        "key": (*batch, S, int(groups), D),
        "value": (*batch, S, int(groups), E),
    }
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    full = (*batch, heads, T, S)
    if rng.random() < 0.5:
        arrays["bias"] = rng.normal(size=_some_axes(rng, full))
    masks, options = {}, {}
    seen = np.ones(full, bool)
    t, s = np.arange(T)[:, None], np.arange(S)
    if rng.random() < 0.4:
        masks["mask"] = rng.random(_some_axes(rng, full)) < 0.7
        seen = seen & masks["mask"]
    if rng.random() < 0.4:
        options["is_causal"] = True
        seen = seen & (s <= t)
    if rng.random() < 0.3:
        before, behind = (int(n) for n in rng.integers(0, 4, 2))
        options["local_window_size"] = (before, behind)
        seen = seen & (s >= t - before) & (s <= t + behind)
    if rng.random() < 0.3:
        lengths = rng.integers(0, S + 1, batch)
        masks["key_value_seq_lengths"] = lengths
        seen = seen & (s < lengths[..., None, None, None])
    if rng.random() < 0.2:
        lengths = rng.integers(0, T + 1, batch)
        masks["query_seq_lengths"] = lengths
        seen = seen & (t < lengths[..., None, None, None])
    if rng.random() < 0.3:
        options["scale"] = float(rng.uniform(0.1, 2))
    return Case(arrays, masks, options, seen, rng.normal(size=(*batch, T, heads, E)))


def _some_axes(rng: np.random.Generator, full: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to the full one: axes of size 1, or missing at the front."""
    shape = [n if rng.random() < 0.7 else 1 for n in full]
    return tuple(shape[rng.integers(0, len(full) - 1) :])


def pulled(f: Any, case: Case, dtype: Any = jnp.float64) -> tuple[Any, dict[str, Any]]:
    """What f makes of the case, and the gradients of all its floating-point arrays."""
    arrays, cotangent = (
        jax.tree.map(lambda a: jnp.asarray(a, dtype), x) for x in (case.arrays, case.cotangent)
    )

    @jax.jit
    def run(arrays: Any, masks: Any, cotangent: Any) -> Any:
        y, back = jax.vjp(lambda arrays: f(**arrays, **masks, **case.options), arrays)
        return y, back(cotangent)[0]

    return run(arrays, jax.tree.map(jnp.asarray, case.masks), cotangent)


def pulled_by_torch(torch: Any, case: Case) -> tuple[Any, dict[str, Any]]:
    """The same by ``F.scaled_dot_product_attention``, in float64.

    A float mask holds the bias, and −∞ where a key is not seen.
    """
    arrays = {name: torch.tensor(a, requires_grad=True) for name, a in case.arrays.items()}
    query, key, value = (arrays[name].transpose(-3, -2) for name in ("query", "key", "value"))
    mask = torch.where(torch.tensor(case.seen), 0.0, -torch.inf).double()
    if "bias" in arrays:
        mask = mask + arrays["bias"]
    batch = query.shape[:-3]
    query, key, value = (x.reshape(-1, *x.shape[-3:]) for x in (query, key, value))
    y = torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask.reshape(-1, *mask.shape[-3:]),
        scale=case.options.get("scale"),
        enable_gqa=True,
    )
    y = y.reshape(*batch, *y.shape[-3:]).transpose(-3, -2)
    y.backward(torch.tensor(case.cotangent))
    return y.detach().numpy(), {name: a.grad.numpy() for name, a in arrays.items()}


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    """All arrays of two trees agree to ``tolerance`` of the largest entry of each, or of 1."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.shape == e.shape
        size = max(1.0, float(np.max(np.abs(e), initial=0)))
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * size)
