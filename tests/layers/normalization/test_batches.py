"""fnmath.layers.normalization.batches: batch normalisation and its running statistics."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec as P

from fnmath.layers import BatchStats, NormParams, batch_norm, batch_norm_init, batch_norm_train
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.agreement import arrays, assert_agrees, draws

DRAWN = {"deadline": None, "derandomize": True, "database": None}
NONE = NormParams(None, None)
STATS = BatchStats(jnp.zeros(3), jnp.ones(3))
x = jnp.ones((4, 3))

MISTAKES = [
    Mistake(
        batch_norm, (None, STATS, x), {}, TypeError,
        "batch_norm: params is a NoneType; wanted NormParams(scale, bias)",
    ),
    Mistake(
        batch_norm, (NONE, None, x), {}, TypeError,
        "batch_norm: stats is a NoneType; wanted BatchStats(mean, var)",
    ),
    Mistake(
        batch_norm, (NONE, BatchStats(jnp.zeros(3), None), x), {}, TypeError,
        "batch_norm: var is a NoneType; wanted an array",
    ),
    Mistake(
        batch_norm, (NONE, STATS, x[:, :2]), {}, ValueError,
        "batch_norm: mean has shape (3,); wanted (2,), one for each channel of x (4, 2)",
    ),
    Mistake(
        batch_norm, (NormParams(jnp.ones(2), None), STATS, x), {}, ValueError,
        "batch_norm: scale has shape (2,); wanted (3,), the last of the shape (4, 3) of x",
    ),
    Mistake(
        batch_norm, (NONE, STATS, jnp.float32(1.0)), {}, ValueError,
        "batch_norm: x has shape (); wanted at least 1 axis, (*batch channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        batch_norm, (NONE, STATS, x), {"epsilon": -1.0}, ValueError,
        "batch_norm: epsilon is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        batch_norm_train, (NONE, STATS, x), {"momentum": 1.5}, ValueError,
        "batch_norm_train: momentum is 1.5; wanted a number in [0, 1]",
    ),
    Mistake(
        batch_norm_train, (NONE, STATS, x), {"momentum": None}, TypeError,
        "batch_norm_train: momentum is None (NoneType); wanted a number",
    ),
    Mistake(
        batch_norm_train, (NONE, STATS, x), {"unbiased": 0}, TypeError,
        "batch_norm_train: unbiased is 0 (int); wanted True or False",
    ),
    Mistake(
        batch_norm_train, (NONE, STATS, x), {"axis_name": 3}, TypeError,
        "batch_norm_train: axis_name holds a int; wanted names of mapped axes",
    ),
    Mistake(
        batch_norm_train, (NONE, STATS, x), {"axis_name": "devices"}, ValueError,
        "batch_norm_train: axis_name is 'devices'; wanted the name of an axis mapped around the "
        "call; did you mean jax.vmap(…, axis_name='devices')?",
    ),
    Mistake(
        batch_norm_train, (NONE, STATS, x), {"where": jnp.ones(4)}, TypeError,
        "batch_norm_train: where has dtype float32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        batch_norm_train, (NONE, STATS, x), {"where": jnp.ones(4, bool)}, ValueError,
        "batch_norm_train: where (4,) must broadcast to x (4, 3); did you mean where[..., None]?",
    ),
    Mistake(
        batch_norm_init, (3.0,), {}, TypeError,
        "batch_norm_init: features is 3.0 (float); wanted an integer",
    ),
    Mistake(
        batch_norm_init, (0,), {}, ValueError,
        "batch_norm_init: features is 0; wanted an integer of at least 1",
    ),
]  # fmt: skip


@st.composite
def configurations(draw):
    """Shape before the channels, channels, which parameters, ε, momentum, mask, and the draws."""
    outer = draw(
        st.lists(st.integers(1, 4), min_size=1, max_size=3).filter(lambda s: np.prod(s) > 1)
    )
    which = draw(st.sampled_from([(), ("scale", "bias"), ("bias",)]))
    epsilon, momentum = draw(st.sampled_from([1e-5, 1e-3])), draw(st.sampled_from([0.9, 0.0, 0.3]))
    seed = draw(st.integers(0, 2**31))
    where = None
    if draw(st.booleans()):
        where = np.random.default_rng(seed).random((*outer, 1)) < 0.6
        where.ravel()[:2] = True
    return tuple(outer), draw(st.integers(1, 4)), which, epsilon, momentum, where, seed


@pytest.mark.slow
class TestAgainstTorch:
    @settings(max_examples=35, **DRAWN)
    @given(configurations())
    def test_batch_norm_train(self, configuration):
        """Outputs, gradients, and the statistics after the step (which torch does not derive)."""
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        outer, channels, which, epsilon, momentum, where, seed = configuration
        n = (channels,)
        x, mean, var, *params = arrays(seed, (*outer, *n), n, n, *(n for _ in which))
        var = np.square(var) + 0.5

        def ours(x, *params):
            parts = NormParams(
                **{"scale": None, "bias": None, **dict(zip(which, params, strict=True))}
            )
            stats = BatchStats(jnp.asarray(mean, x.dtype), jnp.asarray(var, x.dtype))
            mask = None if where is None else jnp.asarray(where)
            options = {"momentum": momentum, "epsilon": epsilon, "where": mask}
            y, stats = batch_norm_train(parts, stats, x, **options)
            return jnp.concatenate([y.ravel(), *map(jax.lax.stop_gradient, stats)])

        def theirs(x, *params):
            parts = {"scale": None, "bias": None, **dict(zip(which, params, strict=True))}
            m, v = torch.tensor(mean), torch.tensor(var)
            counts = torch.ones(outer, dtype=bool) if where is None else torch.tensor(where[..., 0])
            found = torch.nn.functional.batch_norm(
                x[counts], m, v, parts["scale"], parts["bias"], True, 1 - momentum, epsilon
            )
            y = torch.zeros_like(x).masked_scatter(counts[..., None], found)
            return torch.cat([y.ravel(), m, v])

        assert_agrees(torch, ours, theirs, x, *params, differences_of=1.0)

    @settings(max_examples=10, **DRAWN)
    @given(configurations())
    def test_batch_norm(self, configuration):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        outer, channels, which, epsilon, *_, seed = configuration
        n = (channels,)
        x, mean, var, *params = arrays(seed, (*outer, *n), n, n, *(n for _ in which))
        var = np.square(var) + 0.5

        def ours(x, *params):
            parts = NormParams(
                **{"scale": None, "bias": None, **dict(zip(which, params, strict=True))}
            )
            stats = BatchStats(jnp.asarray(mean, x.dtype), jnp.asarray(var, x.dtype))
            return batch_norm(parts, stats, x, epsilon=epsilon)

        def theirs(x, *params):
            parts = {"scale": None, "bias": None, **dict(zip(which, params, strict=True))}
            y = torch.nn.functional.batch_norm(
                x.reshape(-1, channels), torch.tensor(mean), torch.tensor(var),
                parts["scale"], parts["bias"], False, 0.1, epsilon,
            )  # fmt: skip
            return y.reshape(x.shape)

        assert_agrees(torch, ours, theirs, x, *params, differences_of=1.0)


class TestNumbersOfThePeers:
    """Five steps from the start: the running statistics are those of PyTorch, or of Flax."""

    batches = tuple(3 + 2 * b for b in arrays(0, *[(6, 2, 3)] * 5))
    scale, bias = arrays(1, (3,), (3,))

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_torch(self):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        module = torch.nn.BatchNorm1d(3, dtype=torch.float64)
        with torch.no_grad():
            module.weight[:], module.bias[:] = torch.tensor(self.scale), torch.tensor(self.bias)
        params, stats = NormParams(*map(jnp.asarray, (self.scale, self.bias))), STATS
        stats = jax.tree.map(lambda a: a.astype(float), stats)
        for batch in self.batches:
            y, stats = batch_norm_train(params, stats, jnp.asarray(batch))
            theirs = module(torch.tensor(batch).reshape(12, 3)).detach().reshape(6, 2, 3)
            np.testing.assert_allclose(y, theirs.numpy(), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(stats.mean, module.running_mean.numpy(), rtol=1e-13)
            np.testing.assert_allclose(stats.var, module.running_var.numpy(), rtol=1e-13)
        module.eval()
        theirs = module(torch.tensor(batch).reshape(12, 3)).detach().reshape(6, 2, 3)
        ours = batch_norm(params, stats, jnp.asarray(batch))
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=1e-14)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("masked", [False, True])
    def test_flax(self, masked):
        nn = pytest.importorskip("flax", reason="Flax is a peer, not a dependency").linen
        module = nn.BatchNorm(momentum=0.9, use_fast_variance=False, dtype=jnp.float64)
        params = NormParams(*map(jnp.asarray, (self.scale, self.bias)))
        stats = jax.tree.map(lambda a: a.astype(float), STATS)
        theirs = {"batch_stats": stats._asdict(), "params": params._asdict()}
        where = jnp.arange(12).reshape(6, 2, 1) % 5 > 0 if masked else None
        for batch in map(jnp.asarray, self.batches):
            y, stats = batch_norm_train(params, stats, batch, unbiased=False, where=where)
            z, state = module.apply(
                theirs, batch, use_running_average=False, mask=where, mutable=["batch_stats"]
            )
            theirs |= state
            z = z if where is None else jnp.where(where, z, 0)
            np.testing.assert_allclose(y, z, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(stats.mean, state["batch_stats"]["mean"], rtol=1e-13)
            np.testing.assert_allclose(stats.var, state["batch_stats"]["var"], rtol=1e-13)
        z = module.apply(theirs, batch, use_running_average=True)
        np.testing.assert_allclose(batch_norm(params, stats, batch), z, rtol=1e-12, atol=1e-14)


class TestBatchNorm:
    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, w, scale, bias, mean, var = draws(2, (4, 3), (4, 3), *[(3,)] * 4)
        params, stats, ε = NormParams(scale, bias), BatchStats(mean, jnp.square(var) + 0.5), 0.1
        σ = jnp.sqrt(stats.var + ε)
        z = (x - stats.mean) / σ

        def weighted(x, params, stats):
            return w * batch_norm(params, stats, x, epsilon=ε)

        assert_gradient(jax.jit(weighted), lambda *_: w * scale / σ, x, params, stats)
        assert_gradient(
            jax.jit(lambda params: weighted(x, params, stats)),
            lambda _: NormParams((z * w).sum(0), w.sum(0)),
            params,
        )
        y_bar = w * scale
        assert_gradient(
            jax.jit(lambda stats: weighted(x, params, stats)),
            lambda _: BatchStats(-y_bar.sum(0) / σ, -(z * y_bar).sum(0) / (2 * σ**2)),
            stats,
        )

    def test_transforms(self):
        x, scale, bias = draws(3, (4, 3), (3,), (3,))
        assert_transforms(batch_norm, NormParams(scale, bias), STATS, x)

    def test_variance_below_zero_is_nan(self):
        stats = BatchStats(jnp.zeros(3), jnp.array([1.0, -1e-7, 0.0]))
        assert jnp.isnan(batch_norm(NONE, stats, x)).all(0).tolist() == [False, True, False]

    def test_init(self):
        params, stats = batch_norm_init(3, dtype=jnp.bfloat16)
        assert params.scale.dtype == params.bias.dtype == jnp.bfloat16
        assert stats.mean.dtype == stats.var.dtype == jnp.float32
        assert batch_norm(params, stats, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
        assert batch_norm_init(3, use_scale=False, use_bias=False)[0] == NONE


class TestBatchNormTrain:
    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("masked", [False, True])
    def test_gradient(self, masked):
        x, w, scale, bias = draws(4, (5, 2), (5, 2), (2,), (2,))
        params, stats = NormParams(scale, bias), BatchStats(jnp.zeros(2), jnp.ones(2))
        where = jnp.array([[1, 1], [1, 0], [1, 1], [0, 1], [1, 1]], bool) if masked else None
        kept = jnp.ones_like(x) if where is None else where.astype(float)
        n = kept.sum(0)

        def parts(x):
            c = kept * (x - (kept * x).sum(0) / n)
            σ = jnp.sqrt((c * c).sum(0) / n + 0.1)
            return c / σ, σ

        def gradient(x):
            z, σ = parts(x)
            z_bar = kept * w * scale
            along = (z * z_bar).sum(0) / n
            return kept * (z_bar - z_bar.sum(0) / n - z * along) / σ

        def weighted(x, params):
            return w * batch_norm_train(params, stats, x, epsilon=0.1, where=where)[0]

        assert_gradient(jax.jit(weighted), lambda x, _: gradient(x), x, params)
        assert_gradient(
            jax.jit(lambda params: weighted(x, params)),
            lambda _: NormParams((parts(x)[0] * w).sum(0), (kept * w).sum(0)),
            params,
        )

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient_of_the_statistics(self):
        (x,) = draws(5, (5, 2))
        stats = BatchStats(jnp.zeros(2), jnp.ones(2))
        for part, slope in (
            (0, lambda x: jnp.full_like(x, 0.25 / 5)),
            (1, lambda x: 0.25 * 2 * (x - x.mean(0)) / 4),
        ):
            f = lambda x, i=part: batch_norm_train(NONE, stats, x, momentum=0.75)[1][i]  # noqa: E731
            assert_gradient(f, slope, x)

    def test_transforms(self):
        x, scale, bias = draws(6, (4, 3), (3,), (3,))
        assert_transforms(batch_norm_train, NormParams(scale, bias), STATS, x)

    def test_momentum_is_the_weight_of_the_old_value(self):
        stats = BatchStats(jnp.array([2.0, 0.0, 0.0]), jnp.array([8.0, 1.0, 1.0]))
        for momentum in (0.75, jnp.float32(0.75)):
            after = batch_norm_train(NONE, stats, x, momentum=momentum)[1]
            np.testing.assert_allclose(after.mean, [1.75, 0.25, 0.25])
            np.testing.assert_allclose(after.var, [6.0, 0.75, 0.75])
        outside = batch_norm_train(NONE, stats, x, momentum=jnp.float32(1.5))[1]
        assert jnp.isnan(outside.mean).all()
        kept = batch_norm_train(NONE, stats, x, momentum=1.0)[1]
        np.testing.assert_array_equal(kept.mean, stats.mean)

    @pytest.mark.slow
    def test_masked_entries_do_not_matter(self):
        x, w = draws(7, (4, 3, 2), (4, 3, 2))
        stats = BatchStats(jnp.zeros(2), jnp.ones(2))
        where = jnp.arange(3)[None, :, None] < jnp.array([3, 1, 0, 2])[:, None, None]

        def loss(x):
            y, after = batch_norm_train(NONE, stats, x, where=where)
            return jnp.sum(w * y) + jnp.sum(after.var) + jnp.sum(after.mean), y

        for replacement in (0.0, 1e30, jnp.nan, jnp.inf):
            other = jnp.where(where, x, replacement)
            (value, y), x_bar = jax.value_and_grad(loss, has_aux=True)(other)
            if replacement == 0.0:
                first = value, x_bar, y
            np.testing.assert_array_equal(value, first[0])
            np.testing.assert_array_equal(x_bar, first[1])
            np.testing.assert_array_equal(jnp.where(where, 0, y), 0)
            np.testing.assert_array_equal(jnp.where(where, 0, x_bar), 0)
        hessian = jax.hessian(lambda x: loss(x)[0])(jnp.where(where, x, jnp.nan))
        assert jnp.isfinite(hessian).all()

    @pytest.mark.slow
    def test_masked_is_the_batch_without(self):
        (x,) = draws(8, (6, 3))
        where = jnp.array([1, 0, 1, 1, 0, 1], bool)
        y, after = batch_norm_train(NONE, STATS, x, where=where[:, None])
        short, stats = batch_norm_train(NONE, STATS, x[where])
        np.testing.assert_allclose(y[where], short, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(after.mean, stats.mean, rtol=1e-6)
        np.testing.assert_allclose(after.var, stats.var, rtol=1e-6)

    @pytest.mark.slow
    def test_a_batch_of_one_value(self):
        params = NormParams(jnp.full(3, 2.0), jnp.arange(3.0))

        def apply(x):
            return batch_norm_train(params, STATS, x)

        (y, after), vjp = jax.vjp(apply, 5 * x[:1])
        np.testing.assert_array_equal(y, [[0, 1, 2]])
        np.testing.assert_allclose(after.mean, 0.5)
        np.testing.assert_array_equal(after.var, STATS.var)
        np.testing.assert_array_equal(
            vjp((jnp.ones_like(y), jax.tree.map(jnp.zeros_like, STATS)))[0], 0
        )
        assert jnp.isfinite(jax.hessian(lambda x: jnp.sum(apply(x)[0]))(x[:1])).all()
        biased = batch_norm_train(params, STATS, x[0], unbiased=False)[1]
        np.testing.assert_allclose(biased.var, 0.9)

    @pytest.mark.slow
    def test_nothing_to_learn_from(self):
        """An empty batch, or one that is wholly masked, changes nothing."""
        y, after = batch_norm_train(NONE, STATS, jnp.ones((0, 3)))
        assert y.shape == (0, 3)
        no = jnp.zeros((4, 1), bool)
        for x_ in (x, jnp.full_like(x, jnp.nan)):
            y, masked = batch_norm_train(NONE, STATS, x_, where=no)
            np.testing.assert_array_equal(y, 0)
            slope = jax.grad(lambda x: jnp.sum(batch_norm_train(NONE, STATS, x, where=no)[0]))(x_)
            np.testing.assert_array_equal(slope, 0)
            for stats in (after, masked):
                np.testing.assert_array_equal(stats.mean, STATS.mean)
                np.testing.assert_array_equal(stats.var, STATS.var)

    @pytest.mark.slow
    def test_large_offset_and_constants(self):
        c = np.round(np.random.default_rng(0).normal(size=(5000, 2)) * 256) / 256
        batch = jnp.asarray(np.float32(c + 1e4))
        stats = BatchStats(jnp.zeros(2), jnp.ones(2))
        y, after = batch_norm_train(NONE, stats, batch, momentum=0.0)
        x64 = np.float64(batch)
        exact = (x64 - x64.mean(0)) / np.sqrt(x64.var(0) + 1e-5)
        np.testing.assert_allclose(y, exact, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(after.mean, x64.mean(0), rtol=1e-7)
        np.testing.assert_allclose(after.var, x64.var(0, ddof=1), rtol=2e-6)
        y, after = batch_norm_train(NONE, STATS, jnp.full((7, 3), 1e10 / 3), momentum=0.0)
        np.testing.assert_array_equal(y, 0)
        np.testing.assert_array_equal(after.var, 0)

    def test_half_precision(self):
        (x,) = draws(9, (64, 3))
        half = (x + 3).astype(jnp.bfloat16)
        y, after = batch_norm_train(NONE, STATS, half)
        wide, expected = batch_norm_train(NONE, STATS, half.astype(jnp.float32))
        assert y.dtype == jnp.bfloat16
        np.testing.assert_array_equal(y, wide.astype(jnp.bfloat16))
        np.testing.assert_array_equal(after.var, expected.var)
        low = jax.tree.map(lambda a: a.astype(jnp.bfloat16), STATS)
        assert batch_norm_train(NONE, low, half)[1].var.dtype == jnp.bfloat16

    def test_nan_spoils_its_channel(self):
        y, after = batch_norm_train(NONE, STATS, x.at[1, 2].set(jnp.nan))
        np.testing.assert_array_equal(jnp.isnan(y).all(0), [False, False, True])
        np.testing.assert_array_equal(jnp.isnan(after.var), [False, False, True])
        np.testing.assert_array_equal(jnp.isnan(y).any(0), [False, False, True])


class TestAcrossDevices:
    """Spread over a mapped axis, the batch has the statistics and the gradient of the whole."""

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("masked", [False, True])
    def test_vmap(self, masked):
        x, w, scale, bias = draws(10, (3, 4, 2), (3, 4, 2), (2,), (2,))
        x = x + 100 * jnp.arange(3.0)[:, None, None]  # each device has a mean of its own
        params, stats = NormParams(scale, bias), BatchStats(jnp.zeros(2), jnp.ones(2))
        kept = jnp.arange(4)[:, None] < jnp.array([4, 0, 1])[:, None, None]

        def spread(x, params):
            def one(x, kept):
                where = kept if masked else None
                return batch_norm_train(params, stats, x, axis_name="devices", where=where)

            y, after = jax.vmap(one, axis_name="devices")(x, kept)
            return jnp.sum(w * y) + jnp.sum(jnp.sin(after.var[0])), (y, after)

        def whole(x, params):
            where = kept.reshape(12, 1) if masked else None
            y, after = batch_norm_train(params, stats, x.reshape(12, 2), where=where)
            y = y.reshape(x.shape)
            return jnp.sum(w * y) + jnp.sum(jnp.sin(after.var)), (y, after)

        results = [
            jax.jit(jax.value_and_grad(f, argnums=(0, 1), has_aux=True))(x, params)
            for f in (spread, whole)
        ]
        (((_, (y, after)), bars), ((_, (y_whole, after_whole)), bars_whole)) = results
        np.testing.assert_allclose(y, y_whole, rtol=1e-11, atol=1e-12)
        for a, b in zip(after, after_whole, strict=True):
            np.testing.assert_allclose(a, jnp.broadcast_to(b, a.shape), rtol=1e-12)
        for a, b in zip(jax.tree.leaves(bars), jax.tree.leaves(bars_whole), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)

    @pytest.mark.slow
    def test_several_axes(self):
        (x,) = draws(11, (2, 3, 4, 3))

        def one(x):
            return batch_norm_train(NONE, STATS, x, axis_name=("rows", "columns"))

        y, after = jax.vmap(jax.vmap(one, axis_name="columns"), axis_name="rows")(x)
        whole, stats = batch_norm_train(NONE, STATS, x)
        np.testing.assert_allclose(y, whole, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(after.var[1, 2], stats.var, rtol=1e-5)

    @pytest.mark.slow
    def test_one_device(self):
        """Under ``shard_map``, whose types say what differs between devices."""
        (x,) = draws(12, (4, 3))
        mesh = jax.make_mesh((1,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))

        def one(x):
            return batch_norm_train(NONE, STATS, x, axis_name="devices")

        specs = {"in_specs": P("devices"), "out_specs": (P("devices"), P())}
        y, after = jax.shard_map(one, mesh=mesh, **specs)(x)
        whole, stats = batch_norm_train(NONE, STATS, x)
        np.testing.assert_allclose(y, whole, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(after.var, stats.var, rtol=1e-6)

    @pytest.mark.slow
    def test_four_devices(self):
        """In a process of its own, for the number of devices is fixed when JAX starts."""
        command = [sys.executable, "-c", FOUR_DEVICES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "equal", done.stderr


FOUR_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, PartitionSpec as P
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_enable_x64", True)
from fnmath.layers import BatchStats, NormParams, batch_norm_train

x, w = jax.random.normal(jax.random.key(0), (2, 8, 3))
params = NormParams(jnp.arange(1.0, 4.0), jnp.ones(3))
stats = BatchStats(jnp.zeros(3), jnp.ones(3))

def loss(params, x, w, axis_name):
    y, after = batch_norm_train(params, stats, x, axis_name=axis_name)
    mean = jnp.mean(w * jnp.sin(y))
    return (mean if axis_name is None else jax.lax.pmean(mean, axis_name)), after

whole = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))
spread = jax.jit(jax.shard_map(
    lambda *args: whole(*args, "devices"), mesh=mesh,
    in_specs=(P(), P("devices"), P("devices")),
    out_specs=((P(), P()), (P(), P("devices"))),
))
a, b = spread(params, x, w), whole(params, x, w, None)
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13), a, b)
print("equal")
"""
