"""config.json of a random model, for random_models.py.

One function a family of docs/models.md that transformers has code for. Each
gives the keys of a config.json, in the spelling of the hub's older files or of
transformers 5, of a model that is small and odd: widths that are no multiple of
anything, all kinds of positions, windows, biases and activations. Keys that
have a default are left out now and then.
"""

ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast",
               "gelu_python", "relu", "silu", "swish", "tanh", "sigmoid"]
# What we refuse by name: that nothing else becomes of it.
OTHERS = ["quick_gelu", "mish", "relu2", "leaky_relu", "gelu_10"]


def activation(r):
    return r.choice(OTHERS if r.random() < 0.03 else ACTIVATIONS)


def epsilon(r):
    return r.choice([1e-12, 1e-7, 1e-6, 1e-5, 1e-3, 0.02])


def inter(r):
    return r.choice([r.randint(1, 150), r.randint(1, 60), r.randint(256, 600)])


def layers(r):
    return r.choice([1, 2, 2, 3, 4])


def heads_and_dim(r, even=False):
    """Heads, and the numbers of each."""
    if r.random() < 0.12:
        return r.choice([(6, 64), (4, 64), (3, 128), (8, 32), (12, 32)])
    dim = r.choice([r.randint(1, 12), r.randint(8, 40), 16, 32, 64])
    return r.choice([1, 2, 3, 4, 5, 7]), dim + (dim % 2 if even else 0)


def pick(r, **keys):
    """KEYS, of which some are left out: the family's default stands."""
    return {k: v for k, v in keys.items() if r.random() < 0.8}


def common(r, kind, length, even=False):
    heads, dim = heads_and_dim(r, even)
    return {"model_type": kind, "hidden_size": heads * dim,
            "num_attention_heads": heads, "num_hidden_layers": layers(r),
            "intermediate_size": inter(r), "max_position_embeddings": length,
            **pick(r, hidden_act=activation(r), layer_norm_eps=epsilon(r))}


# ---- rotary positions -------------------------------------------------------

def theta(r):
    return r.choice([10000.0, 1000000, 500000.0, 160000.0, r.uniform(20, 2000)])


def scaling(r, length, dims):
    kind = r.choice(["linear", "llama3", "yarn", "linear", "llama3", "yarn",
                     "dynamic", "longrope"])
    got = {"rope_type": kind, "factor": r.choice([1.0, 2.0, 4.0, 8.5, 32.0])}
    if kind == "llama3":
        low = r.choice([0.5, 1.0, 2.0])
        got.update(low_freq_factor=low, high_freq_factor=low * r.choice(
            [2, 4.0]), original_max_position_embeddings=r.choice([16, 64, 256]))
    if kind == "yarn":
        got.update(pick(r, original_max_position_embeddings=r.choice(
            [16, 64, 512])))
        if r.random() < 0.5:
            got.update(pick(r, beta_fast=r.choice([32, 16.0, 8]), beta_slow=1,
                            attention_factor=r.choice([1.0, 0.7]),
                            truncate=r.random() < 0.5))
        elif r.random() < 0.3:
            got.update(mscale=1.0, mscale_all_dim=r.choice([0.7, 1.0]))
    if kind == "longrope":
        got.update(short_factor=[1.0 + i / 9 for i in range(dims // 2)],
                   long_factor=[2.0 + i / 5 for i in range(dims // 2)],
                   original_max_position_embeddings=max(1, length // 2))
    return got


def rotary(r, length, dims):
    """Old or new words."""
    got = {}
    if r.random() < 0.85:
        got["rope_theta"] = theta(r)
    scaled = scaling(r, length, dims) if r.random() < 0.5 else None
    if r.random() < 0.5:
        if scaled and r.random() < 0.3:
            scaled["type"] = scaled.pop("rope_type")
        got["rope_scaling"] = scaled
        return got
    new = scaled or {"rope_type": "default"}
    return {"rope_parameters": {**new, "rope_theta": theta(r)}}


def two_rotaries(r, length, dims):
    def one():
        return {**(scaling(r, length, dims) if r.random() < 0.3 else
                   {"rope_type": "default"}), "rope_theta": theta(r)}
    return {"rope_parameters": {"full_attention": one(),
                                "sliding_attention": one()}}


def layer_types(r, count):
    return [r.choice(["full_attention", "sliding_attention"])
            for _ in range(count)]


# ---- encoders ---------------------------------------------------------------

def bert(r, length):
    return {**common(r, "bert", length),
            **pick(r, type_vocab_size=r.choice([2, 2, 3, 5]))}


def ernie(r, length):
    return {**bert(r, length), "model_type": "ernie", **pick(
        r, use_task_id=r.random() < 0.7,
        task_type_vocab_size=r.choice([1, 3, 3, 16]))}


def distilbert(r, length):
    heads, dim = heads_and_dim(r)
    return {"model_type": "distilbert", "dim": heads * dim, "n_heads": heads,
            "n_layers": layers(r), "hidden_dim": inter(r),
            "max_position_embeddings": length,
            **pick(r, activation=activation(r), sinusoidal_pos_embds=False)}


def past_pad(kind):
    def make(r, length):
        pad = r.choice([1, 1, 1, 0, 3])
        # The last positions may have no rows: the limit is the shorter one.
        return {**common(r, kind, length + pad + 1 + r.choice([0, 0, 5])),
                "pad_token_id": pad, "type_vocab_size": r.choice([1, 1, 2])}
    return make


def mpnet(r, length):
    return {**common(r, "mpnet", length + 2), **pick(
        r, relative_attention_num_buckets=r.choice([32, 32, 40])),
        "pad_token_id": 1}


def electra(r, length):
    return {**common(r, "electra", length),
            "embedding_size": r.choice([r.randint(1, 90), 16, 128]),
            **pick(r, type_vocab_size=r.choice([1, 2, 4]))}


def albert(r, length):
    got = {**common(r, "albert", length),
           "embedding_size": r.choice([r.randint(1, 90), 16, 128]),
           "num_hidden_layers": r.randint(1, 7)}
    got["num_hidden_groups"] = r.randint(1, 3)  # more than layers, sometimes
    return got


def modernbert(r, length):
    got = common(r, "modernbert", length, even=True)
    got.pop("hidden_act", None), got.pop("layer_norm_eps", None)
    got.update(pick(
        r, hidden_activation=activation(r), norm_eps=epsilon(r),
        local_attention=r.choice([2, 16, 31, 64, 128, 129]),
        attention_bias=r.random() < 0.5, mlp_bias=r.random() < 0.5,
        norm_bias=r.random() < 0.5))
    dims = got["hidden_size"] // got["num_attention_heads"]
    if r.random() < 0.5:
        got["layer_types"] = layer_types(r, got["num_hidden_layers"])
    else:
        got.update(pick(r, global_attn_every_n_layers=r.choice([1, 2, 3])))
    if r.random() < 0.5:
        got.update(two_rotaries(r, length, dims))
    else:
        got.update(pick(r, global_rope_theta=theta(r),
                        local_rope_theta=theta(r)))
    return {**got, "pad_token_id": 0}


def turned(kind):
    def make(r, length):
        got = common(r, kind, length, even=True)
        dims = got["hidden_size"] // got["num_attention_heads"]
        if kind != "gte" and r.random() < 0.4:
            got["head_dim"] = dims = 2 * r.randint(1, 20)
        got["type_vocab_size"] = r.choice(
            [1, 2] if kind == "jina_embeddings_v3" else
            [1, 2, 3] if kind == "nomic_bert" else [0, 1, 2])
        return {**got, **rotary(r, length, dims), "pad_token_id": 0}
    return make


def eurobert(r, length):
    got = common(r, "eurobert", length, even=True)
    got.pop("layer_norm_eps", None)
    dims = share_keys(r, got)
    got.update(pick(r, rms_norm_eps=epsilon(r),
                    attention_bias=r.random() < 0.5,
                    mlp_bias=r.random() < 0.5))
    return {**got, **rotary(r, length, dims), "pad_token_id": 0}


def t5(r, length):
    heads, dim = heads_and_dim(r)
    gated = r.choice(["gated-gelu", "gated-silu", "gated-relu", "relu", "relu",
                      "gated-gelu", "gelu", "gelu_new", "silu"])
    return {"model_type": "t5", "d_model": r.choice([heads * dim,
                                                     r.randint(1, 90)]),
            "num_heads": heads, "num_layers": layers(r), "d_ff": inter(r),
            "d_kv": dim, "feed_forward_proj": gated, **pick(
                r, relative_attention_num_buckets=r.choice([32, 32, 21, 8, 64]),
                relative_attention_max_distance=r.choice([128, 50, 300]),
                layer_norm_epsilon=epsilon(r))}


def deberta(r, length):
    got = {**common(r, "deberta-v2", length), "relative_attention": True,
           "share_att_key": True, "pos_att_type": r.choice(
               ["p2c|c2p", ["c2p", "p2c"], ["p2c", "c2p"]]),
           "position_biased_input": r.random() < 0.4,
           **pick(r, type_vocab_size=r.choice([0, 2]))}
    if r.random() < 0.7:
        got["position_buckets"] = r.choice([2, 16, 32, 256])
        got["max_relative_positions"] = r.choice([-1, -1, 200])
        if r.random() < 0.8:
            got["max_position_embeddings"] = max(length, 512)
    else:
        got["max_relative_positions"] = r.choice([-1, 37, 4])
    if r.random() < 0.6:
        got["norm_rel_ebd"] = "layer_norm"
    return got


# ---- what were decoders -----------------------------------------------------

def share_keys(r, got, apart=True):
    """Heads that share keys, and heads as wide as they like."""
    heads, _ = got["num_attention_heads"], got.pop("num_key_value_heads", 0)
    got["num_key_value_heads"] = r.choice(
        [k for k in range(1, heads + 1) if heads % k == 0])
    dims = got["hidden_size"] // heads
    if apart and r.random() < 0.6:
        dims = got["head_dim"] = r.choice([2 * r.randint(1, 24), 64])
        wide = r.randint(2, 120)
        if got["model_type"] in ("llama", "eurobert", "gemma3_text"):  # they insist on it
            wide = heads * r.randint(1, 120 // heads)
        got["hidden_size"] = r.choice([got["hidden_size"], wide])
    return dims


def decoder(r, kind, length, apart=True):
    got = common(r, kind, length, even=True)
    got.pop("layer_norm_eps", None)
    dims = share_keys(r, got, apart)
    got.update(pick(r, rms_norm_eps=epsilon(r), tie_word_embeddings=False))
    if r.random() < 0.3:
        got["is_causal"] = False
    return got, dims


def slides(r, got, length):
    got["sliding_window"] = r.choice([1, 2, 7, 33, max(2, length // 2), None])
    got["use_sliding_window"] = r.random() < 0.6
    if got["use_sliding_window"] and got["sliding_window"]:
        if r.random() < 0.5:
            got["layer_types"] = layer_types(r, got["num_hidden_layers"])
        else:
            got["max_window_layers"] = r.randint(0, 3)


def qwen2(r, length):
    got, dims = decoder(r, "qwen2", length, apart=False)
    slides(r, got, length)
    return {**got, **rotary(r, length, dims)}


def qwen3(r, length):
    got, dims = decoder(r, "qwen3", length)
    got.setdefault("head_dim", dims)
    got.update(pick(r, attention_bias=r.random() < 0.5))
    slides(r, got, length)
    return {**got, **rotary(r, length, dims)}


def llama(r, length):
    got, dims = decoder(r, "llama", length)
    got.update(pick(r, attention_bias=r.random() < 0.5,
                    mlp_bias=r.random() < 0.5))
    return {**got, **rotary(r, length, dims)}


def mistral(r, length):
    got, dims = decoder(r, "mistral", length)
    got["sliding_window"] = r.choice([1, 3, 40, max(2, length // 2), None])
    return {**got, **rotary(r, length, dims)}


def gemma3(r, length):
    got, dims = decoder(r, "gemma3_text", length)
    got.setdefault("head_dim", dims)
    got.pop("hidden_act", None)
    got.update(pick(
        r, hidden_activation=activation(r),
        query_pre_attn_scalar=r.choice([9, 20, 256, dims]),
        attention_bias=r.random() < 0.5,
        use_bidirectional_attention=r.random() < 0.5,
        sliding_window=r.choice([1, 4, 21, 44, max(2, length // 2)])))
    if r.random() < 0.5:
        got["layer_types"] = layer_types(r, got["num_hidden_layers"])
    else:
        pattern = r.choice([1, 2, 3])
        got.update(sliding_window_pattern=pattern,
                   _sliding_window_pattern=pattern)
    if r.random() < 0.5:
        return {**got, **two_rotaries(r, length, dims)}
    return {**got, **pick(r, rope_theta=theta(r),
                          rope_local_base_freq=theta(r))}


FAMILIES = {
    "bert": bert, "ernie": ernie, "distilbert": distilbert, "mpnet": mpnet, "electra": electra,
    "roberta": past_pad("roberta"), "xlm-roberta": past_pad("xlm-roberta"),
    "camembert": past_pad("camembert"), "albert": albert,
    "modernbert": modernbert, "nomic_bert": turned("nomic_bert"),
    "gte": turned("gte"), "eurobert": eurobert, "t5": t5,
    "deberta-v2": deberta, "jina_embeddings_v3": turned("jina_embeddings_v3"),
    "qwen2": qwen2, "qwen3": qwen3, "llama": llama, "mistral": mistral,
    "gemma3_text": gemma3,
}
