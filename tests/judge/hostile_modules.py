#!/usr/bin/python3
"""TorchScript files that nobody should load outside of a sandbox, for script_converter_test.

  hostile_modules.py --out DIR --trace FILE

DIR gets NAME.ts.pt; all read 3x8x8. What the modules do, they do in __setstate__, which runs when
they are loaded; those that leave a trace try to leave it in FILE.
"""

import argparse
import io
import os
import warnings
import zipfile
from typing import List, Tuple

import torch
from torch import nn, Tensor

TRACE = ""


class Harmless(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.conv(x).mean([2, 3]))


class Reads(nn.Module):
    """A password file that becomes a parameter."""

    def __init__(self):
        super().__init__()
        self.weight = torch.zeros(4)

    @torch.jit.export
    def __getstate__(self) -> Tuple[Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.weight = torch.from_file("/etc/passwd", False, 4)
        self.training = state[1]

    def forward(self, x):
        return x


class Writes(Reads):
    path: str

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.weight = torch.from_file("@TRACE@", True, 4)
        self.weight.fill_(1.0)
        self.training = state[1]


class Saves(Reads):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.weight = state[0]
        torch.save(state[0], "@TRACE@")
        self.training = state[1]


class Loops(Reads):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        turns = 0
        while turns >= 0:
            turns = (turns + 1) % 1000
        self.weight = state[0]
        self.training = state[1]


def spin(x: Tensor) -> Tensor:
    while bool(x.sum() > -1):
        x = x * x
    return x


class Forks(Reads):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        futures: List[torch.jit.Future[Tensor]] = []
        for _ in range(10000):
            futures.append(torch.jit.fork(spin, state[0]))
        self.weight = torch.jit.wait(futures[0])
        self.training = state[1]


class Grows(Reads):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        kept: List[Tensor] = []
        while len(kept) >= 0:
            kept.append(torch.ones([1 << 22]))
        self.weight = kept[0]
        self.training = state[1]


class Explodes(Reads):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.weight = torch.ones([1 << 36])
        self.training = state[1]


class Crashes(Reads):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.weight = torch.from_file("/program", False, 1 << 34) * 2
        self.training = state[1]


class Raises(Reads):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        raise ValueError("\x1b[31mnot today")


class Chatter(nn.Module):
    """Writes to stdout while it is loaded."""

    def __init__(self):
        super().__init__()
        self.weight = torch.zeros(4)

    @torch.jit.export
    def __getstate__(self) -> Tuple[Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        for _ in range(20000):
            print("MICOPKG2 and much else that is no package")
        self.weight = state[0]
        self.training = state[1]

    def forward(self, x):
        return x


class WithPart(Harmless):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return self.fc(self.part(self.conv(x)).mean([2, 3]))


def save(module):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


def rewrite(file, change, method=zipfile.ZIP_STORED):
    """The file with each entry replaced by change(name, content); None: as it is."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            changed = change(info.filename, content)
            target.writestr(info.filename, content if changed is None else changed,
                            compress_type=zipfile.ZIP_STORED if changed is None else method)
    return out.getvalue()


def replace_in(suffix, new, method=zipfile.ZIP_STORED):
    return lambda file: rewrite(file, lambda name, old: new(old) if name.endswith(suffix) else None,
                                method)


def claim_size(file):
    """Every entry says that it unpacks to almost 4 GiB."""
    changed = bytearray(file)
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + offset:at + offset + 4] = (0xFFFFFFF0).to_bytes(4, "little")
            at = changed.find(signature, at + 4)
    return bytes(changed)


def files():
    for part in (Reads, Writes, Saves, Loops, Forks, Grows, Explodes, Crashes, Raises, Chatter):
        file = save(WithPart(part()))
        yield part.__name__.lower(), replace_in(".py", lambda old: old.replace(
            b"@TRACE@", TRACE.encode()))(file)
    plain = save(Harmless())
    yield "harmless", plain
    yield "zip_bomb", replace_in("data/0", lambda old: bytes(1 << 30), zipfile.ZIP_DEFLATED)(plain)
    yield "claims_gigabytes", claim_size(plain)
    yield "unknown_class", replace_in("data.pkl", lambda old: (
        b"\x80\x02cos\nsystem\nX" + len(b"touch " + TRACE.encode()).to_bytes(4, "little") +
        b"touch " + TRACE.encode() + b"\x85R."))(plain)
    yield "endless_pickle", replace_in("data.pkl", lambda old: b"\x80\x02" + b"(" * 2000000)(plain)
    yield "unknown_operator", replace_in(".py", lambda old: old.replace(
        b"torch.mean(", b"torch.unheard_of("))(plain)
    yield "future_version", replace_in("version", lambda old: b"9999\n")(plain)
    yield "no_code", replace_in(".py", lambda old: b"")(plain)
    yield "broken_code", replace_in(".py", lambda old: old[:len(old) // 2] + b"\x00)((")(plain)
    yield "deep_code", replace_in(".py", lambda old: old.replace(
        b"return ", b"return " + b"(" * 100000, 1))(plain)
    yield "not_torchscript", b"PK\x03\x04" + bytes(1000)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as target:
        target.writestr("hello.txt", "world")
    yield "other_zip", other.getvalue()


def main():
    global TRACE
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--trace", required=True)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    TRACE = arguments.trace
    os.makedirs(arguments.out, exist_ok=True)
    for name, content in files():
        with open(os.path.join(arguments.out, name + ".ts.pt"), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()
