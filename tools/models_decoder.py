"""The small models of tests/fixtures/models that were decoders: Qwen2, Qwen3,
Llama, Mistral, Gemma3. tools/make_models.py runs these functions like its own;
the name of one is the name of its folder.
"""

import json
import pathlib
import shutil
import tempfile

import tokenizers
import torch
from safetensors.torch import load_file
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

import make_models
from make_models import (LENGTHS, LENGTHS_NAME, LIMIT, SPECIAL, TEXTS, WORDS,
                         Weights, dense_layer, family_tokenizer, old_pooling,
                         st_config, vocabulary, words, write_json,
                          write_modules, write_weights)

LONG_LIMIT = 600

# Lengths with one special token behind the text; what windows do to them is
# seen in the long ones.
SPREAD_NAME = "texts-spread.json"
SPREAD = [words(n - 1) for n in (1, 2, 15, 16, 17, 63, 64, 65, 511, 512, 513,
                                 LONG_LIMIT, LONG_LIMIT + 1)]
SPREAD += [TEXTS[25], TEXTS[31]]


class DecoderWeights(Weights):
    """Norms without shifts, matrices with biases or without; GEMMA: norms'
    scales are stored less 1."""

    def __init__(self, seed, gemma=False):
        super().__init__(seed)
        self.around = 0.0 if gemma else 1.0

    def rms(self, name, width):
        self.add(name + ".weight", width, scale=0.2, around=self.around)

    def matrix(self, name, inner, outer, bias):
        self.add(name + ".weight", outer, inner, scale=1.5 / inner ** 0.5)
        if bias:
            self.add(name + ".bias", outer, scale=0.2)


def attention(w, p, config, qkv_bias, out_bias, qk_norm):
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    dim = config.get("head_dim", hidden // heads)
    keys = config["num_key_value_heads"]
    for part, count in (("q_proj", heads), ("k_proj", keys), ("v_proj", keys)):
        w.matrix(p + part, hidden, count * dim, qkv_bias)
    w.matrix(p + "o_proj", heads * dim, hidden, out_bias)
    if qk_norm:
        w.rms(p + "q_norm", dim)
        w.rms(p + "k_norm", dim)


def decoder_weights(config, seed, prefix="", qkv_bias=False, out_bias=False,
                    feed_bias=False, qk_norm=False, gemma=False):
    """The tensors of transformers' Qwen2Model and its kin."""
    w = DecoderWeights(seed, gemma)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    w.add(prefix + "embed_tokens.weight", config["vocab_size"], hidden,
          scale=0.5 / (hidden ** 0.5 if gemma else 1))
    for i in range(config["num_hidden_layers"]):
        p = f"{prefix}layers.{i}."
        attention(w, p + "self_attn.", config, qkv_bias, out_bias, qk_norm)
        w.matrix(p + "mlp.gate_proj", hidden, inter, feed_bias)
        w.matrix(p + "mlp.up_proj", hidden, inter, feed_bias)
        w.matrix(p + "mlp.down_proj", inter, hidden, feed_bias)
        w.rms(p + "input_layernorm", hidden)
        w.rms(p + "post_attention_layernorm", hidden)
        if gemma:
            w.rms(p + "pre_feedforward_layernorm", hidden)
            w.rms(p + "post_feedforward_layernorm", hidden)
    w.rms(prefix + "norm", hidden)
    return w


def decoder_config(model_type, hidden=16, heads=4, keys=2, inter=24, layers=3,
                   **other):
    return {
        "model_type": model_type,
        "vocab_size": len(byte_pieces()[0] if model_type in BYTE_LEVEL else
                          vocabulary(False)),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "intermediate_size": inter,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": LIMIT,
        "use_cache": True,
        **other,
    }


END = "<|endoftext|>"


BYTE_LEVEL = ("qwen2", "qwen2_5_vl_text")


def byte_pieces():
    """Vocabulary and merges by which " the" becomes one token, and so does
    "the", for each of WORDS."""
    vocab = [END] + sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = []
    for begin in ("\u0120", ""):
        for word in WORDS if begin else WORDS[:1]:
            for i in range(1, len(word) + bool(begin)):
                pair = ((begin + word)[:i], (begin + word)[i])
                if pair not in merges:
                    merges.append(pair)
                    vocab.append("".join(pair))
    return {t: i for i, t in enumerate(dict.fromkeys(vocab))}, merges


def byte_tokenizer(folder, limit):
    """As Qwen's, which transformers takes for every model called qwen2."""
    vocab, merges = byte_pieces()
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges))
    made.normalizer = tokenizers.normalizers.NFC()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(
            tokenizers.Regex(PRETOKENIZE_REGEX), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False,
                                            use_regex=False)])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A " + END, special_tokens=[(END, vocab[END])])
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([END])
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "Qwen2Tokenizer", "model_max_length": limit,
        "eos_token": END, "pad_token": END})


def decoder(folder, config, weights, modes=("lasttoken", "mean_tokens"),
            template="$A [SEP]", limit=LIMIT, dtype=torch.bfloat16):
    """As family() of make_models, with the last token among the modes."""
    write_json(folder / "config.json", config)
    if config["model_type"] in BYTE_LEVEL:
        byte_tokenizer(folder, limit)
    else:
        family_tokenizer(folder, SPECIAL, template, types=False, limit=limit)
    write_weights(folder, weights.tensors, dtype)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": limit})
    old_pooling(folder, config["hidden_size"], *modes)
    write_modules(folder, ("", "sentence_transformers.models.Transformer"),
                  ("1_Pooling", "sentence_transformers.models.Pooling"))


def qwen2(folder):
    # As Qwen2ForCausalLM is saved, with a head of its own that nobody uses.
    config = decoder_config("qwen2", hidden_act="silu", rope_theta=1000000.0,
                            tie_word_embeddings=False, sliding_window=7,
                            use_sliding_window=False, max_window_layers=1,
                            architectures=["Qwen2ForCausalLM"])
    w = decoder_weights(config, 70, "model.", qkv_bias=True)
    w.add("lm_head.weight", config["vocab_size"], config["hidden_size"],
          scale=0.2)
    decoder(folder, config, w)


def qwen2_both_ways(folder):
    # As gte-Qwen2 is published: is_causal says no. Its later layers slide,
    # which then goes both ways; frequencies stretched by YaRN.
    config = decoder_config(
        "qwen2", hidden=24, heads=3, keys=1, layers=3, is_causal=False,
        use_sliding_window=True, sliding_window=19, max_window_layers=1,
        max_position_embeddings=LONG_LIMIT,
        rope_scaling={"type": "yarn", "factor": 4.0, "beta_fast": 16,
                      "original_max_position_embeddings": 150})
    decoder(folder, config, decoder_weights(config, 71, qkv_bias=True),
            limit=LONG_LIMIT)


def qwen2_sliding(folder):
    # layer_types in the place of a first layer; one key head for all; the
    # keys of transformers 5.
    config = decoder_config(
        "qwen2", heads=2, keys=1, use_sliding_window=True, sliding_window=33,
        layer_types=["sliding_attention", "full_attention",
                     "sliding_attention"],
        max_position_embeddings=LONG_LIMIT, hidden_act="gelu_pytorch_tanh",
        rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    decoder(folder, config, decoder_weights(config, 72, qkv_bias=True),
            limit=LONG_LIMIT)


def qwen3(folder):
    # Every bias there is; heads wider than their share of hidden; several
    # files of float16, and the modules as Qwen3-Embedding has them.
    config = decoder_config("qwen3", hidden=20, heads=6, keys=3, head_dim=10,
                            attention_bias=True, tie_word_embeddings=True,
                            rope_theta=1000000)
    w = decoder_weights(config, 73, qkv_bias=True, out_bias=True, qk_norm=True)
    decoder(folder, config, w, dtype=torch.float16)
    tensors = {n: t.half() for n, t in w.tensors.items()}
    (folder / "model.safetensors").unlink()
    weight_map = {n: f"model-{i % 2 + 1:05}-of-00002.safetensors"
                  for i, n in enumerate(sorted(tensors))}
    for shard in set(weight_map.values()):
        write_weights(folder, {n: t for n, t in tensors.items()
                               if weight_map[n] == shard}, None, shard)
    size = sum(t.numel() * 2 for t in tensors.values())
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": size}, "weight_map": weight_map})
    (folder / "sentence_bert_config.json").unlink()
    old_pooling(folder, config["hidden_size"], "lasttoken",
                include_prompt=True)
    write_modules(folder, ("", "sentence_transformers.models.Transformer"),
                  ("1_Pooling", "sentence_transformers.models.Pooling"),
                  ("2_Normalize", "sentence_transformers.models.Normalize"))
    st_config(folder, prompts={"query": "what is the ", "document": ""},
              default_prompt_name=None, similarity_fn_name="cosine")


def qwen3_linear(folder):
    # No biases; frequencies divided; positions past max_position_embeddings
    # are not the model's.
    config = decoder_config(
        "qwen3", hidden=16, heads=2, keys=2, head_dim=6, layers=2,
        max_position_embeddings=LONG_LIMIT,
        rope_scaling={"rope_type": "linear", "factor": 3.0})
    decoder(folder, config, decoder_weights(config, 74, qk_norm=True),
            limit=LONG_LIMIT)


def llama(folder):
    # Old files have their frequencies in them; Llama 3's scaling.
    config = decoder_config(
        "llama", hidden=24, heads=4, keys=1, inter=20, attention_bias=True,
        mlp_bias=True, rope_theta=500000.0, max_position_embeddings=LONG_LIMIT,
        rope_scaling={"rope_type": "llama3", "factor": 8.0,
                      "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_max_position_embeddings": 256})
    w = decoder_weights(config, 75, "model.", qkv_bias=True, out_bias=True,
                        feed_bias=True)
    for i in range(config["num_hidden_layers"]):
        w.add(f"model.layers.{i}.self_attn.rotary_emb.inv_freq", 3, scale=1.0)
    decoder(folder, config, w, limit=LONG_LIMIT)


def llama_both_ways(folder):
    # No biases, as Llama is published; a mask that hides nothing; means.
    config = decoder_config("llama", hidden=20, heads=5, keys=5, head_dim=6,
                            layers=2, is_causal=False, tie_word_embeddings=True)
    decoder(folder, config, decoder_weights(config, 76),
            ("cls_token", "mean_tokens", "max_tokens"), "[CLS] $A [SEP]")


def mistral(folder):
    # All layers slide; heads wider than their share.
    config = decoder_config("mistral", hidden=16, heads=4, keys=2, head_dim=8,
                            sliding_window=40, hidden_act="silu",
                            max_position_embeddings=LONG_LIMIT)
    decoder(folder, config, decoder_weights(config, 77),
            template="[CLS] $A [SEP]", limit=LONG_LIMIT)


def mistral_whole(folder):
    # A null window is none.
    config = decoder_config("mistral", heads=2, keys=1, layers=2,
                            sliding_window=None, rope_theta=10000.0)
    decoder(folder, config, decoder_weights(config, 78, "model."))


def embeddinggemma(folder):
    # As EmbeddingGemma is published: both ways, two Dense layers, Normalize.
    config = decoder_config(
        "gemma3_text", hidden=24, heads=3, keys=1, head_dim=10, layers=5,
        hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=20,
        use_bidirectional_attention=True, sliding_window=44,
        _sliding_window_pattern=3, sliding_window_pattern=3,
        rope_theta=1000000.0, rope_local_base_freq=300.0, rope_scaling=None,
        attn_logit_softcapping=None, final_logit_softcapping=None,
        attention_bias=False, max_position_embeddings=LONG_LIMIT)
    decoder(folder, config,
            decoder_weights(config, 79, qk_norm=True, gemma=True),
            ("mean_tokens",), "[CLS] $A [SEP]", LONG_LIMIT)
    dense_layer(folder, "2_Dense", 24, 40,
                "torch.nn.modules.linear.Identity", 179, bias=False)
    dense_layer(folder, "3_Dense", 40, 24,
                "torch.nn.modules.linear.Identity", 279, bias=False)
    write_modules(folder, ("", "sentence_transformers.models.Transformer"),
                  ("1_Pooling", "sentence_transformers.models.Pooling"),
                  ("2_Dense", "sentence_transformers.models.Dense"),
                  ("3_Dense", "sentence_transformers.models.Dense"),
                  ("4_Normalize", "sentence_transformers.models.Normalize"))
    st_config(folder, prompts={"query": "search query: ",
                               "document": "text: "},
              similarity_fn_name="cosine")


def gemma3(folder):
    # A decoder that stayed one, with all biases; the keys of transformers 5;
    # global layers scaled, local ones not.
    config = decoder_config(
        "gemma3_text", heads=4, keys=2, head_dim=6, layers=3,
        attention_bias=True, query_pre_attn_scalar=9, sliding_window=21,
        layer_types=["sliding_attention", "full_attention",
                     "sliding_attention"],
        max_position_embeddings=LONG_LIMIT,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0,
                               "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default",
                                  "rope_theta": 10000.0}})
    decoder(folder, config,
            decoder_weights(config, 80, "model.", qkv_bias=True, out_bias=True,
                            qk_norm=True, gemma=True), limit=LONG_LIMIT)


# The text of jina-embeddings-v4: Qwen2.5-VL, whose adapters lie beside it. What
# they add is what upstream's MultiAdapterLinear adds, B A x * alpha / r; the
# reference is transformers' model of Qwen2.5-VL's text with W + B A alpha / r.

TASKS = ["retrieval", "text-matching", "code"]
RANK, ALPHA = 3, 5
ADAPTED = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
           "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def jina4_text():
    return decoder_config(
        "qwen2_5_vl_text", hidden=24, heads=3, keys=1, inter=20, layers=2,
        hidden_act="silu", use_sliding_window=False, rope_theta=1000000.0,
        rope_scaling={"mrope_section": [2, 1, 1], "rope_type": "default",
                      "type": "default"})


def jina4_adapters(weights, seed):
    w = Weights(seed)
    root = "base_model.model."
    for name, matrix in weights.tensors.items():
        stem = name.removesuffix(".weight")
        if not any(stem.endswith(a) for a in ADAPTED):
            continue
        stem = root + stem.replace("model.", "model.language_model.", 1)
        outer, inner = matrix.shape
        for task in TASKS:
            w.add(f"{stem}.lora_A.{task}.weight", RANK, inner, scale=0.3)
            w.add(f"{stem}.lora_B.{task}.weight", outer, RANK, scale=0.3)
    for task in TASKS:
        stem = root + "multi_vector_projector.lora_"
        w.add(f"{stem}A.{task}.weight", RANK, 24, scale=0.3)
        w.add(f"{stem}B.{task}.weight", 4, RANK, scale=0.3)
    return w


def jina4(folder):
    text = jina4_text()
    config = {
        "architectures": ["JinaEmbeddingsV4Model"],
        "model_type": "qwen2_5_vl",
        "text_config": text,
        "vision_config": {"model_type": "qwen2_5_vl", "depth": 1,
                          "hidden_size": 8},
        "task_names": TASKS,
        "single_vector_pool_strategy": "mean",
        "multi_vector_projector_dim": 4,
    }
    w = decoder_weights(text, 81, "model.", qkv_bias=True)
    adapters = jina4_adapters(w, 181)
    w.matrix("multi_vector_projector", 24, 4, True)
    w.add("visual.patch_embed.proj.weight", 8, 3, 2, 2, 2, scale=0.2)
    decoder(folder, text, w, ("mean_tokens",))
    write_json(folder / "config.json", config)
    (folder / "adapters").mkdir()
    write_weights(folder / "adapters", adapters.tensors, torch.bfloat16,
                  "adapter_model.safetensors")
    write_json(folder / "adapters" / "adapter_config.json", {
        "peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none",
        "use_dora": False, "use_rslora": False, "rank_pattern": {},
        "alpha_pattern": {}, "fan_in_fan_out": False,
        "exclude_modules": ".*visual.*"})
    # Upstream's own class pools and normalises by itself.
    shutil.rmtree(folder / "1_Pooling")
    write_json(folder / "modules.json", [
        {"idx": 0, "name": "transformer", "path": "",
         "type": "custom_st.Transformer", "kwargs": ["task", "truncate_dim"]}])


def qwen25_vl(folder):
    # As jina-embeddings-v4-vllm-retrieval is published, its adapters merged:
    # the names of transformers 5, and positions called by their old name.
    text = {**jina4_text(), "rope_scaling": None, "rope_theta": None,
            "rope_parameters": {"rope_type": "mrope", "rope_theta": 3000.0,
                                "mrope_section": [2, 1, 1]},
            "use_sliding_window": True, "sliding_window": 30,
            "max_window_layers": 1}
    w = decoder_weights(text, 82, "model.language_model.", qkv_bias=True)
    w.add("model.visual.patch_embed.proj.weight", 8, 3, 2, 2, 2, scale=0.2)
    w.add("lm_head.weight", text["vocab_size"], 24, scale=0.2)
    decoder(folder, text, w)
    write_json(folder / "config.json", {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl", "text_config": text})


def write_qwen25_vl(folder, kind, name, texts_name, texts):
    with tempfile.TemporaryDirectory() as place:
        source = pathlib.Path(place) / "text"
        shutil.copytree(folder, source)
        config = json.loads((folder / "config.json").read_text())
        write_json(source / "config.json", {
            k: v for k, v in config["text_config"].items() if v is not None})
        tensors = load_file(str(folder / "model.safetensors"))
        prefix = "model.language_model."
        write_weights(source, {n.removeprefix(prefix): t.float()
                               for n, t in tensors.items()
                               if n.startswith(prefix)})
        make_models.write_reference(folder, kind, name, texts_name, texts,
                                    source=source)


qwen25_vl.write_reference = write_qwen25_vl


def llama_bidirec(folder):
    # NVIDIA's LlamaBidirectionalModel, which no library has: Llama whose mask
    # hides only padding.
    config = decoder_config("llama_bidirec", hidden=20, heads=2, keys=1,
                            layers=2, rope_theta=500000.0, pooling="avg",
                            temperature=0.02)
    decoder(folder, config, decoder_weights(config, 83))


def write_llama_bidirec(folder, kind, name, texts_name, texts):
    with tempfile.TemporaryDirectory() as place:
        source = pathlib.Path(place) / "llama"
        shutil.copytree(folder, source)
        config = json.loads((folder / "config.json").read_text())
        write_json(source / "config.json",
                   {**config, "model_type": "llama", "is_causal": False})
        make_models.write_reference(folder, kind, name, texts_name, texts,
                                    source=source, formula=True)


llama_bidirec.write_reference = write_llama_bidirec


def normalized(folder):
    write_modules(folder, ("", "sentence_transformers.models.Transformer"),
                  ("1_Pooling", "sentence_transformers.models.Pooling"),
                  ("2_Normalize", "sentence_transformers.models.Normalize"))


def jina4_merged(folder, task):
    """The tensors of FOLDER's text with the adapters of TASK in them."""
    tensors = load_file(str(folder / "model.safetensors"))
    adapters = load_file(str(folder / "adapters" / "adapter_model.safetensors"))
    merged = {}
    for name, matrix in tensors.items():
        if not name.startswith("model."):
            continue
        bare = name.removeprefix("model.")
        stem = ("base_model.model.model.language_model."
                + bare.removesuffix("weight"))
        matrix = matrix.double()
        if f"{stem}lora_A.{task}.weight" in adapters:
            a, b = (adapters[f"{stem}lora_{x}.{task}.weight"].double()
                    for x in "AB")
            matrix = matrix + b @ a * (ALPHA / RANK)
        merged[bare] = matrix.float()
    return merged


def write_jina4(folder, kind, name, texts_name, texts):
    task = name.removeprefix("reference-").removesuffix(".json")
    with tempfile.TemporaryDirectory() as place:
        source = pathlib.Path(place) / "merged"
        shutil.copytree(folder, source)
        shutil.rmtree(source / "adapters")
        old_pooling(source, 24, "mean_tokens")
        normalized(source)
        write_json(source / "config.json", jina4_text())
        write_weights(source, jina4_merged(folder, task))
        make_models.write_reference(folder, kind, name, texts_name, texts,
                                    source=source, task=task)


jina4.references = [("document", f"reference-{task}.json")
                    for task in (TASKS[0], TASKS[2])]
jina4.write_reference = write_jina4

FAMILIES = [qwen2, qwen2_both_ways, qwen2_sliding, qwen3, qwen3_linear, llama,
           llama_both_ways, mistral, mistral_whole, embeddinggemma, gemma3,
            jina4, qwen25_vl, llama_bidirec]
for made in FAMILIES:
    made.texts = (LENGTHS_NAME, LENGTHS)
for made in (qwen2_both_ways, qwen2_sliding, qwen3_linear, llama, mistral,
             embeddinggemma, gemma3):
    made.texts = (SPREAD_NAME, SPREAD)
embeddinggemma.references = [("document", "reference.json"),
                             ("query", "reference-query.json")]
