// The real Open WebUI, unchanged, before this server: what its user does in Chromium. Run by `./dev test open-webui`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const start = new URL('../../deploy/open-webui/start', import.meta.url).pathname;
const kPatience = 30_000;

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(what, check, patience = kPatience) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(Date.now() < end, `${what}: not within ${patience} ms`);
    await wait(50);
  }
}

function freePort() {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

const children = [];

async function launch(command, args, env, url, patience) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  children.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => { said = (said + data).slice(-4000); });
  await until(`${command} ${args}`, () => {
    assert.equal(child.exitCode, null, said);
    return fetch(url).then(reply => reply.ok, () => false);
  }, patience);
}

async function pagoda(...args) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  await launch(process.env.PAGODA_BIN, ['serve', '--port', String(port), ...args], {}, `${url}/health`, kPatience);
  const get = path => fetch(url + path).then(reply => reply.json());
  return {
    url,
    inFlight: async () => (await get('/dashboard/api/requests')).requests,
    ended: async () => (await get('/dashboard/api/recent?show=newest&limit=100')).requests,
  };
}

// Passes requests on and remembers them: the server itself keeps no text.
async function recording(upstream) {
  const port = await freePort();
  const calls = [];
  http.createServer((request, response) => {
    const parts = [];
    request.on('data', part => parts.push(part));
    request.on('end', () => {
      const sent = Buffer.concat(parts);
      const onward = http.request(upstream + request.url, { method: request.method, headers: request.headers }, reply => {
        response.writeHead(reply.statusCode, reply.headers);
        reply.pipe(response);
        reply.on('end', () => {
          if (request.method === 'POST') calls.push({ status: reply.statusCode, body: JSON.parse(sent) });
        });
      });
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      onward.end(sent);
    });
  }).listen(port, '127.0.0.1').unref();
  return { url: `http://127.0.0.1:${port}`, calls };
}

let demo, paced, seen, home, browser, page;
const site = { url: '' };

before(async () => {
  demo = await pagoda('--served-model-name', 'demo');
  // A token each 50 ms: answers of five seconds, and tasks that are cut after two.
  paced = await pagoda('--served-model-name', 'paced', '--simulate', 'ttft=50ms,itl=50ms,output=100', '--max-num-background-seqs', '1',
    '--max-task-tokens', '40', '--ignore-tools');
  seen = await recording(demo.url);
  home = mkdtempSync(join(tmpdir(), 'open-webui-'));
  const port = await freePort();
  site.url = `http://127.0.0.1:${port}`;
  await launch(start, [], {
    OPEN_WEBUI_HOME: home, OPEN_WEBUI_PORT: String(port), OPENAI_API_BASE_URLS: `${seen.url}/v1;${paced.url}/v1`, OPENAI_API_KEYS: ';',
    DEFAULT_MODEL_PARAMS: '{"temperature": 0}',
  }, `${site.url}/health`, 180_000);
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  page = await (await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 800 } })).newPage();
  page.setDefaultTimeout(kPatience);
});

after(async () => {
  await browser?.close();
  for (const child of children) child.kill('SIGKILL');
  if (home) rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

async function newChat(model, tab = page) {
  await tab.goto(site.url);
  await tab.getByRole('button', { name: /^Selected model/ }).click();
  await tab.getByRole('option', { name: `Select ${model} model` }).click();
  await tab.getByRole('button', { name: `Selected model: ${model}` }).waitFor();
}

async function type(text, tab = page) {
  await tab.locator('#chat-input').click();
  await tab.keyboard.type(text);
}

async function ask(text) {
  await type(text);
  await page.keyboard.press('Enter');
}

const answers = () => page.locator('#response-content-container');
const isTask = call => call.body.messages[0].content.startsWith('### Task:');

async function stop() {
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
}

async function chatsRunning(server) {
  return (await server.inFlight()).filter(request => request.priority === 'interactive').length;
}

test('who comes first signs up, and finds the models of both servers', async () => {
  await page.goto(site.url);
  await page.getByRole('button', { name: 'Get started' }).click();
  await page.locator('input#name').fill('Operator');
  await page.locator('input#email').fill('operator@example.org');
  await page.locator('input#password').fill('correct-Horse-7');
  await page.locator('button[type=submit]').click();
  await page.getByRole('button', { name: "Okay, Let's Go!" }).click();
  await page.getByRole('button', { name: /^Selected model/ }).click();
  const names = await page.getByRole('option').evaluateAll(all => all.map(option => option.getAttribute('aria-label')));
  for (const model of ['demo', 'paced']) assert.ok(names.includes(`Select ${model} model`), String(names));
});

test('an answer is the one that the API gives', async () => {
  await newChat('demo');
  await ask('What is the capital of India?');
  await until('the answer', async () => await answers().count() === 1 && (await answers().innerText()).includes('.'));
  const call = await until('the chat', () => seen.calls.find(one => !isTask(one)));
  assert.deepEqual(call.body, { model: 'demo', stream: true, temperature: 0, messages: [{ role: 'user', content: 'What is the capital of India?' }] });
  const direct = await (await fetch(`${demo.url}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...call.body, stream: false }),
  })).json();
  await until('the same text', async () => (await answers().innerText()).trim() === direct.choices[0].message.content.trim());
});

test('its title, tags and follow-ups come as background work, and succeed', async () => {
  const tasks = await until('three tasks', () => {
    const all = seen.calls.filter(isTask);
    return all.length >= 3 && all;
  });
  for (const name of ['"title"', '"tags"', '"follow_ups"']) {
    const found = tasks.filter(task => task.body.messages[0].content.includes(name));
    assert.equal(found.length, 1, name);
    assert.equal(found[0].status, 200, name);
    assert.equal(found[0].body.messages.length, 1, name);
  }
  const ended = (await demo.ended()).filter(request => !request.stream && request.priority === 'background');
  assert.equal(ended.length, 3);
  for (const request of ended) {
    assert.ok(['stop', 'length'].includes(request.end), request.end);
    assert.ok(request.max_tokens <= 1024, String(request.max_tokens));
  }
  const chats = (await demo.ended()).filter(request => request.stream);
  assert.deepEqual(chats.map(request => request.priority), ['interactive']);
});

test('an answer grows while it streams, and stops when it is told to', async () => {
  await newChat('paced');
  await ask('Go on and on.');
  await answers().waitFor();
  const lengths = new Set();
  for (const end = Date.now() + 2000; Date.now() < end; await wait(50)) lengths.add((await answers().innerText()).length);
  assert.ok(lengths.size > 8, `${lengths.size} states seen in 2 s of 50 ms tokens`);
  assert.equal(await chatsRunning(paced), 1);
  await stop();
  await until('the end of the chat', async () => await chatsRunning(paced) === 0, 2000);
  await page.getByRole('button', { name: 'Stop', exact: true }).waitFor({ state: 'detached' });
  const left = (await paced.ended()).find(request => request.stream);
  assert.equal(left.end, 'client_left');
  assert.ok(left.output_tokens < 100, String(left.output_tokens));
  // Its tasks last a little longer.
  await until('running: 0', async () => /^vllm:num_requests_running\{[^}]*\} 0$/m.test(await (await fetch(`${paced.url}/metrics`)).text()));
});

test('of many tasks as many run as may, and no chat waits for them', async () => {
  const tasksBefore = (await paced.ended()).filter(request => request.priority === 'background').length;
  const second = await page.context().newPage();
  for (const tab of [page, second]) {
    await newChat('paced', tab);
    await type('Until the end.', tab);
  }
  await Promise.all([page, second].map(tab => tab.keyboard.press('Enter')));
  const phases = await until('tasks side by side', async () => {
    const all = (await paced.inFlight()).filter(request => request.priority === 'background').map(request => request.phase);
    return all.length > 1 && all;
  });
  assert.equal(phases.filter(phase => phase !== 'queued').length, 1, String(phases));
  const other = await (await fetch(`${paced.url}/v1/chat/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'paced', max_tokens: 3, messages: [{ role: 'user', content: 'And me?' }] }),
  })).json();
  assert.equal(other.usage.completion_tokens, 3);
  assert.ok((await paced.inFlight()).some(request => request.priority === 'background'));
  // In turn they all end by themselves.
  const tasks = await until('the end of the tasks', async () => {
    const all = (await paced.ended()).filter(request => request.priority === 'background');
    return all.length >= tasksBefore + 6 && all;
  }, 60_000);
  for (const task of tasks) assert.deepEqual([task.end, task.output_tokens], ['length', 40]);
  await second.close();
});

test('tools that it offers are refused with the reason, or ignored where the server is told so', async () => {
  const api = async (method, path, data) => page.evaluate(async ([m, p, d]) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${localStorage.token}` };
    return (await fetch(p, { method: m, headers, body: d && JSON.stringify(d) })).json();
  }, [method, path, data]);
  const settings = await api('GET', '/api/v1/configs/models');
  assert.deepEqual(settings.DEFAULT_MODEL_METADATA, { capabilities: { builtin_tools: false } });
  await api('POST', '/api/v1/configs/models', { ...settings, DEFAULT_MODEL_METADATA: {} });
  await newChat('demo');
  await ask('Which tools?');
  await page.getByText('--ignore-tools').first().waitFor();
  const call = seen.calls.findLast(one => !isTask(one));
  assert.equal(call.status, 400);
  assert.ok(call.body.tools.length > 0);
  await newChat('paced');
  await ask('Without tools.');
  await until('an answer', async () => await answers().count() === 1 && (await answers().innerText()).length > 20);
  await stop();
});
