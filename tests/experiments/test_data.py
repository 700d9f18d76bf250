"""experiments.data: what it reads, how it splits, and every way in which a file can be wrong."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from experiments import data
from experiments.data import DataError
from tests.experiments.idx import IMAGES, LABELS, idx_bytes, write_folder

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
TRAIN_IMAGES, TRAIN_LABELS = IMAGES.format("train"), LABELS.format("train")


class TestDigits:
    def test_sizes_and_scale(self):
        digits = data.load(None, validation=0.2)
        assert digits.name == "digits"
        assert [len(part.labels) for part in digits[1:]] == [1150, 288, 359]
        for part in (digits.train, digits.validation, digits.test):
            assert part.images.shape == (len(part.labels), 8, 8)
            assert part.images.dtype == np.float32
            assert part.images.min() == 0
            assert part.images.max() == 1
            assert set(part.labels) == set(range(10))

    def test_no_image_is_in_two_sets_and_none_is_lost(self):
        from sklearn.datasets import load_digits

        digits = data.load(None, validation=0.2)
        ours = np.concatenate([part.images for part in digits[1:]]).reshape(-1, 64)
        theirs = load_digits()["data"] / 16
        assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))

    def test_the_test_set_is_the_same_for_every_validation_share(self):
        one, other = (data.load(None, validation=share).test for share in (0.0, 0.3))
        np.testing.assert_array_equal(one.images, other.images)

    def test_without_validation(self):
        digits = data.load(None, validation=0.0)
        assert [len(part.labels) for part in digits[1:]] == [1438, 0, 359]


class TestIdx:
    @pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
    def test_reads_what_was_written(self, tmp_path, packed):
        folder = write_folder(tmp_path / "letters", packed=packed)
        found = data.load(folder, validation=0.25)
        assert found.name == "letters"
        assert [len(part.labels) for part in found[1:]] == [30, 10, 12]
        images = np.random.default_rng(0).integers(0, 256, (40, 6, 5))
        learnt = np.concatenate([found.train.images, found.validation.images]) * 255
        rows = sorted(map(tuple, learnt.round().astype(int).reshape(40, -1).tolist()))
        assert rows == sorted(map(tuple, images.reshape(40, -1).tolist()))

    def test_images_keep_their_labels(self, tmp_path):
        array = np.arange(20, dtype=np.uint8)
        folder = write_folder(tmp_path, train=20)
        pixels = np.tile((array % 10)[:, None, None], (1, 6, 5))
        (folder / TRAIN_IMAGES).write_bytes(idx_bytes(pixels))
        found = data.load(folder, validation=0.2)
        for part in (found.train, found.validation):
            np.testing.assert_array_equal((part.images[:, 0, 0] * 255).round(), part.labels)

    def test_first_bytes_tell_gzip_and_not_the_name(self, tmp_path):
        labels = idx_bytes(np.arange(10))
        plain, packed = tmp_path / "labels.gz", tmp_path / "labels"
        plain.write_bytes(labels)
        packed.write_bytes(gzip.compress(labels))
        for path in (plain, packed):
            np.testing.assert_array_equal(data.read_idx(path, axes=1), np.arange(10))

    @pytest.mark.skipif(not MNIST.is_dir(), reason=f"MNIST's files are not in {MNIST.parent.name}/")
    def test_mnist(self):
        found = data.load(MNIST, validation=0.0)
        assert found.name == "MNIST"
        assert found.train.images.shape == (60_000, 28, 28)
        assert found.test.images.shape == (10_000, 28, 28)
        assert np.bincount(found.test.labels).tolist() == [
            980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
        ]  # fmt: skip


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def cut_gzip(path):
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])


def damage_gzip(path):
    packed = bytearray(gzip.compress(path.read_bytes()))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)


def cut_header(path):
    path.write_bytes(path.read_bytes()[:6])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def promise_much(path):
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 12)


def swap_for_labels(path):
    path.write_bytes((path.parent / TRAIN_LABELS).read_bytes())


def swap_for_text(path):
    path.write_text("label,pixel0,pixel1\n7,0,0\n")


def empty(path):
    path.write_bytes(b"")


def fewer(path):
    path.write_bytes(idx_bytes(np.zeros((39, 6, 5))))


def other_size(path):
    path.write_bytes(idx_bytes(np.zeros((40, 6, 6))))


def no_images(path):
    path.write_bytes(idx_bytes(np.zeros((0, 6, 5))))
    (path.parent / TRAIN_LABELS).write_bytes(idx_bytes(np.zeros(0)))


def eleventh_class(path):
    (path.parent / TRAIN_LABELS).write_bytes(idx_bytes(np.arange(40) % 11))


def folder_in_its_place(path):
    path.unlink()
    path.mkdir()


WRONG = [
    (cut, "cut short: its header promises 1,200 bytes, 1,193 bytes came"),
    (cut_gzip, "cut short; the gzip stream has no end"),
    (damage_gzip, "a damaged gzip file"),
    (cut_header, "cut short within its header"),
    (lengthen, "too long: its header promises 1,200 bytes, more came"),
    (promise_much, "cut short: its header promises"),
    (swap_for_labels, "magic number 2049; wanted 2051; it holds labels, not images"),
    (swap_for_text, "not an IDX file of images: magic number 1818321509; wanted 2051"),
    (empty, "not an IDX file of images: it is empty"),
    (fewer, "holds 39 images, train-labels-idx1-ubyte 40 labels"),
    (other_size, "training and test images differ in size: 6 × 6 and 6 × 5"),
    (no_images, "holds no image"),
    (eleventh_class, "holds the label 10; wanted digits, 0 to 9"),
    (folder_in_its_place, "files missing; wanted train-images-idx3-ubyte"),
]


class TestWhatIsWrong:
    @pytest.mark.parametrize(("spoil", "message"), WRONG, ids=lambda w: getattr(w, "__name__", ""))
    def test_file(self, tmp_path, spoil, message):
        folder = write_folder(tmp_path)
        spoil(folder / TRAIN_IMAGES)
        with pytest.raises(DataError) as raised:
            data.load(folder, validation=0.0)
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)

    def test_no_such_folder(self, tmp_path):
        with pytest.raises(DataError, match="nowhere: no such folder"):
            data.load(tmp_path / "nowhere", validation=0.0)

    def test_a_file_for_a_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match="file: a file; wanted the folder that holds"):
            data.load(tmp_path / "file", validation=0.0)

    def test_an_empty_folder_and_a_missing_file(self, tmp_path):
        with pytest.raises(DataError, match="nothing in it; wanted train-images-idx3-ubyte, train"):
            data.load(tmp_path, validation=0.0)
        write_folder(tmp_path)
        (tmp_path / LABELS.format("t10k")).unlink()
        with pytest.raises(DataError, match="files missing; wanted t10k-labels-idx1-ubyte \\(each"):
            data.load(tmp_path, validation=0.0)

    def test_a_share_that_leaves_nothing_to_learn_from(self, tmp_path):
        folder = write_folder(tmp_path, train=2)
        with pytest.raises(DataError, match="2 images held out, no image left to learn from"):
            data.load(folder, validation=0.9)
