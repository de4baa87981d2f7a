#!/usr/bin/env python3
"""fastembed's BM25 as the judge of ours.

    python tools/bm25_oracle.py --fixture          make tests/fixtures/text/bm25.json
    python tools/bm25_oracle.py PROGRAM [--texts N] [--seed S] [--chunks FOLDER]

PROGRAM is the built test_text_bm25. Compares, in every language, N generated
texts (default 2000), and in English every chunk below FOLDER. Needs fastembed
0.9.1 (in an environment of its own: it wants an older huggingface_hub) and a
Python of Unicode 14 (3.11); no network: the stopwords are given to it.
"""

import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from fastembed import SparseTextEmbedding

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURE = ROOT / "tests/fixtures/text/bm25.json"
DEFAULTS = {"k": 1.2, "b": 0.75, "avg_len": 256.0, "token_max_length": 40}

# A language's letters, and some of its shortest words as stopwords: which they
# are does not matter here, only that both sides have the same.
LANGUAGES = {
    "english": ("abcdefghijklmnopqrstuvwxyz", None),
    "arabic": ("ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءأإآؤئًٌٍَُِّْـ", "في\nمن\nعلى\n"),
    "danish": ("abcdefghijklmnopqrstuvwxyzæøåé", "og\ni\njeg\n"),
    "dutch": ("abcdefghijklmnopqrstuvwxyzëïéè", "de\nhet\neen\n"),
    "german": ("abcdefghijklmnopqrstuvwxyzäöüß", "der\ndie\nund\nfür\n"),
    "greek": ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊΐϋ", "και\nτο\nς\n"),
    "hungarian": ("abcdefghijklmnoprstuvzáéíóöőúüűy", "a\naz\nés\n"),
    "italian": ("abcdefghilmnopqrstuvzàèéìòù", "di\nche\nè\n"),
    "norwegian": ("abcdefghijklmnopqrstuvwxyzæøåé", "og\ni\ndet\n"),
    "portuguese": ("abcdefghijlmnopqrstuvxzáâãàçéêíóôõú", "de\na\no\n"),
    "romanian": ("abcdefghijlmnoprstuvxzăâîșțşţ", "și\nde\nla\n"),
    "russian": ("абвгдежзийклмнопрстуфхцчшщъыьэюяё", "и\nв\nне\nмоё\n"),
    "spanish": ("abcdefghijlmnñopqrstuvxyzáéíóúü", "de\nla\nque\n"),
    "swedish": ("abcdefghijklmnopqrstuvwxyzåäöé", "och\ndet\natt\n"),
    "tamil": ("அஆஇஈஉஊஎஏஐஒஓகஙசஜஞடணதநனபமயரறலளழவஷஸஹாிீுூெேைொோௌ்", ""),
    "turkish": ("abcçdefgğhıijklmnoöprsştuüvyz", "ve\nbir\nİçin\n"),
}
ENGLISH_ENDINGS = """s es ed ing ingly edly ly er est ation ational ousness fulness
iveness ization al ence able ible ant ement ment ent ism ate iti ous ive ize y ied
ies ss us ogi ogist li lli eed eedly 's""".split()
ODD = list("__-'.,;:!?()[]{}<>/\\|@#$%^&*+=~`\"\t\n\r\x0b\x0c\x1c\x85\u00a0\u2003\u3000")
ODD += ["...", " - ", "\u2019", "\u00ad", "\u200b", "\u200d", "\u0307", "\u0301", "²", "½",
        "Ⅷ", "٣", "中文", "日本語", "한국어", "İ", "ı", "ß", "ẞ", "Σ", "ΑΣ", "Σα", "ΑΣʰ", "ΑΣʰα",
        "ʰΣ", "ǅ", "ﬁ", "Ԁ", "𝐀𝐛", "😀", "e\u0301", "Å", "ⓐ", "Ⓐ", "ª", "·", "a·b", "a:b"]


def english_stopwords():
    """The list as our source has it."""
    source = (ROOT / "src/text/bm25_languages.c").read_text()
    body = source[source.index("ENGLISH[]"):]
    body = body[: body.index(";")]
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', body)).replace("\\n", "\n")


def stopwords_of(language):
    listed = LANGUAGES[language][1]
    return english_stopwords() if listed is None else listed


def fastembed(language, stopwords, **options):
    folder = tempfile.mkdtemp()
    pathlib.Path(folder, f"{language}.txt").write_text(stopwords)
    pathlib.Path(folder, "config.json").write_text("{}")
    return SparseTextEmbedding(
        "Qdrant/bm25", specific_model_path=folder, language=language, **{**DEFAULTS, **options}
    )


def pairs(vector):
    """Index and value, by index."""
    return sorted(zip(vector.indices.tolist(), map(float, vector.values.tolist())))


def random_word(rng, language):
    letters = LANGUAGES[language][0]
    word = "".join(rng.choice(letters) for _ in range(rng.choice([1, 2, 3, 5, 7, 9, 12, 38, 45])))
    if language == "english" and rng.random() < 0.7:
        word += rng.choice(ENGLISH_ENDINGS) + rng.choice(ENGLISH_ENDINGS + [""] * 20)
    kind = rng.random()
    if kind < 0.1:
        word = word.upper()
    elif kind < 0.2:
        word = word.capitalize()
    elif kind < 0.3:
        word += rng.choice("0123456789") * rng.choice([1, 1, 2, 3])
    return word


def random_text(rng, language):
    stops = stopwords_of(language).split() or ["a"]
    vocabulary = [random_word(rng, language) for _ in range(rng.choice([1, 5, 40]))]
    text = ""
    for _ in range(rng.choice([0, 1, 3, 20, 200])):
        kind = rng.random()
        if kind < 0.15:
            text += rng.choice(stops)
        elif kind < 0.4:
            text += rng.choice(ODD)
        elif kind < 0.42:
            text += chr(rng.choice([rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000)]))
        else:
            text += rng.choice(vocabulary)
        if rng.random() < 0.8:
            text += " "
    return text


def compare(program, language, texts):
    """The texts that differ."""
    stopwords = stopwords_of(language)
    with tempfile.TemporaryDirectory() as folder:
        words, file = pathlib.Path(folder, "stopwords"), pathlib.Path(folder, "texts")
        words.write_text(stopwords)
        file.write_bytes(b"".join(t.encode() + b"\0" for t in texts))
        printed = subprocess.run(
            [program, "pairs", language, words, file], check=True, capture_output=True, text=True
        ).stdout.split("\n")
    ours = [[tuple(p.split(":")) for p in line.split()] for line in printed]
    ours = [[(int(i), float(v)) for i, v in line] for line in ours]
    model = fastembed(language, stopwords)
    wrong, largest = [], 0.0
    for t, (document, query) in enumerate(zip(model.embed(texts), model.query_embed(texts))):
        for mine, theirs in zip(ours[2 * t : 2 * t + 2], (pairs(document), pairs(query))):
            if [p[0] for p in mine] != [p[0] for p in theirs]:
                wrong.append(texts[t])
                continue
            largest = max([largest] + [abs(a[1] - b[1]) for a, b in zip(mine, theirs)])
    print(f"{language}: {len(texts)} texts, {len(wrong)} differ, largest difference {largest:.2g}")
    for text in wrong[:3]:
        print("   ", repr(text)[:300])
    return len(wrong) + (largest > 1e-6)


def chunks(folder):
    for path in sorted(folder.rglob("*_chunks.json")):
        found = json.loads(path.read_text(errors="replace"))
        for chunk in found if isinstance(found, list) else found.get("chunks", []):
            text = chunk.get("text") or chunk.get("content") or ""
            yield text.replace("\0", " ").encode("utf-8", "replace").decode()


def group(language, texts, stopwords=None, **options):
    given = stopwords if stopwords is not None else LANGUAGES[language][1]
    model = fastembed(language, stopwords_of(language) if given is None else given, **options)
    cases = []
    for text, document, query in zip(texts, model.embed(texts), model.query_embed(texts)):
        case = {"text": text}
        for name, vector in (("document", document), ("query", query)):
            found = pairs(vector)
            case[name] = {"indices": [p[0] for p in found],
                          "values": [float(f"{p[1]:.9g}") for p in found]}
        cases.append(case)
    return {"language": language, "stopwords": given, **{**DEFAULTS, **options}, "cases": cases}


def make_fixture():
    rng = random.Random(7)
    real = [
        "You should stay, study and sprint.",
        "History can only prepare us to be surprised yet again.",
        "",
        " \t\n",
        "the THE The a _ __ _x_ don't can't it's",
        "def encode_batch(self, texts: list[str], *, batch_size=32) -> np.ndarray:",
        "İstanbul'da ΟΔΥΣΣΕΥΣ ΑΣ ΑΣʰ ΑΣʰα ΣΑ Σ ẞ ǅ Å ﬁ ½ ² ٣",
        "中文分词 日本語のテキスト 한국어 ไทย हिन्दी",
        # Two words with one index: the one that is seen first later counts.
        "x36582 x41893 x41893 other",
        "x41893 x36582 x41893 other",
        "x41199 x76339 x41199",
        "x76339 x41199 x41199",
        "a" * 40 + " " + "b" * 41 + " " + "é" * 40 + " " + "É" * 41,
    ]
    small = [random_text(rng, "english")[:400] for _ in range(40)]
    groups = [
        group("english", real + small),
        group("english", real, k=0.0, b=0.0),
        group("english", real + small[:6], k=2.5, b=1.0, avg_len=3.5, token_max_length=5),
        group("english", real, stopwords=""),
    ]
    for language in LANGUAGES:
        if language != "english":
            texts = [random_text(rng, language)[:250] for _ in range(8)]
            if language == "danish":  # doubles at the end, before and behind the region
                texts.append("00 000 a00 ab00 b00 bba00 a11 aé11 abé11 bogg hus55 hund__ ___ aa éé "
                             "ééé bééé aééé aaééé øl22 å33 ab é11 bé11 x77 xa77 xab77 aaa99")
            groups.append(group(language, texts))
    groups.append(group("english", real[:8], k=1.5, b=0.5, avg_len=20.0))
    FIXTURE.write_text(json.dumps(groups, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{FIXTURE.name}: {FIXTURE.stat().st_size} bytes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--fixture", action="store_true")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chunks", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.fixture:
        make_fixture()
    if not arguments.program:
        return 0
    wrong = 0
    for language in LANGUAGES:
        rng = random.Random(f"{arguments.seed} {language}")
        texts = [random_text(rng, language) for _ in range(arguments.texts)]
        wrong += compare(arguments.program, language, texts)
    if arguments.chunks:
        wrong += compare(arguments.program, "english", list(chunks(arguments.chunks)))
    return 1 if wrong else 0


sys.exit(main())
