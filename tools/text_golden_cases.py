"""The inputs of make_text_golden.py: template snippets, conversations and texts."""

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

LLAMA3 = """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = \
'<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + \
'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}\
{{ content }}{% endfor %}{% if add_generation_prompt %}\
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

LLAMA31 = """{#- A tool-calling template in the manner of Llama 3.1. #}
{{- bos_token }}
{%- macro header(role) -%}
    <|start_header_id|>{{ role }}<|end_header_id|>{{ "\\n\\n" }}
{%- endmacro %}
{%- set tools = tools if tools is defined else none %}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") if strftime_now is defined else "1 Jan 2024" %}
{%- endif %}
{%- if messages and messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- header('system') }}
{%- if tools is not none %}
    {{- "Environment: tools\\n" }}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" + system_message }}
{%- if tools is not none %}
    {{- "\\n\\nFunctions:\\n" }}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) + "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- '<|eot_id|>' }}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- header('ipython') }}
        {%- if message.content is mapping or (message.content is iterable and message.content is not string) %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls %}
        {%- if message.tool_calls | length != 1 %}
            {{- raise_exception("Only one tool call at a time") }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- header('assistant') }}{{ '{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson }}{{ "}" }}
    {%- elif message.role in ['user', 'assistant'] %}
        {{- header(message.role) + message.content | trim }}
    {%- else %}
        {{- raise_exception("Unknown role " ~ message.role) }}
    {%- endif %}
    {{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- header('assistant') }}
{%- endif %}
"""

TEMPLATES = {"llama3": LLAMA3, "llama31": LLAMA31}

_TOOL = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city, \"now\" — 날씨",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "City & country"},
        "unit": {"type": "string", "enum": ["c", "f"]}, "days": {"type": "integer", "default": 1}},
        "required": ["city"]}}}
_BASE = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "date_string": "26 Jul 2024",
         "add_generation_prompt": True}
_CALL = {"role": "assistant", "content": None, "tool_calls": [{
    "id": "call00001", "type": "function",
    "function": {"name": "get_weather", "arguments": {"city": "서울", "days": 2, "ratio": 0.5}}}]}

CONVERSATIONS = {
    "plain": {**_BASE, "messages": [{"role": "user", "content": "Hello there"}]},
    "system": {**_BASE, "messages": [{"role": "system", "content": " Be brief. \n"},
                                     {"role": "user", "content": "Hi\n"}]},
    "turns": {**_BASE, "messages": [
        {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": " 2 "},
        {"role": "user", "content": "And 2+2?"}]},
    "closed": {**_BASE, "add_generation_prompt": False, "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    "korean": {**_BASE, "messages": [{"role": "system", "content": "짧게 대답하세요."},
                                     {"role": "user", "content": "대한민국의 수도는 어디인가요? 😀"}]},
    "special": {**_BASE, "messages": [
        {"role": "user", "content": "<|eot_id|> {{ not }} {% code %} \\n & <b>"}]},
    "tools": {**_BASE, "tools": [_TOOL], "messages": [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": "서울 날씨?"}, _CALL,
        {"role": "tool", "content": {"temp": 21.0, "sky": "맑음"}}]},
    "two_calls": {**_BASE, "tools": [_TOOL], "messages": [
        {"role": "user", "content": "x"},
        {**_CALL, "tool_calls": _CALL["tool_calls"] * 2}]},
    "no_date": {k: v for k, v in _BASE.items() if k != "date_string"} | {
        "tools": None, "messages": [{"role": "user", "content": "hi"}], "date_string": "1 Jan 2030"},
    "bad_role": {**_BASE, "messages": [{"role": "wizard", "content": "x"}]},
    "none": {**_BASE, "messages": []},
}

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
