"""Handwritten digits: read from files, split once and for all, scaled.

Notation: N is a number of images; an image is height × width grey values, 0 for the paper and 1
for full ink; a label is the digit, 0 to 9, that the writer meant.

Every file that is missing, cut short or something else altogether raises ``DataError``, with a
message for the person who named the folder.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt8

CLASSES = 10
SPLIT_SEED = 0  # of the split, not of the training: every run is tested on the same images
PARTS = {"train": "train", "test": "t10k"}  # MNIST's names: t10k are the 10,000 images of the test
MNIST_MD5 = "6bbc9ace898e44ae57da46a324031adb"  # of its file of training images, unpacked
_KINDS = {3: "images", 1: "labels"}  # by number of axes
GZIP_MAGIC = b"\x1f\x8b"


class DataError(Exception):
    """A file of data is missing, cut short, or not what it should be."""


class Examples(NamedTuple):
    """Images and what they show."""

    images: Float32[np.ndarray, "N height width"]
    labels: Int32[np.ndarray, " N"]


class Dataset(NamedTuple):
    """Three sets of examples that share no image: to learn from, to choose by, to test on once."""

    name: str
    train: Examples
    validation: Examples
    test: Examples


def load(folder: Path | None, *, validation: float) -> Dataset:
    """Scikit-learn's digits, or the IDX files in ``folder``; a share of the training set apart."""
    found = load_digits(validation) if folder is None else load_idx(folder, validation)
    if not len(found.train.labels):
        held_out = len(found.validation.labels)
        raise DataError(f"{found.name}: {held_out} images held out, no image left to learn from")
    return found


def load_digits(validation: float) -> Dataset:
    """The 1,797 images of 8 × 8 that come with scikit-learn: a fifth of them is the test set."""
    from sklearn.datasets import load_digits  # a second to import, and not always needed

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32).reshape(-1, 8, 8)
    digits = Examples(images, labels.astype(np.int32))
    test, rest = split(digits, len(digits.labels) // 5)
    held_out, train = split(rest, round(validation * len(rest.labels)))
    return Dataset("digits", train, held_out, test)


def load_idx(folder: Path, validation: float) -> Dataset:
    """MNIST's four files (or others of their form), plain or gzip, from a folder."""
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: a file; wanted the folder that holds the four IDX files")
    paths = find_files(folder)
    train, name = read_examples(*paths["train"])
    test, _ = read_examples(*paths["test"])
    if train.images.shape[1:] != test.images.shape[1:]:
        sizes = " and ".join("{} × {}".format(*e.images.shape[1:]) for e in (train, test))
        raise DataError(f"{folder}: training and test images differ in size: {sizes}")
    held_out, train = split(train, round(validation * len(train.labels)))
    return Dataset(name, train, held_out, test)


def split(examples: Examples, n: int) -> tuple[Examples, Examples]:
    """``n`` examples drawn at random (always the same ones), and the others."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(examples.labels))
    first, rest = order[:n], order[n:]
    return (
        Examples(examples.images[first], examples.labels[first]),
        Examples(examples.images[rest], examples.labels[rest]),
    )


def find_files(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The paths of images and labels, per part; a plain file is preferred to its gzip."""
    found, missing = {}, []
    for part, prefix in PARTS.items():
        pair = []
        for name in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
            there = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
            pair += there[:1]
            missing += [] if there else [name]
        found[part] = tuple(pair)
    if missing:
        raise DataError(
            f"{folder}: {'nothing in it' if not any(folder.iterdir()) else 'files missing'}; "
            f"wanted {', '.join(missing)} (each plain or with .gz)"
        )
    return found


def read_examples(images_path: Path, labels_path: Path) -> tuple[Examples, str]:
    """A file of images with its file of labels, and the name of the data set they are from."""
    images, labels = read_idx(images_path, axes=3), read_idx(labels_path, axes=1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path.name} holds {len(images):,} images, "
            f"{labels_path.name} {len(labels):,} labels; wanted as many of each"
        )
    if not images.size:
        raise DataError(f"{images_path}: holds no image")
    if labels.max() >= CLASSES:
        raise DataError(f"{labels_path}: holds the label {labels.max()}; wanted digits, 0 to 9")
    header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes()
    checksum = hashlib.md5(header + images.tobytes(), usedforsecurity=False).hexdigest()
    examples = Examples(images.astype(np.float32) / 255, labels.astype(np.int32))
    return examples, "MNIST" if checksum == MNIST_MD5 else images_path.parent.resolve().name


def read_idx(path: Path, *, axes: int) -> UInt8[np.ndarray, "..."]:
    """The array of unsigned bytes in an IDX file, plain or gzip (its first bytes tell which).

    The format: two zero bytes, a byte for the type (8 means unsigned bytes), a byte for the number
    of axes, one big-endian uint32 per axis for its size, and the entries, the last axis fastest.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            if packed:
                with gzip.open(raw) as unpacked:
                    return _parse_idx(unpacked, path, axes)
            return _parse_idx(raw, path, axes)
    except EOFError:
        raise DataError(f"{path}: cut short; the gzip stream has no end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: a damaged gzip file ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _parse_idx(
    stream: IO[bytes] | gzip.GzipFile, path: Path, axes: int
) -> UInt8[np.ndarray, "..."]:
    magic, wanted = stream.read(4), bytes([0, 0, 8, axes])
    if not magic:
        raise DataError(f"{path}: not an IDX file of {_KINDS[axes]}: it is empty")
    if magic != wanted:
        cure = f"; it holds {_KINDS[magic[3]]}, not {_KINDS[axes]}" if _is_idx(magic) else ""
        raise DataError(
            f"{path}: not an IDX file of {_KINDS[axes]}: magic number "
            f"{int.from_bytes(magic)}; wanted {int.from_bytes(wanted)}{cure}"
        )
    sizes = stream.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"{path}: cut short within its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    count = math.prod(shape)
    entries = _read_up_to(stream, count + 1)
    if len(entries) != count:
        came = f"{len(entries):,} bytes" if len(entries) < count else "more"
        raise DataError(
            f"{path}: {'cut short' if len(entries) < count else 'too long'}: "
            f"its header promises {count:,} bytes, {came} came"
        )
    return np.frombuffer(entries, np.uint8).reshape(shape)


def _is_idx(magic: bytes) -> bool:
    return magic in (bytes([0, 0, 8, 1]), bytes([0, 0, 8, 3]))


def _read_up_to(stream: IO[bytes] | gzip.GzipFile, n: int) -> bytes:
    """At most ``n`` bytes, in pieces: a header may promise more than memory holds."""
    pieces, left = [], n
    while left and (piece := stream.read(min(left, 1 << 24))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
