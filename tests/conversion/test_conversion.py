"""fnmath.conversion: weights of PyTorch's and Flax's modules give the same outputs here."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import layers
from fnmath.conversion import from_flax, from_torch, to_flax, to_torch
from tests.helpers import Mistake

KEY = jax.random.key(0)
PARAMS = layers.dense_init(KEY, 3, 2)
STATE = {"weight": jnp.ones((2, 3)), "bias": jnp.zeros(2)}
VARIABLES = {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}
ATTENTION = layers.multi_head_attention_init(KEY, 4, heads=2)

MISTAKES = [
    Mistake(
        to_torch, (np.array(["a"]),), {}, TypeError,
        "to_torch: params has dtype <U1; wanted numbers",
    ),
    Mistake(to_torch, ((),), {}, ValueError, "to_torch: params holds no array"),
    Mistake(
        to_torch, ((jnp.ones(2), jnp.ones(2)),), {"names": {"0": "a", "1": "a"}}, ValueError,
        "to_torch: two arrays have the name 'a'; wanted names that differ",
    ),
    Mistake(
        to_torch, (PARAMS,), {"stacked": "blocks"}, TypeError,
        "to_torch: stacked is 'blocks'; wanted a tuple of paths; did you mean ('blocks',)?",
    ),
    Mistake(
        to_flax, (PARAMS,), {"names": {0: "Dense_0"}}, TypeError,
        "to_flax: names holds (0, 'Dense_0'); wanted a path for a path, both strings",
    ),
    Mistake(
        to_flax, (ATTENTION,), {}, ValueError,
        "to_flax: heads is None; wanted their number, for there is attention",
    ),
    Mistake(
        from_torch, ([1.0], PARAMS), {}, TypeError,
        "from_torch: state_dict is a list; wanted a Mapping",
    ),
    Mistake(
        from_torch, ({"weight": STATE["weight"]}, PARAMS), {}, ValueError,
        "from_torch: the state lacks 'bias'; wanted the arrays of like",
    ),
    Mistake(
        from_torch, ({**STATE, "scale": jnp.ones(2)}, PARAMS), {}, ValueError,
        "from_torch: the state has, with no place for it, 'scale'; wanted the arrays of like",
    ),
    Mistake(
        from_torch, ({**STATE, "weight": jnp.ones((3, 2))}, PARAMS), {}, ValueError,
        "from_torch: weight has shape (3, 2); wanted (2, 3)",
    ),
    Mistake(
        from_flax, ({**VARIABLES, "bias": jnp.zeros(2, int)}, PARAMS), {}, TypeError,
        "from_flax: bias has dtype int32; wanted a floating dtype; "
        "did you mean bias.astype(jnp.float32)?",
    ),
    Mistake(
        from_flax, ({"kernel": VARIABLES["kernel"]}, PARAMS), {}, ValueError,
        "from_flax: the state lacks 'bias'; wanted the arrays of like",
    ),
]  # fmt: skip


@pytest.fixture
def linen():
    pytest.importorskip("flax", reason="Flax is a peer, not a dependency")
    return pytest.importorskip("flax.linen")


def randoms(like, seed=1):
    """Parameters of the same shapes, all of them random: none is 0, and none 1."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    drawn = [
        jax.random.uniform(k, a.shape, a.dtype, 0.5, 1.5) for k, a in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


LAYERS = {
    "dense": layers.dense_init(KEY, 3, 2),
    "dense without a bias": layers.dense_init(KEY, 3, 2, use_bias=False),
    "bilinear": layers.bilinear_init(KEY, 2, 3, 4),
    "embedding": layers.embedding_init(KEY, 5, 2),
    "convolution": layers.conv_init(KEY, (3, 2), 4, 6, groups=2),
    "transposed convolution": layers.conv_transpose_init(KEY, (3, 2), 4, 5),
    "separable convolution": layers.separable_conv_init(KEY, (3, 3), 4, 5),
    "layer norm": layers.layer_norm_init((3, 4)),
    "batch norm": layers.batch_norm_init(3)[0],
    "running statistics": layers.batch_norm_init(3)[1],
    "attention": ATTENTION,
    "cross attention": layers.multi_head_attention_init(KEY, 4, heads=2, context_features=6),
    "rnn": layers.rnn_init(KEY, 3, 2),
    "rnn, two biases": layers.rnn_init(KEY, 3, 2, use_recurrent_bias=True),
    "gru": layers.gru_init(KEY, 3, 2),
    "lstm": layers.lstm_init(KEY, 3, 2),
    "lstm, two biases": layers.lstm_init(KEY, 3, 2, use_recurrent_bias=True),
    "lstm, both ways, twice": layers.recurrent_stack_init(
        KEY, 3, 2, init=partial(layers.bidirectional_init, init=layers.lstm_init), depth=2
    ),
    "weight norm, dense": layers.DenseParams(
        layers.WeightNormParams(jnp.ones((3, 2)), jnp.ones(2)), jnp.ones(2)
    ),
    "weight norm, transposed": layers.ConvTransposeParams(
        layers.WeightNormParams(jnp.ones((3, 2, 4, 5)), jnp.ones(5))
    ),
    "spectral norm": layers.SpectralStats(jnp.ones(5), jnp.ones((3, 2, 4))),
    "mamba": layers.mamba_init(KEY, 4, states=3),
    "a tree": {"a": (jnp.ones(2), None, layers.dense_init(KEY, 2, 2)), "b": jnp.ones((2, 1))},
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYERS)
class TestRoundTrip:
    def test_torch(self, kind):
        params = randoms(LAYERS[kind])
        there = to_torch(params)
        assert len(there) >= len(set(there))
        back = from_torch({k: np.asarray(a) for k, a in there.items()}, LAYERS[kind])
        jax.tree.map(np.testing.assert_array_equal, back, params)
        assert jax.tree.structure(back) == jax.tree.structure(params)

    def test_flax(self, kind):
        """Of two biases that count as their sum Flax has one; all else comes back as it was."""
        params = randoms(LAYERS[kind])
        options = {"heads": 2} if "attention" in kind else {}
        back = from_flax(to_flax(params, **options), LAYERS[kind], **options)
        if any(name in kind for name in ("rnn", "gru", "lstm")):
            again = from_flax(to_flax(back, **options), LAYERS[kind], **options)
            jax.tree.map(np.testing.assert_array_equal, again, back)
            sums = [jax.tree.leaves(jax.tree.map(lambda a: a.sum(), p)) for p in (params, back)]
            np.testing.assert_allclose(np.sum(sums[0]), np.sum(sums[1]), rtol=1e-6)
        else:
            jax.tree.map(np.testing.assert_array_equal, back, params)


def outputs(torch, module, *arrays):
    with torch.no_grad():
        return module(*(torch.tensor(np.asarray(a)) for a in arrays))


def assert_same(ours, theirs, rtol=1e-12):
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=rtol, atol=rtol)


def draw(*shape):
    return jax.random.normal(jax.random.key(7), shape, jnp.float64)


@pytest.mark.usefixtures("x64")
class TestTorch:
    """Every module is made by PyTorch, with weights that it drew."""

    def convert(self, module, like):
        return from_torch(module.double().state_dict(), like)

    def test_bilinear_and_embedding(self, torch):
        bilinear, embedding = torch.nn.Bilinear(2, 3, 4), torch.nn.Embedding(5, 2)
        params = self.convert(bilinear, layers.bilinear_init(KEY, 2, 3, 4, dtype=float))
        x, y = draw(6, 2), draw(6, 3)
        assert_same(layers.bilinear(params, x, y), outputs(torch, bilinear, x, y))
        params = self.convert(embedding, layers.embedding_init(KEY, 5, 2, dtype=float))
        ids = jnp.array([[4, 0], [2, 2]])
        assert_same(layers.embedding(params, ids), outputs(torch, embedding, ids))

    def test_modules_in_a_row(self, torch):
        """nn.Sequential numbers its modules, and sequential has an entry for each."""
        nn = torch.nn
        module = nn.Sequential(
            nn.Conv2d(4, 6, (3, 2), groups=2), nn.ReLU(),
            nn.ConvTranspose2d(6, 5, 3, stride=2), nn.BatchNorm2d(5),
            nn.Flatten(), nn.Linear(5 * 13 * 15, 3), nn.LayerNorm(3),
        ).double()  # fmt: skip
        module(torch.tensor(np.asarray(draw(8, 4, 8, 8))))  # moves the running statistics
        module.eval()
        norm, stats = jax.tree.map(lambda a: a.astype(float), layers.batch_norm_init(5))
        like = (
            layers.conv_init(KEY, (3, 2), 4, 6, groups=2, dtype=float), None,
            layers.conv_transpose_init(KEY, (3, 3), 6, 5, dtype=float), norm,
            None, layers.dense_init(KEY, 5 * 13 * 15, 3, dtype=float),
            layers.layer_norm_init(3, dtype=float),
        )  # fmt: skip
        params = self.convert(module, like)
        (stats,) = from_torch(module.state_dict(), (None, None, None, stats))[3:]
        assert not np.allclose(stats.mean, 0)

        def network(x):
            h = jax.nn.relu(layers.conv(params[0], x, padding="VALID", groups=2))
            h = layers.conv_transpose(params[2], h, strides=2, padding=0)
            h = jnp.moveaxis(layers.batch_norm(params[3], stats, h), -1, 1)
            h = layers.dense(params[5], h.reshape(h.shape[0], -1))
            return layers.layer_norm(params[6], h)

        x = draw(2, 4, 8, 8)
        assert_same(network(jnp.moveaxis(x, 1, -1)), outputs(torch, module, x))

    def test_attention(self, torch):
        for options in ({}, {"kdim": 6, "vdim": 6}):
            module = torch.nn.MultiheadAttention(4, 2, batch_first=True, **options).double()
            context = options.get("kdim", 4)
            like = layers.multi_head_attention_init(
                KEY, 4, heads=2, context_features=context, dtype=float
            )
            params = self.convert(module, like)
            x, y = draw(2, 3, 4), draw(2, 5, context)
            theirs = outputs(torch, module, x, y, y)[0]
            assert_same(layers.multi_head_attention(params, x, heads=2, context=y), theirs)

    @pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
    def test_recurrent(self, torch, kind):
        make = getattr(torch.nn, kind.upper())
        module = make(3, 2, num_layers=2, bidirectional=True, batch_first=True).double()
        init = partial(getattr(layers, f"{kind}_init"), use_recurrent_bias=True)
        init = partial(layers.bidirectional_init, init=init)
        like = layers.recurrent_stack_init(KEY, 3, 2, init=init, depth=2)
        params = self.convert(module, jax.tree.map(lambda a: a.astype(float), like))
        x = draw(4, 5, 3)
        layer = partial(layers.bidirectional, getattr(layers, kind))
        ours, _ = layers.recurrent_stack(layer, params, x)
        assert_same(ours, outputs(torch, module, x)[0])
        again = make(3, 2, num_layers=2, bidirectional=True, batch_first=True).double()
        state = {k: torch.tensor(np.asarray(a)) for k, a in to_torch(params).items()}
        again.load_state_dict(state, strict=True)
        assert_same(outputs(torch, again, x)[0], outputs(torch, module, x)[0])

    def test_stacked_layers(self, torch):
        """One array for all blocks here, one module each over there."""
        nn = torch.nn
        module = nn.ModuleDict({"h": nn.Sequential(*(nn.Linear(3, 3) for _ in range(4)))}).double()
        like = layers.stack_init(KEY, lambda key: layers.dense_init(key, 3, 3, dtype=float), 4)
        options = {"stacked": ("blocks",), "names": {"blocks": "h"}}
        params = from_torch(module.state_dict(), {"blocks": like}, **options)["blocks"]
        x = draw(5, 3)
        assert_same(layers.stack(layers.dense, params, x), outputs(torch, module["h"], x))
        assert set(to_torch({"blocks": params}, **options)) == set(module.state_dict())


def normalised(torch, kind):
    """A module, the layer that it is, and how its parameters start."""
    nn = torch.nn
    if kind == "dense":
        return nn.Linear(3, 4), layers.dense, layers.dense_init(KEY, 3, 4, dtype=float)
    if kind == "convolution":
        like = layers.conv_init(KEY, (3, 2), 3, 4, dtype=float)
        return nn.Conv2d(3, 4, (3, 2)), partial(layers.conv, padding="VALID"), like
    like = layers.conv_transpose_init(KEY, (3, 2), 3, 4, dtype=float)
    layer = partial(layers.conv_transpose, strides=2, padding=0)
    return nn.ConvTranspose2d(3, 4, (3, 2), stride=2), layer, like


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["dense", "convolution", "transposed convolution"])
class TestTorchNormalisedKernels:
    """Both ways: PyTorch's module as it is here, and a new module that is given our arrays."""

    def images(self, torch, kind):
        x = draw(2, 5, 6, 3)
        channels = 3 if kind == "dense" else 1
        return x, torch.tensor(np.asarray(x)).movedim(3, channels), channels

    def test_weight_norm(self, torch, kind):
        norm = torch.nn.utils.parametrizations.weight_norm
        (module, layer, like), (again, *_) = normalised(torch, kind), normalised(torch, kind)
        dim = 1 if kind == "transposed convolution" else 0
        module, again = norm(module, dim=dim).double(), norm(again, dim=dim).double()
        with torch.no_grad():
            module.parametrizations.weight.original0.mul_(2)  # no longer the directions' length
        like = like._replace(kernel=layers.weight_norm_init(like.kernel))
        params = from_torch(module.state_dict(), like)
        x, theirs, axis = self.images(torch, kind)
        expected = outputs(torch, module, theirs).movedim(axis, 3)
        whole = params._replace(kernel=layers.weight_norm(params.kernel))
        assert_same(layer(whole, x), expected)
        state = {k: torch.tensor(np.asarray(a)) for k, a in to_torch(params).items()}
        again.load_state_dict(state, strict=True)
        assert_same(outputs(torch, again, theirs).movedim(axis, 3), expected)

    def test_spectral_norm(self, torch, kind):
        """The kernel as it is evaluated, and the vectors after one step more of the training."""
        norm = torch.nn.utils.parametrizations.spectral_norm
        (module, layer, like), (again, *_) = normalised(torch, kind), normalised(torch, kind)
        module, again = norm(module).double(), norm(again).double()
        names = {"weight": "parametrizations.weight.original"}
        start = layers.spectral_norm_init(KEY, like.kernel)
        params = from_torch(module.state_dict(), like, names=names)
        stats = from_torch(module.state_dict(), start)
        x, theirs, axis = self.images(torch, kind)
        kernel = layers.spectral_norm(params.kernel, stats)
        expected = outputs(torch, module.eval(), theirs).movedim(axis, 3)
        assert_same(layer(params._replace(kernel=kernel), x), expected)

        arrays = {**to_torch(params, names=names), **to_torch(stats)}
        state = {k: torch.tensor(np.asarray(a)) for k, a in arrays.items()}
        again.load_state_dict(state, strict=True)
        kernel, stats = layers.spectral_norm_train(params.kernel, stats)
        expected = outputs(torch, again.train(), theirs).movedim(axis, 3)
        assert_same(layer(params._replace(kernel=kernel), x), expected)
        after = from_torch(again.state_dict(), start)
        assert_same(stats.u, after.u)
        assert_same(stats.v, after.v)


@pytest.mark.usefixtures("x64")
def test_mamba(torch):
    """The block of the paper, step by step, on a state dict with the names of its implementation.

    Written after algorithm 2 and figure 3, with the sizes that the implementation gives them.
    """
    features, inner, states, width, rank = 4, 8, 3, 4, 2
    shapes = {
        "in_proj.weight": (2 * inner, features), "conv1d.weight": (inner, 1, width),
        "conv1d.bias": (inner,), "x_proj.weight": (rank + 2 * states, inner),
        "dt_proj.weight": (inner, rank), "dt_proj.bias": (inner,),
        "A_log": (inner, states), "D": (inner,), "out_proj.weight": (features, inner),
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    state = {k: torch.randn(s, generator=generator).double() / 2 for k, s in shapes.items()}

    def block(x):
        F, time = torch.nn.functional, x.shape[1]
        u, gate = (x @ state["in_proj.weight"].T).chunk(2, dim=-1)
        past = F.pad(u.mT, (width - 1, 0))
        u = F.silu(F.conv1d(past, state["conv1d.weight"], state["conv1d.bias"], groups=inner).mT)
        s, B, C = (u @ state["x_proj.weight"].T).split([rank, states, states], dim=-1)
        delta = F.softplus(s @ state["dt_proj.weight"].T + state["dt_proj.bias"])
        A, h, ys = -torch.exp(state["A_log"]), torch.zeros(len(x), inner, states).double(), []
        for t in range(time):
            kept = torch.exp(delta[:, t, :, None] * A)
            h = kept * h + delta[:, t, :, None] * B[:, t, None] * u[:, t, :, None]
            ys.append((h * C[:, t, None]).sum(-1) + state["D"] * u[:, t])
        return (torch.stack(ys, 1) * F.silu(gate)) @ state["out_proj.weight"].T

    like = layers.mamba_init(KEY, features, states=states, width=width, rank=rank, dtype=float)
    params, x = from_torch(state, like), draw(2, 5, features)
    assert_same(layers.mamba(params, x)[0], block(torch.tensor(np.asarray(x))))
    there = to_torch(params)
    assert there.keys() == state.keys()
    for name, a in there.items():
        np.testing.assert_array_equal(a, state[name])


@pytest.mark.usefixtures("x64")
class TestFlax:
    def test_modules_in_a_row(self, linen):
        module = linen.Sequential([
            linen.Conv(6, (3, 2), feature_group_count=2), linen.relu,
            linen.ConvTranspose(5, (3, 2), strides=(2, 2)), linen.LayerNorm(), linen.Dense(3),
        ])  # fmt: skip
        x = draw(2, 8, 9, 4)
        variables = module.init(KEY, x)["params"]
        like = jax.tree.map(
            lambda a: a.astype(float),
            (
                layers.conv_init(KEY, (3, 2), 4, 6, groups=2), None,
                layers.conv_transpose_init(KEY, (3, 2), 6, 5), layers.layer_norm_init(5),
                layers.dense_init(KEY, 5, 3),
            ),
        )  # fmt: skip
        names = {str(i): f"layers_{i}" for i in range(5)}
        params = from_flax(variables, like, names=names)

        def network(x):
            h = jax.nn.relu(layers.conv(params[0], x, groups=2))
            h = layers.conv_transpose(params[2], h, strides=2, padding="SAME")
            return layers.dense(params[4], layers.layer_norm(params[3], h, epsilon=1e-6))

        assert_same(network(x), module.apply({"params": variables}, x), rtol=1e-6)
        jax.tree.map(np.testing.assert_allclose, to_flax(params, names=names), dict(variables))

    def test_batch_norm(self, linen):
        module, x = linen.BatchNorm(use_running_average=False), draw(8, 3)
        variables = module.init(KEY, x)
        _, moved = module.apply(variables, x, mutable=["batch_stats"])
        norm, stats = layers.batch_norm_init(3)
        stats = jax.tree.map(lambda a: a.astype(float), stats)
        stats = from_flax(moved["batch_stats"], stats)
        assert_same(stats.mean, moved["batch_stats"]["mean"])
        assert not np.allclose(stats.var, 1)
        assert from_flax(variables["params"], norm).scale.shape == (3,)

    def test_attention(self, linen):
        module, x = linen.MultiHeadDotProductAttention(2), draw(2, 3, 4)
        variables = module.init(KEY, x)["params"]
        like = layers.multi_head_attention_init(KEY, 4, heads=2, dtype=float)
        params = from_flax(variables, like, heads=2)
        theirs = module.apply({"params": variables}, x)
        assert_same(layers.multi_head_attention(params, x, heads=2), theirs, rtol=1e-6)

    @pytest.mark.parametrize(
        ("kind", "cell"), [("rnn", "SimpleCell"), ("gru", "GRUCell"), ("lstm", "LSTMCell")]
    )
    def test_recurrent(self, linen, kind, cell):
        module = linen.RNN(getattr(linen, cell)(2, param_dtype=float))
        x = draw(4, 5, 3)
        variables = module.init(KEY, x)["params"]["cell"]
        variables = randoms(variables)  # biases too
        like = getattr(layers, f"{kind}_init")(KEY, 3, 2, dtype=float)
        ours, _ = getattr(layers, kind)(from_flax(variables, like), x)
        theirs = module.apply({"params": {"cell": variables}}, x)
        assert_same(ours, theirs, rtol=1e-6)
        params = randoms(like)
        theirs = module.apply({"params": {"cell": to_flax(params)}}, x)
        assert_same(getattr(layers, kind)(params, x)[0], theirs, rtol=1e-6)


def test_statistics_and_parameters_of_one_state():
    """They stand in one state dict, and in two trees here."""
    norm, stats = layers.batch_norm_init(3)
    state = {**to_torch(norm), **to_torch(stats), "num_batches_tracked": np.array(7)}
    assert from_torch(state, norm) is not None
    np.testing.assert_array_equal(from_torch(state, stats).var, 1)
    with pytest.raises(ValueError, match="no place for it, 'extra'"):
        from_torch({**state, "extra": np.zeros(3)}, norm)


def test_under_jit_and_grad():
    """A linear map: it compiles, and its gradient is its transpose."""
    state = {k: jnp.asarray(a) for k, a in STATE.items()}
    compiled = jax.jit(from_torch)(state, PARAMS)
    np.testing.assert_array_equal(compiled.kernel, STATE["weight"].T)
    weight = jnp.arange(6.0).reshape(2, 3)
    gradient = jax.grad(lambda p: jnp.vdot(to_torch(p)["weight"], weight))(PARAMS)
    np.testing.assert_array_equal(gradient.kernel, weight.T)
    np.testing.assert_array_equal(gradient.bias, 0)
