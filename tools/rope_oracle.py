#!/usr/bin/env python3
"""What transformers makes of a config's rotary positions: the oracle of
src/model/spec_rope.c.

    tools/rope_oracle.py >tests/fixtures/rope/cases.json
    tools/rope_oracle.py --check tests/fixtures/rope/cases.json

prints a list: config (members of a Llama's config.json), dims of a head, the
frequencies [dims / 2] as floats, and the factor on cosine and sine. --check
compares instead. Needs torch and transformers (neither is in
tests/requirements.txt); without them it says `skip:`.
"""

import copy
import json
import pathlib
import sys

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
YARN = {"rope_type": "yarn", "factor": 4.0,
        "original_max_position_embeddings": 32768}

# Published configs' numbers and others that are near an edge.
CASES = [
    (128, {"rope_theta": 1000000.0}),
    (128, {"rope_theta": 10000.0}),
    (64, {}),
    (256, {"rope_theta": 1000000}),
    (256, {"rope_theta": 10000}),
    (80, {"rope_theta": 160000.0}),
    (6, {"rope_theta": 500.0}),
    (128, {"rope_parameters": {"rope_type": "default",
                               "rope_theta": 5000000}}),
    (128, {"rope_theta": 1.0,
           "rope_parameters": {"rope_theta": 1000000.0}}),
    (128, {"rope_scaling": {}, "rope_parameters": {"rope_theta": 250000.0}}),
    (128, {"rope_scaling": {"type": "linear", "factor": 8.0}}),
    (96, {"rope_scaling": {"rope_type": "linear", "factor": 2.7},
          "rope_parameters": {"rope_theta": 77.0}, "rope_theta": 30000.0}),
    (128, {"rope_theta": 500000.0, "rope_scaling": LLAMA3}),
    (64, {"rope_theta": 500000.0, "rope_scaling": {**LLAMA3, "factor": 32.0}}),
    (64, {"rope_theta": 20000.0, "rope_scaling": {
        **LLAMA3, "factor": 3.3, "low_freq_factor": 1.3,
        "high_freq_factor": 9.1, "original_max_position_embeddings": 500}}),
    (32, {"rope_scaling": {**LLAMA3, "type": "llama3"},
          "original_max_position_embeddings": 1000}),
    (128, {"rope_theta": 1000000.0, "rope_scaling": YARN}),
    (128, {"rope_theta": 1000000.0, "rope_scaling": {
        "type": "yarn", "factor": 4.0}}),
    (64, {"rope_scaling": {**YARN, "beta_fast": 20, "beta_slow": 2.5,
                           "truncate": False}}),
    (64, {"rope_scaling": {**YARN, "beta_fast": 0, "beta_slow": 0}}),
    (64, {"rope_scaling": {**YARN, "factor": 0.5}}),
    (64, {"rope_scaling": {**YARN, "attention_factor": 0.75}}),
    (64, {"rope_scaling": {**YARN, "attention_factor": 0.0}}),
    (64, {"rope_scaling": {**YARN, "mscale": 0.8, "mscale_all_dim": 1.3}}),
    (64, {"rope_scaling": {**YARN, "mscale": 0.8}}),
    (8, {"rope_scaling": {**YARN, "original_max_position_embeddings": 4,
                          "beta_fast": 1, "beta_slow": 1}}),
    (6, {"rope_theta": 9.0, "rope_scaling": {
        **YARN, "factor": 4.0, "original_max_position_embeddings": 150}}),
]


def describe(dims, members):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    members = {"max_position_embeddings": 4096, **members}
    config = LlamaConfig(hidden_size=dims * 2, num_attention_heads=2,
                         head_dim=dims, **copy.deepcopy(members))
    kind = config.rope_parameters["rope_type"]
    make = (LlamaRotaryEmbedding.compute_default_rope_parameters
            if kind == "default" else ROPE_INIT_FUNCTIONS[kind])
    inverse, factor = make(config)
    values = ", ".join("%.9g" % x for x in inverse.tolist())
    return (f'{{"config": {json.dumps(members)},\n "dims": {dims}, '
            f'"factor": {factor!r},\n "inverse": [{values}]}}')


def main(arguments):
    try:
        import transformers
        import torch  # noqa: F401
    except ImportError as error:
        print(f"skip: {error.name} is not installed")
        return 0
    transformers.logging.set_verbosity_error()
    text = "[\n" + ",\n".join(describe(*case) for case in CASES) + "\n]\n"
    if arguments[:1] != ["--check"]:
        print(text, end="")
        return 0
    same = pathlib.Path(arguments[1]).read_text() == text
    print("equal" if same else f"{arguments[1]} is not what transformers says")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
