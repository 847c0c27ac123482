"""`pagoda serve --simulate`: what a client measures is what the simulated model was told to do.

Lower bounds hold on any machine, as nothing is given out before it is due. Upper bounds are generous.
"""

import json
import statistics
import threading
import time

import harness
import pytest
from harness import CAPITAL, Server, assert_fails_clearly, run_pagoda

SLACK = 0.25 * harness.PATIENCE  # for a busy machine, in seconds
EARLY = 0.002                    # two readings of the clock, in seconds


class Stream:
    """One streamed chat: when its text came, in seconds since it was sent, and how it ended."""

    def __init__(self, server, **options):
        self.times, self.error, self.usage, self.reason, text = [], None, None, None, []
        body = {"messages": CAPITAL, "stream": True, "stream_options": {"include_usage": True}, **options}
        began = time.monotonic()
        with server.http.stream("POST", "/v1/chat/completions", json=body) as reply:
            self.status = reply.status_code
            for line in reply.iter_lines():
                now = time.monotonic() - began
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line[6:])
                self.error = event.get("error", self.error)
                self.usage = event.get("usage") or self.usage
                for choice in event.get("choices", []):
                    self.reason = choice["finish_reason"] or self.reason
                    if choice["delta"].get("content"):
                        self.times.append(now)
                        text.append(choice["delta"]["content"])
        self.text = "".join(text)

    @property
    def ttft(self):
        return self.times[0]

    @property
    def gaps(self):
        return [after - before for before, after in zip(self.times, self.times[1:])]


def streams_at_once(server, count, **options):
    found = [None] * count

    def run(i):
        found[i] = Stream(server, **options)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found)
    return found


@pytest.fixture(scope="module")
def simulated():
    with Server("--simulate", "ttft=200ms,itl=20ms") as running:
        yield running


def test_a_client_measures_the_times_that_were_asked_for(simulated):
    stream = Stream(simulated, max_tokens=100)
    assert 0.2 <= stream.ttft <= 0.2 + SLACK
    # Each token by its own timetable, which no delay moves.
    for i, came in enumerate(stream.times):
        assert 0.2 + 0.02 * i - EARLY <= came <= 0.2 + 0.02 * i + SLACK, i
    assert 0.02 * 0.95 <= statistics.mean(stream.gaps) <= 0.02 * 1.3
    assert 0.02 * 0.9 <= statistics.median(stream.gaps) <= 0.02 * 1.3


def test_an_answer_has_as_many_tokens_as_asked_for(simulated):
    for count in (1, 2, 37):
        stream = Stream(simulated, max_tokens=count)
        assert len(stream.times) == count
        assert stream.usage["completion_tokens"] == count
        assert stream.reason == "length"
    reply = simulated.chat(CAPITAL, max_tokens=11, n=2)
    assert reply["usage"]["completion_tokens"] == 22
    for choice in reply["choices"]:
        assert choice["finish_reason"] == "length"
        text = choice["message"]["content"]
        assert text.isascii() and text.replace(" ", "").isalpha(), text
        assert len(text.split()) == 11


def test_the_tokens_of_a_prompt_are_counted_by_the_real_tokenizer(simulated, server):
    real = server.chat(CAPITAL, max_tokens=1)["usage"]
    assert simulated.chat(CAPITAL, max_tokens=1)["usage"]["prompt_tokens"] == real["prompt_tokens"]


def test_the_same_seed_gives_the_same_words(simulated):
    first, second, other = (simulated.answer(CAPITAL, max_tokens=20, seed=seed) for seed in (5, 5, 6))
    assert first == second != other


def test_streams_side_by_side_do_not_slow_each_other(simulated):
    alone = Stream(simulated, max_tokens=50)
    together = streams_at_once(simulated, 50, max_tokens=50)
    for stream in together:
        assert len(stream.times) == 50
        assert stream.times[-1] >= 0.2 + 49 * 0.02 - EARLY
    last = statistics.median(stream.times[-1] for stream in together)
    assert last <= alone.times[-1] + 0.5 * harness.PATIENCE


def test_a_request_that_arrives_holds_up_nobody():
    """With a first token after a second and a token each 10 ms, arrivals would be seen at once."""
    with Server("--simulate", "ttft=1s,itl=10ms") as server:
        found = []
        thread = threading.Thread(target=lambda: found.append(Stream(server, max_tokens=200)))
        thread.start()
        time.sleep(1.2)
        Stream(server, max_tokens=1)
        thread.join()
        assert max(found[0].gaps) < 0.9
        assert found[0].times[-1] <= 1 + 199 * 0.01 + SLACK


def test_prefill_takes_its_time_by_the_prompts_length():
    with Server("--simulate", "ttft=50ms,itl=1ms,prefill=1000") as server:
        stream = Stream(server, max_tokens=2)
        expected = 0.05 + stream.usage["prompt_tokens"] / 1000
        assert expected - EARLY <= stream.ttft <= expected + SLACK


def test_jitter_spreads_the_gaps_around_their_mean():
    with Server("--simulate", "ttft=0,itl=20ms,jitter=0.5,seed=1") as server:
        stream = Stream(server, max_tokens=300)
    assert 0.02 * 0.85 <= statistics.mean(stream.gaps) <= 0.02 * 1.3  # 0.5 / sqrt(300) is 3 %
    assert 0.006 <= statistics.stdev(stream.gaps) <= 0.03 * harness.PATIENCE


def test_a_stall_is_seen_by_every_stream_and_by_those_who_come_in_it():
    with Server("--simulate", "ttft=0,itl=20ms,stall=1s@2s") as server:
        late = []

        def come_late():
            time.sleep(2.4)
            late.append(Stream(server, max_tokens=1))

        thread = threading.Thread(target=come_late)
        thread.start()
        streams = streams_at_once(server, 5, max_tokens=150)
        thread.join()
    for stream in streams:
        long_gaps = [gap for gap in stream.gaps if gap > 0.9]
        assert long_gaps, "no stall was seen"
        assert long_gaps[0] >= 1 - EARLY
        # The first of them began 2 s before it.
        stalled_at = stream.times[stream.gaps.index(long_gaps[0])]
        assert 1.5 - SLACK <= stalled_at <= 2 + SLACK
    assert late[0].ttft >= 0.3, "it came in the stall and did not wait for its end"


def test_output_ends_answers_by_themselves():
    with Server("--simulate", "ttft=0,itl=1ms,output=8") as server:
        stream = Stream(server)
        assert stream.reason == "stop"
        assert stream.usage["completion_tokens"] == 8
        assert Stream(server, max_tokens=5).reason == "length"
        longer = Stream(server, max_tokens=30, ignore_eos=True)
        assert longer.usage["completion_tokens"] == 30


def test_the_failures_that_were_asked_for_come_in_the_middle_of_a_stream():
    with Server("--simulate", "ttft=0,itl=1ms,fail=1@4") as server:
        stream = Stream(server, max_tokens=10)
        assert stream.status == 200
        assert len(stream.times) == 3
        assert "simulated failure at output token 4" in stream.error["message"]
        assert server.post("/v1/chat/completions", messages=CAPITAL, max_tokens=3).status_code == 200
        assert server.post("/v1/chat/completions", messages=CAPITAL, max_tokens=4).status_code == 500
        server.wait_idle()


def test_a_bad_specification_is_refused_before_anything_is_loaded():
    for spec, wanted in (("itl=20", "itl: '20' is not a time"), ("speed=1", "unknown setting 'speed'"),
                         ("itl=1ms,itl=1ms", "itl is given twice"), ("", "must not be empty"),
                         ("jitter=2", "jitter: '2' is not a number from 0 to 1")):
        assert_fails_clearly(run_pagoda("serve", "--simulate", spec), "simulate", wanted)
    assert_fails_clearly(run_pagoda("serve", harness.MODEL, env={"PAGODA_SIMULATE": "nonsense"}),
                         "environment PAGODA_SIMULATE")


def test_the_environment_and_the_file_set_it_too(tmp_path):
    config = tmp_path / "pagoda.yaml"
    config.write_text("simulate: ttft=0,itl=0,output=3\n")
    with Server("--config", config) as server:
        assert Stream(server).usage["completion_tokens"] == 3
    with Server(env={"PAGODA_SIMULATE": "ttft=0,itl=0,output=4"}) as server:
        assert Stream(server).usage["completion_tokens"] == 4
        assert "SIMULATED" in server.log()


def test_what_a_simulated_model_cannot_have_is_refused(tmp_path):
    done = run_pagoda("serve", harness.MODEL, "--simulate", "itl=1ms", "--prefix-cache-dir", tmp_path)
    assert_fails_clearly(done, "prefix-cache-dir")
    done = run_pagoda("serve", harness.MODEL, "--simulate", "itl=1ms", "--max-model-len", "1000000")
    assert_fails_clearly(done, "1000000", "2048")


def test_a_small_cache_makes_requests_wait_and_loses_none():
    """The scheduler and its blocks are the real ones."""
    with Server("--simulate", "ttft=1ms,itl=1ms", "--num-gpu-blocks-override", "40") as server:
        for stream in streams_at_once(server, 20, max_tokens=60):
            assert stream.usage["completion_tokens"] == 60
        server.wait_idle()
