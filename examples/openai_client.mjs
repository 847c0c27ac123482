// Three chats with the official OpenAI client: simple, with other parameters, streamed.
//
//     npm install openai
//     OPENAI_BASE_URL=http://localhost:8000/v1 node examples/openai_client.mjs
//
// MODEL names the model; without it the server's first one is asked.

import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: process.env.OPENAI_BASE_URL || 'http://localhost:8000/v1',
  apiKey: process.env.OPENAI_API_KEY || 'none',
});
const model = process.env.MODEL || (await client.models.list()).data[0].id;

function request(system, user, options = {}) {
  return {
    model,
    messages: [{ role: 'system', content: system }, { role: 'user', content: user }],
    temperature: 0.7,
    max_tokens: 100,
    ...options,
  };
}

console.log('Example 1: a simple chat');
const simple = await client.chat.completions.create(
  request('You are a helpful assistant.', 'What is the capital of India?'));
console.log(simple.choices[0].message.content);

console.log('\nExample 2: other parameters');
const story = await client.chat.completions.create(
  request('You are a creative writing assistant.', 'Write a short story about the starwars franchise',
          { temperature: 0.9, max_tokens: 200 }));
console.log(story.choices[0].message.content);

console.log('\nExample 3: streamed');
const stream = await client.chat.completions.create(
  request('You are a helpful assistant.', 'Count from 1 to 10, with a brief pause between each number.',
          { stream: true }));
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? '');
}
console.log();
