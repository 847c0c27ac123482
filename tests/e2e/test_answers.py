"""What a request asks for is what its answer holds: usage, choices, logprobs, stops, seeds."""

import json
import math

import pytest

import harness
from harness import CAPITAL, COUNT, STORY, ask

PROMPTS = [ask(text) for text in (
    "What is the capital of India?", "What is the capital of France?", "What is the capital of Japan?",
    "Hello!", "Who are you?", "What is Pagoda?", "What is 7 times 8?", "What is 2 + 2?",
    "What is the weather today?", "Count from 1 to 10, with a brief pause between each number.",
    "Write a short story about a fox.", "How many days are in a week?", "What is the largest planet?",
    "대한민국의 수도는 어디인가요?", "안녕하세요!", "What color is the sky?")]


def choice(reply):
    return reply["choices"][0]


def text(reply):
    return choice(reply)["message"]["content"]


def test_usage_adds_up_and_is_the_same_streamed(server):
    request = dict(messages=CAPITAL, temperature=0, max_tokens=100)
    usage = server.chat(**request)["usage"]
    assert usage["prompt_tokens"] > 5
    assert usage["completion_tokens"] > 1
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    chunks = list(server.stream(stream_options={"include_usage": True}, **request))
    assert chunks[-1]["choices"] == []
    assert {k: chunks[-1]["usage"][k] for k in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        k: usage[k] for k in ("prompt_tokens", "completion_tokens", "total_tokens")}
    assert all(chunk.get("usage") is None for chunk in chunks[:-1])


def test_a_stream_without_the_option_has_no_usage_and_no_empty_choices(server):
    for chunk in server.stream(CAPITAL, temperature=0, max_tokens=20):
        assert len(chunk["choices"]) == 1
        assert chunk.get("usage") is None


def test_every_line_of_a_stream_is_a_chunk_that_simple_clients_can_read(server):
    """LLMPerf cuts six characters off each line, parses the rest and reads choices[0]; Open WebUI adds fields."""
    body = {"messages": [{"role": "system", "content": ""}, CAPITAL[1]], "stream": True, "max_tokens": 20,
            "some_custom_param": 1, "reasoning_effort": None}
    lines = [line for line in server.http.post("/v1/chat/completions", json=body).text.split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    num_tokens = sum(bool(chunk["choices"][0]["delta"].get("content")) for chunk in chunks)
    assert 1 <= num_tokens <= 20
    assert all("delta" in chunk["choices"][0] for chunk in chunks)


def test_max_tokens_is_exact_and_ends_with_length(server):
    for num_tokens in (1, 2, 7):
        reply = server.chat(COUNT, temperature=0, max_tokens=num_tokens)
        assert reply["usage"]["completion_tokens"] == num_tokens
        assert choice(reply)["finish_reason"] == "length"
    assert server.chat(COUNT, max_completion_tokens=3)["usage"]["completion_tokens"] == 3


def test_ignore_eos_writes_on(server):
    reply = server.chat(CAPITAL, temperature=0, max_tokens=64, ignore_eos=True)
    assert reply["usage"]["completion_tokens"] == 64
    assert choice(reply)["finish_reason"] == "length"


def test_each_of_n_choices_is_its_own(server):
    reply = server.chat(STORY, n=2, temperature=1, max_tokens=40, seed=7)
    assert [c["index"] for c in reply["choices"]] == [0, 1]
    first, second = (c["message"]["content"] for c in reply["choices"])
    assert first and second and first != second
    greedy = server.chat(CAPITAL, n=3, temperature=0, max_tokens=40)
    assert len({c["message"]["content"] for c in greedy["choices"]}) == 1


def test_streamed_choices_each_begin_once_and_end_once(server):
    request = dict(n=3, temperature=1, max_tokens=20, seed=7)
    pieces, roles, ends = ["", "", ""], [0, 0, 0], [0, 0, 0]
    for chunk in server.stream(STORY, **request):
        for part in chunk["choices"]:
            pieces[part["index"]] += part["delta"].get("content") or ""
            roles[part["index"]] += part["delta"].get("role") is not None
            ends[part["index"]] += part["finish_reason"] is not None
    assert roles == ends == [1, 1, 1]
    assert pieces == [c["message"]["content"] for c in server.chat(STORY, **request)["choices"]]


def test_logprobs_spell_the_answer_and_rank_its_tokens(server):
    reply = server.chat(CAPITAL, temperature=0, max_tokens=30, logprobs=True, top_logprobs=3)
    entries = choice(reply)["logprobs"]["content"]
    spelled = b"".join(bytes(entry["bytes"]) for entry in entries)
    assert spelled.decode() == text(reply)
    for entry in entries:
        ranked = [top["logprob"] for top in entry["top_logprobs"]]
        assert len(ranked) == 3
        assert ranked == sorted(ranked, reverse=True)
        assert entry["top_logprobs"][0]["token"] == entry["token"]
        assert entry["logprob"] == pytest.approx(ranked[0], abs=1e-6)
        assert all(value <= 0 for value in ranked)
        assert sum(math.exp(value) for value in ranked) <= 1 + 1e-4


def test_logprobs_come_streamed_too(server):
    request = dict(messages=CAPITAL, temperature=0, max_tokens=30, logprobs=True, top_logprobs=2)
    whole = choice(server.chat(**request))["logprobs"]["content"]
    streamed = [entry for chunk in server.stream(**request) for part in chunk["choices"]
                for entry in (part.get("logprobs") or {}).get("content") or []]
    assert streamed == whole


def test_completions_have_logprobs_of_their_own_shape(server):
    reply = server.post("/v1/completions", prompt="Once upon a time", max_tokens=5, temperature=0, logprobs=2).json()
    logprobs = choice(reply)["logprobs"]
    assert len(logprobs["tokens"]) == len(logprobs["token_logprobs"]) == len(logprobs["text_offset"]) == 5
    assert "".join(logprobs["tokens"]) == choice(reply)["text"]
    assert all(len(top) >= 2 for top in logprobs["top_logprobs"])


@pytest.mark.parametrize("stop", ["5", ["zzz", "5"], "4... 5"])
def test_a_stop_string_ends_the_answer_before_itself(server, stop):
    request = dict(messages=COUNT, temperature=0, max_tokens=100)
    full = text(server.chat(**request))
    assert "5" in full
    matched = stop if isinstance(stop, str) else stop[-1]
    reply = server.chat(stop=stop, **request)
    assert text(reply) == full[:full.index(matched)]
    assert choice(reply)["finish_reason"] == "stop"
    assert choice(reply)["stop_reason"] == matched
    assert server.streamed_answer(COUNT, stop=stop) == text(reply)
    kept = server.chat(stop=stop, include_stop_str_in_output=True, **request)
    assert text(kept) == full[:full.index(matched) + len(matched)]
    server.wait_idle()


def test_a_stop_string_that_never_comes_holds_nothing_back(server):
    assert server.streamed_answer(COUNT, stop=["9... 10... stop", "of India!"]) == server.answer(COUNT)


def test_the_same_seed_gives_the_same_answer(server):
    request = dict(messages=STORY, temperature=1, max_tokens=40)
    first = text(server.chat(seed=1234, **request))
    assert first == text(server.chat(seed=1234, **request))
    assert len({text(server.chat(seed=seed, **request)) for seed in range(4)}) > 1
    assert len({text(server.chat(**request)) for _ in range(4)}) > 1, "no seed must mean a fresh one"


def test_sampling_settings_act(server):
    greedy = server.answer(STORY, max_tokens=30)
    assert server.answer(STORY, max_tokens=30, temperature=1.5, top_k=1) == greedy
    assert server.answer(STORY, max_tokens=30, temperature=1.5, top_p=1e-6) == greedy
    assert server.answer(STORY, max_tokens=30, temperature=1.5, min_p=1.0) == greedy


def test_logit_bias_and_allowed_tokens_choose_the_token(server):
    reply = server.chat(CAPITAL, temperature=0, max_tokens=3, logit_bias={"40": 100})
    biased = server.post("/v1/completions", prompt=[40, 40, 40], max_tokens=1, temperature=0).json()
    assert biased["usage"]["prompt_tokens"] == 3
    token = server.chat(CAPITAL, temperature=0, max_tokens=1, logprobs=True, logit_bias={"40": 100})
    assert text(reply) == 3 * choice(token)["logprobs"]["content"][0]["token"]


def test_greedy_answers_are_the_same_alone_and_in_a_batch_of_sixteen(server):
    alone = [server.answer(messages, max_tokens=48) for messages in PROMPTS]
    together = harness.in_parallel(lambda messages: server.streamed_answer(messages, max_tokens=48), PROMPTS)
    assert together == alone


def test_seeded_answers_are_the_same_alone_and_in_a_batch(server):
    def sampled(seed):
        return server.answer(STORY, temperature=1, seed=seed, max_tokens=32)

    alone = [sampled(seed) for seed in range(8)]
    assert harness.in_parallel(sampled, range(8)) == alone


def test_several_prompts_in_one_completion_request_answer_in_order(server):
    prompts = ["Once upon a time", "The capital of India is"]
    one_by_one = [choice(server.post("/v1/completions", prompt=p, max_tokens=8, temperature=0).json())["text"]
                  for p in prompts]
    reply = server.post("/v1/completions", prompt=prompts, max_tokens=8, temperature=0, n=2).json()
    assert [c["index"] for c in reply["choices"]] == [0, 1, 2, 3]
    assert [c["text"] for c in reply["choices"]] == [text for text in one_by_one for _ in range(2)]


def test_a_conversation_is_remembered_and_parts_are_text(server):
    parts = [{"type": "text", "text": "What is the capital of India?"}]
    assert "Delhi" in server.answer([harness.HELPFUL, {"role": "user", "content": parts}])
    turns = ask("What is the capital of France?") + [
        {"role": "assistant", "content": "The capital of France is Paris."},
        {"role": "user", "content": "And of Italy?"}]
    assert "capital of Italy" in server.answer(turns)


def test_text_outside_ascii_survives_streamed(server):
    korean = ask("대한민국의 수도는 어디인가요?")
    answer = server.answer(korean)
    assert "�" not in answer
    assert any("가" <= letter <= "힣" for letter in answer)
    assert server.streamed_answer(korean) == answer


def test_models_health_and_metrics_tell_the_state(server, model):
    card = server.http.get("/v1/models").json()["data"][0]
    assert card["id"] == model and card["object"] == "model" and card["max_model_len"] > 0
    assert server.http.get(f"/v1/models/{model}").json()["id"] == model
    assert server.http.get("/health").status_code == 200
    before = server.metric("vllm:generation_tokens_total")
    server.chat(COUNT, max_tokens=5, ignore_eos=True)
    server.wait_idle()
    assert server.metric("vllm:generation_tokens_total") == before + 5
    assert server.metric("vllm:time_to_first_token_seconds_count") > 0
    assert server.metric("vllm:request_success_total") > 0
