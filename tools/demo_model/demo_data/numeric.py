"""Counting and small arithmetic, English and Korean. Each generator returns (question, answer)."""

from .korean import josa

WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
         "fifteen sixteen seventeen eighteen nineteen twenty").split()
NATIVE_KO = "하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열".split()
SINO_KO = "일 이 삼 사 오 육 칠 팔 구 십".split()


def _range(rng):
    """(first, last, step): mostly small runs from 1; some down, some by twos, fives or tens."""
    pick = rng.random()
    if pick < 0.35:
        return 1, rng.choice([3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 12, 15, 20]), 1
    if pick < 0.6:
        first = rng.randint(0, 40)
        return first, first + rng.randint(2, 12), 1
    if pick < 0.8:
        last = rng.choice([0, 1, 1, 1, rng.randint(2, 20)])
        return last + rng.choice([2, 3, 4, 5, 9, 10, rng.randint(2, 12)]), last, -1
    step = rng.choice([2, 2, 5, 10])
    first = rng.choice([0, step, step])
    return first, first + step * rng.randint(3, 9), step


def _numbers(first, last, step):
    return list(range(first, last + (1 if step > 0 else -1), step))


_PAUSE = [", with a brief pause between each number", ", with a short pause between each number",
          ", with a pause after each number", ", pausing between numbers", " slowly",
          ", with a brief pause between numbers", ", and pause between each number",
          ", with a small pause between the numbers"]


def count_en(rng):
    first, last, step = _range(rng)
    numbers = _numbers(first, last, step)
    verb = rng.choice(["Count", "Count", "Count", "Please count", "Can you count", "Count for me",
                       "Could you count"])
    if step > 1:
        body = f"{verb} from {first} to {last} by {step}s"
    elif step < 0:
        body = f"{verb} {rng.choice(['down ', 'down ', 'backwards ', ''])}from {first} to {last}"
    elif first == 1 and rng.random() < 0.2:
        body = f"{verb} {rng.choice(['to', 'up to'])} {last}"
    else:
        body = f"{verb} {rng.choice(['', '', 'up '])}from {first} to {last}"
    end = "?" if verb.startswith(("Can", "Could")) else "."
    style = rng.random()
    if style < 0.4:
        return body + rng.choice(_PAUSE) + end, "... ".join(map(str, numbers)) + "..."
    if style < 0.55:
        how = rng.choice([", one number per line", " with each number on a new line", ", each on its own line"])
        return body + how + end, "\n".join(map(str, numbers))
    if style < 0.7 and max(numbers) <= 20:
        how = rng.choice([" in words", " using words", ", in words"])
        return body + how + end, ", ".join(WORDS[n] for n in numbers) + "."
    return body + end, ", ".join(map(str, numbers)) + "."


def count_ko(rng):
    first, last, step = _range(rng)
    numbers = _numbers(first, last, step)
    ask = rng.choice(["세어 주세요.", "세어 줘.", "세어 보세요.", "세어 줄래?", "숫자를 세어 주세요."])
    span = f"{first}부터 {last}까지 "
    if step > 1:
        span += f"{step}씩 "
    elif step < 0:
        span += rng.choice(["거꾸로 ", "거꾸로 ", ""])
    style = rng.random()
    if style < 0.35:
        how = rng.choice(["천천히 ", "잠깐씩 쉬면서 ", "숫자마다 잠깐 쉬면서 ", "한 번씩 쉬어 가며 "])
        return span + how + ask, "... ".join(map(str, numbers)) + "..."
    if style < 0.5:
        return span + "한 줄에 하나씩 " + ask, "\n".join(map(str, numbers))
    if style < 0.6:
        count = rng.randint(3, 10)
        word = rng.choice([f"하나부터 {NATIVE_KO[count - 1]}까지 {ask}", f"우리말로 {NATIVE_KO[count - 1]}까지 {ask}"])
        return word, ", ".join(NATIVE_KO[:count])
    return span + ask, ", ".join(map(str, numbers))


def _sum(rng):
    """(a, operator, b, result) with small whole numbers."""
    op = rng.choice("++--xx/")
    if op == "+":
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        if rng.random() < 0.4:
            a, b = rng.randint(1, 10), rng.randint(1, 10)
        if rng.random() < 0.1:
            a, b = 10 * rng.randint(1, 9), 10 * rng.randint(1, 9)
        return a, op, b, a + b
    if op == "-":
        a = rng.randint(0, 20)
        b = rng.randint(0, a)
        if rng.random() < 0.1:
            a, b = 100, 10 * rng.randint(1, 9)
        return a, op, b, a - b
    a, b = rng.randint(0, 10), rng.randint(1, 10)
    if rng.random() < 0.15:
        a, b = rng.randint(2, 12), rng.randint(2, 12)
    return (a, op, b, a * b) if op == "x" else (a * b, op, b, a)


_SIGN = {"+": ["+"], "-": ["-"], "x": ["x", "*", "×"], "/": ["/", "÷"]}
_SHOWN = {"+": "+", "-": "-", "x": "×", "/": "÷"}
_NAME = {"+": ["plus"], "-": ["minus"], "x": ["times", "multiplied by"], "/": ["divided by"]}


def arithmetic_en(rng):
    a, op, b, result = _sum(rng)
    answer = f"{a} {_SHOWN[op]} {b} = {result}"
    if rng.random() < 0.12 and op in "+-" and a <= 20 and b >= 1:
        thing = rng.choice(["apples", "books", "coins", "cookies", "stars"])
        if op == "+":
            return (rng.choice([f"I have {a} {thing} and get {b} more. How many {thing} do I have?",
                                f"Tom has {a} {thing} and Mia has {b} {thing}. How many {thing} together?"]), answer)
        return rng.choice([f"I have {a} {thing} and lose {b}. How many {thing} are left?",
                           f"I have {a} {thing} and give away {b}. How many are left?"]), answer
    if rng.random() < 0.1:
        small, big = sorted(rng.sample(range(0, 50), 2))
        pair = [small, big]
        rng.shuffle(pair)
        word = rng.choice(["larger", "bigger", "greater"])
        if rng.random() < 0.7:
            return f"Which is {word}, {pair[0]} or {pair[1]}?", f"{big} is larger than {small}."
        return f"Which is smaller, {pair[0]} or {pair[1]}?", f"{small} is smaller than {big}."
    if rng.random() < 0.08:
        n = rng.randint(0, 40)
        kind = "even" if n % 2 == 0 else "odd"
        return rng.choice([f"Is {n} even or odd?", f"Is {n} an odd or an even number?"]), f"{n} is {kind}."
    gap = rng.choice([" ", " ", ""])
    expr = gap.join([str(a), rng.choice(_SIGN[op]), str(b)])
    if rng.random() < 0.45:
        expr = f"{a} {rng.choice(_NAME[op])} {b}"
    if max(a, b) <= 20 and rng.random() < 0.08:
        expr = f"{WORDS[a]} {_NAME[op][0]} {WORDS[b]}"
    question = rng.choice(["What is {}?", "What's {}?", "How much is {}?", "Calculate {}.", "{} = ?",
                           "{}?", "{} is?", "Compute {}.", "Can you calculate {}?", "{}=",
                           "What does {} equal?", "Tell me what {} is.", "Solve {}."])
    return question.format(expr), answer


_NAME_KO = {"+": "더하기", "-": "빼기", "x": "곱하기", "/": "나누기"}


def arithmetic_ko(rng):
    a, op, b, result = _sum(rng)
    answer = f"{a} {_SHOWN[op]} {b} = {result}"
    if rng.random() < 0.12 and op in "+-" and b >= 1:
        thing = rng.choice(["사과", "책", "사탕", "동전"])
        tail = "더 받았어요. 모두 몇 개인가요?" if op == "+" else "먹었어요. 몇 개 남았나요?"
        thing = thing if op == "+" else rng.choice(["사과", "사탕"])
        return f"{josa(thing, '이/가')} {a}개 있는데 {b}개를 {tail}", answer
    if rng.random() < 0.1:
        small, big = sorted(rng.sample(range(0, 50), 2))
        pair = [small, big]
        rng.shuffle(pair)
        return f"{josa(str(pair[0]), '과/와')} {pair[1]} 중에 더 큰 수는?", f"더 큰 수는 {big}입니다."
    expr = f"{a}{rng.choice([' ', ''])}{rng.choice(_SIGN[op])}{rng.choice([' ', ''])}{b}"
    last = str(b)
    if rng.random() < 0.5:
        expr = f"{a} {_NAME_KO[op]} {b}"
    question = rng.choice(["{j} 얼마인가요?", "{j} 얼마야?", "{j}?", "{e}의 답은?", "{e}를 계산해 주세요.",
                           "{j} 뭐야?", "{e} 계산해 줘."])
    return question.format(e=expr, j=expr + josa(last, "은/는")[len(last):]), answer
