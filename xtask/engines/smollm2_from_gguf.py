"""Turns the GGUF file of SmolLM2-135M-Instruct into a folder that vLLM loads. Usage: python smollm2_from_gguf.py GGUF FOLDER"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

gguf, folder = map(pathlib.Path, sys.argv[1:])
source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16).save_pretrained(folder)

# The tokenizer of the GGUF ends a text with another token than the chat template ends a turn with, and the file of
# pieces beside it is of another kind than tokenizer.json.
(folder / "tokenizer.model").unlink(missing_ok=True)
config = folder / "tokenizer_config.json"
settings = json.loads(config.read_text())
settings["eos_token"] = "<|im_end|>"
config.write_text(json.dumps(settings, indent=1) + "\n")
