"""Writes small weight files that fill the memory or hang where they are trusted."""

import json
import os
import pickletools
import struct
import zipfile

from tests.untrusted.hostile_models import with_claims

MIB = 2**20
STORAGE = (
    b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ"
)
# A tuple of twice the tuple before it, forty times: 2**40 leaves.
DOUBLED = b")q\x01" + b"h\x01h\x01\x86q\x01" * 40


def safetensors(path, entries, body, more=b""):
    header = json.dumps(entries).encode() + more
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)


def torch_file(path, pickled, data=b"\0" * 4, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", data)


def entry(start, end, shape):
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


def tensors(count, shape, strides):
    """The pickle of a dictionary of tensors that share one storage."""
    out = b"\x80\x02}q\0("
    for index in range(count):
        name = f"n{index}".encode()
        out += b"X" + struct.pack("<I", len(name)) + name
        out += b"ctorch._utils\n_rebuild_tensor_v2\n" + STORAGE + b"K\0"
        out += shape + strides + b"\x89}tR"
    return out + b"u."


def write_all(folder):
    """Write one file of each kind, and return their paths."""
    body = bytes(4 * MIB)
    same = {f"n{i}": entry(0, len(body), [MIB]) for i in range(1500)}
    safetensors(folder / "same_bytes.safetensors", same, body)
    steps = {f"n{i}": entry(4 * i, 4 * i + 2 * MIB, [MIB // 2]) for i in range(1500)}
    safetensors(folder / "overlap.safetensors", steps, body)
    safetensors(
        folder / "hole.safetensors", {"a": entry(4, len(body), [MIB - 1])}, body
    )
    long = {"a": entry(0, len(body), [2**62] * 100_000)}
    safetensors(folder / "long_shape.safetensors", long, body)
    deep = b'{"a": ' + b"[" * MIB + b"]" * MIB + b"}"
    (folder / "deep.safetensors").write_bytes(struct.pack("<Q", len(deep)) + deep)
    lists = b'{"a": [' + b"[]," * (5 * MIB // 4) + b"1]}"
    (folder / "lists.safetensors").write_bytes(struct.pack("<Q", len(lists)) + lists)

    number = struct.pack("<i", MIB)
    torch_file(folder / "stride_0.pth", tensors(1500, b"(J" + number + b"t", b"(K\0t"))
    whole = tensors(1500, b"J" + number + b"\x85", b"K\x01\x85")
    whole = whole.replace(b"cpuK\x01tQ", b"cpuJ" + number + b"tQ")
    torch_file(folder / "tied.pth", whole, body)
    huge = b"\x8a\xff" + b"\x7f" * 255
    torch_file(folder / "shape.pth", tensors(1, b"(" + huge * 9_000 + b"t", b"(K\0t"))
    torch_file(folder / "memo.pth", b"\x80\x02}r" + struct.pack("<I", 2**29) + b".")
    torch_file(folder / "key.pth", b"\x80\x02}(" + DOUBLED + b"K\x01u.")
    torch_file(folder / "storage.pth", b"\x80\x02" + DOUBLED + b"(h\x01NNNNtQ.")
    storage = STORAGE.replace(b"X\x01\0\0\x000", b"h\x01")
    torch_file(folder / "storage_key.pth", b"\x80\x02" + DOUBLED + storage + b".")
    copies = b"".join(b"ccollections\nOrderedDict\nh\x02\x85R0" for _ in range(10_000))
    filled = b"}q\x02(" + b"".join(
        b"J" + struct.pack("<i", key) + b"N" for key in range(100_000)
    )
    torch_file(folder / "copies.pth", b"\x80\x02" + filled + b"u" + copies + b"h\x02.")
    torch_file(folder / "dictionaries.pth", b"\x80\x02" + b"}" * (4 * MIB - 9) + b".")
    packed = {"compression": zipfile.ZIP_DEFLATED}
    torch_file(folder / "bomb.pth", b"}" * (16 * MIB) + b".", **packed)
    torch_file(folder / "data_bomb.pth", tensors(1, b")", b")"), bytes(MIB), **packed)
    packed = {"compression": zipfile.ZIP_BZIP2}
    file = folder / "claim.pth"
    torch_file(file, b"}" * (64 * MIB) + b".", **packed)
    with zipfile.ZipFile(file) as archive:
        size = archive.getinfo("a/data.pkl").compress_size
    with_claims(file, "a/data.pkl", size, size)
    torch_file(folder / "many.pth", tensors(1, b")", b")"))
    with zipfile.ZipFile(folder / "many.pth", "a") as archive:
        for index in range(40_000):
            archive.writestr(f"{index:0200}", b"")
    with open(folder / "holes.safetensors", "wb") as file:
        file.truncate(2**32)
    step = 2**61 - 1
    keys = (((i * step).to_bytes(12, "little", signed=True)) for i in range(60_000))
    same_hash = b"".join(b"\x8a\x0c" + key + b"N" for key in keys)
    torch_file(folder / "same_hash.pth", b"\x80\x02}(" + same_hash + b"u.")
    floats = b"".join(b"G" + struct.pack(">d", i * 2.0**61) + b"N" for i in range(999))
    torch_file(folder / "floats.pth", b"\x80\x02}(" + floats + b"u.")
    for name in ("pipe.pth", "pipe.safetensors"):
        os.mkfifo(folder / name)
    (folder / "folder.pth").mkdir()
    (folder / "device.pth").symlink_to("/dev/zero")
    # Whatever opcodes there are, each with the largest argument.
    for opcode in pickletools.opcodes:
        code = opcode.code.encode("latin-1")
        largest = b"\xff\xff\xff\x7f" + bytes(4) + b"0\nx\n"
        torch_file(
            folder / f"opcode_{opcode.name}.pth", b"\x80\x05})" + code + largest + b"."
        )
    return sorted(folder.iterdir())
