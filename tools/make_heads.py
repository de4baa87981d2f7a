#!/usr/bin/env python3
"""Writes tests/fixtures/heads: folders as sparse, late-interaction and reranking models have them, without weights.

    python tools/make_heads.py        # needs torch, sentence-transformers 6; run once, the files are committed

expected.json in each folder is what SparseEncoder, MultiVectorEncoder or CrossEncoder made of it, asked of the loaded
object. Afterwards weights and tokenizer.json are emptied: reading a folder does not look into them.
"""

import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from transformers import (AutoTokenizer, BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel,
                          Qwen3Config, Qwen3ForCausalLM)

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests/fixtures/heads"
TOKENIZER = AutoTokenizer.from_pretrained(ROOT / "tests/fixtures/models/mean")
HIDDEN = 8

# tokenizer_config.json of Qwen/Qwen3-Reranker-0.6B has this template.
QWEN_TEMPLATE = (
    '{%- set instruction = messages | selectattr("role", "eq", "system") | map(attribute="content") | first'
    ' | default("Given a web search query, retrieve relevant passages that answer the query") -%}\n'
    '{%- set query_text = messages | selectattr("role", "eq", "query") | map(attribute="content") | first -%}\n'
    '{%- set document_text = messages | selectattr("role", "eq", "document") | map(attribute="content") | first -%}\n'
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct"
    ' provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n<Instruct>: {{ instruction }}\n<Query>: {{ query_text }}\n"
    "<Document>: {{ document_text }}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n\n"
)
# As nvidia's rerankers have it, with all that Jinja does to white space.
PLAIN_TEMPLATE = (
    '   question:{{ (messages | selectattr("role", "eq", "query") | first).content }}\n'
    "   {% set d = messages | selectattr('role', 'eq', 'document') | map(attribute='content') | first %}\n"
    "\n  passage:  {{- d -}}  \n end\n"
)


def bert(kind=BertModel, **options):
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(TOKENIZER), hidden_size=HIDDEN, num_hidden_layers=1, num_attention_heads=1,
                        intermediate_size=8, max_position_embeddings=64, **options)
    return kind(config)


def save(folder, model, **changes):
    """A plain transformers folder; CHANGES go into its config.json."""
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    edit(folder / "config.json", changes)


def edit(path, changes):
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(config, indent=1) + "\n")


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


# ---- sparse ------------------------------------------------------------------


def splade_default(folder):
    save(folder, bert(BertForMaskedLM))


def splade_saved(folder):
    save(folder / "base", bert(BertForMaskedLM))
    transformer = Transformer(str(folder / "base"), transformer_task="fill-mask", max_seq_length=40)
    SparseEncoder(modules=[transformer, SpladePooling("sum")], max_active_dims=16).save_pretrained(str(folder))
    shutil.rmtree(folder / "base")


def splade_old(folder):
    save(folder, bert(BertForMaskedLM))
    old = "sentence_transformers.sparse_encoder.models."
    write(folder, {
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": old + "MLMTransformer"},
                         {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": old + "SpladePooling"}],
        "1_SpladePooling/config.json": {"pooling_strategy": "max", "activation_function": "log1p_relu",
                                        "word_embedding_dimension": len(TOKENIZER)},
        "sentence_bert_config.json": {"max_seq_length": 30, "do_lower_case": False},
        "config_sentence_transformers.json": {"model_type": "SparseEncoder", "similarity_fn_name": "cosine",
                                              "prompts": {"query": "", "document": ""}},
    })


def static(folder):
    save(folder / "base", bert(BertForMaskedLM))
    document = [Transformer(str(folder / "base"), transformer_task="fill-mask"), SpladePooling("max")]
    router = Router.for_query_document(query_modules=[SparseStaticEmbedding(TOKENIZER, frozen=True)],
                                       document_modules=document)
    SparseEncoder(modules=[router], similarity_fn_name="dot").save_pretrained(str(folder))
    shutil.rmtree(folder / "base")


def ask_sparse(folder):
    model = SparseEncoder(str(folder), device="cpu")
    router = model[0] if isinstance(model[0], Router) else None
    modules = router.sub_modules["document"] if router else model
    pooling = modules[1]
    return {"use": "sparse", "kind": "static" if router else "splade", "sum": pooling.pooling_strategy == "sum",
            "log_twice": pooling.activation_function == "log1p_relu", "width": pooling.embedding_dimension or 0,
            "active_max": model.max_active_dims or 0, "similarity": model.similarity_fn_name,
            "max_length": modules[0].max_seq_length}


# ---- late interaction --------------------------------------------------------


def multi_saved(folder):
    save(folder / "base", bert())
    expansion = {"strategy": "min", "attend": True, "length": 12, "token": "[UNK]"}
    transformer = Transformer(str(folder / "base"), query_length=20, document_length=50, query_expansion=expansion)
    token = {"module_input_name": "token_embeddings"}
    modules = [transformer, Dense(HIDDEN, 6, bias=True, activation_function=torch.nn.ReLU(), **token),
               Dense(6, 4, bias=False, activation_function=torch.nn.Identity(), **token),
               MultiVectorMask(["the", "."], skiplist_tasks=["query", "document"]), Normalize("token_embeddings")]
    MultiVectorEncoder(modules=modules, prompts={"query": "ask: ", "document": ""}).save_pretrained(str(folder))
    shutil.rmtree(folder / "base")


def multi_bare(folder):
    """Nothing but a projection: no mask, no Normalize."""
    save(folder / "base", bert())
    modules = [Transformer(str(folder / "base")),
               Dense(HIDDEN, 4, bias=False, activation_function=torch.nn.Identity(),
                     module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, similarity_fn_name="meanmaxsim").save_pretrained(str(folder))
    shutil.rmtree(folder / "base")


def pylate(folder, dense, **config):
    save(folder, bert())
    torch.save({"linear.weight": torch.randn(4, HIDDEN)}, folder / "1_Dense.bin")
    write(folder, {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Dense", "type": dense}],
        "1_Dense/config.json": {"in_features": HIDDEN, "out_features": 4, "bias": False,
                                "activation_function": "torch.nn.modules.linear.Identity"},
        "sentence_bert_config.json": {"max_seq_length": 60, "do_lower_case": False},
        "config_sentence_transformers.json": config,
    })
    os.rename(folder / "1_Dense.bin", folder / "1_Dense/pytorch_model.bin")


def pylate_3(folder):
    pylate(folder, "pylate.models.Dense.Dense", model_type="ColBERT", prompts={"query": "[Q] find ", "document": ""},
           default_prompt_name=None, similarity_fn_name="MaxSim", query_prefix="[Q] ", document_prefix="[D] ",
           query_length=24, document_length=48, attend_to_expansion_tokens=True, skiplist_words=["a", "!"])


def pylate_3_defaults(folder):
    pylate(folder, "pylate.models.Dense.Dense", model_type="ColBERT", query_prefix="[unused0]",
           document_prefix="[unused1]", query_length=None, document_length=None, do_query_expansion=False)


def pylate_1(folder):
    """Without model_type: the library converts it, as if it were a dense model."""
    pylate(folder, "pylate.models.Dense.Dense", prompts={}, query_prefix="[Q] ", document_prefix="[D] ",
           query_length=28, document_length=44)


def multi_from_dense(folder):
    pylate(folder, "sentence_transformers.models.Dense", prompts={"query": "q: ", "document": "d: "},
           similarity_fn_name="dot")


def stanford(folder, metadata):
    save(folder, bert(), architectures=["HF_ColBERT"])
    weights = bert().state_dict() | {"linear.weight": torch.randn(4, HIDDEN)}
    for file in folder.glob("*.safetensors"):
        file.unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    if metadata is not None:
        (folder / "artifact.metadata").write_text(json.dumps(metadata))


def stanford_default(folder):
    stanford(folder, None)


def stanford_metadata(folder):
    stanford(folder, {"query_token_id": "[QueryMarker]", "doc_token_id": "[DocumentMarker]", "doc_maxlen": 56,
                      "query_maxlen": 16, "attend_to_mask_tokens": True, "mask_punctuation": False, "dim": 4})


def ask_multi(folder):
    model = MultiVectorEncoder(str(folder), device="cpu")
    transformer = model[0]
    mask = [m for m in model if isinstance(m, MultiVectorMask)]
    expansion = transformer.query_expansion or {}
    dense = [[m.in_features, m.out_features, m.linear.bias is not None, type(m.activation_function).__name__]
             for m in model if isinstance(m, Dense)]
    return {"use": "multi", "dense": dense, "normalize": any(isinstance(m, Normalize) for m in model),
            "query_length": transformer.query_length or 0, "document_length": transformer.document_length or 0,
            "expand_length": expansion.get("length", 0), "expand_cuts": expansion.get("strategy") == "fixed",
            "expand_attends": expansion.get("attend", False), "expand_token": expansion.get("token"),
            "skiplist": mask[0].skiplist_words if mask else [],
            "skip_in_documents": "document" in mask[0].skiplist_tasks if mask else True,
            "skip_in_queries": "query" in mask[0].skiplist_tasks if mask else False,
            "query_prompt": model.prompts["query"] or "", "document_prompt": model.prompts["document"] or "",
            "query_marker": model._legacy.prefixes.get("query") or None,
            "document_marker": model._legacy.prefixes.get("document") or None,
            "similarity": model.similarity_fn_name, "max_length": model.max_seq_length}


# ---- rerankers ---------------------------------------------------------------


def classifier(folder):
    save(folder, bert(BertForSequenceClassification, num_labels=1))


def classifier_old(folder):
    save(folder, bert(BertForSequenceClassification, num_labels=1),
         sbert_ce_default_activation_function="torch.nn.modules.linear.Identity")


def classifier_three(folder):
    save(folder, bert(BertForSequenceClassification, num_labels=3),
         sbert_ce_default_activation_function="torch.nn.modules.activation.Sigmoid",
         sentence_transformers={"activation_fn": "torch.nn.modules.activation.Tanh", "version": "4"})


def classifier_two(folder):
    """Two labels is what transformers does not write down; code that is not torch's is not trusted."""
    save(folder, bert(BertForSequenceClassification, num_labels=2),
         sentence_transformers={"activation_fn": "my.code.Softmax"})


def classifier_counted(folder):
    """num_labels counts, and names for another number of labels do not."""
    save(folder, bert(BertForSequenceClassification, num_labels=1),
         id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1}, num_labels=1)


def classifier_saved(folder):
    save(folder / "base", bert(BertForSequenceClassification, num_labels=1))
    model = CrossEncoder(str(folder / "base"), activation_fn=torch.nn.Identity(), max_length=33, device="cpu")
    model.save_pretrained(str(folder))
    shutil.rmtree(folder / "base")


def classifier_in_dense(folder):
    """A dense model's folder: the library ignores all but the transformer, also the limit."""
    save(folder, bert(BertForSequenceClassification, num_labels=1))
    write(folder, {
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                         {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
        "1_Pooling/config.json": {"word_embedding_dimension": HIDDEN},
        "sentence_bert_config.json": {"max_seq_length": 20, "do_lower_case": False},
    })


def qwen(folder, template):
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=len(TOKENIZER) + 2, hidden_size=HIDDEN, num_hidden_layers=1, head_dim=8,
                         num_attention_heads=1, num_key_value_heads=1, intermediate_size=8, max_position_embeddings=64)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "tests/fixtures/models/mean")
    tokenizer.add_tokens(["yes", "no"])
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)


def yes_no(folder):
    qwen(folder, QWEN_TEMPLATE)


def yes_no_in_config(folder):
    """As older files have it: the template in tokenizer_config.json."""
    qwen(folder, PLAIN_TEMPLATE)
    (folder / "chat_template.jinja").unlink()
    edit(folder / "tokenizer_config.json", {"chat_template": PLAIN_TEMPLATE})


def yes_no_saved(folder):
    qwen(folder / "base", QWEN_TEMPLATE)
    model = CrossEncoder(str(folder / "base"), device="cpu", prompts={"web": "Find what answers"},
                         default_prompt_name="web", activation_fn=torch.nn.Identity())
    model.save_pretrained(str(folder))
    shutil.rmtree(folder / "base")


QUERY, DOCUMENT = "which {{ one }}?", " this\n one "


def ask_rerank(folder):
    model = CrossEncoder(str(folder), device="cpu")
    chat = "message" in model[0].modality_config
    expected = {"use": "rerank", "kind": "classifier", "labels": model.num_labels,
                "activation": type(model.activation_fn).__name__, "max_length": model.max_seq_length, "text": None}
    if chat:
        formatter = model[0].input_formatter
        messages = [formatter.pair_to_messages((QUERY, DOCUMENT))]
        prompt = model._resolve_prompt(None, None)
        if prompt:
            messages = formatter.prepend_prompt_to_messages(messages, prompt)
        expected["text"] = model.tokenizer.apply_chat_template(messages[0], tokenize=False)
    if len(model) > 1:
        tokens = {"yes": "yes", "no": "no"} if not (folder / "modules.json").exists() else {}
        expected |= {"kind": "yes_no", "yes_id": model[1].true_token_id, "no_id": model[1].false_token_id,
                     "named": bool(tokens)}
    return expected


MAKERS = {
    ask_sparse: [splade_default, splade_saved, splade_old, static],
    ask_multi: [multi_saved, multi_bare, pylate_3, pylate_3_defaults, pylate_1, multi_from_dense, stanford_default,
                stanford_metadata],
    ask_rerank: [classifier, classifier_old, classifier_three, classifier_two, classifier_counted, classifier_saved,
                 classifier_in_dense, yes_no, yes_no_in_config, yes_no_saved],
}


def empty(folder):
    for path in folder.rglob("*"):
        if path.suffix in (".safetensors", ".bin"):
            path.write_text("weights\n")
        elif path.name == "tokenizer.json":
            path.write_text("{}\n")
        elif path.name == "README.md":
            path.unlink()


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    for ask, makers in MAKERS.items():
        for make in makers:
            folder = FOLDER / make.__name__
            folder.mkdir(parents=True)
            make(folder)
            expected = ask(folder)
            empty(folder)
            (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
            print(make.__name__, json.dumps(expected))


if __name__ == "__main__":
    sys.exit(main())
