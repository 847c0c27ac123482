#!/usr/bin/env python3
"""Makes tests/golden/text: what the reference implementations answer for templates and texts.

Needs the Python packages jinja2 and, for the tokenizer, tokenizers. Run from the repository's root;
`--only jinja`, `--only tokenizer` or `--only components` makes one of the three files. With `--render` it instead reads
{"template", "variables"} objects from standard input, one a line, and writes what Jinja2 renders.
"""
import argparse
import datetime
import json
import pathlib
import random
import sys

import template_golden_cases as template_cases
import text_golden_cases as cases
import text_golden_components as components

OUT = pathlib.Path("tests/golden/text")
DATE = "26 Jul 2024"


def environment(strftime_now):
    """Jinja2 as Hugging Face's apply_chat_template sets it up."""
    import jinja2
    import jinja2.ext
    import jinja2.sandbox

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            call = self.call_method("_render")
            return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

        def _render(self, caller):
            return caller()

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(env, template, variables):
    """The rendered text, or the error."""
    try:
        return {"text": env.from_string(template).render(**variables)}
    except Exception as error:  # any failure of the template is an answer
        return {"error": str(error)}


def make_jinja():
    env = environment(lambda form: DATE)
    made = []
    for template in cases.SNIPPETS:
        made.append({"template": template, **render(env, template, cases.VARIABLES)})
    conversations = []
    for name, template in template_cases.TEMPLATES.items():
        for which, variables in template_cases.CONVERSATIONS.items():
            answer = render(env, template, variables)
            conversations.append({"template": name, "conversation": which, **answer})
    write("jinja_cases.json", {
        "variables": cases.VARIABLES, "snippets": made, "templates": template_cases.TEMPLATES,
        "conversations": template_cases.CONVERSATIONS, "renders": conversations})


def train():
    """A small byte-level BPE in the shape of Llama 3's tokenizer.json."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from tokenizers import processors, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(cases.SPLIT_PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(cases.TRAINING_TEXT, trainers.BpeTrainer(
        vocab_size=256 + 400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in cases.SPECIAL_TOKENS])
    tokenizer.add_tokens([
        AddedToken("<tool_call>", special=False, normalized=False),
        AddedToken("<left>", special=False, normalized=False, lstrip=True),
        AddedToken("<right>", special=False, normalized=False, rstrip=True),
        AddedToken("lone", special=False, normalized=False, single_word=True)])
    bos = cases.SPECIAL_TOKENS[0]
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single=bos + " $A", pair=bos + " $A " + bos + ":1 $B:1",
            special_tokens=[(bos, tokenizer.token_to_id(bos))])])
    return tokenizer


def make_tokenizer():
    tokenizer = train()
    rng = random.Random(20260101)
    texts = list(cases.TEXTS)
    for _ in range(200):
        pool = rng.choice(cases.POOLS)
        texts.append("".join(rng.choice(pool) for _ in range(rng.randint(1, 60))))
    answers = []
    for text in texts:
        tokenizer.encode_special_tokens = False
        ids = tokenizer.encode(text).ids
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        answers.append({"text": text, "ids": ids, "plain_ids": plain,
                        "decoded": tokenizer.decode(ids, skip_special_tokens=True)})
    write("tokenizer_cases.json", {"tokenizer": json.loads(tokenizer.to_str()), "cases": answers})


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, indent=0, separators=(",", ":"))
    (OUT / name).write_text(text + "\n", encoding="utf-8")
    print(name, len(text))


def render_lines():
    env = environment(lambda form: datetime.datetime.now().strftime(form))
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps(render(env, case["template"], case["variables"])), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["jinja", "tokenizer", "components"])
    parser.add_argument("--render", action="store_true")
    args = parser.parse_args()
    if args.render:
        render_lines()
        return
    if args.only in (None, "jinja"):
        make_jinja()
    if args.only in (None, "tokenizer"):
        make_tokenizer()
    if args.only in (None, "components"):
        write("component_cases.json", components.make())


if __name__ == "__main__":
    main()
