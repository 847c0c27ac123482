"""Korean particles: picks the form that fits the word before it."""

_DIGIT_HAS_FINAL = {"0": True, "1": True, "2": False, "3": True, "4": False,
                    "5": False, "6": True, "7": True, "8": True, "9": False}


def has_final(word):
    """True if the last syllable of `word`, read aloud in Korean, ends in a consonant."""
    last = word.rstrip(" .!?\"'")[-1]
    if "가" <= last <= "힣":
        return (ord(last) - 0xAC00) % 28 != 0
    return _DIGIT_HAS_FINAL.get(last, False)


def josa(word, pair):
    """`word` with the right particle; `pair` is 'consonant form/vowel form', as in '은/는'."""
    with_final, without_final = pair.split("/")
    if pair == "으로/로" and "가" <= word[-1] <= "힣" and (ord(word[-1]) - 0xAC00) % 28 == 8:
        return word + "로"
    return word + (with_final if has_final(word) else without_final)
