"""What the make_dataset.py scripts share: reading IDX files and writing a data set.

The .npz they write is the one of docs/formats/dataset.md: x_train y_train x_val y_val x_test y_test
in NCHW with integer labels, and scale, mean, std that make stored values network inputs:
(x * scale - mean) / std.
"""

import gzip
import math
import pathlib
import struct

import numpy as np


def read_idx(path):
    """The uint8 array of a gzipped IDX file, the format of MNIST and Fashion-MNIST."""
    content = gzip.decompress(pathlib.Path(path).read_bytes())
    zero, type_code, rank = struct.unpack_from(">HBB", content)
    if zero != 0 or type_code != 0x08:
        raise SystemExit(f"{path}: starts with {content[:4].hex()}; uint8 IDX starts with 000008")
    shape = struct.unpack_from(f">{rank}I", content, 4)
    body = content[4 + 4 * rank :]
    if len(body) != math.prod(shape):
        raise SystemExit(f"{path}: {len(body)} bytes of values; its header says {shape}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def read_idx_pair(prefix):
    """Images as uint8 [N, 1, H, W] and as many labels, of the two files that `prefix` begins."""
    images_path = f"{prefix}-images-idx3-ubyte.gz"
    labels_path = f"{prefix}-labels-idx1-ubyte.gz"
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise SystemExit(f"{images_path}: {images.shape} does not go with labels {labels.shape}")
    return images[:, np.newaxis], labels


def take(count, images, labels, what):
    """The first `count` samples; refuses to give fewer."""
    if not 0 < count <= len(images):
        raise SystemExit(f"{what}: {count} samples asked for, there are {len(images)}")
    return images[:count], labels[:count]


def write_dataset(output, splits, scale, mean, std):
    """Writes `splits`, train, val and test with their (images, labels), and says what it wrote."""
    arrays = {}
    for name in ("train", "val", "test"):
        images, labels = splits[name]
        arrays[f"x_{name}"] = np.ascontiguousarray(images)
        arrays[f"y_{name}"] = np.ascontiguousarray(labels)
        per_class = np.bincount(labels)
        balance = f"{per_class.min()} to {per_class.max()} of each class"
        print(f"{name:5} {images.dtype} {images.shape}, {balance}")
    preparation = {"scale": scale, "mean": mean, "std": std}
    arrays.update({name: np.asarray(value, np.float64) for name, value in preparation.items()})
    output = pathlib.Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        np.savez_compressed(file, **arrays)
    print(f"{output}: {output.stat().st_size} bytes")
