"""Korean question generators over the fact tables. Each returns (question, answer)."""

from . import facts, general
from .korean import josa

GENERAL = general.parse(general.KOREAN)

_CAPITAL = ["{}의 수도는 어디인가요?", "{}의 수도는 어디야?", "{}의 수도가 어디예요?", "{}의 수도는?",
            "{} 수도는 어디인가요?", "{} 수도가 어디야?", "{} 수도는?", "{}의 수도를 알려 주세요.",
            "{}의 수도를 알려줘.", "{}의 수도는 무엇입니까?", "{}의 수도는 어디입니까?",
            "{}의 수도 이름이 뭐예요?", "{} 수도 알아?", "{}의 수도를 말해 주세요."]
_FOLLOW = ["그럼 {}의 수도는?", "{}의 수도는요?", "{josa}요?", "그럼 {josa}?", "{josa} 어디인가요?",
           "그러면 {}의 수도는 어디인가요?", "{}의 수도는 어디야?"]


def capital_answer(country, city):
    return f"{country}의 수도는 {city}입니다."


def name(rng, country):
    aliases = facts.COUNTRY_ALIASES_KO.get(country)
    return rng.choice(aliases) if aliases and rng.random() < 0.5 else country


def capital(rng):
    *_, country, city = rng.choice(facts.CAPITALS)
    country = name(rng, country)
    return rng.choice(_CAPITAL).format(country), capital_answer(country, city)


def capital_chain(rng):
    turns = []
    for i, (*_, country, city) in enumerate(rng.sample(facts.CAPITALS, rng.randint(2, 4))):
        country = name(rng, country)
        text = rng.choice(_CAPITAL if i == 0 else _FOLLOW)
        turns.append((text.format(country, josa=josa(country, "은/는")), capital_answer(country, city)))
    return turns


def capital_more(rng):
    _, _, continent, country, city = rng.choice(facts.CAPITALS)
    kind = rng.randrange(4)
    if kind == 0:
        question = rng.choice(["{} 어느 나라의 수도인가요?", "{} 어느 나라 수도야?"])
        return (question.format(josa(city, "은/는")),
                f"{josa(city, '은/는')} {country}의 수도입니다.")
    if kind == 1:
        question = rng.choice(["{} 어느 대륙에 있나요?", "{} 어디에 있어?", "{} 어디에 있나요?"])
        return (question.format(josa(country, "은/는")),
                f"{josa(country, '은/는')} {facts.CONTINENT_KO[continent]}에 있습니다.")
    other = city if kind == 2 else rng.choice(facts.CAPITALS)[4]
    question = f"{country}의 수도는 {other}인가요?"
    if other == city:
        return question, "네, " + capital_answer(country, city)
    return question, "아니요, " + capital_answer(country, city)


def country_more(rng):
    english, _, _, language, currency = rng.choice(facts.COUNTRY_MORE)
    country = next(row[3] for row in facts.CAPITALS if row[0] == english)
    if rng.random() < 0.5:
        question = rng.choice(["{}에서는 어떤 언어를 쓰나요?", "{} 사람들은 무슨 말을 쓰나요?",
                               "{}에서 쓰는 언어는?"])
        return question.format(country), f"{country}에서는 {josa(language, '을/를')} 씁니다."
    question = rng.choice(["{}의 화폐는 무엇인가요?", "{}에서는 어떤 돈을 쓰나요?", "{}의 돈은 뭐야?"])
    return question.format(country), f"{country}의 화폐는 {currency}입니다."


def _planet(rng):
    i = rng.randrange(8)
    question = rng.choice(["태양에서 {} 행성은 무엇인가요?", "{} 행성은 뭐야?", "태양에서 {} 행성은?"])
    return (question.format(facts.ORDINALS_KO[i]),
            f"태양에서 {facts.ORDINALS_KO[i]} 행성은 {facts.PLANETS_KO[i]}입니다.")


def _animal(rng):
    *_, legs, _, animal, sound, kind = rng.choice(facts.ANIMALS)
    pick = rng.randrange(3)
    if pick == 0:
        question = rng.choice(["{} 어떻게 우나요?", "{} 어떤 소리를 내나요?", "{} 어떻게 울어?"])
        return question.format(josa(animal, "은/는")), f"{josa(animal, '은/는')} {sound} 하고 웁니다."
    if pick == 1:
        question = rng.choice(["{} 다리가 몇 개인가요?", "{} 다리가 몇 개야?"])
        word = {"2": "두", "4": "네"}[legs]
        return (question.format(josa(animal, "은/는")),
                f"{josa(animal, '은/는')} 다리가 {word} 개입니다.")
    question = rng.choice(["{} 어떤 동물인가요?", "{} 무슨 동물이야?"])
    return question.format(josa(animal, "은/는")), f"{josa(animal, '은/는')} {kind}입니다."


def _color(rng):
    if rng.random() < 0.3:
        *_, a, b, mixed = rng.choice(facts.COLOR_MIX)
        if rng.random() < 0.5:
            a, b = b, a
        question = rng.choice(["{} {} 섞으면 무슨 색이 되나요?", "{} {} 섞으면 무슨 색이야?"])
        return (question.format(josa(a, "과/와"), josa(b, "을/를")),
                f"{josa(a, '과/와')} {josa(b, '을/를')} 섞으면 {mixed}이 됩니다.")
    *_, thing, color = rng.choice(facts.COLORS)
    question = rng.choice(["{josa} 무슨 색인가요?", "{}의 색깔은 무엇인가요?", "{josa} 무슨 색이야?",
                           "{}의 색은?"])
    return (question.format(thing, josa=josa(thing, "은/는")), f"{josa(thing, '은/는')} {color}입니다.")


def _unit(rng):
    *_, small, big, unit = rng.choice([row for row in facts.UNITS if row[5]])
    question = rng.choice(["{j} 몇 {u}인가요?", "{j} 몇 {u}이야?", "{j} 몇 {u}입니까?"])
    return (question.format(j=josa(small, "은/는"), u=unit), f"{josa(small, '은/는')} {big}입니다.")


def _calendar(rng):
    pick, i, m = rng.randrange(5), rng.randrange(7), rng.randrange(12)
    day, month = facts.DAYS_KO[i], f"{m + 1}월"
    if pick == 0:
        question = rng.choice(["{} 다음 날은 무슨 요일인가요?", "{} 다음은 무슨 요일이야?",
                               "오늘이 {}이면 내일은 무슨 요일인가요?"])
        return question.format(day), f"{day} 다음 날은 {facts.DAYS_KO[(i + 1) % 7]}입니다."
    if pick == 1:
        question = rng.choice(["{} 전날은 무슨 요일인가요?", "오늘이 {}이면 어제는 무슨 요일인가요?"])
        return question.format(day), f"{day} 전날은 {facts.DAYS_KO[i - 1]}입니다."
    if pick == 2 and m != 1:
        question = rng.choice(["{} 며칠까지 있나요?", "{} 며칠까지 있어?"])
        return question.format(month + "은"), f"{month}은 {facts.MONTH_DAYS[m]}일까지 있습니다."
    if pick == 3:
        question = rng.choice(["{} 다음 달은 몇 월인가요?", "{} 다음은 몇 월이야?"])
        return question.format(month), f"{month} 다음 달은 {(m + 1) % 12 + 1}월입니다."
    question = rng.choice(["일주일의 요일을 말해 주세요.", "요일을 모두 말해 줘.", "요일을 차례로 말해 주세요."])
    return question, ", ".join(facts.DAYS_KO) + "입니다."


def _opposite(rng):
    a, b = rng.choice(facts.OPPOSITES_KO)
    if rng.random() < 0.5:
        a, b = b, a
    question = rng.choice(["{}의 반대말은 무엇인가요?", "{}의 반대말은 뭐야?", "{}의 반대말은?"])
    mark = rng.choice(["", "'"])
    return question.format(mark + a + mark), f"'{a}'의 반대말은 '{b}'입니다."


def translate(rng):
    english, korean = rng.choice(facts.WORDS)
    mark = rng.choice(["", "'"])
    if rng.random() < 0.5:
        question = rng.choice(["{j} 영어로 뭐예요?", "{j} 영어로 뭐야?", "{w}의 영어 단어는 무엇인가요?"])
        word = mark + korean + mark
        return question.format(j=word + josa(korean, "은/는")[len(korean):], w=word), \
            f"'{korean}'의 영어는 '{english}'입니다."
    question = rng.choice(["{}의 한국어는 무엇인가요?", "{}의 뜻은 뭐야?", "{}의 뜻은 무엇인가요?"])
    return question.format(mark + english + mark), f"'{english}'의 한국어는 '{korean}'입니다."


def make_list(rng):
    if rng.random() < 0.15:
        question = rng.choice(["행성을 차례로 말해 주세요.", "태양계의 행성을 모두 말해 주세요.",
                               "행성 이름을 다 말해 줘."])
        return question, ", ".join(facts.PLANETS_KO) + "입니다."
    _, kind, items = rng.choice(list(facts.LISTS.values()))
    count = rng.randint(2, 5)
    word = ["두", "세", "네", "다섯"][count - 2]
    items = items[:count]
    number = rng.choice([word + " 가지", word + " 개", f"{count}개"])
    if rng.random() < 0.3:
        question = rng.choice(["{} {}를 한 줄에 하나씩 써 주세요.", "{} {}를 목록으로 써 주세요."])
        return question.format(kind, number), "\n".join(f"{i}. {x}" for i, x in enumerate(items, 1))
    question = rng.choice(["{} {}를 말해 주세요.", "{} {}를 알려 줘.", "{} {}만 말해 주세요."])
    return question.format(kind, number), ", ".join(items) + "입니다."


def repeat(rng):
    pool = [w for _, w in facts.WORDS] + facts.PLANETS_KO + facts.DAYS_KO + [c[4] for c in facts.CAPITALS]
    text = " ".join(rng.choice(pool) for _ in range(rng.randint(1, 4)))
    question = rng.choice(["따라 하세요: {}", "따라 말해 주세요: {}", "'{}'라고 말해 주세요.", "이 말을 반복하세요: {}"])
    return question.format(text), text


def general_fact(rng):
    questions, answer = rng.choice(GENERAL)
    return rng.choice(questions), answer


def table_fact(rng):
    return rng.choice([_planet, _animal, _color, _unit, _calendar, _opposite, country_more])(rng)
