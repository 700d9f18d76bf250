"""fnmath.layers.state_space: the selective scan against its recurrence, and the Mamba block."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import softplus
from fnmath.layers import (
    DenseParams,
    MambaState,
    mamba,
    mamba_init,
    mamba_state_init,
    mamba_step,
    selective_scan,
    selective_scan_step,
)
from tests.helpers import Mistake, assert_derivatives, assert_transforms

KEY = jax.random.key(0)
x, h = jnp.ones((4, 5, 3)), jnp.zeros((4, 3, 2))
A, B = -jnp.ones((3, 2)), jnp.ones((4, 5, 2))
SPACE = {"A": A, "B": B, "C": B}
STEP = {"A": A, "B": B[:, 0], "C": B[:, 0]}
BLOCK = mamba_init(KEY, 3, states=2)
WHOLE = (
    "MambaParams(in_projection, conv_kernel, conv_bias, selection, step, A_log, D, out_projection)"
)

MISTAKES = [
    Mistake(
        selective_scan, (x, None), SPACE, TypeError,
        "selective_scan: delta is a NoneType; wanted an array",
    ),
    Mistake(
        selective_scan, (x, x[..., :1]), SPACE, ValueError,
        "selective_scan: x (4, 5, 3) and delta (4, 5, 1) must have one shape",
    ),
    Mistake(
        selective_scan, (x, x), {**SPACE, "A": A[0]}, ValueError,
        "selective_scan: A has shape (2,); wanted exactly 2 axes, (channels states); "
        "did you mean A[None]?",
    ),
    Mistake(
        selective_scan, (x, x), {**SPACE, "A": A[:2]}, ValueError,
        "selective_scan: the number of channels must agree: x has 3 and A has 2",
    ),
    Mistake(
        selective_scan, (x, x), {**SPACE, "C": B[0]}, ValueError,
        "selective_scan: C has shape (5, 2); wanted (4, 5, 2)",
    ),
    Mistake(
        selective_scan, (x, x), {**SPACE, "D": jnp.ones(2)}, ValueError,
        "selective_scan: D has shape (2,); wanted (3,)",
    ),
    Mistake(
        selective_scan, (x, x), {**SPACE, "initial_state": h[0]}, ValueError,
        "selective_scan: initial_state has shape (3, 2); wanted (4, 3, 2)",
    ),
    Mistake(
        selective_scan, (x, x), {**SPACE, "chunk": 0}, ValueError,
        "selective_scan: chunk is 0; wanted an integer of at least 1",
    ),
    Mistake(
        selective_scan_step, (None, x[:, 0], x[:, 0]), STEP, TypeError,
        "selective_scan_step: state is a NoneType; wanted an array",
    ),
    Mistake(
        selective_scan_step, (h[:1], x[:, 0], x[:, 0]), STEP, ValueError,
        "selective_scan_step: state has shape (1, 3, 2); wanted (4, 3, 2)",
    ),
    Mistake(
        mamba_init, (0, 3), {}, TypeError,
        "mamba_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        mamba_init, (KEY, 3), {"rank": 0}, ValueError,
        "mamba_init: rank is 0; wanted an integer of at least 1",
    ),
    Mistake(
        mamba_state_init, (BLOCK,), {"batch": 3}, TypeError,
        "mamba_state_init: batch is a int; wanted a tuple of integers",
    ),
    Mistake(
        mamba_state_init, (BLOCK,), {"batch": (-1,)}, ValueError,
        "mamba_state_init: batch[0] is -1; wanted an integer of at least 0",
    ),
    Mistake(
        mamba, (None, x), {}, TypeError,
        f"mamba: params is a NoneType; wanted {WHOLE}",
    ),
    Mistake(
        mamba, (BLOCK._replace(step=None), x), {}, TypeError,
        "mamba: step is a NoneType; wanted DenseParams(kernel, bias)",
    ),
    Mistake(
        mamba, (BLOCK._replace(D=jnp.ones(3)), x), {}, ValueError,
        "mamba: D has shape (3,); wanted (6,), for the 6 channels of A_log",
    ),
    Mistake(
        mamba, (BLOCK._replace(selection=DenseParams(jnp.ones((6, 3)))), x), {}, ValueError,
        "mamba: selection.kernel has shape (6, 3); wanted (6, 5)",
    ),
    Mistake(
        mamba, (BLOCK._replace(step=DenseParams(jnp.ones((1, 6)), jnp.ones(5))), x), {}, ValueError,
        "mamba: step.bias has shape (5,); wanted (6,)",
    ),
    Mistake(
        mamba, (BLOCK, x[..., :2]), {}, ValueError,
        "mamba: the number of features must agree: x has 2 and in_projection has 3",
    ),
    Mistake(
        mamba, (BLOCK, x), {"initial_state": MambaState(h, h)}, ValueError,
        "mamba: initial_state.inputs has shape (4, 3, 2); wanted (4, 3, 6)",
    ),
    Mistake(
        mamba_step, (BLOCK, None, x[:, 0]), {}, TypeError,
        "mamba_step: state is a NoneType; wanted MambaState(inputs, states)",
    ),
    Mistake(
        mamba_step, (BLOCK, mamba_state_init(BLOCK), x[:, 0]), {}, ValueError,
        "mamba_step: state.inputs has shape (3, 6); wanted (4, 3, 6)",
    ),
]  # fmt: skip


def drawn_space(rng, batch, time, channels, states, scale=1.0):
    """What a selective scan is given, with steps of that scale."""
    return {
        "x": rng.standard_normal((*batch, time, channels)),
        "delta": scale * np.exp(rng.standard_normal((*batch, time, channels))),
        "A": -np.exp(rng.standard_normal((channels, states))),
        "B": rng.standard_normal((*batch, time, states)),
        "C": rng.standard_normal((*batch, time, states)),
        "D": rng.standard_normal(channels),
        "initial_state": rng.standard_normal((*batch, channels, states)),
    }


def scanned(given, **options):
    """The scan of what is given by name."""
    given = dict(given)
    return selective_scan(given.pop("x"), given.pop("delta"), **given, **options)


def plain_recurrence(torch, x, delta, A, B, C, D, initial_state):
    """The definition, entry by entry."""
    h, y = initial_state, []
    for t in range(x.shape[-2]):
        step = delta[..., t, :, None]
        h = torch.exp(step * A) * h + step * x[..., t, :, None] * B[..., t, None, :]
        y.append((h * C[..., t, None, :]).sum(-1) + D * x[..., t, :])
    return torch.stack(y, -2), h


def gradients(torch, f, given, rng):
    """Answers of a PyTorch function, drawn cotangents, and the gradients under them."""
    leaves = {name: torch.tensor(a, requires_grad=True) for name, a in given.items()}
    answers = f(**leaves)
    cotangents = [rng.standard_normal(a.shape) for a in answers]
    total = sum((a * torch.tensor(c)).sum() for a, c in zip(answers, cotangents, strict=True))
    total.backward()
    slopes = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    return [a.detach().numpy() for a in answers], cotangents, slopes


def assert_close(ours, theirs, tolerance=1e-10):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(initial=0))


@pytest.mark.usefixtures("x64")
class TestSelectiveScan:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("batch", "time", "channels", "states", "chunk"),
        [
            ((), 1, 1, 1, 64),
            ((), 7, 2, 3, 1),
            ((2,), 8, 3, 2, 4),
            ((2,), 9, 3, 2, 4),
            ((2, 1), 5, 2, 4, 2),
            ((3,), 6, 1, 5, 6),
            ((1,), 17, 2, 2, 5),
            ((2,), 33, 2, 3, 16),
        ],
    )
    def test_is_its_recurrence(self, torch, batch, time, channels, states, chunk):
        """40 configurations, answers and all gradients: steps from 1e-8 to 1e4 among them."""

        @jax.jit
        def everything(given, cotangents):
            answers, pullback = jax.vjp(partial(scanned, chunk=chunk), given)
            return answers, pullback(tuple(cotangents))[0]

        for i, scale in enumerate((1.0, 0.1, 1e-8, 100.0, 1e4)):
            rng = np.random.default_rng((time, channels, i))
            given = drawn_space(rng, batch, time, channels, states, scale)
            recurrence = partial(plain_recurrence, torch)
            answers, cotangents, slopes = gradients(torch, recurrence, given, rng)
            ours, ours_slopes = everything(jax.tree.map(jnp.asarray, given), cotangents)
            assert_close(ours, answers)
            assert_close(ours_slopes, slopes)

    def test_is_its_steps(self):
        rng = np.random.default_rng(0)
        given = jax.tree.map(jnp.asarray, drawn_space(rng, (2,), 5, 3, 4))
        y, final = jax.jit(partial(scanned, chunk=2))(given)
        h, step = given["initial_state"], jax.jit(selective_scan_step)
        for t in range(5):
            now = {name: given[name][:, t] for name in ("x", "delta", "B", "C")}
            out, h = step(h, **now, A=given["A"], D=given["D"])
            np.testing.assert_allclose(y[:, t], out, rtol=1e-12)
        np.testing.assert_allclose(final, h, rtol=1e-12)

    @pytest.mark.slow
    def test_law_of_parts(self):
        """A sequence in two parts, the second from the state after the first, is the whole."""
        rng = np.random.default_rng(0)
        given = jax.tree.map(jnp.asarray, drawn_space(rng, (2,), 7, 3, 4))

        def part(window, state):
            cut = {n: given[n][:, window] for n in ("x", "delta", "B", "C")}
            return scanned({**given, **cut, "initial_state": state})

        y, final = scanned(given)
        first, middle = part(slice(0, 3), given["initial_state"])
        second, last = part(slice(3, 7), middle)
        np.testing.assert_allclose(y, jnp.concatenate([first, second], 1), rtol=1e-12)
        np.testing.assert_allclose(final, last, rtol=1e-12)

    def test_no_time_no_change(self):
        """Steps Δ = 0 leave the state as it is, infinite ones forget it."""
        rng = np.random.default_rng(0)
        given = jax.tree.map(jnp.asarray, drawn_space(rng, (2,), 4, 3, 2, scale=0.0))
        _, final = scanned(given)
        np.testing.assert_array_equal(final, given["initial_state"])
        forgot = {**given, "delta": jnp.full_like(given["delta"], 1e6)}
        other = {**forgot, "initial_state": -given["initial_state"]}
        np.testing.assert_array_equal(scanned(forgot)[0], scanned(other)[0])

    @pytest.mark.slow
    def test_second_order(self):
        given = drawn_space(np.random.default_rng(0), (), 3, 2, 2)

        assert_derivatives(partial(scanned, chunk=2), given)

    @pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (5, 3)])
    def test_shapes(self, shape):
        given = drawn_space(np.random.default_rng(0), shape[:-2], shape[-2], 3, 2)
        y, final = scanned(jax.tree.map(jnp.asarray, given))
        assert y.shape == shape
        assert final.shape == (*shape[:-2], 3, 2)
        without = {n: jnp.asarray(a) for n, a in given.items() if n not in ("D", "initial_state")}
        assert scanned(without)[0].shape == shape

    def test_nan_reaches_what_follows_it(self):
        given = jax.tree.map(jnp.asarray, drawn_space(np.random.default_rng(0), (), 6, 1, 2))
        given["x"] = given["x"].at[2].set(jnp.nan)
        y, _ = scanned(given, chunk=4)
        np.testing.assert_array_equal(jnp.isnan(y[:, 0]), [False] * 2 + [True] * 4)


def in_single(given):
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), given)


class TestPrecision:
    def test_transforms(self):
        rng = np.random.default_rng(0)
        given = drawn_space(rng, (2,), 5, 3, 2)
        assert_transforms(lambda given: scanned(given, chunk=2), in_single(given))
        now = {n: a[:, 0] if n in ("x", "delta", "B", "C") else a for n, a in given.items()}
        now = in_single(now)
        assert_transforms(
            lambda state, now: selective_scan_step(state, **now), now.pop("initial_state"), now
        )

    def test_half_precision(self):
        """1024 steps that add 1/256: in bfloat16 the state would stop at 1."""
        ones, half = jnp.ones((1024, 1), jnp.bfloat16), jnp.bfloat16
        y, final = selective_scan(
            ones, ones / 256, A=jnp.zeros((1, 1), half), B=ones, C=ones, chunk=32
        )
        assert y.dtype == final.dtype == half
        assert float(final[0, 0]) == float(y[-1, 0]) == 4


def torch_block(torch, in_kernel, conv_kernel, conv_bias, selection, step, step_bias, A_log, D, out,
                x, rank):  # fmt: skip
    """The Mamba block of its paper, in PyTorch's own words."""
    F, width = torch.nn.functional, conv_kernel.shape[0]
    u, gate = (x @ in_kernel).chunk(2, dim=-1)
    u = F.conv1d(
        u.transpose(1, 2),
        conv_kernel.permute(2, 1, 0),
        conv_bias,
        padding=width - 1,
        groups=u.shape[-1],
    )[..., : x.shape[1]]
    u = F.silu(u.transpose(1, 2))
    s, B, C = torch.split(u @ selection, [rank, A_log.shape[1], A_log.shape[1]], dim=-1)
    delta = F.softplus(F.linear(s, step.T, step_bias))
    zero = torch.zeros(x.shape[0], *A_log.shape, dtype=x.dtype)
    y, _ = plain_recurrence(torch, u, delta, -torch.exp(A_log), B, C, D, zero)
    return ((y * F.silu(gate)) @ out,)


def block_of(named):
    """The parameters by the names that ``torch_block`` gives them."""
    return {
        "in_kernel": named.in_projection.kernel,
        "conv_kernel": named.conv_kernel,
        "conv_bias": named.conv_bias,
        "selection": named.selection.kernel,
        "step": named.step.kernel,
        "step_bias": named.step.bias,
        "A_log": named.A_log,
        "D": named.D,
        "out": named.out_projection.kernel,
    }


@pytest.mark.usefixtures("x64")
class TestMamba:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("features", "expand", "states", "width", "rank"),
        [(3, 2, 4, 4, None), (2, 3, 1, 2, 2), (4, 1, 3, 1, 3)],
    )
    def test_equals_torch(self, torch, features, expand, states, width, rank):
        """12 configurations, outputs and all gradients."""
        init = partial(mamba_init, expand=expand, states=states, width=width, rank=rank)

        @jax.jit
        def everything(params, x, ybar):
            y, pullback = jax.vjp(lambda params, x: mamba(params, x, chunk=4)[0], params, x)
            return y, pullback(ybar)

        for i in range(4):
            rng = np.random.default_rng((features, i))
            params = init(jax.random.key(i), features, dtype=jnp.float64)
            params = jax.tree.map(lambda a, r=rng: a + 0.1 * r.standard_normal(a.shape), params)
            x = rng.standard_normal((2, 6, features))
            given = {name: np.asarray(a) for name, a in block_of(params).items()} | {"x": x}
            r = params.step.kernel.shape[0]
            block = partial(torch_block, torch, rank=r)
            (y,), (ybar,), slopes = gradients(torch, block, given, rng)
            ours, (pbar, xbar) = everything(params, jnp.asarray(x), jnp.asarray(ybar))
            assert_close(ours, y)
            assert_close(block_of(pbar) | {"x": xbar}, slopes)

    @pytest.mark.slow
    @pytest.mark.parametrize("width", [1, 4])
    def test_decoding_step_by_step(self, width):
        """From the beginning, and on from where a sequence ended."""
        params = mamba_init(KEY, 3, states=2, width=width, dtype=jnp.float64)
        x = jax.random.normal(jax.random.key(1), (2, 7, 3), jnp.float64)
        whole, final = jax.jit(mamba)(params, x)
        state, step = mamba_state_init(params, batch=(2,)), jax.jit(mamba_step)
        for t in range(7):
            y, state = step(params, state, x[:, t])
            np.testing.assert_allclose(whole[:, t], y, rtol=1e-10)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), final, state)
        _, state = jax.jit(mamba)(params, x[:, :2])
        rest, last = jax.jit(mamba)(params, x[:, 2:], initial_state=state)
        np.testing.assert_allclose(rest, whole[:, 2:], rtol=1e-10)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), final, last)

    @pytest.mark.slow
    def test_law_causal(self):
        params = mamba_init(KEY, 3, states=2, dtype=jnp.float64)
        x = jax.random.normal(jax.random.key(1), (6, 3), jnp.float64)
        ours, _ = mamba(params, x)
        other, _ = mamba(params, x.at[4].add(1))
        assert (ours[:4] == other[:4]).all()
        assert (ours[4:] != other[4:]).any(axis=1).all()

    @pytest.mark.slow
    def test_second_order(self):
        params = mamba_init(KEY, 2, states=2, expand=1, dtype=jnp.float64)
        x = np.random.default_rng(0).standard_normal((3, 2))

        assert_derivatives(lambda params, x: mamba(params, x)[0], params, x)


class TestMambaInSingle:
    @pytest.mark.slow
    def test_first_steps(self):
        """Between 0.001 and 0.1, evenly in the logarithm; the rates of decay are 1, 2, …, n."""
        params = mamba_init(KEY, 512)
        steps = softplus(params.step.bias)
        assert 0.001 <= steps.min() < 0.0012
        assert 0.09 < steps.max() <= 0.1001
        assert abs(float(jnp.log(steps).mean()) - np.log(0.01)) < 0.1
        np.testing.assert_allclose(jnp.exp(params.A_log[0]), np.arange(1, 17), rtol=1e-5)
        assert abs(float(jnp.abs(params.step.kernel).max()) - 32**-0.5) < 1e-3

    @pytest.mark.slow
    def test_transforms(self):
        params = mamba_init(KEY, 3, states=2)
        x = jax.random.normal(jax.random.key(1), (2, 5, 3))
        assert_transforms(mamba, params, x)
        assert_transforms(mamba_step, params, mamba_state_init(params, batch=(2,)), x[:, 0])

    @pytest.mark.slow
    @pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (5, 3)])
    def test_shapes(self, shape):
        y, state = mamba(mamba_init(KEY, 3, states=2), jnp.ones(shape))
        assert y.shape == shape
        assert state.inputs.shape == (*shape[:-2], 3, 6)
        assert state.states.shape == (*shape[:-2], 6, 2)

    @pytest.mark.slow
    def test_half_precision(self):
        params = mamba_init(KEY, 3, states=2)
        x = jax.random.normal(jax.random.key(1), (50, 3))
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
        exact, _ = mamba(params, x)
        y, state = mamba(half, x.astype(jnp.bfloat16))
        assert {a.dtype for a in jax.tree.leaves((y, state))} == {jnp.dtype(jnp.bfloat16)}
        np.testing.assert_allclose(y.astype(jnp.float32), exact, atol=0.05)
