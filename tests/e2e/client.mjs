// What the official client for Node makes of the server's answers, as one JSON object on stdout.
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: 'none', maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [
  { role: 'system', content: 'You are a helpful assistant.' },
  { role: 'user', content: 'What is the capital of India?' },
];
const request = { model, messages, temperature: 0, max_tokens: 100 };

const plain = await client.chat.completions.create(request);

let streamed = '';
let finishReason = null;
let usage = null;
const chunks = await client.chat.completions.create({
  ...request, stream: true, stream_options: { include_usage: true } });
for await (const chunk of chunks) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
  finishReason = chunk.choices[0]?.finish_reason ?? finishReason;
  usage = chunk.usage ?? usage;
}

// The helper checks that the pieces fit together, and throws when they do not.
const helper = client.chat.completions.stream(request);
const assembled = await helper.finalContent();

const aborted = await client.chat.completions.create({
  ...request, max_tokens: 1000, ignore_eos: true, stream: true });
let seen = 0;
for await (const chunk of aborted) {
  seen += chunk.choices.length;
  aborted.controller.abort();
}

const completion = await client.completions.create({ model, prompt: 'Once upon a time', max_tokens: 5 });

let refusal = null;
try {
  await client.chat.completions.create({ ...request, model: 'no-such-model' });
} catch (error) {
  refusal = { status: error.status, message: error.message, kind: error.constructor.name };
}

console.log(JSON.stringify({
  plain: plain.choices[0].message.content, plainUsage: plain.usage, streamed, finishReason, usage, assembled,
  seenBeforeAbort: seen, completion: completion.choices[0].text, refusal }));
