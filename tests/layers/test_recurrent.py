"""fnmath.layers.recurrent: cells, sequences of them, both directions, stacks, lengths."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import relu
from fnmath.initializers import he_normal, normal, ones
from fnmath.layers import (
    BidirectionalParams,
    BidirectionalState,
    GRUParams,
    LSTMParams,
    LSTMState,
    RNNParams,
    bidirectional,
    bidirectional_init,
    gru,
    gru_cell,
    gru_init,
    lstm,
    lstm_cell,
    lstm_init,
    recurrent_stack,
    recurrent_stack_init,
    rnn,
    rnn_cell,
    rnn_init,
)
from fnmath.numerics import checked
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

KEY = jax.random.key(0)
INITS = {"rnn": rnn_init, "gru": gru_init, "lstm": lstm_init}
CELLS = {"rnn": rnn_cell, "gru": gru_cell, "lstm": lstm_cell}
LAYERS = {"rnn": rnn, "gru": gru, "lstm": lstm}
KINDS = {"rnn": RNNParams, "gru": GRUParams, "lstm": LSTMParams}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
EACH = pytest.mark.parametrize("name", LAYERS)

PARAMS = {
    name: KINDS[name](jnp.ones((3, 2 * n)), jnp.ones((2, 2 * n))) for name, n in GATES.items()
}
x, entry, h = jnp.ones((4, 5, 3)), jnp.ones((4, 3)), jnp.zeros((4, 2))
STATES = {"rnn": h, "gru": h, "lstm": LSTMState(h, h)}
PAIR = BidirectionalParams(PARAMS["gru"], PARAMS["gru"])

MISTAKES = [
    mistake
    for name, params in PARAMS.items()
    for form in ["Params(kernel, recurrent_kernel, bias, recurrent_bias)"]
    for mistake in [
        Mistake(
            INITS[name], (0, 3, 2), {}, TypeError,
            f"{name}_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
        ),
        Mistake(
            INITS[name], (KEY, 3, 0), {}, ValueError,
            f"{name}_init: hidden is 0; wanted an integer of at least 1",
        ),
        Mistake(
            CELLS[name], (None, STATES[name], entry), {}, TypeError,
            f"{name}_cell: params is a NoneType; wanted {name.upper()}{form}",
        ),
        Mistake(
            CELLS[name], (params, STATES[name], entry[:, :2]), {}, ValueError,
            f"{name}_cell: the number of input features must agree: x has 2 and kernel has 3",
        ),
        Mistake(
            LAYERS[name], (params, x), {"lengths": jnp.ones(4)}, TypeError,
            f"{name}: lengths has dtype float32; wanted an integer dtype; "
            "did you mean lengths.astype(jnp.int32)?",
        ),
        Mistake(
            LAYERS[name], (params, x), {"lengths": jnp.ones(3, int)}, ValueError,
            f"{name}: lengths has shape (3,); wanted (4,), one for each sequence",
        ),
    ]
] + [
    Mistake(
        rnn_init, (KEY, 3, 2), {"use_recurrent_bias": None}, TypeError,
        "rnn_init: use_recurrent_bias is None (NoneType); wanted True or False",
    ),
    Mistake(
        gru_init, (KEY, 3, 2), {"recurrent_kernel_init": lambda *a: jnp.ones(3)}, ValueError,
        "gru_init: recurrent_kernel_init gave the shape (3,); wanted (2, 2)",
    ),
    Mistake(
        lstm_cell, (PARAMS["lstm"], None, entry), {}, TypeError,
        "lstm_cell: state is a NoneType; wanted LSTMState(hidden, cell)",
    ),
    Mistake(
        lstm_cell, (PARAMS["lstm"], LSTMState(h, h[:, :1]), entry), {}, ValueError,
        "lstm_cell: state.cell has shape (4, 1); wanted (4, 2)",
    ),
    Mistake(
        gru, (PARAMS["gru"], x), {"initial_state": h[0]}, ValueError,
        "gru: initial_state has shape (2,); wanted (4, 2); "
        "did you mean jnp.broadcast_to(initial_state, (4, 2))?",
    ),
    Mistake(
        gru, (GRUParams(jnp.ones((3, 8)), jnp.ones((2, 8))), x), {}, ValueError,
        "gru: recurrent_kernel has shape (2, 8); wanted (2, 6), 3 gates of 2 units",
    ),
    Mistake(
        rnn, (RNNParams(jnp.ones((3, 2)), jnp.ones((2, 3))), x), {}, ValueError,
        "rnn: recurrent_kernel has shape (2, 3); wanted (2, 2), a square one",
    ),
    Mistake(
        rnn, (RNNParams(jnp.ones((3, 2)), jnp.ones((2, 2)), jnp.ones(3)), x), {}, ValueError,
        "rnn: the number of columns of the gates must agree: kernel has 2 and recurrent_kernel has "
        "2 and bias has 3",
    ),
    Mistake(
        rnn, (PARAMS["rnn"], x), {"activation": "tanh"}, TypeError,
        "rnn: activation is a str; wanted a function",
    ),
    Mistake(
        lstm, (PARAMS["lstm"], x), {"reverse": 1}, TypeError,
        "lstm: reverse is 1 (int); wanted True or False",
    ),
    Mistake(
        lstm, (PARAMS["lstm"], x[0, 0]), {}, ValueError,
        "lstm: x has shape (3,); wanted at least 2 axes, (*batch time in); did you mean x[None]?",
    ),
    Mistake(
        bidirectional_init, (KEY, 3, 2), {"init": None}, TypeError,
        "bidirectional_init: init is a NoneType; wanted a function",
    ),
    Mistake(
        bidirectional_init, (KEY, 3, 0), {"init": gru_init}, ValueError,
        "bidirectional_init: hidden is 0; wanted an integer of at least 1",
    ),
    Mistake(
        bidirectional, (gru, None, x), {}, TypeError,
        "bidirectional: params is a NoneType; wanted BidirectionalParams(forward, backward)",
    ),
    Mistake(
        bidirectional, (gru, PAIR, x), {"initial_state": (h,)}, TypeError,
        "bidirectional: initial_state is a tuple; wanted BidirectionalState(forward, backward)",
    ),
    Mistake(
        bidirectional, (gru, PAIR, x[0, 0]), {}, ValueError,
        "bidirectional: x has shape (3,); wanted at least 2 axes, (*batch time in); "
        "did you mean x[None]?",
    ),
    Mistake(
        recurrent_stack_init, (KEY, 3, 2), {"init": gru_init, "depth": 0}, ValueError,
        "recurrent_stack_init: depth is 0; wanted an integer of at least 1",
    ),
    Mistake(
        recurrent_stack_init, (KEY, 3, 2), {"init": "gru", "depth": 1}, TypeError,
        "recurrent_stack_init: init is a str; wanted a function",
    ),
    Mistake(
        recurrent_stack, (gru, PARAMS["gru"], x), {}, TypeError,
        "recurrent_stack: params is a GRUParams; wanted a tuple, one for each layer; "
        "did you mean (params,)?",
    ),
    Mistake(
        recurrent_stack, (gru, (), x), {}, ValueError,
        "recurrent_stack: params is empty; wanted one for each layer",
    ),
    Mistake(
        recurrent_stack, (gru, (PARAMS["gru"],), x), {"initial_state": (h, h)}, ValueError,
        "recurrent_stack: initial_state has 2 entries; wanted 1, one for each layer",
    ),
    Mistake(
        recurrent_stack, (gru, (PARAMS["gru"],), x), {"rate": 1.0}, ValueError,
        "recurrent_stack: rate is 1.0; wanted a number in [0, 1)",
    ),
    Mistake(
        recurrent_stack, (gru, (PARAMS["gru"],), x), {"rate": 0.5, "dropout_key": 1}, TypeError,
        "recurrent_stack: key is a int; wanted a random key; did you mean jax.random.key(1)?",
    ),
]  # fmt: skip


def drawn_layer(name, sizes=(3, 4), batch=(2,), time=5, dtype=jnp.float64):
    """Parameters of a layer with both biases, an initial state, and sequences."""
    keys = jax.random.split(jax.random.key(1), 4)
    init = partial(INITS[name], use_recurrent_bias=True, bias_init=normal(1.0), dtype=dtype)
    state = jax.random.normal(keys[1], (*batch, sizes[1]), dtype)
    if name == "lstm":
        state = LSTMState(state, jax.random.normal(keys[2], state.shape, dtype))
    x = jax.random.normal(keys[3], (*batch, time, sizes[0]), dtype)
    return init(keys[0], *sizes), state, x


def in_our_form(kind, of_theirs, layers, directions):
    """One tuple of parameters, or of their gradients, from PyTorch's by name."""

    def one(suffix):
        weights = (np.transpose(of_theirs(f"weight_{part}_l{suffix}")) for part in ("ih", "hh"))
        return kind(*weights, *(of_theirs(f"bias_{part}_l{suffix}") for part in ("ih", "hh")))

    if directions == 1:
        return tuple(one(layer) for layer in range(layers))
    both = ((one(layer), one(f"{layer}_reverse")) for layer in range(layers))
    return tuple(BidirectionalParams(*pair) for pair in both)


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
class TestEqualsTorch:
    """112 configurations: outputs, final states and all gradients to 1e-10, with PyTorch's biases.

    Of seven for each kind, number of layers and of directions, four have biases, initial states and
    lengths, two lengths alone, and one neither. One layer of one direction is tried in float32 too,
    to 1e-5.
    """

    @pytest.mark.parametrize("directions", [1, 2])
    @pytest.mark.parametrize("layers", [1, 2])
    @pytest.mark.parametrize("kind", ["tanh", "relu", "gru", "lstm"])
    def test_drawn(self, torch, kind, layers, directions):
        name = kind if kind in LAYERS else "rnn"
        layer = partial(rnn, activation=relu) if kind == "relu" else LAYERS[name]
        layer = layer if directions == 1 else partial(bidirectional, layer)
        precisions = ((jnp.float64, 1e-10), (jnp.float32, 1e-5))
        precisions = precisions[: 1 + (layers == directions == 1)]

        @jax.jit
        def everything(*given):
            return [at_precision(dtype, *given) for dtype, _ in precisions]

        def at_precision(dtype, params, x, state, lengths, *cotangent):
            def f(params, x, state):
                y, final = recurrent_stack(layer, params, x, initial_state=state, lengths=lengths)
                return y, tuple(jax.tree.leaves(final))

            def cast(tree):
                return jax.tree.map(lambda a: jnp.asarray(a, dtype), tree)

            answer, pullback = jax.vjp(f, *cast((params, x, state)))
            return answer, pullback(cast(cotangent))

        for i in range(7):
            case = drawn_case(torch, kind, layers, directions, draw=i)
            wanted = jax.tree.leaves(case["wanted"])
            answers = everything(*case["given"])
            for answer, (_, tolerance) in zip(answers, precisions, strict=True):
                for ours, theirs in zip(jax.tree.leaves(answer), wanted, strict=True):
                    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def drawn_case(torch, kind, layers, directions, *, draw):
    """What is given to a stack, and what PyTorch makes of it.

    The first four draws have all options, two have lengths alone, and the seventh has none.
    """
    everything, alone = draw < 4, draw == 6
    name = kind if kind in LAYERS else "rnn"
    rng = np.random.default_rng(
        (["tanh", "relu", "gru", "lstm"].index(kind), layers, directions, draw)
    )
    inputs, hidden, batch, time = 3, 2 + layers, 3, 5
    options = {"nonlinearity": kind} if name == "rnn" else {}
    module = getattr(torch.nn, name.upper())(
        inputs,
        hidden,
        num_layers=layers,
        bidirectional=directions == 2,
        bias=everything,
        batch_first=True,
        dtype=torch.float64,
        **options,
    )
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.tensor(rng.standard_normal(weight.shape) / np.sqrt(hidden)))

    def tensor(*shape):
        return torch.tensor(rng.standard_normal(shape), requires_grad=True)

    x, parts = tensor(batch, time, inputs), 2 if name == "lstm" else 1
    initial = [tensor(layers * directions, batch, hidden) for _ in range(parts)]
    initial = initial if everything else None
    state = initial if initial is None or parts == 2 else initial[0]
    lengths = None if alone else rng.integers(1, time + 1, batch)
    if lengths is None:
        y, final = module(x, state)
    else:
        pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
        packed = pack(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        y, final = module(packed, state)
        y, _ = pad(y, batch_first=True, total_length=time)
    final = final if parts == 2 else (final,)
    ybar, statebar = rng.standard_normal(y.shape), rng.standard_normal((parts, *final[0].shape))
    total = (y * torch.tensor(ybar)).sum()
    total = total + sum((f * torch.tensor(b)).sum() for f, b in zip(final, statebar, strict=True))
    total.backward()

    def each(arrays):
        """PyTorch's states, one array for all layers and directions, as a flat list of ours."""
        return tuple(a[i] for i in range(layers * directions) for a in arrays)

    def states(arrays):
        if arrays is None:
            return None
        flat = [LSTMState(*s) if parts == 2 else s[0] for s in zip(*arrays, strict=True)]
        if directions == 1:
            return tuple(flat)
        return tuple(BidirectionalState(*flat[i : i + 2]) for i in range(0, len(flat), 2))

    def of(what):
        named = dict(module.named_parameters())
        return in_our_form(
            KINDS[name], lambda n: what(named[n]) if n in named else None, layers, directions
        )

    values = None if initial is None else [s.detach().numpy() for s in initial]
    slopes = None if initial is None else [s.grad.numpy() for s in initial]
    return {
        "given": (
            of(lambda w: w.detach().numpy()),
            x.detach().numpy(),
            states(values),
            lengths,
            ybar,
            each(statebar),
        ),
        "wanted": (
            (y.detach().numpy(), each([f.detach().numpy() for f in final])),
            (of(lambda w: w.grad.numpy()), x.grad.numpy(), states(slopes)),
        ),
    }


@pytest.mark.usefixtures("x64")
class TestEqualsFlax:
    """Flax's cells, their kernels for each gate side by side."""

    @pytest.fixture
    def linen(self):
        return pytest.importorskip("flax.linen", reason="Flax is a peer, not a dependency")

    @pytest.mark.slow
    def test_simple(self, linen):
        params, state, x = drawn_layer("rnn")
        theirs = {"i": dense_of(params.kernel, params.bias), "h": dense_of(params.recurrent_kernel)}
        cell = linen.SimpleCell(4, param_dtype=jnp.float64)
        expected, _ = cell.apply({"params": theirs}, state, x[:, 0])
        ours = rnn_cell(params._replace(recurrent_bias=None), state, x[:, 0])
        np.testing.assert_allclose(ours, expected, rtol=1e-12)

    @pytest.mark.slow
    def test_gru(self, linen):
        params, state, x = drawn_layer("gru")
        kernels = dict(zip(("ir", "iz", "in"), split(params.kernel, 3), strict=True))
        biases = dict(zip(("ir", "iz", "in"), split(params.bias, 3), strict=True))
        theirs = {gate: dense_of(kernels[gate], biases[gate]) for gate in kernels}
        recurrent = split(params.recurrent_kernel, 3)
        last = split(params.recurrent_bias, 3)[2]
        theirs |= {"hr": dense_of(recurrent[0]), "hz": dense_of(recurrent[1])}
        theirs["hn"] = dense_of(recurrent[2], last)
        cell = linen.GRUCell(4, param_dtype=jnp.float64)
        expected, _ = cell.apply({"params": theirs}, state, x[:, 0])
        only_last = jnp.concatenate([jnp.zeros(8), last])
        ours = gru_cell(params._replace(recurrent_bias=only_last), state, x[:, 0])
        np.testing.assert_allclose(ours, expected, rtol=1e-12)

    def test_lstm(self, linen):
        params, state, x = drawn_layer("lstm")
        theirs = {}
        for letter, kernel, bias in (
            ("i", params.kernel, None),
            ("h", params.recurrent_kernel, params.recurrent_bias),
        ):
            for i, gate in enumerate("ifgo"):
                b = None if bias is None else split(bias, 4)[i]
                theirs[letter + gate] = dense_of(split(kernel, 4)[i], b)
        cell = linen.OptimizedLSTMCell(4, param_dtype=jnp.float64)
        (c, h), _ = cell.apply({"params": theirs}, (state.cell, state.hidden), x[:, 0])
        ours = lstm_cell(params._replace(bias=None), state, x[:, 0])
        np.testing.assert_allclose(ours.hidden, h, rtol=1e-12)
        np.testing.assert_allclose(ours.cell, c, rtol=1e-12)


def split(a, gates):
    return jnp.split(a, gates, axis=-1)


def dense_of(kernel, bias=None):
    return {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}


def sums(x, h, zbar, ubar):
    """The gradients of the parameters: products with what came in, summed over the batch."""
    return x.T @ zbar, h.T @ ubar, zbar.sum(axis=0), ubar.sum(axis=0)


def sigmoid(x):
    return 1 / (1 + jnp.exp(-x))


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
class TestGradient:
    """The gradients of the cells as their docstrings give them, in both modes, and the second."""

    def test_rnn_cell(self):
        params, h, x = drawn_layer("rnn", batch=(2,), time=1)
        x, hbar = x[:, 0], jnp.sin(jnp.arange(8.0)).reshape(2, 4)

        def gradient(given):
            params, h, x = given
            z = x @ params.kernel + params.bias + h @ params.recurrent_kernel
            zbar = hbar * (1 - jnp.tanh(z + params.recurrent_bias) ** 2)
            back = zbar @ params.recurrent_kernel.T, zbar @ params.kernel.T
            return RNNParams(*sums(x, h, zbar, zbar)), *back

        assert_gradient(lambda given: hbar * rnn_cell(*given), gradient, (params, h, x))

    def test_gru_cell(self):
        params, h, x = drawn_layer("gru", batch=(2,), time=1)
        x, hbar = x[:, 0], jnp.sin(jnp.arange(8.0)).reshape(2, 4)

        def gradient(given):
            params, h, x = given
            zr, zz, zn = split(x @ params.kernel + params.bias, 3)
            ur, uz, un = split(h @ params.recurrent_kernel + params.recurrent_bias, 3)
            r, z = sigmoid(zr + ur), sigmoid(zz + uz)
            n = jnp.tanh(zn + r * un)
            nbar, zbar = (1 - z) * hbar, (h - n) * hbar
            sn = (1 - n**2) * nbar
            sz, sr = z * (1 - z) * zbar, r * (1 - r) * un * sn
            s, u = jnp.concatenate([sr, sz, sn], -1), jnp.concatenate([sr, sz, r * sn], -1)
            back = z * hbar + u @ params.recurrent_kernel.T, s @ params.kernel.T
            return GRUParams(*sums(x, h, s, u)), *back

        assert_gradient(lambda given: hbar * gru_cell(*given), gradient, (params, h, x))

    def test_lstm_cell(self):
        params, state, x = drawn_layer("lstm", batch=(2,), time=1)
        x, hbar = x[:, 0], jnp.sin(jnp.arange(8.0)).reshape(2, 4)
        cbar = jnp.cos(jnp.arange(8.0)).reshape(2, 4)

        def gradient(given):
            params, (h, c), x = given
            z = x @ params.kernel + params.bias + h @ params.recurrent_kernel
            i, f, g, o = split(z + params.recurrent_bias, 4)
            i, f, g, o = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
            t = jnp.tanh(f * c + i * g)
            ctilde = cbar + hbar * o * (1 - t**2)
            s = [i * (1 - i) * g * ctilde, f * (1 - f) * c * ctilde, (1 - g**2) * i * ctilde]
            s = jnp.concatenate([*s, o * (1 - o) * hbar * t], -1)
            back = LSTMState(s @ params.recurrent_kernel.T, f * ctilde), s @ params.kernel.T
            return LSTMParams(*sums(x, h, s, s)), *back

        def objective(given):
            state = lstm_cell(*given)
            return hbar * state.hidden + cbar * state.cell

        assert_gradient(objective, gradient, (params, state, x))

    @EACH
    def test_sequence(self, name):
        params, state, x = drawn_layer(name, sizes=(2, 2), time=3)
        lengths = jnp.array([3, 1])

        def f(params, state, x):
            return LAYERS[name](params, x, initial_state=state, lengths=lengths)

        assert_derivatives(f, params, state, x)


@EACH
class TestSequence:
    @pytest.mark.usefixtures("x64")
    def test_is_the_cell_step_by_step(self, name):
        params, state, x = drawn_layer(name)
        outputs, final = LAYERS[name](params, x, initial_state=state)
        for t in range(x.shape[-2]):
            state = CELLS[name](params, state, x[:, t])
            np.testing.assert_allclose(outputs[:, t], jax.tree.leaves(state)[0], rtol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), final, state)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("reverse", [False, True])
    def test_lengths(self, name, reverse):
        """A padded sequence is the sequence without its padding, from either end."""
        params, state, x = drawn_layer(name, batch=(3,))
        lengths = (5, 0, 2)
        run = partial(LAYERS[name], params, reverse=reverse)
        outputs, final = run(x, initial_state=state, lengths=jnp.array(lengths))
        for i, n in enumerate(lengths):
            alone = jax.tree.map(lambda s, i=i: s[i], state)
            y, last = run(x[i, :n], initial_state=alone)
            np.testing.assert_allclose(outputs[i, :n], y, rtol=1e-12)
            np.testing.assert_array_equal(outputs[i, n:], 0)
            ours = jax.tree.map(lambda s, i=i: s[i], final)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), ours, last)

    @pytest.mark.slow
    def test_what_is_past_the_end_changes_nothing(self, name):
        """Not even nan, in value or gradient; a sequence of length 0 leaves its state."""
        params, state, x = drawn_layer(name, batch=(3,), dtype=jnp.float32)
        lengths = jnp.array([5, 0, 2])
        past = (jnp.arange(5) >= lengths[:, None])[..., None]

        @jax.jit
        def slopes(params, state, x):
            def total(params, state, x):
                y, final = LAYERS[name](params, x, initial_state=state, lengths=lengths)
                return (y**2).sum() + sum(jnp.sin(s).sum() for s in jax.tree.leaves(final))

            return jax.value_and_grad(total, argnums=(0, 1, 2))(params, state, x)

        clean = slopes(params, state, jnp.where(past, 0, x))
        dirty = slopes(params, state, jnp.where(past, jnp.nan, x))
        jax.tree.map(np.testing.assert_array_equal, clean, dirty)
        assert all(jnp.isfinite(a).all() for a in jax.tree.leaves(dirty))

    @pytest.mark.parametrize("wrong", [-1, 6])
    def test_impossible_length(self, name, wrong):
        params, _, x = drawn_layer(name, dtype=jnp.float32)
        lengths = jnp.array([wrong, 5])
        outputs, final = LAYERS[name](params, x, lengths=lengths)
        assert jnp.isnan(outputs[0]).all()
        assert jnp.isfinite(outputs[1]).all()
        np.testing.assert_array_equal(
            jnp.isnan(jax.tree.leaves(final)[0]), [[True] * 4, [False] * 4]
        )
        with checked(), pytest.raises(Exception, match=rf"{name}: a length outside \[0, 5\]"):
            jax.block_until_ready(LAYERS[name](params, x, lengths=lengths))

    def test_default_state_is_zero(self, name):
        params, state, x = drawn_layer(name, dtype=jnp.float32)
        zero = jax.tree.map(jnp.zeros_like, state)
        jax.tree.map(
            np.testing.assert_array_equal,
            LAYERS[name](params, x),
            LAYERS[name](params, x, initial_state=zero),
        )

    @pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3), (5, 3), (2, 1, 5, 3)])
    def test_shapes(self, name, shape):
        params, _, _ = drawn_layer(name, dtype=jnp.float32)
        lengths = jnp.zeros(shape[:-2], jnp.int32)
        for options in ({}, {"lengths": lengths}):
            y, final = LAYERS[name](params, jnp.ones(shape), **options)
            assert y.shape == (*shape[:-1], 4)
            assert {s.shape for s in jax.tree.leaves(final)} == {(*shape[:-2], 4)}

    def test_transforms(self, name):
        params, state, x = drawn_layer(name, dtype=jnp.float32)

        def layer(params, state, x):
            return LAYERS[name](params, x, initial_state=state, lengths=jnp.array([5, 2]))

        assert_transforms(layer, params, state, x)
        assert_transforms(CELLS[name], params, state, x[:, 0])

    @pytest.mark.slow
    def test_half_precision(self, name):
        """The dtype stays, and the state, carried in float32, is right to a few roundings."""
        params, state, x = drawn_layer(name, time=200, dtype=jnp.float32)
        exact, _ = LAYERS[name](params, x, initial_state=state)
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, state, x))
        y, final = LAYERS[name](half[0], half[2], initial_state=half[1])
        assert {a.dtype for a in jax.tree.leaves((y, final))} == {jnp.dtype(jnp.bfloat16)}
        assert jnp.abs(y - exact).max() < 0.1
        cell = CELLS[name](half[0], half[1], half[2][:, 0])
        assert {a.dtype for a in jax.tree.leaves(cell)} == {jnp.dtype(jnp.bfloat16)}

    def test_no_bias_is_a_bias_of_zero(self, name):
        params, state, x = drawn_layer(name, dtype=jnp.float32)
        without = params._replace(bias=None, recurrent_bias=None)
        zeros = params._replace(
            bias=jnp.zeros_like(params.bias), recurrent_bias=jnp.zeros_like(params.bias)
        )
        np.testing.assert_array_equal(
            CELLS[name](without, state, x[:, 0])[0], CELLS[name](zeros, state, x[:, 0])[0]
        )


class TestCellState:
    def test_is_carried_in_single_precision(self):
        """An LSTM that adds 1/256 to its cell at each step: in bfloat16 it would stop at 1."""
        bias = jnp.array([1000.0, 1000.0, np.arctanh(1 / 256), 1000.0], jnp.bfloat16)
        zero = jnp.zeros((1, 4), jnp.bfloat16)
        _, final = lstm(LSTMParams(zero, zero, bias), jnp.zeros((1024, 1), jnp.bfloat16))
        np.testing.assert_allclose(float(final.cell[0]), 4, rtol=1e-2)


class TestComposition:
    @pytest.mark.usefixtures("x64")
    @EACH
    def test_backwards_is_the_sequence_turned(self, name):
        params, state, x = drawn_layer(name)
        y, final = LAYERS[name](params, x, initial_state=state, reverse=True)
        turned, last = LAYERS[name](params, x[:, ::-1], initial_state=state)
        np.testing.assert_allclose(y, turned[:, ::-1], rtol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), final, last)

    def test_both_directions(self):
        first, state, x = drawn_layer("gru", dtype=jnp.float32)
        second = gru_init(KEY, 3, 4)
        lengths = jnp.array([2, 5])
        y, final = bidirectional(
            gru,
            BidirectionalParams(first, second),
            x,
            initial_state=BidirectionalState(state, -state),
            lengths=lengths,
        )
        there = gru(first, x, initial_state=state, lengths=lengths)
        back = gru(second, x, initial_state=-state, lengths=lengths, reverse=True)
        np.testing.assert_array_equal(y, jnp.concatenate([there[0], back[0]], axis=-1))
        np.testing.assert_array_equal(final.forward, there[1])
        np.testing.assert_array_equal(final.backward, back[1])

    def test_stack_of_both_directions(self):
        init = partial(bidirectional_init, init=lstm_init)
        params = recurrent_stack_init(KEY, 3, 4, init=init, depth=3)
        assert [layer.forward.kernel.shape for layer in params] == [(3, 16), (8, 16), (8, 16)]
        y, final = recurrent_stack(partial(bidirectional, lstm), params, jnp.ones((2, 5, 3)))
        assert y.shape == (2, 5, 8)
        assert final[2].backward.cell.shape == (2, 4)

    @pytest.mark.slow
    def test_dropout(self):
        """Between the layers alone; the mean stays; no key, no noise."""
        add_up = partial(rnn, activation=lambda z: z)
        one = RNNParams(jnp.eye(1), jnp.zeros((1, 1)))
        x = jnp.ones((50, 200, 1))
        stack = partial(recurrent_stack, add_up, x=x, rate=0.25)
        plain, _ = stack((one, one))
        np.testing.assert_array_equal(plain, x)
        alone, _ = stack((one,), dropout_key=KEY)
        np.testing.assert_array_equal(alone, x)
        noisy, _ = stack((one, one), dropout_key=KEY)
        np.testing.assert_allclose(jnp.unique(noisy), [0, 1 / 0.75], rtol=1e-6)
        assert abs(float(noisy.mean()) - 1) < 0.03
        again, _ = stack((one, one), dropout_key=KEY)
        np.testing.assert_array_equal(noisy, again)
        none, _ = stack((one, one), rate=0.0, dropout_key=KEY)
        np.testing.assert_array_equal(none, x)


@EACH
class TestInit:
    def test_shapes_and_options(self, name):
        n = GATES[name]
        params = INITS[name](KEY, 3, 4, use_recurrent_bias=True, bias_init=ones)
        assert [a.shape for a in params] == [(3, 4 * n), (4, 4 * n), (4 * n,), (4 * n,)]
        assert (params.recurrent_bias == 1).all()
        options = {"use_bias": False, "kernel_init": he_normal(), "dtype": jnp.bfloat16}
        bare = INITS[name](KEY, 3, 4, use_recurrent_bias=False, **options)
        assert bare.bias is None
        assert bare.recurrent_bias is None
        assert bare.kernel.dtype == bare.recurrent_kernel.dtype == jnp.bfloat16

    def test_each_gate_is_orthogonal(self, name):
        for block in split(INITS[name](KEY, 3, 16).recurrent_kernel, GATES[name]):
            np.testing.assert_allclose(block.T @ block, jnp.eye(16), atol=1e-5)

    def test_variance_of_the_inputs_part(self, name):
        kernel = INITS[name](KEY, 400, 100).kernel
        assert abs(float(kernel.var()) * 400 - 1) < 0.03
