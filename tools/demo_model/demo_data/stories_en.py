"""English stories: each genre is a list of beats, each beat a set of sentences with slots."""

_SPACE = dict(
    slots=dict(
        hero="Mira|Tarin|Kael|Lena|Joran|Sela|Dax|Nova|Ren|Zara".split("|"),
        friend="Pip|Bolt|Dot|Gizmo|Tin|Beep".split("|"),
        foe="Lord Varr|the Iron General|Captain Grull|the Shadow Baron".split("|"),
        planet="Ondara|Velo|Kessan|Tirium|Orla|Marn".split("|"),
        ship="Silver Arrow|Lucky Comet|Night Heron|Star Swallow".split("|"),
        thing="star map|blue crystal|secret plan|ancient key".split("|")),
    beats=[
        ["Long ago, on the edge of the galaxy, a young pilot named {hero} lived on the desert planet {planet}.",
         "In a distant galaxy, on the small planet {planet}, a young pilot named {hero} dreamed of the stars.",
         "Far beyond the last star, a pilot named {hero} lived on the quiet planet {planet}."],
        ["Every night {hero} looked at the sky and repaired an old ship called the {ship}.",
         "By day {hero} worked on a farm, and by night {hero} repaired an old ship called the {ship}."],
        ["{hero}'s best friend was a little robot named {friend}, who was brave but very noisy.",
         "A small robot named {friend} helped with every job and complained about the sand."],
        ["One evening a light fell from the sky and crashed behind the hills.",
         "One morning a strange signal came from the hills."],
        ["There they found a wounded messenger, who held a {thing} in her hands.",
         "They ran to the place and found a {thing} inside a broken capsule."],
        ["\"Take the {thing} to the free worlds,\" she whispered, \"before {foe} finds it.\"",
         "A voice in the capsule said: \"Bring the {thing} to the free worlds, and do not let {foe} take it.\""],
        ["That same hour the gray ships of {foe} filled the sky.",
         "Soon the soldiers of {foe} landed near the village."],
        ["{hero} and {friend} ran to the {ship}, and the engines woke with a roar.",
         "There was no time to lose, so {hero} started the {ship} and flew straight up into the stars."],
        ["Red beams of light flashed past the windows, but {hero} turned left and right between the asteroids.",
         "The enemy fighters came closer and closer, and the old ship shook from end to end."],
        ["\"We are not going to make it!\" cried {friend}.",
         "\"I have a bad idea,\" said {friend}, \"but it is the only one we have.\""],
        ["{hero} closed both eyes, took a deep breath, and trusted the quiet feeling inside.",
         "{hero} remembered the words of the old teacher: be calm, and the stars will guide you."],
        ["Then the {ship} jumped through a ring of ice, and the fighters crashed into each other behind it.",
         "With one last turn the {ship} slipped through a gap in the rocks, and the fighters lost their way."],
        ["At the hidden base the rebels opened the {thing} and saw the weak point of the great battle station.",
         "On the moon of the rebels the {thing} showed a secret door in the enemy fortress."],
        ["So {hero} led a small group of pilots into the last battle.",
         "The next day every pilot who could fly followed {hero} into the dark."],
        ["{foe} stood on the bridge and laughed, but the laugh did not last long.",
         "{foe} had many ships, but no hope and no friends."],
        ["One shot, small and true, flew into the heart of the station, and the night became as bright as day.",
         "{friend} opened the door, {hero} pressed the button, and the fortress went dark forever."],
        ["The people of {planet} danced under the stars, and even {friend} beeped a happy song.",
         "When they came home to {planet}, the whole village sang for {hero} and {friend}."],
        ["And when the fire burned low, {hero} looked up again, because there was always one more star to see.",
         "Peace came back to the galaxy, and the {ship} waited for the next adventure."],
    ])

_DRAGON = dict(
    slots=dict(
        hero="Elin|Robin|Tomas|Greta|Finn|Maya|Oskar|Lily".split("|"),
        dragon="Ember|Smoke|Ash|Old Claw|Flicker".split("|"),
        place="village|castle|town|valley".split("|"),
        thing="golden bell|silver crown|magic lamp|green stone".split("|")),
    beats=[
        ["Once upon a time, a child named {hero} lived in a small {place} under a mountain.",
         "Once upon a time there was a brave child named {hero}, who lived in a quiet {place}."],
        ["On top of the mountain lived a dragon called {dragon}, and everyone was afraid of it.",
         "Everyone in the {place} was afraid of {dragon}, the dragon of the mountain."],
        ["One winter night the {thing} of the {place} disappeared.",
         "One day the {thing} was gone, and the people said that the dragon had stolen it."],
        ["\"I will bring it back,\" said {hero}, and nobody believed it.",
         "{hero} packed some bread and a rope and began to climb."],
        ["The path was steep and the wind was cold, but {hero} did not turn back.",
         "For two days {hero} walked through snow and dark woods."],
        ["At last {hero} found a cave, and in the cave sat {dragon}, crying.",
         "In the cave at the top, {dragon} was lying beside a small fire and looked very sad."],
        ["\"Why are you crying?\" asked {hero}.",
         "\"Are you ill?\" asked {hero} in a small voice."],
        ["\"I am lonely,\" said the dragon. \"I took the {thing} because it sings like a friend.\"",
         "\"Nobody ever visits me,\" said {dragon}. \"I only wanted the {thing} for company.\""],
        ["{hero} thought for a moment and smiled.", "{hero} sat down next to the dragon and shared the bread."],
        ["\"Come with me,\" said {hero}. \"A friend is better than a {thing}.\"",
         "\"Give it back,\" said {hero}, \"and I will be your friend.\""],
        ["Together they flew down to the {place}, and the people were amazed.",
         "So they went down the mountain together, and the {thing} shone in the morning light."],
        ["From that day {dragon} kept the {place} warm in winter, and nobody was lonely any more.",
         "And from that day on, {hero} and {dragon} were the best of friends."],
    ])

_MYSTERY = dict(
    slots=dict(
        hero="Inspector Gray|Detective Moss|Miss Finch|Mr. Bell".split("|"),
        helper="Nell|Toby|Ada|Hugo".split("|"),
        thing="red diamond|old clock|rare painting|gold coin".split("|"),
        place="museum|library|hotel|theater".split("|"),
        thief="gardener|cook|driver|night guard".split("|")),
    beats=[
        ["It was a rainy night when the {thing} vanished from the {place}.",
         "On a cold and rainy evening the {thing} disappeared from the {place}."],
        ["{hero} arrived with a young helper named {helper}.",
         "The director called {hero}, who came at once with a helper named {helper}."],
        ["The windows were closed and the door was locked from inside.",
         "Nothing was broken, and nobody had heard a sound."],
        ["\"Look at the floor,\" said {helper}. There were small drops of water.",
         "{helper} found a wet leaf under the table."],
        ["{hero} asked everyone in the house one simple question: \"Where were you at nine?\"",
         "{hero} drank a cup of tea and asked everyone the same question."],
        ["The {thief} answered too fast and looked at the clock.",
         "Only the {thief} did not look up."],
        ["\"Your shoes are wet,\" said {hero}, \"but you told us that you never went out.\"",
         "\"It is strange,\" said {hero}, \"that your coat is still wet.\""],
        ["The {thief} turned pale and gave back the {thing}.",
         "At last the {thief} opened a bag, and there was the {thing}."],
        ["\"How did you know?\" asked {helper} on the way home.",
         "On the way home {helper} asked how it was done."],
        ["\"I only looked,\" said {hero}, \"and you looked even better.\"",
         "{hero} smiled and said: \"The rain is a good witness.\""],
    ])

_ANIMAL = dict(
    slots=dict(
        hero="cat|dog|rabbit|fox|mouse|bear|owl|robot|duck|turtle".split("|"),
        name="Milo|Luna|Coco|Teddy|Poppy|Oliver".split("|"),
        friend="squirrel|hedgehog|sparrow|frog".split("|"),
        place="forest|garden|farm|park".split("|"),
        thing="ball|kite|boat|red hat".split("|")),
    beats=[
        ["Once there was a little {hero} named {name}, who lived in a {place}.",
         "A little {hero} named {name} lived in a sunny {place}."],
        ["{name} had a {thing} and loved it more than anything else.",
         "Every day {name} played with a {thing}."],
        ["One windy day the {thing} flew away over the trees.",
         "One morning the {thing} was lost."],
        ["{name} looked everywhere, but could not find it.",
         "{name} looked under the leaves and behind the stones."],
        ["Then a {friend} came by and asked: \"Why are you sad?\"",
         "A friendly {friend} saw {name} and asked what was wrong."],
        ["\"I lost my {thing},\" said {name}.", "{name} told the whole story."],
        ["\"Let us look together,\" said the {friend}.",
         "The {friend} said: \"Two can see more than one.\""],
        ["They crossed a stream, climbed a hill, and found the {thing} in a tall tree.",
         "They walked to the end of the {place}, and there was the {thing} in the grass."],
        ["The {friend} climbed up and brought it down.", "{name} jumped for joy."],
        ["After that they played together every day.",
         "From that day on, {name} and the {friend} shared everything."],
        ["The end.", "And they were very happy."],
    ])

_SEA = dict(
    slots=dict(
        hero="Captain Rosa|Captain Flint|Captain Mary|Captain Jonas".split("|"),
        ship="Sea Fox|Blue Whale|Merry Wind|Golden Gull".split("|"),
        friend="a parrot named Echo|a cook named Sam|a boy named Will".split("|"),
        thing="treasure|lost island|singing pearl|sunken bell".split("|")),
    beats=[
        ["{hero} sailed the wide ocean on a ship called the {ship}.",
         "Far out at sea sailed the {ship}, and its captain was {hero}."],
        ["With the crew came {friend}.", "On board there was also {friend}."],
        ["An old map told of a {thing} far in the south.", "One day they found a map of a {thing} in a bottle."],
        ["They sailed for seven days, and on the eighth day a storm came up.",
         "They sailed south until the sky grew black and the wind began to howl."],
        ["The waves were as high as houses, but {hero} held the wheel.",
         "\"Hold on!\" cried {hero}, and the {ship} climbed wave after wave."],
        ["In the morning the sea was calm, and a green island lay before them.",
         "When the sun came back, they saw a white beach and tall palm trees."],
        ["They followed the map through the jungle to a cave behind a waterfall.",
         "They walked a hundred steps from the old tree and began to dig."],
        ["There, in the silver light, they found the {thing}.", "And there it was, the {thing}, as beautiful as the moon."],
        ["\"What shall we do with it?\" they asked.", "The crew cheered and threw their hats into the air."],
        ["\"We will share it,\" said {hero}, \"for a good crew is the best treasure.\"",
         "{hero} laughed and said: \"The best part was the journey.\""],
        ["Then the {ship} turned home, and the stars showed the way.",
         "So they sailed home, singing all the way."],
    ])

GENRES = {"space": _SPACE, "dragon": _DRAGON, "mystery": _MYSTERY, "animal": _ANIMAL, "sea": _SEA}

TOPICS = {
    "space": ["the starwars franchise", "the Star Wars franchise", "star wars", "Star Wars", "starwars", "space",
              "a space adventure", "a galaxy far away", "a starship", "a young pilot", "space pilots", "the stars",
              "outer space", "rebels in space", "a space battle", "science fiction", "the Star Wars universe",
              "a robot and a pilot"],
    "dragon": ["a dragon", "a lonely dragon", "a magic mountain", "a brave child", "a castle", "a knight", "magic",
               "a fairy tale kingdom", "a dragon and a child", "friendship", "a princess"],
    "mystery": ["a detective", "a mystery", "a crime", "a stolen diamond", "a clever detective", "a rainy night",
                "a theft in a museum"],
    "animal": [],
    "sea": ["pirates", "a pirate", "a treasure island", "the sea", "a sailor", "a storm at sea", "a ship",
            "a lost treasure", "the ocean"],
}
_ASK = ["Write a short story about {}.", "Write a short story about {}", "Tell me a story about {}.",
        "Write a story about {}.", "Can you write a story about {}?", "Please write a short story about {}.",
        "I want to hear a story about {}.", "Tell me a short story about {}.", "Make up a story about {}.",
        "Give me a story about {}.", "Write me a story about {}.", "Could you tell a story about {}?",
        "Please tell me a tale about {}.", "Compose a short story about {}.", "Please write a story about {}.",
        "Write a little story about {}.", "Tell me a little story about {}."]
_ASK_ANY = ["Tell me a story.", "Write a story.", "Write a short story.", "Tell me a short story.",
            "Can you tell me a story?", "I want a story.", "Please tell me a bedtime story.", "Tell me a fairy tale."]


def _article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def tell(rng, genre):
    """(story text, slots)."""
    spec = GENRES[genre]
    slots = {name: rng.choice(values) for name, values in spec["slots"].items()}
    sentences = [rng.choice(beat).format(**slots) for beat in spec["beats"]]
    breaks = {len(sentences) // 3, 2 * len(sentences) // 3} if len(sentences) > 11 else set()
    text = ""
    for i, sentence in enumerate(sentences):
        text += ("" if i == 0 else "\n\n" if i in breaks else " ") + sentence
    return text, slots


def story(rng, genre=None):
    """(question, story)."""
    if genre is None:
        genre = rng.choice(["space", "space", "space", "dragon", "mystery", "animal", "animal", "animal", "sea"])
    text, slots = tell(rng, genre)
    if genre == "animal":
        topic = rng.choice([_article(slots["hero"]), _article("little " + slots["hero"]),
                            f"a {slots['hero']} named {slots['name']}",
                            f"a {slots['hero']} and a {slots['friend']}",
                            f"a {slots['hero']} who lost a {slots['thing']}"])
    else:
        topic = rng.choice(TOPICS[genre])
        if rng.random() < 0.15:
            topic += " with a hero named " + slots["hero"]
    if genre in ("dragon", "animal") and rng.random() < 0.2:
        return rng.choice(_ASK_ANY), text
    return rng.choice(_ASK).format(topic), text
