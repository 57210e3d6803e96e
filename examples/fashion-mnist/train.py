#!/usr/bin/python3
"""Trains the network of this example and writes fashion_mnist.onnx.

    /usr/bin/python3 examples/fashion-mnist/train.py --data ../shared/data/fashion-mnist

One thread and a fixed seed: the same machine gives the same file. Every training image is used, and
no test image is looked at before the last epoch is over. The accuracies printed at the end are of
the val and test images that make_dataset.py keeps, and of all images that it chooses them from.
"""

import argparse
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import make_dataset

HERE = pathlib.Path(__file__).resolve().parent


def conv_bn(inputs, outputs, kernel, stride=1, groups=1):
    """A convolution without bias and its BatchNorm, padded so that stride 1 keeps the size."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise; with a shortcut around both where the shape stays the same."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.depthwise = conv_bn(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = conv_bn(inputs, outputs, 1)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.pointwise(functional.relu(self.depthwise(x)))
        return functional.relu(x + y if self.has_shortcut else y)


class FashionNet(nn.Module):
    """1x28x28 to ten logits through 14x14x16, 14x14x48 and 7x7x128."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, 16, 3, stride=2)
        self.widen = conv_bn(16, 48, 3)
        self.blocks = nn.Sequential(
            Separable(48, 48),
            Separable(48, 48),
            Separable(48, 128, stride=2),
            Separable(128, 128),
            Separable(128, 128),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(128, 10)

    def forward(self, x):
        x = functional.relu(self.stem(x))
        x = self.blocks(functional.relu(self.widen(x)))
        return self.classifier(torch.flatten(self.pool(x), 1))


def count_macs(model):
    """Multiplications of one image in convolutions and the linear layer."""
    macs = []

    def note(layer, _, output):
        per_output = layer.weight[0].numel()
        macs.append(output[0].numel() * per_output)

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, 28, 28))
    for hook in hooks:
        hook.remove()
    return sum(macs)


def augmented(images, random):
    """Each image moved by up to two pixels each way and mirrored half of the time."""
    count = len(images)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    rows = random.integers(0, 5, (count, 1, 1)) + np.arange(28)[:, np.newaxis]
    columns = random.integers(0, 5, (count, 1, 1)) + np.arange(28)
    mirrored = random.random((count, 1, 1)) < 0.5
    columns = np.where(mirrored, columns[:, :, ::-1], columns)
    return padded[np.arange(count)[:, np.newaxis, np.newaxis], 0, rows, columns][:, np.newaxis]


def as_input(images):
    """Stored uint8 to what the network sees: x / 255, as the data set's scale, mean and std say."""
    return torch.tensor(images).float().div_(255).contiguous(memory_format=torch.channels_last)


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        starts = range(0, len(images), 500)
        classes = [model(as_input(images[i : i + 500])).argmax(1) for i in starts]
    return float(np.mean(torch.cat(classes).numpy() == labels))


def train_one_epoch(model, optimizer, schedule, images, labels, batch, random):
    model.train()
    order = random.permutation(len(images))
    losses = []
    for start in range(0, len(order) - batch + 1, batch):
        chosen = order[start : start + batch]
        logits = model(as_input(augmented(images[chosen], random)))
        loss = functional.cross_entropy(logits, torch.from_numpy(labels[chosen]).long())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def train(model, images, labels, options):
    random = np.random.default_rng(options.seed)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    steps = options.epochs * (len(images) // options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.2, total_steps=steps, pct_start=0.25
    )
    for epoch in range(options.epochs):
        began = time.monotonic()
        loss = train_one_epoch(model, optimizer, schedule, images, labels, options.batch, random)
        took = time.monotonic() - began
        print(f"epoch {epoch + 1}/{options.epochs}: loss {loss:.4f}, {took:.0f} s", flush=True)


def report(model, folder):
    """Prints the accuracy on images that training did not see."""
    splits = make_dataset.choose_splits(folder)
    held_out = {"val": splits["val"], "test": splits["test"]}
    held_out["the whole test file"] = make_dataset.read_held_out(folder)
    for name, (images, labels) in held_out.items():
        print(f"accuracy on {name}: {accuracy(model, images, labels):.2%} of {len(labels)} images")


def export(model, path):
    """Keeps the BatchNorm nodes: folding them is the importer's work, and the example shows it."""
    torch.onnx.export(
        model.eval().to(memory_format=torch.contiguous_format),
        torch.zeros(1, 1, 28, 28),
        str(path),
        opset_version=13,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    print(f"{path}: {path.stat().st_size} bytes")


def parse_options():
    parser = argparse.ArgumentParser(description="Trains the Fashion-MNIST example.")
    add = parser.add_argument
    add("--data", type=pathlib.Path, default="../shared/data/fashion-mnist", help="IDX files")
    add("--output", type=pathlib.Path, default=HERE / "fashion_mnist.onnx")
    add("--epochs", type=int, default=12)
    add("--batch", type=int, default=128)
    add("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    model = FashionNet().to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, {count_macs(model)} MACs", flush=True)
    train(model, *make_dataset.read_train(options.data), options)
    report(model, options.data)
    export(model, options.output)


if __name__ == "__main__":
    main()
