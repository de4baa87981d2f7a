"""What else a model's folder may say, for random_models.py and random_heads.py.

A drawn folder is turned into a rarer one that means something too: keys of
config.json that are left out, added or taken from another family, keys of
tokenizer_config.json, arguments in sentence_bert_config.json, files elsewhere
or under older names, weights as other programs save them. Each function takes
a random.Random and says in words what it did; a change that the library cannot
open is taken back.
"""

import json
import shutil

import torch
import transformers

import random_configs
from make_models import write_json

SAVED = ["max_position_embeddings", "vocab_size", "model_type"]
OLDER = {"is_decoder": [True, False], "add_cross_attention": [True, False],
         "pruned_heads": [{"0": [0]}, {}], "tie_encoder_decoder": [True],
         "torch_dtype": ["float16", "bfloat16"], "dtype": ["float16", None],
         "position_embedding_type": ["absolute", "relative_key",
                                     "relative_key_query"],
         "is_causal": [True, False], "use_cache": [True, False],
         "use_bidirectional_attention": [True, False, None],
         "chunk_size_feed_forward": [1, 3], "n_positions": [5, 20],
         "output_hidden_states": [True], "output_attentions": [True],
         "num_key_value_heads": [1], "head_dim": [8, 10],
         "embedding_size": [12], "attention_bias": [True, False],
         "tie_word_embeddings": [True, False], "hidden_activation": ["relu"],
         "is_encoder_decoder": [True, False], "tokenizer_class": [None],
         "attn_logit_softcapping": [5.0], "attention_chunk_size": [4],
         "partial_rotary_factor": [0.5], "rope_theta": [77.0],
         "rope_scaling": [None, {"type": "linear", "factor": 3.0}],
         "sliding_window": [2], "use_sliding_window": [True],
         "max_position_embeddings": [16, 40, -1]}


def other(r, value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return r.choice([0, 1, 2, value + 1, 2 * value, -1])
    if isinstance(value, float):
        return value * r.choice([0, 0.5, 2]) + r.choice([0, 1e-3])
    if value is None:
        return r.choice([True, 1, 0.5, 8])
    if isinstance(value, str):
        return r.choice(random_configs.ACTIVATIONS + ["mean", "cls", ""])
    return r.choice([None, value])


def config_change(r, config, length):
    """One key: (the config anew, what was done)."""
    made = dict(config)
    kind = r.choice(["drop", "default", "other", "older", "older"])
    if kind == "drop":
        key = r.choice(sorted(k for k in made if k != "model_type"))
        del made[key]
        return made, "without " + key
    if kind == "older":
        key = r.choice(sorted(OLDER))
        made[key] = r.choice(OLDER[key])
    elif kind == "default":
        known = transformers.AutoConfig.for_model(made["model_type"]).to_dict()
        key = r.choice(sorted(k for k in known
                              if k not in SAVED and k not in config))
        made[key] = other(r, known[key])
    else:
        family = r.choice(sorted(random_configs.FAMILIES))
        drawn = random_configs.FAMILIES[family](r, length)
        key = r.choice(sorted(k for k in drawn if k not in SAVED))
        made[key] = drawn[key]
    return made, f"{key} {made[key]}"


def config_keys(r, config, length):
    """Now and then one or two keys; (the config, in words)."""
    words = []
    for _ in range(r.choice([0, 0, 0, 1, 1, 2])):
        made, said = config_change(r, config, length)
        try:
            transformers.AutoConfig.for_model(**made)
        except Exception:
            continue
        config = made
        words.append(said)
    return config, "".join(f"; {w}" for w in words)


# ---- the tokenizer ----------------------------------------------------------

def added(r, content):
    return {"__type": "AddedToken", "content": content,
            "lstrip": r.random() < 0.4, "rstrip": r.random() < 0.4,
            "single_word": r.random() < 0.4, "normalized": r.random() < 0.5,
            "special": r.random() < 0.5}


def tokenizer_key(r, saved):
    """A key and its value."""
    flags = ["add_prefix_space", "do_lower_case", "strip_accents",
             "tokenize_chinese_chars", "add_bos_token", "add_eos_token",
             "clean_up_tokenization_spaces", "legacy", "keep_accents",
             "use_fast", "do_basic_tokenize", "split_special_tokens",
             "add_dummy_prefix_space", "split_by_punct", "from_slow",
             "trim_offsets", "remove_space", "use_default_system_prompt",
             "add_special_tokens", "spaces_between_special_tokens"]
    kind = r.choice(["flag", "flag", "flag", "token", "list", "decoder",
                     "side", "other"])
    if kind == "flag":
        return r.choice(flags), r.choice([True, False, None])
    if kind == "token":
        name = r.choice(["mask", "unk", "sep", "cls", "bos", "eos", "pad"])
        text = r.choice(["<new>", "the", saved.get(name + "_token") or "a"])
        text = text if isinstance(text, str) else "b"
        return name + "_token", r.choice([text, added(r, text), None])
    if kind == "list":
        texts = r.sample(["<one>", "the", "a b", "\u00c9", "."], 2)
        return r.choice(["additional_special_tokens", "extra_special_tokens"]
                        ), [r.choice([t, added(r, t)]) for t in texts]
    if kind == "decoder":
        rows = {}
        for i in r.sample(range(300), r.choice([1, 3])):
            row = added(r, r.choice(["<one>", "lo", "tag-a", "\u00c9", "x"]
                                    ) + str(i % 7))
            row.pop("__type")
            rows[str(i)] = row
        return "added_tokens_decoder", rows
    if kind == "side":
        return r.choice(["padding_side", "truncation_side"]), r.choice(
            ["left", "left", "right"])
    return r.choice([
        ("model_input_names", ["input_ids", "attention_mask"]),
        ("model_input_names", ["input_ids", "token_type_ids",
                               "attention_mask"]),
        ("tokenizer_class", r.choice(["BertTokenizer", "RobertaTokenizerFast",
                                      "PreTrainedTokenizerFast",
                                      "XLMRobertaTokenizer", "LlamaTokenizer",
                                      "GPT2Tokenizer", "MPNetTokenizer"])),
        ("model_max_length", r.choice([10 ** 30, 10.0, None])),
        ("max_len", 12), ("vocab_size", 50), ("unk_id", 2), ("extra_ids", 5),
        ("processor_class", "Nobody"), ("padding", True), ("stride", 1),
        ("truncation", True), ("max_length", 7), ("padding_side", None)])


def tokenizer_keys(r, folder):
    """Now and then one or two keys; in words."""
    words = []
    for _ in range(r.choice([0, 0, 0, 1, 1, 2])):
        path = folder / "tokenizer_config.json"
        if not path.exists():
            return ""
        before = path.read_text()
        saved = json.loads(before)
        key, value = tokenizer_key(r, saved)
        if r.random() < 0.1 and key in saved:
            del saved[key]
        else:
            saved[key] = value
        path.write_text(json.dumps(saved))
        try:
            made = transformers.AutoTokenizer.from_pretrained(str(folder))
            made("x")
            words.append(f"; {key} {value}")
        except Exception:
            path.write_text(before)
    return "".join(words)


# ---- the modules ------------------------------------------------------------

def arguments(r, limit):
    """What sentence_bert_config.json may hand to the constructors."""
    tokenizer = random_configs.pick(
        r, padding_side=r.choice(["left", "right"]),
        model_max_length=r.choice([max(6, limit // 2), 10 ** 9, None, 9.0]),
        use_fast=r.choice([True, False]))
    model = random_configs.pick(r, torch_dtype="float16",
                                attn_implementation="sdpa",
                                trust_remote_code=True)
    made = {r.choice(["tokenizer_args", "processor_kwargs"]): tokenizer,
            r.choice(["model_args", "model_kwargs"]): model,
            r.choice(["config_args", "config_kwargs"]): r.choice(
                [{}, {"trust_remote_code": True}, {"use_cache": False}]),
            "unpad_inputs": r.choice([None, True, False])}
    return {k: v for k, v in made.items() if r.random() < 0.5}


NAMES = ["sentence_roberta_config.json", "sentence_distilbert_config.json",
         "sentence_camembert_config.json", "sentence_albert_config.json",
         "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json"]


def sentence_keys(r, folder, length):
    """Arguments, and the file's older names; in words."""
    path, words = folder / "sentence_bert_config.json", ""
    if r.random() < 0.25:
        made = arguments(r, length)
        saved = json.loads(path.read_text()) if path.exists() else {}
        write_json(path, {**saved, **made})
        words = f"; {made}"
    if path.exists() and r.random() < 0.1:
        name = r.choice(NAMES)
        path.rename(folder / name)
        words += "; " + name
        if r.random() < 0.3:
            path.write_text("{}")
    return words


def into_subfolder(folder, place):
    rows = json.loads((folder / "modules.json").read_text())
    own = {"modules.json", "config_sentence_transformers.json"}
    (folder / place).mkdir(parents=True)
    for path in list(folder.iterdir()):
        if path.is_file() and path.name not in own:
            shutil.move(str(path), str(folder / place / path.name))
    rows[0]["path"] = place
    write_json(folder / "modules.json", rows)


def layout(r, folder):
    """The same files elsewhere, or fewer; (in words, is modules.json gone)."""
    kind = r.random()
    if kind < 0.1:
        into_subfolder(folder, r.choice(["0_Transformer", "a/b", "0"]))
        return "; subfolder", False
    if kind < 0.2:
        (folder / "modules.json").unlink()
        return "; no modules", True
    if kind < 0.25:
        rows = json.loads((folder / "modules.json").read_text())
        for row in rows:
            row["idx"] = r.randrange(9)
            row["kwargs"] = ["task"]
        rows[-1]["name"] = r.choice(["2", "x", "1"])
        write_json(folder / "modules.json", rows)
        return f"; last name {rows[-1]['name']}", False
    return "", False


# ---- the weights ------------------------------------------------------------

OLD_FAMILIES = ["bert", "roberta", "xlm-roberta", "camembert", "electra",
                "mpnet", "albert", "distilbert"]


def renamed(r, model, tensors):
    """Names as other programs save them; (tensors, in words)."""
    prefix, kind = model.base_model_prefix, r.random()
    older = model.config.model_type in OLD_FAMILIES
    if kind < 0.1:  # as BERT's first files have them
        return {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"): t
            for n, t in tensors.items()}, " gamma"
    if kind < 0.2 and prefix and not any(
            n.startswith(prefix + ".") for n in tensors):
        return {f"{prefix}.{n}": t for n, t in tensors.items()}, " prefix"
    if 0.2 <= kind < 0.25 and older:
        return {**tensors, "embeddings.position_ids": torch.arange(9)[None]
                }, " position_ids"
    if 0.25 <= kind < 0.26:
        return {n: t.double() for n, t in tensors.items()}, " double"
    return tensors, ""


def write_torch(r, folder, tensors):
    """One file of torch's, or several."""
    if r.random() < 0.5 or len(tensors) < 2:
        torch.save(tensors, folder / "pytorch_model.bin",
                   _use_new_zipfile_serialization=r.random() < 0.7)
        return
    places = {n: f"pytorch_model-{r.randint(1, 2):05}-of-00002.bin"
              for n in tensors}
    for name in set(places.values()):
        torch.save({n: t for n, t in tensors.items() if places[n] == name},
                   folder / name)
    write_json(folder / "pytorch_model.bin.index.json",
               {"metadata": {}, "weight_map": places})
