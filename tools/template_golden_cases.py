"""Chat templates in the manner of families, and conversations to render with them."""

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

# In the manner of other families: what their templates do, in words of our own.
CHATML_TOOLS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages and messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string and not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step = false %}{%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.last_query and (loop.last or reasoning) %}{{- '<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' }}{%- endif %}
        {{- content }}
        {%- for call in message.tool_calls or [] %}
            {%- if (loop.first and content) or not loop.first %}{{- '\\n' }}{%- endif %}
            {%- if call.function %}{%- set call = call.function %}{%- endif %}
            {{- '<tool_call>\\n{"name": "' ~ call.name ~ '", "arguments": ' }}
            {%- if call.arguments is string %}{{- call.arguments }}{%- else %}{{- call.arguments | tojson }}{%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' ~ content ~ '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""

INST_TOOLS = """{%- set default_system = "Today is " ~ strftime_now("%d %b %Y")[:0] ~ "a day." %}
{%- if messages and messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = default_system %}{%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages if message.role in ["user", "assistant"] and message.tool_calls is not defined %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("Roles must alternate user/assistant/user/assistant/...") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{{- bos_token }}[SYSTEM_PROMPT]{{ system_message }}[/SYSTEM_PROMPT]
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and tools and message == user_messages[-1] %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}{{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {{- "[INST]" + message["content"] + "[/INST]" }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS][" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}{{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}{%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}{%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}{{- message["content"] + eos_token }}
    {%- elif message["role"] in ["tool", "tool_results"] %}
        {%- set content = message.content.content if message.content is defined and message.content.content is defined else message.content %}
        {{- '[TOOL_RESULTS]{"content": ' + content|string + ", " }}{{- '"call_id": "' + message.tool_call_id|default("none") + '"}[/TOOL_RESULTS]' }}
    {%- else %}{{- raise_exception("Only user, assistant and tool roles are supported") }}
    {%- endif %}
{%- endfor %}"""

PARTS = """{{ bos_token }}
{%- set first_user_prefix = "" -%}
{%- if messages and messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}{%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}{%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}{%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}{%- set loop_messages = messages -%}{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception("Conversation roles must alternate") }}{%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}{{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}{{ raise_exception("Invalid content type") }}{%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""

CHANNELS = """{%- macro type_of(spec, required, depth=0) -%}
    {%- if spec.type == "array" -%}{{ type_of(spec['items'], required, depth + 1) if spec['items'] else "any" }}[]
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type[0] is defined -%}{{ spec.type | join(" | ") }}
    {%- elif spec.oneOf -%}{%- for variant in spec.oneOf -%}{{ type_of(variant, required) }}{{ " | " if not loop.last }}{%- endfor -%}
    {%- elif spec.enum -%}{{ '"' + spec.enum|join('" | "') + '"' }}
    {%- elif spec.type in ("number", "integer") -%}number{%- elif spec.type == "object" and spec.properties -%}
        {{ "{\\n" }}{%- for name, prop in spec.properties.items() -%}{{ name }}{{ "?" if name not in (spec.required or []) }}: {{ type_of(prop, spec.required or []) }}{{ ", " if not loop.last }}{%- endfor -%}}
    {%- else -%}{{ spec.type|default("any") }}{%- endif -%}
{%- endmacro -%}
{%- macro namespace_of(list) -%}
    {{- "namespace functions {\\n\\n" }}
    {%- for tool in list %}
        {%- set tool = tool.function %}
        {{- "// " + tool.description + "\\ntype " + tool.name + " = " }}
        {%- if tool.parameters and tool.parameters.properties %}
            {{- "(_: {\\n" }}
            {%- for name, spec in tool.parameters.properties.items() %}
                {%- if spec.description %}{{- "// " + spec.description + "\\n" }}{%- endif %}
                {{- name }}{%- if name not in (tool.parameters.required or []) %}{{- "?" }}{%- endif %}{{- ": " }}{{- type_of(spec, tool.parameters.required or []) }}
                {%- if spec.default is defined %}{{- ", // default: " }}{{- spec.default|tojson if spec.default is not string else spec.default }}{%- endif %}{{- ",\\n" }}
            {%- endfor %}{{- "}) => any;\\n\\n" }}
        {%- else %}{{- "() => any;\\n\\n" }}{%- endif %}
    {%- endfor %}{{- "} // namespace functions" }}
{%- endmacro -%}
{%- set effort = reasoning_effort|default("medium") -%}
<|start|>system<|message|>Reasoning: {{ effort }}
{%- if tools %}{{ "\\n" }}# Valid channels: analysis, commentary, final.{% endif %}<|end|>
{%- if tools -%}<|start|>developer<|message|>{{ namespace_of(tools) }}<|end|>{%- endif -%}
{%- set last_tool_call = namespace(name=none) -%}
{%- for message in messages -%}
    {%- if message.role == 'assistant' -%}
        {%- if message.tool_calls -%}
            {%- set tool_call = message.tool_calls[0] -%}{%- if tool_call.function -%}{%- set tool_call = tool_call.function -%}{%- endif -%}
            {%- if message.content and message.thinking -%}{{ raise_exception("Cannot pass both content and thinking in an assistant message with tool calls!") }}{%- endif -%}
            {{- "<|start|>assistant to=functions." ~ tool_call.name ~ "<|channel|>commentary json<|message|>" }}{{- tool_call.arguments|tojson }}{{- "<|call|>" }}
            {%- set last_tool_call.name = tool_call.name -%}
        {%- else -%}{{- "<|start|>assistant<|channel|>final<|message|>" ~ message.content ~ "<|end|>" }}{%- set last_tool_call.name = none -%}{%- endif -%}
    {%- elif message.role == 'tool' -%}
        {%- if last_tool_call.name is none -%}{{ raise_exception("Message has tool role, but there was no previous assistant message with a tool call!") }}{%- endif -%}
        {{- "<|start|>functions." ~ last_tool_call.name ~ " to=assistant<|channel|>commentary<|message|>" ~ message.content|tojson ~ "<|end|>" }}
    {%- else -%}{{- "<|start|>" ~ message.role ~ "<|message|>" ~ message.content ~ "<|end|>" }}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}"""

XML_TOOLS = """{% macro render_extra_keys(json_dict, handled_keys) %}
    {%- if json_dict is mapping %}
        {%- for json_key in json_dict if json_key not in handled_keys %}
            {%- if json_dict[json_key] is mapping or (json_dict[json_key] is sequence and json_dict[json_key] is not string) %}
                {{- '\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | tojson | safe) ~ '</' ~ json_key ~ '>' }}
            {%- else %}{{-'\\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | string) ~ '</' ~ json_key ~ '>' }}{%- endif %}
        {%- endfor %}
    {%- endif %}
{% endmacro %}
{%- if not tools is defined or tools is none %}{%- set tools = [] %}{%- endif %}
{%- for tool in tools %}
    {%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
    {{- "\\n<function>\\n<name>" ~ tool.name ~ "</name>" }}
    {%- if tool.description is defined %}{{- '\\n<description>' ~ (tool.description | trim) ~ '</description>' }}{%- endif %}
    {%- for param_name, param_fields in tool.parameters.properties|items %}
        {{- '\\n<parameter>\\n<name>' ~ param_name ~ '</name>' }}
        {%- set handled_keys = ['name', 'type', 'description'] %}
        {{- render_extra_keys(param_fields, handled_keys) }}{{- '\\n</parameter>' }}
    {%- endfor %}
    {{- render_extra_keys(tool, ['type', 'name', 'description', 'parameters']) }}
{%- endfor %}
{% for message in messages %}
{%- if message.role == 'assistant' and message.tool_calls is defined and message.tool_calls is iterable and message.tool_calls | length > 0 %}
{%- for tool_call in message.tool_calls %}
{%- set fn = tool_call.function if tool_call.function is defined else tool_call %}
<function={{ fn.name }}>
{% if fn.arguments is mapping %}{%- for args_name, args_value in fn.arguments|items %}
<parameter={{ args_name }}>
{{ args_value | tojson | safe if args_value is mapping or (args_value is sequence and args_value is not string) else args_value | string }}
</parameter>
{% endfor %}{% endif %}
</function>
{%- endfor %}
{%- elif message.role in ('tool', 'function') %}
<|observation|>
{{ message.content | tojson if message.content is not string else message.content }}
{%- else %}
<|{{ message.role }}|>
{{ message.content }}
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}<|assistant|>{{ '\\n' }}{% endif %}"""

TEMPLATES = {"llama3": LLAMA3, "llama31": LLAMA31, "chatml_tools": CHATML_TOOLS, "inst_tools": INST_TOOLS,
             "parts": PARTS, "channels": CHANNELS, "xml_tools": XML_TOOLS}

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
    "tool_turns": {**_BASE, "tools": [_TOOL, {"type": "function", "function": {
        "name": "now", "description": "The time.", "parameters": {}}}], "messages": [
        {"role": "user", "content": "날씨와 시각?"}, {**_CALL, "content": "Let me look."},
        {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "{\"temp\": 21}"},
        {"role": "assistant", "content": "21 degrees.", "reasoning_content": "easy"},
        {"role": "user", "content": "Thanks"}]},
    "thinking": {**_BASE, "enable_thinking": False, "reasoning_effort": "high", "messages": [
        {"role": "user", "content": "Q1"},
        {"role": "assistant", "content": "<think>\nhm, 생각\n</think>\n\nA1"},
        {"role": "user", "content": "Q2"}]},
    "parts": {**_BASE, "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Sys."}]},
        {"role": "user", "content": [{"type": "text", "text": " look "}, {"type": "image"},
                                     {"type": "text", "text": "보기"}]}]},
}
