#!/usr/bin/env python3
"""Random models and random texts, held against sentence-transformers in f32.

    tools/random_models.py PROGRAM                    seeds 0 to 19
    tools/random_models.py PROGRAM --seeds 100-199 --seconds 110
    tools/random_models.py PROGRAM --seeds 7 --keep /tmp/seven

A seed gives a folder: a family that transformers has code for, a legal
config.json, random weights of small and large scales, a tokenizer, and the
modules behind the encoder (random_configs.py, random_tokenizers.py); some are
made rarer than that (random_folders.py). The library encodes some texts one by
one (eager attention); PROGRAM gives its vectors on every instruction set of
--isa, all texts in one call, some of them alone and with a small batch, and its
token ids. Some seeds go through a whole run as well, in f32, bf16 or int8.
Where a tokenizer is trained, its pieces may differ from call to call.

One line a seed. A finding is: other ids; a lowest cosine below 0.999999 or an
element farther than 1e-4 of the largest, unless the library's own vectors move
as far when its weights change in their last bit; other bits alone than in a
batch; an end by a signal; an error where the library has a vector. What the
program refuses by name, and where the library gives none or NaN, is counted
apart. The last lines add it all up; exit status 1 on any finding.

Needs: torch, sentence-transformers 6, tokenizers, numpy.
"""

import argparse
import collections
import json
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything reads it
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

import random_configs
import random_folders
import random_tokenizers
from make_models import BASE, DENSE, OLD, old_pooling, st_config, write_json

LOWEST, FARTHEST = 0.999999, 1e-4
MODES = ["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean",
         "lasttoken"]
REFUSALS = ("not supported|cannot be run|is missing; a whole number|"
            "BF16 are supported|leaves no room|a reranker goes to --rerank|"
            "has no unk_token|the files say that there is none|is not in the vocabulary|"
            "is not of that class's kind|other token types than 0")


# ---- a model ----------------------------------------------------------------

def randomize(model, seed, r):
    """Every parameter anew: matrices by their width, norms around what they
    begin at."""
    made = torch.Generator().manual_seed(seed)
    gain, shift = r.choice([0.3, 1.0, 1.5, 2.5]), r.choice([0.05, 0.2, 1.0])
    table = r.choice([0.02, 0.3, 0.3, 1.0, 4.0])
    loud = r.random() < 0.2
    for name, p in sorted(model.named_parameters()):
        values = torch.randn(p.shape, generator=made)
        if p.dim() == 1 and name.endswith("weight"):
            values = p.data.mean() + 0.2 * values
            if loud and p.numel() > 3:
                values[r.randrange(p.numel())] *= 25
        elif p.dim() == 1:
            values *= shift
        elif "embed" in name or "shared" in name:
            values *= table
        else:
            values *= gain / math.sqrt(max(1, p.shape[-1]))
        p.data = values


HEADS = {"bert": "MaskedLM", "ernie": "MaskedLM", "distilbert": "MaskedLM",
         "mpnet": "MaskedLM",
         "roberta": "MaskedLM", "xlm-roberta": "MaskedLM", "albert": "MaskedLM",
         "camembert": "MaskedLM", "modernbert": "MaskedLM", "gte": "MaskedLM",
         "deberta-v2": "MaskedLM", "eurobert": "MaskedLM",
         "qwen2": "CausalLM", "qwen3": "CausalLM", "llama": "CausalLM",
         "mistral": "CausalLM"}


OTHERS = ["SequenceClassification", "TokenClassification", "PreTraining"]


def build(config, r):
    """A model of CONFIG, as its makers may have saved it."""
    if config.model_type == "t5":
        return r.choice([transformers.T5EncoderModel] * 3 + [
            transformers.T5Model, transformers.T5ForConditionalGeneration])(
                config)
    head = HEADS.get(config.model_type)
    kind = "AutoModelFor" + head if head and r.random() < 0.25 else "AutoModel"
    if kind == "AutoModel" and r.random() < 0.1:
        kind = "AutoModelFor" + r.choice(OTHERS)
    try:
        return getattr(transformers, kind).from_config(config)
    except ValueError:  # the family has no such head
        return transformers.AutoModel.from_config(config)


def write_weights(folder, model, r):
    """One file or several, of one type or of two, of torch or safetensors."""
    kinds = r.choice([["float32"], ["float32"], ["float16"], ["bfloat16"],
                      ["bfloat16", "float32"], ["float16", "bfloat16"]])
    style = r.choice(["one", "one", "one", "shards", "torch"])
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    from safetensors.torch import load_file
    tensors = {n: t.to(getattr(torch, r.choice(kinds)))
               for n, t in load_file(str(path)).items()}
    path.unlink()
    tensors, words = random_folders.renamed(r, model, tensors)
    if style == "torch":
        random_folders.write_torch(r, folder, tensors)
    elif style == "one" or len(tensors) < 2:
        save_file(tensors, str(path), metadata={"format": "pt"})
    else:
        places = {n: f"model-{r.randint(1, 2):05}-of-00002.safetensors"
                  for n in tensors}
        for name in set(places.values()):
            save_file({n: t for n, t in tensors.items() if places[n] == name},
                      str(folder / name), metadata={"format": "pt"})
        write_json(folder / "model.safetensors.index.json",
                   {"metadata": {}, "weight_map": places})
    if style == "one" and r.random() < 0.1:  # the others go before it
        words += " and torch's"
        torch.save({n: t * 2 for n, t in tensors.items()},
                   folder / "pytorch_model.bin")
    return "+".join(kinds) + " " + style + words


def write_pooling(folder, width, r):
    """The modes; the width behind them."""
    modes = r.sample(MODES, r.choice([1, 1, 1, 2, 3]))
    prompt = r.choice([True] * 6 + [False, None])
    if r.random() < 0.5:
        write_json(folder / "1_Pooling" / "config.json", {
            "embedding_dimension": width, "include_prompt": prompt,
            "pooling_mode": modes if len(modes) > 1 else modes[0]})
    else:
        old = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens",
               "weightedmean": "weightedmean_tokens"}
        old_pooling(folder, width, *(old.get(m, m) for m in modes),
                    include_prompt=prompt)
    return modes, width * len(modes)


def module_weights(place, tensors, r):
    tensors = {n: t.to(r.choice([torch.float32, torch.float32, torch.float16]))
               for n, t in tensors.items()}
    if r.random() < 0.2:
        torch.save(tensors, place / "pytorch_model.bin")
    else:
        save_file(tensors, str(place / "model.safetensors"))


def write_dense(place, inner, r):
    outer, bias = r.choice([r.randint(1, 60), inner]), r.random() < 0.7
    kind = r.choice(["activation.Tanh", "linear.Identity", "activation.ReLU",
                     "activation.GELU", "activation.SiLU",
                     "activation.Sigmoid"])
    residual = r.random() < 0.2
    write_json(place / "config.json", {
        "in_features": inner, "out_features": outer, "bias": bias,
        **({"use_residual": True} if residual else {}),
        "activation_function": "torch.nn.modules." + kind})
    tensors = {"linear.weight": torch.randn(outer, inner) / math.sqrt(inner)}
    if bias:
        tensors["linear.bias"] = torch.randn(outer) * 0.3
    if residual and outer != inner:
        tensors["residual.weight"] = torch.randn(outer, inner)
    module_weights(place, tensors, r)
    return outer


def write_modules(folder, width, r):
    """What stands behind the encoder, in words."""
    modes, width = write_pooling(folder, width, r)
    new = r.random() < 0.5
    rows = [("", (BASE + "transformer." if new else OLD) + "Transformer"),
            ("1_Pooling", (DENSE + "pooling." if new else OLD) + "Pooling")]
    names = r.sample(["Dense", "Dense", "LayerNorm"], r.choice([0, 0, 0, 1, 2]))
    for name in names:
        place = f"{len(rows)}_{name}"
        (folder / place).mkdir()
        if name == "Dense":
            width = write_dense(folder / place, width, r)
        else:
            write_json(folder / place / "config.json", {"dimension": width})
            module_weights(folder / place, {
                "norm.weight": 1 + 0.2 * torch.randn(width),
                "norm.bias": 0.2 * torch.randn(width)}, r)
        rows.append((place, "sentence_transformers.models." + name))
    if r.random() < 0.5:
        names.append("Normalize")
        rows.append((f"{len(rows)}_Normalize", OLD + "Normalize"))
    write_json(folder / "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(rows)])
    return "+".join(modes) + "".join(" " + n for n in names), width


def write_settings(folder, width, length, r):
    """Prompts, widths and limits; (the prompt to ask for, the limit)."""
    prompts = {"query": "search: ", "document": "", "odd": "  \u00e9 [SEP] "}
    default = r.choice([None, None, "odd", "query"])
    more = {"truncate_dim": r.randint(1, width)} if r.random() < 0.1 else {}
    st_config(folder, prompts=prompts, default_prompt_name=default, **more)
    limit = r.choice([length, length, max(4, length // 2)])
    if r.random() < 0.7:
        write_json(folder / "sentence_bert_config.json", {
            "max_seq_length": limit, "do_lower_case": r.random() < 0.2})
    else:
        random_tokenizers.change_settings(folder, model_max_length=limit)
    return r.choice([None, None, "query", "odd", "document"])


def draw_encoder(folder, r, seed, family, build_it):
    """What stands before all heads: (model, its config, limit, in words)."""
    length = r.choice([8, 16, 33, 64, 100, 128, 257, 512, 1030])
    config = random_configs.FAMILIES[family](r, length)
    write_json(folder / "config.json", {**config, "vocab_size": 4000})
    words = random_tokenizers.write(r, folder, family)
    config, said = random_folders.config_keys(r, config, length)
    words += said + random_folders.tokenizer_keys(r, folder)
    judge = transformers.AutoTokenizer.from_pretrained(str(folder))
    if judge.pad_token is None:
        random_tokenizers.change_settings(folder, pad_token=sorted(
            judge.get_vocab())[0])
        judge = transformers.AutoTokenizer.from_pretrained(str(folder))
    if config.get("pad_token_id") == judge.unk_token_id and r.random() < 0.8:
        config["pad_token_id"] = judge.pad_token_id
    config["vocab_size"] = max(judge.get_vocab().values()) + 1 + r.choice(
        [0, 0, 7])
    write_json(folder / "config.json", config)
    made = transformers.AutoConfig.from_pretrained(str(folder))
    model = build_it(made, r)
    randomize(model, seed, r)
    saved = write_weights(folder, model, r)
    if r.random() < 0.7:  # else as transformers 5 has written it
        write_json(folder / "config.json", {
            **config, "architectures": [type(model).__name__]})
    return model, made, length, f"{words}; {saved}"


def draw(folder, seed, write_modules=write_modules):
    """The folder of a seed: (family, in words, name of a prompt)."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    family = sorted(random_configs.FAMILIES)[
        seed % len(random_configs.FAMILIES)]
    _, made, length, words = draw_encoder(folder, r, seed, family, build)
    modules, width = write_modules(
        folder, getattr(made, "hidden_size", 0) or made.d_model, r)
    prompt = write_settings(folder, width, length, r)
    words += random_folders.sentence_keys(r, folder, length)
    said, bare = random_folders.layout(r, folder)
    return family, f"{words}; {modules}; length {length}{said}", (
        None if bare else prompt)


# ---- what both make of it ---------------------------------------------------

def load(folder):
    return SentenceTransformer(str(folder), device="cpu", model_kwargs={
        "dtype": torch.float32, "attn_implementation": "eager"})


def encode(model, text, prompt):
    """As the library does, but what it cuts behind a Normalize is normalised
    again, as docs/models.md has it."""
    vector = model.encode([text], prompt_name=prompt, batch_size=1,
                          show_progress_bar=False)[0]
    names = [type(m).__name__ for m in model]
    if model.truncate_dim and [n for n in names if n != "Dropout"][
            -1] == "Normalize":
        vector = vector / numpy.linalg.norm(vector)
    return vector


def ids_of(model, text):
    got = model.preprocess([text])["input_ids"][0]
    return [int(i) for i in got]


def sensitivity(folder, texts, prompt, vectors):
    """How far the library's vectors go when each weight is another float next
    to it, and what cosine is left."""
    model = load(folder)
    made = torch.Generator().manual_seed(1)
    for p in model.parameters():
        p.data *= 1 + 2 ** -23 * torch.randint(-1, 2, p.shape, generator=made)
    moved = [encode(model, t, prompt) for t in texts]
    return distances(vectors, moved)


def distances(vectors, others):
    """Of each pair the cosine's distance from 1 and the farthest element, by
    the largest of the row or by 1."""
    rows = []
    for a, b in zip(vectors, others):
        a, b = (numpy.asarray(v, dtype=numpy.float64) for v in (a, b))
        norms = numpy.linalg.norm(a) * numpy.linalg.norm(b)
        rows.append((1 - a @ b / norms if norms > 0 else 0.0,
                     abs(a - b).max() / max(1, abs(a).max())))
    return rows


class Refused(Exception):
    pass


class Died(Exception):
    pass


class Program:
    def __init__(self, path, folder, prompt):
        self.path, self.folder = str(pathlib.Path(path).resolve()), folder
        self.prompt = ["--prompt", prompt] if prompt else []

    def call(self, *arguments, texts):
        got = subprocess.run(
            [self.path, arguments[0], "--quiet", "--no-progress",
             *arguments[1:]],
            input="".join(json.dumps(t) + "\n" for t in texts).encode(),
            capture_output=True, timeout=300)
        said = got.stderr.decode("utf-8", "replace")
        if got.returncode < 0 or "Sanitizer" in said:
            raise Died(f"{got.returncode}: {said[-1500:]}")
        if got.returncode:
            raise Refused(said.strip().splitlines()[-1] if said else "?")
        return got.stdout

    def vectors(self, texts, *options, more=""):
        with tempfile.TemporaryDirectory() as place:
            path = pathlib.Path(place) / "out.npy"
            self.call("embed", "--model", str(self.folder) + more, "--npy",
                      str(path), *self.prompt, *options, texts=texts)
            return numpy.load(path)

    def run(self, texts, dtype):
        """(texts that came out, their vectors, the lowest cosine that the run
        says) of a whole run."""
        with tempfile.TemporaryDirectory() as place:
            out = pathlib.Path(place) / "out"
            chunks = out.with_name("c.jsonl")
            chunks.write_text("".join(json.dumps({"text": t}) + "\n"
                                      for t in texts))
            self.call("run", str(chunks), "--model", str(self.folder), "--out",
                      str(out), "--dtype", dtype, "--export", "npy,texts",
                      *self.prompt, texts=[])
            lines = (out / "c" / "texts.jsonl").read_text().split("\n")
            told = json.loads((out / "summary.json").read_text())
            heads = told["collections"][0]["passes"][0].get("drift", {}).get(
                "heads", {})
            return ([json.loads(line) for line in lines if line],
                    numpy.load(out / "c" / "embeddings.npy"),
                    heads.get("dense", {}).get("lowest_cosine"))

    def ids(self, texts):
        got = self.call("tokenize", "--model", str(self.folder), texts=texts)
        return [json.loads(line)["ids"] for line in got.splitlines()]


# ---- a seed -----------------------------------------------------------------

class Library(Exception):
    """It gives no model or no vector."""


def sound(encode, texts, zero):
    """Texts for which the library has numbers, these, and the other texts. ZERO:
    nothing but zeros is an answer too."""
    good, values, bad, why = [], [], [], ""
    for text in texts:
        try:
            value = encode(text)
            if numpy.isfinite(value).all() and (zero or value.any()):
                good.append(text), values.append(value)
                continue
            why = "NaN or infinite" if zero else "NaN, infinite or 0"
        except Exception as problem:
            why = f"{type(problem).__name__}: {problem}"
        bad.append(text)
    if not good:
        raise Library(why)
    return good, values, bad


def library_vectors(folder, seed, prompt):
    """(model, texts that have a vector, their vectors, the other texts)."""
    try:
        model = load(folder)
        judge = model.tokenizer
        limit = int(min(model.max_seq_length or 1200, 1200))
        texts = random_tokenizers.texts(
            random.Random(seed), lambda t: judge(t)["input_ids"], limit,
            list(judge.all_special_tokens))
    except Exception as problem:
        raise Library(f"{type(problem).__name__}: {problem}") from problem
    good, vectors, bad = sound(lambda text: encode(model, text, prompt), texts,
                               zero=False)
    return model, good, vectors, bad


def check_ids(program, model, texts):
    theirs = [ids_of(model, t) for t in texts]
    for text, a, b in zip(texts, program.ids(texts), theirs):
        if a != b:
            yield f"ids of {text[:60]!r}: {a[:12]} and not {b[:12]}"


def check_vectors(program, folder, prompt, texts, vectors, isa):
    ours = program.vectors(texts, "--isa", isa)
    if ours.shape != numpy.shape(vectors):
        yield f"{isa}: shape {ours.shape} and not {numpy.shape(vectors)}"
        return
    rows = distances(vectors, ours)
    far = [i for i, (cosine, element) in enumerate(rows)
           if not cosine <= 1 - LOWEST or not element <= FARTHEST]
    if not far:
        return
    moved = sensitivity(folder, texts, prompt, vectors)
    for i in far:
        limit = [10 * max(m[k] for m in moved) for k in (0, 1)]
        if not (rows[i][0] <= max(1 - LOWEST, limit[0])
                and rows[i][1] <= max(FARTHEST, limit[1])):
            yield (f"{isa}: text {texts[i][:40]!r}: 1 - cosine "
                   f"{rows[i][0]:.3g}, element {rows[i][1]:.3g}; the library "
                   f"moves {moved[i][0]:.3g}, {moved[i][1]:.3g}")
            return
    yield "ill-conditioned"


def check_bits(program, texts, r):
    isa = r.choice(["avx512", "avx2", "generic"])
    whole = program.vectors(texts, "--isa", isa)
    longest = max(texts, key=len)
    for text in {*r.sample(texts, min(2, len(texts))), longest}:
        alone = program.vectors([text], "--isa", isa, "--threads", "1")[0]
        if alone.tobytes() != whole[texts.index(text)].tobytes():
            yield f"{isa}: other bits alone: {text[:60]!r}"
    some = program.vectors(texts, "--isa", isa, "--threads", "2", more=":budget="
                           + str(r.choice([1, 40, 300])))
    if some.tobytes() != whole.tobytes():
        yield f"{isa}: other bits with small batches"


def check_types(program, texts, vectors, r):
    """A run, of which int8 and bf16 say how far they drift: no farther than
    what is seen, and never to NaN."""
    dtype = r.choice(["f32", "bf16", "int8"])
    known = {t: v for t, v in zip(texts, vectors) if t.strip()}
    there, ours, lowest = program.run(list(known), dtype)
    pairs = [(known[t], v) for t, v in zip(there, ours) if t in known]
    rows = [1 - d[0] for d in distances(*zip(*pairs))] if pairs else []
    if len(there) < len(known) // 2 or not all(math.isfinite(c) for c in rows):
        yield f"{dtype}: {len(there)} of {len(known)} texts, cosines {rows}"
    elif dtype == "f32" and min(rows) < 0.99999:
        yield f"a run: lowest cosine {min(rows):.7f}"
    elif dtype != "f32" and (lowest is None or
                             not min(rows) - 1e-4 <= lowest <= 1 + 1e-4):
        yield f"{dtype}: lowest cosine {min(rows):.6f}, and it says {lowest}"


def check_others(program, texts):
    """Texts for which the library has no vector: an error, or one; no death."""
    for text in texts[:6]:
        try:
            program.vectors([text])
        except Refused:
            pass


def check(program, folder, seed, prompt, isa_list):
    model, texts, vectors, bad = library_vectors(folder, seed, prompt)
    wrong = list(check_ids(program, model, texts))
    for isa in isa_list:
        wrong += check_vectors(program, folder, prompt, texts, vectors, isa)
    wrong += check_bits(program, texts, random.Random(seed))
    if prompt and seed % 3 == 0:  # a run without one takes "document"
        wrong += check_types(program, texts, vectors, random.Random(seed))
    check_others(program, bad)
    return wrong, len(texts), len(bad)


class Sums:
    def __init__(self):
        self.kinds = collections.Counter()
        self.families = collections.Counter()
        self.refused, self.library = collections.Counter(), collections.Counter()
        self.findings = []

    def add(self, seed, family, words, kind, said, start):
        self.kinds[kind] += 1
        self.families[family, kind] += 1
        said = re.sub(r"/\S*/", "", said)
        bare = re.sub(r"[0-9.]+", "N", said)[:160]
        if kind == "refused":
            self.refused[bare] += 1
        if kind == "library":
            self.library[bare[:100]] += 1
        if kind == "FINDING":
            self.findings.append((seed, family))
        print(f"{seed} {family}: {kind} {time.monotonic() - start:.1f} s; "
              f"{words}{'; ' if said else ''}{said}", flush=True)

    def tell(self):
        print("families: " + ", ".join(
            f"{f} {k} {n}" for (f, k), n in sorted(self.families.items())))
        for title, counter in (("refused", self.refused),
                               ("the library has none", self.library)):
            for said, count in counter.most_common():
                print(f"{title}: {count} x {said}")
        print(f"{sum(self.kinds.values())} seeds: " + ", ".join(
            f"{n} {k}" for k, n in sorted(self.kinds.items())))
        print("findings: " + (", ".join(
            f"{s} ({f})" for s, f in self.findings) or "none"))


def one(seed, folder, sums, make, judge):
    """MAKE: (family, in words, and what JUDGE takes); JUDGE: (what is wrong,
    texts, texts without a vector)."""
    start, family, words = time.monotonic(), "?", ""
    try:
        try:
            family, words, more = make(folder, seed)
        except Exception as problem:
            raise Library(f"draw: {type(problem).__name__}: {problem}")
        wrong, count, bad = judge(folder, seed, more)
        soft = [w for w in wrong if w == "ill-conditioned"]
        hard = [w for w in wrong if w != "ill-conditioned"]
        words += f"; {count} texts" + (f", {bad} without" if bad else "")
        kind = "FINDING" if hard else "ill-conditioned" if soft else "equal"
        sums.add(seed, family, words, kind, " | ".join(hard), start)
    except Library as problem:
        sums.add(seed, family, words, "library", str(problem)[:300], start)
    except Refused as problem:
        said = str(problem)
        known = re.search(REFUSALS, said)
        sums.add(seed, family, words, "refused" if known else "FINDING", said,
                 start)
    except Died as problem:
        sums.add(seed, family, words, "FINDING", "died: " + str(problem), start)
    except Exception:
        sums.add(seed, family, words, "FINDING", traceback.format_exc(), start)


def seeds(options, make, judge):
    """All of --seeds; the sums."""
    warnings.simplefilter("ignore")
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    first, _, last = options.seeds.partition("-")
    sums, start = Sums(), time.monotonic()
    for seed in range(int(first), int(last or first) + 1):
        if time.monotonic() - start > options.seconds:
            print(f"no time for seeds from {seed} on")
            break
        with tempfile.TemporaryDirectory() as place:
            folder = (options.keep or pathlib.Path(place)) / str(seed)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            one(seed, folder, sums, make, judge)
    sums.tell()
    return sums


def parse(description, **more):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("program")
    parser.add_argument("--seeds", default="0-19", help="N or FIRST-LAST")
    parser.add_argument("--isa", default="avx512,avx2,generic")
    parser.add_argument("--seconds", type=float, default=1e9,
                        help="begin no seed after so many")
    parser.add_argument("--keep", type=pathlib.Path,
                        help="folder in which the models stay")
    for name, options in more.items():
        parser.add_argument("--" + name, **options)
    return parser.parse_args()


def main():
    options = parse(__doc__.splitlines()[0])

    def judge(folder, seed, prompt):
        program = Program(options.program, folder, prompt)
        return check(program, folder, seed, prompt, options.isa.split(","))
    return 1 if seeds(options, draw, judge).findings else 0


if __name__ == "__main__":
    sys.exit(main())
