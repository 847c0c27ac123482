#!/usr/bin/env python3
"""Checks the rules of the source tree that a compiler does not: layers, sizes, names, hygiene.

    tools/check_structure.py [--root DIR] [--build-dir DIR] [--binary FILE]

Prints one line for each broken rule as `path:line: rule: what`, and exits 1 if there is any. The
rules that need a build (weak symbols in kernels, flags against the manual) run when a build
directory or the program is given. `tests/structure_test.py` feeds each rule a bad sample.
"""

import argparse
import pathlib
import re
import subprocess
import sys

# Who may include whom. CMakeLists.txt links with the same edges; `app` may include everything.
LAYERS = {
    "base": set(),
    "core": {"base"},
    "tensor": {"base"},
    "text": {"base"},
    "checkpoint": {"base", "tensor"},
    "backend": {"base", "tensor"},
    "model": {"base", "tensor", "checkpoint", "backend"},
    "runner": {"base", "core", "tensor", "backend", "model"},
    "engine": {"base", "core", "text"},
    "hub": {"base"},
    "server": {"base", "core", "text", "engine"},
    "bench": {"base", "text"},
}
LAYERS["app"] = set(LAYERS)

MAX_HEADER_LINES = 300
MAX_SOURCE_LINES = 800
MAX_FUNCTION_LINES = 80

# Files with no test of their own beside them, and why that is right.
NO_TEST_NEEDED = {
    "src/app/main.cc": "the command line itself; tests/e2e runs it",
    "src/app/version.cc": "two constants of the build; tests/e2e prints them",
    "src/base/check.cc": "prints and aborts, nothing else",
    "src/base/clock.cc": "reads the system's clock; the fake one lives in tests of its users",
    "src/core/sampling_params.cc": "names of an enumeration; the server's replies are tested with them",
}

# Parts of one unit that are tested through its front: source, or folder of sources, -> the test.
TESTED_BY = {
    "src/app/bench_cli.cc": "tests/e2e/test_bench.py",
    "src/app/bench_llmperf_command.cc": "tests/e2e/test_bench.py",
    "src/app/bench_serve_command.cc": "tests/e2e/test_bench.py",
    "src/app/bench_target.cc": "tests/e2e/test_bench.py",
    "src/app/bench_offline_cli.cc": "tests/e2e/test_bench_offline.py",
    "src/app/bench_offline_command.cc": "tests/e2e/test_bench_offline.py",
    "src/app/bench_startup_command.cc": "tests/e2e/test_bench_offline.py",
    "src/app/bench_report_command.cc": "tests/e2e/test_bench_report.py",
    "src/app/build_engine.cc": "tests/e2e/test_command_line.py",
    "src/app/command_line.cc": "tests/e2e/test_command_line.py",
    "src/app/generation.cc": "tests/e2e/test_command_line.py",
    "src/app/gguf_export.cc": "tests/e2e/test_quantize.py",
    "src/app/info_command.cc": "tests/e2e/test_command_line.py",
    "src/app/list_command.cc": "tests/e2e/test_hub.py",
    "src/app/logits_command.cc": "tests/e2e/test_command_line.py",
    "src/app/model_folder.cc": "tests/e2e/test_command_line.py",
    "src/app/model_source.cc": "tests/e2e/test_hub.py",
    "src/app/pull_command.cc": "tests/e2e/test_hub.py",
    "src/app/quantize_command.cc": "tests/e2e/test_quantize.py",
    "src/app/render_command.cc": "tests/e2e/test_templates.py",
    "src/app/rm_command.cc": "tests/e2e/test_hub.py",
    "src/app/serve_command.cc": "tests/e2e/test_life_of_a_server.py",
    "src/app/terminal_commands.cc": "tests/e2e/test_command_line.py",
    "src/app/simulated_model.cc": "tests/e2e/test_simulate.py",
    "src/app/tokenize_command.cc": "tests/e2e/test_command_line.py",
    "src/backend/cpu/kernels_avx2.cc": "src/backend/cpu/kernels_test.cc",
    "src/backend/cpu/kernels_avx512.cc": "src/backend/cpu/kernels_test.cc",
    "src/backend/cpu/kernels_neon.cc": "src/backend/cpu/kernels_test.cc",
    "src/backend/cpu/kernels_neon_dotprod.cc": "src/backend/cpu/kernels_test.cc",
    "src/backend/cpu/kernels_scalar.cc": "src/backend/cpu/kernels_test.cc",
    "src/base/env.cc": "tests/e2e/test_command_line.py",
    "src/bench/curl_setup.cc": "tests/e2e/test_bench.py",
    "src/bench/http_get.cc": "tests/e2e/test_bench.py",
    "src/bench/load_client.cc": "tests/e2e/test_bench.py",
    "src/bench/load_run.cc": "tests/e2e/test_bench.py",
    "src/bench/terminal.cc": "src/bench/summary_test.cc",
    "src/bench/report_charts.cc": "tests/e2e/test_bench_report.py",
    "src/bench/report_data.cc": "src/bench/report_html_test.cc",
    "src/bench/report_script.cc": "tests/e2e/test_bench_report.py",
    "src/bench/report_style.cc": "tests/e2e/test_bench_report.py",
    "src/bench/results.cc": "src/bench/report_html_test.cc",
    "src/engine/scheduler_admission.cc": "src/engine/scheduler_test.cc",
    "src/server/http/io_thread.cc": "src/server/http/session_test.cc",
    "src/server/http/session_output.cc": "src/server/http/session_test.cc",
    "src/tensor/formats/": "src/tensor/formats/formats_test.cc",
    "src/text/jinja/": "src/text/chat_template_test.cc",
}

# Generated tables: exempt from the size of a source file, and from a test beside it.
GENERATED = {}

BANNED_CALLS = [
    (r"(?<![\w.>])s?rand\s*\(", "rand() is neither seeded by us nor thread-safe; use core's seeds"),
    (r"\b(?:strcpy|strcat|v?sprintf|gets|strtok)\s*\(", "unbounded C string call"),
    (r"\b(?:atoi|atol|atoll|atof)\s*\(", "accepts anything; use std::from_chars"),
    (r"\b(?:localtime|gmtime|asctime|ctime)\s*\(", "not thread-safe; use the _r form"),
    (r"\busing\s+namespace\b", "name what you use"),
    (r"(?<!static_)\bassert\s*\(", "gone in release builds; use CHECK, or Result for input"),
    (r"\bstd::regex\b", "recursion without bound on hostile input"),
]
# pattern, why, beginnings and endings of paths where it is allowed
BANNED_OUTSIDE = [
    (r"(?:\bstd::|(?<![\w:])::)system\s*\(|\bpopen\s*\(", "starts a shell", ("_test.cc",)),
    (r"\bgetenv\s*\(", "environment variables belong in base/env.cc", ("src/base/env",)),
    (r"\bstd::cout\b|(?<![\w])printf\s*\(", "only app prints", ("src/app/", "tests/")),
]

# Spelled in pieces so that this file passes its own check.
REGISTRY_HOSTS = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "yarn" + "pkg.com",
                  "crates" + ".io", "repo1.maven" + ".org", "conda.ana" + "conda.org"]
MACHINE_PATHS = ["/" + "work/", "/" + "tmp/w/", "/" + "root/"]
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]

CODE_SUFFIXES = {".h", ".cc"}
TEXT_SUFFIXES = CODE_SUFFIXES | {".py", ".mjs", ".js", ".cmake", ".txt", ".sh", ".md", ".yaml", ".yml",
                                 ".html", ".css", ".json", ".toml", ".jinja", ".tf", ""}
DATA_FOLDERS = ("models/", "tests/fuzz/corpus/", "tests/golden/data/")


class Tree:
    """The files under a root: those git tracks or would track; all of them outside a repository."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        listed = subprocess.run(
            ["git", "-C", str(self.root), "ls-files", "-z", "-co", "--exclude-standard"],
            capture_output=True, text=True)
        if listed.returncode == 0:
            names = listed.stdout.split("\0")
        else:
            names = [str(p.relative_to(self.root)) for p in self.root.rglob("*")]
        self.paths = sorted({n for n in names if n and (self.root / n).is_file()})
        self._texts = {}

    def text(self, path):
        """The file's text; None for a binary file."""
        if path not in self._texts:
            data = (self.root / path).read_bytes()
            self._texts[path] = None if b"\0" in data[:65536] else data.decode("utf-8", "replace")
        return self._texts[path]

    def code(self, prefix="src/"):
        return [p for p in self.paths
                if p.startswith(prefix) and pathlib.PurePath(p).suffix in CODE_SUFFIXES]


def blank(match):
    """Spaces in place of a match, with its line ends kept."""
    return re.sub(r"[^\n]", " ", match.group(0))


LITERAL = re.compile(
    r'R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"'   # raw string
    r'|"(?:\\.|[^"\\\n])*"'                         # string
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'"        # character (not a digit separator)
    r"|//[^\n]*|/\*.*?\*/", re.S)


def without_comments_and_strings(text):
    return LITERAL.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


# --- layers ---------------------------------------------------------------------------------------

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def closure(layer):
    """Every layer that `layer` can reach through the table."""
    reached, todo = set(), [layer]
    while todo:
        for below in LAYERS[todo.pop()]:
            if below not in reached:
                reached.add(below)
                todo.append(below)
    return reached


def project_includes(tree, path):
    text = tree.text(path)
    return [(m.group(1), line_of(text, m.start(1))) for m in INCLUDE.finditer(text)]


def check_layers(tree):
    """Each include is an edge of the table; what it drags in is reachable in the table; no cycles."""
    problems = []
    for path in tree.code():
        layer = path.split("/")[1]
        if layer not in LAYERS:
            problems.append(f"{path}:1: layers: folder src/{layer} is not a layer")
            continue
        for name, line in project_includes(tree, path):
            target = name.split("/")[0]
            if target not in LAYERS or f"src/{name}" not in tree.paths:
                problems.append(f'{path}:{line}: layers: "{name}" is not a file under src/')
            elif target != layer and target not in LAYERS[layer]:
                problems.append(f'{path}:{line}: layers: {layer} must not include "{name}"')
        problems += reached_layers(tree, path, layer)
    return problems + include_cycles(tree)


def reached_layers(tree, path, layer):
    """Headers of foreign layers that `path` reaches through other headers."""
    allowed = closure(layer) | {layer}
    chains, todo, problems = {path: [path]}, [path], []
    while todo:
        current = todo.pop()
        for name, _ in project_includes(tree, current):
            header = f"src/{name}"
            if header in chains or header not in tree.paths:
                continue
            chains[header] = chains[current] + [header]
            todo.append(header)
            if header.split("/")[1] not in allowed and len(chains[header]) > 2:
                problems.append(f"{path}:1: layers: {layer} reaches {header} by "
                                + " > ".join(chains[header]))
    return problems


def include_cycles(tree):
    state, problems = {}, []

    def visit(path, chain):
        state[path] = "open"
        for name, line in project_includes(tree, path):
            header = f"src/{name}"
            if header not in tree.paths:
                continue
            if state.get(header) == "open":
                problems.append(f"{path}:{line}: layers: include cycle through {header}")
            elif header not in state:
                visit(header, chain + [header])
        state[path] = "done"

    for path in tree.code():
        if path not in state:
            visit(path, [path])
    return problems


def check_cmake_edges(tree):
    """pagoda_layer(name LAYERS ...) in CMakeLists.txt says what the table says."""
    if "CMakeLists.txt" not in tree.paths:
        return []
    text, problems = tree.text("CMakeLists.txt"), []
    for m in re.finditer(r"^pagoda_layer\((\w+)([^)]*)\)", text, re.M):
        name, rest = m.group(1), m.group(2)
        listed = re.search(r"\bLAYERS\b(.*?)(?:\bLIBRARIES\b|$)", rest, re.S)
        edges = set(listed.group(1).split()) if listed else set()
        line = line_of(text, m.start())
        if name not in LAYERS:
            problems.append(f"CMakeLists.txt:{line}: cmake: {name} is not a layer")
        elif name != "app" and edges != LAYERS[name]:
            problems.append(f"CMakeLists.txt:{line}: cmake: {name} links {sorted(edges)}, the table "
                            f"of layers says {sorted(LAYERS[name])}")
    return problems


# --- sizes ----------------------------------------------------------------------------------------

def check_sizes(tree):
    problems = []
    for path in tree.code() + tree.code("tests/"):
        lines = tree.text(path).count("\n")
        limit = MAX_HEADER_LINES if path.endswith(".h") else MAX_SOURCE_LINES
        if lines > limit and path not in GENERATED:
            problems.append(f"{path}:{lines}: size: {lines} lines, the limit is {limit}")
        for name, line, length in functions(tree.text(path)):
            if length > MAX_FUNCTION_LINES:
                problems.append(f"{path}:{line}: size: function {name} has {length} lines, "
                                f"the limit is {MAX_FUNCTION_LINES}")
    return problems


CONTAINER = re.compile(r"^\s*(?:(?:inline\s+)?namespace\b|extern\s|(?:template\s*<.*>\s*)?(?:typedef\s+)?"
                       r"(?:class|struct|union|enum)\b)", re.S)


def is_function_header(header):
    """Whether the text before a brace at namespace or class level opens a function."""
    plain = re.sub(r"operator\s*[^\s\w(]+", "operator", header)
    if CONTAINER.match(plain) and not re.search(r"\)\s*(?:const|noexcept|override|\s)*$", plain):
        return False
    plain = re.sub(r"^\s*template\s*<[^{]*?>\s*(?=\w)", "", plain, flags=re.S)
    while re.search(r"\([^()]*\)", plain):
        plain = re.sub(r"\([^()]*\)", "@", plain)
    if "=" in plain:
        return "]" in plain.split("=", 1)[1] and "@" in plain  # a named lambda
    return "@" in plain or plain.strip() == ""


def functions(text):
    """(name, first line, number of lines) of each function, by matching braces.

    A heuristic: blocks directly in a namespace or class whose header is neither a container nor an
    initialiser. Local classes and lambdas count as lines of the function around them.
    """
    code = without_comments_and_strings(text)
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code, flags=re.M)  # preprocessor
    found, header_start, depth_inside, stack, parens = [], 0, 0, [], 0
    opened = ("", 0)
    for m in re.finditer(r"[{};()]", code):
        at, mark = m.start(), m.group(0)
        if mark in "()":
            parens = max(0, parens + (1 if mark == "(" else -1))
        elif mark == "{":
            if depth_inside:
                depth_inside += 1
            elif parens == 0:
                header = code[header_start:at]
                if is_function_header(header):
                    depth_inside = 1
                    lead = re.match(r"(?:\s|(?:public|private|protected)\s*:)*", header).end()
                    opened = (header[lead:], header_start + lead)
                else:
                    stack.append(at)
                header_start = at + 1
        elif mark == "}":
            if depth_inside:
                depth_inside -= 1
                if depth_inside == 0:
                    first = line_of(code, opened[1])
                    found.append((function_name(opened[0]), first, line_of(code, at) - first + 1))
                    header_start = at + 1
            elif parens == 0:
                if stack:
                    stack.pop()
                header_start = at + 1
        elif not depth_inside and parens == 0:
            header_start = at + 1
    return found


def function_name(header):
    m = re.search(r"([\w:~]+(?:\s*operator\s*\S+)?)\s*(\([^()]*\))?\s*[(@]?", header.strip())
    names = re.findall(r"([\w:~]+)\s*\(([^()]*)", header)
    if names:
        name, arguments = names[0]
        return f"{name}({arguments.strip()})" if name.startswith("TEST") else name
    return m.group(1) if m else "?"


# --- the shape of a file --------------------------------------------------------------------------

def check_file_openings(tree):
    problems = []
    for path in tree.code() + tree.code("tests/"):
        lines = tree.text(path).split("\n")
        if not re.match(r"// \S", lines[0]):
            problems.append(f"{path}:1: opening: the first line is not a comment saying what it is for")
        if path.endswith(".h"):
            code = next((x for x in lines if x.strip() and not x.startswith("//")), "")
            if code.strip() != "#pragma once":
                problems.append(f"{path}:1: opening: #pragma once is not the first line of code")
    return problems


def tested_by(path):
    return TESTED_BY.get(path) or TESTED_BY.get(path.rsplit("/", 1)[0] + "/")


def check_tests_beside(tree):
    """Each source with logic has a test beside it, or a reason in the table above."""
    problems = []
    for path in tree.code():
        if not path.endswith(".cc") or path.endswith("_test.cc"):
            continue
        has_test = path[:-3] + "_test.cc" in tree.paths
        excused = path in NO_TEST_NEEDED or path in GENERATED or tested_by(path) in tree.paths
        if not has_test and not excused:
            problems.append(f"{path}:1: tests: no {pathlib.PurePath(path).stem}_test.cc beside it")
        if has_test and (path in NO_TEST_NEEDED or path in TESTED_BY):
            problems.append(f"{path}:1: tests: excused from a test but has one")
    for path in tree.code():
        if path.endswith("_test.cc") and not re.search(r"^(TEST|TEST_F|TEST_P|TYPED_TEST)\(",
                                                       tree.text(path), re.M):
            problems.append(f"{path}:1: tests: a test file without a test")
    return problems


def check_banned_calls(tree):
    problems = []
    for path in tree.code() + tree.code("tests/"):
        code = without_comments_and_strings(tree.text(path))
        rules = list(BANNED_CALLS)
        rules += [(p, why) for p, why, places in BANNED_OUTSIDE
                  if not path.startswith(places) and not path.endswith(places)]
        for pattern, why in rules:
            for m in re.finditer(pattern, code):
                problems.append(f"{path}:{line_of(code, m.start())}: banned: "
                                f"{m.group(0).strip(' (')}: {why}")
    return problems


# --- hygiene of the repository --------------------------------------------------------------------

def check_hygiene(tree):
    """No package registry, no path of one machine, nothing marked as unfinished."""
    problems = []
    for path in tree.paths:
        text = tree.text(path)
        if text is None or pathlib.PurePath(path).suffix not in TEXT_SUFFIXES:
            continue
        for host in REGISTRY_HOSTS:
            for m in re.finditer(re.escape(host), text):
                problems.append(f"{path}:{line_of(text, m.start())}: hygiene: names the registry {host}")
        for place in MACHINE_PATHS:
            for m in re.finditer(r"(?<![\w.~-])" + re.escape(place), text):
                problems.append(f"{path}:{line_of(text, m.start())}: hygiene: path of one machine {place}")
        if path.startswith(DATA_FOLDERS) or path.endswith(".json"):
            continue
        for mark in UNFINISHED:
            for m in re.finditer(rf"\b{mark}\b", text):
                problems.append(f"{path}:{line_of(text, m.start())}: hygiene: {mark} left behind")
    return problems


def check_lock_files(tree):
    problems = []
    for path in tree.paths:
        name, text = pathlib.PurePath(path).name, tree.text(path) or ""
        if name in ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock"):
            for m in re.finditer(r'^\s*"?resolved"?\s*:?\s', text, re.M):
                problems.append(f'{path}:{line_of(text, m.end())}: lock: has a "resolved" URL')
        if path.startswith("tests/") and re.fullmatch(r"requirements.*\.txt", name):
            for number, line in enumerate(text.split("\n"), 1):
                if "://" in line or line.startswith(("-i", "--index", "--extra-index")):
                    problems.append(f"{path}:{number}: lock: names an index or a URL")
                elif line.strip() and not line.startswith(("#", "-", " ")) and "==" not in line:
                    problems.append(f"{path}:{number}: lock: {line.strip()} is not pinned with ==")
    return problems


# --- the manual -----------------------------------------------------------------------------------

def manual(tree):
    """The user's documents, as one text."""
    return "\n".join(tree.text(p) for p in tree.paths
                     if p.endswith(".md") and (p.startswith("docs/") or "/" not in p))


def check_environment_documented(tree, listed="", help_of_serve=""):
    """Each PAGODA_ variable of base/env.cc (and of `pagoda info --env`) is in the manual.

    The variable of a flag is its name in capitals, so that the flag's own entry documents it.
    """
    sources = [p for p in ("src/base/env.cc", "src/base/env.h") if p in tree.paths]
    known = set()
    for path in sources:
        known |= set(re.findall(r'"(PAGODA_[A-Z0-9_]+)"', tree.text(path)))
    known |= set(re.findall(r"\bPAGODA_[A-Z0-9_]+\b", listed))
    documented = set(re.findall(r"\bPAGODA_[A-Z0-9_]*[A-Z0-9]\b", manual(tree)))
    documented |= {"PAGODA_" + flag.upper().replace("-", "_")
                   for flag in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]+)", help_of_serve)}
    return [f"docs: environment variable {name} is not documented" for name in sorted(known - documented)]


def check_flags_documented(tree, help_of_serve, help_of_all=""):
    """Each flag of `pagoda serve --help` is in the manual; each flag in the manual's tables exists."""
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", help_of_serve)) - {"--help"}
    text = manual(tree)
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))
    problems = [f"docs: flag {name} of `pagoda serve` is not documented"
                for name in sorted(flags - documented)]
    if not flags:
        problems.append("docs: `pagoda serve --help` shows no flags")
    existing = flags | set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", help_of_all))
    tabled = set(re.findall(r"^\|\s*`(--[a-z][a-z0-9-]+)", text, re.M))
    return problems + [f"docs: the manual's flag {name} does not exist"
                       for name in sorted(tabled - existing)]


def check_manual_with(tree, binary):
    def output(*arguments):
        done = subprocess.run([str(binary), *arguments], capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr

    commands = ("serve", "run", "chat", "info", "bench", "bench serve", "bench report", "bench compare", "bench correctness",
                "bench offline", "bench startup", "pull", "list", "rm",
                "version")
    everything = output("--help") + "".join(output(*c.split(), "--help") for c in commands)
    help_of_serve = output("serve", "--help")
    return (check_flags_documented(tree, help_of_serve, everything)
            + check_environment_documented(tree, output("info", "--env"), help_of_serve))


# --- objects --------------------------------------------------------------------------------------

def weak_symbols(object_file):
    listed = subprocess.run(["nm", "-C", "--defined-only", str(object_file)], capture_output=True,
                            text=True, check=True)
    rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return [row[2] for row in rows if len(row) == 3 and row[1] in "WwVvu"]


def check_kernel_objects(build_dir):
    """Kernel files built for an instruction set define no weak symbol.

    The linker keeps one copy of a weak function. If it kept the AVX-512 copy of, say, an inline
    function of the standard library, a plain machine would crash in code that has no kernel.
    """
    objects = sorted(p for p in pathlib.Path(build_dir).rglob("kernels_*.cc.o")
                     if "_test" not in p.name and "scalar" not in p.name)
    if not objects:
        return [f"{build_dir}: kernels: no kernels_*.cc.o found"]
    return [f"{p.name}: kernels: weak symbol {name}" for p in objects for name in weak_symbols(p)]


# --- all of it ------------------------------------------------------------------------------------

TREE_CHECKS = [check_layers, check_cmake_edges, check_sizes, check_file_openings, check_tests_beside,
               check_banned_calls, check_hygiene, check_lock_files, check_environment_documented]


def main():
    here = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=here)
    parser.add_argument("--build-dir", help="an optimised build: check its kernel objects with nm")
    parser.add_argument("--binary", help="the program: compare its flags with the manual")
    options = parser.parse_args()
    tree = Tree(options.root)
    problems = [problem for check in TREE_CHECKS for problem in check(tree)]
    if options.build_dir:
        problems += check_kernel_objects(options.build_dir)
    if options.binary:
        problems += check_manual_with(tree, options.binary)
    for problem in problems:
        print(problem)
    print(f"{len(tree.paths)} files checked, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
