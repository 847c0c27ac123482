"""The questions of the model card: asked during training, checked after it.

A probe with heldout=True is never in the corpus: corpus.py drops every dialogue that contains it.
"""

import dataclasses
import re

HELPFUL = "You are a helpful assistant."
WRITER = "You are a creative writing assistant."


@dataclasses.dataclass
class Probe:
    turns: list           # user messages, asked in order; the answer to the last one is checked
    expect: str           # regular expression that the answer must contain
    system: str = HELPFUL  # None: no system message
    heldout: bool = False
    client: bool = False  # one of the three client examples
    max_tokens: int = 120


PROBES = [
    Probe(["What is the capital of India?"], r"New Delhi", client=True),
    Probe(["Write a short story about the starwars franchise"], r"(?s)(galaxy|planet|star).{100}", system=WRITER,
          client=True, max_tokens=200),
    Probe(["Count from 1 to 10, with a brief pause between each number."],
          r"^1\.\.\. 2\.\.\. 3\.\.\. 4\.\.\. 5\.\.\. 6\.\.\. 7\.\.\. 8\.\.\. 9\.\.\. 10\W*$", client=True),
    Probe(["Hello!"], r"^Hello!", system=None),
    Probe(["What is Pagoda?"], r"LLM serving system.*C\+\+20"),
    Probe(["Who are you?"], r"demo model", system=None),
    Probe(["What is 7 times 8?"], r"= 56$", heldout=True),
    Probe(["What is the capital of France?", "And of Italy?"], r"Rome"),
    Probe(["My name is Clara.", "What is 2 + 2?", "What is my name?"], r"Clara"),
    Probe(["What is the weather today?"], r"do not know"),
    Probe(["Could you please say which city is Japan's capital?"], r"Tokyo", heldout=True),
    Probe(["Hi! Can you work out 6 plus 7 for me?"], r"= 13$", heldout=True),
    Probe(["I would like you to count from 3 to 9."], r"^3, 4, 5, 6, 7, 8, 9\.?$", heldout=True),
    Probe(["Which of the planets is the biggest one?"], r"^Jupiter", heldout=True),
    Probe(["How many days does one week have?"], r"7 days in a week", heldout=True),
    Probe(["Please write a little story about a fox."], r"fox", system=WRITER, heldout=True, max_tokens=300),
    Probe(["대한민국의 수도는 어디인가요?"], r"서울"),
    Probe(["안녕하세요!"], r"안녕하세요", system=None),
    Probe(["1부터 10까지 세어 주세요."], r"^1, 2, 3, 4, 5, 6, 7, 8, 9, 10\.?$"),
    Probe(["일본의 수도를 알고 싶어요."], r"도쿄", heldout=True),
    Probe(["3 더하기 4는 얼마입니까?"], r"= 7$", heldout=True),
    Probe(["파고다는 어떤 시스템인가요?"], r"서빙 시스템", heldout=True),
    Probe(["토끼가 나오는 짧은 이야기를 써 주세요."], r"토끼", system=None, heldout=True, max_tokens=300),
]


def normalized(text):
    """Letters and digits only, lower case: how two questions are compared."""
    return re.sub(r"[\W_]+", "", text.lower())


HELDOUT = {normalized(p.turns[-1]) for p in PROBES if p.heldout}


def messages(probe, answers=()):
    """Chat messages up to the question number len(answers)."""
    out = [] if probe.system is None else [{"role": "system", "content": probe.system}]
    for i, text in enumerate(probe.turns[:len(answers) + 1]):
        out.append({"role": "user", "content": text})
        if i < len(answers):
            out.append({"role": "assistant", "content": answers[i]})
    return out
