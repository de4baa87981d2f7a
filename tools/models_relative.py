"""Models with relative positions or adapters, for make_models.py.

transformers has T5, DeBERTa-v3 and jina-embeddings-v3: the reference is what
sentence-transformers makes of them. It does not have JinaBERT v2, whose
authors' formula is written down here, in jina2_formula.
"""

import json
import math
import pathlib
import tempfile

import tokenizers
import torch
from safetensors.torch import load_file

import make_models
from make_models import (BASE, DENSE, FAIRSEQ, LENGTHS, LENGTHS_NAME, LONG,
                         LONG_NAME, SPECIAL, WORDS, Weights, dense_layer,
                         family, old_pooling, tensorflow_norms, write_json,
                         write_modules, write_weights)


def few_words(special):
    """A small vocabulary: token to id."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = special + list(".,_(){}") + letters + ["##" + c for c in letters]
    return {t: i for i, t in enumerate(dict.fromkeys(tokens + WORDS))}


def small(folder, config, weights, special, **other):
    """A family's folder with that vocabulary."""
    family(folder, config, weights, special, vocab=few_words(special), **other)


# ---- T5 ---------------------------------------------------------------------

T5_SPECIAL = ["<pad>", "</s>", "<unk>", "<s>", "<mask>"]


def t5_config(hidden=24, heads=3, inter=40, layers=2, **other):
    return {
        "model_type": "t5",
        "vocab_size": len(few_words(T5_SPECIAL)),
        "d_model": hidden, "d_kv": 10, "d_ff": inter,
        "num_layers": layers, "num_decoder_layers": layers,
        "num_heads": heads,
        "relative_attention_num_buckets": 32,
        "feed_forward_proj": "relu",
        "layer_norm_epsilon": 1e-6,
        "is_encoder_decoder": True,
        "pad_token_id": 0, "eos_token_id": 1,
        **other,
    }


def matrix(w, name, inner, outer):
    w.add(name + ".weight", outer, inner, scale=1.5 / inner ** 0.5)


def scale(w, name, width):
    w.add(name + ".weight", width, scale=0.2, around=1.0)


def t5_block(w, prefix, config):
    hidden, inter = config["d_model"], config["d_ff"]
    wide = config["num_heads"] * config["d_kv"]
    for part in "qkv":
        # No scale divides the scores: smaller matrices keep them in bounds.
        w.add(f"{prefix}layer.0.SelfAttention.{part}.weight", wide, hidden,
              scale=0.7 / hidden ** 0.5)
    matrix(w, prefix + "layer.0.SelfAttention.o", wide, hidden)
    scale(w, prefix + "layer.0.layer_norm", hidden)
    feed = prefix + "layer.1.DenseReluDense."
    for name in (["wi_0", "wi_1"] if "gated" in config["feed_forward_proj"]
                 else ["wi"]):
        matrix(w, feed + name, hidden, inter)
    matrix(w, feed + "wo", inter, hidden)
    scale(w, prefix + "layer.1.layer_norm", hidden)


def t5_weights(config, seed, words=("shared",)):
    w = Weights(seed)
    for name in words:
        w.add(name + ".weight", config["vocab_size"], config["d_model"],
              scale=0.7)
    w.add("encoder.block.0.layer.0.SelfAttention.relative_attention_bias"
          ".weight", config["relative_attention_num_buckets"],
          config["num_heads"], scale=1.5)
    for i in range(config["num_layers"]):
        t5_block(w, f"encoder.block.{i}.", config)
    scale(w, "encoder.final_layer_norm", config["d_model"])
    return w


def unigram(folder):
    """A tokenizer of T5's kind, in which each of WORDS is a token."""
    letters = sorted({c for word in WORDS for c in word} | set("0123456789.,"))
    pieces = [(t, 0.0) for t in T5_SPECIAL] + [("\u2581", -3.0)]
    pieces += [("\u2581" + word, -4.0 - i / 64) for i, word in enumerate(WORDS)]
    pieces += [(c, -9.0 - i / 64) for i, c in enumerate(letters)]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2))
    made.normalizer = tokenizers.normalizers.NFKC()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.WhitespaceSplit(),
        tokenizers.pre_tokenizers.Metaspace()])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)])
    made.decoder = tokenizers.decoders.Metaspace()
    made.add_special_tokens(T5_SPECIAL[:3])
    made.save(str(folder / "tokenizer.json"))
    return len(pieces)


def t5(folder):
    # As T5Model is saved, with a decoder that nobody uses.
    config = t5_config()
    w = t5_weights(config, 70)
    t5_block(w, "decoder.block.0.", config)
    scale(w, "decoder.final_layer_norm", config["d_model"])
    small(folder, config, w, T5_SPECIAL, types=False)


def t5_gated(folder):
    # As T5EncoderModel is saved, with words of its own beside the shared ones,
    # and with what old configs say twice.
    config = t5_config(hidden=20, heads=4, d_kv=7, inter=27, layers=3,
                       feed_forward_proj="gated-gelu", dense_act_fn="gelu_new",
                       is_gated_act=True, tie_word_embeddings=False,
                       relative_attention_num_buckets=21,
                       relative_attention_max_distance=50)
    w = t5_weights(config, 71, ("shared", "encoder.embed_tokens"))
    small(folder, config, w, T5_SPECIAL, types=False, dtype=torch.bfloat16)


def t5_long(folder):
    # Distances past the last bucket; odd activations.
    config = t5_config(hidden=16, heads=2, d_kv=9, inter=24,
                       feed_forward_proj="gated-silu",
                       relative_attention_max_distance=300)
    w = t5_weights(config, 72, ("encoder.embed_tokens",))
    small(folder, config, w, T5_SPECIAL, types=False, limit=512)


def t5_dense(folder):
    # As sentence-t5 is published: Unigram, mean, Dense without bias, Normalize.
    config = t5_config(hidden=18, heads=2, d_kv=11, inter=30)
    config["vocab_size"] = unigram(folder)
    w = t5_weights(config, 73)
    small(folder, config, w, T5_SPECIAL, types=False)
    unigram(folder)  # in the place of the one that family wrote
    old_pooling(folder, 18, "mean_tokens")
    dense_layer(folder, "2_Dense", 18, 13,
                "torch.nn.modules.linear.Identity", 173, bias=False)
    write_modules(folder, ("", BASE + "transformer.Transformer"),
                  ("1_Pooling", DENSE + "pooling.Pooling"),
                  ("2_Dense", BASE + "dense.Dense"),
                  ("3_Normalize", BASE + "normalize.Normalize"))


# ---- DeBERTa ----------------------------------------------------------------

def deberta_config(hidden=24, heads=3, inter=36, layers=2, **other):
    return {
        "model_type": "deberta-v2",
        "vocab_size": len(few_words(SPECIAL)),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inter,
        "hidden_act": "gelu",
        "max_position_embeddings": 512,
        "relative_attention": True, "share_att_key": True,
        "pos_att_type": "p2c|c2p",
        "layer_norm_eps": 1e-7,
        "pad_token_id": 0,
        **other,
    }


def deberta_weights(config, seed, prefix=""):
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    e = prefix + "embeddings."
    w.add(e + "word_embeddings.weight", config["vocab_size"], hidden, scale=0.5)
    if config.get("position_biased_input", True):
        w.add(e + "position_embeddings.weight",
              config["max_position_embeddings"], hidden, scale=0.3)
    if config.get("type_vocab_size", 0):
        w.add(e + "token_type_embeddings.weight", config["type_vocab_size"],
              hidden, scale=0.3)
    w.norm(e + "LayerNorm", hidden)
    span = (config.get("position_buckets")
            or config.get("max_relative_positions"))
    w.add(prefix + "encoder.rel_embeddings.weight", 2 * span, hidden, scale=0.7)
    if "norm_rel_ebd" in config:
        w.norm(prefix + "encoder.LayerNorm", hidden)
    for i in range(config["num_hidden_layers"]):
        make_models.layer(w, f"{prefix}encoder.layer.{i}.", hidden, inter,
                          ["attention.self.query_proj",
                           "attention.self.key_proj",
                           "attention.self.value_proj",
                           "attention.output.dense",
                           "attention.output.LayerNorm", "intermediate.dense",
                           "output.dense", "output.LayerNorm"])
        if not config["share_att_key"]:
            for name in ("pos_key_proj", "pos_query_proj"):
                w.linear(f"{prefix}encoder.layer.{i}.attention.self.{name}",
                         hidden, hidden)
    return w


def deberta(folder):
    # As DebertaV2ForMaskedLM is saved, in the configuration of DeBERTa-v3.
    config = deberta_config(
        position_biased_input=False, type_vocab_size=0, position_buckets=32,
        max_relative_positions=-1, norm_rel_ebd="layer_norm",
        pooler_hidden_act="gelu", pooler_hidden_size=24)
    w = deberta_weights(config, 76, "deberta.")
    w.linear("lm_predictions.lm_head.dense", 24, 24)
    small(folder, config, w, SPECIAL, limit=512)


def deberta_plain(folder):
    # A row for each distance up to 37, both tables of BERT, no norm of rows,
    # TensorFlow's words in the others.
    config = deberta_config(
        hidden=20, heads=2, max_position_embeddings=160, type_vocab_size=2,
        max_relative_positions=37, pos_att_type=["c2p", "p2c"])
    small(folder, config, tensorflow_norms(deberta_weights(config, 77)),
          SPECIAL)


def deberta_own(folder):
    # Rows of relative positions go through matrices of their own.
    config = deberta_config(
        hidden=20, heads=2, max_position_embeddings=160, type_vocab_size=0,
        position_buckets=16, position_biased_input=False, share_att_key=False)
    small(folder, config, deberta_weights(config, 78), SPECIAL)


# ---- JinaBERT v2 ------------------------------------------------------------

def jina2_config(owner, hidden=24, heads=3, inter=34, layers=2, **other):
    return {
        "architectures": ["JinaBertModel"],
        "model_type": "bert",
        "auto_map": {"AutoModel": f"jinaai/{owner}--modeling_bert."
                                  "JinaBertModel"},
        "vocab_size": len(few_words(SPECIAL)),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inter,
        "hidden_act": "gelu",
        "max_position_embeddings": 8192,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "position_embedding_type": "alibi", "feed_forward_type": "geglu",
        "emb_pooler": "mean", "attn_implementation": "torch",
        **other,
    }


def jina2_weights(config, seed, code, prefix=""):
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    e = prefix + "embeddings."
    w.add(e + "word_embeddings.weight", config["vocab_size"], hidden, scale=0.5)
    w.add(e + "token_type_embeddings.weight", config["type_vocab_size"], hidden,
          scale=0.3)
    w.norm(e + "LayerNorm", hidden)
    for i in range(config["num_hidden_layers"]):
        p = f"{prefix}encoder.layer.{i}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            w.linear(f"{p}attention.{part}", hidden, hidden)
        for norm in (["attention.output.LayerNorm", "attention.self.layer_norm_q",
                      "attention.self.layer_norm_k", "layer_norm_1",
                      "layer_norm_2"] if code else
                     ["attention.output.LayerNorm", "mlp.layernorm"]):
            w.norm(p + norm, hidden)
        matrix(w, p + ("mlp.up_gated_layer" if code else "mlp.gated_layers"),
               hidden, 2 * inter)
        w.linear(p + ("mlp.down_layer" if code else "mlp.wo"), inter, hidden)
    return w


def alibi_slopes(heads):
    """Press, Smith and Lewis (2022), as the authors' program has them."""
    def of_power(n):
        start = 2 ** -(2 ** -(math.log2(n) - 3))
        return [start * start ** i for i in range(n)]
    if math.log2(heads).is_integer():
        return of_power(heads)
    power = 2 ** math.floor(math.log2(heads))
    return of_power(power) + alibi_slopes(2 * power)[0::2][:heads - power]


def jina2_formula(config, t, ids, types=0):
    """Hidden states of one text, after modeling_bert.py of
    jinaai/jina-bert-implementation and of jinaai/jina-bert-v2-qk-post-norm."""
    code = "qk-post-norm" in config["auto_map"]["AutoModel"]
    heads, width = config["num_attention_heads"], config["hidden_size"]
    inter = config["intermediate_size"]
    act = {"geglu": torch.nn.functional.gelu,
           "reglu": torch.relu}[config["feed_forward_type"]]

    def linear(x, name):
        return torch.nn.functional.linear(x, t[name + ".weight"],
                                          t.get(name + ".bias"))

    def norm(x, name):
        return torch.nn.functional.layer_norm(
            x, (width,), t[name + ".weight"], t[name + ".bias"],
            config["layer_norm_eps"])

    def split(x):
        return x.view(len(ids), heads, width // heads).transpose(0, 1)

    x = norm(t["embeddings.word_embeddings.weight"][ids]
             + t["embeddings.token_type_embeddings.weight"][types],
             "embeddings.LayerNorm")
    place = torch.arange(len(ids))
    far = (place[None, :] - place[:, None]).abs()
    bias = -torch.tensor(alibi_slopes(heads)).double()[:, None, None] * far
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (linear(x, p + "attention.self." + n)
                   for n in ("query", "key", "value"))
        if code:
            q = norm(q, p + "attention.self.layer_norm_q")
            k = norm(k, p + "attention.self.layer_norm_k")
        scores = split(q) @ split(k).transpose(1, 2) / (width // heads) ** 0.5
        context = torch.softmax(scores + bias, -1) @ split(v)
        context = context.transpose(0, 1).reshape(len(ids), width)
        y = norm(linear(context, p + "attention.output.dense") + x,
                 p + "attention.output.LayerNorm")
        if code:
            x = norm(x + y, p + "layer_norm_1")
            both = linear(x, p + "mlp.up_gated_layer")
            inside = both[:, :inter] * act(both[:, inter:])
            x = norm(x + linear(inside, p + "mlp.down_layer"),
                     p + "layer_norm_2")
        else:
            both = linear(y, p + "mlp.gated_layers")
            inside = act(both[:, :inter]) * both[:, inter:]
            x = norm(linear(inside, p + "mlp.wo") + y, p + "mlp.layernorm")
    return x


def jina2_reference(folder, kind, name, texts_name, texts):
    config = json.loads((folder / "config.json").read_text())
    limit = json.loads((folder / "sentence_bert_config.json").read_text())
    limit = limit["max_seq_length"]
    tensors = load_file(str(folder / "model.safetensors"))
    tensors = {n.removeprefix("bert."): v.double() for n, v in tensors.items()}
    made = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.enable_truncation(limit)
    ids = [made.encode(text).ids for text in texts]
    vectors = []
    for row in ids:
        x = jina2_formula(config, tensors, torch.tensor(row))
        vectors.append(torch.cat([x[0], x.max(0).values, x.mean(0)]).numpy())
    make_models.write_answers(folder / name, ids, vectors, {
        "texts_file": "tests/fixtures/models/" + texts_name,
        "encoded_as": kind, "prompt": "", "max_length": limit,
        "width": len(vectors[0]), "formula": True})


def jina2(folder):
    # As jina-embeddings-v2 is published: the slopes of three heads are those
    # of two and one of four.
    config = jina2_config("jina-bert-implementation")
    w = jina2_weights(config, 78, False)
    w.linear("pooler.dense", 24, 24)
    small(folder, config, w, SPECIAL, limit=512)


def jina2_reglu(folder):
    # As JinaBertForMaskedLM is saved; eleven heads of two; no auto_map.
    config = jina2_config("", hidden=22, heads=11, inter=21,
                          feed_forward_type="reglu", layer_norm_eps=1e-5)
    w = jina2_weights(config, 79, False, "bert.")
    w.linear("cls.predictions.transform.dense", 22, 22)
    small(folder, config, w, SPECIAL)


def jina2_code(folder):
    # As jina-embeddings-v2-base-code is published: norms of queries and keys,
    # two norms behind attention, the gate behind what it gates.
    config = jina2_config("jina-bert-v2-qk-post-norm", heads=4, inter=29)
    w = jina2_weights(config, 80, True)
    w.linear("pooler.dense", 24, 24)
    small(folder, config, w, SPECIAL)


for made in (jina2, jina2_reglu, jina2_code):
    made.write_reference = jina2_reference


# ---- jina-embeddings-v3 -----------------------------------------------------

def jina3_config(hidden=24, heads=3, inter=36, layers=2, **other):
    return {
        "model_type": "jina_embeddings_v3",
        "vocab_size": len(few_words(FAIRSEQ)),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inter,
        "hidden_act": "gelu",
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
        **other,
    }


def jina3_weights(config, seed):
    """In transformers' names."""
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    w.add("embeddings.word_embeddings.weight", config["vocab_size"], hidden,
          scale=0.5)
    w.add("embeddings.token_type_embeddings.weight", config["type_vocab_size"],
          hidden, scale=0.3)
    w.norm("embeddings.LayerNorm", hidden)
    for i in range(config["num_hidden_layers"]):
        p = f"layers.{i}."
        for name in "qkvo":
            w.linear(f"{p}self_attn.{name}_proj", hidden, hidden)
        w.norm(p + "post_attention_layernorm", hidden)
        w.linear(p + "mlp.fc1", hidden, inter)
        w.linear(p + "mlp.fc2", inter, hidden)
        w.norm(p + "post_mlp_layernorm", hidden)
    return w


def jina3(folder):
    # Positions farther apart than most waves are long.
    config = jina3_config(type_vocab_size=2, rope_parameters={
        "rope_type": "default", "rope_theta": 300.0})
    w = jina3_weights(config, 74)
    w.linear("pooler.dense", 24, 24)
    small(folder, config, w, FAIRSEQ, types=False, limit=512)


HUB_NAMES = [("embeddings.LayerNorm", "emb_ln"), ("layers", "encoder.layers"),
             ("self_attn.o_proj", "mixer.out_proj"),
             ("post_attention_layernorm", "norm1"),
             ("post_mlp_layernorm", "norm2")]


ROBERTA_NAMES = [("layers", "encoder.layer"),
                 ("self_attn.q_proj", "attention.self.query"),
                 ("self_attn.k_proj", "attention.self.key"),
                 ("self_attn.v_proj", "attention.self.value"),
                 ("self_attn.o_proj", "attention.output.dense"),
                 ("post_attention_layernorm", "attention.output.LayerNorm"),
                 ("mlp.fc1", "intermediate.dense"),
                 ("mlp.fc2", "output.dense"),
                 ("post_mlp_layernorm", "output.LayerNorm")]


def join_heads(tensors):
    """Q, K and V in one tensor, as the hub's implementation has them."""
    for name in [n for n in tensors if ".self_attn.q_proj." in n]:
        parts = [name.replace("q_proj", p + "_proj") for p in "qkv"]
        tensors[name.replace("self_attn.q_proj", "mixer.Wqkv")] = torch.cat(
            [tensors.pop(part) for part in parts])


def jina3_hub_weights(config, seed):
    """The same in the names of the hub's implementation."""
    w = Weights(seed + 1000)
    for name, tensor in jina3_weights(config, seed).tensors.items():
        for new, old in HUB_NAMES:
            name = name.replace(new, old)
        w.tensors["roberta." + name] = tensor
    join_heads(w.tensors)
    return w


NO_TASK = -1
TASKS = ["retrieval.query", "retrieval.passage", "separation"]


def add_adapters(w, rank):
    """To every matrix and table, as LoRAParametrization registers them: what
    the name had is NAME.original, beside A and B with a row a task."""
    for name in [n for n, t in w.tensors.items()
                 if n.endswith(".weight") and t.dim() == 2]:
        rows, columns = w.tensors[name].shape
        stem = name[:-len("weight")] + "parametrizations.weight."
        w.tensors[stem + "original"] = w.tensors.pop(name)
        a, b = (((rows, rank), (rank, columns)) if "embeddings" in name else
                ((rank, columns), (rows, rank)))
        w.add(stem + "0.lora_A", len(TASKS), *a, scale=0.4)
        w.add(stem + "0.lora_B", len(TASKS), *b, scale=0.4)


def merged(tensors, task, scaling):
    """What lora_forward computes with: W + (BA, or of a table AB) * scaling."""
    made = {}
    for name, tensor in tensors.items():
        if name.endswith("parametrizations.weight.original"):
            a, b = (tensors[name.replace("original", "0.lora_" + x)][task]
                    for x in "AB")
            change = a @ b if "embeddings" in name else b @ a
            name = name.replace("parametrizations.weight.original", "weight")
            made[name] = tensor + change * scaling
        elif "lora_" not in name:
            made[name] = tensor
    return made


def shard(folder, tensors):
    """Two files, so that a matrix and its adapters are apart."""
    (folder / "model.safetensors").unlink()
    weight_map = {n: f"model-{i % 2 + 1:05}-of-00002.safetensors"
                  for i, n in enumerate(sorted(tensors))}
    for name in sorted(set(weight_map.values())):
        write_weights(folder, {n: t for n, t in tensors.items()
                               if weight_map[n] == name}, None, name)
    size = sum(t.numel() * 4 for t in tensors.values())
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": size}, "weight_map": weight_map})


def jina3_lora(folder, task=None):
    # As jina-embeddings-v3 is published. With TASK, what that one means: in
    # transformers' words (which loads the hub's names) and merged.
    config = jina3_config(
        model_type="xlm-roberta", architectures=["XLMRobertaModel"],
        auto_map={"AutoModel": "jinaai/xlm-roberta-flash-implementation--"
                               "modeling_lora.XLMRobertaLoRA"},
        position_embedding_type="rotary", rotary_emb_base=500.0,
        load_trained_adapters=True, lora_adaptations=TASKS, lora_alpha=3,
        lora_rank=5, lora_dropout_p=0.0, lora_main_params_trainable=False,
        task_instructions={t: "" for t in TASKS}, emb_pooler="mean",
        use_flash_attn=True, use_reg_tokens=False,
        matryoshka_dimensions=[8, 16, 24], truncate_dim=None)
    w = jina3_hub_weights(config, 75)
    add_adapters(w, config["lora_rank"])
    if task is not None:
        config = jina3_config(rope_parameters={"rope_type": "default",
                                               "rope_theta": 500.0})
        w.tensors = merged(w.tensors, task, 3 / 5 if task != NO_TASK else 0)
    else:
        w.linear("roberta.pooler.dense", 24, 24)
    small(folder, config, w, FAIRSEQ, types=False)
    if task is None:
        shard(folder, w.tensors)


def jina3_lora_reference(folder, kind, name, *texts):
    """reference.json: without a task. reference-N.json: with the N-th."""
    stem, _, task = name.removesuffix(".json").partition("-")
    head = {"task": TASKS[int(task)]} if task else {}
    with tempfile.TemporaryDirectory() as made:
        made = pathlib.Path(made)
        jina3_lora(made, int(task) if task else NO_TASK)
        make_models.write_reference(folder, kind, name, *texts, source=made,
                                    **head)


jina3_lora.write_reference = jina3_lora_reference
jina3_lora.references = [("document", f"reference{t}.json")
                         for t in ("", "-1")]

# ---- scores of pairs, for models_heads.py -----------------------------------

def cross_deberta(folder):
    # As DebertaV2ForSequenceClassification is saved.
    import models_heads
    config = deberta_config(
        architectures=["DebertaV2ForSequenceClassification"],
        position_biased_input=False, type_vocab_size=2, position_buckets=16,
        max_relative_positions=-1, norm_rel_ebd="layer_norm",
        max_position_embeddings=160, pooler_hidden_act="relu",
        **models_heads.labels(2))
    w = deberta_weights(config, 81, "deberta.")
    w.linear("pooler.dense", 24, 24)
    w.linear("classifier", 24, 2)
    write_json(folder / "config.json", config)
    write_weights(folder, w.tensors)
    models_heads.pair_tokenizer(folder, vocab=few_words(SPECIAL))


def cross_jina2(folder):
    # As jina-reranker-v1 is published.
    import models_heads
    config = jina2_config("jina-bert-implementation",
                          max_position_embeddings=160,
                          **models_heads.labels(1))
    config["architectures"] = ["JinaBertForSequenceClassification"]
    w = jina2_weights(config, 82, False, "bert.")
    w.linear("bert.pooler.dense", 24, 24)
    w.linear("classifier", 24, 1)
    write_json(folder / "config.json", config)
    write_weights(folder, w.tensors)
    models_heads.pair_tokenizer(folder, vocab=few_words(SPECIAL))


def cross_jina2_reference(folder):
    import models_heads
    config = json.loads((folder / "config.json").read_text())
    t = {n.removeprefix("bert."): v.double() for n, v in
         load_file(str(folder / "model.safetensors")).items()}
    made = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.enable_truncation(make_models.LIMIT)
    rows = []
    for a, b in models_heads.PAIRS:
        code = made.encode(a, b)
        x = jina2_formula(config, t, torch.tensor(code.ids),
                          torch.tensor(code.type_ids))[0]
        for name in ("pooler.dense", "classifier"):
            x = torch.tanh(x) if name == "classifier" else x
            x = t[name + ".weight"] @ x + t[name + ".bias"]
        rows.append({"ids": code.ids, "second": code.type_ids.index(1),
                     "scores": torch.sigmoid(x).tolist()})
    return {"use": "rerank", "texts": models_heads.PAIRS, "rows": rows}


def cross_jina3(folder, twin=False):
    # As jina-reranker-v2 is published: the names of jina-embeddings-v3's
    # implementation around XLM-RoBERTa. TWIN: in transformers' names.
    import models_heads
    config = jina3_config(
        model_type="xlm-roberta", max_position_embeddings=162,
        position_embedding_type="absolute",
        architectures=["XLMRobertaForSequenceClassification"],
        **models_heads.labels(1))
    hidden = config["hidden_size"]
    w = jina3_weights(config, 83)
    w.add("embeddings.position_embeddings.weight", 162, hidden, scale=0.3)
    names = ROBERTA_NAMES if twin else HUB_NAMES
    tensors = {}
    for name, tensor in w.tensors.items():
        for new, old in names:
            name = name.replace(new, old)
        tensors["roberta." + name] = tensor
    if not twin:
        config["auto_map"] = {"AutoConfig": "configuration_xlm_roberta."
                                            "XLMRobertaFlashConfig"}
        join_heads(tensors)
    head = Weights(84)
    head.linear("classifier.dense", hidden, hidden)
    head.linear("classifier.out_proj", hidden, 1)
    write_json(folder / "config.json", config)
    write_weights(folder, {**tensors, **head.tensors})
    models_heads.pair_tokenizer(folder, FAIRSEQ, vocab=few_words(FAIRSEQ))


def cross_jina3_reference(folder):
    import models_heads
    with tempfile.TemporaryDirectory() as made:
        cross_jina3(pathlib.Path(made), twin=True)
        return models_heads.score_reference(pathlib.Path(made))


FAMILIES = [t5, t5_gated, t5_long, t5_dense, deberta, deberta_plain,
            deberta_own, jina2,
            jina2_reglu, jina2_code, jina3, jina3_lora]
for made in FAMILIES:
    made.texts = (LENGTHS_NAME, LENGTHS)
t5_long.texts = (LONG_NAME, LONG)
for made in (deberta, jina2):
    made.texts = (LONG_NAME, LONG)
jina3.texts = (LONG_NAME, LONG)
