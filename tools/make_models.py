#!/usr/bin/env python3
"""Make the small models of tests/fixtures/models and what they must answer.

    tools/make_models.py            write every folder anew
    tools/make_models.py cls max    only these
    tools/make_models.py --check    make them elsewhere and compare
    tools/make_models.py --corpus   the seeds of tests/fuzz/fuzz_safetensors.c

Each folder is a model as its makers would publish it: a BERT (or one of its
relatives) with random weights, a WordPiece tokenizer, and the files by which sentence-transformers
learns about pooling, prompts and limits. reference.json beside them holds
what sentence-transformers itself makes of the texts in texts.json, in float32.
tests/fixtures/README.md says which folder stands for what.

Needs: torch, sentence-transformers 6, safetensors, numpy.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything reads it

import numpy
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "fixtures" / "models"
TEXTS_NAME = "texts.json"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OLD = "sentence_transformers.models."
BASE = "sentence_transformers.base.modules."
DENSE = "sentence_transformers.sentence_transformer.modules."

WORDS = """
the of and to in is that for it as with on be by this are or from at which an
not have was one you all we can more has if will but so use new time what
there how when some them other than then its only over make first after most
text model vector chunk token search query file data name path line code word
return int void char const size if else while def self import class struct
static error true false none null print function value key list string
""".split()
PIECES = """
s ed ing er es ly ion tion al en ment able est ness ous ity ic ive ful less
an in on re at st nd th he or ar te le se de me ne ch sh ck ll ss
un pro con com ex dis pre sub inter
""".split()
FOREIGN = "äöüßéèñçøåабвгдежзиклмнопрстуαβγδελμνορστω中文字符日本語한국어العربية"

TEXTS = [
    "a",
    ".",
    "7",
    "\u200b",
    "Hello, world!",
    "the quick brown fox jumps over the lazy dog",
    "The Quick Brown Fox JUMPS over the LAZY dog.",
    "A model turns a text into a vector.",
    "What is the time?",
    "search query: how to use the new model",
    "naïve café, Ångström, coöperate, piñata, façade",
    "e\u0301 is e with a combining accent, and so is \u00e9",
    "Größe, Straße, Übermut und Fußgänger",
    "абв где жзи: привет из города на море",
    "αβγδ ελλ μν: ο λόγος του κόσμου",
    "中文字符 and 日本語 in one line",
    "한국어 문자",
    "العربية: نص قصير",
    "👩‍👩‍👧‍👦 🚀 emoji with joiners ✨",
    "tabs\tand\nnew lines\r\nand\u00a0spaces\u3000of kinds",
    "control \x01 and \x7f and \ufffd characters",
    "[CLS] special [MASK] tokens [SEP] in the text [UNK]",
    "[cls] the same [mask] in small letters",
    "1234567890 3.14159 -1e10 0xDEADBEEF 1,000,000",
    "int main(void) { return 0; }",
    "def f(self, x):\n    return [self.key[i] for i in x if i is not None]",
    "static const char *name = \"text\\n\"; /* a comment */",
    "for (size_t i = 0; i < size; i++) sum += value[i] * value[i];",
    "SELECT name, size FROM data WHERE key = 'value' AND size > 10;",
    "<p class=\"text\">a &amp; b &lt; c</p>",
    "{\"key\": [1, 2, {\"list\": null}], \"value\": true}",
    "https://example.org/path/to/file.html?query=text&name=new#first",
    "supercalifragilisticexpialidocious",
    "x" * 99 + " " + "y" * 101,
    "!?!?!? ... --- *** ((( ))) ### $$$ %%% ^^^ &&& ~~~ ``` |||",
    "one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty",
    "the text that is too long for the model " * 8,
    " ".join(f"word{i}" for i in range(120)),
    "if (error) return false; " * 30,
    "the end of the list",
]


# Families other than BERT: how many tokens a text has is what differs, and
# what a pad token in a text is. LIMIT is theirs.
LIMIT = 160
LENGTHS_NAME = "texts-lengths.json"


def words(count):
    """A text of COUNT tokens: each of WORDS is one."""
    return " ".join(WORDS[i * 7 % len(WORDS)] for i in range(count))


LENGTHS = [words(n - 2) for n in (2, 3, 15, 16, 17, 63, 64, 65, 127, 128, 129,
                                  130, LIMIT - 1, LIMIT, LIMIT + 1, 300)]
LENGTHS += ["<pad>", "[PAD]", "the <pad> of<pad><pad> and", "[PAD] is [PAD]",
            TEXTS[0], TEXTS[6], TEXTS[10], TEXTS[22], TEXTS[25]]


LONG_NAME = "texts-long.json"
LONG = [words(n - 2) for n in (383, 384, 385, 511, 512, 513, 700)]


def vocabulary(cased, special=SPECIAL):
    """Token to id: special tokens, characters, pieces, words."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    if cased:
        letters += [c.upper() for c in letters]
    digits = list("0123456789")
    punctuation = [chr(c) for c in range(33, 127) if not chr(c).isalnum()]
    foreign = list(dict.fromkeys(FOREIGN))
    tokens = special + punctuation + digits + letters + foreign
    tokens += ["##" + c for c in digits + letters + foreign]
    tokens += ["##" + p for p in PIECES] + WORDS
    return {t: i for i, t in enumerate(dict.fromkeys(tokens))}


def tokenizer(cased, left_limit):
    """A tokenizer.json; LEFT_LIMIT is a truncation that nobody may obey."""
    vocab = vocabulary(cased)
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None,
        lowercase=not cased)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(t, vocab[t]) for t in ("[CLS]", "[SEP]")])
    made.decoder = tokenizers.decoders.WordPiece(prefix="##")
    made.add_special_tokens(SPECIAL)
    if left_limit:
        made.enable_truncation(left_limit)
        made.enable_padding(length=left_limit, pad_id=0, pad_token="[PAD]")
    return made


class Weights:
    """Random tensors by name; the same seed gives the same bytes for ever
    (numpy promises that of RandomState)."""

    def __init__(self, seed):
        self.random = numpy.random.RandomState(seed)
        self.tensors = {}

    def add(self, name, *shape, scale, around=0.0):
        values = around + scale * self.random.standard_normal(shape)
        self.tensors[name] = torch.from_numpy(values.astype(numpy.float32))

    def linear(self, name, inner, outer):
        self.add(name + ".weight", outer, inner, scale=1.5 / math.sqrt(inner))
        self.add(name + ".bias", outer, scale=0.2)

    def norm(self, name, width):
        self.add(name + ".weight", width, scale=0.2, around=1.0)
        self.add(name + ".bias", width, scale=0.2)


def bert_weights(config, seed, prefix=""):
    """The tensors of transformers' BertModel without its pooler."""
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    e = prefix + "embeddings."
    w.add(e + "word_embeddings.weight", config["vocab_size"], hidden, scale=0.5)
    w.add(e + "position_embeddings.weight", config["max_position_embeddings"],
          hidden, scale=0.3)
    w.add(e + "token_type_embeddings.weight", config["type_vocab_size"], hidden,
          scale=0.3)
    w.norm(e + "LayerNorm", hidden)
    for i in range(config["num_hidden_layers"]):
        p = f"{prefix}encoder.layer.{i}."
        for part in ("query", "key", "value"):
            w.linear(p + "attention.self." + part, hidden, hidden)
        w.linear(p + "attention.output.dense", hidden, hidden)
        w.norm(p + "attention.output.LayerNorm", hidden)
        w.linear(p + "intermediate.dense", hidden, inter)
        w.linear(p + "output.dense", inter, hidden)
        w.norm(p + "output.LayerNorm", hidden)
    return w


def bert_config(hidden=16, heads=4, inter=32, layers=2, cased=False, **other):
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": len(vocabulary(cased)),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inter,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        **other,
    }


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_tokenizer(folder, cased=False, model_max_length=64, left_limit=0):
    tokenizer(cased, left_limit).save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": not cased,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
        "cls_token": "[CLS]", "mask_token": "[MASK]",
    }
    if model_max_length:
        config["model_max_length"] = model_max_length
    write_json(folder / "tokenizer_config.json", config)


def write_weights(folder, tensors, dtype=torch.float32,
                  name="model.safetensors"):
    path = folder / name
    if dtype:
        tensors = {n: t.to(dtype) for n, t in tensors.items()}
    save_file({n: t.contiguous() for n, t in tensors.items()}, str(path),
              metadata={"format": "pt"})
    path.chmod(0o644)


def add_position_ids(folder, name, config):
    """The buffer that transformers saved with the weights until 4.31."""
    path = folder / "model.safetensors"
    tensors = load_file(str(path))
    tensors[name] = torch.arange(config["max_position_embeddings"])[None, :]
    write_weights(folder, tensors, None)


def write_modules(folder, *modules):
    """MODULES: (path, dotted class)."""
    write_json(folder / "modules.json",
               [{"idx": i, "name": str(i), "path": path, "type": kind}
                for i, (path, kind) in enumerate(modules)])


def old_pooling(folder, width, *modes, **other):
    """1_Pooling as everyone wrote it before version 6."""
    names = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens",
             "weightedmean_tokens", "lasttoken"]
    assert all(m in names for m in modes)
    write_json(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": width,
        **{"pooling_mode_" + n: n in modes for n in names},
        **other,
    })


def bert(folder, seed, modes=("mean_tokens",), normalize=False, max_seq=64,
         cased=False, model_max_length=64, left_limit=0, pooling={},
         dtype=torch.float32, bert_options={}, lower=False):
    """The files that most folders share, in the old spelling."""
    config = bert_config(cased=cased, **bert_options)
    write_json(folder / "config.json", config)
    write_tokenizer(folder, cased, model_max_length, left_limit)
    write_weights(folder, bert_weights(config, seed).tensors, dtype)
    if max_seq:
        write_json(folder / "sentence_bert_config.json",
                   {"max_seq_length": max_seq, "do_lower_case": lower})
    old_pooling(folder, config["hidden_size"], *modes, **pooling)
    modules = [("", OLD + "Transformer"), ("1_Pooling", OLD + "Pooling")]
    if normalize:
        modules.append(("2_Normalize", OLD + "Normalize"))
    write_modules(folder, *modules)
    return config


def st_config(folder, **content):
    write_json(folder / "config_sentence_transformers.json", {
        "__version__": {"sentence_transformers": "5.0.0",
                        "transformers": "4.50.0", "pytorch": "2.6.0"},
        **content,
    })


def dense_layer(folder, name, inner, outer, activation, seed, bias=True):
    w = Weights(seed)
    w.add("linear.weight", outer, inner, scale=1.5 / math.sqrt(inner))
    if bias:
        w.add("linear.bias", outer, scale=0.2)
    write_json(folder / name / "config.json", {
        "in_features": inner, "out_features": outer, "bias": bias,
        "activation_function": activation})
    write_weights(folder / name, w.tensors)


# One function a folder. Its name is the folder's.

def mean(folder):
    bert(folder, 1, normalize=True, max_seq=48, left_limit=20,
         bert_options={"hidden": 32, "inter": 64})
    st_config(folder)


def dense(folder):
    bert(folder, 2, max_seq=None, bert_options={"hidden": 32, "inter": 64})
    dense_layer(folder, "2_Dense", 32, 20, "torch.nn.modules.activation.Tanh",
                102)
    write_json(folder / "1_Pooling" / "config.json", {
        "embedding_dimension": 32, "pooling_mode": "mean",
        "include_prompt": True})
    write_json(folder / "sentence_bert_config.json", {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward",
                                     "method_output_name": "last_hidden_state"}},
        "module_output_name": "token_embeddings"})
    st_config(folder, model_type="SentenceTransformer",
              prompts={"query": "", "document": ""}, default_prompt_name=None,
              similarity_fn_name="dot")
    write_modules(folder, ("", BASE + "transformer.Transformer"),
                  ("1_Pooling", DENSE + "pooling.Pooling"),
                  ("2_Dense", BASE + "dense.Dense"),
                  ("3_Normalize", BASE + "normalize.Normalize"))


def layer_norm(folder):
    """A LayerNorm over the pooled vector, before a Dense."""
    bert(folder, 103, bert_options={"hidden": 16, "inter": 24, "layers": 1})
    w = Weights(104)
    w.norm("norm", 16)
    write_json(folder / "2_LayerNorm" / "config.json", {"dimension": 16})
    write_weights(folder / "2_LayerNorm", w.tensors)
    dense_layer(folder, "3_Dense", 16, 12,
                "torch.nn.modules.linear.Identity", 105)
    write_modules(folder, ("", OLD + "Transformer"),
                  ("1_Pooling", OLD + "Pooling"),
                  ("2_LayerNorm", OLD + "LayerNorm"),
                  ("3_Dense", OLD + "Dense"))


def cls(folder):
    # No limit but the tokenizer's own; that inside tokenizer.json is no limit.
    bert(folder, 3, ["cls_token"], max_seq=None, model_max_length=40,
         left_limit=24,
         bert_options={"hidden": 24, "heads": 3, "inter": 40, "layers": 3})


def max_pooling(folder):
    bert(folder, 4, ["max_tokens"])


def weightedmean(folder):
    # 1e30 as an integer is how "no limit" is usually written.
    bert(folder, 5, ["weightedmean_tokens"], max_seq=None,
         model_max_length=10**30, bert_options={"heads": 2})


def lasttoken(folder):
    bert(folder, 6, ["lasttoken"], normalize=True)


def mean_sqrt_len(folder):
    bert(folder, 7, ["mean_sqrt_len_tokens"])


def concat(folder):
    # Two modes in an order that is not that of the old spelling.
    bert(folder, 8)
    write_json(folder / "1_Pooling" / "config.json", {
        "embedding_dimension": 16, "pooling_mode": ["lasttoken", "cls"],
        "include_prompt": True})


def concat_old(folder):
    bert(folder, 9, ["mean_tokens", "max_tokens", "cls_token"], normalize=True)


def gelu_new(folder):
    bert(folder, 10, bert_options={"hidden_act": "gelu_new"})


def relu(folder):
    bert(folder, 11, bert_options={"hidden_act": "relu", "heads": 1,
                                   "layer_norm_eps": 0.05})


def lower_case(folder):
    bert(folder, 12, cased=True, lower=True)


def cased(folder):
    bert(folder, 13, cased=True)


PROMPTS = {"query": "search query: ", "document": "text: ",
           "code": "the code: "}


def prompts(folder):
    bert(folder, 14, normalize=True)
    st_config(folder, prompts=PROMPTS, default_prompt_name="code",
              similarity_fn_name="cosine")


prompts.references = [("document", "reference.json"),
                      ("query", "reference-query.json"),
                      ("", "reference-plain.json")]


def prompts_excluded(folder):
    bert(folder, 15, ["cls_token", "mean_tokens", "weightedmean_tokens"],
         pooling={"include_prompt": False})
    st_config(folder, prompts=PROMPTS)


prompts_excluded.references = prompts.references


# Where a prompt ends and the text begins, in a template with another number of
# special tokens than two, and where the one at its end is named nowhere: then
# the library takes it for one of the prompt's.

def prompts_behind(folder, template="$A [SEP]"):
    bert(folder, 25, ["cls_token", "mean_tokens"],
         pooling={"include_prompt": None},  # as good as False
         bert_options={"hidden": 8, "heads": 2, "inter": 8})
    family_tokenizer(folder, SPECIAL, template, limit=64)
    st_config(folder, prompts=PROMPTS)


def prompts_unnamed(folder):
    prompts_behind(folder, "[CLS] $A [SEP]")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["sep_token"]
    write_json(path, config)


for made in (prompts_behind, prompts_unnamed):
    made.references = [("query", "reference-query.json")]
    made.texts = (LENGTHS_NAME, LENGTHS)


def sharded(folder):
    config = bert(folder, 16)
    (folder / "model.safetensors").unlink()
    tensors = bert_weights(config, 16).tensors
    names = sorted(tensors)
    weight_map = {}
    for i in range(3):
        part = names[i::3]
        shard = f"model-{i + 1:05}-of-00003.safetensors"
        write_weights(folder, {n: tensors[n] for n in part}, name=shard)
        weight_map.update((n, shard) for n in part)
    size = sum(t.numel() * 4 for t in tensors.values())
    write_json(folder / "model.safetensors.index.json", {
        "metadata": {"total_size": size},
        "weight_map": dict(sorted(weight_map.items()))})


def prefixed(folder):
    # As BertForMaskedLM is saved, with what old versions saved besides.
    config = bert(folder, 17)
    config["architectures"] = ["BertForMaskedLM"]
    write_json(folder / "config.json", config)
    w = bert_weights(config, 17, "bert.")
    vocab, hidden = config["vocab_size"], config["hidden_size"]
    w.linear("bert.pooler.dense", hidden, hidden)
    w.linear("cls.predictions.transform.dense", hidden, hidden)
    w.norm("cls.predictions.transform.LayerNorm", hidden)
    w.add("cls.predictions.bias", vocab, scale=0.2)
    w.linear("cls.seq_relationship", hidden, 2)
    write_weights(folder, w.tensors)
    add_position_ids(folder, "bert.embeddings.position_ids", config)


def pooler(folder):
    # As BertModel is saved: the pooler is there and nobody uses it.
    config = bert(folder, 18)
    w = bert_weights(config, 18)
    w.linear("pooler.dense", config["hidden_size"], config["hidden_size"])
    write_weights(folder, w.tensors)
    add_position_ids(folder, "embeddings.position_ids", config)


def tensorflow_norms(w):
    """W with TensorFlow's words for what a norm has."""
    w.tensors = {n.replace("LayerNorm.weight", "LayerNorm.gamma")
                  .replace("LayerNorm.bias", "LayerNorm.beta"): t
                 for n, t in w.tensors.items()}
    return w


def gamma(folder):
    # As models from TensorFlow still are, bert-base-uncased among them.
    config = bert(folder, 24)
    write_weights(folder, tensorflow_norms(
        bert_weights(config, 24, "bert.")).tensors)


def f16(folder):
    bert(folder, 19, normalize=True, dtype=torch.float16,
         bert_options={"hidden": 32, "inter": 64})


def bf16(folder):
    bert(folder, 20, normalize=True, dtype=torch.bfloat16,
         bert_options={"hidden": 32, "inter": 64})


def matryoshka(folder):
    bert(folder, 21, normalize=True,
         bert_options={"hidden": 32, "type_vocab_size": 1,
                       "matryoshka_dims": [8, 16, 32]})
    st_config(folder, truncate_dim=16)


def plain(folder):
    config = bert_config()
    write_json(folder / "config.json", config)
    write_tokenizer(folder)
    write_weights(folder, bert_weights(config, 22).tensors)


def subfolder(folder):
    inner = folder / "0_Transformer"
    inner.mkdir()
    config = bert_config()
    write_json(inner / "config.json", config)
    write_tokenizer(inner)
    write_weights(inner, bert_weights(config, 23).tensors)
    write_json(inner / "sentence_bert_config.json", {"max_seq_length": 32})
    old_pooling(folder, 16, "mean_tokens")
    write_modules(folder, ("0_Transformer", OLD + "Transformer"),
                  ("1_Pooling", OLD + "Pooling"))


# The other families. The tokenizer is WordPiece in all of them, whatever their
# publishers use: the encoder is what these folders are there for.

FAIRSEQ = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def family_tokenizer(folder, special=SPECIAL, template="", types=True,
                     limit=LIMIT, vocab=None):
    """TEMPLATE: what stands around the text if not [CLS] and [SEP]."""
    vocab = vocab or vocabulary(False, special)
    names = (dict(pad="[PAD]", unk="[UNK]", cls="[CLS]", sep="[SEP]",
                  mask="[MASK]") if special is SPECIAL else
             dict(pad="<pad>", unk="<unk>", cls="<s>", sep="</s>",
                  mask="<mask>"))
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(
        vocab, unk_token=names["unk"], max_input_chars_per_word=100))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    template = template or f"{names['cls']} $A {names['sep']}"
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=template,
        special_tokens=[(names[n], vocab[names[n]]) for n in ("cls", "sep")])
    made.decoder = tokenizers.decoders.WordPiece(prefix="##")
    made.add_special_tokens(special)
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": limit,
        "model_input_names": ["input_ids", "attention_mask"]
                             + (["token_type_ids"] if types else []),
        **{n + "_token": t for n, t in names.items()}})


def family_config(model_type, hidden=30, heads=5, inter=50, layers=2, **other):
    past_pad = model_type in ("mpnet", "roberta", "xlm-roberta", "camembert")
    return {
        "model_type": model_type,
        "vocab_size": len(vocabulary(False)),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inter,
        "hidden_act": "gelu",
        "max_position_embeddings": LIMIT + (2 if past_pad else 0),
        "layer_norm_eps": 1e-5,
        **({"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
           if past_pad else {"pad_token_id": 0}),
        **other,
    }


def family(folder, config, weights, special=SPECIAL, template="", types=True,
           limit=LIMIT, vocab=None, dtype=torch.float32):
    """Hidden states stand in the vectors as they are: first, greatest, mean."""
    write_json(folder / "config.json", config)
    family_tokenizer(folder, special, template, types, limit, vocab)
    write_weights(folder, weights.tensors, dtype)
    write_json(folder / "sentence_bert_config.json",
               {"max_seq_length": limit, "do_lower_case": False})
    width = next(config[k] for k in ("hidden_size", "dim", "d_model", "n_embd")
                 if k in config)
    old_pooling(folder, width, "cls_token", "mean_tokens", "max_tokens")
    write_modules(folder, ("", OLD + "Transformer"),
                  ("1_Pooling", OLD + "Pooling"))


def tables(w, config, width, prefix="", types=0):
    e = prefix + "embeddings."
    w.add(e + "word_embeddings.weight", config["vocab_size"], width, scale=0.5)
    w.add(e + "position_embeddings.weight", config["max_position_embeddings"],
          width, scale=0.3)
    if types:
        w.add(e + "token_type_embeddings.weight", types, width, scale=0.3)
    w.norm(e + "LayerNorm", width)


def layer(w, prefix, hidden, inter, names):
    """NAMES of Q, K, V, attention's output and norm, up, down, last norm."""
    q, k, v, o, norm, up, down, last = (prefix + n for n in names)
    for name in (q, k, v, o):
        w.linear(name, hidden, hidden)
    w.norm(norm, hidden)
    w.linear(up, hidden, inter)
    w.linear(down, inter, hidden)
    w.norm(last, hidden)


def distilbert(folder):
    # As DistilBertForMaskedLM is saved. The epsilon counts for nothing.
    common = family_config("distilbert", layer_norm_eps=0.05)
    config = {{"hidden_size": "dim", "num_hidden_layers": "n_layers",
               "num_attention_heads": "n_heads",
               "intermediate_size": "hidden_dim",
               "hidden_act": "activation"}.get(k, k): v
              for k, v in common.items()}
    w = Weights(50)
    width, prefix = config["dim"], "distilbert."
    tables(w, config, width, prefix)
    for i in range(config["n_layers"]):
        layer(w, f"{prefix}transformer.layer.{i}.", width, config["hidden_dim"],
              ["attention.q_lin", "attention.k_lin", "attention.v_lin",
               "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2",
               "output_layer_norm"])
    w.linear("vocab_transform", width, width)
    w.norm("vocab_layer_norm", width)
    w.add("vocab_projector.bias", config["vocab_size"], scale=0.2)
    family(folder, config, w, types=False)


def mpnet_weights(config, seed, prefix=""):
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    tables(w, config, hidden, prefix)
    w.add(prefix + "encoder.relative_attention_bias.weight",
          config.get("relative_attention_num_buckets", 32),
          config["num_attention_heads"], scale=1.5)
    for i in range(config["num_hidden_layers"]):
        layer(w, f"{prefix}encoder.layer.{i}.", hidden, inter,
              ["attention.attn.q", "attention.attn.k", "attention.attn.v",
               "attention.attn.o", "attention.LayerNorm", "intermediate.dense",
               "output.dense", "output.LayerNorm"])
    return w


def mpnet(folder):
    # 32 buckets, and a pooler that nobody uses.
    config = family_config("mpnet", hidden=48, heads=3)
    w = mpnet_weights(config, 51)
    w.linear("pooler.dense", config["hidden_size"], config["hidden_size"])
    family(folder, config, w, FAIRSEQ, types=False)


def mpnet_lm(folder):
    # As MPNetForMaskedLM is saved; eight buckets that no distance goes to. The
    # padding of the config does not count.
    config = family_config("mpnet", relative_attention_num_buckets=40,
                           pad_token_id=7)
    w = mpnet_weights(config, 52, "mpnet.")
    hidden = config["hidden_size"]
    w.linear("lm_head.dense", hidden, hidden)
    w.norm("lm_head.layer_norm", hidden)
    w.add("lm_head.bias", config["vocab_size"], scale=0.2)
    family(folder, config, w, FAIRSEQ, types=False)


def mpnet_long(folder):
    # The published limit: distances far past the last bucket.
    config = family_config("mpnet", hidden=24, heads=2, inter=36,
                           max_position_embeddings=514)
    family(folder, config, mpnet_weights(config, 62), FAIRSEQ, types=False,
           limit=512)


BERT_LAYER = ["attention.self.query", "attention.self.key",
              "attention.self.value", "attention.output.dense",
              "attention.output.LayerNorm", "intermediate.dense",
              "output.dense", "output.LayerNorm"]


def relative_weights(config, seed, prefix, types=2):
    """BERT's names, with ELECTRA's projection where the widths differ."""
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    width = config.get("embedding_size", hidden)
    tables(w, config, width, prefix, types)
    if width != hidden:
        w.linear(prefix + "embeddings_project", width, hidden)
    for i in range(config["num_hidden_layers"]):
        layer(w, f"{prefix}encoder.layer.{i}.", hidden, inter, BERT_LAYER)
    return w


def electra(folder):
    # As ElectraForPreTraining is saved: no projection.
    config = family_config("electra", embedding_size=30, type_vocab_size=2)
    w = relative_weights(config, 53, "electra.")
    w.linear("discriminator_predictions.dense", 30, 30)
    w.linear("discriminator_predictions.dense_prediction", 30, 1)
    family(folder, config, w)


def ernie(folder):
    # The first task's row is added to every token, whatever its type.
    config = family_config("ernie", type_vocab_size=4, use_task_id=True,
                           task_type_vocab_size=3)
    w = relative_weights(config, 63, "ernie.", types=4)
    w.add("ernie.embeddings.task_type_embeddings.weight", 3, 30, scale=0.3)
    w.linear("ernie.pooler.dense", 30, 30)
    family(folder, config, w)


def electra_small(folder):
    # Narrow tables; nothing behind the text, so that one token can be all.
    config = family_config("electra", embedding_size=18)
    family(folder, config, relative_weights(config, 54, ""),
           template="[CLS] $A")


def electra_wide(folder):
    # Tables that are wider than all else.
    config = family_config("electra", hidden=12, heads=2, inter=20,
                           embedding_size=70)
    family(folder, config, relative_weights(config, 55, ""))


def roberta(folder):
    # As RobertaForMaskedLM is saved, with one row of types.
    config = family_config("roberta", type_vocab_size=1)
    w = relative_weights(config, 56, "roberta.", types=1)
    hidden = config["hidden_size"]
    w.linear("lm_head.dense", hidden, hidden)
    w.norm("lm_head.layer_norm", hidden)
    w.add("lm_head.bias", config["vocab_size"], scale=0.2)
    family(folder, config, w, FAIRSEQ, types=False)


def roberta_pad(folder):
    # Padding is the third token, and so positions begin at 3.
    config = family_config("roberta", pad_token_id=2, type_vocab_size=2,
                           max_position_embeddings=LIMIT + 3)
    special = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
    family(folder, config, relative_weights(config, 57, ""), special,
           types=False)


def xlm_roberta(folder):
    config = family_config("xlm-roberta", hidden=48, heads=3,
                           type_vocab_size=1)
    w = relative_weights(config, 58, "", types=1)
    w.linear("pooler.dense", config["hidden_size"], config["hidden_size"])
    family(folder, config, w, FAIRSEQ, types=False)


def camembert(folder):
    config = family_config("camembert", type_vocab_size=1)
    family(folder, config, relative_weights(config, 59, "roberta.", types=1),
           FAIRSEQ, types=False)


def albert_weights(config, seed, prefix=""):
    w = Weights(seed)
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    tables(w, config, config["embedding_size"], prefix, types=2)
    w.linear(prefix + "encoder.embedding_hidden_mapping_in",
             config["embedding_size"], hidden)
    for i in range(config.get("num_hidden_groups", 1)):
        layer(w, f"{prefix}encoder.albert_layer_groups.{i}.albert_layers.0.",
              hidden, inter,
              ["attention.query", "attention.key", "attention.value",
               "attention.dense", "attention.LayerNorm", "ffn", "ffn_output",
               "full_layer_layer_norm"])
    return w


def albert(folder):
    # As AlbertModel is saved: one layer, four times; the activation is the
    # family's own.
    config = family_config("albert", embedding_size=20, layers=4)
    del config["hidden_act"]
    w = albert_weights(config, 60)
    w.linear("pooler", config["hidden_size"], config["hidden_size"])
    family(folder, config, w)


def albert_groups(folder):
    # As AlbertForPreTraining is saved: three layers, 1 3 3 times; a mapping
    # between equal widths.
    config = family_config("albert", embedding_size=30, layers=7,
                           num_hidden_groups=3)
    w = albert_weights(config, 61, "albert.")
    w.add("predictions.bias", config["vocab_size"], scale=0.2)
    w.norm("predictions.LayerNorm", 30)
    w.linear("predictions.dense", 30, 30)
    w.linear("sop_classifier.classifier", 30, 2)
    family(folder, config, w)


def albert_spare(folder):
    # More groups of layers than there are layers.
    config = family_config("albert", hidden=12, heads=2, inter=16,
                           embedding_size=10, num_hidden_groups=5)
    family(folder, config, albert_weights(config, 704))


FAMILIES = [distilbert, mpnet, mpnet_lm, mpnet_long, electra, electra_small,
            electra_wide, ernie, roberta, roberta_pad, xlm_roberta, camembert,
            albert, albert_groups, albert_spare]
for made in FAMILIES:
    made.texts = (LENGTHS_NAME, LENGTHS)
mpnet_long.texts = (LONG_NAME, LONG)

# More of them are in files of their own, which use what is here.
sys.modules["make_models"] = sys.modules[__name__]
import models_decoder  # noqa: E402
import models_modern  # noqa: E402
import models_relative  # noqa: E402
import models_static  # noqa: E402

FAMILIES += (models_relative.FAMILIES + models_decoder.FAMILIES
             + models_modern.FAMILIES + models_static.FAMILIES)



# Models that nobody may run. They have no reference.

SMALL = {"hidden": 8, "heads": 2, "inter": 8, "layers": 1}


def unsupported(folder):
    config = bert(folder, 30, bert_options=SMALL)
    config.update(model_type="funnel", architectures=["FunnelModel"])
    write_json(folder / "config.json", config)


def broken_no_weights(folder):
    bert(folder, 31, bert_options=SMALL)
    (folder / "model.safetensors").unlink()


def broken_truncated(folder):
    bert(folder, 31, bert_options=SMALL)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def broken_offset(folder):
    bert(folder, 31, bert_options=SMALL)
    path = folder / "model.safetensors"
    data = path.read_bytes()
    end = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    last = max(v["data_offsets"][1] for k, v in end.items()
               if k != "__metadata__")
    assert data.count(b",%d]" % last) == 1
    path.write_bytes(data.replace(b",%d]" % last, b",%d]" % (last + 4)))


def broken_shape(folder):
    config = bert(folder, 31, bert_options=SMALL)
    tensors = bert_weights(config, 31).tensors
    name = "encoder.layer.0.intermediate.dense.weight"
    tensors[name] = tensors[name].reshape(4, 16)
    write_weights(folder, tensors)


def broken_missing(folder):
    config = bert(folder, 31, bert_options=SMALL)
    tensors = bert_weights(config, 31).tensors
    del tensors["encoder.layer.0.attention.self.key.bias"]
    write_weights(folder, tensors)


def broken_unexpected(folder):
    config = bert(folder, 31, bert_options=SMALL)
    w = bert_weights(config, 31)
    w.add("encoder.layer.0.attention.self.gate.weight", 8, 8, scale=1)
    write_weights(folder, w.tensors)


def broken_dtype(folder):
    config = bert(folder, 31, bert_options=SMALL)
    tensors = bert_weights(config, 31).tensors
    name = "encoder.layer.0.output.dense.bias"
    tensors = {n: t.to(torch.int32) if n == name else t
               for n, t in tensors.items()}
    write_weights(folder, tensors, None)


BROKEN = [unsupported, broken_no_weights, broken_truncated, broken_offset,
          broken_shape, broken_missing, broken_unexpected, broken_dtype]
for made in BROKEN:
    made.references = []
FOLDERS = [mean, dense, layer_norm, cls, max_pooling, weightedmean, lasttoken,
           mean_sqrt_len, concat, concat_old, gelu_new, relu, lower_case,
           cased, prompts, prompts_excluded, prompts_behind,
           prompts_unnamed, sharded, prefixed, pooler, gamma,
           f16, bf16, matryoshka, plain, subfolder] + FAMILIES + BROKEN


def encode(folder, kind, texts):
    """What sentence-transformers answers, one text at a time: no padding."""
    model = SentenceTransformer(str(folder), device="cpu",
                                model_kwargs={"dtype": torch.float32})
    limit = model.max_seq_length
    call = {"": model.encode, "query": model.encode_query,
            "document": model.encode_document}[kind]
    vectors = call(texts, batch_size=1, show_progress_bar=False)
    assert vectors.dtype == numpy.float32 and numpy.isfinite(vectors).all()
    return model, limit, vectors


def first_prompt(model, kind):
    """The prompt that ENCODE_... picked, for the reader of the file."""
    if kind:
        return model.prompts[kind]
    return model.prompts.get(model.default_prompt_name) or ""


def write_reference(folder, kind, name, texts_name, texts, source=None,
                    **head):
    """SOURCE: the folder that the library reads, if not FOLDER."""
    model, limit, vectors = encode(source or folder, kind, texts)
    prompt = first_prompt(model, kind)
    ids = [model.tokenizer([prompt + t], truncation=True)["input_ids"][0]
           for t in texts]
    write_answers(folder / name, ids, vectors, {
        "texts_file": "tests/fixtures/models/" + texts_name,
        "encoded_as": kind, "prompt": prompt, "max_length": limit,
        "width": int(vectors.shape[1]), **head})


def write_answers(path, ids, vectors, head):
    lines = [json.dumps(head)[:-1] + ',\n "ids": [\n']
    lines.append(",\n".join(json.dumps(i) for i in ids) + '],\n "vectors": [\n')
    lines.append(",\n".join("[" + ", ".join("%.9g" % x for x in v) + "]"
                            for v in vectors) + "]}\n")
    path.write_text("".join(lines))


def references(make):
    """(kind, file name) of each reference of a folder."""
    return getattr(make, "references", [("document", "reference.json")])


def write_all(target, names):
    target.mkdir(parents=True, exist_ok=True)
    for name, texts in dict(getattr(make, "texts", (TEXTS_NAME, TEXTS))
                            for make in FOLDERS).items():
        (target / name).write_text(
            "[\n" + ",\n".join(json.dumps(t, ensure_ascii=False)
                               for t in texts) + "\n]\n")
    for make in FOLDERS:
        if names and make.__name__ not in names:
            continue
        folder = target / make.__name__
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(folder)
        write = getattr(make, "write_reference", write_reference)
        for kind, name in references(make):
            write(folder, kind, name,
                  *getattr(make, "texts", (TEXTS_NAME, TEXTS)))


def write_corpus():
    """Small files as the safetensors package writes them."""
    folder = ROOT / "tests" / "fuzz" / "corpus" / "safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.RandomState(40)
    def values(*shape):
        return torch.from_numpy(random.standard_normal(shape).astype("f4"))
    seeds = {
        "empty": {},
        "one": {"a": values(2, 3)},
        "scalar": {"s": values()},
        "nothing_in_it": {"a": values(0, 4), "b": values(3)},
        "floats": {"f32": values(3), "f16": values(5).half(),
                   "bf16": values(2, 2).bfloat16(), "f64": values(2).double()},
        "integers": {"i64": torch.arange(3), "i32": torch.arange(2).int(),
                     "u8": torch.arange(5).byte(),
                     "bool": torch.tensor([True, False])},
        "dims": {"a": values(1, 1, 2, 1, 1, 2, 1, 1)},
        "names": {"Ümlaut \"quoted\" \\ /": values(1), "": values(1)},
    }
    for name, tensors in seeds.items():
        save_file(tensors, str(folder / name), metadata={"format": "pt"})
        (folder / name).chmod(0o644)


def files_below(folder):
    return {p.relative_to(folder): p for p in folder.rglob("*") if p.is_file()}


def same(made, kept):
    """Equal bytes; of a reference, equal but for the last bits of the vectors:
    another processor or another torch adds in another order."""
    if not made.name.startswith("reference"):
        return made.read_bytes() == kept.read_bytes()
    a, b = json.loads(made.read_text()), json.loads(kept.read_text())
    va, vb = numpy.array(a.pop("vectors")), numpy.array(b.pop("vectors"))
    return a == b and va.shape == vb.shape and bool((abs(va - vb) < 1e-5).all())


def check(names):
    with tempfile.TemporaryDirectory() as target:
        write_all(pathlib.Path(target), names)
        made, kept = files_below(pathlib.Path(target)), files_below(MODELS)
        if names:
            kept = {n: p for n, p in kept.items() if n in made}
        bad = [str(n) for n in sorted(made.keys() | kept.keys())
               if n not in made or n not in kept or not same(made[n], kept[n])]
    print("\n".join("differs: " + n for n in bad) or "all equal")
    return not bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="FOLDER")
    parser.add_argument("--check", action="store_true",
                        help="make them elsewhere and compare")
    parser.add_argument("--corpus", action="store_true",
                        help="write the seeds of the fuzz target instead")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {f.__name__ for f in FOLDERS}
    if unknown:
        parser.error("no such folder: " + ", ".join(sorted(unknown)))
    torch.set_num_threads(1)
    if arguments.corpus:
        write_corpus()
        return 0
    if arguments.check:
        return 0 if check(arguments.names) else 1
    write_all(MODELS, arguments.names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
