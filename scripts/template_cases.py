#!/usr/bin/env python3
"""What transformers renders: the golden file for `crates/entropo-train/tests/it/text/templates.rs`.

    python scripts/template_cases.py

writes `crates/entropo-train/tests/it/text/cases.json` anew: small templates, one for each thing that published chat
templates use, and the published templates in `crates/entropo-train/tests/it/text/templates/`, each with several
conversations. With

    python scripts/template_cases.py FOLDER CASES.json

it does the same for every `*.jinja` of a folder, to compare with templates that cannot be published here:

    ENTROPO_TEMPLATE_CASES=CASES.json cargo test -p entropo-train --test it text::templates

Made with transformers 5.23.0 and jinja2 3.1.6. The clock stands at 2026-03-05 06:07:08.

Not among the small templates is what minijinja does differently and cannot be taught: the `%` operator on texts
(`'%s' % x`; the `format` filter and method work), a float glued to a text (`'' ~ 1e16` gives all digits), what a
dictionary's methods and views print as (`{{ d.items }}`, `{{ d.items() }}`; an attribute is always looked up as a key
first), `x in none` and `for x in none`, which take `none` for an empty list, and the filters `wordcount`, `truncate`
and `center`, which are unknown.
"""

import datetime as clock
import json
import sys
from pathlib import Path

import jinja2
from transformers.utils import chat_template_utils

FOLDER = Path(__file__).parents[1] / "crates/entropo-train/tests/it/text"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


class Now(clock.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 5, 6, 7, 8)


chat_template_utils.datetime = Now


def user(content):
    return {"role": "user", "content": content}


def assistant(content, *calls, **more):
    message = {"role": "assistant", "content": content, **more}
    if calls:
        message["tool_calls"] = [
            {"id": f"call{i:05}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(calls)
        ]
    return message


def tool(content, name="bash", call="call00000"):
    return {"role": "tool", "name": name, "tool_call_id": call, "content": content}


SYSTEM = {"role": "system", "content": "  Be brief. "}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "bash",
            "description": "Run a <command> & wait",
            "parameters": {
                "type": "object",
                "properties": {
                    "command": {"type": "string", "description": "what to run"},
                    "timeout": {"type": "number", "default": 1.5},
                    "flags": {"type": "array", "items": {"type": "string", "enum": ["a", "é"]}},
                },
                "required": ["command"],
            },
        },
    },
    {
        "type": "function",
        "function": {"name": "stop", "description": "", "parameters": {"type": "object", "properties": {}}},
    },
]
ARGUMENTS = {"command": 'echo "é" > a.txt\n', "timeout": 60, "flags": ["x", "y"], "deep": {"a": None, "b": [True, 1e-7]}}

# What the published templates are rendered with: name, messages, tools, generation prompt, further variables.
CONVERSATIONS = [
    ("empty", [], None, True, {}),
    ("question", [user("Hi")], None, True, {}),
    ("system", [SYSTEM, user(" Hi\n")], None, True, {}),
    ("two_rounds", [SYSTEM, user("2+2?"), assistant("4"), user("3+3?"), assistant("6\n")], None, False, {}),
    ("blank_edges", [user("a"), assistant("\n\n  b \n"), user("c")], None, True, {}),
    ("no_thinking", [user("Hi"), assistant("Hello"), user("More")], None, True, {"enable_thinking": False}),
    ("thinking", [user("Hi"), assistant("Hello"), user("More")], None, True, {"enable_thinking": True}),
    (
        "reasoning",
        [user("q"), assistant("a", reasoning_content="\nfirst\n"), user("r"), assistant("b", reasoning_content="then")],
        None,
        False,
        {},
    ),
    ("reasoning_alias", [user("q"), assistant("a", reasoning="why")], None, False, {}),
    ("reasoning_inside", [user("q"), assistant("<think>\nhm\n</think>\n\na"), user("r")], None, True, {}),
    ("tools", [SYSTEM, user("List")], TOOLS, True, {}),
    (
        "tool_rounds",
        [
            user("List"),
            assistant("Look.", ("bash", ARGUMENTS), reasoning_content="r1"),
            tool("a.py\n<|im_end|>"),
            assistant("", ("bash", {"command": "ls"}), ("stop", {})),
            tool("b"),
            tool("", "stop", "call00001"),
            assistant("Done.", reasoning_content="r2"),
        ],
        TOOLS,
        False,
        {},
    ),
    ("tool_then_prompt", [user("x"), assistant(None, ("bash", {"command": "ls"})), tool("y")], TOOLS, True, {}),
    ("text_arguments", [user("x"), assistant("", ("bash", '{"command": "ls"}')), tool("y")], TOOLS, True, {}),
    ("parts", [user([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])], None, True, {}),
    ("unknown_role", [user("x"), {"role": "critic", "content": "y"}], None, True, {}),
    ("two_users", [user("x"), user("y")], None, True, {}),
]

# Small templates: name, template, messages, tools, further variables.
TALK = [SYSTEM, user("Hi"), assistant("Yo"), user("Bye")]
SMALL = [
    ("strftime_now", "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d %H:%M:%S %A %j') }}", [], None, {}),
    ("strftime_defined", "{% if strftime_now is defined %}{% set d = strftime_now('%d %b %Y') %}{% endif %}{{ d }}", [], None, {}),
    ("namespace", "{% set ns = namespace(n=0, last='') %}{% for m in messages %}{%- set ns.n = ns.n + 1 %}{% set ns.last = m.role %}{% endfor %}{{ ns.n }}{{ ns.last }}", TALK, None, {}),
    ("namespace_from_dict", "{% set ns = namespace({'a': 1}) %}{{ ns.a }}", [], None, {}),
    ("set_in_loop_is_scoped", "{% set x = 1 %}{% for m in messages %}{% set x = 2 %}{% endfor %}{{ x }}", TALK, None, {}),
    ("set_in_if_is_not", "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", [], None, {}),
    ("loop_neighbours", "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}<{{ m.role }}>{{ loop.nextitem.role if not loop.last else '-' }};{% endfor %}", TALK, None, {}),
    ("loop_counters", "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}", TALK, None, {}),
    ("loop_cycle_changed", "{% for m in messages %}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}{% endfor %}", TALK, None, {}),
    ("loop_filter_else", "{% for m in messages if m.role == 'tool' %}{{ m }}{% else %}none{% endfor %}{% for m in messages if m.role == 'user' %}{{ loop.index }}{% endfor %}", TALK, None, {}),
    ("break_continue", "{% for m in messages %}{%- if m.role == 'system' %}{%- continue %}{%- endif %}{%- if loop.index > 2 %}{%- break %}{%- endif %}{{ m.role }}{% endfor %}", TALK, None, {}),
    ("reversed_slice", "{% for m in messages[::-1] %}{{ m.content }}{% endfor %}|{{ 'abc'[::-1] }}|{{ messages[1:][0].role }}{{ messages[-1].role }}{{ messages[:-1]|length }}", TALK, None, {}),
    ("slice_steps", "{{ 'abcdef'[1:5:2] }}{{ 'abcdef'[-3:] }}{{ 'abcdef'[:99] }}{{ [1,2,3,4][::2] }}{{ [1,2,3,4][3:0:-1] }}", [], None, {}),
    ("is_defined", "{{ tools is defined }}{{ nothing is defined }}{{ messages[0].x is defined }}{{ messages[9] is defined }}{{ tools is none }}{{ nothing is not none }}", TALK, None, {}),
    ("undefined_prints_nothing", "[{{ nothing }}][{{ messages[0].nothing }}][{{ 'a' ~ nothing }}][{{ nothing == none }}][{{ not nothing }}]", TALK, None, {}),
    ("undefined_attribute", "{{ nothing.x }}", [], None, {}),
    ("undefined_concat", "{{ 'a' + nothing }}", [], None, {}),
    ("undefined_loop", "{% for x in nothing %}x{% endfor %}[{{ nothing|length }}]", [], None, {}),
    ("none_prints", "{{ none }}{{ None }}{{ messages[0].content }}", [assistant(None)], None, {}),
    ("none_plus_text", "{{ 'a' + messages[0].content }}", [assistant(None)], None, {}),
    ("none_concat_text", "{{ 'a' ~ messages[0].content }}", [assistant(None)], None, {}),
    ("python_literals", "{{ True }}{{ false }}{{ [True, none, 'a', 1.0, \"it's\"] }}{{ {'a': 1, 'b': [none]} }}{{ (1, 'x') }}{{ (1,) }}", [], None, {}),
    ("numbers", "{{ 1.0 }} {{ 1e16 }} {{ 1e-7 }} {{ 3 / 2 }} {{ 4 / 2 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 1_000 }} {{ 0.1 + 0.2 }}", [], None, {}),
    ("numbers_inside", "{{ [1e16, 1e-7, 1.0] }}{{ {'x': 2.5e-9} }}{{ [1e16]|string }}{{ [1.5, 2]|join(',') }}", [], None, {}),
    ("int_float", "{{ '42'|int + 1 }}{{ '4.7'|float }}{{ 'x'|int }}{{ 3.9|int }}{{ 3|float }}{{ 3.456|round(1) }}{{ 3.5|round }}{{ -3|abs }}", [], None, {}),
    ("tojson", "{{ tools|tojson }}\n{{ tools[0].function|tojson(indent=4) }}\n{{ messages|tojson(indent=2) }}", TALK, TOOLS, {}),
    ("tojson_options", "{{ {'b': 1, 'a': 'é<&>\\''}|tojson(ensure_ascii=True, sort_keys=True) }}{{ [1, {'a': 2}]|tojson(separators=(',', ':')) }}{{ [1,[]]|tojson(none, 3) }}", [], None, {}),
    ("tojson_numbers", "{{ [1.0, 1e16, 1e-7, 12345678901234567890, -0.0, true, none, 'q\"\\\\\\n\\u2028']|tojson }}", [], None, {}),
    ("tojson_undefined", "{{ nothing|tojson }}", [], None, {}),
    ("tojson_keys", "{{ {1: 'a', none: 'b', true: 'c'}|tojson }}{{ (1, 2)|tojson }}", [], None, {}),
    ("split", "{{ 'a</think>b</think>c'.split('</think>')[-1] }}{{ 'a</think>b'.split('</think>')[0] }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'abc'.split('x') }}{{ ' a  b '.split(' ') }}", [], None, {}),
    ("rsplit_partition", "{{ 'a.b.c'.rsplit('.', 1) }}{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=')[2] }}{{ ' a  b '.rsplit() }}{{ 'a b  c'.rsplit(none, 1) }}{{ 'abc'.partition('x') }}{{ 'abc'.rpartition('x') }}", [], None, {}),
    ("split_newlines", "{{ 'a\\nb\\n'.split('\\n')|length }}{{ 'a\\nb\\r\\nc'.splitlines() }}{{ 'a\\nb'.splitlines(true) }}", [], None, {}),
    ("strip", "[{{ '\\n a \\n'.strip() }}][{{ '\\n\\n a'.lstrip('\\n') }}][{{ 'a \\n'.rstrip() }}][{{ 'xxaxx'.strip('x') }}][{{ 'abcab'.rstrip('ab') }}][{{ ' a\\t'|trim }}][{{ 'xax'|trim('x') }}]", [], None, {}),
    ("case_methods", "{{ 'hello wORLD'.title() }}{{ 'a'.upper() }}{{ 'B'.lower() }}{{ 'hELLO w'.capitalize() }}{{ \"it's a-b c_d 1x\".title() }}{{ 'ß'.upper() }}{{ 'aB'.swapcase() }}", [], None, {}),
    ("case_filters", "{{ 'hello wORLD'|title }}{{ 'a'|upper }}{{ 'B'|lower }}{{ 'hELLO w'|capitalize }}{{ \"it's a-b\"|title }}", [], None, {}),
    ("starts_ends", "{{ 'abc'.startswith('a') }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith(('x', 'ab')) }}{{ 'abc'.endswith(('x', 'y')) }}", [], None, {}),
    ("remove_affix", "{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ 'abc'.removeprefix('x') }}", [], None, {}),
    ("replace_find", "{{ 'aXbX'.replace('X', '-') }}{{ 'aXbX'.replace('X', '-', 1) }}{{ 'abcb'.find('b') }}{{ 'abcb'.rfind('b') }}{{ 'abc'.find('z') }}{{ 'abcb'.count('b') }}{{ 'é-b'.index('b') }}{{ 'a'|replace('a', 'b') }}", [], None, {}),
    ("is_methods", "{{ '12'.isdigit() }}{{ 'a1'.isalnum() }}{{ 'ab'.isalpha() }}{{ ' '.isspace() }}{{ 'A'.isupper() }}{{ 'a'.islower() }}{{ ''.isdigit() }}", [], None, {}),
    ("pad_methods", "[{{ 'a'.center(5) }}][{{ 'a'.ljust(3) }}][{{ 'a'.rjust(3, '.') }}][{{ '7'.zfill(3) }}][{{ 'abc'.center(6) }}][{{ 'ab'.center(5) }}][{{ '-7'.zfill(4) }}]", [], None, {}),
    ("format", "{{ '{} and {}'.format('a', 1) }}{{ '{0}{1}{0}'.format('x', 'y') }}{{ '{:>5}|{:<3}|{:03d}|{:.2f}'.format('a', 'b', 7, 1.5) }}{{ '%s is %d'|format('a', 3) }}", [], None, {}),
    ("format_names", "{{ '{role}: {text}'.format(role='user', text='hi') }}{{ '%(a)s'|format(a=1) }}", [], None, {}),
    ("join", "{{ ', '.join(['a', 'b']) }}{{ ['a', 1, none]|join('-') }}{{ messages|map(attribute='role')|join(' ') }}{{ messages|join(',', attribute='content') }}", TALK, None, {}),
    ("join_numbers_method", "{{ ','.join([1, 2]) }}", [], None, {}),
    ("dict_methods", "{% for k, v in {'a': 1, 'b': 'x'}.items() %}{{ k }}={{ v }};{% endfor %}{{ {'a': 1}.get('a') }}{{ {'a': 1}.get('z') }}{{ {'a': 1}.get('z', 'd') }}{{ {'a': 1, 'b': 2}.keys()|list }}{{ {'a': 1}.values()|list }}{{ 'a' in {'a': 1} }}", [], None, {}),
    ("dict_views_print", "{{ {'a': 1}.items()|list }}{{ {'a': 1}.keys()|list }}{{ {'a': 1}|items|list }}", [], None, {}),
    ("items_filter", "{% for k, v in tools[0].function.parameters.properties|items %}{{ k }}:{{ v.type }},{% endfor %}{% for k, v in tools[0].function.parameters.properties|dictsort %}{{ k }},{% endfor %}", [], TOOLS, {}),
    ("dict_keys_order", "{% for k in messages[1] %}{{ k }} {% endfor %}{{ messages[1] }}", TALK, None, {}),
    ("dict_function", "{% set d = dict(a=1, b='x') %}{{ d.a }}{{ d }}{{ dict(d, c=3) }}", [], None, {}),
    ("dict_key_named_as_method", "{{ {'items': 1}['items'] }}{{ messages[0].get('role') }}", TALK, None, {}),
    ("list_methods", "{{ [1, 2, 1].count(1) }}{{ ['a', 'b'].index('b') }}", [], None, {}),
    ("list_append", "{% set l = [] %}{% set _ = l.append(1) %}{{ l }}", [], None, {}),
    ("list_concat", "{% set l = [1] %}{% set l = l + [2] %}{{ l }}{{ l * 2 }}{{ [1] + [[2]] }}", [], None, {}),
    ("selectattr", "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ (messages|selectattr('role', '==', 'user')|first).content }}{{ messages|rejectattr('role', 'in', ['user', 'system'])|map(attribute='content')|list }}{{ messages|selectattr('tool_calls', 'defined')|list|length }}{{ messages|selectattr('content')|list|length }}", TALK, None, {}),
    ("select_map", "{{ [1, 2, 3]|select('odd')|list }}{{ ['a', 'b']|map('upper')|list }}{{ [0, 1, none, '']|select|list }}{{ [1, 2]|reject('equalto', 1)|list }}{{ [3, 1, 2]|sort|list }}{{ [1, 2]|sum }}{{ [1, 2]|last }}{{ [3, 1]|max }}{{ ['b', 'a', 'b']|unique|list }}", [], None, {}),
    ("map_default", "{{ [{'a': 1}, {}]|map(attribute='a', default='-')|list }}{{ messages|map(attribute='content')|map('length')|list }}", TALK, None, {}),
    ("groupby_batch", "{% for role, group in messages|groupby('role') %}{{ role }}{{ group|length }}{% endfor %}{{ [1, 2, 3]|batch(2)|list }}", TALK, None, {}),
    ("default", "{{ nothing|default('d') }}{{ ''|default('e', true) }}{{ none|default('f') }}{{ none|d('g', true) }}", [], None, {}),
    ("type_tests", "{{ messages[0].content is string }}{{ messages is iterable }}{{ messages is sequence }}{{ messages[0] is mapping }}{{ 'a' is iterable }}{{ 1 is number }}{{ true is boolean }}{{ 1.0 is float }}{{ 1 is integer }}{{ true is integer }}{{ none is iterable }}{{ {} is sequence }}{{ nothing is iterable }}{{ 'a' is sequence }}{{ messages is not mapping }}{{ true is number }}", TALK, None, {}),
    ("value_tests", "{{ 3 is odd }}{{ 4 is divisibleby(2) }}{{ 'a' is in ['a'] }}{{ 1 is eq(1) }}{{ true is true }}{{ false is false }}{{ 1 is true }}{{ none is none }}{{ 'A' is upper }}{{ 1 is sameas(1) }}", TALK, None, {}),
    ("logic_values", "{{ '' or 'x' }}{{ 'a' and 'b' }}{{ [] or none }}{{ not [] }}{{ 1 if '' else 2 }}{{ 'y' if messages }}[{{ 'y' if [] }}]", TALK, None, {}),
    ("comparisons", "{{ 1 == 1.0 }}{{ 'a' < 'b' }}{{ 1 < 2 < 3 }}{{ [1, 2] == [1, 2] }}{{ 'a' in 'abc' }}{{ 'z' not in ['a'] }}{{ {'a': 1} == {'a': 1} }}{{ true == 1 }}{{ none == false }}{{ (1, 2) == [1, 2] }}", [], None, {}),
    ("precedence", "{{ 'a' ~ 1 + 2 ~ 'b' }}{{ not 1 == 2 }}{{ 1 + 2 * 3 ** 2 }}{{ 'x' if not true else 'y' ~ 'z' }}{{ -2 ** 2 }}{{ 'a' in 'ab' and 'b' not in 'a' }}{{ ('a' ~ 'b')|upper ~ 'c'|upper }}{{ 1 - -1 }}", [], None, {}),
    ("string_literals", "{{ 'a\\n\\t\\\\b\\'c' }}{{ \"x\\u00e9\\x41\" }}{{ 'a' 'b' }}", [], None, {}),
    ("whitespace_control", "a\n  {% if true %}\n  b\n  {% endif %}\nc\n  {{- ' d ' -}}  \n e\n{# comment #}\nf\n  {#- gone -#}\n g\n\n", [], None, {}),
    ("whitespace_plus", "a\n  {%+ if true %}\n  b\n  {% endif +%}\nc", [], None, {}),
    ("trailing_newlines", "a\n{% if true %}b{% endif %}\n\n", [], None, {}),
    ("raw_block", "{% raw %}{{ not this }}{% endraw %}{{ '{{' }}", [], None, {}),
    ("macro", "{% macro f(m, tag='x', *rest) %}<{{ tag }}>{{ m.content }}{% endmacro %}{% for m in messages %}{{ f(m) }}{{ f(m, tag=m.role) }}{% endfor %}", TALK, None, {}),
    ("macro_plain", "{%- macro f(m, tag='x') -%}<{{ tag }}>{{ m.content }}{%- endmacro -%}{% for m in messages %}{{ f(m) }}{{ f(m, tag=m.role) }}{% endfor %}{{ f({'content': 1})|trim }}", TALK, None, {}),
    ("macro_recursive", "{% macro walk(v) %}{% if v is mapping %}{{ '{' }}{% for k, x in v.items() %}{{ k }}:{{ walk(x) }},{% endfor %}{{ '}' }}{% elif v is iterable and v is not string %}[{% for x in v %}{{ walk(x) }};{% endfor %}]{% else %}{{ v }}{% endif %}{% endmacro %}{{ walk(tools) }}", [], TOOLS, {}),
    ("macro_sees_globals", "{% set sep = '|' %}{% macro f() %}{{ sep }}{{ messages|length }}{% endmacro %}{{ f() }}", TALK, None, {}),
    ("call_block", "{% macro box(t) %}[{{ t }}{{ caller() }}]{% endmacro %}{% call box('a') %}b{% endcall %}", [], None, {}),
    ("set_block", "{% set text %}a{{ 1 + 1 }}\n{% endset %}{{ text|trim }}{{ text|length }}{% set up | upper %}x{% endset %}{{ up }}", [], None, {}),
    ("set_unpack", "{% set a, b = 1, 'x' %}{{ a }}{{ b }}{% for i, (j, k) in [(1, (2, 3))] %}{{ i }}{{ j }}{{ k }}{% endfor %}", [], None, {}),
    ("with_filter_blocks", "{% with x = 1 %}{{ x }}{% endwith %}{% filter upper %}abc{% endfilter %}", [], None, {}),
    ("ternary_chain", "{{ 'a' if messages|length > 9 else 'b' if messages|length > 3 else 'c' }}", TALK, None, {}),
    ("range", "{% for i in range(3) %}{{ i }}{% endfor %}{{ range(1, 10, 3)|list }}{{ range(3, 0, -1)|list }}", [], None, {}),
    ("string_filters", "{{ 'abc'|first }}{{ 'abc'|last }}{{ 'abc'|list }}{{ 'abc'|reverse }}{{ 'a\\nb'|indent(2) }}{{ 'a\\nb'|indent(2, true) }}{{ 3|string ~ 'x' }}", [], None, {}),
    ("safe_escape", "{{ '<a>'|safe }}{{ '<a>' }}{{ '<b>'|e }}", [], None, {}),
    ("raise", "{{ raise_exception('Roles must alternate: ' ~ messages[0].role) }}", TALK, None, {}),
    ("raise_unused", "{% if not messages %}{{ raise_exception('none') }}{% endif %}ok", TALK, None, {}),
    ("alternation", "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% endfor %}ok", TALK, None, {}),
    ("special_tokens", "{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}", [], None, {}),
    ("extra_variables", "{{ enable_thinking is defined and enable_thinking is false }}{{ keep|default(true) }}{{ kwargs }}", [], None, {"enable_thinking": False, "kwargs": {"a": [1, None]}}),
    ("missing_method", "{{ 'a'.nothing() }}", [], None, {}),
    ("missing_filter", "{{ 'a'|nothing }}", [], None, {}),
    ("text_plus_number", "{{ 'a' + 1 }}", [], None, {}),
    ("index_out_of_range", "[{{ messages[9] }}]{{ messages[9].role }}", TALK, None, {}),
    ("include", "{% include 'other' %}", [], None, {}),
    ("unclosed", "{% if true %}", [], None, {}),
    ("unicode", "{{ messages[0].content|length }}{{ messages[0].content[1] }}{{ messages[0].content|upper }}{{ [messages[0].content] }}{{ messages[0].content|tojson }}", [user("é日👩\u200d💻\u2028\x07'\"")], None, {}),
    ("quotes_in_lists", "{{ ['it\\'s', 'say \"x\"', 'both \\' \"', 'n\\nt\\\\'] }}", [], None, {}),
    ("generation", "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}", TALK, None, {}),
    ("generation_set", "{% set x = 1 %}{%- generation -%} a {%- set x = 2 %}{{ x }}{%- endgeneration -%}{{ x }}", [], None, {}),
    ("reasoning_names", "{{ messages[0].reasoning_content }}|{{ messages[0].thinking }}|{{ messages[0].reasoning }}", [assistant("a", reasoning="why")], None, {}),
    ("reasoning_thinking", "{{ messages[0].reasoning_content }}|{{ messages[0].thinking }}|{{ messages[0]|tojson }}", [assistant("a", thinking="why")], None, {}),
    ("reasoning_both", "{{ messages[0]|tojson }}", [assistant("a", reasoning_content="x", thinking="y")], None, {}),
]


def render(template, messages, tools, prompt, variables):
    """The text, or how it failed: `refused` with the template's own words, or `fails`."""
    # A round trip through JSON: the test reads the same.
    messages, tools, variables = json.loads(json.dumps([messages, tools, {**SPECIAL, **variables}]))
    try:
        [text], _ = chat_template_utils.render_jinja_template(
            [messages], tools=tools, chat_template=template, add_generation_prompt=prompt, **variables
        )
    except jinja2.exceptions.TemplateError as error:
        return {"refused": error.message} if type(error) is jinja2.exceptions.TemplateError else {"fails": str(error)}
    except Exception as error:
        return {"fails": f"{type(error).__name__}: {error}"}
    return {"text": text}


def case(name, template, messages, tools, prompt, variables):
    inputs = {"messages": messages, "tools": tools, "generation_prompt": prompt, "variables": variables}
    key, source = template
    return {"name": name, key: source, **inputs, **render(TEMPLATES[source] if key == "file" else source, messages, tools, prompt, variables)}


folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "templates"
TEMPLATES = {path.name: path.read_text() for path in sorted(folder.glob("*.jinja"))}
small = [] if len(sys.argv) > 1 else [
    case(name, ("template", template), messages, tools, False, variables)
    for name, template, messages, tools, variables in SMALL
]
published = [
    case(f"{file}/{name}", ("file", file), messages, tools, prompt, variables)
    for file in TEMPLATES
    for name, messages, tools, prompt, variables in CONVERSATIONS
]
golden = {"now": 1772690828, "special": SPECIAL, "templates": TEMPLATES if len(sys.argv) > 1 else {}, "cases": small + published}
target = Path(sys.argv[2]) if len(sys.argv) > 1 else FOLDER / "cases.json"
target.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")
print(f"{len(small)} small and {len(published)} published cases in {target}")
