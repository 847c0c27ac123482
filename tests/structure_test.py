#!/usr/bin/env python3
"""The rules of the source tree hold, and each rule of tools/check_structure.py can fail.

    tests/structure_test.py [--build-dir DIR] [--binary FILE]
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import check_structure as rules  # noqa: E402

HEADER = "// A thing.\n#pragma once\n"
SOURCE = "// A thing.\n"
TEST = '// Tests.\nTEST(Thing, Works) {}\n'


def problems(check, files, *arguments):
    """What `check` says of a tree that holds just these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check(rules.Tree(folder), *arguments)


def expect(found, wanted):
    """Exactly one problem, which contains `wanted`; none at all for None."""
    if wanted is None:
        assert not found, f"a clean sample was refused: {found}"
    else:
        assert len(found) == 1 and wanted in found[0], f"expected one problem with {wanted!r}: {found}"


def test_an_include_upwards_is_refused():
    bad = {"src/base/a.h": HEADER + '#include "engine/b.h"\n', "src/engine/b.h": HEADER}
    expect(problems(rules.check_layers, bad), 'base must not include "engine/b.h"')


def test_a_foreign_layer_reached_through_another_header_is_refused():
    bad = {"src/base/a.h": HEADER + '#include "tensor/t.h"\n', "src/tensor/t.h": HEADER,
           "src/server/s.cc": SOURCE + '#include "base/a.h"\n'}
    found = problems(rules.check_layers, bad)
    assert any("server reaches src/tensor/t.h by src/server/s.cc > src/base/a.h" in p for p in found), found


def test_an_include_cycle_is_refused():
    bad = {"src/base/a.h": HEADER + '#include "base/b.h"\n', "src/base/b.h": HEADER + '#include "base/a.h"\n'}
    expect(problems(rules.check_layers, bad), "include cycle")


def test_an_include_without_its_layer_is_refused():
    bad = {"src/base/a.h": HEADER + '#include "b.h"\n', "src/base/b.h": HEADER}
    expect(problems(rules.check_layers, bad), '"b.h" is not a file under src/')


def test_a_folder_that_is_no_layer_is_refused():
    expect(problems(rules.check_layers, {"src/util/a.h": HEADER}), "src/util is not a layer")


def test_the_allowed_edges_pass():
    good = {"src/base/a.h": HEADER, "src/model/m.cc": SOURCE + '#include "base/a.h"\n',
            "src/app/x.cc": SOURCE + '#include "base/a.h"\n#include <vector>\n'}
    expect(problems(rules.check_layers, good), None)


def test_the_table_keeps_the_two_halves_apart():
    device = {"tensor", "checkpoint", "backend", "model", "runner"}
    serving = {"engine", "server", "bench"}
    for layer in serving:
        assert not rules.closure(layer) & device, layer
    for layer in device:
        assert not rules.closure(layer) & (serving | {"text"}), layer
    for layer in rules.LAYERS:
        assert layer == "app" or layer not in rules.closure(layer), f"{layer} reaches itself"


def test_a_link_edge_outside_the_table_is_refused():
    bad = {"CMakeLists.txt": "pagoda_layer(engine LAYERS base core text runner LIBRARIES Threads::Threads)\n"}
    expect(problems(rules.check_cmake_edges, bad), "engine links")
    good = {"CMakeLists.txt": "pagoda_layer(engine LAYERS base core text\n             LIBRARIES fmt::fmt)\n"}
    expect(problems(rules.check_cmake_edges, good), None)


def test_a_long_header_source_or_function_is_refused():
    lines = "int x;\n" * 301
    expect(problems(rules.check_sizes, {"src/base/a.h": HEADER + lines}), "the limit is 300")
    expect(problems(rules.check_sizes, {"src/base/a.cc": SOURCE + lines * 3}), "the limit is 800")
    body = "  x();\n" * 80
    for opening in ("void C::f(int a = 1) const {\n", "C::C() : a_{1}, b_(2) {\n", "TEST(Thing, Works) {\n",
                    "template <typename T = int>\nauto f(T t) -> int {\n",
                    "bool operator==(const C& a,\n                const C& b) {\n",
                    "const auto kF = [](int a) {\n"):
        text = SOURCE + "namespace pagoda {\n" + opening + body + "}\n}  // namespace pagoda\n"
        expect(problems(rules.check_sizes, {"src/base/a.cc": text}), "the limit is 80")
    member = HEADER + "class C : public B {\n public:\n  void f() override {\n" + body + "  }\n};\n"
    expect(problems(rules.check_sizes, {"src/base/a.h": member}), "function f has 82 lines")


def test_a_class_a_table_and_braces_in_strings_are_no_long_functions():
    lines = "  int x;\n" * 100
    rows = "  1,\n" * 100
    good = {"src/base/a.h": HEADER + "struct A final {\n" + lines + "};\n",
            "src/base/b.cc": SOURCE + "constexpr int kTable[] = {\n" + rows + "};\n",
            "src/base/c.cc": SOURCE + 'const char* f() {\n  return "{";  // {\n}\n' + "int x;\n" * 100
            + "char g() {\n  return '{';\n}\n" + 'auto h() {\n  return R"({)";\n}\n'}
    expect(problems(rules.check_sizes, good), None)


def test_a_file_that_does_not_say_what_it_is_for_is_refused():
    expect(problems(rules.check_file_openings, {"src/base/a.cc": "#include <vector>\n"}), "not a comment")
    expect(problems(rules.check_file_openings, {"src/base/a.h": "// A.\n#include <vector>\n"}), "#pragma once")
    expect(problems(rules.check_file_openings, {"src/base/a.h": "// A\n// b.\n#pragma once\n"}), None)


def test_a_source_without_a_test_is_refused():
    expect(problems(rules.check_tests_beside, {"src/base/a.cc": SOURCE}), "no a_test.cc beside it")
    expect(problems(rules.check_tests_beside, {"src/base/a.cc": SOURCE, "src/base/a_test.cc": TEST}), None)
    covered = {"src/text/jinja/a.cc": SOURCE, "src/text/chat_template_test.cc": TEST}
    expect(problems(rules.check_tests_beside, covered), None)
    expect(problems(rules.check_tests_beside, {"src/text/jinja/a.cc": SOURCE}), "no a_test.cc beside it")
    empty = {"src/base/a.cc": SOURCE, "src/base/a_test.cc": SOURCE}
    expect(problems(rules.check_tests_beside, empty), "a test file without a test")
    excused = {"src/app/main.cc": SOURCE, "src/app/main_test.cc": TEST}
    expect(problems(rules.check_tests_beside, excused), "excused from a test but has one")


def test_excuses_name_files_that_exist():
    for table in (rules.NO_TEST_NEEDED, rules.GENERATED):
        for path, reason in table.items():
            assert (ROOT / path).is_file(), f"{path} is excused but does not exist"
            assert len(reason) > 10, f"{path} has no reason"
    for source, test in rules.TESTED_BY.items():
        assert (ROOT / source).exists() and (ROOT / test).is_file(), f"{source} or {test} does not exist"


def test_each_banned_call_is_refused():
    for call in ("rand()", "std::rand()", "srand(1)", "strcpy(a, b)", "std::sprintf(a, b)", "std::atoi(a)",
                 "std::getenv(a)", "getenv(a)", "std::cout << 1", "std::printf(a)", "std::system(a)", "assert(a)",
                 "std::gmtime(a)", "std::regex r", "popen(a, b)"):
        expect(problems(rules.check_banned_calls, {"src/base/a.cc": f"{SOURCE}void f() {{ {call}; }}\n"}), "banned")
    expect(problems(rules.check_banned_calls, {"src/base/a.cc": SOURCE + "using namespace std;\n"}), "banned")


def test_allowed_calls_pass():
    text = SOURCE + 'static_assert(1);  // rand() and "using namespace"\nauto s = "atoi(x)";\nint x = operand(1);\n'
    text += "int y = rng.rand(); snprintf(a, n, b); fmt::format(c);\n"
    expect(problems(rules.check_banned_calls, {"src/base/a.cc": text}), None)
    expect(problems(rules.check_banned_calls, {"src/base/env.cc": SOURCE + "auto v = std::getenv(n);\n"}), None)
    expect(problems(rules.check_banned_calls, {"src/app/a.cc": SOURCE + "void f() { std::cout << 1; }\n"}), None)


def test_registry_names_machine_paths_and_unfinished_marks_are_refused():
    for text in rules.REGISTRY_HOSTS:
        expect(problems(rules.check_hygiene, {"docs/a.md": f"see https://{text}/x\n"}), "registry")
    for text in rules.MACHINE_PATHS:
        expect(problems(rules.check_hygiene, {"a.py": f"path = '{text}x'\n"}), "path of one machine")
    for text in rules.UNFINISHED:
        expect(problems(rules.check_hygiene, {"src/base/a.cc": f"// {text}: later\n"}), "left behind")
    good = {"docs/a.md": "The framework/work/ folder, and mastodons.\n", "a.bin": "\0" + rules.UNFINISHED[0]}
    expect(problems(rules.check_hygiene, good), None)


def test_lock_files_with_urls_or_loose_versions_are_refused():
    bad = '{\n  "a": {\n    "resolved": "https://host/a.tgz"\n  }\n}\n'
    expect(problems(rules.check_lock_files, {"x/package-lock.json": bad}), '"resolved"')
    expect(problems(rules.check_lock_files, {"x/yarn.lock": 'a@1:\n  resolved "https://host"\n'}), '"resolved"')
    expect(problems(rules.check_lock_files, {"tests/requirements.txt": "pytest>=7\n"}), "not pinned")
    bad = {"tests/requirements.txt": "--index-url https://host\n"}
    expect(problems(rules.check_lock_files, bad), "an index or a URL")
    good = {"package-lock.json": '{\n  "version": "1",\n  "integrity": "sha512-x"\n}\n',
            "tests/requirements.txt": "# tools\npytest==9.0\n"}
    expect(problems(rules.check_lock_files, good), None)


def test_an_undocumented_environment_variable_is_refused():
    env = {"src/base/env.cc": SOURCE + 'x = {"PAGODA_LOG", "level"};\n'}
    expect(problems(rules.check_environment_documented, env), "PAGODA_LOG is not documented")
    expect(problems(rules.check_environment_documented, {**env, "README.md": "`PAGODA_LOG`\n"}), None)
    listed = problems(rules.check_environment_documented, {"README.md": "none\n"}, "PAGODA_CHECK  1: verify\n")
    expect(listed, "PAGODA_CHECK is not documented")
    of_a_flag = ("PAGODA_MAX_LEN  128\nPAGODA_LOG  info\n", "  --max-len TOKENS  longest\n")
    found = problems(rules.check_environment_documented, {"README.md": "none\n"}, *of_a_flag)
    expect(found, "PAGODA_LOG is not documented")


def test_an_undocumented_flag_and_a_documented_flag_that_does_not_exist_are_refused():
    check, text = rules.check_flags_documented, "  --port INT  the port\n  -h,--help\n"
    expect(problems(check, {"docs/a.md": "nothing\n"}, text), "--port of `pagoda serve` is not documented")
    expect(problems(check, {"docs/a.md": "| `--port` | the port |\n"}, text), None)
    extra = {"docs/a.md": "| `--port` | the port |\n| `--ports` | no |\n"}
    expect(problems(check, extra, text), "--ports does not exist")
    expect(problems(check, {"docs/a.md": "nothing\n"}, "usage: none\n"), "shows no flags")


def test_a_weak_symbol_in_a_kernel_is_refused():
    compiler = shutil.which("g++") or shutil.which("c++")
    assert compiler and shutil.which("nm"), "needs a compiler and nm"
    weak = "template <class T> __attribute__((noinline)) T twice(T x) { return x + x; }\n"
    for source, wanted in ((weak + "int f(int x) { return twice(x); }\n", "weak symbol"),
                           ("namespace {" + weak + "}\nint f(int x) { return twice(x); }\n", None)):
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder) / "kernels_avx2.cc"
            text.write_text(source)
            subprocess.run([compiler, "-c", "-O2", text, "-o", f"{text}.o"], check=True)
            expect(rules.check_kernel_objects(folder), wanted)
    with tempfile.TemporaryDirectory() as folder:
        expect(rules.check_kernel_objects(folder), "no kernels_*.cc.o found")


def real_tree_tests(build_dir, binary):
    """One test for each rule, over this repository."""
    tree = rules.Tree(ROOT)

    def over_the_tree(check):
        return lambda: listed(check(tree))

    def listed(found):
        assert not found, "\n    " + "\n    ".join(found)

    tests = [(f"this tree: {check.__name__}", over_the_tree(check)) for check in rules.TREE_CHECKS]
    if build_dir:
        tests.append(("this build: check_kernel_objects", lambda: listed(rules.check_kernel_objects(build_dir))))
    if binary:
        tests.append(("this program: check_manual_with", lambda: listed(rules.check_manual_with(tree, binary))))
    return tests


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build-dir")
    parser.add_argument("--binary")
    options = parser.parse_args()
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    tests += real_tree_tests(options.build_dir, options.binary)
    failed = 0
    for name, test in tests:
        try:
            test()
        except Exception as error:  # a broken rule is one failure, not the end of the run
            failed += 1
            print(f"FAILED {name}: {error}")
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
