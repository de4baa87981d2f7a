#!/usr/bin/env python3
"""The vectors of texts that are longer than their model's limit, in windows, as
docs/long-texts.md defines them: computed with sentence-transformers, a window
at a time.

    tools/long_oracle.py     writes tests/fixtures/long/*.json

Needs sentence-transformers; the models are those of tests/fixtures/models. The
rule is written out here in Python once more, from the page, and not from the C.
"""

import json
import pathlib
import random

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests/fixtures/models"
OUT = ROOT / "tests/fixtures/long"

# model, overlap, prompt's name as `run` takes it
CASES = [("mean", 0), ("mean", 7), ("prompts", 16), ("prompts_excluded", 3),
         ("dense", 1), ("roberta", 5), ("lasttoken", 30), ("qwen3", 4)]

WORDS = ("the for this not can use some over vector name def true key in on at "
         "query word if struct print of it are have chunk path list be which "
         "all but how its text file return static and as or was has, time . "
         "line import an by we so when data int error while to with").split()


def texts():
    rng = random.Random(5)
    lengths = [3, 20, 60, 61, 62, 63, 64, 65, 66, 90, 121, 122, 123, 200, 700]
    return [" ".join(rng.choice(WORDS) for _ in range(n)) for n in lengths]


def content(tokenizer, text):
    """Ids without the special tokens, nothing cut."""
    return tokenizer(text, add_special_tokens=False, truncation=False,
                     verbose=False)["input_ids"]


def frame(tokenizer):
    """Special tokens before and after a text."""
    whole = tokenizer("word", truncation=False)["input_ids"]
    inner = content(tokenizer, "word")
    at = next(i for i in range(len(whole)) if whole[i:i + len(inner)] == inner)
    return whole[:at], whole[at + len(inner):]


def windows(tokenizer, prompt, text, limit, overlap):
    """[(ids, content ids without the prompt's)]"""
    before, after = frame(tokenizer)
    ids = content(tokenizer, prompt + text)
    if len(before) + len(ids) + len(after) <= limit:
        return [(before + ids + after, len(ids))]
    head = ids[:len(content(tokenizer, prompt))] if prompt else []
    rest = ids[len(head):]
    room = limit - len(before) - len(head) - len(after)
    made, at = [], 0
    while True:
        part = rest[at:at + room]
        made.append((before + head + part + after, len(part)))
        if at + room >= len(rest):
            return made
        at += room - overlap


def encode(model, ids, prompt_length):
    features = {"input_ids": torch.tensor([ids]),
                "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if prompt_length is not None:
        features["prompt_length"] = prompt_length
    with torch.no_grad():
        return model(features)["sentence_embedding"][0].double().numpy()


def vector(model, prompt, text, overlap):
    tokenizer = model.tokenizer
    prompt_length = None
    if prompt and not model[1].include_prompt:
        before, _ = frame(tokenizer)
        prompt_length = len(before) + len(content(tokenizer, prompt))
    parts = windows(tokenizer, prompt, text, model.max_seq_length, overlap)
    rows = [(encode(model, ids, prompt_length), n) for ids, n in parts]
    if len(rows) == 1:
        return rows[0][0], 1
    pooled = sum(row * n for row, n in rows) / sum(n for _, n in rows)
    if any(type(module).__name__ == "Normalize" for module in model):
        pooled = pooled / np.linalg.norm(pooled)
    return pooled, len(rows)


def main():
    OUT.mkdir(exist_ok=True)
    (OUT / "texts.json").write_text(json.dumps(texts(), indent=0) + "\n")
    for name, overlap in CASES:
        model = SentenceTransformer(str(MODELS / name), device="cpu",
                                    model_kwargs={"dtype": torch.float32})
        prompt = model.prompts.get("document") or ""
        rows = [vector(model, prompt, text, overlap) for text in texts()]
        document = {
            "model": name, "overlap": overlap,
            "windows": [count for _, count in rows],
            "vectors": [[float("%.8g" % x) for x in row] for row, _ in rows]}
        path = OUT / f"{name}-{overlap}.json"
        path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
        print(path.name, document["windows"])


if __name__ == "__main__":
    main()
