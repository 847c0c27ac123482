#!/usr/bin/env python3
"""Renders random templates with `pagoda render` and with Jinja2, and prints each one on which they differ.

Both must give the same text, or both must fail. Needs the Python package jinja2. Run from the repository's root:
`tools/compare_templates.py --count 5000 --seed 1 [--binary build/release/pagoda]`. Exit status 1 when any differs.
"""
import argparse
import json
import random
import re
import subprocess
import sys
import tempfile

import make_text_golden
import text_golden_cases as cases

# What Pagoda refuses by a limit of its own, or by name, where Jinja2 goes on.
REFUSED = re.compile(
    r"is not subscriptable|beyond 64 bits|out of range|not supported|larger than|nested too deep|nested deeper|too long or too deep|"
    r"more than \d+ (steps|bytes)|recursion depth|wider than|too wide|too large|no character|1\.\.100000")
# What differs from run to run, or names an implementation.
UNSTABLE = re.compile(r".t.0x|gener.tor|iter.tor|<built-in|<function|<bound method|<Macro|LoopContext|<Namespace")

STRINGS = ["", "a", "Hello, World", "  pad ", "a,b,,c", "line\nline2\n", "한국어", "ß ﬁ Σς İ ǆ", "😀x", "it's", 'say "x"', "<b>&",
           "12", "-3", " 4.5 ", "0x1F", "1e3", "%s-%d", "{}:{}", "a\tb", "x\\y", "AbC dEf", "one two  three", "\u2028z", "²½一"]
STRING_METHODS = [
    ("upper", ""), ("lower", ""), ("title", ""), ("capitalize", ""), ("swapcase", ""), ("casefold", ""), ("strip", "?s"),
    ("lstrip", "?s"), ("rstrip", "?s"), ("split", "?S?i"), ("rsplit", "?S?i"), ("splitlines", "?b"), ("partition", "S"),
    ("rpartition", "S"), ("find", "s?i?i"), ("rfind", "s?i?i"), ("index", "s"), ("rindex", "s"), ("count", "s?i?i"),
    ("replace", "ss?i"), ("startswith", "s?i?i"), ("endswith", "s?i?i"), ("ljust", "w?c"), ("rjust", "w?c"),
    ("center", "w?c"), ("zfill", "w"), ("expandtabs", "?w"), ("removeprefix", "s"), ("removesuffix", "s"), ("join", "L"),
    ("isdigit", ""), ("isdecimal", ""), ("isnumeric", ""), ("isalpha", ""), ("isalnum", ""), ("isspace", ""),
    ("isupper", ""), ("islower", ""), ("istitle", ""), ("isascii", ""), ("isidentifier", ""), ("isprintable", ""),
    ("format", "aaa")]
# Filter, what it takes and what its arguments are.
FILTERS = [
    ("upper", "s", ""), ("lower", "s", ""), ("title", "s", ""), ("capitalize", "s", ""), ("trim", "s", "?s"),
    ("length", "c", ""), ("count", "c", ""), ("string", "a", ""), ("int", "a", "?i?B"), ("float", "a", "?f"),
    ("abs", "n", ""), ("round", "n", "?p?m"), ("tojson", "a", "?b?w"), ("default", "a", "a?b"), ("d", "a", "a?b"),
    ("list", "c", ""), ("first", "c", ""), ("last", "c", ""), ("join", "c", "?s"), ("sort", "l", "?b?b"), ("unique", "l", "?b"),
    ("reverse", "c", ""), ("sum", "l", ""), ("min", "l", "?b"), ("max", "l", "?b"), ("dictsort", "d", "?b?y?b"),
    ("items", "d", ""), ("replace", "s", "ss?i"), ("truncate", "s", "?w?b?s?w"), ("indent", "s", "?w?b?b"),
    ("wordcount", "s", ""), ("striptags", "s", ""), ("urlencode", "a", ""), ("center", "s", "?w"), ("escape", "a", ""),
    ("e", "a", ""), ("safe", "s", ""), ("forceescape", "a", ""), ("batch", "l", "P?a"), ("slice", "l", "P?a"),
    ("wordwrap", "s", "?P?b?s"), ("filesizeformat", "n", "?b"), ("xmlattr", "d", "?b"), ("format", "s", "a?a"),
    ("attr", "d", "k"), ("map", "l", "F"), ("select", "l", "?T"), ("reject", "l", "?T"), ("groupby", "U", "K"),
    ("map", "U", "A"), ("selectattr", "U", "K?T"), ("rejectattr", "U", "K?T"), ("sort", "U", "N"), ("pprint", "a", "")]
TESTS = [("defined", ""), ("undefined", ""), ("none", ""), ("string", ""), ("number", ""), ("integer", ""), ("float", ""),
         ("boolean", ""), ("mapping", ""), ("iterable", ""), ("sequence", ""), ("callable", ""), ("true", ""),
         ("false", ""), ("odd", ""), ("even", ""), ("lower", ""), ("upper", ""), ("divisibleby", "i"), ("in", "c"),
         ("eq", "a"), ("ne", "a"), ("lt", "i"), ("gt", "i"), ("sameas", "i"), ("escaped", ""), ("filter", ""), ("test", "")]


class Writer:
    """Writes random templates. Types: s text, i integer, f float, n number, b bool, l list, d dict, c sized, a any."""

    def __init__(self, rng):
        self.rng = rng
        self.names = []

    def pick(self, *choices):
        return self.rng.choice(choices)

    def template(self):
        self.names = []
        return "".join(self.statement(2) for _ in range(self.rng.randint(1, 2)))

    def space(self):
        return self.pick("", "", "", " ", "\n", "  \n", "\n  ", "text", " x\n")

    def tag(self, inside):
        return "{%" + self.pick("", "", "", "-", "+") + " " + inside + " " + self.pick("", "", "", "-", "+") + "%}"

    def body(self, depth):
        return "".join(self.space() + self.statement(depth - 1) + self.space() for _ in range(self.rng.randint(1, 2)))

    def name(self):
        return self.pick("x", "y", "z", "name", "n")

    def statement(self, depth):
        kind = self.rng.randint(0, 15)
        if depth <= 0 or kind < 6:
            inside = self.expression(self.pick(*"sifnblldca"), 3)
            wrapped = self.pick("[{}]", "{}", "({}) is defined", "[{}, 1]|tojson").replace("{}", inside)
            return "{{" + self.pick("", "", "-") + " " + wrapped + " " + self.pick("", "", "-") + "}}"
        if kind == 6:
            parts = self.tag("if " + self.expression("b", 2)) + self.body(depth)
            if self.rng.random() < 0.4:
                parts += self.tag("elif " + self.expression("b", 2)) + self.body(depth)
            if self.rng.random() < 0.5:
                parts += self.tag("else") + self.body(depth)
            return parts + self.tag("endif")
        if kind in (7, 8, 9):
            return self.loop(depth)
        if kind == 10:
            target = self.pick(self.name(), self.name() + ", " + self.name())
            value = self.expression("a", 2) if "," not in target else "(" + self.expression("a", 1) + ", " + self.expression("a", 1) + ")"
            return self.tag("set " + target + " = " + value) + "{{ [" + self.name() + "] }}"
        if kind == 11:
            name = self.name()
            return self.tag("set " + name + self.pick("", " | upper", " | trim | replace('a', 'b')")) + self.body(depth) + self.tag("endset") + "{{ " + name + " }}"
        if kind == 12:
            return self.macro(depth)
        if kind == 13:
            return self.tag("with " + self.name() + " = " + self.expression("a", 2)) + self.body(depth) + self.tag("endwith")
        if kind == 14:
            return self.tag("filter " + self.pick("upper", "trim", "replace('e', 'E')", "indent(2)", "length")) + self.body(depth) + self.tag("endfilter")
        field = self.pick("a", "b")
        return (self.tag("set ns = namespace(a=1, b='x')") + self.tag("for i in " + self.expression("l", 1))
                + self.tag(f"set ns.{field} = " + self.pick("i", "[ns.a, i]", "ns.b ~ i", self.expression("a", 1))) + self.tag("endfor") + "{{ [ns.a, ns.b] }}")

    def loop(self, depth):
        target = self.pick("x", "x", "y", "k, v", "x, (y, z)")
        source = {"k, v": self.pick("d.items()", "d|items", "d|dictsort", "[(1, 2), 'ab']", "pairs"), "x, (y, z)": "[(1, (2, 3)), ('a', 'bc')]"}.get(
            target, self.expression(self.pick("l", "l", "c", "s"), 2))
        condition = self.pick("", "", "", " if " + self.expression("b", 1))
        recursive = self.pick("", "", "", " recursive")
        inside = self.pick("", "{{ loop.index }}{{ loop.revindex0 }}", "{{ loop.first }}{{ loop.last }}{{ loop.length }}",
                           "{{ loop.previtem is defined }}{{ loop.nextitem }}", "{{ loop.cycle('a', 'b') }}",
                           "{% if loop.changed(loop.index0 // 2) %}c{% endif %}", "{% if loop.index == 2 %}{% continue %}{% endif %}",
                           "{% if loop.index > 2 %}{% break %}{% endif %}", "{{ loop.depth }}")
        otherwise = self.pick("", "", self.tag("else") + self.body(depth))
        return self.tag("for " + target + " in " + source + condition + recursive) + inside + self.body(depth) + otherwise + self.tag("endfor")

    def macro(self, depth):
        parameters = self.pick("", "p", "p, q=1", "p, q=p", "p=none, q='x'")
        extra = self.pick("", "", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ caller(1) }}")
        arguments = self.pick("", "1", "1, 2", "q=3", "p='a'", "1, 2, 3", "*[1, 2]", "**{'p': 5}", "1, k=2")
        made = self.tag("macro m(" + parameters + ")") + "{{ p }}|{{ q }}" + extra + self.body(depth) + self.tag("endmacro")
        if "caller" in extra and self.rng.random() < 0.8:
            return made + self.tag("call" + self.pick("", "(c)") + " m(" + arguments + ")") + self.body(depth) + self.tag("endcall")
        return made + "{{ m(" + arguments + ") }}"

    def arguments(self, shape, depth):
        """`shape`: one letter an argument; after '?' it may be left out, and then so are those behind."""
        made, optional = [], False
        for letter in shape:
            if letter == "?":
                optional = True
                continue
            if optional and self.rng.random() < 0.6:
                break
            made.append(self.argument(letter, depth))
        return ", ".join(made)

    def argument(self, letter, depth):
        if letter in "sifnbldca":
            return self.expression(letter, depth)
        if letter == "w":
            return str(self.rng.randint(0, 12))
        if letter == "P":
            return str(self.rng.randint(1, 7))
        return {"S": lambda: self.pick("' '", "','", "'l'", "none", "'ab'"), "c": lambda: self.pick("'*'", "'한'"),
                "L": lambda: self.pick("['a', 'b']", "words", "'xy'", self.expression("l", 1)),
                "B": lambda: self.pick("10", "16", "2", "8"), "p": lambda: self.pick("0", "1", "2", "-1", "3"),
                "m": lambda: self.pick("'common'", "'ceil'", "'floor'"), "y": lambda: self.pick("'key'", "'value'"),
                "k": lambda: self.pick("'a'", "'get'", "'zz'"), "F": lambda: self.pick("'upper'", "'string'", "'abs'", "'default', 'q'", "'int'", "'length'"),
                "T": lambda: self.pick("'odd'", "'defined'", "'string'", "'gt', 1", "'eq', 1", "'in', [1, 'a', 30]", "'mapping'", "'none'"),
                "K": lambda: self.pick("'name'", "'age'", "'tags'", "'address.city'", "'nope'"),
                "A": lambda: self.pick("attribute='name'", "attribute='age'", "attribute='tags.0'", "attribute='nope', default='q'"),
                "N": lambda: self.pick("attribute='name'", "attribute='age'", "attribute='age,name'", "attribute='tags'")}[letter]()

    def expression(self, kind, depth):
        if self.rng.random() < 0.02:
            kind = "a"
        if kind == "a":
            kind = self.pick(*"sifbld")
        if kind == "c":
            kind = self.pick(*"sld")
        if kind == "n":
            kind = self.pick(*"if")
        if depth <= 0:
            return self.leaf(kind)
        return getattr(self, "make_" + {"s": "text", "i": "integer", "f": "float", "b": "bool", "l": "list", "d": "dict"}[kind])(depth - 1)

    def leaf(self, kind):
        if self.rng.random() < 0.05:
            return self.pick("missing", "none", "x", "y", "loop.index", "p")
        return {"s": lambda: self.pick("name", "korean", "mixed", "spaces", "quote", "html", "empty", "text", "long", *[json.dumps(s, ensure_ascii=False).replace("\\ud", "") for s in STRINGS]),
                "i": lambda: self.pick("n", "neg", str(self.rng.randint(-5, 12)), "0", "1", "2", "100", "1_000", "yes"),
                "f": lambda: self.pick("f", "big", "tiny", "0.5", "-1.25", "2.0", "1e16", "3.14159", "0.1", "1e-5", "2.675"),
                "b": lambda: self.pick("yes", "no", "true", "false", "True", "False"),
                "l": lambda: self.pick("nums", "words", "nested", "[]", "[1, 'a', none]", "(1, 2)", "range(4)", "range(5, 0, -2)", "pairs", "[1.5, true]", "[[2], [1]]"),
                "d": lambda: self.pick("d", "items_key", "{}", "{'a': 1, 'b': [2]}", "{1: 'x', none: 2}", "users[0]")}[kind]()

    def make_text(self, depth):
        kind = self.rng.randint(0, 9)
        base = self.expression("s", depth)
        if kind < 2:
            return self.leaf("s")
        if kind == 2:
            return self.pick("{} ~ " + self.expression("a", depth), "({} + " + self.expression("s", depth) + ")").replace("{}", base, 1)
        if kind == 3:
            return f"({base})" + self.slice()
        if kind == 4:
            method, shape = self.rng.choice(STRING_METHODS)
            return f"({base}).{method}({self.arguments(shape, depth - 1)})"
        if kind == 5:
            return "(" + self.pick("'%s' % ", "'%5s|%-5s' % ", "'%d %s' % ", "'%.2f' % ", "'%r' % ", "'%x %o' % ", "'%+05d' % ", "'%e' % ", "'%g' % ", "'%(a)s' % ", "'%c' % ") + self.pick(
                self.expression("a", depth), f"({self.expression('a', depth - 1)}, {self.expression('a', depth - 1)})", self.expression("n", depth)) + ")"
        if kind == 6:
            return self.pick("'{}'", "'{0:>8}'", "'{:^7}|'", "'{:*<6}'", "'{:,}'", "'{:.3f}'", "'{:05d}'", "'{!r:>5}'", "'{:x}'", "'{:e}'", "'{:g}'", "'{:%}'", "'{:+}'", "'{:.2}'", "'{:_}'", "'{0[a]}'", "'{:{}}'") + ".format(" + self.expression("a", depth) + self.pick("", ", 7") + ")"
        if kind == 7:
            return f"({base}) * {self.rng.randint(-1, 3)}"
        return self.filtered(depth)

    def make_integer(self, depth):
        kind = self.rng.randint(0, 6)
        if kind < 2:
            return self.leaf("i")
        if kind == 2:
            return f"({self.expression('i', depth)} {self.pick('+', '-', '*', '//', '%', '**')} {self.expression('i', depth)})"
        if kind == 3:
            return f"{self.expression('c', depth)}|length"
        if kind == 4:
            return f"({self.pick('-', '+')}{self.expression('i', depth)})"
        return self.filtered(depth)

    def make_float(self, depth):
        kind = self.rng.randint(0, 4)
        if kind < 2:
            return self.leaf("f")
        if kind == 2:
            return f"({self.expression('n', depth)} {self.pick('+', '-', '*', '/', '//', '%', '**')} {self.expression('n', depth)})"
        if kind == 3:
            return f"({self.expression('n', depth)})|round({self.argument('p', 0)}, {self.argument('m', 0)})"
        return self.filtered(depth)

    def make_bool(self, depth):
        kind = self.rng.randint(0, 6)
        if kind == 0:
            return self.leaf("b")
        if kind == 1:
            side = self.pick(*"sifnla")
            return f"({self.expression(side, depth)} {self.pick('==', '!=', '<', '<=', '>', '>=')} {self.expression(side, depth)})"
        if kind == 2:
            return f"({self.expression('a', depth)} {self.pick('in', 'not in')} {self.expression('c', depth)})"
        if kind == 3:
            return f"({self.expression('b', depth)} {self.pick('and', 'or')} {self.expression('a', depth)})"
        if kind == 4:
            return f"(not {self.expression('a', depth)})"
        name, shape = self.rng.choice(TESTS)
        arguments = self.arguments(shape, depth - 1)
        return f"(({self.expression('a', depth)}) is {self.pick('', '', 'not ')}{name}{'(' + arguments + ')' if arguments else ''})"

    def make_list(self, depth):
        kind = self.rng.randint(0, 7)
        if kind < 2:
            return self.leaf("l")
        if kind == 2:
            return "[" + ", ".join(self.expression("a", depth) for _ in range(self.rng.randint(0, 3))) + "]"
        if kind == 3:
            return f"({self.expression('l', depth)} + {self.expression('l', depth)})"
        if kind == 4:
            return f"({self.expression('l', depth)})" + self.slice()
        if kind == 5:
            return f"({self.expression('d', depth)}).{self.pick('keys', 'values', 'items', 'copy')}()|list"
        return self.filtered(depth) + self.pick("", "|list")

    def make_dict(self, depth):
        kind = self.rng.randint(0, 3)
        if kind < 2:
            return self.leaf("d")
        if kind == 2:
            return "{" + ", ".join(f"{self.expression(self.pick('s', 's', 'i'), 0)}: {self.expression('a', depth)}" for _ in range(self.rng.randint(0, 3))) + "}"
        return f"dict({self.pick('d', 'pairs', self.expression('d', depth))}, k={self.expression('a', depth)})"

    def slice(self):
        part = lambda: self.pick("", "", "0", "1", "2", "-1", "-2", "9")
        return self.pick(f"[{part()}:{part()}]", f"[{part()}:{part()}:{self.pick('1', '2', '-1', '-2', '0')}]", f"[{self.rng.randint(-3, 4)}]", ".0", "[9]")

    def filtered(self, depth):
        name, takes, shape = self.rng.choice(FILTERS)
        base = "users" if takes == "U" else self.expression(takes, depth)
        arguments = self.arguments(shape, depth - 1)
        chosen = self.pick("({})|", "{}|").replace("{}", base)
        made = chosen + name + (f"({arguments})" if arguments else "")
        # A printed iterator says nothing.
        return made + "|list" if name in ("map", "select", "reject", "selectattr", "rejectattr", "batch", "slice", "items", "unique") else made


VARIABLES = {**cases.VARIABLES, "pairs": [["k1", 1], ["k2", 2]]}


def render_ours(binary, template, variables):
    """What `pagoda render` prints, or its error."""
    with tempfile.NamedTemporaryFile("w", suffix=".jinja", newline="") as source, tempfile.NamedTemporaryFile("w") as request:
        source.write(template)
        source.flush()
        json.dump({"messages": [], "chat_template_kwargs": variables}, request)
        request.flush()
        done = subprocess.run([binary, "render", "--template", source.name, "--messages", request.name], capture_output=True, check=False)
    if done.returncode not in (0, 1):
        return {"crash": f"exit status {done.returncode}: {done.stderr.decode(errors='replace')}"}
    return {"error": done.stderr.decode()} if done.returncode else {"text": done.stdout.decode()}


def same(ours, theirs):
    if "crash" in ours:
        return False
    if "error" in ours and REFUSED.search(ours["error"]):
        return True
    if "text" in theirs and UNSTABLE.search(theirs["text"]):
        return "text" in ours
    return ("error" in ours) == ("error" in theirs) and ours.get("text") == theirs.get("text")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", default="build/release/pagoda")
    options = parser.parse_args()
    environment = make_text_golden.environment(lambda form: make_text_golden.DATE)
    writer = Writer(random.Random(options.seed))
    num_bad = num_errors = 0
    for _ in range(options.count):
        template = writer.template()
        theirs = make_text_golden.render(environment, template, VARIABLES)
        ours = render_ours(options.binary, template, VARIABLES)
        num_errors += "error" in theirs
        if not same(ours, theirs):
            num_bad += 1
            print(json.dumps({"template": template, "ours": ours, "theirs": theirs}, ensure_ascii=False))
    print(f"{options.count} templates, of which Jinja2 refuses {num_errors}: {num_bad} differ", file=sys.stderr)
    return 1 if num_bad else 0


if __name__ == "__main__":
    sys.exit(main())
