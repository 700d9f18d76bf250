"""fnmath.layers.positions: rotations, sines, learned vectors, biases; right far from the start."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath.initializers import normal, zeros
from fnmath.layers import (
    PositionEmbeddingParams,
    alibi_bias,
    causal_mask,
    position_embedding,
    position_embedding_init,
    rotary,
    sinusoidal_positions,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, ulp_error

KEY = jax.random.key(0)
x = jnp.sin(jnp.arange(2 * 5 * 3 * 4.0)).reshape(2, 5, 3, 4)
PARAMS = PositionEmbeddingParams(jnp.arange(12.0).reshape(6, 2))
init = position_embedding_init

MISTAKES = [
    Mistake(
        rotary, (x, jnp.arange(5.0)), {}, TypeError,
        "rotary: positions has dtype float32; wanted an integer dtype; "
        "did you mean positions.astype(jnp.int32)?",
    ),
    Mistake(
        rotary, (x[..., :3], jnp.arange(5)), {}, ValueError,
        "rotary: the number of features is 3; wanted an even one",
    ),
    Mistake(
        rotary, (x, jnp.arange(4)), {}, ValueError,
        "rotary: positions (4,) must broadcast to the entries (2, 5)",
    ),
    Mistake(
        rotary, (x[0, 0], jnp.arange(3)), {}, ValueError,
        "rotary: x has shape (3, 4); wanted at least 3 axes, (*batch time heads features); "
        "did you mean x[None]?",
    ),
    Mistake(
        rotary, (x, jnp.arange(5)), {"base": 0.5}, ValueError,
        "rotary: base is 0.5; wanted a number in [1, inf)",
    ),
    Mistake(
        rotary, (x, jnp.arange(5)), {"base": jnp.float32(1e4)}, TypeError,
        "rotary: base is an array; wanted a Python number",
    ),
    Mistake(
        rotary, (x, jnp.arange(5)), {"interleaved": 1}, TypeError,
        "rotary: interleaved is 1 (int); wanted True or False",
    ),
    Mistake(
        sinusoidal_positions, (4, 3), {}, ValueError,
        "sinusoidal_positions: the number of features is 3; wanted an even one",
    ),
    Mistake(
        sinusoidal_positions, (4.0, 2), {}, TypeError,
        "sinusoidal_positions: length is 4.0 (float); wanted an integer",
    ),
    Mistake(
        init, (0, 6, 2), {}, TypeError,
        "position_embedding_init: key is a int; wanted a random key; "
        "did you mean jax.random.key(0)?",
    ),
    Mistake(
        init, (KEY, 6, 0), {}, ValueError,
        "position_embedding_init: features is 0; wanted an integer of at least 1",
    ),
    Mistake(
        init, (KEY, 6, 2), {"embedding_init": lambda *args: zeros(*args)[0]}, ValueError,
        "position_embedding_init: embedding_init gave the shape (2,); wanted (6, 2)",
    ),
    Mistake(
        position_embedding, (None, jnp.ones((4, 2))), {}, TypeError,
        "position_embedding: params is a NoneType; wanted PositionEmbeddingParams(embedding)",
    ),
    Mistake(
        position_embedding, (PARAMS, jnp.ones((7, 2))), {}, ValueError,
        "position_embedding: x has 7 entries and the embedding 6 positions; wanted at most as many",
    ),
    Mistake(
        position_embedding, (PARAMS, jnp.ones((4, 3))), {}, ValueError,
        "position_embedding: the number of features must agree: x has 3 and embedding has 2",
    ),
    Mistake(
        alibi_bias, (2.0, 3, 3), {}, TypeError,
        "alibi_bias: heads is 2.0 (float); wanted an integer",
    ),
    Mistake(
        alibi_bias, (0, 3, 3), {}, ValueError,
        "alibi_bias: heads is 0; wanted an integer of at least 1",
    ),
]  # fmt: skip


def angles(positions, pairs, base):
    """Cosines and sines of nωᵢ to 40 digits, rounded to float64."""
    with mpmath.workdps(40):
        omega = [mpmath.mpf(base) ** (-mpmath.mpf(i) / pairs) for i in range(pairs)]
        return [
            np.array([[float(f(int(n) * w)) for w in omega] for n in positions])
            for f in (mpmath.cos, mpmath.sin)
        ]


FAR = [0, 1, 2, 7, 1000, 99_999, 131_071, 10**6 + 3, 123_456_789, 2**31 - 1]


def cosines_and_sines(positions, pairs, base, dtype):
    """What ``rotary`` makes of (1, 0) in each pair."""
    ones = jnp.concatenate([jnp.ones(pairs, dtype), jnp.zeros(pairs, dtype)])
    x = jnp.broadcast_to(ones, (len(positions), 1, 2 * pairs))
    return jnp.split(rotary(x, jnp.asarray(positions), base=base)[:, 0], 2, -1)


class TestAccuracy:
    @pytest.mark.slow
    @pytest.mark.parametrize("base", [10000.0, 500_000.0, 1e8, 1.0])
    def test_single_precision_at_any_position(self, base):
        """To 1.5 units of the last place of 1, as far as int32 goes, on either side of 0."""
        positions = FAR + [-n for n in FAR]
        expected = angles(positions, 32, base)
        for ours, theirs in zip(
            cosines_and_sines(positions, 32, base, jnp.float32), expected, strict=True
        ):
            assert np.max(np.abs(np.asarray(ours, np.float64) - theirs)) <= 1.5 * 2.0**-24

    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize("base", [10000.0, 500_000.0, 1e8])
    def test_small_angles_have_all_their_digits(self, base):
        """The sine of an angle of less than a quarter of a turn, to 3 ULP of itself."""
        (_, ours), (_, theirs) = (
            cosines_and_sines([1, 3, 50], 32, base, jnp.float32), angles([1, 3, 50], 32, base)
        )  # fmt: skip
        small = np.array([[1], [3], [50]]) * base ** (-np.arange(32) / 32) < np.pi / 2
        assert np.max(ulp_error(ours, theirs), where=small, initial=0) <= 3

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("base", [10000.0, 500_000.0])
    def test_double_precision(self, base):
        positions = [*FAR, 2**40 + 1]
        for ours, theirs in zip(
            cosines_and_sines(positions, 16, base, jnp.float64),
            angles(positions, 16, base),
            strict=True,
        ):
            assert np.max(np.abs(ours - theirs)) <= 2 * 2.0**-53

    def test_the_product_in_single_precision_does_not_do(self):
        """What is avoided: near 10⁵ its angles are wrong by thousandths of a radian."""
        positions = np.arange(99_980, 100_020)
        omega = jnp.float32(10000.0) ** (-jnp.arange(32, dtype=jnp.float32) / 32)
        naive = jnp.cos(jnp.asarray(positions, jnp.float32)[:, None] * omega)
        cosine, _ = angles(positions, 32, 10000.0)
        assert 2e-3 < np.max(np.abs(naive - cosine)) < 1e-2


class TestRotary:
    @pytest.mark.parametrize("interleaved", [False, True])
    def test_formula(self, interleaved):
        y = rotary(x, jnp.arange(5), interleaved=interleaved)
        for i in range(2):
            first, second = (2 * i, 2 * i + 1) if interleaved else (i, i + 2)
            angle = np.arange(5)[:, None] * 10000.0 ** (-i / 2)
            a, b = x[..., first], x[..., second]
            np.testing.assert_allclose(
                y[..., first], a * np.cos(angle) - b * np.sin(angle), atol=1e-6
            )
            np.testing.assert_allclose(
                y[..., second], a * np.sin(angle) + b * np.cos(angle), atol=1e-6
            )

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("interleaved", [False, True])
    def test_scores_depend_on_the_distance(self, interleaved):
        q, k = (jnp.sin(jnp.arange(start, start + 16.0)).reshape(1, 1, 16) for start in (0, 5))

        def score(m, n):
            a, b = (
                rotary(v, jnp.array([at]), interleaved=interleaved) for v, at in ((q, m), (k, n))
            )
            return jnp.sum(a * b)

        for m, n in ((3, 0), (-4, 9), (2, 2)):
            for shift in (1, 1000, 10**6, 10**9):
                np.testing.assert_allclose(
                    score(m + shift, n + shift), score(m, n), rtol=0, atol=1e-14
                )
        np.testing.assert_allclose(score(5, 5), jnp.sum(q * k), rtol=1e-14)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient_turns_back(self):
        x64 = jnp.asarray(x[0], jnp.float64)
        y_bar = jnp.cos(jnp.arange(60.0)).reshape(5, 3, 4)
        n = jnp.arange(5) + 100
        assert_gradient(
            jax.jit(lambda x: y_bar * rotary(x, n)), lambda _: rotary(y_bar, -n), x64, rtol=1e-12
        )

    def test_is_orthogonal(self):
        y = rotary(x, jnp.arange(5) * 10**8)
        np.testing.assert_allclose(
            jnp.linalg.norm(y, axis=-1), jnp.linalg.norm(x, axis=-1), rtol=1e-6
        )

    @pytest.mark.slow
    def test_positions_of_each_sequence(self):
        n = jnp.array([[0, 1, 2, 3, 4], [7, 8, 9, 10, 11]])
        y = rotary(x, n)
        np.testing.assert_array_equal(y[1], rotary(x[1], n[1]))
        np.testing.assert_array_equal(rotary(x, jnp.int32(3))[0], rotary(x[0], jnp.full(5, 3)))
        np.testing.assert_array_equal(rotary(x, n[:, :1])[1], rotary(x[1], jnp.full(5, 7)))

    @pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int16, jnp.uint32])
    def test_any_integers(self, dtype):
        n = jnp.array([0, 1, 100, 127, 127], dtype)
        np.testing.assert_array_equal(rotary(x, n), rotary(x, n.astype(jnp.int32)))

    def test_transforms(self):
        assert_transforms(rotary, x, jnp.arange(5))

    @pytest.mark.slow
    def test_edges(self):
        half = rotary(x.astype(jnp.bfloat16), jnp.arange(5))
        assert half.dtype == jnp.bfloat16
        assert rotary(x[:0], jnp.arange(5)).shape == (0, 5, 3, 4)
        assert rotary(x[:, :0], jnp.arange(0)).shape == (2, 0, 3, 4)
        rows = rotary(x.at[0, 1, 0, 0].set(jnp.nan), jnp.arange(5))
        assert jnp.isnan(rows).sum() == 2
        least = jnp.iinfo(jnp.int32).min
        far = rotary(x[:, :1], jnp.array([least]))
        back = rotary(far, jnp.array([-(least + 1)]))
        np.testing.assert_allclose(back, rotary(x[:, :1], jnp.array([-1])), atol=1e-6)


class TestSinusoidalPositions:
    def test_formula(self):
        P = sinusoidal_positions(50, 8)
        for i in range(4):
            angle = np.arange(50) / 10000 ** (2 * i / 8)
            np.testing.assert_allclose(P[:, 2 * i], np.sin(angle), atol=2e-7)
            np.testing.assert_allclose(P[:, 2 * i + 1], np.cos(angle), atol=2e-7)

    @pytest.mark.slow
    def test_later_rows_are_rotated_ones(self):
        P = sinusoidal_positions(20, 6)
        turned = rotary(P[:10, None, ::-1], jnp.array(-7), interleaved=True, base=10000.0)
        i = np.arange(3)[::-1]  # the pairs come reversed, and with them their frequencies
        assert turned.shape == (10, 1, 6)
        c, s = np.cos(7 * 10000.0 ** (-i / 3)), np.sin(7 * 10000.0 ** (-i / 3))
        sines, cosines = P[:10, 0::2][:, i], P[:10, 1::2][:, i]
        np.testing.assert_allclose(P[7:17, 0::2][:, i], sines * c + cosines * s, atol=1e-6)

    @pytest.mark.slow
    def test_edges(self):
        assert sinusoidal_positions(0, 4).shape == (0, 4)
        assert sinusoidal_positions(3, 4, dtype=jnp.bfloat16).dtype == jnp.bfloat16


class TestPositionEmbedding:
    def test_adds_a_row_for_each_position(self):
        zero = jnp.zeros((3, 4, 2))
        np.testing.assert_array_equal(position_embedding(PARAMS, zero)[1], PARAMS.embedding[:4])
        n = jnp.array([[5, 0, 1, 1], [2, 2, 2, 2], [0, 1, 2, 3]])
        y = position_embedding(PARAMS, zero, positions=n)
        np.testing.assert_array_equal(y, PARAMS.embedding[n])

    def test_a_position_that_is_none_gives_nan(self):
        n = jnp.array([-1, 0, 6, 5])
        y = position_embedding(PARAMS, jnp.zeros((4, 2)), positions=n)
        np.testing.assert_array_equal(jnp.isnan(y).all(-1), [True, False, True, False])
        np.testing.assert_array_equal(jnp.isnan(y).any(-1), [True, False, True, False])

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        E = PositionEmbeddingParams(jnp.sin(jnp.arange(12.0)).reshape(6, 2))
        n, y_bar = jnp.array([1, 1, 4]), jnp.arange(6.0).reshape(3, 2)
        expected = np.zeros((6, 2))
        np.add.at(expected, n, y_bar)
        assert_gradient(
            lambda E: y_bar * position_embedding(E, jnp.ones((3, 2)), positions=n),
            lambda _: PositionEmbeddingParams(expected),
            E,
        )

    def test_narrow_integers_and_half_precision(self):
        """300 rows are more than int8 counts, and 1,000 ones more than bfloat16 adds up singly."""
        params = PositionEmbeddingParams(jnp.arange(300.0)[:, None])
        rows = position_embedding(params, jnp.zeros((3, 1)), positions=jnp.array([5, 0, 9], "int8"))
        np.testing.assert_array_equal(rows[:, 0], [5, 0, 9])
        zeros, n = jnp.zeros((1000, 1), jnp.bfloat16), jnp.zeros(1000, int)

        def total(table):
            y = position_embedding(PositionEmbeddingParams(table), zeros, positions=n)
            return y.astype(jnp.float32).sum()

        gradient = jax.grad(total)(jnp.ones((2, 1), jnp.bfloat16))
        np.testing.assert_array_equal(gradient[:, 0], [1000, 0])

    def test_transforms(self):
        n = jnp.array([2, 0, 5])
        assert_transforms(
            lambda E, x, n: position_embedding(E, x, positions=n), PARAMS, jnp.ones((3, 2)), n
        )

    def test_init(self):
        E = position_embedding_init(KEY, 100, 64).embedding
        assert abs(float(E.std()) - 0.02) < 1e-3
        half = position_embedding_init(KEY, 3, 2, embedding_init=normal(1.0), dtype=jnp.bfloat16)
        assert half.embedding.dtype == jnp.bfloat16

    def test_edges(self):
        assert position_embedding(PARAMS, jnp.ones((0, 4, 2))).shape == (0, 4, 2)
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
        y = position_embedding(half, jnp.ones((4, 2), jnp.bfloat16))
        assert y.dtype == jnp.bfloat16


def slopes_of_the_paper(n):
    """The function of the authors' code (``get_slopes``), as it stands there but for names."""
    import math

    def power_of_two(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    if math.log2(n).is_integer():
        return power_of_two(n)
    closest = 2 ** math.floor(math.log2(n))
    return power_of_two(closest) + slopes_of_the_paper(2 * closest)[0::2][: n - closest]


class TestAlibiBias:
    @pytest.mark.parametrize("heads", [1, 2, 3, 5, 8, 12, 16, 20])
    def test_slopes(self, heads):
        slopes = -alibi_bias(heads, 2, 2)[:, 1, 0]
        np.testing.assert_allclose(slopes, slopes_of_the_paper(heads), rtol=1e-6)

    def test_distances(self):
        bias = np.asarray(alibi_bias(4, 3, 5, offset=2))
        for t in range(3):
            for s in range(5):
                np.testing.assert_allclose(bias[1, t, s], -(2.0**-4) * abs(t + 2 - s))
        seen = causal_mask(3, 5, offset=2)
        assert (np.diff(np.where(seen, bias, 0), axis=-1)[:, 2] > 0).all()

    def test_edges(self):
        assert alibi_bias(2, 0, 3).shape == (2, 0, 3)
        assert alibi_bias(2, 2, 3, dtype=jnp.bfloat16).dtype == jnp.bfloat16
        late = jax.jit(lambda n: alibi_bias(2, 1, 5, offset=n))(4)
        np.testing.assert_array_equal(late, alibi_bias(2, 5, 5)[:, 4:])
