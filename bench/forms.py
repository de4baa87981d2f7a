#!/usr/bin/env python3
"""Converts a model into what the other engines of bench/table.py read.

    bench/forms.py MODEL_DIR FOLDER

writes model.onnx, model-fused.onnx, model-int8.onnx, model-int8-channel.onnx,
model-int8-fused.onnx, ct2/, f32.gguf and q8_0.gguf, those that are missing. A
form whose packages are not installed is left out with a line that says so.
Models of BERT's family.
"""
import argparse
import json
import os
import shutil
import sys
import traceback
from pathlib import Path


def export_onnx(model, path):
    import torch
    from transformers import AutoModel

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = AutoModel.from_pretrained(
                model, dtype=torch.float32, attn_implementation="eager", add_pooling_layer=False).eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.bert(input_ids=input_ids, attention_mask=attention_mask,
                             token_type_ids=token_type_ids).last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {name: {0: "texts", 1: "tokens"} for name in names + ["hidden"]}
    with torch.no_grad():
        torch.onnx.export(Hidden(), (ids, ids, ids * 0), str(path), input_names=names,
                          output_names=["hidden"], dynamic_axes=axes, opset_version=17, dynamo=False)


def fuse_onnx(model, path):
    """What ONNX Runtime's own optimizer of transformers makes of it."""
    from onnxruntime.transformers import optimizer
    config = json.loads((model / "config.json").read_text())
    optimizer.optimize_model(
        str(path.parent / "model.onnx"), model_type="bert", num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"]).save_model_to_file(str(path))


def quantize_onnx(path, source, **how):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    quantize_dynamic(str(path.parent / source), str(path), weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT}, **how)


CHANNEL = {"per_channel": True, "reduce_range": True}


def convert_ct2(model, path):
    from ctranslate2.converters import TransformersConverter
    TransformersConverter(str(model)).convert(str(path), force=True)


GGUF_NAMES = {
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}


def gguf_tensors(layers):
    """(name in GGUF, name in the model, is it a matrix that is quantised)"""
    yield "token_embd.weight", "embeddings.word_embeddings.weight", True
    yield "position_embd.weight", "embeddings.position_embeddings.weight", False
    yield "token_types.weight", "embeddings.token_type_embeddings.weight", False
    for part in ("weight", "bias"):
        yield f"token_embd_norm.{part}", f"embeddings.LayerNorm.{part}", False
        for layer in range(layers):
            for theirs, name in GGUF_NAMES.items():
                yield (f"blk.{layer}.{name}.{part}", f"encoder.layer.{layer}.{theirs}.{part}",
                       part == "weight" and "Norm" not in theirs)


def gguf_vocabulary(writer, model):
    import gguf
    vocab = json.loads((model / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    tokens, kinds = [], []
    for token in sorted(vocab, key=vocab.get):
        special = token.startswith("[") and token.endswith("]") and len(token) > 2
        # A word begins with a mark here; BERT marks what continues one.
        tokens.append(token if special else token[2:] if token.startswith("##") else "\u2581" + token)
        kinds.append(gguf.TokenType.CONTROL if special else gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_type_count(2)
    writer.add_bos_token_id(vocab["[CLS]"])
    writer.add_eos_token_id(vocab["[SEP]"])
    writer.add_sep_token_id(vocab["[SEP]"])
    writer.add_unk_token_id(vocab["[UNK]"])
    writer.add_pad_token_id(vocab["[PAD]"])


def gguf_config(writer, config):
    import gguf
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)


def write_gguf(model, path, quantized):
    import gguf
    import numpy as np
    from safetensors.numpy import load_file
    config = json.loads((model / "config.json").read_text())
    tensors = load_file(model / "model.safetensors")
    writer = gguf.GGUFWriter(str(path), "bert")
    gguf_config(writer, config)
    gguf_vocabulary(writer, model)
    for name, theirs, matrix in gguf_tensors(config["num_hidden_layers"]):
        found = tensors[theirs] if theirs in tensors else tensors["bert." + theirs]
        numbers = np.ascontiguousarray(found, np.float32)
        if matrix and quantized:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(numbers, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


FORMS = {
    "model.onnx": export_onnx,
    "model-fused.onnx": fuse_onnx,
    "model-int8.onnx": lambda _, path: quantize_onnx(path, "model.onnx"),
    "model-int8-channel.onnx": lambda _, path: quantize_onnx(path, "model.onnx", **CHANNEL),
    "model-int8-fused.onnx": lambda _, path: quantize_onnx(path, "model-fused.onnx", **CHANNEL),
    "ct2": convert_ct2,
    "f32.gguf": lambda model, path: write_gguf(model, path, False),
    "q8_0.gguf": lambda model, path: write_gguf(model, path, True),
}


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make(model, folder, name):
    """Under another name first: what has its name is complete."""
    path = folder / name
    if path.exists():
        return
    half = folder / ("half-" + name)
    remove(half)
    try:
        FORMS[name](model, half)
        half.rename(path)
        print(f"forms: {path}", flush=True)
    except ImportError as error:
        remove(half)
        print(f"forms: no {name}, a package is not installed: {error}", flush=True)
    except Exception:  # another form may still succeed
        remove(half)
        traceback.print_exc()
        print(f"forms: no {name}, its conversion failed as above", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("model", type=Path)
    ap.add_argument("folder", type=Path)
    args = ap.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in FORMS:
        make(args.model, args.folder, name)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
