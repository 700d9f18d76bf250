"""fnmath.training: one step, several steps, and the evaluation."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.training import (
    epoch_order,
    evaluate,
    train_state_init,
    train_step,
    train_steps,
)
from tests.helpers import Mistake
from tests.training.problems import KEY, assert_same_bits, classes, classifier, line, objective

SGD = optax.sgd(0.1)
x, y = jnp.ones(4), jnp.full(4, 3.0)
STATE = train_state_init(KEY, jnp.array(0.0), SGD)
LINE = {"objective": line, "optimizer": SGD}


def averaged(w, batch, key):
    return jnp.mean(batch[0] * w), {}


def bare(w, batch, key):
    return batch[0] * w


def named_loss(w, batch, key):
    return batch[0] * w, {"loss": batch[0]}


def numbered(w, batch, key):
    return batch[0] * w, {1: batch[0]}


def listed(w, batch, key):
    return batch[0] * w, {"extra": [batch[0]]}


MISTAKES = [
    Mistake(
        train_state_init, (0, jnp.zeros(3), SGD), {}, TypeError,
        "train_state_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        train_state_init, (jax.random.key(0, impl="rbg"), jnp.zeros(3), SGD), {}, TypeError,
        "train_state_init: key is of the kind rbg; wanted threefry2x32, JAX's default kind; "
        "did you mean jax.random.key(0, impl='threefry2x32')?",
    ),
    Mistake(
        train_state_init, (KEY, {"w": jnp.zeros(3, int)}, SGD), {}, TypeError,
        "train_state_init: params['w'] has dtype int32; wanted a floating dtype; "
        "did you mean params['w'].astype(jnp.float32)?",
    ),
    Mistake(
        train_state_init, (KEY, jnp.zeros(3), "adam"), {}, TypeError,
        "train_state_init: optimizer is a str; wanted an optax optimiser; "
        "did you mean optax.adam(1e-3)?",
    ),
    Mistake(
        epoch_order, (KEY, 0), {"examples": 0}, ValueError,
        "epoch_order: examples is 0; wanted an integer of at least 1",
    ),
    Mistake(
        epoch_order, (jnp.zeros(3), 0), {"examples": 3}, TypeError,
        "epoch_order: key is an array of float32; wanted a random key",
    ),
    Mistake(
        train_step, (STATE, (x[:0], y[:0])), LINE, ValueError,
        "train_step: batch holds no example; wanted at least one",
    ),
    Mistake(
        train_step, (STATE, (x, y[:2])), LINE, ValueError,
        "train_step: the number of examples must agree: batch[0] has 4 and batch[1] has 2",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"objective": averaged}, ValueError,
        "train_step: the objective's losses have shape (); wanted (4,), one per example; "
        "did you mean one per example, without .mean()?",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"objective": bare}, TypeError,
        "train_step: the objective returned an array; wanted (losses, metrics); "
        "did you mean return losses, {}?",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"objective": named_loss}, ValueError,
        "train_step: the objective's metrics hold 'loss'; wanted another name for it",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"objective": None}, TypeError,
        "train_step: objective is a NoneType; wanted a function",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"optimizer": optax.MultiSteps(SGD, 2)}, TypeError,
        "train_step: optimizer is a MultiSteps, which wraps an optax optimiser; "
        "did you mean its .gradient_transformation()?",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"optimizer": 0.1}, TypeError,
        "train_step: optimizer is a float; wanted an optax optimiser",
    ),
    Mistake(
        train_steps, (STATE, (x, y), jnp.arange(4)), LINE, ValueError,
        "train_steps: batches has shape (4,); wanted exactly 2 axes, (steps examples); "
        "did you mean batches[None]?",
    ),
    Mistake(
        train_steps, (STATE, (x, y), jnp.ones((2, 2))), LINE, TypeError,
        "train_steps: batches has dtype float32; wanted an integer dtype; "
        "did you mean batches.astype(jnp.int32)?",
    ),
    Mistake(
        evaluate, (jnp.array(0.0), ()), {"objective": line}, ValueError,
        "evaluate: data holds no array; wanted examples along a leading axis",
    ),
    Mistake(
        evaluate, (jnp.array(0.0), (x, y)), {"objective": averaged}, ValueError,
        "evaluate: the objective's losses have shape (); wanted (4,), one per example; "
        "did you mean one per example, without .mean()?",
    ),
    Mistake(
        evaluate, (jnp.array(0.0), (x, y)), {"objective": line, "batch_size": 0}, ValueError,
        "evaluate: batch_size is 0; wanted an integer of at least 1",
    ),
    Mistake(
        evaluate, (jnp.array(0.0), (x, y)), {"objective": bare}, TypeError,
        "evaluate: the objective returned an array; wanted (losses, metrics); "
        "did you mean return losses, {}?",
    ),
    Mistake(
        epoch_order, (KEY, -1), {"examples": 3}, ValueError,
        "epoch_order: epoch is -1; wanted an integer of at least 0",
    ),
    Mistake(
        epoch_order, (KEY, 1.5), {"examples": 3}, TypeError,
        "epoch_order: epoch is 1.5 (float); wanted an integer",
    ),
    Mistake(
        epoch_order, (KEY, jnp.arange(2)), {"examples": 3}, ValueError,
        "epoch_order: epoch has shape (2,); wanted exactly 0 axes, ()",
    ),
    Mistake(
        train_step, (None, (x, y)), LINE, TypeError,
        "train_step: state is a NoneType; wanted a TrainState; "
        "did you mean train_state_init(key, params, optimizer)?",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"optimizer": optax.adam(0.1)}, ValueError,
        "train_step: state.opt_state is not the optimizer's: it has another structure; "
        "did you mean train_state_init with this optimizer?",
    ),
    Mistake(
        train_step, (STATE._replace(key=KEY), (x, y)), LINE, TypeError,
        "train_step: state.key has dtype key<fry>; wanted uint32, the words of a key; "
        "did you mean jax.random.key_data(key)?",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"objective": numbered}, TypeError,
        "train_step: the objective's metrics have the name 1; wanted a string",
    ),
    Mistake(
        train_step, (STATE, (x, y)), LINE | {"objective": listed}, TypeError,
        "train_step: the objective's extra is a list; wanted an array; "
        "did you mean jnp.asarray(the objective's extra)?",
    ),
]  # fmt: skip


class TestTrainStep:
    @pytest.mark.usefixtures("x64")
    def test_reference_gradient_descent_by_hand(self):
        """L = mean (w x − y)², so w ← w − η · mean 2 x (w x − y)."""
        x, y = jnp.array([1.0, 2.0, -1.0]), jnp.array([3.0, 1.0, 0.5])
        state = train_state_init(KEY, jnp.array(0.3), SGD)
        new, metrics = train_step(state, (x, y), **LINE)
        np.testing.assert_allclose(new.params, 0.3 - 0.1 * jnp.mean(2 * x * (0.3 * x - y)))
        np.testing.assert_allclose(metrics["loss"], jnp.mean((0.3 * x - y) ** 2))
        assert new.step == 1

    @pytest.mark.slow
    def test_reference_adam_written_with_optax(self):
        data, params, adam = classes(), classifier(), optax.adamw(1e-2)
        quiet = lambda params, batch, key: objective(params, batch, None)  # noqa: E731
        state, _ = train_step(
            train_state_init(KEY, params, adam), data, objective=quiet, optimizer=adam
        )
        gradient = jax.grad(lambda p: objective(p, data, None)[0].mean())(params)
        updates, _ = adam.update(gradient, adam.init(params), params)
        expected = optax.apply_updates(params, updates)
        chex.assert_trees_all_close(state.params, expected, rtol=1e-5, atol=1e-7)

    @pytest.mark.slow
    def test_law_loss_falls_along_the_gradient(self):
        data, state = classes(), train_state_init(KEY, classifier(), SGD)
        new, before = train_step(state, data, objective=objective, optimizer=SGD)
        after = evaluate(new.params, data, objective=objective)
        assert after["loss"] < before["loss"]

    def test_noise_is_fresh_for_each_step_and_decided_by_the_key(self):
        seen = lambda w, batch, key: (w + jax.random.normal(key, (4,)), {})  # noqa: E731
        step = partial(train_step, objective=seen, optimizer=optax.sgd(0.0))
        first, one = step(STATE, (x, y))
        _, two = step(first, (x, y))
        _, again = step(STATE, (x, y))
        assert one["loss"] == again["loss"] != two["loss"]

    @pytest.mark.slow
    def test_transforms(self):
        data, state = classes(), train_state_init(KEY, classifier(), SGD)

        def step(state, data):
            return train_step(state, data, objective=objective, optimizer=SGD)

        expected = step(state, data)
        once = jax.jit(chex.assert_max_traces(step, n=1))
        once(state, data)
        chex.assert_trees_all_close(once(state, data)[0].params, expected[0].params, rtol=1e-5)
        states = jax.tree.map(lambda a: jnp.stack([a, a]), state)
        many, _ = jax.vmap(step, in_axes=(0, None))(states, data)
        row = jax.tree.map(lambda a: a[1], many.params)
        chex.assert_trees_all_close(row, expected[0].params, rtol=1e-5, atol=1e-7)

    def test_the_state_may_be_donated(self):
        data, state = classes(), train_state_init(jax.random.key(5), classifier(), SGD)
        step = jax.jit(partial(train_step, objective=objective, optimizer=SGD), donate_argnums=0)
        for _ in range(3):
            state, _ = step(state, data)
        assert state.step == 3

    def test_learning_rate_is_differentiable(self):
        """The step is a pure function of everything, the learning rate included."""

        def loss_after(rate):
            sgd = optax.sgd(rate)
            state = train_state_init(KEY, jnp.array(0.0), sgd)
            state, _ = train_step(state, (x, y), objective=line, optimizer=sgd)
            return evaluate(state.params, (x, y), objective=line)["loss"]

        # w₁ = 6η and L = (6η − 3)², so dL/dη = 12 (6η − 3).
        np.testing.assert_allclose(jax.grad(loss_after)(0.1), 12 * (0.6 - 3), rtol=1e-5)

    def test_donation_takes_nothing_from_the_caller(self):
        """The state is donated; the key and the parameters that it was made of stay."""
        key, params = jax.random.key(9), jnp.zeros(())
        state = train_state_init(key, params, SGD)
        jax.jit(partial(train_step, **LINE), donate_argnums=0)(state, (x, y))
        assert jnp.isfinite(jax.random.normal(key))
        assert params == 0

    def test_numpy_data(self):
        data = (np.ones(4, np.float32), np.full(4, 3, np.float32))
        batches = jnp.arange(4).reshape(2, 2)
        ours, _ = train_steps(STATE, data, batches, **LINE)
        assert_same_bits(ours, train_steps(STATE, (x, y), batches, **LINE)[0])

    def test_means_of_many_half_precision_losses(self):
        """The count 70,000 is inf in float16; the mean is not."""
        data = jnp.full(70_000, 0.5, jnp.float16)
        halves = lambda w, batch, key: (batch * w, {})  # noqa: E731
        one = jnp.ones((), jnp.float16)
        assert evaluate(one, data, objective=halves)["loss"] == 0.5
        state = train_state_init(KEY, one, SGD)
        _, metrics = train_step(state, data, objective=halves, optimizer=SGD)
        assert metrics["loss"] == 0.5
        assert metrics["loss"].dtype == jnp.float32  # as in evaluate

    def test_an_optimizer_that_asks_for_the_loss(self):
        plateau = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1))
        state = train_state_init(KEY, jnp.array(0.0), plateau)
        state, _ = train_step(state, (x, y), objective=line, optimizer=plateau)
        assert state.params != 0


class TestEpochOrder:
    def test_law_a_permutation_for_each_epoch(self):
        first, second = (epoch_order(KEY, epoch, examples=50) for epoch in (0, 1))
        np.testing.assert_array_equal(jnp.sort(first), jnp.arange(50))
        assert (first != second).any()
        np.testing.assert_array_equal(first, epoch_order(KEY, jnp.array(0), examples=50))

    def test_law_uniform(self):
        """Over many keys each example comes first equally often."""
        keys = jax.random.split(KEY, 4000)
        first = jax.vmap(lambda key: epoch_order(key, 0, examples=8)[0])(keys)
        counts = jnp.bincount(first, length=8)
        assert ((counts - 500) ** 2 / 500).sum() < 24.3  # χ² with 7 degrees of freedom, 99.9 %


class TestTrainSteps:
    def test_same_bits_as_single_steps(self):
        data, adam = classes(), optax.adam(1e-2)
        run = {"objective": objective, "optimizer": adam}
        start = train_state_init(KEY, classifier(), adam)
        batches = epoch_order(KEY, 0, examples=103)[:100].reshape(10, 10)
        together, measured = jax.jit(partial(train_steps, **run))(start, data, batches)
        single, losses, state = jax.jit(partial(train_step, **run)), [], start
        for indices in batches:
            state, metrics = single(state, jax.tree.map(lambda a, i=indices: a[i], data))
            losses.append(metrics["loss"])
        assert_same_bits(together, state)
        np.testing.assert_array_equal(measured["loss"], jnp.stack(losses))

    def test_an_index_out_of_range_gives_nan_in_its_step(self):
        batches = jnp.array([[0, 1], [2, 4], [0, 1]])
        _, metrics = train_steps(STATE, (x, y), batches, **LINE)
        assert jnp.isfinite(metrics["loss"]).tolist() == [True, False, False]
        _, metrics = train_steps(STATE, (x, y), batches.at[1, 1].set(-1), **LINE)
        assert jnp.isfinite(metrics["loss"]).tolist() == [True, False, False]

    def test_no_step(self):
        state, metrics = train_steps(STATE, (x, y), jnp.zeros((0, 2), int), **LINE)
        assert_same_bits(state, STATE)
        assert metrics["loss"].shape == (0,)


class TestEvaluate:
    @pytest.mark.slow
    @pytest.mark.parametrize("batch_size", [None, 1, 10, 103, 500])
    def test_batches_change_nothing(self, batch_size):
        data, params = classes(), classifier()
        losses, metrics = objective(params, data, None)
        ours = evaluate(params, data, objective=objective, batch_size=batch_size)
        np.testing.assert_allclose(ours["loss"], losses.mean(), rtol=1e-6)
        np.testing.assert_allclose(ours["accuracy"], metrics["accuracy"].mean(), rtol=1e-6)

    def test_no_key_no_noise(self):
        seen = []
        evaluate(
            jnp.zeros(()),
            (x, y),
            objective=lambda w, b, key: (seen.append(key), line(w, b, key))[1],
        )
        assert seen == [None]

    @pytest.mark.slow
    def test_transforms(self):
        params, data = classifier(), classes()
        f = partial(evaluate, objective=objective, batch_size=10)
        expected = f(params, data)
        chex.assert_trees_all_close(jax.jit(f)(params, data), expected, rtol=1e-5)
        many = jax.vmap(f, in_axes=(0, None))(
            jax.tree.map(lambda a: jnp.stack([a, a]), params), data
        )
        chex.assert_trees_all_close(many["loss"][1], expected["loss"], rtol=1e-5)
