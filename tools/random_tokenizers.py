"""Tokenizer files and texts of a random model, for random_models.py; or alone.

    tools/random_tokenizers.py PROGRAM --seeds 0-99

Alone they are files beside a small BERT, and only ids are compared.

A tokenizer is one of the folders of tests/fixtures/text (every class that there
is), one of its parts (every part of tokenizer.json), or trained here with parts
that are drawn. Texts are random Unicode, sentences in many languages, and
lengths around the limit.
"""

import json
import pathlib
import random
import shutil
import sys

import numpy
import tokenizers
from tokenizers import normalizers, pre_tokenizers, processors, trainers

import tokenizer_oracle
from make_models import TEXTS, WORDS, write_tokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = ROOT / "tests" / "fixtures" / "text"
STRINGS = tokenizer_oracle.Strings(1)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CORPUS = [line for name in ("README.md", "docs/models.md", "docs/memory.md")
          for line in (ROOT / name).read_text().splitlines()] + TEXTS

# The first article of the Universal Declaration of Human Rights.
SENTENCES = """
All human beings are born free and equal in dignity and rights.
Tous les êtres humains naissent libres et égaux en dignité et en droits.
Alle Menschen sind frei und gleich an Würde und Rechten geboren.
Todos los seres humanos nacen libres e iguales en dignidad y derechos.
Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.
Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.
Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.
Minden emberi lény szabadon születik és egyenlő méltósága és joga van.
Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.
Все люди рождаются свободными и равными в своем достоинстве и правах.
Всі люди народжуються вільними і рівними у своїй гідності та правах.
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια.
יולדו כל בני האדם בני חורין ושווים בערכם ובזכויותיהם.
يولد جميع الناس أحراراً متساوين في الكرامة والحقوق.
تمام انسان‌ها آزاد به دنیا می‌آیند و از نظر حیثیت و حقوق با هم برابرند.
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।
সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।
மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்.
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ
人人生而自由，在尊严和权利上一律平等。
人人生而自由﹐在尊嚴和權利上一律平等。
すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.
Բոլոր մարդիկ ծնվում են ազատ ու հավասար՝ իրենց արժանապատվությամբ ու իրավունքներով։
የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።
མི་རིགས་ལ་ཡོངས་ལ་སྐྱེས་ཙམ་ཉིད་ནས་ཆེ་མཐོངས་དང༌།
Binadamu wote wamezaliwa huru, hadhi na haki zao ni sawa.
""".strip().splitlines()


# ---- trained ----------------------------------------------------------------

def normalizer(r):
    n = normalizers
    parts = [n.NFC, n.NFKC, n.NFD, n.NFKD, n.Lowercase, n.StripAccents, n.Nmt,
             lambda: n.Strip(r.random() < 0.5, r.random() < 0.5),
             lambda: n.Replace(tokenizers.Regex(r.choice([" {2,}", "[0-9]",
                                                          "\\s+"])), " "),
             lambda: n.Replace("e", "E"), lambda: n.Prepend("\u2581"),
             lambda: n.BertNormalizer(*(r.random() < 0.5 for _ in range(4)))]
    chosen = [r.choice(parts)() for _ in range(r.choice([0, 1, 1, 2, 3]))]
    return n.Sequence(chosen) if chosen else None


def pre_tokenizer(r):
    p = pre_tokenizers
    behavior = r.choice(["removed", "isolated", "merged_with_previous",
                         "merged_with_next", "contiguous"])
    parts = [p.BertPreTokenizer, p.Whitespace, p.WhitespaceSplit,
             lambda: p.Digits(r.random() < 0.5),
             lambda: p.Punctuation(behavior),
             lambda: p.Split(tokenizers.Regex(r.choice(
                 ["\\p{N}{1,3}", "[aeiou]", "\\s+(?!\\S)|\\s+", "\\W"])),
                 behavior, r.random() < 0.3),
             lambda: p.Metaspace("\u2581", r.choice(
                 ["always", "first", "never"]), r.random() < 0.7),
             lambda: p.FixedLength(r.randint(1, 6)), p.UnicodeScripts,
             lambda: p.CharDelimiterSplit(r.choice("e \u00e9"))]
    chosen = [r.choice(parts)() for _ in range(r.choice([1, 1, 2, 3]))]
    if r.random() < 0.3:
        chosen.append(p.ByteLevel(r.random() < 0.5, r.random() < 0.5))
    return p.Sequence(chosen)


def model_and_trainer(r):
    m, size = tokenizers.models, r.choice([150, 300, 700])
    kind = r.choice(["bpe", "bytes", "wordpiece", "unigram", "wordlevel"])
    options = {"vocab_size": size, "special_tokens": SPECIAL,
               "show_progress": False}
    if kind == "bytes":
        letters = pre_tokenizers.ByteLevel.alphabet()
        return kind, m.BPE(), trainers.BpeTrainer(
            **{**options, "vocab_size": size + 256}, initial_alphabet=letters)
    if kind == "bpe":
        return kind, m.BPE(unk_token=r.choice(["[UNK]", None]),
                           fuse_unk=r.random() < 0.5), trainers.BpeTrainer(
            **options)
    if kind == "wordpiece":
        return kind, m.WordPiece(
            unk_token="[UNK]", max_input_chars_per_word=r.choice([5, 100])
        ), trainers.WordPieceTrainer(**options)
    if kind == "unigram":
        return kind, m.Unigram(), trainers.UnigramTrainer(
            **{**options, "vocab_size": size + 250}, unk_token="[UNK]")
    return kind, m.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(
        **options)


def template(r, made):
    shape = r.choice(["[CLS] $A [SEP]", "[CLS] $A", "$A [SEP]", "$A",
                      "[CLS] [CLS] $A [SEP]", "$A [SEP] [SEP]"])
    if r.random() < 0.1:
        shape = " ".join(part + ":1" for part in shape.split())
    return processors.TemplateProcessing(
        single=shape, special_tokens=[(t, made.token_to_id(t))
                                      for t in ("[CLS]", "[SEP]")])


def trained(r, folder):
    kind, model, trainer = model_and_trainer(r)
    made = tokenizers.Tokenizer(model)
    made.normalizer = normalizer(r)
    made.pre_tokenizer = pre_tokenizer(r)
    if kind == "bytes":
        made.pre_tokenizer = r.choice([
            pre_tokenizers.ByteLevel(r.random() < 0.5),
            pre_tokenizers.Sequence([made.pre_tokenizer,
                                     pre_tokenizers.ByteLevel(
                                         use_regex=False)])])
    made.train_from_iterator(CORPUS + (SENTENCES if r.random() < 0.3 else []),
                             trainer)
    made.add_special_tokens(SPECIAL)
    made.post_processor = template(r, made)
    if r.random() < 0.4:
        made.add_tokens([tokenizers.AddedToken(
            word, single_word=r.random() < 0.3, lstrip=r.random() < 0.3,
            rstrip=r.random() < 0.3, normalized=r.random() < 0.5)
            for word in ("foo bar", "tag-a", "lefty", "the", "\u00c9cole")])
    if r.random() < 0.3:
        made.enable_truncation(r.randint(4, 30))
    made.save(str(folder / "tokenizer.json"))
    change_settings(folder, tokenizer_class=r.choice(
        ["PreTrainedTokenizerFast", "TokenizersBackend"]), **{
            t.strip("[]").lower() + "_token": t for t in SPECIAL})
    return "trained " + kind


def change_settings(folder, **more):
    path = folder / "tokenizer_config.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **more}))


# ---- as the tests have them -------------------------------------------------

def of_class(r, folder, wanted):
    """A folder of a class; WANTED: part of its name."""
    names = sorted(p.name for p in (TEXT / "folders").iterdir() if p.is_dir())
    fitting = [n for n in names if n.startswith(wanted)]
    if fitting and (wanted == "qwen2" or r.random() < 0.6):
        names = fitting
    name = r.choice(names)
    source = TEXT / "folders" / name
    for path in source.iterdir():
        if path.name != "config.json":
            shutil.copy(path, folder / path.name)
    # Without a class the model's type would choose another one.
    path = folder / "tokenizer_config.json"
    saved = json.loads(path.read_text()) if path.exists() else {}
    kind = {"bert": "Bert", "distilbert": "DistilBert", "mpnet": "MPNet",
            "electra": "Electra", "roberta": "Roberta", "xlm-r": "XLMRoberta",
            "camembert": "Camembert", "albert": "Albert", "t5": "T5",
            "deberta": "DebertaV2", "llama": "Llama", "gpt2": "GPT2",
            "qwen2": "Qwen2", "gemma": "Gemma"}.get(name.split("_")[0])
    if kind and "tokenizer_class" not in saved:
        saved["tokenizer_class"] = kind + "Tokenizer"
    path.write_text(json.dumps(saved))
    return name


def of_parts(r, folder):
    parts = json.loads((TEXT / "parts.json").read_text())
    row = r.choice(parts["tokenizers"])
    first = next(t for t in parts["tokenizers"] if t["base"] == row["base"])
    document = {"version": "1.0", "truncation": None, "padding": None,
                "normalizer": None, "pre_tokenizer": None,
                "post_processor": None, "decoder": None,
                **row["tokenizer"], "added_tokens": parts["added_tokens"],
                "model": {**first["tokenizer"]["model"],
                          **row["tokenizer"].get("model", {})}}
    made = tokenizers.Tokenizer.from_str(json.dumps(document))
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast"}))
    return "part " + row["name"][:20]


def plain(r, folder):
    write_tokenizer(folder, cased=r.random() < 0.5, model_max_length=None,
                    left_limit=r.choice([0, 12]))
    return "plain wordpiece"


def write(r, folder, family):
    """Files of a tokenizer in FOLDER; what it is, in words."""
    if family == "qwen2":
        return of_class(r, folder, "qwen2")
    kind = r.choice(["plain", "trained", "trained", "class", "part"])
    if kind == "class":
        return of_class(r, folder, {"xlm-roberta": "xlm-r", "gemma3_text":
                                    "gemma"}.get(family, family.split("-")[0]))
    return {"plain": plain, "trained": trained, "part": of_parts}[kind](
        r, folder)


# ---- texts ------------------------------------------------------------------

BLANKS = [" ", "\n", "\t \n", "\u3000", "\u00a0\u2003", "\u200b", "\ufeff",
          "\0", "\x01\x02", "\u0301", "\u2028", "\x85"]


def around(r, count, judge, limit):
    """A text of COUNT tokens, if the tokenizer has one, or of few more."""
    got = [r.choice(WORDS)]
    while len(judge(" ".join(got))) < count and len(got) < 3 * count:
        need = count - len(judge(" ".join(got)))
        got += [r.choice(WORDS) for _ in range(max(1, need // 3))]
    return " ".join(got)


def texts(r, judge, limit, specials):
    """JUDGE: ids of a text, uncut."""
    STRINGS.random = r
    got = ["", r.choice(BLANKS), r.choice(BLANKS), "a", r.choice("\u4e2d\U0001f525.")]
    got += [STRINGS.one() for _ in range(8)]
    got += r.sample(TEXTS, 4) + [r.choice(CORPUS) or "x"]
    got += [around(r, n, judge, limit) for n in
            (limit - 1, limit, limit + 1, r.randint(1, limit))]
    got.append(r.choice(["a", "\u00e9", " ", "[", "\u4e2d", "a ", "\u0301",
                         "\U0001f469\u200d", "\u1100"]) * r.choice(
                             [50, 500, 3000]))
    got.append("".join(chr(c) for c in (r.randrange(0x110000) for _ in range(
        r.choice([5, 50, 400]))) if not 0xD800 <= c <= 0xDFFF))
    if specials:
        got.append(r.choice(["", "x ", "the"]).join(
            r.choice(specials) for _ in range(r.randint(1, 6))) + " x")
    got += r.sample(SENTENCES, 3)
    first, second = r.sample(SENTENCES, 2)
    got.append(first[:r.randrange(len(first))] + r.choice(["", " ", "\u200d"]) +
               second[r.randrange(len(second)):].upper())
    return got


# ---- alone ------------------------------------------------------------------

def draw(folder, seed):
    """(kind, in words, None)."""
    import random_folders
    r = random.Random(f"tokenizer {seed}")
    small = ROOT / "tests" / "fixtures" / "models" / "mean"
    for name in ("config.json", "model.safetensors", "modules.json",
                 "1_Pooling"):
        copy = shutil.copytree if (small / name).is_dir() else shutil.copy
        copy(small / name, folder / name)
    words = write(r, folder, r.choice(["bert", "t5", "llama", "roberta"]))
    (folder / "sentence_bert_config.json").write_text(json.dumps({
        "max_seq_length": r.choice([4, 8, 20, 64]),
        "do_lower_case": r.random() < 0.2}))
    words += "".join(random_folders.tokenizer_keys(r, folder)
                     for _ in range(3))
    return words.split(";")[0], words, None


def judge(program, folder, seed):
    import random_models as rm
    from sentence_transformers import SentenceTransformer
    try:
        model = SentenceTransformer(str(folder), device="cpu")
        by = model.tokenizer
        some = texts(random.Random(seed), lambda t: by(t)["input_ids"],
                     model.max_seq_length, list(by.all_special_tokens))
        good, ids, bad = rm.sound(lambda t: numpy.array(by(
            t, truncation=True, max_length=model.max_seq_length)["input_ids"]),
            some, zero=True)
    except Exception as problem:
        raise rm.Library(f"{type(problem).__name__}: {problem}") from problem
    wrong = [f"ids of {text[:60]!r}: {a[:12]} and not {list(b[:12])}"
             for text, a, b in zip(good, program.ids(good), ids)
             if a != list(b)]
    return wrong, len(good), len(bad)


def main():
    import random_models as rm
    options = rm.parse("Random tokenizers, held against transformers.")
    return 1 if rm.seeds(options, draw, lambda folder, seed, _: judge(
        rm.Program(options.program, folder, None), folder, seed)
        ).findings else 0


if __name__ == "__main__":
    sys.exit(main())
