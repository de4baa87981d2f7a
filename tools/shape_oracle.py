#!/usr/bin/env python3
"""What transformers counts in a model that it makes of a config, without
weights (PyTorch's meta device): the oracle of src/model/shape.c.

    tools/shape_oracle.py tests/fixtures/shapes/*.json \\
        >tests/fixtures/shapes/parameters.txt
    tools/shape_oracle.py --check tests/fixtures/shapes/parameters.txt \\
        tests/fixtures/shapes/*.json

prints a line a config: its name, the parameters outside of the layers (tables
and norms), those of one layer, and all. BERT's pooler is left out, and a head
that guesses words: no sentence vector needs them. --check compares instead.
Needs torch and transformers (neither is in tests/requirements.txt); without
them it says `skip:`.
"""

import json
import pathlib
import sys


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def instantiate(path):
    import torch
    import transformers

    config = json.loads(pathlib.Path(path).read_text())
    made = transformers.AutoConfig.for_model(**config)
    poolless = ("qwen2", "qwen3", "distilbert", "electra")
    options = ({} if config["model_type"] in poolless
               else {"add_pooling_layer": False})
    with torch.device("meta"):
        return transformers.AutoModel.from_config(made, **options)


def layers_of(model):
    inside = getattr(model, "encoder", getattr(model, "transformer", model))
    for name in ("layer", "albert_layer_groups", "layers"):
        if hasattr(inside, name):
            return getattr(inside, name)
    raise SystemExit(f"no layers in {type(model).__name__}")


def describe(path):
    model = instantiate(path)
    layers = layers_of(model)
    each = {count(layer) for layer in layers}
    assert len(each) == 1, "the layers are not all alike"
    layer, whole = each.pop(), count(model)
    return f"{pathlib.Path(path).stem} {whole - layer * len(layers)} {layer} {whole}\n"


def main(arguments):
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        print(f"skip: {error.name} is not installed")
        return 0
    recorded = None
    if arguments[:1] == ["--check"]:
        recorded, arguments = arguments[1], arguments[2:]
    lines = "".join(map(describe, arguments))
    if recorded is None:
        print(lines, end="")
        return 0
    if pathlib.Path(recorded).read_text() == lines:
        return 0
    print(f"{recorded} is not what transformers counts:\n{lines}", end="")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
