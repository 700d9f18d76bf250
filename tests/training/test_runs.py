"""fnmath.training: whole runs. Their numbers do not depend on how they are cut."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.networks import mlp, mlp_init
from fnmath.training import (
    NonFiniteLossError,
    epoch_order,
    evaluate,
    fit,
    fit_with_progress,
    train_state_init,
    train_step,
)
from tests.helpers import Mistake
from tests.training.problems import KEY, assert_same_bits, classes, classifier, line, objective

SGD, ADAM = optax.sgd(0.1), optax.adam(1e-2)
x, y = jnp.ones(4), jnp.full(4, 3.0)
STATE = train_state_init(KEY, jnp.array(0.0), SGD)
LINE = {"objective": line, "optimizer": SGD, "epochs": 2, "batch_size": 2}
RUN = {"objective": objective, "optimizer": ADAM, "epochs": 3, "batch_size": 10}


def both(args, options, error, problem):
    return [
        Mistake(f, args, options, error, f"{f.__name__}: {problem}")
        for f in (fit, fit_with_progress)
    ]


MISTAKES = [
    *both((STATE, (x, y)), LINE | {"batch_size": 5}, ValueError,
          "batch_size is 5; wanted at most the 4 examples"),
    *both((STATE, (x, y)), LINE | {"epochs": 0}, ValueError,
          "epochs is 0; wanted an integer of at least 1"),
    *both((STATE, (x, y)), LINE | {"epochs": 1.5}, TypeError,
          "epochs is 1.5 (float); wanted an integer"),
    *both((STATE, (x, y[:3])), LINE, ValueError,
          "the number of examples must agree: data[0] has 4 and data[1] has 3"),
    *both((STATE, (x, jnp.float32(1))), LINE, ValueError,
          "data[1] has shape (); wanted at least 1 axis, (*batch examples); "
          "did you mean data[1][None]?"),
    *both((STATE, (x, y)), LINE | {"optimizer": "sgd"}, TypeError,
          "optimizer is a str; wanted an optax optimiser; did you mean optax.adam(1e-3)?"),
    Mistake(fit_with_progress, (STATE, (x, y)), LINE | {"steps_per_chunk": 0}, ValueError,
            "fit_with_progress: steps_per_chunk is 0; wanted an integer of at least 1"),
    Mistake(fit_with_progress, (STATE, (x, y)), LINE | {"callback": 3}, TypeError,
            "fit_with_progress: callback is a int; wanted a function"),
    *both((None, (x, y)), LINE, TypeError,
          "state is a NoneType; wanted a TrainState; "
          "did you mean train_state_init(key, params, optimizer)?"),
    *both((STATE, (x, y)), LINE | {"validation": 3.0}, ValueError,
          "validation has shape (); wanted at least 1 axis, (*batch examples); "
          "did you mean validation[None]?"),
]  # fmt: skip


def start(optimizer=ADAM, seed=0):
    return train_state_init(jax.random.key(seed), classifier(), optimizer)


@pytest.fixture(scope="module")
def whole_run():
    """The run that every other way of making it has to repeat: 3 epochs, 10 batches and a rest."""
    data = classes()
    f = jax.jit(partial(fit, **RUN, validation=data))
    return data, *f(start(), data)


class TestFit:
    @pytest.mark.slow
    def test_it_learns(self, whole_run):
        _, state, history = whole_run
        assert state.step == 33
        assert history.train["loss"].shape == history.train["accuracy"].shape == (3, 11)
        assert history.validation["accuracy"].shape == (3,)
        assert history.validation["loss"][-1] < 0.5 * history.train["loss"][0, 0]

    @pytest.mark.slow
    def test_reference_single_steps_over_every_example(self, whole_run):
        """By hand: each epoch a permutation, each batch a step, the last of 3 examples."""
        data, expected, history = whole_run
        step = jax.jit(partial(train_step, objective=objective, optimizer=ADAM))
        state, losses, visited = start(), [], []
        for epoch in range(3):
            order = epoch_order(state.key, epoch, examples=103)
            for i in range(0, 103, 10):
                batch = jax.tree.map(lambda a, i=i, order=order: a[order[i : i + 10]], data)
                visited.append(len(batch[1]))
                state, metrics = step(state, batch)
                losses.append(metrics["loss"])
        assert visited == 3 * (10 * [10] + [3])
        assert_same_bits(state, expected)
        np.testing.assert_array_equal(history.train["loss"].ravel(), jnp.stack(losses))

    @pytest.mark.slow
    def test_validation_is_evaluate(self, whole_run):
        data, state, history = whole_run
        last = evaluate(state.params, data, objective=objective, batch_size=10)
        np.testing.assert_allclose(history.validation["loss"][-1], last["loss"], rtol=1e-6)

    @pytest.mark.slow
    def test_same_key_same_numbers_other_key_others(self, whole_run):
        data, state, history = whole_run
        f = jax.jit(partial(fit, **RUN, validation=data))
        assert_same_bits(f(start(), data), (state, history))
        assert (f(start(seed=1), data)[1].train["loss"] != history.train["loss"]).any()

    @pytest.mark.slow
    def test_one_run_is_two_runs_in_sequence(self, whole_run):
        data, expected, _ = whole_run
        f = partial(fit, objective=objective, optimizer=ADAM, batch_size=10)
        halfway, _ = jax.jit(partial(f, epochs=1))(start(), data)
        state, _ = jax.jit(partial(f, epochs=2))(halfway, data)
        assert_same_bits(state, expected)

    @pytest.mark.slow
    def test_vmap_over_keys(self, whole_run):
        data, expected, history = whole_run
        keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
        states = jax.vmap(lambda key: train_state_init(key, classifier(), ADAM))(keys)
        many, histories = jax.jit(
            jax.vmap(partial(fit, **RUN, validation=data), in_axes=(0, None))
        )(states, data)
        np.testing.assert_allclose(histories.train["loss"][0], history.train["loss"], rtol=2e-4)
        row = jax.tree.map(lambda a: a[0], many.params)
        for a, b in zip(jax.tree.leaves(row), jax.tree.leaves(expected.params), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

    @pytest.mark.slow
    def test_vmap_over_learning_rates(self):
        data = classes()

        def final_loss(rate):
            sgd = optax.sgd(rate)
            _, history = fit(
                start(sgd), data, objective=objective, optimizer=sgd, epochs=2, batch_size=10
            )
            return history.train["loss"][-1].mean()

        rates = jnp.array([1e-4, 1e-2, 1e-1])
        together = jax.jit(jax.vmap(final_loss))(rates)
        alone = jnp.stack([jax.jit(final_loss)(rate) for rate in rates])
        np.testing.assert_allclose(together, alone, rtol=1e-4)
        assert together[0] > together[1] > together[2]

    def test_batch_of_everything(self):
        _, history = fit(STATE, (x, y), **LINE | {"batch_size": 4})
        assert history.train["loss"].shape == (2, 1)
        assert history.validation == {}

    def test_bfloat16_parameters_stay_bfloat16(self):
        state = train_state_init(KEY, jnp.zeros((), jnp.bfloat16), SGD)
        data = (x.astype(jnp.bfloat16), y.astype(jnp.bfloat16))
        assert fit(state, data, **LINE)[0].params.dtype == jnp.bfloat16

    def test_middle_of_an_epoch_is_refused(self):
        state, _ = train_step(STATE, (x, y), objective=line, optimizer=SGD)
        with pytest.raises(ValueError, match=r"fit: the state stands after step 1 of the 2 of an"):
            fit(state, (x, y), **LINE)


class TestFitWithProgress:
    @pytest.mark.slow
    @pytest.mark.parametrize("steps_per_chunk", [1, 3, 10, 64])
    def test_same_bits_as_fit(self, whole_run, steps_per_chunk):
        data, state, history = whole_run
        again, chunked = fit_with_progress(
            start(), data, **RUN, validation=data, steps_per_chunk=steps_per_chunk
        )
        assert_same_bits(again, state)
        assert_same_bits(chunked, history)

    @pytest.mark.parametrize("steps", [0, 4, 11, 18, 21])
    @pytest.mark.slow
    def test_resumes_to_the_bit_from_a_saved_state(self, whole_run, steps, tmp_path):
        """Also in the middle of an epoch, and before its short last batch."""
        data, expected, history = whole_run
        state, step = start(), jax.jit(partial(train_step, objective=objective, optimizer=ADAM))
        for i in range(steps):
            epoch, batch = divmod(i, 11)
            order = epoch_order(state.key, epoch, examples=103)[batch * 10 : batch * 10 + 10]
            state, _ = step(state, jax.tree.map(lambda a, order=order: a[order], data))
        leaves, treedef = jax.tree.flatten(state)
        np.savez(tmp_path / "state.npz", *leaves)
        with np.load(tmp_path / "state.npz") as saved:
            loaded = jax.tree.unflatten(treedef, [jnp.asarray(saved[name]) for name in saved])
        left = 3 - steps // 11
        resumed, rest = fit_with_progress(loaded, data, **RUN | {"epochs": left})
        assert_same_bits(resumed, expected)
        row = rest.train["loss"].ravel()
        np.testing.assert_array_equal(jnp.isnan(row[: steps % 11]), True)
        np.testing.assert_array_equal(row[steps % 11 :], history.train["loss"].ravel()[steps:])

    @pytest.mark.slow
    def test_callback(self):
        seen = []
        data = classes()
        _, history = fit_with_progress(
            start(), data, **RUN | {"epochs": 2}, validation=data, callback=seen.append,
            steps_per_chunk=5,
        )  # fmt: skip
        assert [p.step for p in seen] == [5, 10, 11, 11, 16, 21, 22, 22]
        assert {p.steps for p in seen} == {22}
        assert [p.epoch for p in seen] == 4 * [0] + 4 * [1]
        assert seen[0].train["loss"] == float(history.train["loss"][0, 4])
        assert seen[0].validation == {}
        assert seen[-1].validation["loss"] == float(history.validation["loss"][1])

    @pytest.mark.slow
    def test_the_given_state_stays_valid(self):
        state = start()
        fit_with_progress(state, classes(), **RUN)
        assert jnp.isfinite(state.params[0].kernel).all()

    @pytest.mark.parametrize("bad", [0, 7, 12])
    def test_stops_at_a_loss_that_is_not_finite(self, bad):
        """The error names the step and keeps the state before it, whose loss was finite."""
        data = (jnp.ones(10), jnp.full(10, 3.0))
        calls = jnp.array(bad)

        def breaks(state_w, batch, key):
            w, count = state_w
            losses, _ = line(w, batch, key)
            return jnp.where(count >= calls, jnp.nan, losses) + 0 * count, {}

        def counting(updates, state, params=None):
            return (-0.1 * updates[0], jnp.ones(())), state

        optimizer = optax.GradientTransformation(lambda params: (), counting)
        state = train_state_init(KEY, (jnp.array(0.0), jnp.array(0.0)), optimizer)
        with pytest.raises(NonFiniteLossError, match=rf"the loss of step {bad} is nan") as raised:
            fit_with_progress(
                state, data, objective=breaks, optimizer=optimizer, epochs=4, batch_size=2
            )
        assert raised.value.step == int(raised.value.state.step) == bad
        w, made = raised.value.state.params
        assert made == bad
        np.testing.assert_allclose(w, 3 * (1 - 0.8**bad), rtol=1e-5)  # the last good parameters

    def test_divergence_is_inf_and_named(self):
        wild = optax.sgd(10.0)
        state = train_state_init(KEY, jnp.array(0.0), wild)
        with pytest.raises(NonFiniteLossError, match="did you mean a smaller learning rate") as e:
            fit_with_progress(state, (x, y), **LINE | {"optimizer": wild, "epochs": 50})
        assert np.isfinite(e.value.state.params)


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "batch_size"), [((784, 128, 10), 128), ((64, 32, 10), 32)])
@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(1e-3),
        optax.sgd(0.1, momentum=0.9),
        optax.chain(
            optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-3, 99))
        ),
    ],
    ids=["adam", "momentum", "clip, adamw, cosine"],
)
def test_same_bits_at_the_sizes_of_the_benchmark(sizes, batch_size, optimizer):
    """One loop, loops of 7 steps, single steps: the same state and losses, at full size."""
    key, examples = jax.random.key(2), 20 * batch_size
    x = jax.random.normal(key, (examples, sizes[0]))
    data = (x, x[:, : sizes[-1]].argmax(axis=1))
    state = train_state_init(key, mlp_init(key, sizes), optimizer)
    options = {"objective": plain_objective, "optimizer": optimizer}
    whole = jax.jit(partial(fit, **options, epochs=2, batch_size=batch_size))(state, data)
    chunks = fit_with_progress(
        state, data, **options, epochs=2, batch_size=batch_size, steps_per_chunk=7
    )
    assert_same_bits(whole, chunks)
    step, losses = jax.jit(partial(train_step, **options)), []
    for epoch in range(2):
        for indices in epoch_order(state.key, epoch, examples=examples).reshape(20, -1):
            state, metrics = step(state, (data[0][indices], data[1][indices]))
            losses.append(metrics["loss"])
    assert_same_bits(state, whole[0])
    np.testing.assert_array_equal(whole[1].train["loss"].ravel(), jnp.stack(losses))


def plain_objective(params, batch, key):
    logits = mlp(params, batch[0])
    return softmax_cross_entropy_with_integer_labels(logits, batch[1]), {}


def test_fit_with_progress_compiles_by_itself():
    """Under ``jit`` its state has no numbers to report."""
    message = "state is traced; wanted numbers, as it compiles its own chunks; did you mean fit?"
    with pytest.raises(TypeError, match=re.escape(message)):
        jax.jit(partial(fit_with_progress, **LINE))(STATE, (x, y))


def test_an_optimiser_that_searches_along_its_step():
    """L-BFGS wants the loss as a function; of a parabola it finds the minimum in two steps."""
    state = train_state_init(KEY, jnp.array(0.0), optax.lbfgs())
    points = jnp.linspace(-1, 1, 32)
    run = {"objective": line, "optimizer": optax.lbfgs(), "epochs": 3, "batch_size": 32}
    state, history = fit(state, (points, 3 * points), **run)
    np.testing.assert_allclose(state.params, 3, atol=1e-5)
    assert history.train["loss"][-1, -1] < 1e-10
