// What the tests of the pages share: servers, Chromium, and pages that fail a test when something goes wrong in them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const { chromium } = require('playwright-core');
export const axeFile = require.resolve('axe-core/axe.min.js');

export const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

export function freePort() {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// A server that answers /health; `stop` ends it.
export async function serve(...more) {
  const port = await freePort();
  const child = spawn(process.env.PAGODA_BIN, ['serve', '--port', String(port), ...more], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; ; ++i) {
    const ready = await fetch(`${url}/health`).then(reply => reply.ok, () => false);
    if (ready) return { url, child, stop: () => child.kill('SIGKILL') };
    assert.ok(i < 200 && child.exitCode === null, 'the server did not start');
    await wait(100);
  }
}

export const launch = () => chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });

// A page whose `close` fails when it has logged an error, or asked anything of another host.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ locale: 'en', ...options });
  const page = await context.newPage();
  const troubles = [];
  page.on('console', message => { if (message.type() === 'error') troubles.push(message.text()); });
  page.on('pageerror', error => troubles.push(error.message));
  page.on('request', request => {
    if (!request.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(request.url())) troubles.push(request.url());
  });
  await page.goto(url);
  return { page, context, close: async () => { await context.close(); assert.deepEqual(troubles, []); } };
}

export async function ask(page, text) {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  // Off until the page knows the server's models.
  await page.locator('button.send:enabled').waitFor();
  await page.keyboard.press('Enter');
}

// Until `check` gives something true; fails with `what` after `ms`.
export async function until(check, what, ms = 5000) {
  for (const end = Date.now() + ms; ;) {
    const got = await check();
    if (got) return got;
    assert.ok(Date.now() < end, what);
    await wait(50);
  }
}

export async function numRunning(server) {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^vllm:num_requests_running\{[^}]*\} (\d+)/m.exec(metrics)[1]);
}

// Answers chat requests of the page with these texts in turn, whole; the bodies that it sent come back.
export async function answerWith(page, ...texts) {
  const bodies = [];
  await page.route('**/v1/chat/completions', route => {
    const text = texts[Math.min(bodies.length, texts.length - 1)];
    bodies.push(route.request().postDataJSON());
    const event = (delta, finish) => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm',
      choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
    return route.fulfill({ status: 200, contentType: 'text/event-stream',
      body: `${event({ role: 'assistant', content: '' }, null)}${event({ content: text }, null)}${event({}, 'stop')}data: [DONE]\n\n` });
  });
  return bodies;
}
