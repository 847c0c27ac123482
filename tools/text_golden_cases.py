"""The inputs of make_text_golden.py: template snippets and texts."""

VARIABLES = {
    "name": "World", "empty": "", "n": 7, "neg": -3, "f": 2.5, "big": 1e20, "tiny": 1e-7, "yes": True,
    "no": False, "nothing": None, "korean": "안녕하세요 세계", "mixed": "Ünïcödé ß 😀 日本",
    "spaces": "  two  words \n", "quote": "it's \"quoted\"", "html": "<b>&'\"</b>",
    "nums": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3, [4, 5]]],
    "d": {"b": 2, "a": 1, "C": 3}, "items_key": {"items": 1, "keys": 2, "x": None},
    "users": [{"name": "ann", "age": 30, "tags": ["x", "y"], "address": {"city": "Seoul"}},
              {"name": "Bob", "age": 25, "tags": [], "address": {"city": "Busan"}},
              {"name": "cid", "age": 30, "tags": ["z"], "address": {"city": "seoul"}}],
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]},
             {"v": 5, "kids": []}],
    "text": "line one\nline two\n\nline four", "long": "The quick brown fox jumps over the lazy dog.",
}


def _lines(block):
    return [line.replace("⏎", "\n") for line in block.strip("\n").split("\n")]


# One template a line; ⏎ stands for a line end.
SNIPPETS = _lines(r"""
Hello {{ name }}!
{{ name }}⏎
{{ name }}⏎⏎
a⏎{% if yes %}⏎b⏎{% endif %}⏎c
a⏎  {% if yes %}⏎  b⏎  {% endif %}  ⏎c
a⏎  {%+ if yes %}⏎  b⏎  {%+ endif %}⏎c
a {%- if yes -%} ⏎ b ⏎ {%- endif -%} ⏎ c
a⏎{%- if yes +%}⏎b{% endif +%}⏎c
x  {{- name -}}  y
x⏎  {{ name }}  ⏎y
x⏎  {{- name }}⏎  {{ n -}}  ⏎y
{# comment #}a{#- b -#}  c
a⏎   {# comment #}⏎b
a⏎   {#+ comment +#}⏎b
a {#- x #} b {# y -#} c
{% raw %}{{ name }} {% if %}{% endraw %}
a⏎  {% raw %}⏎ {{ x }} ⏎  {% endraw %}⏎b
a {%- raw -%} ⏎ {{ x }} ⏎ {%- endraw -%} b
{% raw -%}  x  {%- endraw %}
{{ '{{' }}{{ '}}' }}{{ '{%' }}
{{ {"a": {"b": 1}} }}
{{ {'a': 1}['a'] }}{{{'b':2}.b}}
{{ [1, 2.0, 'three', none, true, false, undefined_thing] }}
{{ (1,) }}{{ (1, 2) }}{{ () }}{{ 1, 2 }}
{{ nums }}{{ d }}{{ nested }}
{{ korean }} {{ korean|length }} {{ korean[0] }} {{ korean[-2:] }} {{ [korean] }}
{{ mixed }} {{ mixed|upper }} {{ mixed|lower }} {{ mixed|title }} {{ mixed|capitalize }}
{{ quote }}{{ [quote] }}{{ ["it's"] }}{{ ['say "x"'] }}{{ ["\\ \n \t \r \x00 \x7f é \u200b"] }}
{{ "a\nb\tc\\d\"e'f" }}{{ 'a\'b"c' }}{{ "\x41\u00e9\U0001F600\101\q" }}
{{ "one" "two" 'three' }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }}
{{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ 2 ** 0.5 }} {{ 1 / 3 }} {{ 6 / 2 }}
{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ (-2) ** 2 }} {{ - 3 }} {{ +3 }} {{ --3 }} {{ -n + 1 }}
{{ 1 ~ 2 + 3 ~ 4 }}
{{ "a" ~ 1 ~ none ~ true ~ 2.5 ~ [1] ~ missing }}
{{ 'ab' * 3 }}{{ 2 * 'x' }}{{ [1, 2] * 2 }}{{ [1] + [2] }}{{ (1,) + (2,) }}{{ 'x' * -1 }}
{{ true + 1 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ [1] == [1.0] }} {{ (1,) == [1] }} {{ none == false }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 3 > 2 >= 2 != 1 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'Z' < 'a' }}
{{ 1 in [1, 2] }} {{ 3 not in [1, 2] }} {{ 'el' in 'hello' }} {{ 'a' in d }} {{ 'z' in d }} {{ 1 in (1,) }} {{ not 1 in [1] }}
{{ yes and no }} {{ yes or no }} {{ not yes }} {{ 0 or 'x' }} {{ '' and 'x' }} {{ none or [] or 'z' }} {{ 1 and 2 }}
{{ 'a' if yes else 'b' }} {{ 'a' if no else 'b' }} {{ 'a' if no }} {{ 'x' if no else 'y' if no else 'z' }}
{{ 1.0 }} {{ 100.0 }} {{ 1e16 }} {{ 1e15 }} {{ 1.5e-5 }} {{ 0.0001 }} {{ 0.1 + 0.2 }} {{ big }} {{ tiny }} {{ 1e300 * 10 }} {{ -0.0 }} {{ 123456789.123 }}
{{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_0.5_0 }} {{ 1E3 }} {{ 1e+2 }}
{{ nums[0] }} {{ nums[-1] }} {{ nums[5] }} {{ nums.0 }} {{ d.a }} {{ d['a'] }} {{ d.zzz }} {{ d['zzz'] }}
{{ nums[1:] }} {{ nums[:-1] }} {{ nums[::-1] }} {{ nums[::2] }} {{ nums[5:] }} {{ nums[-10:2] }} {{ nums[2:0:-1] }} {{ (1,2,3)[1:] }}
{{ 'hello'[1:3] }} {{ 'hello'[::-1] }} {{ 'hello'[-3:] }} {{ 'hello'[10:] }} {{ 'hello'[::2] }} {{ 'hello'[99] }}
{{ range(5)|list }} {{ range(2, 8, 3)|list }} {{ range(5, 0, -2)|list }} {{ range(3) }} {{ range(1, 9, 2) }} {{ range(3)[1] }} {{ range(0)|list }}
{% for i in nums %}{{ i }},{% endfor %}
{% for i in [] %}x{% else %}none{% endfor %}
{% for i in nums if i > 1 %}{{ loop.index }}:{{ i }}/{{ loop.length }} {% else %}no{% endfor %}
{% for i in nums if i > 9 %}x{% else %}no{% endfor %}
{% for i in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for i in nums %}[{{ loop.previtem }}|{{ loop.nextitem }}|{{ loop.previtem is defined }}|{{ loop.cycle('odd', 'even') }}]{% endfor %}
{% for i in [1, 1, 2, 2, 1] %}{% if loop.changed(i) %}<{{ i }}>{% endif %}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% for k in d.keys() %}{{ k }}{% endfor %}{% for v in d.values() %}{{ v }}{% endfor %}{{ d.keys() }}{{ d.values() }}{{ d.items() }}
{% for a, (b, c) in [(1, (2, 3)), (4, (5, 6))] %}{{ a }}{{ b }}{{ c }} {% endfor %}
{% for c in 'añ한😀' %}{{ c }}-{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in [1, 2] %}{% for j in [1, 2] %}{% if j == 2 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{{ loop.index }}{% endfor %}
{% for t in tree recursive %}{{ t.v }}@{{ loop.depth }}{% if t.kids %}({{ loop(t.kids) }}){% endif %}{% if not loop.last %},{% endif %}{% endfor %}
{% for i in missing %}x{% else %}empty{% endfor %}
{% for i in nothing %}x{% endfor %}
{% for i in 5 %}x{% endfor %}
{% for a, b in [(1, 2, 3)] %}x{% endfor %}
{% for a, b, c in [(1, 2)] %}x{% endfor %}
{% for x in [1, 2] %}{% for x in [3] %}{{ x }}{% endfor %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + 10 %}{{ x }} {% endfor %}{{ x }}
{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}
{% if no %}{% set name = 'changed' %}{% endif %}{{ name }}
{% for i in [1] %}{% if no %}{% set name = 'changed' %}{% endif %}{{ name }}{% endfor %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set t = 1, 2 %}{{ t }}
{% set (a, b) = (5, 6) %}{{ a }}{{ b }}
{% set x %}block {{ name }}⏎{% endset %}[{{ x }}]
{% set x | upper | replace('L', 'l') %}hello{% endset %}{{ x }}
{% set ns = namespace(a=1, b='x') %}{% for i in nums %}{% set ns.a = ns.a + i %}{% set ns.c = i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns['a'] }}{{ ns.zz }}
{% set ns = namespace({'p': 1}, q=2) %}{{ ns.p }}{{ ns.q }}
{% set ns = namespace(l=[]) %}{% for i in nums %}{% set ns.l = ns.l + [i * 2] %}{% endfor %}{{ ns.l }}
{% set name.x = 1 %}
{% set q.x = 1 %}
{% macro hi(who, greeting='Hi', mark='!') %}{{ greeting }} {{ who }}{{ mark }}{% endmacro %}{{ hi('A') }} {{ hi('B', 'Yo') }} {{ hi(who='C', mark='?') }} {{ hi() }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}
{% macro m(x) %}{{ caller() }}{{ x }}{% endmacro %}{% call m(1) %}body {{ name }}{% endcall %}
{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=9) m() %}{{ a }}-{{ b }}{% endcall %}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}
{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(none) }}{{ m(missing) }}
{% macro fact(n) %}{% if n < 2 %}1{% else %}{{ n }}*{{ fact(n - 1) }}{% endif %}{% endmacro %}{{ fact(5) }}
{% macro m() %}{{ later }}{% endmacro %}{% set later = 'set' %}{{ m() }}
{% macro m() %}{% set name = 'inner' %}{{ name }}{% endmacro %}{{ m() }}{{ name }}
{% macro m(loop) %}{{ loop }}{% endmacro %}{{ m(1) }}{{ m.name }}
{% macro a(x) %}[{{ x }}]{% endmacro %}{{ ['p', 'q']|map('upper')|join(a('-')) }}
{% set x = hi('A') %}{% macro hi(w) %}{{ w }}{% endmacro %}{{ x }}
{% filter upper %}abc {{ name }}{% endfilter %}
{% filter replace('a', 'b') | upper %}banana{% endfilter %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% set a = 9 %}{% endwith %}{{ a }}
{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z }}
{% generation %}{{ name }}{% set g = 1 %}{% endgeneration %}{{ g }}
{% print name %}{% print 1, 2 %}
{% if missing %}a{% elif n == 7 %}b{% else %}c{% endif %}
{% if nums %}1{% endif %}{% if empty %}2{% endif %}{% if 0.0 %}3{% endif %}{% if d %}4{% endif %}{% if not nothing %}5{% endif %}
{{ missing }}|{{ missing|length }}|{{ missing|list }}|{{ missing is defined }}|{{ not missing }}
{{ missing.attr }}
{{ missing['x'] }}
{{ missing() }}
{{ missing + 1 }}
{{ 'a' + missing }}
{{ missing < 1 }}
{{ -missing }}
{{ d.zz.yy }}
{{ nums.zz.yy }}
{{ nothing.attr }}|
{{ nothing.attr.more }}
{{ users[0].nope.more }}
{{ missing == missing2 }} {{ missing == none }} {{ missing != 1 }} {{ 'x' in missing }}
{{ missing|default('dflt') }} {{ missing|d }} {{ empty|default('e', true) }} {{ empty|default('e') }} {{ none|default('x') }} {{ d.zz|default(1) }} {{ 0|default(5, boolean=true) }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ none + 1 }}
{{ [1] + 'a' }}
{{ [] < 1 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 1 // 0.0 }}
{{ 5 in 5 }}
{{ 1 in 'abc' }}
{{ [] in d }}
{{ {[]: 1} }}
{{ 5() }}
{{ d() }}
{{ nums.append(1) }}
{{ d.update({}) }}
{{ d.pop('a') }}
{{ nums.append is defined }} {{ d.__class__ is defined }} {{ nums.pop is defined }}
{{ nums.pop() }}
{{ -nums|first }}
{{ d.__class__.x }}
{{ 'x'.nope() }}
{{ nums|nope }}
{{ nums is nope }}
{{ range(200000) }}
{{ raise_exception('custom message') }}
{{ raise_exception('bad: ' ~ name ~ '!') }}
{% if %}x{% endif %}
{% for in x %}{% endfor %}
{% endif %}
{% if yes %}
{{ name
{{ }}
{% nope %}
{{ 1 + }}
{{ (1 }}
{{ ] }}
{{ 'abc }}
{# never closed
{% raw %} never closed
{% set true = 1 %}
{% macro m(a=1, b) %}{% endmacro %}
{{ f(a=1, 2) }}
{% break %}
{{ a.b is c is d }}
{{ name $ }}
{{ d is mapping }} {{ nums is mapping }} {{ nums is sequence }} {{ d is sequence }} {{ 'x' is sequence }} {{ 5 is sequence }} {{ d.items() is sequence }} {{ (1,) is sequence }}
{{ nums is iterable }} {{ 5 is iterable }} {{ 'x' is iterable }} {{ none is iterable }} {{ missing is iterable }} {{ range(2) is iterable }} {{ d.items() is iterable }}
{{ 'x' is string }} {{ 5 is string }} {{ none is none }} {{ missing is none }} {{ yes is boolean }} {{ 1 is boolean }} {{ true is true }} {{ 1 is true }} {{ no is false }}
{{ 5 is number }} {{ 2.5 is number }} {{ true is number }} {{ 'x' is number }} {{ 5 is integer }} {{ true is integer }} {{ 2.5 is float }} {{ 5 is float }}
{{ 5 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 5 is eq 5 }} {{ 5 is ne(4) }} {{ 5 is gt 4 }} {{ 5 is lessthan 4 }} {{ 5 is ge 5 }} {{ 5 is le 4 }}
{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aBC' is lower }} {{ '123' is upper }} {{ 1 is in [1, 2] }} {{ 3 is not in [1] }} {{ none is sameas none }} {{ true is sameas 1 }}
{{ name is defined and name is not none }} {{ name is string and n is number }} {{ not name is defined }} {{ missing is not defined }} {{ missing is undefined }}
{{ hi is callable }} {{ range is callable }} {{ 'upper' is filter }} {{ 'zz' is filter }} {{ 'odd' is test }} {{ strftime_now is defined }} {{ raise_exception is defined }} {{ name is escaped }}
{{ name|upper }} {{ name|lower }} {{ name|title }} {{ 'hELLO wORLD'|capitalize }} {{ "they're bill's-friends (ok) [x]"|title }} {{ ''|capitalize }}
{{ spaces|trim }}| {{ 'xxhixx'|trim('x') }} {{ spaces.strip() }}| {{ spaces.lstrip() }}| {{ spaces.rstrip() }}| {{ 'xyhix'.strip('xy') }} {{ 'aXb'.lstrip('a') }}
{{ nums|length }} {{ d|length }} {{ 'abc'|count }} {{ nums|first }} {{ nums|last }} {{ []|first }} {{ []|last }} {{ 'abc'|first }} {{ 'abc'|last }} {{ d|first }}
{{ 5|length }}
{{ nums|join }} {{ nums|join(', ') }} {{ words|join(d='-') }} {{ users|join(', ', attribute='name') }} {{ 'abc'|join('.') }} {{ [1, none, true]|join('/') }} {{ users|map(attribute='address.city')|join(',') }}
{{ nums|sort }} {{ nums|sort(reverse=true) }} {{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ users|sort(attribute='age')|map(attribute='name')|list }} {{ users|sort(attribute='age,name')|map(attribute='name')|list }}
{{ [1, 'a']|sort }}
{{ d|dictsort }} {{ d|dictsort(true) }} {{ d|dictsort(by='value') }} {{ d|dictsort(reverse=true) }} {{ d|dictsort(false, 'value', true) }}
{{ words|unique|list }} {{ words|unique(case_sensitive=true)|list }} {{ [1, 1.0, true, 2]|unique|list }} {{ users|unique(attribute='age')|map(attribute='name')|list }}
{{ nums|min }} {{ nums|max }} {{ words|min }} {{ words|max }} {{ []|min }} {{ users|max(attribute='age') }} {{ nums|sum }} {{ users|sum(attribute='age') }} {{ [1.5, 2]|sum }} {{ []|sum(start=5) }}
{{ nums|reverse|list }} {{ 'abc'|reverse }} {{ d|reverse|list }} {{ nums|list }} {{ 'abc'|list }} {{ d|list }} {{ (1, 2)|list }}
{{ nums|map('string')|list }} {{ words|map('upper')|list }} {{ users|map(attribute='name')|list }} {{ users|map(attribute='zip', default='none')|list }} {{ nums|map('default', 5)|list }} {{ ['a b', 'c']|map('replace', ' ', '_')|list }}
{{ [1, 2, 3, 4]|select('odd')|list }} {{ [1, 2, 3, 4]|reject('odd')|list }} {{ [0, 1, '', 'a']|select|list }} {{ [1, 5, 9]|select('gt', 4)|list }} {{ [0, 1]|reject|list }} {{ [1,2]|select('in', [2])|list }}
{{ users|selectattr('age', 'equalto', 30)|map(attribute='name')|list }} {{ users|rejectattr('tags')|map(attribute='name')|list }} {{ users|selectattr('tags')|list|length }} {{ users|selectattr('age', '>', 26)|list|length }} {{ users|selectattr('zip', 'defined')|list }}
{{ users|groupby('age')|length }} {% for age, us in users|groupby('age') %}{{ age }}:{{ us|map(attribute='name')|join(',') }};{% endfor %} {% for g in users|groupby('address.city') %}{{ g.grouper }}={{ g.list|length }} {% endfor %}
{{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }} {{ [1, 2, 3, 4, 5]|slice(3)|list }} {{ [1, 2, 3, 4]|slice(3, 'x')|list }}
{{ 'a-b-a'|replace('a', 'x') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 'abc'|replace('', '-') }} {{ 5|replace('5', '6') }} {{ 'aaa'.replace('a', 'b', 1) }}
{{ '5'|int }} {{ '5.7'|int }} {{ 'x'|int }} {{ 'x'|int(9) }} {{ 5.9|int }} {{ -5.9|int }} {{ '0x1f'|int(base=16) }} {{ '11'|int(0, 2) }} {{ none|int }} {{ true|int }} {{ ' 42 '|int }} {{ '1e3'|int }} {{ '-7'|int }}
{{ '2.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ '1e3'|float }} {{ none|float }} {{ ' 1.5 '|float }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.567|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ 2.9|round(method='floor') }} {{ 5|round }} {{ 1234|round(-2) }} {{ 2.675|round(2) }} {{ 0.5|round|int }} {{ -3|abs }} {{ -2.5|abs }}
{{ text|indent }} {{ text|indent(2, true) }} {{ text|indent(2, blank=true) }} {{ text|indent('>>') }} {{ 'a'|indent(first=true) }} {{ ''|indent }}
{{ long|truncate(20) }} {{ long|truncate(20, true) }} {{ long|truncate(20, end='') }} {{ long|truncate(43) }} {{ long|truncate(10, leeway=0) }} {{ 'short'|truncate(3, true, '') }}
{{ html|escape }} {{ html|e }} {{ html|safe }} {{ (html|safe) + '<i>' }} {{ '<i>' + (html|safe) }} {{ html|e|e }} {{ html|forceescape }} {{ [html|e] }} {{ html|e|upper }} {{ html|striptags }}
{{ 'a b&c=d/e?한'|urlencode }} {{ {'a': 1, 'b c': '&'}|urlencode }} {{ 'one two  three'|wordcount }} {{ 'mid'|center(9) }}| {{ 'x'.center(4, '*') }} {{ '%s-%d'|format('a', 5) }} {{ '%(a)s'|format(a=1) }}
{{ nums|string }} {{ 5|string + 'x' }} {{ none|string }} {{ true|string|lower }} {{ 'x'|string }} {{ 1.0|string }}
{{ d|items|list }} {{ missing|items|list }} {{ users[0]|attr('name') }}| {{ 'x'|attr('upper') is callable }}
{{ 5|items|list }}
{{ d|tojson }} {{ nums|tojson }} {{ 'é"\n<>&\u2028\x7f'|tojson }} {{ none|tojson }} {{ true|tojson }} {{ 1.0|tojson }} {{ 1e20|tojson }} {{ (1, 2)|tojson }} {{ {}|tojson }} {{ []|tojson }} {{ korean|tojson }} {{ '\x01\x1f'|tojson }}
{{ korean|tojson(ensure_ascii=true) }} {{ mixed|tojson(true) }} {{ {1: 2, none: 3, true: 4, 2.5: 5}|tojson }} {{ {'b': 1, 'a': [1, {'z': {}}]}|tojson(sort_keys=true) }}
{{ users|tojson(indent=2) }}
{{ {'a': [], 'b': {}, 'c': [1]}|tojson(indent=4) }} {{ [1, [2]]|tojson(indent=0) }} {{ [1, {'a': 2}]|tojson(indent='\t') }} {{ {'a': 1}|tojson(separators=(',', ':')) }} {{ [1,2]|tojson(indent=1, separators=(', ', ': ')) }}
{{ missing|tojson }}
{{ range(3)|tojson }}
{{ {(1,): 2}|tojson }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.split(none, 1) }} {{ ' a b c '.rsplit(maxsplit=1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'abc'.split('</think>')[-1] }}
{{ 'a\nb\r\nc\n'.splitlines() }} {{ 'a\nb'.splitlines(true) }} {{ 'k=v=w'.partition('=') }} {{ 'k=v=w'.rpartition('=') }} {{ 'kv'.partition('=') }} {{ 'kv'.rpartition('=') }}
{{ 'abc'.split('') }}
{{ 'hello'.startswith('he') }} {{ 'hello'.endswith(('x', 'lo')) }} {{ 'hello'.startswith('l', 2) }} {{ 'hello'.endswith('l', 0, 4) }} {{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'hello'.find('z') }} {{ 'hello'.count('l') }} {{ 'hello'.index('e') }} {{ '한국어'.find('어') }} {{ 'aaa'.count('') }}
{{ 'hello'.index('z') }}
{{ 'hello'.startswith(1) }}
{{ 'Hello World'.upper() }} {{ 'HELLO'.lower() }} {{ 'hello world'.title() }} {{ "they're".title() }} {{ 'hELLO'.capitalize() }} {{ 'Hello'.swapcase() }} {{ 'ab'.ljust(4) }}| {{ 'ab'.rjust(4, '.') }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a\tb'.expandtabs(4) }} {{ 'abc'.center(6) }}|
{{ '-'.join(['a', 'b']) }} {{ ','.join('abc') }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }} {{ '123'.isdigit() }} {{ 'abc'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'Ab'.istitle() }} {{ 'AB'.isupper() }} {{ 'a_1'.isidentifier() }} {{ ''.isdigit() }} {{ '12'.isdecimal() }} {{ 'é'.isascii() }}
{{ ','.join([1, 2]) }}
{{ d.get('a') }} {{ d.get('zz') }} {{ d.get('zz', 'dflt') }} {{ items_key.items() is iterable }}| {{ items_key['items'] }} {{ items_key.get('items') }} {{ d.copy() }} {{ nums.index(1) }} {{ nums.count(3) }} {{ (1, 1).count(1) }} {{ nums.copy() }}
{{ '%s and %r' % ('a', 'b') }} {{ '%d%%' % 5 }} {{ '%5.2f|%-5d|%05d|%+d' % (3.14159, 42, 42, 42) }} {{ '%x %X %o %#x' % (255, 255, 8, 255) }} {{ '%e' % 12345.678 }} {{ '%g' % 0.0001 }} {{ '%s' % [1, 2] }} {{ '%(a)s-%(b)d' % {'a': 'x', 'b': 2} }} {{ '%c%c' % ('a', 66) }} {{ '%10s|%-10s|' % ('a', 'b') }} {{ '%.2s' % 'abc' }} {{ '%s' % none }} {{ '%s' % missing }}
{{ '%s %s' % 'a' }}
{{ '%d' % 'a' }}
{{ 'a' % 1 }}
{{ '{} {}'.format('a', 1) }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}-{y:>5}|{y:<5}|{y:^5}'.format(x=1, y='ab') }} {{ '{:05.1f} {:,} {:x} {:+d}'.format(3.14159, 1234567, 255, 5) }} {{ '{{}} {!r}'.format('q') }} {{ '{0[a]} {0[b]}'.format(d) }} {{ '{:.2f}'.format(2) }} {{ '{:*^7}'.format('x') }}
{{ '{} {}'.format('a') }}
{{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ dict(d, z=9) }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}{% set j = joiner('|') %}{{ j() }}1{{ j() }}2
{{ strftime_now('%d %b %Y') }}
{{ [1, 2, 3][1:][0] }}{{ 'abc'.upper()[0] }}{{ d['a'] + d['b'] }}{{ (nums|sort)[0] }}{{ users[0]['tags'][-1] }}{{ users[0].address.city[0] }}
{{ {'a': 1, 'a': 2} }} {{ {1: 'x', true: 'y'} }} {{ {'a': 1,} }} {{ [1,] }}
{{ [[1, 2], [3, 4]]|map('first')|list }} {{ [[1, 2], [3, 4]]|map(attribute=1)|list }} {{ [{'a': 1}]|map(attribute='a')|first }}
{{ [3, 1]|sort|first ~ 'x' }} {{ not nums|length == 3 }} {{ 'a' ~ 'b'|upper }} {{ ('a' ~ 'b')|upper }} {{ 2 * 3|string }}
{{ nums|length > 2 and 'many' or 'few' }} {{ (nums|length) is odd }} {{ nums[nums|length - 1] }} {{ n is defined and n > 5 }}
{%- set x = [] -%}⏎{%- for i in range(3) -%}⏎ {%- set x = x + [i] -%}⏎{{ x }}⏎{%- endfor -%}
{% if yes %}⏎    indented {{ name }}⏎    {% for i in nums %}⏎      - {{ i }}⏎    {% endfor %}⏎{% endif %}⏎end
	{% if yes %}	tab{% endif %}	⏎	{% set x = 1 %}	⏎x
{% if yes %}{{ name }}⏎{% endif %}⏎⏎{% if yes %}⏎⏎b{% endif %}
{{ name }}   ⏎   {{ name }}⏎
a⏎{# c1 #}⏎{# c2 -#}⏎ b
{{"no space"}}{%if yes%}tight{%endif%}{%-if yes-%} x {%-endif-%}
{{ name⏎}}{% if⏎yes %}x{% endif %}
{% set x = {'a': [1, 2, {'b': 'c'}]} %}{{ x.a[2].b }}{{ x['a'][0] }}{{ x }}
{{ namespace(a=1).a }}{{ (namespace(a=1)).b }}
{{ loop }}{% for i in [1] %}{{ loop }}{% endfor %}
{% for i in [1,2,3] %}{{ loop.index is even }}{{ loop.nothing }}{% endfor %}
{% for i in [1,2,3] %}{% set _ = 1 %}{% endfor %}{{ _ }}{{ __x__ }}
{{ users | map(attribute='tags') | sum(start=[]) }}{{ users|map(attribute='age')|map('string')|join('+') }}
{% for u in users %}{% for t in u.tags %}{{ u.name }}:{{ t }}{{ ',' if not loop.last }}{% else %}none{% endfor %};{% endfor %}
{{ "a" if "b" in "abc" and not "z" in "abc" else "c" }}{{ 1 if 2 > 1 else 3 }}
{{ ["a", "b"] | join(", ") | upper | replace("A", "z") }}{{ "x" | default("y") | upper }}
{% set s = 'x' %}{% set s = s ~ 'y' %}{% set s = s + 'z' %}{{ s }}{{ s == 'xyz' }}
{{ 'a' is in ['a'] }}{{ 'a' is not in 'abc' }}{{ 5 is not none }}{{ 5 is not string and 5 is number }}
{{ (1, 'a', none) }}{{ [(1, 2)] }}{{ {'k': (1,)} }}{{ [[]] }}{{ [{}] }}
{{ 10 ** 18 }} {{ 9223372036854775807 }} {{ -9223372036854775807 }} {{ 4611686018427387904 + 4611686018427387903 }}
{{ 3.0 == 3 }} {{ 3.7 // 1 }} {{ 1e3|int }} {{ 10 / 4 }} {{ 10 // 4 }} {{ 10.0 // 4 }} {{ 2.0 ** 3 }} {{ 5 % 2.5 }}
""")

# The template language, part by part; what fails in Jinja2 must fail here too.
SNIPPETS += _lines(r"""
{% filter length %}ab{% endfilter %}
{% macro m() %}x{% endmacro %}{% call cycler(1, 2).next() %}x{% endcall %}
{% for i in [1] %}{{ name }}{% endfor %}{% set name = 'later' %}{{ name }}
{% for i in [1] %}{{ name }}{% set name = 'later' %}{{ name }}{% endfor %}{{ name }}
{% set name %}[{{ name }}]{% endset %}{{ name }}
{{ name }}{% set name %}[{{ name }}]{% endset %}{{ name }}
{% if no %}{% set name = 1 %}{% else %}{% set n = 2 %}{% endif %}{{ name }}{{ n }}
{% for i in [1, 2] %}{% if i == 1 %}{% set name = i %}{% endif %}{{ name }};{% endfor %}
{% macro m() %}{{ name }}{% endmacro %}{{ m() }}{% set name = 'later' %}{{ m() }}
{% macro m(name=name) %}{{ name }}{% endmacro %}{{ m() }}{{ m(1) }}
{% with name = 'w' %}{{ name }}{% set name = 'v' %}{{ name }}{% endwith %}{{ name }}
{% with x = name %}{% set name = 'v' %}{{ x }}{{ name }}{% endwith %}{{ name }}
{% filter upper %}{{ name }}{% set name = 'v' %}{{ name }}{% endfilter %}{{ name }}
{% set a = name %}{% for i in [1] %}{% for j in [1] %}{{ name }}{% endfor %}{% set name = 'q' %}{{ name }}{% endfor %}
{% for i in [1] %}{% for j in [1] %}{{ name }}|{% endfor %}{% set name = 'q' %}{{ name }}{% endfor %}
{% set ns = namespace(v=0) %}{% macro bump() %}{% set ns.v = ns.v + 1 %}{{ ns.v }}{% endmacro %}{{ bump() }}{{ bump() }}{{ ns.v }}
{% generation %}{{ name }}{% set name = 1 %}{% endgeneration %}{{ name }}
{% for m in [1] %}{% generation %}{{ m }}{% endgeneration %}{% endfor %}
{% for k, v in [(1, 2), 'ab'] if v %}{{ loop.nextitem }}{{ k }}{% endfor %}
{% for k, v in [(1, 2), 'ab'] %}{{ loop.nextitem }}{{ k }}{% endfor %}
{% for i in nums|sort(reverse=true) %}{{ i }}{% endfor %}{{ nums|sort(reverse=1) }}
{{ nums|sort(reverse='x') }}
{{ nums|sort(reverse=none) }}
{{ d|dictsort(reverse='x') }}
{{ 'x'|upper(1) }}
{{ 'x'|replace('x') }}
{{ 'x'|tojson(foo=1) }}
{{ 'x'|indent(2, width=3) }}
{{ 'x'|trim('a', 'b') }}
{{ nums|join(',', attribute=none) }} {{ nums|join(d='+') }} {{ users|join(', ', attribute='name') }} {{ users|join('', 'age') }}
{{ 'x'.upper(1) }}
{{ 'x'.split(sep='x', maxsplit=1) }} {{ 'a b'.split(maxsplit=0) }} {{ 'a\nb'.splitlines(keepends=true) }}
{{ 'x'.split(foo=1) }}
{{ 'x'.replace('x') }}
{{ 'x'.strip(chars='x') }}
{{ 5 is odd(1) }}
{{ 5 is divisibleby }}
{{ nums is filter }}
{{ nums is test }}
{{ 'upper' is filter }} {{ 'odd' is test }} {{ 'nope' is filter }} {{ 'tojson' is filter }} {{ 5 is filter }} {{ none is test }}
{{ nothing[1:] }}
{{ d[1:] }}
{{ missing[1:] }}
{{ range(10)[2:8:2] }} {{ range(10)[::-1] }} {{ range(5)[-2:] }} {{ range(0)[:3] }} {{ range(3)[1:] | list }}
{{ [1] + range(2) }}
{{ range(3) == range(0, 3) }} {{ range(3) == [0, 1, 2] }} {{ 2 in range(3) }} {{ 5 in range(3) }} {{ range(4)|sum }} {{ range(4)|last }}
{{ range(1, 2, 0) }}
{{ range(100001)|length }}
{{ range(100000)|length }}
{{ range('3') }}
{{ range(2.0) }}
{{ '{:>8}|{:<8}|{:^8}|{:=8}'.format('a', 'b', 'c', 5) }}
{{ '{:*^9}|{:한>4}|{:0>4}|{:05}|{:05}'.format('mid', 'x', 7, 'ab', -3) }}
{{ '{:+}|{: }|{:-}|{:+.1f}|{: .1f}'.format(5, 5, 5, 2.25, 2.25) }}
{{ '{:,}|{:_}|{:,.2f}|{:010,}|{:_x}|{:_b}'.format(1234567, 1234567, 1234567.891, 1234, 255255, 1000) }}
{{ '{:x}|{:X}|{:#x}|{:#X}|{:o}|{:#o}|{:b}|{:#b}|{:#010x}|{:c}'.format(255, 255, 255, 255, 8, 8, 5, 5, 255, 65) }}
{{ '{:e}|{:.2e}|{:E}|{:g}|{:.3g}|{:G}|{:%}|{:.1%}|{:n}'.format(1234.5, 1234.5, 1234.5, 1234.5, 1234.5, 1e20, 0.25, 0.256, 12) }}
{{ '{:.2}|{:.3}|{:.5}|{:.1}|{:.10}|{:5.1}|{:.2}'.format(2.675, 25.0, 100.0, 5.0, 0.1, 2.0, 1e10) }}
{{ '{:.2}|{:5.1}|{:<5.3}|'.format('abc', 'xyz', 'pqrst') }}
{{ '{!r}|{!s}|{!a}|{!r:>8}'.format('é', 'é', 'é', 'x') }}
{{ '{:{}}|{:{w}.{p}f}|{0!r:{1}}'.format('a', 5, 2.5, w=8, p=3) }}
{{ '{:{}}|{:>{w}}'.format('a', 5, 'b', w=4) }}
{{ '{a}{b}{a}'.format(a=1, b=2) }} {{ '{0[0]}{0[1]}'.format([1, 2]) }} {{ '{0.a}'.format(d) }} {{ '{u[name]}'.format(u=users[0]) }}
{{ '{}{{}}{}'.format(1, 2) }} {{ '{{'.format() }} {{ '}}'.format() }}
{{ '{}{0}'.format(1) }}
{{ '{0}{}'.format(1) }}
{{ '{'.format(1) }}
{{ '}'.format(1) }}
{{ '{a'.format(a=1) }}
{{ '{a}'.format(1) }}
{{ '{:d}'.format('x') }}
{{ '{:d}'.format(1.5) }}
{{ '{:s}'.format(5) }}
{{ '{:+}'.format('x') }}
{{ '{:#}'.format('x') }}
{{ '{:,}'.format('x') }}
{{ '{:=5}'.format('x') }}
{{ '{:.2d}'.format(5) }}
{{ '{:5}'.format(none) }}
{{ '{:5}'.format([1]) }}
{{ '{:5}'.format(missing) }}
{{ '{}{}{}'.format(none, [1], missing) }}
{{ '{:q}'.format(5) }}
{{ '{:5.}'.format(5.0) }}
{{ '{:,x}'.format(5) }}
{{ '{!x}'.format(5) }}
{{ '{:>5}|{:d}|{:x}|{}|{:+}'.format(true, true, true, true, false) }}
{{ '{:.3f}|{:f}|{:8.2f}|{:<8.2f}|{:08.2f}|{:+08.2f}'.format(3.14159, 2, 2.5, 2.5, 2.5, 2.5) }}
{% set i = name.replace('World', 'inf')|float %}{{ '{:f}|{:e}|{:05}|{:%}'.format(i, -i, i, i) }}
{{ '{0.__class__}'.format(name) }}|
{{ '{a.b}'.format_map({'a': {'b': 3}}) }}
{{ '%5s|%-5s|%05d|%+d|% d|%x|%#x|%#o|%X|%c|%%' % ('ab', 'ab', 42, 42, 42, 255, 255, 8, 255, 'z') }}
{{ '%e|%.1e|%E|%g|%.3g|%G|%f|%.0f|%5.1f|%-8.2f|%08.2f' % (1234.5, 1234.5, 1234.5, 1234.5, 1234.5, 1e-10, 1.5, 2.5, 2.25, 2.5, -2.5) }}
{{ '%r %a %s' % ('é', 'é', 'é') }} {{ '%*d|%-*d|%.*f' % (5, 42, 5, 42, 2, 3.14159) }} {{ '%.3d' % 5 }} {{ '%i %u' % (3, 4) }}
{{ '%(a)5d|%(b)s|%(a)%' % {'a': 1, 'b': 'x'} }}
{{ '%d' % 3.99 }} {{ '%d' % true }} {{ '%s' % true }} {{ '%s' % 1e16 }} {{ '%s' % [1, 'a'] }} {{ '%s' % (none,) }}
{{ '%d %d' % (1,) }}
{{ '%d' % (1, 2) }}
{{ '%d' % none }}
{{ '%x' % 1.5 }}
{{ '%c' % 'ab' }}
{{ '%' % 1 }}
{{ '%q' % 1 }}
{{ '%(a)s' % 1 }}
{{ '%(zz)s' % d }}
{{ '%s' % d }} {{ 'x' % d }} {{ 'x' % nums }} {{ '%s' % missing }}
{{ 'ﬁ ß ŉ ǆ ΐ'|upper }} {{ 'İI'|lower }} {{ 'ΑΣ ΣΑ Σ ΑΣ.'|lower }} {{ 'ǆ ﬁn ßa'|title }} {{ 'ﬁN ǆX'|capitalize }} {{ 'ßA'.swapcase() }} {{ 'Straße ΣΙΣ'.casefold() }}
{{ 'ǆx ßx'.title() }} {{ 'ǅ'.istitle() }} {{ 'ǅ'.isupper() }} {{ 'Ⅷ'.isupper() }} {{ 'ª'.islower() }} {{ 'x1y'.title() }} {{ "o'neil-SMITH x"|title }} {{ "o'neil-SMITH x".title() }}
{{ '²'.isdigit() }} {{ '½'.isnumeric() }} {{ '一'.isnumeric() }} {{ '²'.isdecimal() }} {{ '٣'.isdecimal() }} {{ '½a'.isalnum() }} {{ '①'.isdigit() }} {{ 'Ⅷ'.isnumeric() }} {{ '한'.isalpha() }} {{ '́'.isalpha() }} {{ ''.isascii() }} {{ 'é'.isprintable() }} {{ '​'.isprintable() }}
{{ 'long text here to wrap around'|wordwrap(10) }}
{{ 'a verylongwordindeed b'|wordwrap(6) }}|{{ 'a verylongwordindeed b'|wordwrap(6, false) }}|{{ 'well-known multi-part-word x'|wordwrap(8) }}|{{ 'well-known multi-part'|wordwrap(8, true, '/', false) }}
{{ 'one -- two---three'|wordwrap(5) }}|{{ 'a⏎⏎b c d e'|wordwrap(3) }}|{{ ''|wordwrap(3) }}|{{ '한국어 문장 나누기'|wordwrap(4) }}
{{ 5|wordwrap(3) }}
{{ 'x'|wordwrap(0) }}
{{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 13000|filesizeformat }} {{ 4100000|filesizeformat }} {{ 1024|filesizeformat(true) }} {{ 1e30|filesizeformat }} {{ '2048'|filesizeformat(binary=true) }}
{{ {'class': 'my list', 'missing': none, 'id': 'l-1', 'u': missing, 'q': '"<'}|xmlattr }}|{{ {'a': 1}|xmlattr(false) }}|{{ {}|xmlattr }}
{{ {'a b': 1}|xmlattr }}
{{ 5|xmlattr }}
{{ 25|round(-1) }} {{ 35|round(-1) }} {{ -25|round(-1) }} {{ 15|round(-1) }} {{ 1234567|round(-3) }} {{ 2.5|round }} {{ 3.5|round }} {{ -2.5|round }} {{ 2.675|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ -0.3|round(0, 'ceil') }} {{ 2.19|round(1, 'floor') }} {{ 5|round(2) }} {{ 5|round(1, 'ceil') }}
{{ 'x'|round }}
{{ 2.5|round(1, 'up') }}
{{ '42'|int }} {{ ' 42 '|int }} {{ '4_2'|int }} {{ '42.7'|int }} {{ 'abc'|int }} {{ 'abc'|int(7) }} {{ '0x1F'|int(0, 16) }} {{ '1f'|int(base=16) }} {{ '0b11'|int(0, 2) }} {{ '-0o17'|int(0, 8) }} {{ none|int }} {{ [1]|int(3) }} {{ true|int }} {{ 1.9|int }} {{ -1.9|int }} {{ '1e3'|int }} {{ ''|int }} {{ '+5'|int }} {{ '--5'|int }}
{{ '4.5'|float }} {{ ' 4.5 '|float }} {{ '1e3'|float }} {{ '1_0.5'|float }} {{ '_1'|float }} {{ 'inf'|float }} {{ '-Infinity'|float }} {{ 'nan'|float }} {{ 'x'|float(1.5) }} {{ none|float }} {{ 3|float }} {{ true|float }} {{ '.5'|float }} {{ '5.'|float }} {{ '1e999'|float }}
{{ 'inf'|float|int }}
{{ 'nan'|float|int }}
{{ missing|int }}
{{ -5|abs }} {{ (-5)|abs }} {{ -5.5|abs }} {{ true|abs }} {{ 'x'|abs is string }}
{{ 007 }}
{{ 00 }} {{ 0 }} {{ 0.5 }} {{ 1.5e3 }} {{ 1e-3 }} {{ 0x_ff }} {{ 0b1_0 }} {{ 0O17 }}
{{ 12abc }}
{{ 1__0 }}
{{ "\x4" }}
{{ "\u12" }}
{{ '\400' }} {{ '\0' is string }} {{ 'a\
b' }} {{ '\'"' }} {{ "\"'" }} {{ '\/\d\.' }}
{{ 'abc' 'def' "ghi" }} {{ ('a' 'b')|upper }}
{{ [1, 2, 3,] }} {{ (1,) }} {{ {'a': 1,} }} {{ [] }} {{ () }} {{ {} }} {{ [(1, 2), [3]] }}
{{ [1 2] }}
{{ {1 2} }}
{{ (1 }}
{{ 1) }}
{{ [1) }}
{{ a. }}
{{ a b }}
{{ | upper }}
{{ x | }}
{{ x is }}
{{ x is not }}
{{ 1 + }}
{{ if }}
{{ }}
{% %}
{% if %}x{% endif %}
{% if yes %}x
{% if yes %}x{% endfor %}
{% else %}
{% endif %}
{% for %}x{% endfor %}
{% for x nums %}x{% endfor %}
{% for x.y in nums %}x{% endfor %}
{% for 1 in nums %}x{% endfor %}
{% set 1 = 2 %}
{% set x %}
{% set none = 2 %}
{% set true = 2 %}
{% set x, = 1, %}{{ x }}
{% set x, y = 1 %}{{ x }}
{% set x, y = 'ab' %}{{ x }}{{ y }}
{% set x = 1, 2, 3 %}{{ x }}
{% set x = 1 if no %}{{ x }}|
{% set d.a = 5 %}
{% set d['a'] = 5 %}
{% macro %}{% endmacro %}
{% macro m %}{% endmacro %}
{% macro m(a, a) %}{{ a }}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{% macro m(1) %}{% endmacro %}
{% call m() %}{% endcall %}
{% call m %}{% endcall %}
{% break %}
{% for i in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}
{% nope %}
{% endnope %}
{% include 'x' %}
{% import 'x' as y %}
{% from 'x' import y %}
{% extends 'x' %}
{% do nums %}
{% raw %}{{ x }}
{# not closed
{{ 'not closed
{{ name
{% if yes
{{ x|nofilter }}
{{ x is notest }}
{{ nofunction(1) }}
{{ name() }}
{{ 5() }}
{{ nums.append(4) }}
{{ d.update({}) }}
{{ d.pop('a') }}
{{ d.setdefault('zz', 1) }}
{{ nums.sort() }}
{{ nums.pop() }}
{{ ''.__class__ }}|{{ ''.__class__.__mro__ }}
{{ [].__class__ }}|{{ d.__len__ }}|{{ range.__globals__ }}|{{ name.__add__ }}
{{ ''.__class__.__mro__[1] }}
{{ cycler.__init__.__globals__ }}
{{ name['__class__'] }}|{{ d['__class__'] }}|{{ name|attr('__class__') }}|
{{ [1]|map(attribute='__class__')|list }}
{{ raise_exception('boom') }}
{{ raise_exception() }}
{% if no %}{{ raise_exception('never') }}{% endif %}ok
{{ (yes and name) ~ (no or 'x') }} {{ not not yes }} {{ not (yes and no) }} {{ yes and not no or no }} {{ no or none }} {{ 0 and 1 }}
{{ 1 if yes }} {{ [1 if no] }} {{ (1 if no) is defined }} {{ (1 if no else 2) + 3 }} {{ 1 if yes else 2 if yes else 3 }} {{ (1 if no else 2) if yes else 3 }}
{{ 1 < 2 == true }} {{ 1 == 1 in [1] }} {{ 3 > 2 > 1 }} {{ 1 < 3 > 2 != 5 }} {{ not 1 == 2 }} {{ 'a' in 'abc' in ['abc'] }} {{ 1 not in [2] }}
{{ nums == [3, 1, 2] }} {{ (1, 2) == (1, 2.0) }} {{ d == {'a': 1, 'C': 3, 'b': 2} }} {{ d == {} }} {{ none == none }} {{ missing == missing2 }} {{ missing == none }} {{ 'a' == 1 }} {{ 1 != 1.0 }} {{ [none] == [none] }} {{ true == 1 }} {{ 'é' == 'e\u0301' }}
{{ [1, 2] < [1, 2, 3] }} {{ [2] > [1, 5] }} {{ (1, 'a') < (1, 'b') }} {{ 'abc' < 'abd' }} {{ '한' > 'z' }} {{ 1 < 1.5 }} {{ true < 2 }} {{ [[1]] < [[2]] }}
{{ [1] < ['a'] }}
{{ d < d }}
{{ none < 1 }}
{{ [1] < (1,) }}
{{ 'a' < 1 }}
{{ 5 in 5 }}
{{ 5 in 'abc' }}
{{ nums in d }}
{{ none in nothing }}
{{ 'a' in missing }} {{ 1 in {1: 2} }} {{ (1, 2) in {(1, 2): 3} }} {{ 1.0 in {1: 2} }} {{ true in [1] }} {{ 'a' in d.keys() }} {{ 2 in d.values() }} {{ ('a', 1) in d.items() }}
{{ {1: 'a', 1.0: 'b', true: 'c'} }} {{ {(1, 2): 3}[(1, 2)] }} {{ {none: 1}[none] }} {{ {1: 2}[1.0] }} {{ {'1': 2}[1] }}
{{ {[1]: 2} }}
{{ {d: 2} }}
{{ -2 ** 2 }} {{ 2 ** -2 }} {{ (-8) ** 2 }} {{ 2 ** 62 }} {{ 0 ** 0 }} {{ 4 ** 0.5 }} {{ -7 // 2 }} {{ 7 // -2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e308 * 10 }} {{ 5 / 2 }} {{ 4 / 2 }} {{ 1 - -1 }} {{ 1 - - 1 }} {{ +5 - +3 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 / 0 }}
{{ 0 ** -1 }}
{{ 'a' - 'b' }}
{{ 'a' * 'b' }}
{{ nums - [1] }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + (2,) }}
{{ d + d }}
{{ none + 1 }}
{{ -'a' }}
{{ +none }}
{{ 'ab' * 0 }}|{{ 'ab' * -1 }}|{{ 3 * 'ab' }}|{{ [0] * 3 }}|{{ (1,) * 2 }}|{{ 'x' * true }}|{{ 2 * [1, 2] }}
{{ 'a' * 1.5 }}
{{ 1 ~ 'a' ~ none ~ 1.0 ~ true ~ [1] ~ missing }} {{ 'a' ~ 1 + 2 }} {{ 1 ~ 2 * 3 }}
{{ 0.1 + 0.2 }} {{ 1e16 }} {{ 123456789012345680.0 }} {{ 1e22 }} {{ 1e-5 }} {{ 0.00001234 }} {{ 100000000000000000000.0 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }} {{ 2.0 }} {{ -0.0 }} {{ 1/3 }} {{ 'inf'|float }} {{ 'inf'|float - 'inf'|float }}
{{ [1, 2, 3][-1] }} {{ [1, 2, 3][3] }} {{ [1, 2, 3]['x'] }} {{ 'abc'[-1] }} {{ 'abc'[5] }} {{ (1, 2)[1] }} {{ d['a'] }} {{ d[1] }} {{ nums[true] }} {{ nums[1.0] }} {{ nums['0'] }} {{ nums[none] }}|
{{ 'abcdef'[1:-1:2] }} {{ 'abcdef'[::-2] }} {{ 'abcdef'[10:] }} {{ 'abcdef'[-3:] }} {{ nums[none:none] }} {{ nums[:] }} {{ nums[1:1] }} {{ nums[-1:0:-1] }} {{ (1, 2, 3)[::-1] }} {{ '한국어'[::-1] }} {{ '한국어'[1:2] }}
{{ 'abc'[::0] }}
{{ name['a':] }}
{{ name[1.0:] }}
{{ n[1:] }}
{{ nums[missing:] }}
{{ nums[0, 1] }}|
{{ 'abc'.0 }} {{ nested.1.1.0 }} {{ nested[1][1][0] }} {{ users.0.tags.1 }} {{ users[0]['address'].city }} {{ users.5 }}|
{{ d.get('a', 0) }} {{ d.get('zz', 0) }} {{ d.get('zz') }} {{ d.get(1) }} {{ d.get(('a', 'b'), 'x') }}
{{ d.get() }}
{{ d.get([1]) }}
{{ d.get('a', 'b', 'c') }}
{{ d.keys()|list }} {{ d.values()|list }} {{ d.items()|list }} {{ d|list }} {{ d|length }} {{ d.keys()|length }} {{ d.keys()|first }} {{ d.items()|first }} {{ d.values()|sum }} {{ d|first }} {{ d|last }} {{ d|join(',') }}
{{ d.keys()[0] }}|
{{ nums.count(1) }} {{ nums.index(1) }} {{ (3, 1, 3).count(3) }} {{ (3, 1).index(1) }} {{ nums.copy() == nums }}
{{ nums.index(99) }}
{{ nums.zzz }}|{{ nums.zzz is defined }}
{{ nums.zzz() }}
{{ ' a b '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'xyaxy'.lstrip('yx') }}|{{ 'aab'.rstrip('b') }}|{{ '　 a'.strip() }}|{{ 'a'.strip(none) }}|{{ 'abc'.strip('') }}
{{ 'a'.strip(1) }}
{{ 'a,b,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b '.split() }} {{ ' a  b '.split(' ') }} {{ 'a b c'.split(none, 1) }} {{ 'a b c'.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'abab'.split('ab') }} {{ 'a,b'.split(',', -1) }} {{ 'a,b'.split(',', 0) }} {{ ' a b '.split(none, 0) }}
{{ 'a'.split('') }}
{{ 'a'.split(1) }}
{{ 'aXbXc'.partition('X') }} {{ 'aXbXc'.rpartition('X') }} {{ 'abc'.partition('X') }} {{ 'abc'.rpartition('X') }}
{{ 'abc'.partition('') }}
{{ 'hello'.replace('l', 'L') }} {{ 'hello'.replace('l', 'L', 1) }} {{ 'hello'.replace('', '-') }} {{ 'hello'.replace('', '-', 2) }} {{ 'hello'.replace('x', 'y') }} {{ 'aaa'.replace('aa', 'b') }} {{ ''.replace('', 'x') }} {{ 'hello'.replace('l', '') }} {{ 'a'.replace('a', 'b', 0) }} {{ '한글'.replace('', '.') }}
{{ 'hello'.replace(1, 'x') }}
{{ 'hello'.find('l', 3) }} {{ 'hello'.find('l', 0, 2) }} {{ 'hello'.find('') }} {{ 'hello'.find('', 5) }} {{ 'hello'.find('', 6) }} {{ 'hello'.rfind('l', 0, 3) }} {{ 'hello'.find('o', -1) }} {{ 'hello'.count('l', 3) }} {{ 'hello'.count('', 2) }} {{ 'hello'.index('l', 3) }} {{ '한국한국'.rfind('한') }} {{ 'hello'.find('l', none, none) }}
{{ 'hello'.rindex('z') }}
{{ 'hello'.startswith('he', 0, 1) }} {{ 'hello'.startswith('') }} {{ 'hello'.startswith('', 5) }} {{ 'hello'.startswith('', 6) }} {{ 'hello'.startswith(()) }} {{ 'hello'.endswith('lo', -2) }} {{ 'hello'.endswith(('a', 'o')) }} {{ 'hello'.startswith(('h', 'x'), 1) }}
{{ 'hello'.startswith(['h']) }}
{{ 'hello'.startswith(('h', 1)) }}
{{ 'hello'.endswith() }}
{{ 'ab'.center(5) }}|{{ 'ab'.center(5, '*') }}|{{ 'abc'.center(6, '*') }}|{{ 'ab'.ljust(4, '-') }}|{{ 'ab'.rjust(4, '-') }}|{{ 'ab'.zfill(5) }}|{{ '+ab'.zfill(5) }}|{{ 'ab'.ljust(1) }}|{{ '한'.center(4, '글') }}
{{ 'ab'.center(5, '**') }}
{{ 'ab'.center('5') }}
{{ 'a\tb\t\tc'.expandtabs() }}|{{ 'a\tb'.expandtabs(0) }}|{{ '\t한\tx'.expandtabs(4) }}|{{ 'ab\ncd\te'.expandtabs(tabsize=3) }}
{{ ', '.join(['a', 'b']) }} {{ ''.join('abc') }} {{ '-'.join(d) }} {{ '-'.join(()) }} {{ '+'.join(words|sort) }} {{ '/'.join(d.keys()) }}
{{ ', '.join(5) }}
{{ 'abc'.removeprefix('ab') }} {{ 'abc'.removeprefix('x') }} {{ 'abc'.removesuffix('bc') }} {{ 'abc'.removesuffix('') }}
{{ 'a\x0bb\x0cc\x1cd\x85e\u2028f'.splitlines() }} {{ 'a\r\nb\rc\n\n'.splitlines() }} {{ ''.splitlines() }} {{ '\n'.splitlines() }} {{ 'a\r\nb'.splitlines(true) }}
{{ 'Hello World'.swapcase() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'hello world'.title() }} {{ ''.capitalize() }} {{ '123abc'.capitalize() }} {{ '123abc def'.title() }}
{{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ words|sort(true) }} {{ users|sort(attribute='age')|map(attribute='name')|list }} {{ users|sort(attribute='age,name')|map(attribute='name')|list }} {{ users|sort(attribute='name', reverse=true)|map(attribute='name')|list }} {{ [3, 1.5, true]|sort }} {{ 'hello'|sort }} {{ d|sort }}
{{ [1, 'a']|sort }}
{{ [none, 1]|sort }}
{{ [d, d]|sort }}
{{ 5|sort }}
{{ users|sort(attribute='nope') }}
{{ [1, 1.0, true, 2, 'a', 'A']|unique|list }} {{ words|unique|list }} {{ words|unique(true)|list }} {{ users|unique(attribute='age')|map(attribute='name')|list }} {{ [none, none]|unique|list }}
{{ [[1]]|unique|list }}
{{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }} {{ []|batch(3)|list }} {{ [1, 2, 3, 4, 5]|slice(3)|list }} {{ [1, 2, 3, 4]|slice(3, 'x')|list }} {{ 'abcde'|batch(2)|list }} {{ [1]|slice(3)|list }}
{{ users|groupby('age')|list }}
{% for age, group in users|groupby('age') %}{{ age }}:{% for u in group %}{{ u.name }}{% endfor %};{% endfor %}{% for g in users|groupby('address.city') %}{{ g.grouper }}={{ g.list|length }};{% endfor %}
{% for g in users|groupby('nope', default='none') %}{{ g.grouper }}={{ g.list|length }}{% endfor %}{% for g in users|groupby('address.city', case_sensitive=true) %}{{ g.grouper }};{% endfor %}
{{ nums|map('string')|list }} {{ words|map('upper')|list }} {{ words|map('replace', 'p', 'P')|list }} {{ users|map(attribute='name')|join('|') }} {{ users|map(attribute='nope', default='?')|list }} {{ users|map(attribute='tags.0')|list }} {{ ['1', '2']|map('int')|sum }} {{ []|map('upper')|list }} {{ [[1, 2], [3]]|map('sum')|list }} {{ [1.5, 2.5]|map('round', 0, 'floor')|list }} {{ ['a', 'b']|map('default', 'x')|list }}
{{ nums|map('nofilter')|list }}
{{ nums|map|list }}
{{ nums|map(attribute='x', foo=1)|list }}
{{ nums|select('odd')|list }} {{ nums|reject('odd')|list }} {{ nums|select|list }} {{ [0, 1, '', 'a', none]|select|list }} {{ [0, 1, '']|reject|list }} {{ nums|select('gt', 1)|list }} {{ nums|select('in', [1, 3])|list }} {{ nums|select('divisibleby', 3)|list }} {{ users|selectattr('tags')|map(attribute='name')|list }} {{ users|selectattr('age', 'gt', 26)|map(attribute='name')|list }} {{ users|rejectattr('age', 'eq', 30)|map(attribute='name')|list }} {{ users|selectattr('name', 'in', ['ann', 'cid'])|list|length }} {{ users|selectattr('nope', 'undefined')|list|length }} {{ users|selectattr('address.city', 'equalto', 'Seoul')|list|length }}
{{ nums|select('notest')|list }}
{{ nums|selectattr|list }}
{{ nums|selectattr('x', 'odd')|list }}
{{ nums|min }} {{ nums|max }} {{ words|min }} {{ words|max }} {{ words|max(true) }} {{ users|min(attribute='age') == users[1] }} {{ []|min }}| {{ 'hello'|max }} {{ [1, 2.5]|max }} {{ nums|sum }} {{ users|sum('age') }} {{ users|sum(attribute='age', start=100) }} {{ [[1], [2]]|sum(start=[]) }} {{ [0.1, 0.2, 0.3]|sum }} {{ []|sum }} {{ [true, true]|sum }}
{{ [1, 'a']|max }}
{{ ['a']|sum }}
{{ [1, none]|sum }}
{{ nums|first }} {{ nums|last }} {{ []|first }}| {{ []|last }}| {{ 'abc'|first }} {{ 'abc'|last }} {{ '한국'|last }} {{ d|first }} {{ range(5)|last }} {{ nums|map('abs')|first }} {{ nums|reverse|list }} {{ 'abc'|reverse }} {{ d|reverse|list }} {{ (1, 2)|reverse|list }} {{ nums|length }} {{ 'abc'|count }} {{ '한'|length }}
{{ nums|map('abs')|last }}
{{ 5|first }}
{{ 5|length }}
{{ none|length }}
{{ none|list }}
{{ none|join }}
{{ 5|reverse }}
{{ 'x'|default('y') }} {{ missing|default('y') }} {{ missing|d }}| {{ ''|default('y') }} {{ ''|default('y', true) }} {{ none|default('y') }} {{ none|default('y', boolean=true) }} {{ missing.x|default('y') is defined }}
{{ d.missing|default('y') }} {{ d.missing.deep|default('y') }}
{{ 0|default(5, true) }} {{ []|d([1], true) }} {{ missing|default(missing2) }}| {{ missing|default(default_value=3) }}
{{ d|items|list }} {{ {}|items|list }} {{ missing|items|list }} {{ d|dictsort }} {{ d|dictsort(true) }} {{ d|dictsort(by='value') }} {{ d|dictsort(false, 'value', true) }} {{ d|dictsort(reverse=true) }}
{{ nums|items|list }}
{{ d|dictsort(by='x') }}
{{ {1: 2, 'a': 3}|dictsort }}
{{ nums|dictsort }}
{{ 'a b'|urlencode }} {{ '/path?x=1&y=é'|urlencode }} {{ {'a': 'b c', 'd': 1}|urlencode }} {{ [('a', 1), ('b', '&')]|urlencode }} {{ 5|urlencode }} {{ none|urlencode }} {{ ''|urlencode }} {{ '~-._'|urlencode }}
{{ 'one two_three four-five'|wordcount }} {{ ''|wordcount }} {{ 5|wordcount }} {{ '한국어 단어'|wordcount }} {{ 'hello'|center(11) }}| {{ 'hello'|center(width=3) }} {{ 5|center(3) }}
{{ '<p>a  <b>b</b>\n c</p><!-- x --> &amp; &lt;'|striptags }} {{ 'a < b > c'|striptags }} {{ 5|striptags }} {{ '<!-- <b> -->x'|striptags }}
{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(9, false, '!') }} {{ 'foo bar baz qux'|truncate(9, leeway=0) }} {{ 'foobarbaz'|truncate(5, leeway=0) }} {{ '한국어 문장 자르기'|truncate(6, leeway=0) }} {{ [1, 2]|truncate(5) }}
{{ 'abc'|truncate(2) }}
{{ 'abcdefghijkl'|truncate(2, leeway=0) }}
{{ 'a\nb\n\nc'|indent }}| {{ 'a\nb'|indent(2) }}| {{ 'a\nb'|indent(2, true) }}| {{ 'a\n\nb'|indent(2, blank=true) }}| {{ 'a\nb'|indent('> ') }}| {{ 'a\nb\n'|indent(1, first=true) }}| {{ ''|indent }}| {{ 'a'|indent(0) }}
{{ 5|indent }}
{{ '  x '|trim }}| {{ 'xxaxx'|trim('x') }} {{ 5|trim }} {{ none|trim }} {{ missing|trim }}| {{ 'abc'|replace('b', 'X') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 5|replace('5', '6') }} {{ 'abc'|replace('', '-') }} {{ 'aaa'|replace('a', 'b', count=1) }} {{ 'x'|replace(old='x', new='y') }}
{{ 'HeLLo'|lower }} {{ 'HeLLo'|upper }} {{ 'heLLo woRLD'|title }} {{ 'heLLo'|capitalize }} {{ 5|upper }} {{ none|lower }} {{ missing|upper }}| {{ true|lower }} {{ [1, 'A']|lower }}
{{ '<>&"\''|escape }} {{ '<'|e|e }} {{ '<'|e|forceescape }} {{ '<'|safe }} {{ ('<'|safe) ~ '<' }} {{ ('<'|safe) + '<' }} {{ ['<'|safe] }} {{ ('<b>'|safe)|upper }} {{ ('<'|safe) is escaped }} {{ '<' is escaped }} {{ ('%s'|safe) % '<' }} {{ ('<'|e)|length }} {{ 5|e }} {{ none|e }} {{ ['a<'|e, 'b']|join('<') }}
{{ d|tojson }} {{ nums|tojson }} {{ 'é한"\\/<>&\'\n\t\x00\x7f\u2028😀'|tojson }} {{ none|tojson }} {{ true|tojson }} {{ 1.0|tojson }} {{ 1e16|tojson }} {{ 1e-7|tojson }} {{ (1, 2)|tojson }} {{ {}|tojson }} {{ []|tojson }} {{ [[]]|tojson }} {{ {'a': {}}|tojson }}
{{ 'é한😀\x7f'|tojson(ensure_ascii=true) }} {{ d|tojson(indent=2) }} {{ [1, [2, {'a': []}]]|tojson(indent=1) }} {{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ d|tojson(indent=0) }} {{ d|tojson(indent='--') }} {{ [1]|tojson(indent=-1) }} {{ d|tojson(indent=2, separators=(',', ':'), sort_keys=true) }} {{ [1, 2]|tojson(none, 2) }} {{ d|tojson(indent=none) }} {{ d|tojson(indent=true) }}
{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }} {{ {1: 2, 0: 1}|tojson(sort_keys=true) }} {{ 'x'|safe|tojson }} {{ 'inf'|float|tojson }} {{ ['nan'|float]|tojson }}
{{ {(1, 2): 3}|tojson }}
{{ {1: 2, 'a': 3}|tojson(sort_keys=true) }}
{{ missing|tojson }}
{{ [missing]|tojson }}
{{ range(3)|tojson }}
{{ d.items()|tojson }}
{{ nums|map('abs')|tojson }}
{{ namespace(a=1)|tojson }}
{{ 'x'|attr('upper')() }} {{ d|attr('a') }}| {{ d|attr('get')('a') }} {{ 'x'|attr('nope') }}| {{ 'abc'|attr('__len__') }}|
{{ missing|attr('x') }}
{{ 5 is number }} {{ true is number }} {{ true is integer }} {{ 5 is integer }} {{ 5.0 is float }} {{ 5 is float }} {{ '5' is number }} {{ true is boolean }} {{ 1 is boolean }} {{ none is none }} {{ missing is none }} {{ 'x' is string }} {{ ('x'|safe) is string }} {{ d is mapping }} {{ nums is mapping }} {{ 'x' is iterable }} {{ 5 is iterable }} {{ d is iterable }} {{ missing is iterable }} {{ none is iterable }} {{ 'x' is sequence }} {{ d is sequence }} {{ (1,) is sequence }} {{ range(3) is sequence }} {{ 5 is sequence }} {{ nums|map('abs') is sequence }} {{ nums|map('abs') is iterable }} {{ d.keys() is sequence }} {{ range is callable }} {{ 'x' is callable }} {{ 'x'.upper is callable }}
{{ 4 is even }} {{ 4 is odd }} {{ 4.0 is even }} {{ -3 is odd }} {{ true is odd }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 5 is eq 5 }} {{ 5 is equalto(5.0) }} {{ 5 is ne 6 }} {{ 5 is lt 6 }} {{ 5 is lessthan 4 }} {{ 5 is ge 5 }} {{ 5 is le 4 }} {{ 5 is gt 4 }} {{ 5 is greaterthan 4 }} {{ 'a' is in 'abc' }} {{ 5 is in [5] }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aB' is lower }} {{ '' is lower }} {{ 5 is upper }} {{ none is sameas none }} {{ 1 is sameas 1 }} {{ 1 is sameas true }} {{ nums is sameas nums }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }} {{ 5 is not odd }} {{ not 5 is odd }} {{ 5 is == 5 }}
{{ 'x' is odd }}
{{ none is even }}
{{ 6 is divisibleby 0 }}
{{ 5 is lt 'a' }}
{{ 5 is in 5 }}
{{ 5 is odd is even }}
{{ missing is defined }} {{ name is defined }} {{ d.a is defined }} {{ d.zz is defined }} {{ d['zz'] is not defined }} {{ nothing is defined }} {{ missing is undefined }} {{ (missing is defined) and missing.x }} {{ loop is defined }} {{ range is defined }} {{ nums[9] is defined }} {{ strftime_now is defined }} {{ raise_exception is defined }} {{ namespace is defined }}
{% for i in [1, 2, 3] %}{{ loop.index }}/{{ loop.length }}{{ loop.revindex }}{{ loop.cycle('a', 'b') }}{% if loop.first %}F{% endif %}{% if loop.last %}L{% endif %}{{ loop.previtem|default('-') }}{{ loop.nextitem|default('-') }} {% endfor %}
{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{{ loop.changed() }} {% endfor %}
{% for i in [] %}{{ loop.cycle() }}{% endfor %}{% for i in [1] %}{{ loop.cycle() }}{% endfor %}
{% for i in [1, [2, [3]]] recursive %}{% if i is iterable %}<{{ loop(i) }}>{% else %}{{ i }}@{{ loop.depth0 }}{% endif %}{% endfor %}
{% for i in [1] %}{{ loop([1]) }}{% endfor %}
{% for i in [1, 2] recursive %}{{ loop() }}{% endfor %}
{% for a in [1, 2] %}{% for b in 'xy' %}{{ loop.index }}{{ a }}{{ b }}{% endfor %}{{ loop.index }}{% endfor %}
{% for a in [1, 2] %}{% set outer = loop %}{% for b in 'xy' %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}
{% for i in nums if i != 1 %}{{ i }}{{ loop.index }}{% else %}none{% endfor %}{% for i in nums if i > 5 %}{{ i }}{% else %}none{% endfor %}
{% for i in nums if loop.index %}{{ i }}{% endfor %}
{% for i in range(3) recursive if i %}{{ i }}{% endfor %}
{% for i in 1, 2, 3 %}{{ i }}{% endfor %}{% for i in (1, 2) %}{{ i }}{% endfor %}{% for i, in [(1,), (2,)] %}{{ i }}{% endfor %}{% for i, j in {'a': 1}.items() %}{{ i }}{{ j }}{% endfor %}
{% for i in nums|map('string') %}{{ i }}{{ loop.last }}{{ loop.length }}{% endfor %}
{% set it = nums|map('string') %}{{ it|list }}{{ it|list }}
{% set it = nums|select %}{{ it|first }}{{ it|first }}{{ it|list }}
{% for i in range(5) %}{% if i == 3 %}{% break %}{% elif i == 1 %}{% continue %}{% endif %}{{ i }}{% else %}never{% endfor %}
{% for i in [1, 2] %}{% for j in [1, 2] %}{% continue %}{% endfor %}{{ i }}{% break %}{% endfor %}
{% macro a() %}{{ caller is defined }}{% endmacro %}{{ a() }}{% call a() %}x{% endcall %}
{% macro a() %}[{{ caller() }}]{% endmacro %}{% macro b() %}({% call a() %}{{ caller() }}{% endcall %}){% endmacro %}{% call b() %}in{% endcall %}
{% macro a() %}x{% endmacro %}{% call a() %}y{% endcall %}
{% macro a() %}{{ caller() }}{% endmacro %}{{ a() }}
{% macro a(x, y='d', *args) %}{% endmacro %}
{% macro a(x, y='d') %}{{ x }}{{ y }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ a(1) }} {{ a(1, 2, 3, z=4) }} {{ a(*[1, 2]) }} {{ a(**{'x': 1, 'y': 2}) }} {{ a(1, *[2], **{'q': 3}) }}
{% macro a(x) %}{{ x }}{% endmacro %}{{ a(1, x=2) }}
{% macro a(x) %}{{ x }}{% endmacro %}{{ a(*5) }}
{% macro a(x) %}{{ x }}{% endmacro %}{{ a(**5) }}
{% macro a(x) %}{{ x }}{% endmacro %}{{ a(x=1, x=2) }}
{% macro a(x) %}{{ x }}{% endmacro %}{{ a.name }} {{ a.arguments }} {{ a.catch_kwargs }} {{ a.catch_varargs }} {{ a.caller }}
{% macro a(x) %}{{ x|upper }}{% endmacro %}{{ a('b')|lower }}{{ a('b') ~ 'c' }}{{ a('b') + 'c' }}{{ a('b')|length }}{{ a('b') is string }}
{% macro a(n) %}{{ n }}{% if n > 0 %}{{ a(n - 1) }}{% endif %}{% endmacro %}{{ a(5) }}
{% macro a() %}{% set x = 1 %}{% macro b() %}{{ x }}{% endmacro %}{{ b() }}{% endmacro %}{{ a() }}
{% set f = namespace(m=none) %}{% macro a() %}A{% endmacro %}{% set f.m = a %}{{ f.m() }}
{% set ns = namespace() %}{% set ns.x = 1 %}{{ ns.x }}{{ ns.y }}|{{ ns.y is defined }}
{% set ns = namespace(a=[]) %}{% for i in nums %}{% set ns.a = ns.a + [i] %}{% endfor %}{{ ns.a }}{{ ns['a'] }}{{ ns.a|length }}
{% set ns = namespace(1) %}
{% set ns = namespace(a=1) %}{% set ns.a %}block{% endset %}{{ ns.a }}
{% set x | upper %}a{{ name }}{% endset %}{{ x }}{% set x | replace('a', 'b') | upper %}banana{% endset %}{{ x }}
{% filter upper | replace('A', 'x') %}banana{% endfilter %}{% filter indent(2) %}a⏎b{% endfilter %}
{% filter nofilter %}x{% endfilter %}
{% with %}{{ name }}{% endwith %}{% with a = 1, b = 2 %}{{ a + b }}{% with a = b %}{{ a }}{% endwith %}{% endwith %}
{% with a = 1 b = 2 %}{% endwith %}
{% if yes -%}⏎  x  ⏎{%- elif no -%}  y  {%- else -%}  z  {%- endif -%}⏎ end
  {% if yes %}⏎  x⏎  {% endif %}⏎end
  {%+ if yes %}⏎x⏎  {%+ endif %}⏎end
a  {{- ' b ' -}}  c  {{ 'd' }}  e
{%- set x = 1 -%}  a  {%- set y = 2 -%}  b
{% raw -%}  {{ x }}  {%- endraw %}|{%- raw %}  {% y %}  {% endraw -%}  z
{# a #}b{#- c -#} d {#+ e +#} f
⏎⏎{% if yes %}⏎⏎x⏎⏎{% endif %}⏎⏎
	{% for i in nums %}	⏎	{{ i }}⏎	{% endfor %}	⏎
{{ '{% raw %}' }}{{ "{{ x }}" }}{{ '#}' }}{# {{ x }} {% if %} #}
{{ {'a': {'b': {'c': [1, {'d': 2}]}}}.a.b.c[1].d }} {{ {'a': 1}.a }}{{ {'a':{'b':1}}}}
{{ strftime_now('%Y-%m-%d') }}
{{ dict(a=1).a }} {{ dict({'a': 1}, b=2) }} {{ dict([('a', 1), ('b', 2)]) }} {{ dict() }} {{ dict([['a', 1]]) }} {{ dict(**{'x': 1}) }}
{{ dict(5) }}
{{ dict([1, 2]) }}
{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}
{{ cycler() }}
{% set j = joiner() %}{{ j() }}a{{ j() }}b{% set k = joiner('; ') %}{{ k() }}{{ k() }}
{{ korean.split(' ') }} {{ korean|reverse }} {{ korean[1:3] }} {{ korean.find('세') }} {{ korean|center(14) }}| {{ korean|tojson(ensure_ascii=true) }} {{ korean|urlencode }} {{ '%-10s|' % korean }} {{ '{:>10}'.format(korean) }} {{ korean|truncate(5, true, '') }} {{ korean in '안녕하세요 세계!' }} {{ korean|list|length }}
{{ users|map(attribute='address')|map(attribute='city')|map('lower')|unique|sort|join(', ') }}
{{ (users|selectattr('age', 'ge', 30)|list|length) ~ '/' ~ users|length }}
{{ users|rejectattr('tags')|map(attribute='name')|first|default('none') }} {{ (users|last).name }} {{ users|map('length')|list }} {{ users|map(attribute='tags')|map('join', '+')|list }}
{% for u in users|sort(attribute='name') %}{{ loop.index }}. {{ u.name|title }} ({{ u.age }}){{ ', ' if not loop.last }}{% endfor %}
{{ [1, 2] is sameas [1, 2] }} {{ d.items() == d.items() }} {{ d.keys() == d.keys() }} {{ () == () }}
""")


SPLIT_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                 r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

SPECIAL_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                  "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"]

TRAINING_TEXT = [
    "The little server hums in the corner and answers every question that comes to it.",
    "A token is a piece of a word, and words are made of tokens; the model only sees numbers.",
    "Numbers such as 1, 23, 456 and 7890 are cut into groups of three digits: 123 456 789.",
    "def main():\n    for i in range(10):\n        print(i, i * i)\n\n    return None\n",
    "it's, we're, they'll, I'd, you've, I'm, don't, can't, won't, what's that?",
    "작은 서버가 구석에서 조용히 돌아가며 모든 질문에 대답합니다. 한국어 문장도 토큰으로 나눕니다.",
    "오늘 날씨가 좋습니다. 내일은 비가 옵니다. 서울은 대한민국의 수도입니다.",
    "Быстрая лиса прыгает. 東京は日本の首都です。 مرحبا بالعالم",
    "   leading spaces and\ttabs\t\tand\n\n\nblank lines   \n   mixed  ",
] * 3

TEXTS = [
    "", " ", "  ", "\n", "\n\n \n", "a", "Hello, world!", "hello world", " hello", "Hello  world  ",
    "It's they're I'LL 'S 'ſ", "한국어 문장입니다. 서울의 날씨", "東京 Быстрая مرحبا 😀👨‍👩‍👧 é e\u0301",
    "1234567890 12 3.14 ½ ٣", "tab\tnew\nline\r\n\r\n  end", "<|begin_of_text|>", "a<|eot_id|>b",
    "<|eot_id|><|eot_id|>", "<|eot_id", "|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
    "x <tool_call> y", "a  <left>  b", "a  <right>  b", " lone ", "alone lone loner lone.",
    "<left><right>  <left>", "\u180e \u00a0\u2003x\u3000\u0085\u200b", "a" * 300, " " * 100 + "x",
    "abab" * 60, "é" * 50, "\x00\x01\x7f", "in the the in answer answers answering", "서울서울서울",
    "  \n  \n x", "!!??.. --- ...\n\n\n...", "server's \"quoted\" (text) [x] {y} <z>", "_under_score_",
]

POOLS = [
    "abcdefghijklmnopqrstuvwxyz  ", "the server answers token numbers '’.,!? \n\t", "0123456789 .,-",
    "한국어서울날씨토큰문장 ", "あ東京БыстраяمرحباÀé\u0301😀 \u00a0\u3000", "<|eot_id|> <tool_call><left> lone\n",
    " \n\r\t\u2003", "'sStTrReEvVmMlLdD ſ",
]
