#!/usr/bin/env python3
"""Writes the demo model's training corpus: one JSON dialogue or text per line.

usage: corpus.py OUT.jsonl [--phase 1|2|3] [--count N] [--seed N]

A line is {"messages": [{"role", "content"}, ...]} or {"text": "..."}. All text comes from demo_data/.
Dialogues that contain a held-out question of demo_data/probes.py are dropped, and the file is
read again at the end to prove that none is left.
"""

import argparse
import collections
import json
import random

from demo_data import numeric, probes, qa_en, qa_ko, stories_en, stories_ko, talk

# Weight of each single question generator in each of the three phases of training. The second asks for more copying,
# the third for more counting and sums: what is learned last.
SINGLE_EN = [((12, 8, 8), qa_en.capital), ((5, 4, 4), qa_en.capital_more), ((16, 14, 14), qa_en.general_fact),
             ((13, 12, 12), qa_en.table_fact), ((3, 3, 3), qa_en.translate), ((3, 3, 3), qa_en.make_list),
             ((4, 13, 6), qa_en.repeat), ((9, 15, 26), numeric.count_en), ((12, 18, 28), numeric.arithmetic_en),
             ((6, 5, 5), talk.chat_en), ((7, 6, 6), talk.pagoda_en), ((5, 4, 4), talk.unknown_en),
             ((1, 1, 1), talk.no_name_en)]
SINGLE_KO = [((10, 7, 7), qa_ko.capital), ((4, 3, 3), qa_ko.capital_more), ((10, 10, 10), qa_ko.general_fact),
             ((9, 8, 8), qa_ko.table_fact), ((2, 2, 2), qa_ko.translate), ((2, 2, 2), qa_ko.make_list),
             ((2, 5, 3), qa_ko.repeat), ((5, 8, 15), numeric.count_ko), ((8, 9, 15), numeric.arithmetic_ko),
             ((5, 5, 5), talk.chat_ko), ((5, 6, 6), talk.pagoda_ko), ((3, 2, 2), talk.unknown_ko)]
PHASE = 1


def choose(rng, table):
    weights = [weight[PHASE - 1] for weight, _ in table]
    makers = [maker for _, maker in table]
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


def english_story(rng):
    question, text = stories_en.story(rng)
    return dialogue(rng, [(vary_story(rng, question), text)], is_story=True)


# Kinds of lines: weights in the three phases, maker.
KINDS = [
    ((45, 44, 44), lambda rng: dialogue(rng, [single_en(rng)])),
    ((25, 25, 25), lambda rng: dialogue(rng, [single_ko(rng)], korean=True)),
    ((9, 6, 8), english_story),
    ((3.5, 3, 3), lambda rng: dialogue(rng, [stories_ko.story(rng)], korean=True, is_story=True)),
    ((2.5, 2, 2), raw_text),
    ((4.5, 4, 4), lambda rng: dialogue(rng, mixed_turns(rng, rng.randint(2, 6)))),
    ((0.5, 0.5, 0.5), lambda rng: dialogue(rng, mixed_turns(rng, rng.randint(10, 45)))),
    ((2.5, 2, 2), lambda rng: dialogue(rng, qa_en.capital_chain(rng))),
    ((1.5, 1.5, 1.5), lambda rng: dialogue(rng, qa_ko.capital_chain(rng), korean=True)),
    ((2.5, 5, 5), lambda rng: dialogue(rng, talk.memory_en(rng, single_en))),
    ((1.5, 3, 3), lambda rng: dialogue(rng, talk.memory_ko(rng, single_ko), korean=True)),
    ((1, 2, 2), lambda rng: dialogue(rng, talk.recall_en(rng, single_en))),
    ((1, 2, 2), lambda rng: dialogue(rng, talk.follow_sum_en(rng, numeric.arithmetic_en))),
]


def example(rng):
    """One corpus line."""
    return choose(rng, KINDS)(rng)


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
    parser.add_argument("--phase", type=int, choices=[1, 2, 3], default=1)
    args = parser.parse_args()
    global PHASE  # the mix is one setting of the whole run
    PHASE = args.phase
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
