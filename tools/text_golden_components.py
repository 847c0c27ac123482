"""Cases for each component of a tokenizer.json, answered by Hugging Face tokenizers.

tools/make_text_golden.py writes what make() returns to tests/golden/text/component_cases.json.
"""
import json

TEXTS = ["", " ", "a", "Hello world", "  Hello   world  ", "Hey,  friend! What's up?\n\n x", "12 345 6789",
         "3.14e-10 ٣٤ ²½ Ⅷ五", "don't WE'LL i'm", "▁a▁▁b▁", " ▁ a", "한국어 문장 하나.", "e\u0301 é ﬁ ① Å İI\u0307 ς Σ",
         "a\u3000b\u00a0c\u2003d\u180ee\u200bf\tg\rh\r\ni", "x\n\n\ny", "naïve café–bar … «q»", "👩\u200d👩\u200d👧 👍🏽x",
         "aa--bb__cc..dd", "--a--", "$5+3=8 <b> ~^`|", "\u0c95\u0cbf\u0e19\u0e49\u0301", "\x01\x7f", "[INST] </s><s>"]
REGEX = "Regex"
STRING = "String"


def split(kind, pattern, behavior, invert=False):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(prefix, regex):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def metaspace(scheme, cut):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PRE_TOKENIZERS = (
    [split(kind, pattern, behavior, invert)
     for kind, pattern in [(REGEX, r"\s+|[.,-]"), (STRING, "-"), (REGEX, r"\p{L}+")]
     for behavior in BEHAVIORS for invert in (False, True)]
    + [metaspace(scheme, cut) for scheme in ("always", "first", "never") for cut in (True, False)]
    + [byte_level(prefix, regex) for prefix in (True, False) for regex in (True, False)]
    + [{"type": "Digits", "individual_digits": one} for one in (True, False)]
    + [{"type": "Punctuation", "behavior": behavior} for behavior in BEHAVIORS]
    + [{"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "BertPreTokenizer"},
       {"type": "CharDelimiterSplit", "delimiter": "-"}]
    + [sequence({"type": "Digits", "individual_digits": True}, byte_level(False, True)),
       sequence(split(REGEX, "[\r\n]", "Isolated"), split(REGEX, r"\s?\p{L}+", "Isolated"),
                split(REGEX, r"\s+$", "Isolated"), byte_level(False, False)),
       sequence(split(REGEX, r"\s+$", "Isolated")),
       sequence({"type": "Punctuation", "behavior": "Contiguous"}, byte_level(False, True),
                {"type": "Digits", "individual_digits": False},
                split(REGEX, "[0-9][0-9][0-9]", "Isolated")),
       sequence({"type": "WhitespaceSplit"}, metaspace("first", True)),
       sequence(sequence(split(REGEX, r"(?i:'s|'t|'ll)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
                               r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", "Removed", True)),
                byte_level(True, False)),
       split(REGEX, " ?[^(\\s|[.,!?…。，、।۔،])]+", "Isolated"), split(REGEX, r"^\w", "Isolated"),
       split(REGEX, "", "Isolated"), split(STRING, " ", "MergedWithPrevious")])

NORMALIZERS = (
    [{"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")]
    + [{"type": "Strip", "strip_left": left, "strip_right": right}
       for left in (True, False) for right in (True, False)]
    + [{"type": "Prepend", "prepend": "▁"},
       {"type": "Replace", "pattern": {STRING: " "}, "content": "▁"},
       {"type": "Replace", "pattern": {REGEX: r"\s+|'"}, "content": " "},
       {"type": "Sequence", "normalizers": [
           {"type": "Prepend", "prepend": "▁"},
           {"type": "Sequence", "normalizers": [
               {"type": "NFD"}, {"type": "StripAccents"},
               {"type": "Replace", "pattern": {STRING: " "}, "content": "▁"}]}]}])

REPLACE = {"type": "Replace", "pattern": {STRING: "▁"}, "content": " "}
FALLBACK, FUSE = {"type": "ByteFallback"}, {"type": "Fuse"}


def strip(start, stop):
    return {"type": "Strip", "content": " ", "start": start, "stop": stop}


def decoders(*parts):
    return {"type": "Sequence", "decoders": list(parts)}


DECODERS = [byte_level(True, True), REPLACE, FALLBACK, FUSE, metaspace("always", True),
            metaspace("first", True), metaspace("never", True), decoders(REPLACE, FALLBACK, FUSE),
            decoders(REPLACE, FALLBACK, FUSE, strip(1, 0)), decoders(REPLACE, FUSE, strip(2, 1)),
            decoders(FALLBACK, FUSE, REPLACE, strip(1, 0)), decoders(REPLACE, strip(1, 0), FUSE),
            decoders(metaspace("always", True))]
TOKEN_LISTS = [[], ["▁Hello", "▁wor", "ld"], ["▁", "▁▁", "a", "▁"], ["Ġa", "Ã", "©", "Ġ", "xé"],
               ["▁x", "<0xED>", "<0x95>", "<0x9C>", "<0x0A>", "y"], ["<0xE2>", "<0x96>", "<0x81>", "a"],
               ["a", "<0xED>", "<0x95>", "b", "<0xFF>"], ["<0xF0>", "<0x9F>"], ["  a", " b ", " "],
               ["▁▁a▁b", "c▁▁"]]


def part(module, tokenizer_part):
    """A component made from its JSON by way of a whole tokenizer, the only reader there is."""
    from tokenizers import Tokenizer

    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
             "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
             "model": {"type": "BPE", "vocab": {}, "merges": []}}
    whole[module] = tokenizer_part
    return getattr(Tokenizer.from_str(json.dumps(whole)), module)


def decoded(decoder, tokens):
    """None where the reference gives up: Strip from the end of an empty text."""
    try:
        return decoder.decode(tokens)
    except BaseException as error:  # a Rust panic
        assert type(error).__name__ == "PanicException", error
        return None


def llama_like(normalizer, pre_tokenizer, decoder, **model):
    """A small character BPE with a few added tokens of every sort."""
    from tokenizers import AddedToken, Tokenizer, models, trainers

    words = "▁Hello ▁world ▁the ▁then ▁ab ▁abab ▁▁▁▁ ing ▁doing 한국어 ▁문장 ▁a".split()
    base = Tokenizer(models.BPE(unk_token="<unk>"))
    base.train_from_iterator(words * 20, trainers.BpeTrainer(
        vocab_size=120, special_tokens=["<unk>", "<s>"], show_progress=False))
    trained = json.loads(base.to_str())["model"]
    vocab = trained["vocab"]
    if model.get("byte_fallback"):
        for byte in range(256):
            vocab.setdefault(f"<0x{byte:02X}>", len(vocab))
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
             "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "decoder": decoder,
             "post_processor": {
                 "type": "TemplateProcessing",
                 "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                            {"Sequence": {"id": "A", "type_id": 0}}],
                 "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                 "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
             "model": {**trained, "unk_token": "<unk>", **model}}
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    tokenizer.add_special_tokens([AddedToken("<s>", special=True), AddedToken("[INST]", special=True)])
    tokenizer.add_tokens([AddedToken("up here", normalized=True), AddedToken("<n>", normalized=False, lstrip=True),
                          AddedToken("lone", normalized=True, single_word=True)])
    return tokenizer


PREPEND_REPLACE = {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {STRING: " "}, "content": "▁"}]}
WHOLE_TEXTS = TEXTS + ["Hello the world", "<s>Hello<s> then", "a [INST]  ab\nab", "up here lone alone <n>x  <n> up here",
                       "xyzzy ξψ 🫠🫠 문장", "abababababab the", "doing  it    all"]


def make():
    out = {"texts": TEXTS, "normalizers": [], "pre_tokenizers": [], "decoders": [], "tokenizers": []}
    for normalizer in NORMALIZERS:
        made = part("normalizer", normalizer)
        out["normalizers"].append({"part": normalizer, "answers": [made.normalize_str(t) for t in TEXTS]})
    for pre_tokenizer in PRE_TOKENIZERS:
        made = part("pre_tokenizer", pre_tokenizer)
        out["pre_tokenizers"].append({"part": pre_tokenizer, "answers": [
            [piece for piece, _ in made.pre_tokenize_str(t)] for t in TEXTS]})
    for decoder in DECODERS:
        made = part("decoder", decoder)
        out["decoders"].append({"part": decoder, "answers": [
            {"tokens": tokens, "text": decoded(made, tokens)} for tokens in TOKEN_LISTS]})
    for tokenizer in [
            llama_like(PREPEND_REPLACE, None, decoders(REPLACE, FALLBACK, FUSE, strip(1, 0)),
                       byte_fallback=True, fuse_unk=True),
            llama_like(None, metaspace("first", False), decoders(REPLACE, FALLBACK, FUSE, strip(1, 0)),
                       byte_fallback=True, fuse_unk=True, ignore_merges=True),
            llama_like(None, metaspace("always", True), metaspace("always", True), fuse_unk=True),
            llama_like(None, {"type": "Whitespace"}, None, fuse_unk=False)]:
        cases = []
        for text in WHOLE_TEXTS:
            ids = tokenizer.encode(text).ids
            cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
        out["tokenizers"].append({"tokenizer": json.loads(tokenizer.to_str()), "cases": cases})
    return out
