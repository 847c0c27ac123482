#!/usr/bin/env python3
"""Three chats with the official OpenAI client: simple, with other parameters, streamed.

    pip install openai
    OPENAI_BASE_URL=http://localhost:8000/v1 python3 examples/openai_client.py

MODEL names the model; without it the server's first one is asked.
"""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:8000/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "none"),
)
model = os.environ.get("MODEL") or client.models.list().data[0].id


def chat(system, user, temperature=0.7, max_tokens=100):
    reply = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
        temperature=temperature,
        max_tokens=max_tokens,
    )
    return reply.choices[0].message.content


def stream_chat(system, user, temperature=0.7, max_tokens=100):
    """Yields the answer piece by piece, as it is written."""
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
        temperature=temperature,
        max_tokens=max_tokens,
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


print("Example 1: a simple chat")
print(chat("You are a helpful assistant.", "What is the capital of India?"))

print("\nExample 2: other parameters")
print(chat("You are a creative writing assistant.", "Write a short story about the starwars franchise",
           temperature=0.9, max_tokens=200))

print("\nExample 3: streamed")
for piece in stream_chat("You are a helpful assistant.",
                         "Count from 1 to 10, with a brief pause between each number."):
    print(piece, end="", flush=True)
print()
