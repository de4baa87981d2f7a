"""Small models of the encoders with rotary positions: ModernBERT, NomicBERT,
GTE, EuroBERT. tools/make_models.py runs these functions like its own; the name
of one is the name of its folder.

What transformers has is its own reference. Folders in a spelling that only
their authors' code reads (nomic-ai's and Alibaba's) have a twin in
transformers' spelling, from which the vectors are; what it does not compute at
all (nomic-ai's experts, plain feed-forward blocks, rotary positions of a part)
is written down here, in nomic_formula.
"""

import json
import math
import pathlib
import shutil
import tempfile

import numpy
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from scipy.special import erf
from transformers import AutoTokenizer

import make_models
from make_models import (FAIRSEQ, LENGTHS, LENGTHS_NAME, LONG, LONG_NAME, OLD,
                         SPECIAL, TEXTS, WORDS, Weights, family_tokenizer,
                         old_pooling, tensorflow_norms, vocabulary,
                         write_json, write_modules, write_weights)

LONG_LIMIT = 600


def modern(folder, config, weights, limit=LONG_LIMIT, template="",
           dtype=torch.bfloat16, special=SPECIAL):
    """As family() of make_models."""
    write_json(folder / "config.json", config)
    family_tokenizer(folder, special, template, types=False, limit=limit)
    write_weights(folder, weights.tensors, dtype)
    write_json(folder / "sentence_bert_config.json",
               {"max_seq_length": limit, "do_lower_case": False})
    old_pooling(folder, config.get("hidden_size") or config["n_embd"],
                "cls_token", "mean_tokens", "max_tokens")
    write_modules(folder, ("", OLD + "Transformer"),
                  ("1_Pooling", OLD + "Pooling"))


def modern_config(model_type, hidden=16, heads=2, inter=28, layers=3, **other):
    return {
        "model_type": model_type,
        "vocab_size": len(vocabulary(False)),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inter,
        "max_position_embeddings": LONG_LIMIT,
        "pad_token_id": 0,
        **other,
    }


def matrix(w, name, inner, outer, bias=False):
    w.add(name + ".weight", outer, inner, scale=1.5 / math.sqrt(inner))
    if bias:
        w.add(name + ".bias", outer, scale=0.2)


def scale(w, name, width, shift=False):
    w.add(name + ".weight", width, scale=0.2, around=1.0)
    if shift:
        w.add(name + ".bias", width, scale=0.2)


# ---- ModernBERT -------------------------------------------------------------

def modernbert_weights(config, seed, prefix=""):
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    biased = config.get("attention_bias", False)
    fed = config.get("mlp_bias", False)
    shifted = config.get("norm_bias", False)
    w.add(prefix + "embeddings.tok_embeddings.weight", config["vocab_size"],
          hidden, scale=0.5)
    scale(w, prefix + "embeddings.norm", hidden, shifted)
    for i in range(config["num_hidden_layers"]):
        p = f"{prefix}layers.{i}."
        if i:
            scale(w, p + "attn_norm", hidden, shifted)
        matrix(w, p + "attn.Wqkv", hidden, 3 * hidden, biased)
        matrix(w, p + "attn.Wo", hidden, hidden, biased)
        scale(w, p + "mlp_norm", hidden, shifted)
        matrix(w, p + "mlp.Wi", hidden, 2 * inter, fed)
        matrix(w, p + "mlp.Wo", inter, hidden, fed)
    scale(w, prefix + "final_norm", hidden, shifted)
    return w


def modernbert(folder):
    # As ModernBertForMaskedLM was saved first: layers by number, two thetas;
    # layers 0 and 3 are global, the others see 8 tokens each way.
    config = modern_config(
        "modernbert", hidden=12, layers=5, hidden_activation="gelu",
        norm_eps=1e-5,
        global_attn_every_n_layers=3, local_attention=16,
        global_rope_theta=40000.0, local_rope_theta=900.0,
        attention_bias=False, mlp_bias=False, norm_bias=False,
        position_embedding_type="absolute")
    w = modernbert_weights(config, 201, "model.")
    hidden = config["hidden_size"]
    matrix(w, "head.dense", hidden, hidden)
    scale(w, "head.norm", hidden)
    w.add("decoder.bias", config["vocab_size"], scale=0.2)
    modern(folder, config, w, template="[CLS] $A")


def modernbert_biased(folder):
    # As transformers 5 saves it, all switches on; a window of odd length.
    config = modern_config(
        "modernbert", hidden=12, heads=3, inter=22, layers=4,
        hidden_activation="gelu_pytorch_tanh", norm_eps=1e-3,
        layer_types=["sliding_attention", "full_attention", "full_attention",
                     "sliding_attention"],
        local_attention=129, attention_bias=True, mlp_bias=True,
        norm_bias=True, rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 4.0,
                               "rope_theta": 5000.0},
            "sliding_attention": {"rope_type": "default",
                                  "rope_theta": 300.0}})
    modern(folder, config, modernbert_weights(config, 202))


# ---- EuroBERT ---------------------------------------------------------------

def eurobert_weights(config, seed, prefix=""):
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"]
    dim = config.get("head_dim") or hidden // heads
    keys = config.get("num_key_value_heads") or heads
    biased = config.get("attention_bias", False)
    fed = config.get("mlp_bias", False)
    w.add(prefix + "embed_tokens.weight", config["vocab_size"], hidden,
          scale=0.5)
    for i in range(config["num_hidden_layers"]):
        p = f"{prefix}layers.{i}."
        scale(w, p + "input_layernorm", hidden)
        matrix(w, p + "self_attn.q_proj", hidden, heads * dim, biased)
        matrix(w, p + "self_attn.k_proj", hidden, keys * dim, biased)
        matrix(w, p + "self_attn.v_proj", hidden, keys * dim, biased)
        matrix(w, p + "self_attn.o_proj", heads * dim, hidden, biased)
        scale(w, p + "post_attention_layernorm", hidden)
        matrix(w, p + "mlp.gate_proj", hidden, inter, fed)
        matrix(w, p + "mlp.up_proj", hidden, inter, fed)
        matrix(w, p + "mlp.down_proj", inter, hidden, fed)
    scale(w, prefix + "norm", hidden)
    return w


def eurobert(folder):
    # As EuroBertForMaskedLM is on the hub: two heads share keys, no biases.
    config = modern_config(
        "eurobert", heads=4, layers=2, num_key_value_heads=2, head_dim=6,
        hidden_act="silu", rms_norm_eps=1e-5, rope_theta=250000,
        attention_bias=False, mlp_bias=False, tie_word_embeddings=True)
    w = eurobert_weights(config, 203, "model.")
    modern(folder, config, w, dtype=torch.float16)


def eurobert_biased(folder):
    # All heads share one key; heads wider than their part of the rows.
    config = modern_config(
        "eurobert", hidden=15, heads=3, inter=26, num_key_value_heads=1,
        head_dim=10, hidden_act="gelu", rms_norm_eps=0.01,
        attention_bias=True, mlp_bias=True, rope_parameters={
            "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64})
    modern(folder, config, eurobert_weights(config, 204), template="[CLS] $A")


# ---- GTE --------------------------------------------------------------------

def gte_weights(config, seed, prefix=""):
    """transformers' names."""
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    e = prefix + "embeddings."
    w.add(e + "word_embeddings.weight", config["vocab_size"], hidden, scale=0.5)
    if config["type_vocab_size"]:
        w.add(e + "token_type_embeddings.weight", config["type_vocab_size"],
              hidden, scale=0.5)
    scale(w, e + "LayerNorm", hidden, True)
    for i in range(config["num_hidden_layers"]):
        p = f"{prefix}layers.{i}."
        for part in "qkvo":
            matrix(w, p + f"self_attn.{part}_proj", hidden, hidden, True)
        scale(w, p + "post_attention_layernorm", hidden, True)
        matrix(w, p + "mlp.gate_proj", hidden, inter)
        matrix(w, p + "mlp.up_proj", hidden, inter)
        matrix(w, p + "mlp.down_proj", inter, hidden, True)
        scale(w, p + "post_mlp_layernorm", hidden, True)
    return w


def alibaba_names(weights, packed, prefix=""):
    """The same in Alibaba's names."""
    old = Weights(0)
    for name, tensor in weights.tensors.items():
        for new, their in (("layers.", "encoder.layer."),
                           ("self_attn.", "attention."),
                           ("post_attention_layernorm", "attn_ln"),
                           ("post_mlp_layernorm", "mlp_ln")):
            name = name.replace(new, their)
        old.tensors[prefix + name] = tensor
    if packed:
        join(old.tensors, "attention.q_proj", "attention.qkv_proj",
             ["attention.q_proj", "attention.k_proj", "attention.v_proj"])
    join(old.tensors, "mlp.gate_proj", "mlp.up_gate_proj",
         ["mlp.up_proj", "mlp.gate_proj"])
    return old


def join(tensors, first, whole, parts):
    """One tensor WHOLE in the place of PARTS, wherever there is FIRST."""
    for name in [n for n in tensors if first in n]:
        tensors[name.replace(first, whole)] = torch.cat(
            [tensors.pop(name.replace(first, p)) for p in parts])


def gte(folder):
    # As transformers 5 saves GteForMaskedLM, but for TensorFlow's words in its
    # one norm of BERT's name; no token types.
    config = modern_config("gte", layers=2, type_vocab_size=0,
                           hidden_act="gelu", layer_norm_eps=0.02,
                           rope_parameters={"rope_type": "default",
                                            "rope_theta": 1000.0})
    w = gte_weights(config, 205, "gte.")
    hidden = config["hidden_size"]
    matrix(w, "lm_head.dense", hidden, hidden, True)
    scale(w, "lm_head.layer_norm", hidden, True)
    w.add("lm_head.decoder.bias", config["vocab_size"], scale=0.2)
    modern(folder, config, tensorflow_norms(w))


NEW = {"layer_norm_type": "layer_norm", "logn_attention_clip1": False,
       "logn_attention_scale": False, "pack_qkv": True,
       "position_embedding_type": "rope", "unpad_inputs": False,
       "use_memory_efficient_attention": False, "layer_norm_eps": 1e-12}


def gte_new(folder):
    # As Alibaba's NewForMaskedLM is on the hub: Q, K and V in one tensor, up
    # before gate in another, one type of tokens, frequencies scaled by "ntk".
    config = modern_config("new", hidden=16, heads=2, inter=22,
                           type_vocab_size=1, hidden_act="gelu",
                           rope_theta=500, rope_scaling={"factor": 3.0,
                                                         "type": "ntk"}, **NEW)
    w = alibaba_names(gte_weights(config, 206), True, "new.")
    w.tensors["lm_head.decoder.bias"] = torch.zeros(config["vocab_size"])
    modern(folder, config, w)


def gte_new_twin(config, tensors):
    """NTK by its definition: the base grows by the factor, all frequencies
    shrink by factor^(2 / dims), which transformers calls "linear"."""
    factor, dims = config["rope_scaling"]["factor"], 8
    return {**config, "model_type": "gte", "rope_scaling": {
        "rope_type": "linear", "factor": factor ** (2 / dims),
        "rope_theta": config["rope_theta"] * factor}}, tensors


def gte_arctic(folder):
    # As Snowflake's is on the hub: Alibaba's names under transformers' word,
    # here with Q, K and V apart, two types of tokens and two files.
    config = modern_config("gte", hidden=12, heads=3, inter=18, layers=2,
                           type_vocab_size=2, hidden_act="gelu",
                           rope_theta=160000, **{**NEW, "pack_qkv": False})
    w = alibaba_names(gte_weights(config, 207), False)
    modern(folder, config, w, template="[CLS] $A")
    shard(folder)


def shard(folder, count=2):
    """The folder's weights in COUNT files and their index."""
    tensors = load_file(str(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    places = {}
    for i in range(count):
        name = f"model-{i + 1:05}-of-{count:05}.safetensors"
        part = {n: tensors[n] for n in sorted(tensors)[i::count]}
        write_weights(folder, part, None, name)
        places.update(dict.fromkeys(part, name))
    write_json(folder / "model.safetensors.index.json", {
        "metadata": {}, "weight_map": dict(sorted(places.items()))})


def gte_arctic_twin(config, tensors):
    """transformers knows Alibaba's names only where Q, K and V are one."""
    tensors = dict(tensors)
    join(tensors, "attention.q_proj", "attention.qkv_proj",
         ["attention.q_proj", "attention.k_proj", "attention.v_proj"])
    return config, tensors


# ---- NomicBERT --------------------------------------------------------------

def nomic_bert(folder):
    # transformers' spelling; heads narrower than their part of the rows.
    config = modern_config("nomic_bert", layers=2, head_dim=6,
                           type_vocab_size=3, hidden_act="gelu",
                           layer_norm_eps=0.03, rope_parameters={
                               "rope_type": "default", "rope_theta": 700.0})
    hidden, inter, dim = 16, config["intermediate_size"], 12
    w = Weights(208)
    w.add("embeddings.word_embeddings.weight", config["vocab_size"], hidden,
          scale=0.5)
    w.add("embeddings.token_type_embeddings.weight", 3, hidden, scale=0.5)
    scale(w, "embeddings.LayerNorm", hidden, True)
    for i in range(config["num_hidden_layers"]):
        p = f"layers.{i}."
        for part in "qkv":
            matrix(w, p + f"self_attn.{part}_proj", hidden, dim)
        matrix(w, p + "self_attn.o_proj", dim, hidden)
        scale(w, p + "post_attention_layernorm", hidden, True)
        matrix(w, p + "mlp.gate_proj", hidden, inter)
        matrix(w, p + "mlp.up_proj", hidden, inter)
        matrix(w, p + "mlp.down_proj", inter, hidden)
        scale(w, p + "post_mlp_layernorm", hidden, True)
    modern(folder, config, w)


def nomic_config(hidden=8, heads=2, inter=256, layers=2, **other):
    """nomic-ai's spelling, which is GPT-2's and more."""
    return {
        "model_type": "nomic_bert", "architectures": ["NomicBertModel"],
        "vocab_size": len(vocabulary(False)), "n_embd": hidden,
        "n_layer": layers, "n_head": heads, "n_inner": inter,
        "n_positions": LONG_LIMIT, "activation_function": "swiglu",
        "layer_norm_epsilon": 1e-12, "type_vocab_size": 2,
        "rotary_emb_fraction": 1.0, "rotary_emb_base": 1000,
        "rotary_emb_interleaved": False, "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None, "max_trained_positions": 2048,
        "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
        "prenorm": False, "parallel_block": False, "causal": False,
        "use_rms_norm": False, "pad_vocab_size_multiple": 1,
        "fused_bias_fc": True, "use_flash_attn": True, "attn_pdrop": 0.0,
        "pad_token_id": 0, **other,
    }


def nomic_experts_at(config, i):
    every = config.get("moe_every_n_layers", 0)
    return every > 0 and i % every == 1


def nomic_weights(config, seed):
    w = Weights(seed)
    hidden, inter = config["n_embd"], config["n_inner"]
    fc1, fc2 = config["mlp_fc1_bias"], config["mlp_fc2_bias"]
    gated = config["activation_function"] in ("swiglu", "geglu", "glu")
    multiple = config["pad_vocab_size_multiple"]
    rows = -(-config["vocab_size"] // multiple) * multiple
    w.add("embeddings.word_embeddings.weight", rows, hidden, scale=0.5)
    if config["type_vocab_size"]:
        w.add("embeddings.token_type_embeddings.weight",
              config["type_vocab_size"], hidden, scale=0.5)
    scale(w, "emb_ln", hidden, True)
    for i in range(config["n_layer"]):
        p = f"encoder.layers.{i}."
        matrix(w, p + "attn.Wqkv", hidden, 3 * hidden, config["qkv_proj_bias"])
        matrix(w, p + "attn.out_proj", hidden, hidden, config["qkv_proj_bias"])
        scale(w, p + "norm1", hidden, True)
        if nomic_experts_at(config, i):
            count = config["num_experts"]
            matrix(w, p + "mlp.router.layer", hidden, count)
            for name in ("w1", "w2"):
                w.add(p + "mlp.experts.mlp." + name, count * inter, hidden,
                      scale=0.4)
            w.add(p + "mlp.experts.bias", hidden, scale=0.2)
        else:
            for name in ("fc11", "fc12") if gated else ("fc1",):
                matrix(w, p + "mlp." + name, hidden, inter, fc1)
            matrix(w, p + "mlp.fc2", inter, hidden, fc2)
        scale(w, p + "norm2", hidden, True)
    return w


def nomic_hub(folder):
    # As nomic-embed-text-v1.5 is on the hub. Its code makes n_inner a multiple
    # of 256 and fills the vocabulary up.
    config = nomic_config(pad_vocab_size_multiple=64)
    modern(folder, config, nomic_weights(config, 209), dtype=torch.float16)


def nomic_hub_twin(config, tensors):
    rows = tensors["embeddings.word_embeddings.weight"].shape[0]
    return {"model_type": "nomic_bert", "vocab_size": rows,
            "hidden_size": config["n_embd"],
            "num_hidden_layers": config["n_layer"],
            "num_attention_heads": config["n_head"],
            "intermediate_size": config["n_inner"], "hidden_act": "silu",
            "layer_norm_eps": config["layer_norm_epsilon"],
            "type_vocab_size": config["type_vocab_size"], "pad_token_id": 0,
            "max_position_embeddings": config["n_positions"],
            "rope_parameters": {"rope_type": "default", "rope_theta":
                                config["rotary_emb_base"]}}, tensors


def nomic_moe(folder):
    # As nomic-embed-text-v2-moe is on the hub: every second layer has experts.
    config = nomic_config(hidden=12, heads=3, inter=10, layers=4,
                          activation_function="gelu", qkv_proj_bias=True,
                          mlp_fc1_bias=True, mlp_fc2_bias=True,
                          rotary_emb_base=10000, layer_norm_epsilon=1e-5,
                          type_vocab_size=1, moe_every_n_layers=2,
                          num_experts=8, moe_top_k=2, num_shared_experts=0,
                          expert_choice_router=False, ffn_div=1,
                          moe_normalize_expert_weights=False)
    config["vocab_size"] = len(unigram_pieces())
    modern(folder, config, nomic_weights(config, 210))
    unigram_tokenizer(folder)


def unigram_pieces():
    """XLM-RoBERTa's special tokens, words and all letters."""
    words = [("\u2581" + w, -5.0 - i / 50) for i, w in enumerate(WORDS)]
    letters = sorted(set("".join(TEXTS)) - set(" \t\r\n"))
    pieces = dict([(t, 0.0) for t in FAIRSEQ[:4]] + words + [("\u2581", -6.0)]
                  + [(c, -9.0) for c in letters] + [(FAIRSEQ[4], 0.0)])
    return list(pieces.items())


def unigram_tokenizer(folder):
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(unigram_pieces(), 3))
    made.normalizer = tokenizers.normalizers.Sequence([
        tokenizers.normalizers.NFKC(),
        tokenizers.normalizers.Replace(tokenizers.Regex(" {2,}"), " ")])
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    made.add_special_tokens(FAIRSEQ)
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512,
        "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>",
        "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
        "mask_token": "<mask>"})


def nomic_plain(folder):
    # What else nomic-ai's code can do: a bias here and none there, a part of
    # each head turned, neighbours in pairs.
    config = nomic_config(hidden=16, heads=2, inter=30,
                          activation_function="gelu", mlp_fc2_bias=True,
                          rotary_emb_fraction=0.5, type_vocab_size=0,
                          rotary_emb_interleaved=True, layer_norm_epsilon=0.01)
    modern(folder, config, nomic_weights(config, 211))


def nomic_geglu(folder):
    config = nomic_config(layers=1, activation_function="geglu",
                          mlp_fc1_bias=True, qkv_proj_bias=True)
    modern(folder, config, nomic_weights(config, 212), dtype=torch.float16)


def layer_norm(x, t, name, epsilon):
    away = x - x.mean(-1, keepdims=True)
    away /= numpy.sqrt((away ** 2).mean(-1, keepdims=True) + epsilon)
    return away * t[name + ".weight"] + t[name + ".bias"]


def linear(x, t, name):
    y = x @ t[name + ".weight"].T
    return y + t[name + ".bias"] if name + ".bias" in t else y


def softmax(x):
    x = numpy.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def gelu(x):
    return x * (1 + erf(x / math.sqrt(2))) / 2


def turn(x, config):
    """Rotary positions of x [tokens, heads, head_dim]."""
    dims = int(x.shape[-1] * config["rotary_emb_fraction"])
    inverse = config["rotary_emb_base"] ** (-numpy.arange(0, dims, 2) / dims)
    angle = numpy.arange(len(x))[:, None, None] * inverse
    pairs = (slice(0, dims, 2), slice(1, dims, 2)) \
        if config["rotary_emb_interleaved"] else \
        (slice(0, dims // 2), slice(dims // 2, dims))
    a, b, out = x[..., pairs[0]], x[..., pairs[1]], x.copy()
    out[..., pairs[0]] = a * numpy.cos(angle) - b * numpy.sin(angle)
    out[..., pairs[1]] = b * numpy.cos(angle) + a * numpy.sin(angle)
    return out


def experts(x, t, p, config):
    """The most likely of them for each token, by weights that do not sum to
    1, and one bias once."""
    count, chosen = config["num_experts"], config["moe_top_k"]
    shape = (count, config["n_inner"], config["n_embd"])
    w1 = t[p + "experts.mlp.w1"].reshape(shape)
    w2 = t[p + "experts.mlp.w2"].reshape(shape)
    weights = softmax(x @ t[p + "router.layer.weight"].T)
    y = numpy.zeros_like(x)
    for i, row in enumerate(x):
        for e in numpy.argsort(-weights[i], kind="stable")[:chosen]:
            y[i] += weights[i, e] * (gelu(row @ w1[e].T) @ w2[e])
    return y + t[p + "experts.bias"]


def nomic_formula(config, t, ids):
    """Hidden states of one text, after modeling_hf_nomic_bert.py of
    nomic-ai/nomic-bert-2048 and nomic-embed-text-v2-moe."""
    heads, epsilon = config["n_head"], config["layer_norm_epsilon"]
    x = t["embeddings.word_embeddings.weight"][ids]
    if config["type_vocab_size"]:
        x = x + t["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(x, t, "emb_ln", epsilon)
    for i in range(config["n_layer"]):
        p = f"encoder.layers.{i}."
        qkv = linear(x, t, p + "attn.Wqkv").reshape(len(x), 3, heads, -1)
        q, k, v = turn(qkv[:, 0], config), turn(qkv[:, 1], config), qkv[:, 2]
        scores = numpy.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[-1])
        context = numpy.einsum("hij,jhd->ihd", softmax(scores), v)
        x = layer_norm(x + linear(context.reshape(len(x), -1), t,
                                  p + "attn.out_proj"), t, p + "norm1", epsilon)
        if nomic_experts_at(config, i):
            y = experts(x, t, p + "mlp.", config)
        elif config["activation_function"] == "geglu":
            y = linear(linear(x, t, p + "mlp.fc11") *
                       gelu(linear(x, t, p + "mlp.fc12")), t, p + "mlp.fc2")
        else:
            y = linear(gelu(linear(x, t, p + "mlp.fc1")), t, p + "mlp.fc2")
        x = layer_norm(x + y, t, p + "norm2", epsilon)
    return x


def nomic_vectors(folder, texts):
    """(ids, vectors) by the formula: the first row, the greatest, the mean."""
    config = json.loads((folder / "config.json").read_text())
    tensors = {n: t.double().numpy() for n, t in
               load_file(str(folder / "model.safetensors")).items()}
    made = AutoTokenizer.from_pretrained(str(folder))
    ids = made(texts, truncation=True, max_length=LONG_LIMIT)["input_ids"]
    vectors = []
    for row in ids:
        x = nomic_formula(config, tensors, numpy.array(row))
        vectors.append(numpy.concatenate([x[0], x.max(0), x.mean(0)]))
    return ids, numpy.array(vectors)


def by_formula(folder, kind, name, texts_name, texts):
    ids, vectors = nomic_vectors(folder, texts)
    make_models.write_answers(folder / name, ids, vectors, {
        "texts_file": "tests/fixtures/models/" + texts_name,
        "encoded_as": kind, "prompt": "", "max_length": LONG_LIMIT,
        "width": int(vectors.shape[1]), "formula": True})


def by_twin(twin):
    """Vectors of the folder in transformers' spelling."""
    def write(folder, kind, name, texts_name, texts):
        with tempfile.TemporaryDirectory() as target:
            target = pathlib.Path(target)
            shutil.copytree(folder, target, dirs_exist_ok=True)
            tensors = {}
            for path in folder.glob("*.safetensors"):
                tensors.update(load_file(str(path)))
                (target / path.name).unlink()
            (target / "model.safetensors.index.json").unlink(missing_ok=True)
            config, tensors = twin(
                json.loads((folder / "config.json").read_text()), tensors)
            write_json(target / "config.json", config)
            save_file(tensors, str(target / "model.safetensors"),
                      metadata={"format": "pt"})
            make_models.write_reference(folder, kind, name, texts_name,
                                        texts, source=target)
    return write


gte_new.write_reference = by_twin(gte_new_twin)
gte_arctic.write_reference = by_twin(gte_arctic_twin)
nomic_hub.write_reference = by_twin(nomic_hub_twin)
for made in (nomic_moe, nomic_plain, nomic_geglu):
    made.write_reference = by_formula

FAMILIES = [modernbert, modernbert_biased, eurobert, eurobert_biased, gte,
           gte_new, gte_arctic, nomic_bert, nomic_hub, nomic_moe, nomic_plain,
           nomic_geglu]
for made in FAMILIES:
    made.texts = (LENGTHS_NAME, LENGTHS)
for made in (modernbert_biased, eurobert, gte_new, nomic_hub, nomic_plain):
    made.texts = (LONG_NAME, LONG)
