#!/usr/bin/env python3
"""Tokens a second of our tokenizers and of Hugging Face's `tokenizers`.

    python3 tools/tokenizer_speed.py --chunks ../shared/data/chunks --command \\
        'build/test_text_tokenizer --tokenize {path} 0 {threads}' \\
        ../shared/data/tokenizers/qwen3/tokenizer.json.gz

The same texts (those of the chunks) on the same threads in one run, in turns,
the best of each; no file is read and nothing is printed within what is
measured. The package runs encode_batch_fast, which keeps no offsets. Besides
the files that are named a WordPiece, a byte-level BPE and a Unigram model of
--pieces pieces are trained on the texts with the package's own trainers. What
the machine does besides counts: read the ratio, not the numbers.
"""

import argparse
import gzip
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time


def trained(texts, pieces):
    from tokenizers import (Tokenizer, models, normalizers, pre_tokenizers,
                            processors, trainers)

    def bert():
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return made, trainers.WordPieceTrainer(
            vocab_size=pieces, special_tokens=["[UNK]", "[CLS]", "[SEP]"])

    def gpt2():
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.post_processor = processors.ByteLevel()
        return made, trainers.BpeTrainer(
            vocab_size=pieces,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet())

    def xlm_r():
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        return made, trainers.UnigramTrainer(
            vocab_size=pieces, unk_token="<unk>", special_tokens=["<unk>"])

    for name, make in (("WordPiece", bert), ("BPE", gpt2), ("Unigram", xlm_r)):
        made, trainer = make()
        trainer.show_progress = False
        made.train_from_iterator(texts, trainer)
        yield name, made.to_str()


def theirs(judge, texts):
    begin = time.perf_counter()
    rows = judge.encode_batch_fast(texts)
    seconds = time.perf_counter() - begin
    return sum(len(row.ids) for row in rows), seconds


def ours(command, path, threads, lines):
    words = [w.replace("{path}", path).replace("{threads}", str(threads))
             for w in shlex.split(command)]
    done = subprocess.run(words, input=lines, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, check=True)
    found = re.search(r"(\d+) tokens, .* (\d+) tokens/s", done.stderr.decode())
    return int(found[1]), int(found[1]) / max(int(found[2]), 1)


def measure(name, document, texts, options):
    from tokenizers import Tokenizer
    judge = Tokenizer.from_str(document)
    judge.no_truncation()
    judge.no_padding()
    lines = "".join(json.dumps(text) + "\n" for text in texts).encode()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(document)
        file.flush()
        rounds = [(theirs(judge, texts),
                   ours(options.command, file.name, options.threads, lines))
                  for _ in range(options.rounds)]
    assert all(a[0] == b[0] for a, b in rounds), "other counts of tokens"
    package, own = (min(r[i][1] for r in rounds) for i in (0, 1))
    tokens = rounds[0][0][0]
    print(f"{name}: {len(texts)} texts, {tokens} tokens, {options.threads} "
          f"threads: tokenizers {tokens / package / 1e6:.2f} M tokens/s, ours "
          f"{tokens / own / 1e6:.2f} M tokens/s, {package / own:.1f} times as "
          "fast", flush=True)
    return own <= package


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--command", required=True)
    parser.add_argument("--chunks", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pieces", type=int, default=8000)
    parser.add_argument("files", nargs="*", help="tokenizer.json, also .gz")
    options = parser.parse_args()
    # Read by the package when it is loaded.
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    from tokenizer_oracle import chunk_texts
    texts = list(chunk_texts(options.chunks))
    fine = [measure(name, document, texts, options)
            for name, document in trained(texts, options.pieces)]
    for path in options.files:
        data = pathlib.Path(path).read_bytes()
        data = gzip.decompress(data) if path.endswith(".gz") else data
        fine.append(measure(path, data.decode(), texts, options))
    sys.exit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
