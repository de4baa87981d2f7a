"""Small StaticEmbedding models: a table of words, whose mean is a text's vector,
in the layouts that sentence-transformers loads. tools/make_models.py runs these
functions like its own; the name of one is the name of its folder.

Some of the texts have no token here: the library gives them zeros, which are in
the references, and ensembed says that they have no vector."""

import numpy
import torch
from sentence_transformers import SentenceTransformer

import make_models
from make_models import (BASE, DENSE, OLD, PROMPTS, Weights, dense_layer,
                         st_config, tokenizer, write_modules, write_weights)

WIDTH = 12


def write_tokenizer(folder, limit=0):
    """LIMIT is a truncation, which counts: tokenizer.json is taken as it is."""
    made = tokenizer(False, limit)
    made.save(str(folder / "tokenizer.json"))
    return made.get_vocab_size()


def static_table(folder):
    # More rows than there are words; a limit, padding and prompts.
    w = Weights(700)
    words = write_tokenizer(folder, limit=30)
    w.add("embedding.weight", words + 3, WIDTH, scale=0.5)
    write_weights(folder, w.tensors)
    st_config(folder, prompts=PROMPTS, truncate_dim=8)
    write_modules(folder, ("", OLD + "StaticEmbedding"),
                  ("1_Normalize", OLD + "Normalize"))


static_table.references = [("document", "reference.json"),
                           ("query", "reference-query.json")]


def static_model2vec(folder):
    # As model2vec saves: its config.json is nobody's, the path is a dot.
    w = Weights(701)
    words = write_tokenizer(folder)
    w.add("embeddings", words, WIDTH, scale=0.5)
    write_weights(folder, w.tensors, torch.float16)
    make_models.write_json(folder / "config.json", {
        "model_type": "model2vec", "architectures": ["StaticModel"],
        "normalize": True, "hidden_dim": WIDTH})
    write_modules(folder, (".", OLD + "StaticEmbedding"),
                  ("1_Normalize", OLD + "Normalize"))


def static_folded(folder):
    # Fewer rows than words, each of which has a weight; a Dense behind.
    inner = folder / "0_StaticEmbedding"
    inner.mkdir()
    w = Weights(702)
    words = write_tokenizer(inner)
    w.add("embeddings", 50, WIDTH, scale=0.5)
    w.tensors["mapping"] = torch.from_numpy(
        w.random.randint(0, 50, words).astype(numpy.int64))
    w.tensors["weights"] = torch.from_numpy(w.random.random_sample(words))
    write_weights(inner, w.tensors, None)
    dense_layer(folder, "1_Dense", WIDTH, 8,
                "torch.nn.modules.linear.Identity", 703, bias=False)
    st_config(folder, model_type="SentenceTransformer")
    write_modules(folder,
                  ("0_StaticEmbedding",
                   DENSE + "static_embedding.StaticEmbedding"),
                  ("1_Dense", BASE + "dense.Dense"))


def write_reference(folder, kind, name, texts_name, texts):
    """In float32, of a table in f16 too."""
    model = SentenceTransformer(str(folder), device="cpu").float()
    prompt = make_models.first_prompt(model, kind)
    call = {"query": model.encode_query, "document": model.encode_document}
    vectors = call[kind](texts, batch_size=1, show_progress_bar=False)
    assert vectors.dtype == numpy.float32 and numpy.isfinite(vectors).all()
    ids = [model.tokenizer.encode(prompt + t, add_special_tokens=False).ids
           for t in texts]
    limit = model.tokenizer.truncation
    make_models.write_answers(folder / name, ids, vectors, {
        "texts_file": "tests/fixtures/models/" + texts_name,
        "encoded_as": kind, "prompt": prompt,
        "max_length": limit and limit["max_length"],
        "width": int(vectors.shape[1])})


FAMILIES = [static_table, static_model2vec, static_folded]
for made in FAMILIES:
    made.write_reference = write_reference
