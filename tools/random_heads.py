#!/usr/bin/env python3
"""Random models with heads, held against sentence-transformers in f32.

    tools/random_heads.py PROGRAM --head sparse            seeds 0 to 19
    tools/random_heads.py PROGRAM --head multi --seeds 100-199 --seconds 110
    tools/random_heads.py PROGRAM --head rerank --seeds 7 --keep /tmp/seven
    tools/random_heads.py PROGRAM --head modules

A seed gives a folder as random_models.py draws it, with another head:
`sparse` SPLADE in all its spellings and inference-free questions
(SparseEncoder), `multi` late interaction as sentence-transformers, PyLate and
Stanford save it (MultiVectorEncoder), `rerank` classifiers over pairs, and yes
or no of a chat (CrossEncoder), `modules` everything that may stand behind a
pooling (SentenceTransformer).

PROGRAM's `run` makes files of texts, and its `search` asks them questions. The
library encodes the same texts and questions one by one. A finding is what it is
in random_models.py; of questions the scores are compared, row by row. One that
is none: where MPNet's or RoBERTa's pad_token_id is the tokenizer's [UNK], such
tokens take no position, and the library reads past the last one that we have.

Needs: torch, sentence-transformers 6, tokenizers, numpy, scipy.
"""

import json
import math
import pathlib
import random
import shutil
import sys
import tempfile

import random_models as rm  # sets what must be set before the libraries
import numpy
import scipy.sparse
import torch
import transformers
from sentence_transformers import (CrossEncoder, MultiVectorEncoder,
                                   SparseEncoder)
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import (
    SparseStaticEmbedding, SpladePooling)

import random_configs
import random_folders
import random_tokenizers
from make_models import BASE, MODELS, OLD, st_config, write_json
from models_ranks import CHAT

SPARSE = "sentence_transformers.sparse_encoder."
MULTI = "sentence_transformers.multi_vector_encoder.modules."
FORWARD = {"text": {"method": "forward", "method_output_name": None}}
LOAD = {"device": "cpu", "model_kwargs": {
    "dtype": torch.float32, "attn_implementation": "eager"}}
ACTIVATIONS = ["activation.Tanh", "linear.Identity", "activation.ReLU",
               "activation.GELU", "activation.SiLU", "activation.Sigmoid"]


def auto(head):
    kind = getattr(transformers, "AutoModelFor" + head)
    return lambda config, r: kind.from_config(config)


def write_modules(folder, *rows):
    write_json(folder / "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(rows)])


def forward(output):
    return {"text": {"method": "forward", "method_output_name": output}}


def edit(path, **changes):
    before = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, {**before, **changes})


def as_saved(folder, make):
    """The folder anew, as save_pretrained of what MAKE gives writes it."""
    base = folder / "base"
    base.mkdir()
    for path in list(folder.iterdir()):
        if path != base:
            shutil.move(str(path), str(base / path.name))
    make(str(base)).save_pretrained(str(folder))
    shutil.rmtree(base)


def prompts(r):
    return {"query": r.choice(["", "search: ", "[Q] "]),
            "document": r.choice(["", "", "passage: ", " \u00e9 "]),
            "odd": "  \u00e9 [SEP] "}


def limits(folder, r, length, **more):
    """sentence_bert_config.json, or the tokenizer's limit; the limit."""
    limit = r.choice([length, length, max(4, length // 2)])
    if r.random() < 0.7 or more:
        said = {"max_seq_length": limit} if r.random() < 0.7 else {}
        if not said:
            random_tokenizers.change_settings(folder, model_max_length=limit)
        write_json(folder / "sentence_bert_config.json", {
            **said, "do_lower_case": r.random() < 0.2, **more})
    else:
        random_tokenizers.change_settings(folder, model_max_length=limit)
    random_folders.sentence_keys(r, folder, length)
    return limit


def family_of(seed, names):
    return names[seed % len(names)]


# ---- weights of words -------------------------------------------------------

MASKED = sorted(["bert", "distilbert", "mpnet", "roberta", "xlm-roberta",
                 "camembert", "modernbert", "gte"] * 3 +
                ["electra", "albert", "deberta-v2", "eurobert", "nomic_bert",
                 "jina_embeddings_v3"])


def splade_static(folder, r):
    """Questions by a table of weights, documents by the model."""
    def make(base):
        document = [Transformer(base, transformer_task="fill-mask"),
                    SpladePooling(r.choice(["max", "sum"]))]
        tokenizer = document[0].tokenizer
        weights = torch.rand(max(tokenizer.get_vocab().values()) + 1)
        weights[::r.choice([2, 7, 1000])] = 0
        query = SparseStaticEmbedding(tokenizer, frozen=r.random() < 0.5,
                                      weight=weights)
        more = {"max_active_dims": r.randint(1, 20)} if r.random() < 0.4 else {}
        return SparseEncoder(modules=[Router.for_query_document(
            query_modules=[query], document_modules=document)],
            prompts=prompts(r), similarity_fn_name="dot", device="cpu", **more)
    as_saved(folder, make)
    return "static"


def splade_modules(folder, r, length, vocab, new):
    pooling, inside = r.choice(["max", "sum"]), r.choice(
        ["relu", "relu", "log1p_relu"])
    width = "embedding_dimension" if r.random() < 0.5 else \
        "word_embedding_dimension"
    write_json(folder / "1_SpladePooling" / "config.json", {
        "pooling_strategy": pooling, **({} if inside == "relu" and
                                        r.random() < 0.3 else
                                        {"activation_function": inside}),
        width: r.choice([None, vocab])})
    if new:
        write_modules(folder, ("", BASE + "transformer.Transformer"), (
            "1_SpladePooling", SPARSE + "modules.splade_pooling.SpladePooling"))
        limits(folder, r, length, transformer_task="fill-mask",
               modality_config=forward("logits"),
               module_output_name="token_embeddings")
    else:
        write_modules(folder, ("", SPARSE + "models.MLMTransformer"), (
            "1_SpladePooling", SPARSE + "models.SpladePooling"))
        limits(folder, r, length)
    more = {"max_active_dims": r.choice([1, 5, 40])} if r.random() < 0.3 else {}
    st_config(folder, model_type="SparseEncoder", prompts=prompts(r),
              default_prompt_name=None, similarity_fn_name="dot", **more)
    return f"{'new' if new else 'old'} {pooling} {inside}"


def draw_sparse(folder, seed):
    r = random.Random(seed)
    torch.manual_seed(seed)
    family = family_of(seed, MASKED)
    model, made, length, words = rm.draw_encoder(folder, r, seed, family,
                                                 auto("MaskedLM"))
    edit(folder / "config.json", architectures=[type(model).__name__])
    layout = r.choice(["plain", "old", "old", "new", "new", "static"])
    if layout == "plain":
        random_tokenizers.change_settings(folder, model_max_length=length)
    elif layout == "static":
        random_tokenizers.change_settings(folder, model_max_length=length)
        layout = splade_static(folder, r)
    else:
        layout = splade_modules(folder, r, length, made.vocab_size,
                                layout == "new")
    return family, f"{words}; {layout}; length {length}", None


class Sparse:
    option, name = "--sparse", "m-sparse"

    def load(self, folder, r):
        model = SparseEncoder(str(folder), **LOAD)
        if r.random() < 0.5 and model._get_splade_pooling():
            model.splade_pooling_chunk_size = r.choice([1, 3, 16])
        return model

    def document(self, model, text):
        return model.encode_document(
            [text], convert_to_sparse_tensor=False)[0].double().numpy()

    def question(self, model, text):
        return model.encode_query(
            [text], convert_to_sparse_tensor=False)[0].double().numpy()

    def rows(self, out):
        got = scipy.sparse.load_npz(out / "c" / "m.sparse.npz")
        return list(numpy.asarray(got.todense(), dtype=numpy.float64))

    def score(self, question, document):
        width = min(len(question), len(document))  # a table may be shorter
        return float(question[:width] @ document[:width])


# ---- a vector a token -------------------------------------------------------

BODIES = sorted(f for f in random_configs.FAMILIES if f != "t5")


def body(config, r):
    return transformers.AutoModel.from_config(config)


def dense(folder, r, inner, new):
    """A Dense of tokens; its width."""
    outer, bias = r.choice([r.randint(1, 60), inner, 16]), r.random() < 0.4
    folder.mkdir()
    config = {"in_features": inner, "out_features": outer, "bias": bias,
              "activation_function": "torch.nn.modules." + r.choice(
                  ["linear.Identity"] * 5 + ACTIVATIONS)}
    if new:
        config["module_input_name"] = "token_embeddings"
        if r.random() < 0.5:
            config["module_output_name"] = "token_embeddings"
    if r.random() < 0.2:
        config["use_residual"] = True
    write_json(folder / "config.json", config)
    tensors = {"linear.weight": torch.randn(outer, inner) / math.sqrt(inner)}
    if bias:
        tensors["linear.bias"] = torch.randn(outer) * 0.3
    if config.get("use_residual") and outer != inner:
        tensors["residual.weight"] = torch.randn(outer, inner)
    rm.module_weights(folder, tensors, r)
    return outer


def expansion(r, length):
    got = {"strategy": r.choice(["fixed", "fixed", "min"]),
           "length": r.choice([1, 8, 24, 32, max(1, length // 2)])}
    if r.random() < 0.6:
        got["attend"] = r.random() < 0.5
    if r.random() < 0.5:
        got["token"] = r.choice([None, "[MASK]", "[UNK]", "a"])
    return got


SKIPPED = [["the", ".", ","], list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), [],
           ["[SEP]", "[CLS]"], ["[UNK]"], ["a", "##s", "\u2581the", "[MASK]"]]


def dense_modules(folder, r, width, new):
    rows, kind = [], r.choice(["pylate.models.Dense.Dense",
                               OLD + "Dense"]) if not new else \
        BASE + "dense.Dense"
    for i in range(r.choice([1, 1, 1, 2, 3])):
        place = f"{i + 1}_Dense"
        width = dense(folder / place, r, width, new)
        rows.append((place, kind))
    return rows


def multi_modules(folder, r, width, length):
    """As MultiVectorEncoder saves it."""
    rows = dense_modules(folder, r, width, True) if r.random() < 0.8 else []
    tasks = r.choice([None, "document", ["document"], ["query"], "query",
                      ["query", "document"], []])
    more = []
    if r.random() < 0.9:
        write_json(folder / "8_Mask" / "config.json", {
            "skiplist_words": r.choice(SKIPPED),
            **({} if tasks is None else {"skiplist_tasks": tasks}),
            "keep_only_token_ids": [5, 6] if r.random() < 0.05 else None})
        more.append(("8_Mask", MULTI + "multi_vector_mask.MultiVectorMask"))
    if r.random() < 0.8:
        write_json(folder / "9_Normalize" / "config.json", {
            "module_input_name": "token_embeddings"})
        more.append(("9_Normalize", BASE + "normalize.Normalize"))
    r.shuffle(more)
    write_modules(folder, ("", BASE + "transformer.Transformer"), *rows, *more)
    limits(folder, r, length, **rm.random_configs.pick(
        r, query_length=r.choice([None, 5, 20, 300]),
        document_length=r.choice([None, 6, 30, 400]),
        query_expansion=r.choice([None, expansion(r, length)])))
    st_config(folder, model_type="MultiVectorEncoder", prompts=prompts(r),
              similarity_fn_name=r.choice(["maxsim", "meanmaxsim"]))


def flat_keys(r, length):
    """PyLate's."""
    return rm.random_configs.pick(
        r, query_prefix=r.choice(["[Q] ", "[unused0]", "", "the "]),
        document_prefix=r.choice(["[D] ", "[unused1]", "", "[SEP]"]),
        query_length=r.choice([None, 5, 32, length]),
        document_length=r.choice([None, 6, 180, length, length + 1]),
        attend_to_expansion_tokens=r.random() < 0.5,
        do_query_expansion=r.random() < 0.7,
        skiplist_words=r.choice([None, *SKIPPED]),
        prompts=prompts(r))


def pylate(folder, r, width, length):
    rows = dense_modules(folder, r, width, False)
    type_ = r.choice([{"model_type": "ColBERT"}, {"model_type": "ColBERT"}, {},
                      {"model_type": "SentenceTransformer"}])
    write_modules(folder, ("", OLD + "Transformer"), *rows)
    limits(folder, r, length)
    st_config(folder, **type_, similarity_fn_name="MaxSim",
              default_prompt_name=None, **flat_keys(r, length))


def stanford(folder, r, width):
    """HF_ColBERT: its linear lies beside the encoder."""
    edit(folder / "config.json", architectures=["HF_ColBERT"])
    tensors = {}
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        from safetensors.torch import load_file
        tensors |= load_file(str(path)) if path.suffix == ".safetensors" else \
            torch.load(path)
        path.unlink()
    for path in folder.glob("*.index.json"):
        path.unlink()
    if r.random() < 0.5 and not any(n.startswith("bert.") for n in tensors):
        tensors = {"bert." + n: t for n, t in tensors.items()}
    tensors["linear.weight"] = torch.randn(
        r.randint(1, 40), width) / math.sqrt(width)
    if r.random() < 0.5:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        rm.save_file(tensors, str(folder / "model.safetensors"),
                     metadata={"format": "pt"})
    if r.random() < 0.8:
        (folder / "artifact.metadata").write_text(json.dumps(
            rm.random_configs.pick(
                r, query_token_id=r.choice(["[unused0]", "[Q]", "the"]),
                doc_token_id=r.choice(["[unused1]", "[D]", "."]),
                doc_maxlen=r.choice([6, 50, 220]),
                query_maxlen=r.choice([4, 16, 32]),
                attend_to_mask_tokens=r.random() < 0.5,
                mask_punctuation=r.random() < 0.5)))


def draw_multi(folder, seed):
    r = random.Random(seed)
    torch.manual_seed(seed)
    layout = r.choice(["modules", "modules", "pylate", "pylate", "stanford"])
    family = "bert" if layout == "stanford" else family_of(seed, BODIES)
    _, made, length, words = rm.draw_encoder(folder, r, seed, family, body)
    if layout == "modules":
        multi_modules(folder, r, made.hidden_size, length)
    elif layout == "pylate":
        pylate(folder, r, made.hidden_size, length)
    else:
        stanford(folder, r, made.hidden_size)
    return family, f"{words}; {layout}; length {length}", None


class Multi:
    option, name = "--colbert", "m-multi"

    def load(self, folder, r):
        return MultiVectorEncoder(str(folder), **LOAD)

    def document(self, model, text):
        return model.encode_document([text])[0].double().numpy()

    def question(self, model, text):
        return model.encode_query([text])[0].double().numpy()

    def rows(self, out):
        all_rows = numpy.load(out / "c" / "m.multi.npy").astype(numpy.float64)
        at = numpy.load(out / "c" / "m.multi.offsets.npy")
        return [all_rows[a:b] for a, b in zip(at, at[1:])]

    def score(self, question, document):
        if not len(document):
            return 0.0
        return float((question @ document.T).max(axis=1).sum())


# ---- scores of pairs --------------------------------------------------------

CLASSIFIERS = sorted(["bert", "distilbert", "mpnet", "electra", "roberta",
                      "xlm-roberta", "camembert", "albert", "modernbert",
                      "deberta-v2", "gte", "qwen2", "qwen3", "llama",
                      "mistral", "gemma3_text", "jina_embeddings_v3", "bert",
                      "roberta", "xlm-roberta", "modernbert", "deberta-v2",
                      "electra", "qwen3"])
CAUSAL = ["qwen2", "qwen3", "llama", "mistral", "gemma3_text"]
SCORES = ["Sigmoid", "Tanh", "ReLU", "GELU", "SiLU"]


def pair_template(r, folder):
    """How the tokenizer joins two texts, where its own parts do not say it."""
    path = folder / "tokenizer.json"
    if not path.exists():
        return
    made = json.loads(path.read_text())
    post = made.get("post_processor") or {}
    if post.get("type") != "TemplateProcessing":
        return
    names = list(post["special_tokens"])

    def special(kind):
        return {"SpecialToken": {"id": r.choice(names), "type_id": kind}}
    two, pair = r.choice([0, 1]), []
    for name, kind in [("A", 0), ("B", two)]:
        pair += [special(kind)] * r.choice([0, 1]) if names else []
        pair.append({"Sequence": {"id": name, "type_id": kind}})
        pair += [special(kind)] * r.choice([0, 1, 1]) if names else []
    post["pair"] = pair
    path.write_text(json.dumps(made))


def label_keys(r, family):
    """What a config says of a classifier."""
    count = r.choice([1] * 9 + [3])
    got = r.choice([
        {"num_labels": count},
        {"id2label": {str(i): f"LABEL_{i}" for i in range(count)},
         "label2id": {f"LABEL_{i}": i for i in range(count)}}])
    if family == "modernbert":
        got.update(rm.random_configs.pick(
            r, classifier_pooling=r.choice(["cls", "mean"]),
            classifier_bias=r.random() < 0.5,
            classifier_activation=random_configs.activation(r)))
    if family == "deberta-v2":
        got.update(rm.random_configs.pick(
            r, pooler_hidden_act=random_configs.activation(r)))
    kind = r.choice(["linear.Identity"] + ["activation." + s for s in SCORES])
    place = r.choice(["new", "old", "none", "none"])
    if place == "new":
        got["sentence_transformers"] = {
            "activation_fn": "torch.nn.modules." + kind, "version": "4.1.0"}
    if place == "old":
        got["sbert_ce_default_activation_function"] = \
            "torch.nn.modules." + kind
    return got


def classifier(keys):
    def make(config, r):
        for name, value in keys.items():
            if name in ("id2label", "label2id"):
                continue
            setattr(config, name, value)
        if "id2label" in keys:
            config.num_labels = len(keys["id2label"])
        return transformers.AutoModelForSequenceClassification.from_config(
            config)
    return make


def rank_layout(folder, r, length):
    layout = r.choice(["plain", "plain", "dense", "saved"])
    random_tokenizers.change_settings(folder, model_max_length=r.choice(
        [length, max(6, length // 2)]))
    if layout == "dense":  # all but the transformer counts for nothing
        write_modules(folder, ("", OLD + "Transformer"),
                      ("1_Pooling", OLD + "Pooling"))
        write_json(folder / "1_Pooling" / "config.json",
                   {"word_embedding_dimension": 8})
        limits(folder, r, length)
    if layout == "saved":
        more = {"max_length": max(6, length // 3)} if r.random() < 0.3 else {}
        if r.random() < 0.3:
            more["activation_fn"] = r.choice(
                [torch.nn.Identity(), torch.nn.Tanh()])
        as_saved(folder, lambda base: CrossEncoder(base, device="cpu", **more))
    return layout


def yes_no(folder, seed, r):
    """A language model that is asked for a word."""
    family = family_of(seed // 3, CAUSAL)
    _, _, length, words = rm.draw_encoder(folder, r, seed, family,
                                          auto("CausalLM"))
    edit(folder / "config.json", architectures=[
        transformers.AutoModelForCausalLM.from_pretrained(
            str(folder)).__class__.__name__])
    (folder / "chat_template.jinja").write_text(CHAT)
    names = sorted(transformers.AutoTokenizer.from_pretrained(
        str(folder)).get_vocab())
    if "yes" not in names or "no" not in names or r.random() < 0.4:
        from sentence_transformers.cross_encoder.modules import LogitScore
        yes = r.randrange(len(names))
        no = r.choice([None, r.randrange(len(names))])
        as_saved(folder, lambda base: CrossEncoder(
            modules=[Transformer(base, transformer_task="text-generation"),
                     LogitScore(yes, no)], device="cpu"))
    return family, f"{words}; yes or no; length {length}", None


def draw_rerank(folder, seed):
    r = random.Random(seed)
    torch.manual_seed(seed)
    if seed % 6 == 5:
        return yes_no(folder, seed, r)
    family = family_of(seed, CLASSIFIERS)
    keys = label_keys(r, family)
    model, made, length, words = rm.draw_encoder(folder, r, seed, family,
                                                 classifier(keys))
    edit(folder / "config.json", **keys,
         architectures=[type(model).__name__])
    pair_template(r, folder)
    layout = rank_layout(folder, r, length)
    return family, f"{words}; {keys}; {layout}; length {length}", None


# ---- modules behind a pooling -----------------------------------------------

OTHERS = [("WeightedLayerPooling", {"word_embedding_dimension": 8,
                                    "layer_start": 1, "num_hidden_layers": 2}),
          ("LSTM", {"word_embedding_dimension": 8, "hidden_dim": 4}),
          ("CNN", {"in_word_embedding_dimension": 8, "out_channels": 4,
                   "kernel_sizes": [1]}),
          ("BoW", {"vocab": ["a"], "word_weights": {}})]


def all_poolings(folder, width, r):
    modes = r.sample(rm.MODES, r.randint(1, len(rm.MODES)))
    if r.random() < 0.7:
        write_json(folder / "1_Pooling" / "config.json", {
            "embedding_dimension": width, "include_prompt": r.random() < 0.5,
            "pooling_mode": modes})
        return modes, width * len(modes)
    return rm.write_pooling(folder, width, r)


def many_modules(folder, width, r):
    """Anything in any order behind a pooling of any modes."""
    modes, width = all_poolings(folder, width, r)
    rows = [("", OLD + "Transformer"), ("1_Pooling", OLD + "Pooling")]
    for _ in range(r.randint(1, 7)):
        name = r.choice(["Dense", "Dense", "LayerNorm", "Normalize", "Dropout"])
        place = f"{len(rows)}_{name}"
        (folder / place).mkdir()
        if name == "Dense":
            width = rm.write_dense(folder / place, width, r)
        elif name == "LayerNorm":
            write_json(folder / place / "config.json", {"dimension": width})
            rm.module_weights(folder / place, {
                "norm.weight": 1 + 0.2 * torch.randn(width),
                "norm.bias": 0.2 * torch.randn(width)}, r)
        elif name == "Dropout":
            write_json(folder / place / "config.json", {"dropout": 0.5})
        elif r.random() < 0.5:
            write_json(folder / place / "config.json", {
                "module_input_name": "sentence_embedding",
                "module_output_name": r.choice([None, "sentence_embedding"])})
        rows.append((place, OLD + name))
    if r.random() < 0.05:
        name, config = r.choice(OTHERS)
        write_json(folder / "1_Other" / "config.json", config)
        rows.insert(1, ("1_Other", OLD + name))
    write_modules(folder, *rows)
    return "+".join(modes) + "".join(
        " " + k.rpartition(".")[2] for _, k in rows[2:]), width


def draw_modules(folder, seed):
    return rm.draw(folder, seed, many_modules)


# ---- what both make of it ---------------------------------------------------

def make_rows(program, place, texts, *options):
    """A run: (its folder, the texts that came out)."""
    chunks, out = place / "c.jsonl", place / "out"
    chunks.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    program.call("run", str(chunks), "--out", str(out), "--export",
                 "npy,texts", "--dtype", "f32", *options, texts=[])
    lines = (out / "c" / "texts.jsonl").read_text().split("\n")
    return out, [json.loads(line) for line in lines if line]


def ask(program, out, question, count, *options):
    """Scores of the rows of OUT."""
    got = json.loads(program.call(
        "search", str(out), "--json", "-k", str(count), "--candidates",
        str(count), "--dtype", "f32", *options, "--", question, texts=[]))
    scores = numpy.zeros(count)
    for hit in got["hits"]:
        scores[hit["row"]] = hit["score"]
    return scores


def sizes(value):
    return numpy.shape(value)


def far(theirs, ours):
    """Cosine's distance from 1 and the farthest element, of two arrays."""
    a, b = (numpy.asarray(v, dtype=numpy.float64).ravel()
            for v in (theirs, ours))
    if not a.size:
        return 0.0, 0.0
    cosine, element = rm.distances([a], [b])[0]
    # Of a few numbers near 0 the direction says nothing.
    small = numpy.abs(a).max() < 1e-3 or a.size < 8
    return 0.0 if small else cosine, element


def compare(what, texts, theirs, ours, moved):
    """MOVED(i): what the library makes of text i when its weights change in
    their last bit."""
    soft = False
    for i, (a, b) in enumerate(zip(theirs, ours)):
        if sizes(a) != sizes(b):
            yield f"{what} {texts[i][:40]!r}: {sizes(b)} and not {sizes(a)}"
            return
        cosine, element = far(a, b)
        if cosine <= 1 - rm.LOWEST and element <= rm.FARTHEST:
            continue
        again = moved(i)
        limit = far(a, again) if sizes(a) == sizes(again) else (1, 1)
        if (cosine > max(1 - rm.LOWEST, 10 * limit[0]) or
                element > max(rm.FARTHEST, 10 * limit[1])):
            yield (f"{what} {texts[i][:40]!r}: 1 - cosine {cosine:.3g}, "
                   f"element {element:.3g}; the library moves {limit[0]:.3g}, "
                   f"{limit[1]:.3g}")
            return
        soft = True
    if soft:
        yield "ill-conditioned"


def shaken(load):
    """The library's model with each weight another float next to it."""
    kept = []

    def get():
        if not kept:
            kept.append(load())
            made = torch.Generator().manual_seed(1)
            for p in kept[0].parameters():
                p.data *= 1 + 2 ** -23 * torch.randint(-1, 2, p.shape,
                                                       generator=made)
        return kept[0]
    return get


def sound(model, encode, texts):
    return rm.sound(lambda text: encode(model, text), texts, zero=True)


def some_texts(seed, tokenizer, limit):
    limit = int(min(limit or 600, 600))
    got = random_tokenizers.texts(
        random.Random(seed), lambda t: tokenizer(t)["input_ids"], limit,
        list(tokenizer.all_special_tokens))
    return list(dict.fromkeys(t for t in got if t.strip()))


def some_questions(seed, texts):
    r = random.Random(seed)
    fit = [t for t in texts if "\0" not in t and len(t) < 20000]
    return r.sample(fit, min(4, len(fit))) + ["what is the time", "?"]


def from_library(folder, head, r):
    try:
        model = head.load(folder, r)
        return model, model.tokenizer, model.max_seq_length
    except Exception as problem:
        raise rm.Library(f"{type(problem).__name__}: {problem}") from problem


def check_rows(head, program, folder, seed, isa_list):
    """Sparse vectors and multivectors, and questions to them."""
    r = random.Random(seed)
    model, tokenizer, limit = from_library(folder, head, r)
    texts = some_texts(seed, tokenizer, limit)
    texts, rows, bad = sound(model, head.document, texts)
    asked, questions, _ = sound(model, head.question,
                                some_questions(seed, texts))
    moved, wrong = shaken(lambda: head.load(folder, r)), []
    for isa in isa_list:
        with tempfile.TemporaryDirectory() as place:
            out, there = make_rows(program, pathlib.Path(place), texts,
                                   head.option, f"{folder}:name=m", "--isa",
                                   isa)
            if sorted(there) != sorted(texts):
                lost = [t for t in texts if t not in there]
                wrong.append(f"{isa}: {len(there)} of {len(texts)} texts, "
                             f"without {lost[:3]}")
            known = dict(zip(texts, rows))
            theirs = [known[t] for t in there]
            wrong += compare(f"{isa}:", there, theirs, head.rows(out),
                             lambda i: head.document(moved(), there[i]))
            if isa != isa_list[0]:
                continue

            def scores(question, documents=theirs):
                return [head.score(question, row) for row in documents]

            def scores_moved(question):
                return scores(head.question(moved(), question),
                              [head.document(moved(), t) for t in there])
            ours = [ask(program, out, q, len(there), "--by", head.name,
                        "--isa", isa) for q in asked]
            wrong += compare(
                "question", asked, [scores(q) for q in questions], ours,
                lambda i: scores_moved(asked[i]))
    return wrong, len(texts) + len(asked), len(bad)


class Rerank:
    def load(self, folder, r):
        return CrossEncoder(str(folder), **LOAD)


def check_rerank(program, folder, seed, isa_list):
    model, tokenizer, limit = from_library(folder, Rerank(), None)
    texts = some_texts(seed, tokenizer, limit)
    questions = some_questions(seed, texts)
    moved = shaken(lambda: Rerank().load(folder, None))
    wrong, count, bad = [], 0, 0
    with tempfile.TemporaryDirectory() as place:
        out, there = make_rows(program, pathlib.Path(place), texts, "--model",
                               str(MODELS / "mean"))

        def predict(by, question):
            return numpy.array([by.predict([(question, t)])[0]
                                for t in there], dtype=numpy.float64)
        asked, theirs, none = sound(model, predict, questions)
        for isa in isa_list:
            ours = [ask(program, out, q, len(there), "--rerank", str(folder),
                        "--isa", isa) for q in asked]
            wrong += compare(f"{isa}: question", asked, theirs, ours,
                             lambda i: predict(moved(), asked[i]))
        count, bad = len(asked) * len(there), len(none)
    return wrong, count, bad


HEADS = {"sparse": (draw_sparse, Sparse()), "multi": (draw_multi, Multi()),
         "rerank": (draw_rerank, None), "modules": (draw_modules, None)}


def main():
    options = rm.parse(__doc__.splitlines()[0],
                       head={"choices": HEADS, "required": True})
    rm.REFUSALS += ("|only equal ones are supported|ranked by one only|"
                    "not one that can be run here|no MultiVectorMask counts")
    draw, head = HEADS[options.head]
    isa_list = options.isa.split(",")

    def judge(folder, seed, prompt):
        program = rm.Program(options.program, folder, prompt)
        if options.head == "modules":
            return rm.check(program, folder, seed, prompt, isa_list)
        if options.head == "rerank":
            return check_rerank(program, folder, seed, isa_list)
        return check_rows(head, program, folder, seed, isa_list)
    return 1 if rm.seeds(options, draw, judge).findings else 0


if __name__ == "__main__":
    sys.exit(main())
