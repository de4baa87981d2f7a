"""Models with relative positions or adapters, for make_models.py: T5.

Where transformers has the family its classes give the reference, through
sentence-transformers.
"""

import tokenizers
import torch

from make_models import (BASE, DENSE, LENGTHS, LENGTHS_NAME, LONG, LONG_NAME,
                         WORDS, Weights, dense_layer, family, old_pooling,
                         write_modules)


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


FAMILIES = [t5, t5_gated, t5_long, t5_dense]
for made in FAMILIES:
    made.texts = (LENGTHS_NAME, LENGTHS)
t5_long.texts = (LONG_NAME, LONG)
