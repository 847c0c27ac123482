"""English question generators over the fact tables. Each returns (question, answer)."""

from . import facts, general

GENERAL = general.parse(general.ENGLISH)

_CAPITAL = ["What is the capital of {}?", "What's the capital of {}?", "What is the capital city of {}?",
            "Tell me the capital of {}.", "Which city is the capital of {}?", "Capital of {}?",
            "Name the capital city of {}.", "Do you know the capital of {}?", "The capital of {}?",
            "Can you tell me what the capital of {} is?", "What city is the capital of {}?",
            "I would like to know the capital of {}.", "What is the name of the capital of {}?",
            "Please tell me the capital city of {}.", "Could you name the capital of {}?",
            "In {}, which city is the capital?", "I forgot the capital of {}. What is it?",
            "I am going to {}. What is the capital?", "Give me the capital of {}."]
_FOLLOW = ["And of {}?", "And {}?", "What about {}?", "And the capital of {}?", "How about {}?",
           "And what about {}?", "Now {}.", "What is the capital of {}?", "{}?"]
_REVERSE = ["{} is the capital of which country?", "Which country has {} as its capital?",
            "What country is {} the capital of?", "Of which country is {} the capital?"]


def name(rng, country):
    """`country` or, sometimes, another name for it."""
    aliases = facts.COUNTRY_ALIASES.get(country)
    return rng.choice(aliases) if aliases and rng.random() < 0.4 else country


def upper_first(text):
    return text[0].upper() + text[1:]


def capital_answer(country, capital):
    return f"The capital of {country} is {capital}" + ("" if capital.endswith(".") else ".")


def capital(rng):
    country, city, *_ = rng.choice(facts.CAPITALS)
    country = name(rng, country)
    return upper_first(rng.choice(_CAPITAL).format(country)), capital_answer(country, city)


def capital_chain(rng):
    """A dialogue: one capital, then "and of X?"."""
    rows = rng.sample(facts.CAPITALS, rng.randint(2, 4))
    turns = []
    for i, (country, city, *_) in enumerate(rows):
        country = name(rng, country)
        text = rng.choice(_CAPITAL if i == 0 else _FOLLOW).format(country)
        turns.append((upper_first(text), capital_answer(country, city)))
    return turns


def capital_more(rng):
    country, city, continent, *_ = rng.choice(facts.CAPITALS)
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(_REVERSE).format(city), f"{city} is the capital of {country}."
    if kind == 1:
        question = rng.choice(["Which continent is {} in?", "On which continent is {}?",
                               "What continent is {} on?", "Where is {}?"])
        return question.format(country), upper_first(f"{country} is in {continent}.")
    if kind == 2:
        return f"Is {city} the capital of {country}?", f"Yes, {city} is the capital of {country}."
    other = rng.choice(facts.CAPITALS)[1]
    if other == city:
        return f"Is {city} the capital of {country}?", f"Yes, {city} is the capital of {country}."
    return f"Is {other} the capital of {country}?", "No, the" + capital_answer(country, city)[3:]


def country_more(rng):
    country, language, currency, *_ = rng.choice(facts.COUNTRY_MORE)
    if rng.random() < 0.5:
        question = rng.choice(["What language is spoken in {}?", "What language do people speak in {}?",
                               "Which language is used in {}?", "What is the language of {}?"])
        return question.format(country), f"People in {country} speak {language}."
    question = rng.choice(["What is the currency of {}?", "What money is used in {}?",
                           "Which currency does {} use?", "What currency is used in {}?"])
    return question.format(country), upper_first(f"{country} uses {currency}.")


def _planet(rng):
    i = rng.randrange(8)
    question = rng.choice(["What is the {} planet from the sun?", "Which planet is {} from the sun?",
                           "Name the {} planet from the sun.", "What is the {} planet?"])
    return (question.format(facts.ORDINALS[i]),
            f"{facts.PLANETS[i]} is the {facts.ORDINALS[i]} planet from the sun.")


def _animal(rng):
    animal, sound, baby, legs, kind, *_ = rng.choice(facts.ANIMALS)
    article = "an" if animal[0] in "aeiou" else "a"
    pick = rng.randrange(4)
    if pick == 0:
        question = rng.choice(["What sound does a {} make?", "What does a {} say?",
                               "Which sound does the {} make?"])
        return question.format(animal), f"A {animal} says {sound}."
    if pick == 1:
        question = rng.choice(["What is a baby {} called?", "What do you call a baby {}?",
                               "What is the young of a {} called?"])
        return question.format(animal), f"A baby {animal} is called a {baby}."
    if pick == 2:
        question = rng.choice(["How many legs does a {} have?", "How many legs has a {}?"])
        word = {"2": "two", "4": "four"}[legs]
        return question.format(animal), f"{article.capitalize()} {animal} has {word} legs."
    kinds = "an " + kind if kind[0] == "a" else "a " + kind
    return (rng.choice(["What kind of animal is a {}?", "Is a {} a mammal or a bird?"]).format(animal),
            f"A {animal} is {kinds}.")


def _color(rng):
    if rng.random() < 0.3:
        a, b, mixed, *_ = rng.choice(facts.COLOR_MIX)
        if rng.random() < 0.5:
            a, b = b, a
        question = rng.choice(["What color do you get when you mix {} and {}?", "What do {} and {} make?",
                               "Mix {} and {}. What color is it?", "If I mix {} and {}, what color do I get?"])
        return question.format(a, b), upper_first(f"{a} and {b} make {mixed}.")
    thing, color, *_ = rng.choice(facts.COLORS)
    question = rng.choice(["What color is {}?", "Which color does {} have?", "What is the color of {}?",
                           "Tell me the color of {}.", "What colour is {}?"])
    return question.format(thing), upper_first(f"{thing} is {color}.")


def _unit(rng):
    small, big, number, *_ = rng.choice(facts.UNITS)
    asked = "one " + big.split(" ", 1)[1] if rng.random() < 0.3 else big
    question = rng.choice(["How many {s} are in {b}?", "How many {s} are there in {b}?",
                           "How many {s} make {b}?", "How many {s} does {b} have?",
                           "Tell me how many {s} are in {b}."])
    return question.format(s=small, b=asked), f"There are {number} {small} in {big}."


def _calendar(rng):
    pick = rng.randrange(7)
    i, m = rng.randrange(7), rng.randrange(12)
    if pick == 0:
        question = rng.choice(["What day comes after {}?", "Which day is after {}?",
                               "What is the day after {}?", "If today is {}, what day is tomorrow?"])
        day = facts.DAYS[(i + 1) % 7]
        return question.format(facts.DAYS[i]), f"{day} comes after {facts.DAYS[i]}."
    if pick == 1:
        question = rng.choice(["What day comes before {}?", "Which day is before {}?",
                               "What is the day before {}?", "If today is {}, what day was yesterday?"])
        return question.format(facts.DAYS[i]), f"{facts.DAYS[i - 1]} comes before {facts.DAYS[i]}."
    if pick == 2:
        question = rng.choice(["What month comes after {}?", "Which month is after {}?",
                               "What is the month after {}?"])
        month = facts.MONTHS[(m + 1) % 12]
        return question.format(facts.MONTHS[m]), f"{month} comes after {facts.MONTHS[m]}."
    if pick == 3:
        question = rng.choice(["What is the {} month of the year?", "Which month is the {}?",
                               "Name the {} month."])
        return (question.format(facts.ORDINALS[m]),
                f"{facts.MONTHS[m]} is the {facts.ORDINALS[m]} month of the year.")
    if pick == 4 and m != 1:
        question = rng.choice(["How many days does {} have?", "How many days are in {}?"])
        return question.format(facts.MONTHS[m]), f"{facts.MONTHS[m]} has {facts.MONTH_DAYS[m]} days."
    if pick == 5:
        question = rng.choice(["List the days of the week.", "What are the days of the week?",
                               "Name the days of the week.", "Name the seven days of the week."])
        return question, "The days of the week are " + ", ".join(facts.DAYS[:6]) + " and Sunday."
    question = rng.choice(["List the months of the year.", "What are the months?",
                           "Name the twelve months.", "Name the months of the year."])
    return question, "The months are " + ", ".join(facts.MONTHS[:11]) + " and December."


def _opposite(rng):
    a, b = rng.choice(facts.OPPOSITES)
    if rng.random() < 0.5:
        a, b = b, a
    question = rng.choice(["What is the opposite of {}?", "What's the opposite of {}?",
                           "Give me the opposite of {}.", "What is the antonym of {}?"])
    mark = rng.choice(["", '"'])
    return question.format(mark + a + mark), f"The opposite of {a} is {b}."


def translate(rng):
    english, korean = rng.choice(facts.WORDS)
    mark = rng.choice(["", '"'])
    if rng.random() < 0.6:
        question = rng.choice(["How do you say {} in Korean?", "What is {} in Korean?",
                               "Translate {} into Korean.", "What is the Korean word for {}?"])
        return question.format(mark + english + mark), f'"{english}" in Korean is "{korean}".'
    question = rng.choice(["What does {} mean in English?", "Translate {} into English.",
                           "What is {} in English?"])
    return question.format(mark + korean + mark), f'"{korean}" in English is "{english}".'


_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


def make_list(rng):
    if rng.random() < 0.15:
        question = rng.choice(["List the planets in order.", "Name the planets of the solar system.",
                               "What are the planets?", "Name all eight planets."])
        return question, "The planets are " + ", ".join(facts.PLANETS[:7]) + " and Neptune."
    kind = rng.choice(list(facts.LISTS))
    word = rng.choice(["two", "three", "four", "five"])
    count = _COUNTS[word]
    items = facts.LISTS[kind][0][:count]
    shown = rng.choice([word, str(count)])
    style = rng.random()
    if style < 0.3:
        question = rng.choice(["List {} {}, one per line.", "Write a list of {} {}.",
                               "Give me a numbered list of {} {}."]).format(shown, kind)
        return question, "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))
    question = rng.choice(["Name {} {}.", "List {} {}.", "Tell me {} {}.", "Give me {} {}.",
                           "Can you name {} {}?"]).format(shown, kind)
    return question, upper_first(f"{', '.join(items[:-1])} and {items[-1]}.")


def repeat(rng):
    """Copying: the words come from the fact tables, in any order."""
    pool = ([w for w, _ in facts.WORDS] + facts.PLANETS + facts.DAYS + [a[0] for a in facts.ANIMALS]
            + [c[1] for c in facts.CAPITALS] + ["good morning", "have a nice day", "I like trains", "pagoda"])
    text = " ".join(rng.choice(pool) for _ in range(rng.choice([1, 2, 3, 4, 5, 6, 8, 10])))
    if rng.random() < 0.3:
        word, times = rng.choice(list(_COUNTS.items())[1:])
        text = rng.choice(pool)
        return (rng.choice(["Say {} {} times.", "Repeat {} {} times.", "Write {} {} times."])
                .format(text, word), " ".join([text] * times))
    question = rng.choice(["Repeat after me: {}", "Say: {}", "Repeat this: {}", 'Say "{}".',
                           'Repeat "{}".', "Please repeat: {}", "Echo: {}", 'Say exactly "{}".'])
    return question.format(text), text


def general_fact(rng):
    questions, answer = rng.choice(GENERAL)
    return rng.choice(questions), answer


def table_fact(rng):
    return rng.choice([_planet, _animal, _color, _unit, _calendar, _opposite, country_more])(rng)
