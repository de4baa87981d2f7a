#!/usr/bin/env python3
"""Write tests/fixtures/head_cases.json: what random models (random_heads.py)
have found once.

    tools/make_head_cases.py           writes it
    tools/make_head_cases.py --check   makes it anew and compares

A case is a folder of tests/fixtures/models with other files in it (and, by
`copies`, other folders of them), texts, the `sizes` of their rows (vectors of a
multivector, pairs of a sparse vector), and questions with the scores of the
texts, as the library of sentence-transformers 6 that the head belongs to makes
them. tests/run/head_cases.py asks the program.

Needs: torch, sentence-transformers 6."""

import json
import pathlib
import shutil
import sys
import tempfile

import make_models as base
import torch
from sentence_transformers import (CrossEncoder, MultiVectorEncoder,
                                   SentenceTransformer, SparseEncoder)

FILE = base.ROOT / "tests" / "fixtures" / "head_cases.json"
TEXTS = ["the function returns a list of keys", "import class from module.",
         "a list, of functions; and what they return", "b",
         base.words(30), base.words(90), "a list of\0keys and values",
         "a \u2603 is no word of the list"]
QUESTIONS = ["what returns the list, and why?", "the class", base.words(40),
             "then more error have make them chunk static has path none data"]
MULTI = "sentence_transformers.multi_vector_encoder.modules."


def modules(*rows):
    return [{"idx": i, "name": str(i), "path": path, "type": kind}
            for i, (path, kind) in enumerate(rows)]


def multi(mask=None, **limits):
    """Late interaction over a dense model."""
    return {
        "modules.json": modules(
            ("", base.BASE + "transformer.Transformer"),
            ("1_Mask", MULTI + "multi_vector_mask.MultiVectorMask"),
            ("2_Unit", base.BASE + "normalize.Normalize")),
        "1_Mask/config.json": mask or {},
        "2_Unit/config.json": {"module_input_name": "token_embeddings"},
        "sentence_bert_config.json": {"max_seq_length": 14, **limits},
        "config_sentence_transformers.json": {
            "model_type": "MultiVectorEncoder", "prompts": {}}}


def routes(default=None, **more):
    """A Router: questions go through fewer tokens and another pooling."""
    structure = {task: [f"{task}_0_Transformer", f"{task}_1_Pooling"]
                 for task in ("query", "document")}
    kinds = {"Transformer": base.BASE + "transformer.Transformer",
             "Pooling": base.DENSE + "pooling.Pooling"}
    return {
        "modules.json": modules(("", base.BASE + "router.Router"),
                                ("1_Unit", base.BASE + "normalize.Normalize")),
        "1_Unit/config.json": {},
        "router_config.json": {
            "types": {name: kinds[name.rpartition("_")[2]]
                      for names in structure.values() for name in names},
            "structure": structure,
            "parameters": {"default_route": default, "allow_empty_key": True,
                           "route_mappings": {}}},
        "query_0_Transformer/sentence_bert_config.json": {
            "max_seq_length": 7},
        "query_1_Pooling/config.json": {
            "embedding_dimension": 32, "pooling_mode": "max",
            "include_prompt": True},
        "document_1_Pooling/config.json": {
            "embedding_dimension": 32, "pooling_mode": "mean",
            "include_prompt": True}, **more}


# Where the Transformers of routes() are.
ROUTES = {"query_0_Transformer": "mean", "document_0_Transformer": "mean"}


def cases():
    """(name, head, folder, its other files, and where there are any its
    copies)"""
    yield ("questions and documents by routes of their own", "dense", "mean",
           routes("document"), ROUTES)
    words = ["the", ",", "."]
    yield ("words left out of queries alone", "multi", "mean", multi(
        {"skiplist_words": words, "skiplist_tasks": ["query"]}))
    yield ("words left out of both", "multi", "mean", multi(
        {"skiplist_words": words, "skiplist_tasks": ["query", "document"]}))
    yield ("words that the vocabulary does not have", "multi", "mean", multi(
        {"skiplist_words": ["zebra", *words, "\u2603"],
         "skiplist_tasks": ["query", "document"]}))
    yield ("many words, left out of nothing", "multi", "mean", multi(
        {"skiplist_words": base.words(90).split(), "skiplist_tasks": []}))
    vocab = json.loads((base.MODELS / "mean" / "tokenizer.json").read_text())
    yield ("half of a vocabulary", "multi", "mean", multi(
        {"skiplist_words": list(vocab["model"]["vocab"])[:4:-2],
         "skiplist_tasks": ["query", "document"]}))
    yield ("a length where no table of positions ends", "multi", "modernbert",
           multi(document_length=1 << 40))
    yield ("lengths past the model's limit", "multi", "mean", multi(
        document_length=40, query_length=30))
    yield ("queries filled up past the model's limit", "multi", "mean", multi(
        document_length=9, query_expansion={
            "strategy": "fixed", "length": 25, "attend": False}))
    yield ("queries filled up with the end of a text", "multi", "mean", {
        **multi(query_expansion={"strategy": "min", "length": 12}),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "list",
            "pad_token": "[PAD]", "unk_token": "[UNK]"}})
    said = {"model_type": "SparseEncoder", "prompts": {},
            "similarity_fn_name": "dot"}
    yield ("a question's limit, and no special tokens", "sparse",
           "splade_static", {
               "config_sentence_transformers.json": said,
               "query_0_SparseStaticEmbedding/tokenizer_config.json": {
                   "tokenizer_class": "BertTokenizer", "unk_token": "[UNK]",
                   "model_max_length": 4}})
    yield ("a question's largest weights alone", "sparse", "splade_static", {
        "config_sentence_transformers.json": {**said, "max_active_dims": 10}})
    yield "a text with a NUL", "rerank", "cross_bert", {}


def lay(source, files, copies, folder):
    """A folder of tests/fixtures/models with other files in it; null: none."""
    shutil.copytree(base.MODELS / source, folder)
    for name, other in copies.items():
        shutil.copytree(base.MODELS / other, folder / name)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif content is not None:
            base.write_json(path, content)


def cpu(kind, folder):
    return kind(str(folder), device="cpu",
                model_kwargs={"dtype": torch.float32})


def max_sim(query, rows):
    return float((query.double() @ rows.double().T).max(dim=1).values.sum())


def ask(head, folder):
    """(sizes of the texts' rows, scores of the texts for each question)"""
    if head == "dense":
        model = cpu(SentenceTransformer, folder)
        rows = model.encode_document(TEXTS, batch_size=1)
        return [], [model.similarity(model.encode_query(q), rows)[0].tolist()
                    for q in QUESTIONS]
    if head == "rerank":
        model = cpu(CrossEncoder, folder)
        return [], [[float(model.predict([(q, t)])[0]) for t in TEXTS]
                    for q in QUESTIONS]
    if head == "multi":
        model = cpu(MultiVectorEncoder, folder)
        rows = [model.encode_document([t])[0] for t in TEXTS]
        asked = [model.encode_query([q])[0] for q in QUESTIONS]
        return [len(r) for r in rows], [[max_sim(q, r) for r in rows]
                                        for q in asked]
    model = cpu(SparseEncoder, folder)
    rows = [model.encode_document([t], convert_to_sparse_tensor=False)[0]
            for t in TEXTS]
    asked = [model.encode_query([q], convert_to_sparse_tensor=False)[0]
             for q in QUESTIONS]
    return [int((r != 0).sum()) for r in rows], [
        [float(q.double() @ r.double()) for r in rows] for q in asked]


def made():
    got = []
    for name, head, source, files, *copies in cases():
        copies = copies[0] if copies else {}
        with tempfile.TemporaryDirectory() as place:
            folder = pathlib.Path(place) / "model"
            lay(source, files, copies, folder)
            sizes, scores = ask(head, folder)
        got.append({"name": name, "head": head, "folder": source,
                    "copies": copies, "files": files, "sizes": sizes,
                    "scores": [[float("%.7g" % s) for s in row]
                               for row in scores]})
    return {"texts": TEXTS, "questions": QUESTIONS, "cases": got}


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= 1e-5 * max(1, abs(a))
    return a == b


def main():
    torch.set_num_threads(1)
    content = made()
    if sys.argv[1:] == ["--check"]:
        same = close(content, json.loads(FILE.read_text()))
        print("equal" if same else "differs: " + FILE.name)
        return 0 if same else 1
    head = {k: v for k, v in content.items() if k != "cases"}
    rows = ",\n".join(json.dumps(c) for c in content["cases"])
    FILE.write_text(json.dumps(head)[:-1] + ',\n "cases": [\n' + rows + "]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
