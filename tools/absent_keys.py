#!/usr/bin/env python3
"""Every key of config.json left out or null, one at a time, held against
sentence-transformers in f32.

    tools/absent_keys.py PROGRAM
    tools/absent_keys.py PROGRAM --families qwen3,gte --seeds 0-4

Of each family and each seed random_configs.py draws a config with all the keys
that it knows and the limit of its positions. Each key in turn is left out, and
then null; the library makes a model of the rest, with what a missing key means
to its class, and the weights of that model are saved. Nothing else in the folder
says how long texts may be. Compared are vectors, the ids of a text that is
longer than most limits, and so the limit itself.

One line a finding, and at the end what the program refuses by name where the
library has a model; exit status 1 on any finding.

Needs what random_models.py needs.
"""

import argparse
import collections
import pathlib
import random
import re
import sys
import tempfile
import warnings

import torch
import transformers

import random_configs
import random_models as rm
import random_tokenizers
from make_models import OLD, old_pooling, write_json, write_modules

LENGTH = 40        # of the positions, where a config says it
LONG = 40000       # words of the text that is tokenized only
TEXTS = ["a", "All human beings are born free and equal.",
         "in dignity and rights " * 12]
PAST_PAD = {"mpnet", "roberta", "xlm-roberta", "camembert"}
# A model of such a default would be large, and nothing else would be seen.
SIZES = {"hidden_size", "dim", "d_model", "num_hidden_layers", "n_layers",
         "num_layers", "num_attention_heads", "n_heads", "num_heads",
         "intermediate_size", "hidden_dim", "d_ff", "vocab_size"}


def all_keys(family, seed):
    """A config of FAMILY where no key is left to chance."""
    pick, random_configs.pick = random_configs.pick, lambda r, **keys: keys
    try:
        return random_configs.FAMILIES[family](random.Random(seed), LENGTH)
    finally:
        random_configs.pick = pick


def changes(config):
    """(words, the config without a key or with a null)."""
    for key in sorted(config):
        if key == "model_type" or key in SIZES:
            continue
        rest = {k: v for k, v in config.items() if k != key}
        yield f"without {key}", rest
        yield f"{key} null", {**rest, key: None}


def write_folder(folder, family, config, seed):
    """The model; what stands in its way, stands in the library's too."""
    r = random.Random(seed)
    write_json(folder / "config.json", {**config, "vocab_size": 4000})
    random_tokenizers.write(r, folder, family)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    if tokenizer.pad_token is None:
        random_tokenizers.change_settings(folder, pad_token=sorted(
            tokenizer.get_vocab())[0])
    random_tokenizers.change_settings(folder, model_max_length=10 ** 9)
    write_json(folder / "config.json", {
        **config, "vocab_size": max(tokenizer.get_vocab().values()) + 1})
    made = transformers.AutoConfig.from_pretrained(str(folder))
    model = (transformers.T5EncoderModel(made) if family == "t5" else
             transformers.AutoModel.from_config(made))
    rm.randomize(model, seed, r)
    model.save_pretrained(folder)
    write_json(folder / "config.json", {
        **config, "vocab_size": max(tokenizer.get_vocab().values()) + 1})
    old_pooling(folder, made.d_model if family == "t5" else
                getattr(made, "hidden_size", 0) or made.dim, "mean_tokens")
    write_modules(folder, ("", OLD + "Transformer"),
                  ("1_Pooling", OLD + "Pooling"))


def room(model):
    """Tokens that its table of positions has rows for: where they begin behind
    padding, the library takes more and fails."""
    config = model[0].model.config
    if config.model_type not in PAST_PAD:
        return 10 ** 9
    pad = 1 if config.model_type == "mpnet" else config.pad_token_id
    return config.max_position_embeddings - pad - 1


def judge(program, folder):
    """What is wrong; raises what random_models.py raises."""
    try:
        model = rm.load(folder)
        most = room(model)
        texts, vectors, _ = rm.sound(
            lambda t: rm.encode(model, t, None),
            [t for t in TEXTS if len(rm.ids_of(model, t)) <= most], zero=False)
    except rm.Library:
        raise
    except Exception as problem:
        raise rm.Library(f"{type(problem).__name__}: {problem}")
    wrong = list(rm.check_vectors(program, folder, None, texts, vectors,
                                  "avx2"))
    limit = min(len(rm.ids_of(model, "a " * LONG)), most)
    ours = program.ids(["a " * LONG])[0]
    if limit != len(ours):
        wrong.append(f"{len(ours)} ids of a long text and not {limit} "
                     f"(max_seq_length {model.max_seq_length})")
    return [w for w in wrong if w != "ill-conditioned"]


def one(program_path, family, seed, words, config, sums):
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        try:
            write_folder(folder, family, config, seed)
        except Exception as problem:
            sums["library", f"{family} {words}", type(problem).__name__] += 1
            return []
        try:
            return judge(rm.Program(program_path, folder, None), folder)
        except rm.Library as problem:
            sums["library", f"{family} {words}", str(problem)[:90]] += 1
        except rm.Refused as problem:
            said = re.sub(r"/\S*/", "", str(problem))
            sums["refused", f"{family} {words}", said[:150]] += 1
        except rm.Died as problem:
            return [f"died: {problem}"]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--families", default=",".join(random_configs.FAMILIES))
    parser.add_argument("--seeds", default="0-1", help="N or FIRST-LAST")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    first, _, last = options.seeds.partition("-")
    sums, count, found = collections.Counter(), 0, 0
    for family in options.families.split(","):
        for seed in range(int(first), int(last or first) + 1):
            for words, config in changes(all_keys(family, seed)):
                wrong = one(options.program, family, seed, words, config, sums)
                count, found = count + 1, found + bool(wrong)
                if wrong:
                    print(f"{family} {seed} {words}: {' | '.join(wrong)}",
                          flush=True)
    for (kind, where, said), times in sorted(sums.items()):
        print(f"{kind}: {times} x {where}: {said}")
    print(f"{count} configs, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
