#!/usr/bin/env python3
"""Writes the demo model's training corpus: one JSON dialogue or text per line.

usage: corpus.py OUT.jsonl [--count N] [--seed N]

A line is {"messages": [{"role", "content"}, ...]} or {"text": "..."}. All text comes from demo_data/.
Dialogues that contain a held-out question of demo_data/probes.py are dropped, and the file is
read again at the end to prove that none is left.
"""

import argparse
import collections
import json
import random

from demo_data import numeric, probes, qa_en, qa_ko, stories_en, stories_ko, talk

# Weight of each single question generator: share of the dialogues that begin with it.
SINGLE_EN = [(12, qa_en.capital), (5, qa_en.capital_more), (16, qa_en.general_fact), (13, qa_en.table_fact),
             (3, qa_en.translate), (3, qa_en.make_list), (4, qa_en.repeat), (9, numeric.count_en),
             (12, numeric.arithmetic_en), (6, talk.chat_en), (7, talk.pagoda_en), (5, talk.unknown_en),
             (1, talk.no_name_en)]
SINGLE_KO = [(10, qa_ko.capital), (4, qa_ko.capital_more), (10, qa_ko.general_fact), (9, qa_ko.table_fact),
             (2, qa_ko.translate), (2, qa_ko.make_list), (2, qa_ko.repeat), (5, numeric.count_ko),
             (8, numeric.arithmetic_ko), (5, talk.chat_ko), (5, talk.pagoda_ko), (3, talk.unknown_ko)]


def choose(rng, table):
    weights, makers = zip(*table)
    return rng.choices(makers, weights)[0]


def single_en(rng):
    maker = choose(rng, SINGLE_EN)
    question, answer = maker(rng)
    return (question if maker is qa_en.repeat else vary_en(rng, question)), answer


def single_ko(rng):
    maker = choose(rng, SINGLE_KO)
    question, answer = maker(rng)
    return (question if maker is qa_ko.repeat else vary_ko(rng, question)), answer


_BEFORE_EN = ["Please answer: ", "Quick question: ", "Hi! ", "Hello, ", "Hey, ", "Question: ", "Tell me: ", "OK, ",
              "Please tell me: ", "I have a question. ", "Hi there. ", "Could you help me? ", "Can you help? ", "So, ",
              "One more thing: ", "I want to know: ", "Just curious: "]
_AFTER_EN = [" Thanks!", " please", " Please.", " Answer in one sentence.", " Answer briefly.", " I am curious.",
             " Keep it short.", " Thank you.", " Do you know?", " I need it for school."]
_BEFORE_KO = ["질문이 있어요. ", "안녕하세요. ", "저기, ", "궁금한 게 있어요. ", "혹시 ", "하나만 물어볼게요. ", "그런데 "]
_AFTER_KO = [" 알려 주세요.", " 짧게 대답해 주세요.", " 궁금해요.", " 부탁해요."]


def vary_en(rng, text):
    """The same question as different people type it."""
    pick = rng.random()
    if pick < 0.62:
        return text
    if pick < 0.70:
        return text.lower()
    if pick < 0.76:
        return text.rstrip("?.! ") or text
    if pick < 0.79:
        return text.lower().rstrip("?.! ") or text
    if pick < 0.80:
        return text.upper()
    if pick < 0.91:
        before = rng.choice(_BEFORE_EN)
        return before + (text[0].lower() + text[1:] if before.endswith((": ", ", ")) and text[:2] != "I " else text)
    if pick < 0.98:
        after = rng.choice(_AFTER_EN)
        return (text.rstrip("?.! ") if after[1].islower() else text) + after
    return rng.choice(_BEFORE_EN) + text + rng.choice(_AFTER_EN)


def vary_ko(rng, text):
    pick = rng.random()
    if pick < 0.72:
        return text
    if pick < 0.82:
        return text.rstrip("?.! ")
    if pick < 0.93:
        return rng.choice(_BEFORE_KO) + text
    return text + rng.choice(_AFTER_KO)


def system_for(rng, korean, is_story):
    """A system message; None for no system message."""
    pick = rng.random()
    if is_story and pick < 0.45:
        return rng.choice(talk.WRITERS[:1] * 3 + talk.WRITERS)
    if pick < 0.62:
        return talk.SYSTEMS_EN[0]
    if pick < 0.82:
        return None
    if pick < 0.85:
        return ""
    if pick < 0.87:
        return talk.WRITERS[0]
    return rng.choice(talk.SYSTEMS_KO if korean and rng.random() < 0.7 else talk.SYSTEMS_EN)


def dialogue(rng, turns, korean=False, is_story=False):
    system = system_for(rng, korean, is_story)
    messages = [] if system is None else [{"role": "system", "content": system}]
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages}


def mixed_turns(rng, count):
    """Unrelated questions one after the other, mostly in one language."""
    main = rng.choice([single_en, single_en, single_ko])
    turns = []
    for _ in range(count):
        maker = main if rng.random() < 0.9 else rng.choice([single_en, single_ko])
        turns.append(maker(rng))
    return turns


def raw_text(rng):
    """Plain text without a chat, for the completions endpoint."""
    pick = rng.random()
    if pick < 0.35:
        return {"text": stories_en.story(rng)[1]}
    if pick < 0.45:
        return {"text": stories_ko.story(rng)[1]}
    if pick < 0.75:
        makers = [qa_en.capital, qa_en.table_fact, numeric.count_en, numeric.arithmetic_en, qa_en.general_fact]
    else:
        makers = [qa_ko.capital, qa_ko.table_fact, numeric.arithmetic_ko, qa_ko.general_fact]
    return {"text": " ".join(rng.choice(makers)(rng)[1] for _ in range(rng.randint(1, 4)))}


def example(rng):
    """One corpus line."""
    pick = rng.random()
    if pick < 0.45:
        return dialogue(rng, [single_en(rng)])
    if pick < 0.70:
        return dialogue(rng, [single_ko(rng)], korean=True)
    if pick < 0.79:
        question, text = stories_en.story(rng)
        return dialogue(rng, [(vary_story(rng, question), text)], is_story=True)
    if pick < 0.825:
        return dialogue(rng, [stories_ko.story(rng)], korean=True, is_story=True)
    if pick < 0.85:
        return raw_text(rng)
    if pick < 0.895:
        return dialogue(rng, mixed_turns(rng, rng.randint(2, 6)))
    if pick < 0.90:
        return dialogue(rng, mixed_turns(rng, rng.randint(10, 45)))
    if pick < 0.925:
        return dialogue(rng, qa_en.capital_chain(rng))
    if pick < 0.94:
        return dialogue(rng, qa_ko.capital_chain(rng), korean=True)
    if pick < 0.965:
        return dialogue(rng, talk.memory_en(rng, single_en))
    if pick < 0.98:
        return dialogue(rng, talk.memory_ko(rng, single_ko), korean=True)
    if pick < 0.99:
        return dialogue(rng, talk.recall_en(rng, single_en))
    return dialogue(rng, talk.follow_sum_en(rng, numeric.arithmetic_en))


def vary_story(rng, question):
    pick = rng.random()
    if pick < 0.8:
        return question
    if pick < 0.9:
        return question.rstrip(".?")
    return question.lower()


def questions(line):
    return [probes.normalized(m["content"]) for m in line.get("messages", []) if m["role"] == "user"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=160000)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    dropped, chars = collections.Counter(), 0
    with open(args.out, "w", encoding="utf-8") as out:
        written = 0
        while written < args.count:
            line = example(rng)
            hits = probes.HELDOUT.intersection(questions(line))
            dropped.update(hits)
            if hits:
                continue
            text = json.dumps(line, ensure_ascii=False)
            out.write(text + "\n")
            chars += len(text)
            written += 1
    with open(args.out, encoding="utf-8") as lines:
        for line in lines:
            assert not probes.HELDOUT.intersection(questions(json.loads(line))), line
    print(f"{args.out}: {written} lines, {chars} characters; no held-out question among them")
    print("dropped because held out:", dict(dropped))


if __name__ == "__main__":
    main()
