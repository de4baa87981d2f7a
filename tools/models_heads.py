#!/usr/bin/env python3
"""Make the small models of tests/fixtures/models that have other heads than a
sentence vector, and what sentence-transformers' SparseEncoder, CrossEncoder and
MultiVectorEncoder (for bge-m3's heads FlagEmbedding's formulas) make of them.

    python3 tools/models_heads.py           writes the folders
    python3 tools/models_heads.py --check   makes them elsewhere and compares

One reference-heads.json a folder: `use`, and for each text (or pair of texts)
its `ids`, `second` (the row from which on tokens have type 1; of pairs only)
and what the head gives: `splade` {indices, values}, `scores`, `lexical` (a
number a token), `multi` (a row a token), `dense`. Those of models_ranks.py have
rows of another kind, a question and its texts."""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile

import numpy
import torch
import transformers
from sentence_transformers import CrossEncoder, SparseEncoder
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder

import make_models as base
import models_relative as relative
import models_decoder as decoder
import models_modern as modern
import models_ranks as ranks

REFERENCE = "reference-heads.json"
TEXTS = ["a", "the function returns a list", base.words(14), base.words(15),
         base.words(61), base.words(63), base.words(127), base.words(150),
         "", "def f(self, x): return [self.key[i] for i in x]", "Ünïcödé ßtraße"]
FEW = [t for t in TEXTS if len(t) < 250]
# Filled up with mask tokens; of the last one not all fits.
QUERIES = ["the", "which function returns a list, and of what?",
           base.words(40)]
PAIRS = [("what returns a list", "the function returns a list of keys"),
         ("a", "b"), ("import class", base.words(60)),
         (base.words(20), base.words(45)), ("", "empty query"),
         (base.words(90), base.words(120))]


def mlm_bert(w, config):
    hidden = config["hidden_size"]
    w.linear("cls.predictions.transform.dense", hidden, hidden)
    w.norm("cls.predictions.transform.LayerNorm", hidden)
    w.add("cls.predictions.bias", config["vocab_size"], scale=0.5, around=-1)


def splade_modules(folder, old=True, pooling="max", activation="relu"):
    kinds = "sentence_transformers.sparse_encoder."
    if old:
        base.write_modules(folder, ("", kinds + "models.MLMTransformer"),
                           ("1_SpladePooling", kinds + "models.SpladePooling"))
    else:
        base.write_modules(
            folder, ("", base.BASE + "transformer.Transformer"),
            ("1_SpladePooling", kinds + "modules.splade_pooling.SpladePooling"))
    width = "word_embedding_dimension" if old else "embedding_dimension"
    base.write_json(folder / "1_SpladePooling" / "config.json", {
        "pooling_strategy": pooling, "activation_function": activation,
        width: None if not old else len(base.vocabulary(False))})
    if not old:
        base.write_json(folder / "sentence_bert_config.json", {
            "transformer_task": "fill-mask",
            "modality_config": {"text": {"method": "forward",
                                         "method_output_name": "logits"}},
            "module_output_name": "token_embeddings"})
    else:
        base.write_json(folder / "sentence_bert_config.json",
                        {"max_seq_length": 64, "do_lower_case": False})
    base.st_config(folder, model_type="SparseEncoder", prompts={},
                   default_prompt_name=None, similarity_fn_name="dot")


def splade(folder):
    config = base.bert_config(hidden=24, heads=3, inter=40,
                              architectures=["BertForMaskedLM"])
    base.write_json(folder / "config.json", config)
    base.write_tokenizer(folder)
    w = base.bert_weights(config, 301, "bert.")
    mlm_bert(w, config)
    base.write_weights(folder, w.tensors)
    splade_modules(folder)


def splade_plain(folder):
    """No modules.json, a decoder of its own, as AutoModelForMaskedLM saves."""
    splade(folder)
    for name in ("modules.json", "config_sentence_transformers.json",
                 "sentence_bert_config.json"):
        (folder / name).unlink()
    shutil.rmtree(folder / "1_SpladePooling")
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"] = False
    base.write_json(folder / "config.json", config)
    w = base.bert_weights(config, 302, "bert.")
    mlm_bert(w, config)
    w.add("cls.predictions.decoder.weight", config["vocab_size"], 24, scale=0.3)
    w.tensors["cls.predictions.decoder.bias"] = \
        w.tensors.pop("cls.predictions.bias")
    base.write_weights(folder, w.tensors)


def splade_static(folder):
    """Documents by the model, questions by a table: some words weigh nothing,
    and some less than that."""
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sparse_encoder.modules import (
        SparseStaticEmbedding, SpladePooling)
    base_folder = folder / "base"
    base_folder.mkdir()
    splade(base_folder)
    weights = 1.5 * numpy.random.RandomState(306).standard_normal(
        len(base.vocabulary(False)))
    weights[::7] = 0
    document = [Transformer(str(base_folder), transformer_task="fill-mask"),
                SpladePooling("max")]
    query = SparseStaticEmbedding(
        document[0].tokenizer, frozen=True,
        weight=torch.tensor(weights, dtype=torch.float32))
    router = Router.for_query_document(query_modules=[query],
                                       document_modules=document)
    SparseEncoder(modules=[router], similarity_fn_name="dot",
                  device="cpu").save_pretrained(str(folder))
    shutil.rmtree(base_folder)
    (folder / "README.md").unlink(missing_ok=True)


def splade_distil(folder):
    config = {**base.family_config("distilbert"), "dim": 30, "n_layers": 2,
              "n_heads": 5, "hidden_dim": 50, "activation": "gelu",
              "sinusoidal_pos_embds": False,
              "architectures": ["DistilBertForMaskedLM"]}
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads",
                 "intermediate_size", "hidden_act", "layer_norm_eps"):
        config.pop(name)
    base.write_json(folder / "config.json", config)
    base.family_tokenizer(folder, types=False)
    w = base.Weights(303)
    base.tables(w, config, 30, "distilbert.")
    for i in range(2):
        base.layer(w, f"distilbert.transformer.layer.{i}.", 30, 50, [
            "attention.q_lin", "attention.k_lin", "attention.v_lin",
            "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2",
            "output_layer_norm"])
    w.linear("vocab_transform", 30, 30)
    w.norm("vocab_layer_norm", 30)
    w.add("vocab_projector.bias", config["vocab_size"], scale=0.5, around=-1)
    base.write_weights(folder, w.tensors)
    splade_modules(folder, old=False, pooling="sum")


def splade_log_twice(folder):
    splade(folder)
    splade_modules(folder, activation="log1p_relu")


def splade_roberta(folder):
    config = base.family_config("xlm-roberta", type_vocab_size=1,
                                architectures=["XLMRobertaForMaskedLM"])
    base.write_json(folder / "config.json", config)
    base.family_tokenizer(folder, base.FAIRSEQ, types=False)
    w = base.relative_weights(config, 304, "roberta.", types=1)
    w.linear("lm_head.dense", 30, 30)
    w.norm("lm_head.layer_norm", 30)
    w.add("lm_head.bias", config["vocab_size"], scale=0.5, around=-1)
    base.write_weights(folder, w.tensors)
    splade_modules(folder, old=False)


def pair_tokenizer(folder, special=base.SPECIAL, pair=None, vocab=None):
    base.family_tokenizer(folder, special, types=special is base.SPECIAL,
                          vocab=vocab)
    path = folder / "tokenizer.json"
    made = json.loads(path.read_text())
    cls, sep = ("[CLS]", "[SEP]") if special is base.SPECIAL else ("<s>", "</s>")
    one = special is base.SPECIAL

    def special_token(name, kind):
        return {"SpecialToken": {"id": name, "type_id": kind}}

    def sequence(name, kind):
        return {"Sequence": {"id": name, "type_id": kind}}
    made["post_processor"]["pair"] = (
        [special_token(cls, 0), sequence("A", 0), special_token(sep, 0)] +
        ([] if one else [special_token(sep, 0)]) +
        [sequence("B", int(one)), special_token(sep, int(one))])
    path.write_text(json.dumps(made))


def labels(count):
    return {"id2label": {str(i): f"LABEL_{i}" for i in range(count)},
            "label2id": {f"LABEL_{i}": i for i in range(count)}}


def cross_bert(folder):
    config = base.family_config("bert", type_vocab_size=2, **labels(1),
                                architectures=["BertForSequenceClassification"])
    base.write_json(folder / "config.json", config)
    pair_tokenizer(folder)
    w = base.relative_weights(config, 311, "bert.", types=2)
    w.linear("bert.pooler.dense", 30, 30)
    w.linear("classifier", 30, 1)
    base.write_weights(folder, w.tensors)


def cross_labels(folder):
    """Three labels, ELECTRA."""
    config = base.family_config("electra", type_vocab_size=2, embedding_size=18,
                                **labels(3),
                                architectures=[
                                    "ElectraForSequenceClassification"])
    base.write_json(folder / "config.json", config)
    pair_tokenizer(folder)
    w = base.Weights(312)
    base.tables(w, config, 18, "electra.", types=2)
    w.linear("electra.embeddings_project", 18, 30)
    for i in range(2):
        base.layer(w, f"electra.encoder.layer.{i}.", 30, 50, base.BERT_LAYER)
    w.linear("classifier.dense", 30, 30)
    w.linear("classifier.out_proj", 30, 3)
    base.write_weights(folder, w.tensors)


def cross_roberta(folder):
    """As bge-reranker-v2-m3."""
    config = base.family_config("xlm-roberta", type_vocab_size=1, **labels(1),
                                architectures=[
                                    "XLMRobertaForSequenceClassification"])
    base.write_json(folder / "config.json", config)
    pair_tokenizer(folder, base.FAIRSEQ)
    w = base.relative_weights(config, 313, "roberta.", types=1)
    w.linear("classifier.dense", 30, 30)
    w.linear("classifier.out_proj", 30, 1)
    base.write_weights(folder, w.tensors)


def head_of_modern(w, hidden, seed_bias=True):
    modern.matrix(w, "head.dense", hidden, hidden, seed_bias)
    modern.scale(w, "head.norm", hidden, seed_bias)


def plain(folder, config, w, pair=True):
    base.write_json(folder / "config.json", config)
    if pair:
        pair_tokenizer(folder)
    else:
        base.family_tokenizer(folder, types=False)
    base.write_weights(folder, w.tensors)


def splade_modern(folder):
    """Another activation in the head than in the body, no bias behind words."""
    config = modern.modern_config(
        "modernbert", hidden=12, layers=2, hidden_activation="gelu",
        norm_eps=1e-5, global_attn_every_n_layers=2, local_attention=16,
        classifier_activation="silu", decoder_bias=False,
        architectures=["ModernBertForMaskedLM"])
    w = modern.modernbert_weights(config, 305, "model.")
    head_of_modern(w, 12, False)
    plain(folder, config, w, pair=False)


def splade_gte(folder):
    """In Alibaba's names, as transformers saves it too: lm_head.norm."""
    config = modern.modern_config(
        "gte", hidden=12, layers=1, type_vocab_size=1, hidden_act="relu",
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        architectures=["GteForMaskedLM"])
    w = modern.alibaba_names(modern.gte_weights(config, 307), True, "new.")
    w.linear("lm_head.dense", 12, 12)
    w.norm("lm_head.norm", 12)
    w.add("lm_head.decoder.bias", config["vocab_size"], scale=0.5, around=-1)
    plain(folder, config, w, pair=False)


def cross_modern(folder):
    config = modern.modern_config(
        "modernbert", hidden=12, layers=2, hidden_activation="gelu",
        norm_eps=1e-5, global_attn_every_n_layers=2, local_attention=16,
        classifier_pooling="mean", classifier_bias=True, norm_bias=True,
        **labels(1), architectures=["ModernBertForSequenceClassification"])
    w = modern.modernbert_weights(config, 314, "model.")
    head_of_modern(w, 12)
    w.linear("classifier", 12, 1)
    plain(folder, config, w)


def cross_gte(folder):
    config = modern.modern_config(
        "gte", hidden=12, layers=2, type_vocab_size=2, hidden_act="gelu",
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        **labels(1), architectures=["GteForSequenceClassification"])
    w = modern.gte_weights(config, 315, "gte.")
    w.linear("gte.pooler.dense", 12, 12)
    w.linear("classifier", 12, 1)
    plain(folder, config, w)


def cross_qwen3(folder):
    """A row at a text's end, as Qwen3ForSequenceClassification reads it."""
    config = decoder.decoder_config(
        "qwen3", head_dim=6, pad_token_id=0, tie_word_embeddings=True,
        **labels(2), architectures=["Qwen3ForSequenceClassification"])
    w = decoder.decoder_weights(config, 316, "model.", qk_norm=True)
    w.add("score.weight", 2, config["hidden_size"], scale=0.5)
    plain(folder, config, w)


def m3(folder):
    """bge-m3's three heads over a small XLM-RoBERTa."""
    config = base.family_config("xlm-roberta", type_vocab_size=1,
                                architectures=["XLMRobertaModel"])
    base.write_json(folder / "config.json", config)
    base.family_tokenizer(folder, base.FAIRSEQ, types=False)
    w = base.relative_weights(config, 321, "", types=1)
    base.write_weights(folder, w.tensors)
    heads = base.Weights(322)
    heads.linear("colbert", 30, 30)
    heads.linear("sparse", 30, 1)
    for name in ("colbert", "sparse"):
        torch.save({"weight": heads.tensors[name + ".weight"],
                    "bias": heads.tensors[name + ".bias"]},
                   folder / (name + "_linear.pt"))
    base.write_json(folder / "sentence_bert_config.json",
                    {"max_seq_length": base.LIMIT, "do_lower_case": False})
    base.old_pooling(folder, 30, "cls_token")
    base.write_modules(folder, ("", base.OLD + "Transformer"),
                       ("1_Pooling", base.OLD + "Pooling"),
                       ("2_Normalize", base.OLD + "Normalize"))


def colbert(folder):
    """As colbertv2.0 lies on the hub: HF_ColBERT with its linear inside."""
    config = base.bert_config(hidden=24, heads=3, inter=40,
                              architectures=["HF_ColBERT"])
    base.write_json(folder / "config.json", config)
    base.write_tokenizer(folder)
    vocab = json.loads((folder / "tokenizer.json").read_text())
    w = base.bert_weights(config, 331, "bert.")
    w.add("linear.weight", 16, 24, scale=0.3)
    base.write_weights(folder, w.tensors)
    base.write_json(folder / "artifact.metadata", {
        "query_token_id": "[unused0]", "doc_token_id": "[unused1]",
        "query_token": "[Q]", "doc_token": "[D]", "dim": 16,
        "doc_maxlen": 50, "query_maxlen": 24, "mask_punctuation": True,
        "attend_to_mask_tokens": False, "similarity": "cosine"})
    assert vocab


def colbert_deep(folder):
    """Several Dense, as PyLate has them since mixedbread's: what comes in is added to what goes out, as it is or through
    a matrix of its own."""
    config = base.bert_config(hidden=24, heads=3, inter=40, architectures=["BertModel"])
    base.write_json(folder / "config.json", config)
    base.write_tokenizer(folder)
    base.write_weights(folder, base.bert_weights(config, 341, "").tensors)
    base.write_json(folder / "sentence_bert_config.json", {"max_seq_length": 50, "do_lower_case": False})
    modules = []
    for i, (outer, inner, name, bias) in enumerate([(40, 24, "activation.GELU", False), (40, 40, "activation.GELU", True),
                                                    (16, 40, "linear.Identity", False)], 1):
        path = f"{i}_Dense"
        (folder / path).mkdir()
        base.write_json(folder / path / "config.json", {
            "in_features": inner, "out_features": outer, "bias": bias, "use_residual": True,
            "activation_function": "torch.nn.modules." + name})
        w = base.Weights(341 + i)
        w.add("linear.weight", outer, inner, scale=0.3)
        if bias:
            w.add("linear.bias", outer, scale=0.3)
        if outer != inner:
            w.add("residual.weight", outer, inner, scale=0.3)
        base.write_weights(folder / path, w.tensors)
        modules.append((path, "pylate.models.Dense.Dense"))
    base.write_modules(folder, ("", base.OLD + "Transformer"), *modules)
    base.write_json(folder / "config_sentence_transformers.json", {
        "model_type": "ColBERT", "similarity_fn_name": "MaxSim", "query_length": 24, "document_length": 50,
        "query_prefix": "[unused0]", "document_prefix": "[unused1]"})


def cpu(kind, folder):
    return kind(str(folder), device="cpu",
                model_kwargs={"dtype": torch.float32})


def sparse_reference(folder):
    model = cpu(SparseEncoder, folder)
    rows = []
    for text in TEXTS:
        row = model.encode_document([text], convert_to_sparse_tensor=False)[0]
        keep = torch.nonzero(row).flatten()
        ids = model.tokenizer([text], truncation=True,
                              max_length=model.max_seq_length)
        rows.append({"ids": ids["input_ids"][0],
                     "splade": {"indices": keep.tolist(),
                                "values": row[keep].tolist()}})
    queries = []
    for text in QUERIES if folder.name == "splade_static" else ():
        row = model.encode_query([text], convert_to_sparse_tensor=False)[0]
        keep = torch.nonzero(row).flatten()
        queries.append({"text": text, "indices": keep.tolist(),
                        "values": row[keep].tolist()})
    return {"use": "sparse", "texts": TEXTS, "rows": rows, "queries": queries}


def score_reference(folder):
    model = cpu(CrossEncoder, folder)
    rows = []
    for a, b in PAIRS:
        ids = model.tokenizer([a], [b], truncation=True,
                              max_length=model.max_length)
        scores = numpy.atleast_1d(model.predict([(a, b)])[0])
        types = ids.get("token_type_ids", [[0]])[0]
        second = types.index(1) if 1 in types else len(ids["input_ids"][0])
        rows.append({"ids": ids["input_ids"][0], "second": second,
                     "scores": [float(s) for s in scores]})
    return {"use": "rerank", "texts": PAIRS, "rows": rows}


def m3_reference(folder):
    """FlagEmbedding's BGEM3 (M3Embedder and EncoderOnlyEmbedderM3Model):
    sparse = relu(sparse_linear(h)), colbert = normalize(colbert_linear(h[1:])),
    dense = normalize(h[0]). Here colbert has a row for token 0 as well."""
    body = transformers.AutoModel.from_pretrained(folder,
                                                  dtype=torch.float32).eval()
    tokenize = transformers.AutoTokenizer.from_pretrained(folder)
    heads = {n: torch.load(folder / (n + "_linear.pt"))
             for n in ("colbert", "sparse")}
    rows = []
    for text in FEW:
        inputs = tokenize([text], truncation=True, max_length=base.LIMIT,
                          return_tensors="pt")
        with torch.no_grad():
            hidden = body(**inputs).last_hidden_state[0]

        def linear(name):
            return torch.nn.functional.linear(hidden, heads[name]["weight"],
                                              heads[name]["bias"])
        unit = torch.nn.functional.normalize
        rows.append({"ids": inputs["input_ids"][0].tolist(),
                     "dense": unit(hidden[:1], dim=-1)[0].tolist(),
                     "lexical": torch.relu(linear("sparse"))[:, 0].tolist(),
                     "multi": unit(linear("colbert"), dim=-1).tolist()})
    return {"use": "dense", "texts": FEW, "rows": rows}


def multi_reference(folder):
    """Of documents: every row that the model makes before rows are left out,
    and which of them stay."""
    model = cpu(MultiVectorEncoder, folder)
    rows = []
    for text in FEW:
        raw = model.encode_document([text], output_value=None)[0]
        kept = model.encode_document([text])[0]
        token = raw["token_embeddings"]
        rows.append({"ids": raw["input_ids"].tolist(),
                     "multi": torch.nn.functional.normalize(
                         token, dim=-1).tolist(),
                     "kept": numpy.asarray(kept).tolist()})
    queries = [{"text": text, "multi": numpy.asarray(
        model.encode_query([text])[0]).tolist()} for text in QUERIES]
    return {"use": "multi", "texts": FEW, "rows": rows, "queries": queries}


SPARSE = [splade, splade_static, splade_plain, splade_distil, splade_log_twice, splade_roberta,
          splade_modern, splade_gte]
CROSS = [cross_bert, cross_labels, cross_roberta, cross_modern, cross_gte,
         cross_qwen3, relative.cross_deberta]
FOLDERS = {**{f: sparse_reference for f in SPARSE},
           **{f: score_reference for f in CROSS},
           relative.cross_jina2: relative.cross_jina2_reference,
           relative.cross_jina3: relative.cross_jina3_reference,
           m3: m3_reference, colbert: multi_reference, colbert_deep: multi_reference, **ranks.FOLDERS}


def rounded(value):
    if isinstance(value, float):
        return float("%.9g" % value)
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


def write_reference(folder, content):
    head = {k: rounded(v) for k, v in content.items() if k != "rows"}
    lines = ",\n".join(json.dumps(rounded(r)) for r in content["rows"])
    (folder / REFERENCE).write_text(
        json.dumps(head)[:-1] + ',\n "rows": [\n' + lines + "]}\n")


def write_all(target, names):
    target.mkdir(parents=True, exist_ok=True)
    for make, reference in FOLDERS.items():
        if names and make.__name__ not in names:
            continue
        folder = target / make.__name__
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(folder)
        write_reference(folder, reference(folder))


def close(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) < 1e-5
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    return a == b


def same(made, kept):
    if made.name == REFERENCE:
        return close(json.loads(made.read_text()), json.loads(kept.read_text()))
    if made.suffix == ".pt":
        a, b = torch.load(made), torch.load(kept)
        return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    return made.read_bytes() == kept.read_bytes()


def check(names):
    with tempfile.TemporaryDirectory() as target:
        write_all(pathlib.Path(target), names)
        made = base.files_below(pathlib.Path(target))
        bad = [str(n) for n, path in made.items()
               if not (base.MODELS / n).is_file()
               or not same(path, base.MODELS / n)]
    print("\n".join("differs: " + n for n in bad) or "all equal")
    return not bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="FOLDER")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.check:
        return 0 if check(arguments.names) else 1
    write_all(base.MODELS, arguments.names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
