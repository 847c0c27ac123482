#!/usr/bin/env python3
"""Trains the demo model's byte-level BPE and writes tokenizer.json in the shape of Llama 3.

usage: train_tokenizer.py CORPUS.jsonl OUT_DIR [--vocab N]

Needs the package tokenizers. Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json.
"""

import argparse
import json
import os

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

BOS, EOT = "<|begin_of_text|>", "<|eot_id|>"
SPECIALS = [BOS, "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
            "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>",
            "<|end_header_id|>", "<|eom_id|>", EOT, "<|python_tag|>"]
SPECIALS += [f"<|reserved_special_token_{i}|>" for i in range(3, 8)]
# Llama 3's split pattern, from its published tokenizer.json.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# Llama 3's chat template, without its tool part.
CHAT_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
CONTEXT = 2048


def corpus_texts(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            if "text" in item:
                yield item["text"]
            for message in item.get("messages", []):
                yield message["content"]
    yield "system user assistant\n\n"
    # Digits and common words in any place must not fall apart into bytes.
    yield "\n".join(str(n) for n in range(1000))


def train(path, vocab_size):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size - len(SPECIALS), min_frequency=2, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(corpus_texts(path), trainer)
    return json.loads(tokenizer.to_str())["model"]


def dump(folder, name, value, indent=2):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False, indent=indent)
        out.write("\n")


def write(folder, bpe):
    first = len(bpe["vocab"])
    ids = {name: first + i for i, name in enumerate(SPECIALS)}

    def token(name):
        return dict(content=name, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)

    def byte_level(prefix_space, trim_offsets, use_regex):
        return dict(type="ByteLevel", add_prefix_space=prefix_space, trim_offsets=trim_offsets, use_regex=use_regex)

    def sequence(name, type_id):
        return {"Sequence": {"id": name, "type_id": type_id}}

    bos = {"SpecialToken": {"id": BOS, "type_id": 0}}
    merges = [m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]]
    dump(folder, "tokenizer.json", dict(
        version="1.0", truncation=None, padding=None,
        added_tokens=[dict(id=i, **token(name)) for name, i in ids.items()], normalizer=None,
        pre_tokenizer=dict(type="Sequence", pretokenizers=[
            dict(type="Split", pattern={"Regex": SPLIT}, behavior="Isolated", invert=False),
            byte_level(False, True, False)]),
        post_processor=dict(type="Sequence", processors=[byte_level(True, False, True), dict(
            type="TemplateProcessing", single=[bos, sequence("A", 0)],
            pair=[bos, sequence("A", 0), {"SpecialToken": {"id": BOS, "type_id": 1}}, sequence("B", 1)],
            special_tokens={BOS: {"id": BOS, "ids": [ids[BOS]], "tokens": [BOS]}})]),
        decoder=byte_level(True, True, True),
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None,
                   end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, ignore_merges=True,
                   vocab=dict(sorted(bpe["vocab"].items(), key=lambda kv: kv[1])), merges=merges)), indent=None)
    dump(folder, "tokenizer_config.json", dict(
        added_tokens_decoder={str(i): token(name) for name, i in ids.items()}, bos_token=BOS, eos_token=EOT,
        pad_token="<|finetune_right_pad_id|>", chat_template=CHAT_TEMPLATE, clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"], model_max_length=CONTEXT,
        tokenizer_class="PreTrainedTokenizerFast"))
    dump(folder, "special_tokens_map.json",
         dict(bos_token=BOS, eos_token=EOT, pad_token="<|finetune_right_pad_id|>"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("out")
    parser.add_argument("--vocab", type=int, default=4096)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    bpe = train(args.corpus, args.vocab)
    write(args.out, bpe)
    print(f"{args.out}: {len(bpe['vocab'])} tokens and {len(SPECIALS)} special tokens")


if __name__ == "__main__":
    main()
