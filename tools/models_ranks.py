"""Small models that score many texts for a question, for models_heads.py: a
language model that says yes or no, one that reads all texts at once, a dense
one with prompts.

Each row of a reference has a `question`, its `texts` and their `scores`. The
first kind is what CrossEncoder of sentence-transformers makes of the folder,
the dense one its SentenceTransformer. jina-reranker-v3's own code is not a
library's: its formula is written down here, in list_scores (formula only)."""

import shutil

import numpy
import tokenizers
import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

import make_models as base
import models_decoder as decoder

CHAT = (
    '{%- set asked = messages | selectattr("role", "eq", "system")'
    ' | map(attribute="content") | first | default("find what answers") -%}\n'
    '{%- set q = messages | selectattr("role", "eq", "query")'
    ' | map(attribute="content") | first -%}\n'
    '{%- set d = messages | selectattr("role", "eq", "document")'
    ' | map(attribute="content") | first -%}\n'
    "[CLS] answer yes or no\n<{{ asked }}>: {{ q }}\n"
    "<text>: {{ d }}[SEP]\nthen you will\n\n")


def two_words():
    vocab = dict(base.vocabulary(False))
    for word in ("yes", "no"):
        vocab.setdefault(word, len(vocab))
    return vocab


def yes_no_weights(folder, seed, tied):
    vocab = two_words()
    config = decoder.decoder_config(
        "qwen3", head_dim=6, pad_token_id=0, tie_word_embeddings=tied,
        architectures=["Qwen3ForCausalLM"])
    config["vocab_size"] = len(vocab)
    w = decoder.decoder_weights(config, seed, "model.", qk_norm=True)
    if not tied:
        w.add("lm_head.weight", len(vocab), config["hidden_size"], scale=0.5)
    base.write_json(folder / "config.json", config)
    base.family_tokenizer(folder, types=False, vocab=vocab)
    base.write_weights(folder, w.tensors)
    (folder / "chat_template.jinja").write_text(CHAT)


def rank_chat(folder):
    """A classifier that takes its pairs as chats."""
    config = decoder.decoder_config(
        "qwen3", head_dim=6, pad_token_id=0, tie_word_embeddings=True,
        id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0},
        architectures=["Qwen3ForSequenceClassification"])
    w = decoder.decoder_weights(config, 344, "model.", qk_norm=True)
    w.add("score.weight", 1, config["hidden_size"], scale=0.5)
    base.write_json(folder / "config.json", config)
    base.family_tokenizer(folder, types=False)
    base.write_weights(folder, w.tensors)
    (folder / "chat_template.jinja").write_text(CHAT)


def rank_yes_no(folder):
    """As Qwen3-Reranker, without modules.json: the words by their names."""
    yes_no_weights(folder, 341, True)


def rank_yes_no_saved(folder):
    """As CrossEncoder saves it: ids, a prompt that is the instruction."""
    made = folder / "made"
    made.mkdir()
    yes_no_weights(made, 342, False)
    model = CrossEncoder(str(made), device="cpu", prompts={"web": "what is it"},
                         default_prompt_name="web",
                         activation_fn=torch.nn.Identity(),
                         model_kwargs={"dtype": torch.float32})
    model.save_pretrained(str(folder))
    shutil.rmtree(made)
    for name in ("README.md", "generation_config.json"):
        (folder / name).unlink(missing_ok=True)


QUESTIONS = ["what returns a list", base.words(20), ""]


def at_the_limit(model, question):
    """Texts of so many words that their chats are about as long as a chat may
    be: one less, just as long, one more."""
    role = [{"role": "query", "content": question},
            {"role": "document", "content": "a"}]
    render = model.tokenizer.apply_chat_template
    around = len(render([role], tokenize=True, return_dict=True,
                        )["input_ids"][0]) - 1
    room = model.max_seq_length - around
    return [base.words(n) for n in (room - 1, room, room + 1)]


def yes_no_reference(folder):
    model = CrossEncoder(str(folder), device="cpu",
                         model_kwargs={"dtype": torch.float32})
    rows = []
    for question in QUESTIONS + [base.words(300)]:
        texts = ["the function returns a list of keys", "b", "", "yes [SEP] no",
                 base.words(60), base.words(400)]
        if len(question) < 300:
            texts += at_the_limit(model, question)
        ranked = model.rank(question, texts)
        scores = {r["corpus_id"]: float(r["score"]) for r in ranked}
        rows.append({"question": question, "texts": texts,
                     "scores": [scores[i] for i in range(len(texts))]})
    return {"use": "rerank", "rows": rows}


def rank_dense(folder):
    """Prompts that stay out of the pooling."""
    base.prompts_excluded(folder)


def dense_reference(folder):
    model = SentenceTransformer(str(folder), device="cpu",
                                model_kwargs={"dtype": torch.float32})
    rows = []
    for question in QUESTIONS:
        texts = ["the function returns a list of keys", "b", base.words(30),
                 base.words(90)]
        query = model.encode_query([question])
        documents = model.encode_document(texts)
        scores = torch.nn.functional.cosine_similarity(
            torch.tensor(query), torch.tensor(documents))
        rows.append({"question": question, "texts": texts,
                     "scores": scores.tolist()})
    return {"use": "dense", "rows": rows}


# Many texts at once.

EMBED, RERANK = "<|embed_token|>", "<|rerank_token|>"
CHAT_TOKENS = ["<|im_start|>", "<|im_end|>", EMBED, RERANK]
LIST_LIMIT = 2300
SYSTEM = (
    "You are a search relevance expert who can determine a ranking of the "
    "passages based on how relevant they are to the query. If the query is a "
    "question, how relevant a passage is depends on how well it answers the "
    "question. If not, try to analyze the intent of the query and assess how "
    "well each passage satisfies the intent. If an instruction is provided, "
    "you should follow the instruction when determining the ranking.")


def rank_list(folder):
    """As jina-reranker-v3, with a byte-level tokenizer like Qwen's."""
    vocab, merges = decoder.byte_pieces()
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges))
    made.normalizer = tokenizers.normalizers.NFC()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(
            tokenizers.Regex(PRETOKENIZE_REGEX), "isolated"),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False,
                                            use_regex=False)])
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([decoder.END] + CHAT_TOKENS)
    made.save(str(folder / "tokenizer.json"))
    base.write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": LIST_LIMIT, "eos_token": decoder.END,
        "pad_token": decoder.END})
    config = decoder.decoder_config(
        "qwen3", layers=2, head_dim=6, tie_word_embeddings=True,
        architectures=["JinaForRanking"])
    config |= {"vocab_size": made.get_vocab_size(),
               "max_position_embeddings": 8192}
    base.write_json(folder / "config.json", config)
    w = decoder.decoder_weights(config, 343, "model.", qk_norm=True)
    w.matrix("projector.0", 16, 8, False)
    w.matrix("projector.2", 8, 6, False)
    base.write_weights(folder, w.tensors)


def list_text(question, texts):
    def clean(text):
        return text.replace(RERANK, "").replace(EMBED, "")
    passages = "\n".join(f'<passage id="{i}">\n{clean(t)}{EMBED}\n</passage>'
                         for i, t in enumerate(texts))
    return (f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
            f"I will provide you with {len(texts)} passages, each indicated by "
            "a numerical identifier. Rank the passages based on their "
            f"relevance to query: {clean(question)}\n{passages}\n"
            f"<query>\n{clean(question)}{RERANK}\n</query><|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n")


def list_blocks(sizes, room):
    """Of texts of SIZES tokens: a block ends when it has 125 or no room for
    one of 2048."""
    blocks, now, left = [], [], room
    for i, size in enumerate(sizes):
        now.append(i)
        left -= size
        if len(now) >= 125 or left <= 2048:
            blocks.append(now)
            now, left = [], room
    return blocks + ([now] if now else [])


def list_scores(model, tokenize, first, second, question, texts):
    def cut(text, most):
        ids = tokenize(text, truncation=True, max_length=most)["input_ids"]
        return (tokenize.decode(ids) if len(ids) >= most else text), len(ids)
    question, asked = cut(question, 512)
    texts, sizes = zip(*(cut(t, 2048) for t in texts))
    documents, queries, weights = [], [], []
    for block in list_blocks(sizes, tokenize.model_max_length - 2 * asked):
        ids = tokenize(list_text(question, [texts[i] for i in block]),
                       return_tensors="pt")["input_ids"]
        with torch.no_grad():
            rows = torch.relu(model(input_ids=ids).last_hidden_state[0]
                              @ first.T) @ second.T
        special = tokenize.convert_tokens_to_ids([EMBED, RERANK])
        found = rows[ids[0] == special[0]]
        query = rows[ids[0] == special[1]]
        assert len(found) == len(block) and len(query) == 1
        documents += list(found)
        queries.append(query[0])
        near = torch.nn.functional.cosine_similarity(found, query)
        weights.append(float(((1 + near) / 2).max()))
    query = numpy.average(torch.stack(queries).numpy(), axis=0, weights=weights)
    return torch.nn.functional.cosine_similarity(
        torch.stack(documents), torch.tensor(query)[None]).tolist()


def list_rows():
    few = ["the function returns a list of keys", "b", "",
           "in <|embed_token|> two <|rerank_token|>", "Ünïcödé ßtraße"]
    return [("what returns a list", few),
            ("import class", [base.words(10 + 17 * i % 70) for i in range(14)]),
            ("a", [chr(97 + i % 26) for i in range(130)]),
            ("which <|rerank_token|> " + base.words(600), few[:3]),
            ("e\u0301 of", ["xe\u0301\u00ec\u00ed" + "\u00e9" * 1500,
                            "the\tkey", "a list\n\t " + base.words(2500)])]


def list_reference(folder):
    tokenize = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(
        folder, dtype=torch.float32).eval()
    weights = load_file(str(folder / "model.safetensors"))
    first, second = (weights[f"projector.{i}.weight"] for i in (0, 2))
    return {"use": "rerank", "formula": True, "rows": [
        {"question": question, "texts": texts,
         "scores": list_scores(model, tokenize, first, second, question, texts)}
        for question, texts in list_rows()]}


FOLDERS = {rank_chat: yes_no_reference, rank_yes_no: yes_no_reference,
           rank_yes_no_saved: yes_no_reference, rank_list: list_reference,
           rank_dense: dense_reference}
