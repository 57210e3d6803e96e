#!/usr/bin/python3
"""Makes fashion_mnist.npz: 1,000 images to calibrate, 2,000 for the search, 2,000 for the report.

    /usr/bin/python3 examples/fashion-mnist/make_dataset.py --data ../shared/data/fashion-mnist

Calibration images are among those that train.py trains on. Val comes from the first half of the
test file, test from the second. Some Fashion-MNIST images exist twice: one that is also in the
training file, or was already taken, is passed over, so that no image serves two purposes.
"""

import argparse
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import dataset_files  # noqa: E402

CLASSES = 10


def read_train(folder):
    """All 60,000 training images."""
    return dataset_files.read_idx_pair(f"{folder}/fmnist-train")


def read_held_out(folder):
    """The 10,000 images that training never sees, as the source splits them."""
    return dataset_files.read_idx_pair(f"{folder}/fmnist-test")


def take_balanced(images, labels, per_class, already_used):
    """The first `per_class` new images of every class, in turn: sample i has class i mod 10."""
    chosen = [[] for _ in range(CLASSES)]
    for index, label in enumerate(labels):
        content = images[index].tobytes()
        if len(chosen[label]) < per_class and content not in already_used:
            already_used.add(content)
            chosen[label].append(index)
    if any(len(indices) < per_class for indices in chosen):
        found = [len(indices) for indices in chosen]
        raise SystemExit(f"new images of each class: {found}; needed {per_class}")
    order = np.array(chosen).T.ravel()
    return images[order], labels[order]


def choose_splits(folder):
    """train, val and test as (images, labels); none of val and test is in the training file."""
    train_images, train_labels = read_train(folder)
    images, labels = read_held_out(folder)
    half = len(images) // 2
    used = {image.tobytes() for image in train_images}
    return {
        "train": take_balanced(train_images, train_labels, 100, set()),
        "val": take_balanced(images[:half], labels[:half], 200, used),
        "test": take_balanced(images[half:], labels[half:], 200, used),
    }


def main():
    parser = argparse.ArgumentParser(description="Makes the data set of the Fashion-MNIST example.")
    add = parser.add_argument
    add("--data", type=pathlib.Path, default="../shared/data/fashion-mnist", help="IDX files")
    add("--output", type=pathlib.Path, default=HERE / "fashion_mnist.npz")
    options = parser.parse_args()
    splits = choose_splits(options.data)
    dataset_files.write_dataset(options.output, splits, scale=1 / 255, mean=0.0, std=1.0)


if __name__ == "__main__":
    main()
