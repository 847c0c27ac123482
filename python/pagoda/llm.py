"""Offline generation with vLLM's interface: `LLM` and `SamplingParams`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import http.client
import itertools
import os
import socket
import threading
import weakref
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from pagoda.engine import EngineError
from pagoda.server import Server

Prompt = Union[str, Sequence[int], Mapping[str, Any]]
Message = Mapping[str, Any]
Position = Tuple[int, Dict[int, float]]  # the chosen token, and the logprob of it and of others

_MAX_REQUESTS_AT_ONCE = 256  # more than the engine computes at once, so it never waits for us


@dataclasses.dataclass
class SamplingParams:
    """How to choose tokens: vLLM's names and defaults.

    max_tokens=None fills the context. What this build does not support (`prompt_logprobs`, `bad_words`) is
    refused by the engine, by name.
    """

    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: Optional[int] = None
    stop: Union[str, List[str], None] = None
    stop_token_ids: Optional[List[int]] = None
    bad_words: Optional[List[str]] = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    max_tokens: Optional[int] = 16
    min_tokens: int = 0
    logprobs: Optional[int] = None
    prompt_logprobs: Optional[int] = None
    skip_special_tokens: bool = True
    logit_bias: Optional[Dict[int, float]] = None
    allowed_token_ids: Optional[List[int]] = None

    def fields(self) -> Dict[str, Any]:
        """The members of a request. All are sent, so that no default of the model's takes their place."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclasses.dataclass
class Logprob:
    """How likely a token was. `rank` is 1 for the likeliest; None for a chosen token that is not among those asked for."""

    logprob: float
    rank: Optional[int] = None
    decoded_token: Optional[str] = None


@dataclasses.dataclass
class CompletionOutput:
    """One continuation. `token_ids` has the token that ended it; `logprobs` has not."""

    index: int
    text: str
    token_ids: List[int]
    cumulative_logprob: Optional[float] = None
    logprobs: Optional[List[Dict[int, Logprob]]] = None
    finish_reason: Optional[str] = None
    stop_reason: Union[int, str, None] = None


@dataclasses.dataclass
class RequestOutput:
    """All that came of one prompt."""

    request_id: str
    prompt: Optional[str]
    prompt_token_ids: List[int]
    outputs: List[CompletionOutput]
    prompt_logprobs: None = None
    finished: bool = True
    num_cached_tokens: Optional[int] = None


class _Call:
    """The connections of one call, one for each of its threads."""

    def __init__(self) -> None:
        self.connections: List[http.client.HTTPConnection] = []
        self.ended = False

    def hang_up(self) -> None:
        """Ends the requests under way: the engine ends those of clients that leave, and here they fail at once."""
        self.ended = True
        for connection in list(self.connections):
            sock: Optional[socket.socket] = connection.sock
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


class LLM:
    """A model on an engine of its own, for batches.

        llm = pagoda.LLM("models/demo")
        for output in llm.generate(["One, two,", "The capital of"], pagoda.SamplingParams(max_tokens=8)):
            print(output.outputs[0].text)

    The prompts of a call run together. A context manager; `close()` ends the engine, and so does the end of
    this object or of this process. A call that fails or is interrupted ends all its requests. Thread-safe.

    model:     folder, GGUF file or ORG/NAME on a hub; None: the one of PAGODA_MODEL, else the built-in demo model
    settings:  any setting of docs/settings.md, by its name with underscores
    """

    def __init__(self, model: "str | os.PathLike[str] | None" = None, *, startup_timeout: float = 600, **settings: Any) -> None:
        if "gpu_memory_utilization" in settings:
            settings.setdefault("memory_utilization", settings.pop("gpu_memory_utilization"))
        settings.setdefault("log_level", "warning")
        settings.setdefault("max_queue_time", 0)
        self._server = Server(model, uds=True, startup_timeout=startup_timeout, drain_timeout=0, **settings)
        self._names: Dict[int, str] = {}
        self._ids = itertools.count()
        self._local = threading.local()
        self._server.start()
        self._end = weakref.finalize(self, self._server.stop)

    def __enter__(self) -> "LLM":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the engine; requests that still run fail."""
        self._end()

    def generate(self, prompts: Union[Prompt, Sequence[Prompt]],
                 sampling_params: Union[SamplingParams, Sequence[SamplingParams], None] = None,
                 use_tqdm: bool = False) -> List[RequestOutput]:
        """Continues each prompt; the outputs stand in the order of the prompts.

        prompts:          texts, token ids, `{"prompt": text}` or `{"prompt_token_ids": ids}`; one or a list
        sampling_params:  one for all, or one for each; None: the model's defaults
        use_tqdm:         accepted for vLLM's sake, without effect
        """
        listed = _as_prompts(prompts)
        return self._run(self._complete, listed, sampling_params)

    def chat(self, messages: Union[Sequence[Message], Sequence[Sequence[Message]]],
             sampling_params: Union[SamplingParams, Sequence[SamplingParams], None] = None,
             use_tqdm: bool = False, *, chat_template_kwargs: Optional[Mapping[str, Any]] = None,
             add_generation_prompt: bool = True, continue_final_message: bool = False) -> List[RequestOutput]:
        """Answers each conversation: a list of messages, or a list of such lists."""
        conversations: Any = [messages] if messages and isinstance(messages[0], Mapping) else messages
        extra: Dict[str, Any] = {"add_generation_prompt": add_generation_prompt,
                                 "continue_final_message": continue_final_message}
        if chat_template_kwargs:
            extra["chat_template_kwargs"] = dict(chat_template_kwargs)
        return self._run(lambda item, params: self._answer(item, params, extra), conversations, sampling_params)

    def _run(self, work: Callable[[Any, Optional[SamplingParams]], RequestOutput], items: Sequence[Any],
             sampling_params: Union[SamplingParams, Sequence[SamplingParams], None]) -> List[RequestOutput]:
        if sampling_params is None or isinstance(sampling_params, SamplingParams):
            params: Sequence[Optional[SamplingParams]] = [sampling_params] * len(items)
        else:
            params = sampling_params
        if len(params) != len(items):
            raise ValueError(f"sampling_params: {len(params)} for {len(items)} prompts")
        if not items:
            return []
        call = _Call()
        pool = concurrent.futures.ThreadPoolExecutor(min(len(items), _MAX_REQUESTS_AT_ONCE), "pagoda-llm", self._join,
                                                     (call,))
        try:
            tasks = [pool.submit(work, item, one) for item, one in zip(items, params)]
            for task in concurrent.futures.wait(tasks, return_when=concurrent.futures.FIRST_EXCEPTION).done:
                task.result()  # raises for the first that failed
            return [task.result() for task in tasks]
        except BaseException:
            call.hang_up()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            call.close()

    def _join(self, call: _Call) -> None:
        """A thread of a call begins."""
        self._local.call = call
        self._local.connection = self._server.connect()
        call.connections.append(self._local.connection)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        if self._local.call.ended:
            raise EngineError("another request of the same call has failed")
        return self._server.request("POST", path, body, connection=self._local.connection)

    def _complete(self, prompt: Any, params: Optional[SamplingParams]) -> RequestOutput:
        body: Dict[str, Any] = {"prompt": prompt, "return_token_ids": True, "return_tokens_as_token_ids": True}
        if params is not None:
            body.update(params.fields())
            if params.max_tokens is None:
                body["max_tokens"] = self._room(prompt)
        reply = self._post("/v1/completions", body)
        num_tops = params.logprobs or 0 if params is not None else 0
        outputs = [self._output(choice, choice["text"], _completion_logprobs(choice["logprobs"]), num_tops)
                   for choice in reply["choices"]]
        return self._request_output(reply, prompt if isinstance(prompt, str) else None,
                                    reply["choices"][0]["prompt_token_ids"], outputs)

    def _room(self, prompt: Any) -> int:
        """Tokens that the context has left behind a prompt."""
        if isinstance(prompt, str):
            counted = self._post("/tokenize", {"prompt": prompt})
            return max(1, int(counted["max_model_len"]) - int(counted["count"]))
        return max(1, int(self._server.request("GET", "/v1/models")["data"][0]["max_model_len"]) - len(prompt))

    def _answer(self, messages: Sequence[Message], params: Optional[SamplingParams],
                extra: Mapping[str, Any]) -> RequestOutput:
        asked: Dict[str, Any] = {"messages": list(messages), **extra}
        body = {**asked, "return_token_ids": True, "return_tokens_as_token_ids": True}
        if params is not None:
            body.update(params.fields())
            if params.logprobs is not None:
                body.update(logprobs=True, top_logprobs=params.logprobs)
        reply = self._post("/v1/chat/completions", body)
        num_tops = params.logprobs or 0 if params is not None else 0
        outputs = [self._output(choice, choice["message"]["content"], _chat_logprobs(choice["logprobs"]), num_tops)
                   for choice in reply["choices"]]
        prompt = self._post("/apply-template", asked)["prompt"]
        return self._request_output(reply, prompt, reply["prompt_token_ids"], outputs)

    def _output(self, choice: Mapping[str, Any], text: str, entries: Optional[List[Position]],
                num_tops: int) -> CompletionOutput:
        output = CompletionOutput(choice["index"], text, choice["token_ids"], None, None, choice["finish_reason"],
                                  choice["stop_reason"])
        if entries is not None:
            output.logprobs = [self._position(chosen, tops, num_tops) for chosen, tops in entries]
            output.cumulative_logprob = sum(tops[chosen] for chosen, tops in entries)
        return output

    def _position(self, chosen: int, tops: Mapping[int, float], num_tops: int) -> Dict[int, Logprob]:
        # Equal ones: the chosen token last, since it is the one that may not be among those asked for.
        ordered = sorted(tops, key=lambda token: (-tops[token], token == chosen))
        return {token: Logprob(tops[token], rank if rank <= num_tops else None, self._name(token))
                for rank, token in enumerate(ordered, 1)}

    def _name(self, token: int) -> str:
        if token not in self._names:
            self._names[token] = self._post("/detokenize", {"tokens": [token]})["prompt"]
        return self._names[token]

    def _request_output(self, reply: Mapping[str, Any], prompt: Optional[str], ids: List[int],
                        outputs: List[CompletionOutput]) -> RequestOutput:
        cached = reply["usage"]["prompt_tokens_details"]["cached_tokens"]
        return RequestOutput(str(next(self._ids)), prompt, ids, outputs, num_cached_tokens=cached)


def _as_prompts(prompts: Any) -> List[Any]:
    """Texts and lists of ids, whatever form they were given in."""
    if isinstance(prompts, (str, Mapping)) or (prompts and isinstance(prompts[0], int)):
        prompts = [prompts]
    listed = []
    for prompt in prompts:
        if isinstance(prompt, Mapping):
            prompt = prompt["prompt_token_ids"] if "prompt_token_ids" in prompt else prompt["prompt"]
        listed.append(prompt if isinstance(prompt, str) else list(prompt))
    return listed


def _id(name: str) -> int:
    return int(name[len("token_id:"):])


def _completion_logprobs(logprobs: Any) -> Optional[List[Position]]:
    if logprobs is None:
        return None
    return [(_id(name), {_id(key): value for key, value in tops.items()})
            for name, tops in zip(logprobs["tokens"], logprobs["top_logprobs"])]


def _chat_logprobs(logprobs: Any) -> Optional[List[Position]]:
    if logprobs is None:
        return None
    entries = []
    for entry in logprobs["content"]:
        tops = {_id(top["token"]): top["logprob"] for top in entry["top_logprobs"]}
        tops[_id(entry["token"])] = entry["logprob"]
        entries.append((_id(entry["token"]), tops))
    return entries
