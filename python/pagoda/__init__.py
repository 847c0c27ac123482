"""Pagoda from Python: servers, offline generation, and an application for Ray Serve."""

from pagoda.engine import EngineError, find_binary
from pagoda.llm import LLM, CompletionOutput, Logprob, RequestOutput, SamplingParams
from pagoda.server import Server

__all__ = ["LLM", "CompletionOutput", "EngineError", "Logprob", "RequestOutput", "SamplingParams", "Server",
           "find_binary"]
