// ChatTemplate against what Jinja2 itself renders.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace pagoda {
namespace {

constexpr const char* kGolden = "tests/golden/text/jinja_cases.json";

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Json read_json(const std::filesystem::path& path) {
  auto json = parse_json(read_file(path));
  EXPECT_TRUE(json.ok()) << path << ": " << (json.ok() ? "" : json.error().message);
  return json.ok() ? *std::move(json) : Json::object();
}

Result<std::string> render(const std::string& source, const Json& variables) {
  const auto compiled = ChatTemplate::create(source);
  if (!compiled.ok()) return compiled.error();
  return (*compiled)->render(variables);
}

Result<std::string> render(const std::string& source) {
  return render(source, Json::object());
}

// What `expected` says: the text, or that there is an error.
void expect_same(const std::string& source, const Json& variables, const Json& expected) {
  const auto got = render(source, variables);
  if (expected.contains("error")) {
    EXPECT_FALSE(got.ok()) << source << "\n  rendered: " << *got
                           << "\n  Jinja2 fails: " << expected["error"];
    return;
  }
  ASSERT_TRUE(got.ok()) << source << "\n  " << got.error().message;
  EXPECT_EQ(*got, expected["text"].get<std::string>()) << source;
}

TEST(ChatTemplate, RendersEverySnippetAsJinja2Does) {
  const Json golden = read_json(kGolden);
  ASSERT_GE(golden["snippets"].size(), 600U);
  for (const Json& snippet : golden["snippets"]) {
    if (snippet["template"].get<std::string>().find("strftime_now(") != std::string::npos) continue;
    expect_same(snippet["template"], golden["variables"], snippet);
  }
}

TEST(ChatTemplate, RendersConversationsInTheStyleOfManyFamiliesAsJinja2Does) {
  const Json golden = read_json(kGolden);
  ASSERT_GE(golden["renders"].size(), 90U);
  for (const Json& answer : golden["renders"]) {
    SCOPED_TRACE(answer["conversation"].get<std::string>());
    expect_same(golden["templates"][answer["template"].get<std::string>()],
                golden["conversations"][answer["conversation"].get<std::string>()], answer);
  }
}

TEST(ChatTemplate, ErrorsSayWhatJinja2SaysForExceptionsAndUndefinedNames) {
  for (const auto& [source, message] :
       {std::pair<std::string, std::string>{"{{ raise_exception('Only user and assistant!') }}",
                                            "Only user and assistant!"},
        {"{{ raise_exception('') }}", "the chat template refused the messages and gave no reason"},
        {"{{ raise_exception(nothing) }}",
         "the chat template refused the messages and gave no reason"},
        {"{{ nothing.here }}", "'nothing' is undefined"},
        {"{{ {'a': 1}.b.c }}", "'dict object' has no attribute 'b'"},
        {"{{ 'a' + 1 }}", "can only concatenate str (not \"int\") to str"},
        {"{{ [].append(1) }}", "access to attribute 'append' of 'list' object is unsafe."}}) {
    const auto got = render(source);
    ASSERT_FALSE(got.ok()) << source;
    EXPECT_EQ(got.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(got.error().message, message);
  }
}

TEST(ChatTemplate, SyntaxErrorsNameTheLine) {
  const auto made = ChatTemplate::create("a\nb\n{% if x %}\n{{ 1 + }}{% endif %}");
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(made.error().message.find("line 4"), std::string::npos) << made.error().message;
}

TEST(ChatTemplate, RefusesTemplatesThatGrowWithoutBound) {
  for (const std::string source : {
           "{{ 'a' * 1000000000 }}",
           "{{ 'a' * 9223372036854775807 }}",
           "{{ [0] * 1000000000 }}",
           "{{ range(1000000000) }}",
           "{{ range(-9223372036854775807, 9223372036854775807, 3) }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '{:1000000000}'.format(1) }}",
           "{{ 'a'.ljust(1000000000) }}",
           "{{ 'x'|center(1000000000) }}",
           "{{ 'a\nb'|indent(1000000000) }}",
           "{{ [1]|tojson(indent=1000000000) }}",
           "{{ 10 ** 100 }}",
           "{{ 9223372036854775807 + 1 }}",
           "{{ [1]|batch(1000000000, 'x')|list }}",
           "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}"
           "{% endfor %}",
           "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
           "{% endfor %}{{ ns.x }}",
           "{% set ns = namespace(x=1) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}"
           "{% endfor %}",
           "{{ '%*d' % (1000000000, 1) }}",
           "{{ '%.1000000000f' % 1.5 }}",
           "{{ '%.*f' % (1000000000, 1.5) }}",
           "{{ '{:>{}}'.format(1, 1000000000) }}",
           "{{ '{:.1000000000f}'.format(1) }}",
           "{{ 'a'.zfill(1000000000) }}",
           "{{ 'a'.center(1000000000, '\uD55C') }}",
           "{{ ('a\t' * 1000).expandtabs(1000) }}",
           "{{ ('ab' * 100000)|list }}",
           "{{ ('ab' * 100000)|map('upper')|list }}",
           "{{ ('a,' * 400000).split(',') }}",
           "{{ ('a ' * 400000)|wordwrap(1, true, 'long separator') }}",
           "{{ (range(10000)|list) * 100 }}",
           "{{ range(100)|map('string')|join('x' * 100000) }}",
           "{{ 'x'|replace('', 'y' * 1000000) }}",
           "{{ ('ab' * 300000)|urlencode }}",
           "{{ ('<' * 300000)|e }}",
           "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}"
           "{% endfor %}",
           "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
           "{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
           "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
           "{% set ns.x = '{0}{0}'.format(ns.x) %}{% endfor %}",
           "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
           "{% set ns.x = [ns.x, ns.x]|join %}{% endfor %}",
           "{% set ns = namespace(x='a') %}{% for i in range(60) %}"
           "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
           "{% set ns = namespace(x={}) %}{% for i in range(60) %}"
           "{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x|tojson }}",
           "{% macro m(n) %}{{ m(n - 1) ~ m(n - 1) if n else 'x' }}{% endmacro %}{{ m(40) }}",
           "{% set ns = namespace(x='ab') %}{% for i in range(60) %}"
           "{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
       }) {
    const auto parsed = jinja::parse_template(source);
    ASSERT_TRUE(parsed.ok()) << source;
    const auto got = jinja::render(*parsed, Json::object(), {.max_bytes = 1'000'000});
    ASSERT_FALSE(got.ok()) << source;
    EXPECT_EQ(got.error().code, ErrorCode::kInvalidArgument) << source;
  }
}

TEST(ChatTemplate, RefusesMoreStepsThanItsBudget) {
  const auto parsed = jinja::parse_template(
      "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}");
  ASSERT_TRUE(parsed.ok());
  jinja::Limits limits;
  limits.max_steps = 10'000;
  const auto got = jinja::render(*parsed, Json::object(), limits);
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.error().message.find("10000 steps"), std::string::npos);
}

TEST(ChatTemplate, RefusesUnboundedRecursion) {
  const auto repeated = [](const std::string& text, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += text;
    return out;
  };
  for (const std::string& source : {
           std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
           std::string("{% macro m(a=m()) %}{% endmacro %}{{ m() }}"),
           std::string("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
           repeated("(", 20000),
           "{{ " + repeated("(", 20000) + "1" + repeated(")", 20000) + " }}",
           "{{ " + repeated("[", 20000),
           "{{ " + repeated("not ", 20000) + "1 }}",
           "{{ " + repeated("-", 20000) + "1 }}",
           "{{ 1" + repeated("+1", 20000) + " }}",
           "{{ a" + repeated(".b", 20000) + " }}",
           "{{ a" + repeated("|upper", 20000) + " }}",
           "{{ a" + repeated("()", 20000) + " }}",
           "{{ 1" + repeated(" if 1 else 1", 20000) + " }}",
           repeated("{% if 1 %}", 20000),
           repeated("{% for i in [1] %}", 1000),
           "{% set " + repeated("(", 20000),
       }) {
    const auto got = render(source);
    if (source[0] == '(') continue;  // plain data
    EXPECT_FALSE(got.ok()) << source.substr(0, 80);
  }
}

// A template as long as this that took quadratic time would not end within the test's time.
TEST(ChatTemplate, TimeGrowsWithTheTemplateAndWithWhatItHolds) {
  std::string assignments, ifs, keys, names, arguments, defaults;
  for (int i = 0; i < 8'000; ++i) {
    const std::string number = std::to_string(i);
    assignments += "{% set v" + number + " = " + number + " %}";
    ifs += "{% if v" + number + " %}{% set w" + number + " = 1 %}{% endif %}";
    keys += "(" + number + ", 1):1,";
    names += "{% macro m" + number + "() %}{{ v" + number + " }}{% endmacro %}";
  }
  for (int i = 0; i < 500; ++i) {
    defaults += (i == 0 ? "a" : ", a") + std::to_string(i) + "=1";
    arguments += (i == 0 ? "a" : ", a") + std::to_string(499 - i) + "=2";
  }
  for (const std::string& source :
       {assignments + ifs + names + "ok", "{% set d = {" + keys + "} %}{{ d == dict(d) }}ok",
        "{% macro m(" + defaults + ") %}{{ a0 }}{% endmacro %}{{ m(" + arguments + ") }}ok"}) {
    const auto got = render(source);
    ASSERT_TRUE(got.ok()) << source.substr(0, 60) << got.error().message;
    EXPECT_TRUE(got->ends_with("ok"));
  }
}

TEST(ChatTemplate, IntegersBeyond64BitsAreAnErrorAndNeverWrapAround) {
  for (const std::string source :
       {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 2 ** 63 }}",
        "{{ 3037000500 * 3037000500 }}", "{{ '9223372036854775808'|int }}", "{{ 1e19|int }}",
        "{{ 9223372036854775808 }}", "{{ 9223372036854775807|round(-1) }}"}) {
    const auto got = render(source);
    ASSERT_FALSE(got.ok()) << source << *got;
    EXPECT_EQ(got.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(*render("{{ 9223372036854775807 }} {{ 2 ** 62 }}"),
            "9223372036854775807 4611686018427387904");
}

TEST(ChatTemplate, TagsAndFiltersOfOtherUsesAreRefusedByName) {
  for (const auto& [source, name] :
       {std::pair<std::string, std::string>{"{% include 'x' %}", "include"},
        {"{% import 'x' as y %}", "import"},
        {"{% from 'x' import y %}", "from"},
        {"{% extends 'x' %}", "extends"},
        {"{% block x %}{% endblock %}", "block"},
        {"{{ [1]|random }}", "random"},
        {"{{ 'x'|urlize }}", "urlize"},
        {"{{ 'x'|pprint }}", "pprint"}}) {
    const auto got = render(source);
    ASSERT_FALSE(got.ok()) << source;
    EXPECT_EQ(got.error().code, ErrorCode::kUnsupported) << source;
    EXPECT_NE(got.error().message.find("'" + name + "'"), std::string::npos) << got.error().message;
  }
}

TEST(ChatTemplate, ReferenceCyclesDoNotLeak) {
  // LeakSanitizer is the judge in sanitizer builds.
  const auto got = render(
      "{% set ns = namespace() %}{% set ns.self = ns %}{% set ns.list = [ns] %}"
      "{% macro m() %}{{ m }}{% endmacro %}{% set ns.m = m %}"
      "{% for i in [1, 2] %}{% set ns.loop = loop %}{{ loop.changed(loop) }}"
      "{% macro inner() %}{% endmacro %}{% set ns.inner = inner %}{% endfor %}");
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(*got, "TrueFalse");
}

TEST(ChatTemplate, TemplateOfOneRenderDoesNotChangeTheNext) {
  const auto compiled =
      ChatTemplate::create("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + n %}{{ ns.n }}");
  ASSERT_TRUE(compiled.ok());
  EXPECT_EQ(*(*compiled)->render({{"n", 1}}), "1");
  EXPECT_EQ(*(*compiled)->render({{"n", 2}}), "2");
  EXPECT_EQ(*(*compiled)->render({{"n", 1}}), "1");
}

TEST(ChatTemplate, StrftimeNowFormatsTheLocalDate) {
  const auto got = render("{{ strftime_now('%d %b %Y')|length }}{{ strftime_now('') }}");
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(*got, "11");
}

TEST(ChatTemplate, InvalidUtf8InATemplateIsRefused) {
  EXPECT_FALSE(ChatTemplate::create("a\xFF").ok());
}

// Renders the templates that model makers publish and compares with Jinja2 itself, where both are
// at hand.
TEST(ChatTemplate, RendersPublishedTemplatesAsJinja2Does) {
  const std::filesystem::path folder = "../shared/data/chat-templates";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no published templates here";
  if (std::system("/usr/bin/python3 -c 'import jinja2' 2>/dev/null") != 0) {
    GTEST_SKIP() << "no Jinja2 here";
  }
  const Json golden = read_json(kGolden);
  const std::string stem = testing::TempDir() + "/published_templates";
  std::ofstream requests(stem + ".in");
  std::vector<std::pair<std::string, Json>> cases;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    for (const auto& [name, variables] : golden["conversations"].items()) {
      cases.emplace_back(read_file(entry.path()), variables);
      requests << dump_json({{"template", cases.back().first}, {"variables", variables}}) << "\n";
    }
  }
  requests.close();
  ASSERT_FALSE(cases.empty());
  const std::string command =
      "PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "
      "tools/make_text_golden.py --render < " +
      stem + ".in > " + stem + ".out";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream answers(stem + ".out");
  std::string line;
  for (const auto& [source, variables] : cases) {
    ASSERT_TRUE(std::getline(answers, line));
    const auto answer = parse_json(line);
    ASSERT_TRUE(answer.ok());
    expect_same(source, variables, *answer);
  }
}

}  // namespace
}  // namespace pagoda
