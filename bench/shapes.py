#!/usr/bin/env python3
"""Models of known shapes with random weights: what a product costs does not
depend on the numbers in it.

    bench/shapes.py SHAPE FOLDER --like MODEL_DIR

makes in FOLDER a BERT of that shape with the tokenizer of MODEL_DIR, for texts
of up to 512 tokens, in a form that every peer of bench/table.py can convert.
bench/gpu.py makes models of the shape's own family, with a vocabulary of whole
words. Needs torch and transformers.
"""
import argparse
import json
import shutil
from pathlib import Path

# hidden, layers, heads, kv heads, head_dim, inter, vocab, longest text
SHAPES = {
    "tiny": (64, 2, 4, 4, 16, 128, 2000, 512),
    "minilm": (384, 6, 12, 12, 32, 1536, 30522, 512),
    "bge-small": (384, 12, 12, 12, 32, 1536, 30522, 512),
    "bert-base": (768, 12, 12, 12, 64, 3072, 30522, 512),
    "bge-m3": (1024, 24, 16, 16, 64, 4096, 250002, 8192),
    "qwen3-0.6b": (1024, 28, 16, 8, 128, 3072, 151669, 8192),
}
# What the models of these shapes pool; a last layer of which one token is read is
# nearly free.
POOLING = {"bge-small": "cls_token", "bert-base": "cls_token", "bge-m3": "cls_token", "qwen3-0.6b": "lasttoken"}
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
TOKENIZER = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]
LIKE_LONGEST = 512


def config_of(shape):
    import transformers as tf
    hidden, layers, heads, kv_heads, head_dim, inter, vocab, longest = SHAPES[shape]
    common = {"vocab_size": vocab, "hidden_size": hidden, "num_hidden_layers": layers,
              "num_attention_heads": heads, "intermediate_size": inter, "pad_token_id": 0}
    if shape == "bge-m3":
        return tf.XLMRobertaConfig(**common, max_position_embeddings=longest + 2,
                                   type_vocab_size=1, layer_norm_eps=1e-5)
    if shape == "qwen3-0.6b":
        return tf.Qwen3Config(**common, num_key_value_heads=kv_heads, head_dim=head_dim,
                              max_position_embeddings=longest)
    return tf.BertConfig(**common, max_position_embeddings=longest)


def save_tokenizer(folder, vocab, longest):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast
    words = {token: i for i, token in enumerate(SPECIALS)}
    words.update({f"w{i}": i for i in range(len(SPECIALS), vocab)})
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]",
                            cls_token="[CLS]", sep_token="[SEP]",
                            model_max_length=longest).save_pretrained(folder)


def save_weights(folder, config, half):
    import torch
    from transformers import AutoModel
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    AutoModel.from_config(config, dtype=torch.float16 if half else torch.float32).save_pretrained(folder)


def save_modules(folder, shape, hidden, longest):
    """Last: a folder that has it is complete."""
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": longest, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(
        {"word_embedding_dimension": hidden} |
        {f"pooling_mode_{name}": name == POOLING.get(shape, "mean_tokens")
         for name in ("cls_token", "mean_tokens", "lasttoken")}))
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    (folder / "modules.json").write_text(json.dumps([
        {"idx": i, "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (name, path, kind) in enumerate(modules)]))


def save_model(folder, shape):
    if (folder / "modules.json").exists():
        return
    config = config_of(shape)
    longest = SHAPES[shape][7]
    save_weights(folder, config, half=True)
    save_tokenizer(folder, config.vocab_size, longest)
    save_modules(folder, shape, config.hidden_size, longest)


def save_like(folder, shape, model):
    """A BERT of the shape that reads texts as MODEL does."""
    import transformers as tf
    if (folder / "modules.json").exists():
        return
    vocab = json.loads((model / "config.json").read_text())["vocab_size"]
    hidden, layers, heads, _, _, inter = SHAPES[shape][:6]
    save_weights(folder, tf.BertConfig(
        vocab_size=vocab, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inter, pad_token_id=0, max_position_embeddings=LIKE_LONGEST), half=False)
    config = json.loads((folder / "config.json").read_text())
    config["position_embedding_type"] = "absolute"  # some converters ask for it
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    for name in TOKENIZER:
        if (model / name).exists():
            shutil.copy(model / name, folder / name)
    save_modules(folder, shape, hidden, LIKE_LONGEST)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("shape", choices=SHAPES)
    ap.add_argument("folder", type=Path)
    ap.add_argument("--like", type=Path, required=True)
    args = ap.parse_args()
    save_like(args.folder, args.shape, args.like)


if __name__ == "__main__":
    main()
