"""Makes a model that no one has trained: a llama of 4 layers without weights, and a tokenizer of 8,192 tokens.

The tokenizer is trained on the sources of Python's standard library, so nothing is fetched; the server makes up the
weights (`--load-format dummy`). Usage: python tiny_model.py FOLDER
"""

import json
import pathlib
import sys
import sysconfig

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TOKENS = 8192
END, TURN, TURN_END = SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)

byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = byte_level
tokenizer.decoder = decoders.ByteLevel()
texts = sorted(str(path) for path in pathlib.Path(sysconfig.get_path("stdlib")).glob("*.py"))[:120]
trainer = trainers.BpeTrainer(
    vocab_size=TOKENS, special_tokens=SPECIAL, initial_alphabet=byte_level.alphabet(), show_progress=False
)
tokenizer.train(texts, trainer)
tokenizer.save(str(folder / "tokenizer.json"))


def write(name, content):
    (folder / name).write_text(json.dumps(content, indent=1) + "\n")


write("tokenizer_config.json", {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": 8192,
    "bos_token": END, "eos_token": TURN_END, "unk_token": END, "pad_token": END,
    "clean_up_tokenization_spaces": False,
    "chat_template": CHAT,
})
write("generation_config.json", {"bos_token_id": 0, "eos_token_id": 2})
write("config.json", {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
    "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32,
    "vocab_size": TOKENS, "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "tie_word_embeddings": True, "attention_bias": False, "bos_token_id": 0, "eos_token_id": 2,
})
