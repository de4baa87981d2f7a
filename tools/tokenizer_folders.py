#!/usr/bin/env python3
"""Make tests/fixtures/text/folders, or hold a tokenizer command against it.

    python3 tools/tokenizer_folders.py            write the folders
    python3 tools/tokenizer_folders.py --check    exit 1 if a file would change
    python3 tools/tokenizer_folders.py --count 3000 --command \\
        'build/test_text_folders --folder {path}'

Small tokenizers in all the ways in which a model's folder may have one, and
what transformers' AutoTokenizer gives for some texts: tokenizer.json under each
class, tokenizer_config.json with each setting turned, special_tokens_map.json,
added_tokens.json, and folders of old with vocab.txt, vocab.json and merges.txt,
or a sentencepiece model. With --command all are compared on generated strings.
"""

import json
import logging
import os
import pathlib
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

import transformers
from transformers import AutoTokenizer

import tokenizer_oracle
import tokenizer_parts
from tokenizer_oracle import added
from tokenizer_parts import byte_level, metaspace, part, sequence

FOLDER = tokenizer_parts.FIXTURE.parent / "folders"
TRANSFORMERS = "5.23.0"
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FAIRSEQ = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def wordpiece(specials=None):
    model = tokenizer_parts.wordpiece_model(None)
    pieces = list(specials or BERT)
    pieces += [p for p in model["vocab"] if p not in pieces]
    return pieces


def bpe(strings, specials):
    model = tokenizer_parts.byte_level_model(strings)
    vocab = {s: i for i, s in enumerate(specials)}
    for piece in model["vocab"]:
        vocab.setdefault(piece, len(vocab))
    return vocab, model["merges"]


def unigram(strings, specials, unknown):
    model = tokenizer_parts.unigram_model(strings)
    vocab = [[s, 0.0] for s in specials] + model["vocab"][4:240]
    return {**model, "vocab": vocab, "unk_id": specials.index(unknown)}


def document(model, specials, normalizer=None, pretokenizer=None,
             processor=None, **flags):
    vocab = model["vocab"]
    ids = vocab if isinstance(vocab, dict) else {p: i for i, (p, _) in
                                                 enumerate(vocab)}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [added(s, special=True, **{
                **flags, "id": ids[s], "lstrip": "mask" in s.lower()})
                for s in specials],
            "normalizer": normalizer, "pre_tokenizer": pretokenizer,
            "post_processor": processor, "decoder": None, "model": model}


# sentencepiece's models are written here and not trained: a fixture must be
# the same bytes everywhere.

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


NORMAL, UNKNOWN, CONTROL, USER, _, BYTE = range(1, 7)


def spm(pieces, charsmap=b"", kind=1, **trainer):
    numbers = {"byte_fallback": 35, "unk_id": 40, "bos_id": 41, "eos_id": 42,
               "pad_id": 43, "unk_piece": 45, "bos_piece": 46, "eos_piece": 47}
    out = b"".join(field(1, field(1, text.encode()) + field(2, float(score)) +
                         (field(3, type_) if type_ != NORMAL else b""))
                   for text, score, type_ in pieces)
    spec = field(3, kind) + b"".join(field(numbers[k], v)
                                     for k, v in trainer.items())
    return out + field(2, spec) + field(3, field(1, b"test") +
                                        field(2, charsmap))


def small_charsmap():
    import base64
    return base64.b64decode(tokenizer_parts.charsmap(
        tokenizer_parts.small_map()))


def spm_unigram(strings, specials):
    """SPECIALS: (text, type) of the first pieces."""
    pieces = [(text, 0.0, kind) for text, kind in specials]
    for text, score in unigram(strings, FAIRSEQ, "<unk>")["vocab"][5:]:
        pieces.append((text, score, USER if text in ("user", "the") else
                       NORMAL))
    pieces.append(("<user>", 0.0, USER))
    return pieces


def spm_bpe(strings):
    vocab = tokenizer_parts.plain_model(strings)["vocab"]
    kinds = {"<unk>": UNKNOWN, "<s>": CONTROL, "</s>": CONTROL}
    return [(p, -float(i), kinds.get(p, BYTE if p.startswith("<0x") else NORMAL))
            for p, i in sorted(vocab.items(), key=lambda x: x[1])]


def as_json(value):
    return (json.dumps(value, ensure_ascii=False,
                       separators=(",", ":")) + "\n").encode()


def lines(pieces):
    return ("\n".join(pieces) + "\n").encode()


def folder(model_type, files, settings=None, **config):
    out = {"config.json": as_json({"model_type": model_type, **config})}
    if settings is not None:
        out["tokenizer_config.json"] = as_json(settings)
    for name, value in files.items():
        out[name] = value if isinstance(value, bytes) else as_json(value)
    return out


def bert_folders(strings):
    pieces = wordpiece()
    model = {"type": "WordPiece", "unk_token": "[UNK]",
             "continuing_subword_prefix": "##", "max_input_chars_per_word": 20,
             "vocab": {p: i for i, p in enumerate(pieces)}}
    bert = {"type": "BertNormalizer", "clean_text": True,
            "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": True}
    full = document(model, BERT, bert, part("BertPreTokenizer"),
                    {"type": "BertProcessing", "sep": ["[SEP]", 3],
                     "cls": ["[CLS]", 2]})
    txt = {"vocab.txt": lines(pieces)}
    cls = {"tokenizer_class": "BertTokenizer"}
    yield "bert json", folder("bert", {"tokenizer.json": full}, cls)
    yield "bert json cased", folder("bert", {"tokenizer.json": full}, {
        **cls, "do_lower_case": False, "strip_accents": True})
    yield "bert json no config", folder("bert", {"tokenizer.json": full})
    yield "bert json backend", folder("bert", {"tokenizer.json": full}, {
        "tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False,
        "model_input_names": ["input_ids", "token_type_ids"],
        "cls_token": "[CLS]", "image_token": "<image>",
        "additional_special_tokens": ["foo", "tag"]})
    yield "bert json decoder", folder("bert", {"tokenizer.json": full}, {
        **cls, "added_tokens_decoder": {
            "2": {"content": "[CLS]", "lstrip": False, "rstrip": True,
                  "normalized": False, "single_word": False, "special": True},
            "900": {"content": "tag", "lstrip": True, "rstrip": False,
                    "normalized": True, "single_word": True,
                    "special": False}},
        "additional_special_tokens": ["<new>"], "cls_token": "[CLS]"})
    yield "bert txt", folder("bert", txt)
    yield "bert txt settings", folder("bert", txt, {
        **cls, "do_lower_case": False, "tokenize_chinese_chars": False,
        "strip_accents": False, "never_split": ["foo"],
        "do_basic_tokenize": True, "model_max_length": 10 ** 30})
    yield "bert txt tokens", folder("bert", {
        **txt, "added_tokens.json": {"tag": 400, "<new>": 399, "Foo": 401},
        "special_tokens_map.json": {
            "cls_token": "[CLS]", "sep_token": {
                "content": "[SEP]", "lstrip": False, "normalized": False,
                "rstrip": True, "single_word": False},
            "mask_token": {"content": "the", "lstrip": True,
                           "normalized": True, "rstrip": False,
                           "single_word": True},
            "additional_special_tokens": ["<new>", "é"]}}, cls)
    yield "bert txt other tokens", folder("bert", {
        "vocab.txt": lines(wordpiece(["<p>", "<u>", "<c>", "<e>"])).replace(
            b"\n", b" \t\r\n", 9)}, {
        **cls, "unk_token": "<u>", "cls_token": "<c>", "sep_token": "<e>",
        "pad_token": "<p>", "mask_token": None})
    yield "electra txt", folder("electra", txt, {
        "tokenizer_class": "ElectraTokenizer", "strip_accents": None})
    yield "distilbert txt", folder("distilbert", txt, {
        "tokenizer_class": "DistilBertTokenizer"})
    yield "distilbert config", folder("distilbert", txt)
    yield "nomic json", folder("nomic_bert", {"tokenizer.json": full}, {
        "tokenizer_class": "BertTokenizerFast", "model_input_names": [
            "input_ids", "attention_mask"]})
    yield "modernbert json", folder("modernbert", {"tokenizer.json": full},
                                    cls)
    yield "class of config", folder("new", {"tokenizer.json": full},
                                    {"do_lower_case": False},
                                    tokenizer_class="BertTokenizer")
    yield "unknown class", folder("new", {"tokenizer.json": full}, {
        "tokenizer_class": "OwnTokenizer", "do_lower_case": False})
    mpnet = wordpiece(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
    yield "mpnet txt", folder("mpnet", {"vocab.txt": lines(mpnet)}, {
        "tokenizer_class": "MPNetTokenizer"})
    made = {**model, "vocab": {p: i for i, p in enumerate(mpnet)}}
    yield "mpnet json", folder("mpnet", {"tokenizer.json": document(
        made, ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], bert,
        part("BertPreTokenizer"), {
            "type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0],
            "trim_offsets": True, "add_prefix_space": False})}, {
        "tokenizer_class": "MPNetTokenizer", "strip_accents": False})


def bpe_folders(strings):
    vocab, merges = bpe(strings, FAIRSEQ)
    old = {"vocab.json": vocab,
           "merges.txt": lines(["#version: 0.2", *merges])}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>",
             "continuing_subword_prefix": "", "end_of_word_suffix": "",
             "fuse_unk": True, "byte_fallback": False, "ignore_merges": True,
             "vocab": vocab, "merges": merges}
    roberta = {"type": "RobertaProcessing", "sep": ["</s>", 2],
               "cls": ["<s>", 0], "trim_offsets": True,
               "add_prefix_space": False}
    full = document(model, FAIRSEQ, part("NFC"), byte_level(prefix=True),
                    roberta)
    yield "roberta json", folder("roberta", {"tokenizer.json": full}, {
        "tokenizer_class": "RobertaTokenizer"})
    yield "roberta json prefix", folder("roberta", {"tokenizer.json": full}, {
        "tokenizer_class": "RobertaTokenizer", "add_prefix_space": True})
    yield "roberta old", folder("roberta", old)
    yield "roberta old tokens", folder("roberta", {
        **old, "special_tokens_map.json": {
            "mask_token": {"content": "<mask>", "lstrip": True,
                           "normalized": False, "rstrip": False,
                           "single_word": False},
            "eos_token": "</s>"}}, {
        "tokenizer_class": "RobertaTokenizer", "add_prefix_space": True,
        "mask_token": {"__type": "AddedToken", "content": "<mask>",
                       "lstrip": False, "normalized": True, "rstrip": True,
                       "single_word": False}})
    gpt, merges = bpe(strings, ["<|endoftext|>"])
    old = {"vocab.json": gpt, "merges.txt": lines(merges)}
    yield "gpt2 old", folder("gpt2", old)
    yield "gpt2 bos", folder("gpt2", old, {
        "tokenizer_class": "GPT2Tokenizer", "add_bos_token": True})
    yield "qwen2 old", folder("qwen3", old, {
        "tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": False,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "eos_token": "<|im_end|>", "bos_token": None})
    full = document({**model, "vocab": gpt, "merges": merges,
                     "unk_token": None}, ["<|endoftext|>"], part("NFKC"),
                    byte_level(), {
                        "type": "TemplateProcessing",
                        "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                   {"SpecialToken": {"id": "<|endoftext|>",
                                                     "type_id": 0}}],
                        "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                 {"Sequence": {"id": "B", "type_id": 1}}],
                        "special_tokens": {"<|endoftext|>": {
                            "id": "<|endoftext|>", "ids": [0],
                            "tokens": ["<|endoftext|>"]}}}, lstrip=True)
    qwen = {"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False,
            "add_eos_token": True, "eos_token": "<|endoftext|>"}
    yield "qwen3 json", folder("qwen3", {"tokenizer.json": full}, qwen)
    yield "qwen2 json", folder("qwen2", {"tokenizer.json": full}, {
        **qwen, "added_tokens_decoder": {
            "0": {"content": "<|endoftext|>", "lstrip": True, "rstrip": True,
                  "normalized": False, "single_word": False, "special": True},
            "601": {"content": "<think>", "lstrip": False, "rstrip": False,
                    "normalized": False, "single_word": False,
                    "special": False}}})
    yield "llama bytes", folder("llama", {"tokenizer.json": full}, {
        "tokenizer_class": "LlamaTokenizer"})
    plain = tokenizer_parts.plain_model(strings)
    llama = document(plain, ["<unk>", "<s>", "</s>"], sequence(
        "normalizers", part("Prepend", prepend="\u2581"), part(
            "Replace", pattern={"String": " "}, content="\u2581")), None,
        {"type": "TemplateProcessing",
         "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}}],
         "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                  {"Sequence": {"id": "A", "type_id": 0}},
                  {"SpecialToken": {"id": "<s>", "type_id": 1}},
                  {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {"<s>": {"id": "<s>", "ids": [1],
                                    "tokens": ["<s>"]}}})
    for name, settings in (("llama json", {}), ("llama legacy", {
            "legacy": True}), ("llama no prefix", {
                "add_prefix_space": False, "add_eos_token": True})):
        yield name, folder("llama", {"tokenizer.json": llama}, {
            "tokenizer_class": "LlamaTokenizer", **settings})
    yield "mistral json", folder("mistral", {"tokenizer.json": llama}, {
        "tokenizer_class": "LlamaTokenizer"})
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    table = {p: i for i, p in enumerate(pieces)}
    for piece in plain["vocab"]:
        table.setdefault(piece, len(table))
    gemma = document({**plain, "vocab": table}, pieces, None, None, None)
    yield "gemma json", folder("gemma3_text", {"tokenizer.json": gemma}, {
        "tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>"})


def unigram_folders(strings):
    charsmap = part("Precompiled", precompiled_charsmap=tokenizer_parts.
                    charsmap(tokenizer_parts.small_map()))
    model = unigram(strings, FAIRSEQ, "<unk>")
    around = {"type": "RobertaProcessing", "sep": ["</s>", 2],
              "cls": ["<s>", 0], "trim_offsets": True,
              "add_prefix_space": True}
    full = document(model, FAIRSEQ, sequence("normalizers", charsmap, part(
        "Replace", pattern={"Regex": " {2,}"}, content=" ")), metaspace(),
        around)
    control = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    pieces = spm_unigram(strings, control)
    smallmap = small_charsmap()
    xlmr = {"tokenizer_class": "XLMRobertaTokenizer"}
    yield "xlm-r json", folder("xlm-roberta", {"tokenizer.json": full}, xlmr)
    yield "xlm-r json bare", folder("gte", {"tokenizer.json": {
        **full, "normalizer": None}}, {**xlmr, "add_prefix_space": False})
    yield "xlm-r old", folder("xlm-roberta", {
        "sentencepiece.bpe.model": spm(pieces, smallmap)}, xlmr)
    yield "xlm-r old no map", folder("xlm-roberta", {
        "sentencepiece.bpe.model": spm(pieces)}, {
        **xlmr, "mask_token": {"__type": "AddedToken", "content": "<mask>",
                               "lstrip": True, "rstrip": False,
                               "normalized": True, "single_word": False}})
    yield "camembert old", folder("camembert", {
        "sentencepiece.bpe.model": spm(spm_unigram(strings, [
            ("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]),
            smallmap)})
    camembert = unigram(strings, ["<s>NOTUSED", "<pad>", "</s>NOTUSED",
                                  "<unk>", "<unk>NOTUSED", "<s>", "</s>",
                                  "<mask>"], "<unk>")
    yield "camembert json", folder("camembert", {"tokenizer.json": document(
        camembert, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], charsmap,
        metaspace(), {**around, "sep": ["</s>", 6], "cls": ["<s>", 5]})}, {
        "tokenizer_class": "CamembertTokenizer"})
    names = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    albert = [("<pad>", CONTROL), ("<unk>", UNKNOWN), ("[CLS]", CONTROL),
              ("[SEP]", CONTROL), ("[MASK]", USER)]
    cls = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    yield "albert json", folder("albert", {"tokenizer.json": document(
        unigram(strings, names, "<unk>"), names, charsmap, metaspace(), cls)},
        {"tokenizer_class": "AlbertTokenizer"})
    yield "albert old", folder("albert", {
        "spiece.model": spm(spm_unigram(strings, albert), smallmap, unk_id=1)})
    yield "albert old settings", folder("albert", {
        "spiece.model": spm(spm_unigram(strings, albert), unk_id=1)}, {
        "tokenizer_class": "AlbertTokenizer", "keep_accents": True,
        "do_lower_case": False, "remove_space": True,
        "add_prefix_space": False})
    names = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    deberta = [("[PAD]", CONTROL), ("[CLS]", CONTROL), ("[SEP]", CONTROL),
               ("[UNK]", UNKNOWN)]
    yield "deberta json", folder("deberta-v2", {"tokenizer.json": document(
        unigram(strings, names, "[UNK]"), names, charsmap, metaspace(), cls)},
        {"tokenizer_class": "DebertaV2Tokenizer", "vocab_type": "spm"})
    yield "deberta old", folder("deberta-v2", {
        "spm.model": spm(spm_unigram(strings, deberta), smallmap, unk_id=3),
        "added_tokens.json": {"[MASK]": 242}}, {
        "do_lower_case": False, "vocab_type": "spm"})
    yield "deberta old settings", folder("deberta-v2", {
        "spm.model": spm(spm_unigram(strings, deberta), smallmap, unk_id=3)}, {
        "tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": True,
        "split_by_punct": True, "add_prefix_space": False})
    t5 = [("<pad>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN)]
    yield "t5 old", folder("t5", {"spiece.model": spm(
        spm_unigram(strings, t5), smallmap, unk_id=2)}, {
        "tokenizer_class": "T5Tokenizer"})
    yield "t5 old no extra", folder("t5", {"spiece.model": spm(
        spm_unigram(strings, t5), unk_id=2)}, {
        "tokenizer_class": "T5Tokenizer", "extra_ids": 0})
    names = ["<pad>", "</s>", "<unk>", "<extra_id_0>"]
    yield "t5 json", folder("t5", {"tokenizer.json": document(
        unigram(strings, names, "<unk>"), names, charsmap, metaspace(), None)},
        {"tokenizer_class": "T5Tokenizer", "extra_ids": 1,
         "additional_special_tokens": ["<extra_id_0>"]})
    bpes = spm(spm_bpe(strings), kind=2, byte_fallback=1)
    yield "llama old", folder("llama", {"tokenizer.model": bpes}, {
        "tokenizer_class": "LlamaTokenizer", "add_bos_token": True,
        "add_eos_token": False})
    yield "llama old eos", folder("llama", {"tokenizer.model": bpes}, {
        "tokenizer_class": "LlamaTokenizer", "add_bos_token": True,
        "add_eos_token": True, "legacy": True})
    yield "no class bpe", folder("new", {"tokenizer.model": bpes}, {
        "tokenizer_class": "OwnTokenizer", "add_eos_token": True,
        "added_tokens_decoder": {"5": {
            "content": "<renamed>", "lstrip": False, "rstrip": False,
            "normalized": False, "single_word": False, "special": True}}})
    yield "no class unigram", folder("new", {"tokenizer.model": spm(
        pieces, smallmap)}, {"tokenizer_class": "OwnTokenizer"})
    for name, settings in [
            ("bare", {"add_bos_token": False}), ("eos", {"add_eos_token": True}),
            ("nulls", {"do_lower_case": None, "keep_accents": None,
                       "add_prefix_space": None})]:
        yield f"albert old {name}", folder("albert", {
            "spiece.model": spm(spm_unigram(strings, albert), unk_id=1)}, {
            "tokenizer_class": "AlbertTokenizer", **settings})
    yield "deberta old nulls", folder("deberta-v2", {
        "spm.model": spm(spm_unigram(strings, deberta), unk_id=3)}, {
        "tokenizer_class": "DebertaV2Tokenizer", "add_prefix_space": None})


def folders():
    strings = tokenizer_oracle.Strings(17)
    for make in (bert_folders, bpe_folders, unigram_folders):
        yield from make(strings)


def put(path, files):
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_bytes(content)


def judge_of(path):
    return AutoTokenizer.from_pretrained(str(path))


def answers_of(judge, texts):
    """Ids of each text, and the second of the pair of it with itself. As a
    batch: alone, an empty second text would be none at all. In parts, or a
    hundred thousand texts are gigabytes."""
    answers = []
    for start in range(0, len(texts), 5000):
        some = texts[start:start + 5000]
        pairs = judge(some, some)
        types = pairs.get("token_type_ids",
                          [[0] * len(ids) for ids in pairs["input_ids"]])
        seconds = [row.index(1) if 1 in row else len(row) for row in types]
        answers += zip(judge(some)["input_ids"], seconds)
    return answers


def texts_of(strings, count, judge):
    vocab = sorted(t for t in judge.get_vocab())
    texts = tokenizer_parts.texts_of(strings, count, vocab)
    more = ["<user> user the", "[MASK]", " <mask> x", "x [MASK] [mask]", "tag",
            "a tag b Tag <new> <image> foo", "Foo foo é", "<extra_id_0> a",
            "<|im_start|> x <|im_end|>", "<think>", "  <|endoftext|>  x",
            "<s> </s>", "``x''", "  two  \n spaces\t", "the[SEP] x",
            "<renamed> <0x41>", "\u00c9cole \u0130stanbul \u4e2d\u6587!"]
    return texts + more


def write(target):
    strings = tokenizer_oracle.Strings(19)
    rows = []
    for name, files in folders():
        path = target / name.replace(" ", "_")
        put(path, files)
        judge = judge_of(path)
        texts = [t[:120] for t in texts_of(strings, 6, judge)] + [""]
        answers = answers_of(judge, texts)
        rows.append({"folder": path.name, "texts": texts,
                     "ids": [ids for ids, _ in answers],
                     "seconds": [second for _, second in answers]})
    text = json.dumps(rows, separators=(",", ":")).replace(
        '{"folder"', '\n{"folder"') + "\n"
    (target / "reference.json").write_text(text, "utf-8")


def same(a, b):
    names = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file())
    return (b.exists() and names == sorted(
        p.relative_to(b) for p in b.rglob("*") if p.is_file()) and
        all((a / n).read_bytes() == (b / n).read_bytes() for n in names))


def hold(command, name, path, strings, count):
    judge = judge_of(path)
    texts = texts_of(strings, count * 2 // 3, judge)
    words = [w.replace("{path}", str(path)) for w in shlex.split(command)]
    data = "".join(json.dumps(t) + "\n" for t in texts).encode()
    done = subprocess.run(words, input=data, check=False, capture_output=True)
    if done.returncode:
        print(f"{name}: status {done.returncode}: {done.stderr.decode()}")
        return 1, 0
    answers = [json.loads(x) for x in done.stdout.decode().splitlines()]
    if "refused" in answers[0]:
        print(f"{name}: refused: {answers[0]['refused']}")
        return 1, 0
    wrong = 0
    for text, got, (ids, second) in zip(texts, answers,
                                        answers_of(judge, texts)):
        if got == {"ids": ids, "second": second}:
            continue
        wrong += 1
        if wrong <= 2:
            print(f"{name}: {ascii(text[:200])}\n  got      {got}\n"
                  f"  expected {ids} {second}")
    print(f"{name}: {len(texts)} texts, {wrong} differ", flush=True)
    return wrong, len(texts)


def compare(options):
    strings = tokenizer_oracle.Strings(options.seed)
    wrong = total = made = 0
    with tempfile.TemporaryDirectory() as base:
        for name, files in folders():
            if options.only and options.only not in name:
                continue
            path = pathlib.Path(base) / name.replace(" ", "_")
            put(path, files)
            one, count = hold(options.command, name, path, strings,
                              options.count)
            wrong, total, made = wrong + one, total + count, made + 1
    print(f"{made} folders, {total} texts: {wrong} differences")
    sys.exit(1 if wrong else 0)


def main():
    parser = tokenizer_oracle.reference_parser(__doc__)
    parser.add_argument("--only", help="folders with this in their name")
    options = parser.parse_args()
    tokenizer_oracle.made_with(transformers, TRANSFORMERS)
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    if options.command:
        compare(options)
    with tempfile.TemporaryDirectory() as base:
        made = pathlib.Path(base) / "folders"
        made.mkdir()
        write(made)
        changed = not same(made, FOLDER)
        if changed and not options.check:
            shutil.rmtree(FOLDER, ignore_errors=True)
            shutil.copytree(made, FOLDER)
    verb = "would change" if options.check else "wrote"
    print(f"{verb} folders" if changed else "folders are as they would be")
    sys.exit(1 if changed and options.check else 0)


if __name__ == "__main__":
    main()
