#!/usr/bin/python3
"""Makes an .npz from MNIST's IDX files, in the form a given network was trained with.

LeNet-5 of ../shared/data/models takes 32x32 images of 0 to 1:

    /usr/bin/python3 examples/mnist/make_dataset.py --size 32 --scale 1/255 \\
        --output build/mnist-lenet5.npz

mnist-8 takes 28x28 images of 0 to 255:

    /usr/bin/python3 examples/mnist/make_dataset.py --output build/mnist-8.npz

Without --size the stored images are the uint8 of the files and `scale` is stored beside them. With
--size the network's input itself is stored, float32 (x * scale, then resized), and the stored scale
is 1. The resize is bilinear with corners not aligned, as torch's interpolate(align_corners=False).

train is for calibration and training only: both networks have seen it. val is taken from the first
half of the test file, test from the second. The second is easier: of 5,000 each, LeNet-5 has 4,931
and 4,977 right, mnist-8 4,915 and 4,976.
"""

import argparse
import fractions
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import dataset_files  # noqa: E402


def bilinear_taps(size_in, size_out):
    """For each output position its two neighbours in the input and the share of the second."""
    centre = (np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5
    centre = np.maximum(centre, 0.0)
    low = np.minimum(centre.astype(np.int64), size_in - 1)
    high = np.minimum(low + 1, size_in - 1)
    return low, high, (centre - low).astype(np.float32)


def resize(images, size):
    """float32 [N, C, H, W] to [N, C, size, size]."""
    low, high, share = bilinear_taps(images.shape[3], size)
    images = images[..., low] * (1 - share) + images[..., high] * share
    low, high, share = bilinear_taps(images.shape[2], size)
    share = share[:, np.newaxis]
    return images[..., low, :] * (1 - share) + images[..., high, :] * share


def choose_splits(options):
    train = dataset_files.read_idx_pair(f"{options.data}/train")
    images, labels = dataset_files.read_idx_pair(f"{options.data}/t10k")
    half = len(images) // 2
    return {
        "train": dataset_files.take(options.train, *train, "--train"),
        "val": dataset_files.take(options.val, images[:half], labels[:half], "--val"),
        "test": dataset_files.take(options.test, images[half:], labels[half:], "--test"),
    }


def prepared_and_resized(splits, scale, size):
    """The splits as the network's input, `size` pixels wide and high."""
    return {
        name: (resize(images.astype(np.float32) * np.float32(scale), size), labels)
        for name, (images, labels) in splits.items()
    }


def parse_options():
    parser = argparse.ArgumentParser(description="Makes an .npz from MNIST.")
    add = parser.add_argument
    add("--data", type=pathlib.Path, default="../shared/data/mnist", help="folder of the IDX files")
    add("--output", type=pathlib.Path, default="build/mnist.npz")
    add("--size", type=int, help="resize to this width and height (default: as they are)")
    one = fractions.Fraction(1)
    add("--scale", type=fractions.Fraction, default=one, help="1/255 for 0 to 1 (default: 1)")
    add("--train", type=int, default=10000, help="training images (default: 10000)")
    add("--val", type=int, default=5000, help="images of the test file's first half (default: all)")
    add("--test", type=int, default=5000, help="images of its second half (default: all)")
    options = parser.parse_args()
    if options.size is not None and options.size < 1:
        parser.error(f"--size {options.size}: at least 1 is needed")
    if options.scale <= 0:
        parser.error(f"--scale {options.scale}: more than 0 is needed")
    return options


def main():
    options = parse_options()
    splits, scale = choose_splits(options), float(options.scale)
    if options.size is not None:
        splits, scale = prepared_and_resized(splits, scale, options.size), 1.0
    dataset_files.write_dataset(options.output, splits, scale=scale, mean=0.0, std=1.0)


if __name__ == "__main__":
    main()
