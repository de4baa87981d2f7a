#!/usr/bin/env python3
"""What transformers counts in a model that it makes of a config, without
weights (PyTorch's meta device): the oracle of src/model/shape.c.

    tools/shape_oracle.py tests/fixtures/shapes/*.json

prints a line a config: its name, the parameters outside of the layers (tables
and norms), those of one layer, and all. BERT's pooler is left out, and a head
that guesses words: no sentence vector needs them. Needs torch and transformers
(neither is in tests/requirements.txt); without them it says `skip:`.
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
    options = {} if "qwen" in config["model_type"] else {"add_pooling_layer": False}
    with torch.device("meta"):
        return transformers.AutoModel.from_config(made, **options)


def main(paths):
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        print(f"skip: {error.name} is not installed")
        return
    for path in paths:
        model = instantiate(path)
        layers = model.encoder.layer if hasattr(model, "encoder") else model.layers
        each = {count(layer) for layer in layers}
        assert len(each) == 1, "the layers are not all alike"
        layer, whole = each.pop(), count(model)
        name = pathlib.Path(path).stem
        print(name, whole - layer * len(layers), layer, whole)


if __name__ == "__main__":
    main(sys.argv[1:])
