#!/usr/bin/env python3
"""Writes tests/fixtures/torch: files that torch saved, and one safetensors file with the same content.

    python tools/make_torch_files.py        # needs torch and safetensors; run once, the files are committed

expected.safetensors is torch's own opinion of what the others hold (each tensor made contiguous).
The files under refused/ are to be refused, and the message must have the word that is the file's name up to the
last full stop.
"""

import collections
import io
import json
import os
import pathlib
import pickle
import pickletools
import sys
import zipfile

import torch
from safetensors.torch import load_file, save_file

MODELS = pathlib.Path(__file__).resolve().parent.parent / "tests/fixtures/models"
FOLDER = MODELS.parent / "torch"


def content():
    """Every dtype and every layout that a checkpoint is known to have."""
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(6, 5, generator=generator)
    tensors = collections.OrderedDict(
        f32=torch.randn(3, 4, generator=generator),
        f16=torch.randn(4, 3, generator=generator).half(),
        bf16=torch.randn(2, 7, generator=generator).bfloat16(),
        f64=torch.randn(3, generator=generator).double(),
        i64=torch.arange(-2, 5),
        i32=torch.arange(4, dtype=torch.int32),
        boolean=torch.tensor([True, False, True]),
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 4),
        base=base,
        same=base,
        row=base[2],
        rows=base[1:4],
        columns=base[:, 1:3],
        transposed=base.t(),
        every_other=base[::2, ::3],
        expanded=torch.tensor([[1.5], [2.5]]).expand(2, 3),
        turned=torch.randn(2, 3, 4, generator=generator).permute(2, 0, 1),
        turned_half=torch.randn(5, 4, generator=generator).half().t(),
        overlapping=base.as_strided((2, 2), (2, 3)),
        empty_turned=torch.zeros(4, 0).t(),
        single=torch.randn(1, 4, generator=generator).t()[:, :1],
    )
    tensors["parameter"] = torch.nn.Parameter(torch.randn(2, 2, generator=generator))
    layer = torch.nn.Linear(3, 2).state_dict(prefix="deep.layer.")  # has _metadata
    for name, tensor in tensors.items():
        layer[name] = tensor
    return layer


def rewrite(source, change, **options):
    """The zip archive SOURCE again, with CHANGE(name, content) in place of each content."""
    out = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w", **options) as new:
        for info in old.infolist():
            data = change(info.filename, old.read(info))
            if data is not None:
                new.writestr(zipfile.ZipInfo(info.filename), data, options.get("compression", 0))
    return out.getvalue()


def zip64(source):
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 0
    count, zipfile.ZIP_FILECOUNT_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT, 0
    try:
        data = rewrite(source, lambda name, data: data)
    finally:
        zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = limit, count
    return data[:-14] + b"\xff" * 12 + data[-2:]  # count, bytes and begin: see the zip64 record


class Runs:
    """What a hostile checkpoint does: unpickling it runs a command."""

    def __reduce__(self):
        return os.system, ("touch /tmp/it-ran",)


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def small(tensor=None):
    return {"weight": torch.ones(2) if tensor is None else tensor}


def python2():
    """As Python 2 wrote it: names as byte strings, and the memo's places from 1 on."""
    data = saved(small(), _use_new_zipfile_serialization=False)
    stream, out = io.BytesIO(data), io.BytesIO()
    for _ in range(5):
        begin = stream.tell()
        instructions = [(code.name, arg, at) for code, arg, at in pickletools.genops(stream)]
        ends = [at for _, _, at in instructions[1:]] + [stream.tell()]
        for (name, arg, at), end in zip(instructions, ends):
            code = data[at:end]
            if name in ("BINPUT", "BINGET"):
                code = code[:1] + bytes([arg + 1])
            elif name == "BINUNICODE":
                code = b"U" + code[1:2] + code[5:]
            out.write(code)
        assert data[begin] == 0x80
    return out.getvalue() + stream.read()


def refused():
    zipped = io.BytesIO(saved(small()))
    yield "posix.system.pt", saved({"weight": torch.ones(2), "more": Runs()})
    yield "posix.system.old", saved({"more": Runs()}, _use_new_zipfile_serialization=False)
    yield "torch.nn.modules.linear.Linear.pt", saved(torch.nn.Linear(2, 2))
    yield "numpy.pt", saved({"weight": torch.ones(2).numpy()})
    yield "is a dict.pt", saved({"state_dict": small(), "epoch": 3})
    yield "is a number.pt", saved({"weight": torch.ones(2), "epoch": 3})
    yield "holds a list.pt", saved([torch.ones(2)])
    yield "_rebuild_qtensor.pt", saved(small(torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)))
    yield "_rebuild_sparse_tensor.pt", saved(small(torch.eye(2).to_sparse()))
    yield "_rebuild_tensor_v3.pt", saved(small(torch.ones(2, dtype=torch.uint16)))
    yield "expected a plain tensor.pt", saved(small(torch.ones(2, dtype=torch.complex64).conj()[:1].real.neg()._neg_view()))
    yield "compressed.pt", rewrite(zipped, lambda name, data: data, compression=zipfile.ZIP_DEFLATED)
    yield "byte order big.pt", rewrite(zipped, lambda name, data: b"big" if name.endswith("byteorder") else data)
    older = saved(small(), _use_new_zipfile_serialization=False)
    yield "another size.old", older[:-16] + b"\3" + older[-15:]
    yield "big-endian.old", older.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89")
    yield "behind the end.pt", rewrite(
        zipped, lambda name, data: data.replace(b"K\x02\x85", b"K\x03\x85") if name.endswith("data.pkl") else data)
    yield "another size.pt", rewrite(zipped, lambda name, data: data[:4] if name.endswith("/data/0") else data)
    yield "not in the archive.pt", rewrite(zipped, lambda name, data: None if name.endswith("/data/0") else data)
    yield "without data.pkl.pt", rewrite(zipped, lambda name, data: None if name.endswith("data.pkl") else data)
    yield "instruction 0x81.pt", rewrite(
        zipped, lambda name, data: pickle.dumps({"weight": 1}, 2)[:-1] + b"\x81." if name.endswith("data.pkl") else data)
    yield "is GGUF.bin", b"GGUF" + bytes(20)
    yield "is HDF5.h5", b"\x89HDF\r\n\x1a\n" + bytes(20)
    yield "TorchScript.pt", script()


def script():
    out = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), out)
    return rewrite(out, lambda name, data: data if name.endswith(("data.pkl", "constants.pkl")) else None)


def state_dict(model, file):
    """A fixture model's weights; every second matrix lies transposed, as those that came from TensorFlow do."""
    tensors = collections.OrderedDict(load_file(MODELS / model / file))
    for i, name in enumerate(sorted(tensors)):
        if tensors[name].dim() == 2 and i % 2:
            tensors[name] = tensors[name].t().contiguous().t()
    return tensors


def models():
    """Weights for tests/fixtures/models/sharded and dense, in place of their safetensors."""
    index = json.loads((MODELS / "sharded/model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    whole = collections.OrderedDict()
    for file in files:
        part = state_dict("sharded", file)
        whole.update(part)
        name = file.replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        yield "shards/" + name, saved(part)
        index["weight_map"].update({tensor: name for tensor in part})
    yield "shards/pytorch_model.bin.index.json", json.dumps(index, indent=1).encode()
    yield "one/pytorch_model.bin", saved(whole, _use_new_zipfile_serialization=False)
    yield "dense/pytorch_model.bin", saved(state_dict("dense", "2_Dense/model.safetensors"))


def main():
    tensors = content()
    (FOLDER / "refused").mkdir(parents=True, exist_ok=True)
    zipped = saved(tensors)
    files = {
        "zip.pt": zipped,
        "zip-protocol-4.pt": saved(tensors, pickle_protocol=4),
        "zip-protocol-5.pt": saved(tensors, pickle_protocol=5),
        "zip64.pt": zip64(io.BytesIO(zipped)),
        "older.pt": saved(tensors, _use_new_zipfile_serialization=False),
        "python2.pt": python2(),
    }
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
        read = torch.load(io.BytesIO(data), weights_only="protocol" not in name)
        assert name == "python2.pt" or all(torch.equal(read[key], tensors[key]) for key in tensors)
    for name, data in refused():
        (FOLDER / "refused" / name).write_bytes(data)
    for name, data in models():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_bytes(data)
    plain = {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    save_file(plain, FOLDER / "expected.safetensors")
    print("torch", torch.__version__, sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file()), "bytes")


if __name__ == "__main__":
    sys.exit(main())
