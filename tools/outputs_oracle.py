#!/usr/bin/env python3
"""What a run should write for sparse and late-interaction heads: upstream's own
encode_document of whole texts, and the rule of docs/long-texts.md over windows.

    tools/outputs_oracle.py     writes tests/fixtures/outputs/*.json

SparseEncoder and MultiVectorEncoder of sentence-transformers; for bge-m3's heads
the formulas of FlagEmbedding (inference/embedder/encoder_only/m3.py:
_process_token_weights, and colbert_linear over last_hidden_state[:, 1:]).
"""

import json

import numpy as np
import torch
from sentence_transformers import SparseEncoder, SentenceTransformer
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder

import long_oracle
from long_oracle import MODELS, ROOT, texts

OUT = ROOT / "tests/fixtures/outputs"


def batch(ids):
    return {"input_ids": torch.tensor([ids]),
            "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}


def pairs(row):
    row = np.asarray(row, dtype=np.float64)
    at = np.nonzero(row > 0)[0]
    return {"indices": at.tolist(), "values": [float("%.8g" % x) for x in row[at]]}


def rows(array):
    return [[float("%.6g" % x) for x in row] for row in np.asarray(array)]


class Splade:
    def __init__(self, name):
        self.model = SparseEncoder(str(MODELS / name), device="cpu")
        self.limit = self.model.max_seq_length
        self.tokenizer = self.model.tokenizer

    def whole(self, text):
        row = self.model.encode_document([text], convert_to_sparse_tensor=False)
        return {"sparse": pairs(row[0].numpy())}

    def window(self, ids):
        with torch.no_grad():
            return self.model(batch(ids))["sentence_embedding"][0].numpy()

    def pooled(self, parts):
        return {"sparse": pairs(np.max(parts, axis=0))}


class Colbert:
    def __init__(self, name):
        self.model = MultiVectorEncoder(str(MODELS / name), device="cpu")
        self.limit = self.model.document_length or self.model.max_seq_length \
            if hasattr(self.model, "document_length") else self.model.max_seq_length
        self.tokenizer = self.model.tokenizer

    def whole(self, text):
        return {"multi": rows(self.model.encode_document([text])[0])}


class M3:
    def __init__(self, name):
        self.model = SentenceTransformer(str(MODELS / name), device="cpu")
        self.limit = self.model.max_seq_length
        self.tokenizer = self.model.tokenizer
        folder = MODELS / name
        self.sparse = torch.load(folder / "sparse_linear.pt", weights_only=True)
        self.colbert = torch.load(folder / "colbert_linear.pt", weights_only=True)
        names = self.tokenizer.special_tokens_map
        self.unused = {self.tokenizer.convert_tokens_to_ids(names[k])
                       for k in ("cls_token", "eos_token", "pad_token",
                                 "unk_token") if k in names}

    def ids(self, text):
        return self.tokenizer(text, truncation=True,
                              max_length=self.limit)["input_ids"]

    def window(self, ids):
        with torch.no_grad():
            hidden = self.model[0].model(**batch(ids)).last_hidden_state
            weights = torch.relu(torch.nn.functional.linear(
                hidden, self.sparse["weight"], self.sparse["bias"]))[0, :, 0]
            multi = torch.nn.functional.linear(
                hidden[:, 1:], self.colbert["weight"], self.colbert["bias"])
            multi = torch.nn.functional.normalize(multi, dim=-1)[0]
            dense = self.model(batch(ids))["sentence_embedding"][0]
        result = {}
        for weight, token in zip(weights.tolist(), ids):
            if token not in self.unused and weight > 0:
                result[token] = max(weight, result.get(token, 0))
        return result, multi.numpy(), dense.double().numpy()

    def pooled(self, parts, content):
        largest = {}
        for result, _, _ in parts:
            for token, weight in result.items():
                largest[token] = max(weight, largest.get(token, 0))
        order = sorted(largest)
        dense = sum(d * n for (_, _, d), n in zip(parts, content)) / sum(content)
        if len(parts) > 1:
            dense = dense / np.linalg.norm(dense)
        return {"sparse": {"indices": order,
                           "values": [float("%.8g" % largest[t]) for t in order]},
                "multi": rows(np.concatenate([m for _, m, _ in parts])),
                "dense": rows([dense])[0]}

    def whole(self, text):
        return self.pooled([self.window(self.ids(text))], [1])


def in_windows(model, text, overlap):
    parts = long_oracle.windows(model.tokenizer, "", text, model.limit, overlap)
    made = [model.window(ids) for ids, _ in parts]
    if isinstance(model, M3):
        return model.pooled(made, [n for _, n in parts])
    return model.pooled(made)


def write(name, file, chosen, made, overlap=None):
    (OUT / file).write_text(json.dumps(
        {"model": name, "overlap": overlap, "texts": chosen, "rows": made},
        separators=(",", ":")) + "\n")
    print(file)


def main():
    OUT.mkdir(exist_ok=True)
    few = [texts()[i] for i in (0, 1, 5, 8, 9, 11)]
    long = [texts()[i] for i in (10, 13)]
    for name, kind in [("splade", Splade), ("splade_distil", Splade),
                       ("splade_log_twice", Splade), ("m3", M3),
                       ("colbert", Colbert)]:
        model = kind(name)
        write(name, name + ".json", few, [model.whole(t) for t in few])
        if kind is not Colbert and name in ("splade", "m3"):
            write(name, name + "-5.json", long,
                  [in_windows(model, t, 5) for t in long], 5)


if __name__ == "__main__":
    main()
