// The chat page and the dashboard in Debian's Chromium, against the real server. Run by `./dev test pages`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const binary = process.env.PAGODA_BIN;

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

function freePort() {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function serve(...more) {
  const port = await freePort();
  const child = spawn(binary, ['serve', '--port', String(port), ...more], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; ; ++i) {
    const ready = await fetch(`${url}/health`).then(reply => reply.ok, () => false);
    if (ready) return { url, child };
    assert.ok(i < 200 && child.exitCode === null, 'the server did not start');
    await wait(100);
  }
}

let browser, demo, paced;
before(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  demo = await serve();
  // One token each 50 ms, so that an answer lasts.
  paced = await serve('--simulate', 'ttft=50ms,itl=50ms');
});
after(async () => {
  await browser?.close();
  for (const server of [demo, paced]) server?.child.kill('SIGKILL');
});

// A page that fails the test when it logs an error, or asks anything of another host.
async function open(url, options = {}) {
  const context = await browser.newContext({ locale: 'en', ...options });
  const page = await context.newPage();
  const troubles = [];
  page.on('console', message => { if (message.type() === 'error') troubles.push(message.text()); });
  page.on('pageerror', error => troubles.push(error.message));
  page.on('request', request => { if (!request.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(request.url())) troubles.push(request.url()); });
  await page.goto(url);
  return { page, close: async () => { await context.close(); assert.deepEqual(troubles, []); } };
}

async function ask(page, text) {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.keyboard.press('Enter');
}

test('an answer is shown, with its speed', async () => {
  const { page, close } = await open(demo.url);
  await ask(page, 'What is the capital of India?');
  await page.getByText('The capital of India is New Delhi.').waitFor();
  await page.getByText(/tokens\/s/).waitFor();
  await close();
});

test('an answer grows while it streams, and can be stopped', async () => {
  const { page, close } = await open(paced.url);
  await ask(page, 'Go on and on.');
  const main = page.locator('main');
  const lengths = new Set();
  for (let i = 0; i < 30; ++i) {
    lengths.add((await main.innerText()).length);
    await wait(50);
  }
  assert.ok(lengths.size > 8, `${lengths.size} states seen in 1.5 s of 50 ms tokens`);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped.').waitFor();
  const end = Date.now() + 2000;
  while (!/vllm:num_requests_running\{[^}]*\} 0/.test(await (await fetch(`${paced.url}/metrics`)).text())) {
    assert.ok(Date.now() < end, 'the request still runs 2 s after it was stopped');
    await wait(50);
  }
  await close();
});

test('what an answer holds is never run', async () => {
  const hostile = ['<img src=x onerror="window.hurt=1">', '<script>window.hurt=1</script>', '[x](javascript:window.hurt=1)',
    '<svg onload="window.hurt=1">', '<iframe srcdoc="<script>parent.hurt=1</script>"></iframe>', '**bold**', '<a href="data:text/html,x">y</a>'].join('\n\n');
  const context = await browser.newContext({ locale: 'en' });
  const page = await context.newPage();
  await page.route('**/v1/chat/completions', route => {
    const piece = delta => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`;
    const end = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\ndata: [DONE]\n\n`;
    return route.fulfill({ status: 200, contentType: 'text/event-stream', body: piece({ role: 'assistant', content: '' }) + piece({ content: hostile }) + end });
  });
  await page.goto(demo.url);
  await ask(page, 'Be hostile.');
  await page.locator('main strong', { hasText: 'bold' }).waitFor();
  await wait(300);
  assert.equal(await page.evaluate(() => window.hurt), undefined);
  assert.equal(await page.locator('main iframe, main script, main img, main [onerror], main [onload]').count(), 0);
  const links = await page.locator('main a').evaluateAll(all => all.map(a => a.getAttribute('href')));
  assert.ok(links.every(href => href === null || /^(https?:|mailto:|\/)/.test(href)), String(links));
  await context.close();
});

test('conversations outlive the page', async () => {
  const context = await browser.newContext({ locale: 'en' });
  const page = await context.newPage();
  await page.goto(demo.url);
  await ask(page, 'What is 12 plus 7?');
  await page.getByText(/tokens\/s/).waitFor();
  await page.reload();
  await page.getByRole('navigation').or(page.locator('aside')).getByText('What is 12 plus 7?').first().waitFor();
  await context.close();
});

test('a browser that speaks Korean is spoken to in Korean', async () => {
  const { page, close } = await open(demo.url, { locale: 'ko-KR' });
  await page.getByText('무엇이 궁금하세요?').waitFor();
  await close();
});

test('the dashboard shows requests in flight, and its numbers are those of /metrics', async () => {
  const stop = new AbortController();
  for (let i = 0; i < 20; ++i) {
    fetch(`${paced.url}/v1/completions`, { method: 'POST', signal: stop.signal, headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'pagoda-demo', prompt: `request ${i}`, max_tokens: 400, ignore_eos: true }) }).catch(() => {});
  }
  const { page, close } = await open(`${paced.url}/dashboard`);
  await page.getByText('RUNNING').first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll('button.small').length === 20, null, { timeout: 8000 });
  const metrics = await (await fetch(`${paced.url}/metrics`)).text();
  const running = Number(/^vllm:num_requests_running\{[^}]*\} (\d+)/m.exec(metrics)[1]);
  assert.equal(running, 20);
  const tile = page.locator('.tile', { hasText: 'Running' }).locator('b');
  await page.waitForFunction(() => document.querySelector('.tile b').textContent === '20', null, { timeout: 5000 });
  assert.equal(await tile.first().innerText(), '20');
  await page.locator('button.small').first().click();
  await page.waitForFunction(() => document.querySelectorAll('button.small').length === 19, null, { timeout: 5000 });
  stop.abort();
  await page.getByText('Nothing is in flight.').waitFor();
  await close();
});

for (const colorScheme of ['light', 'dark']) {
  for (const path of ['/', '/dashboard']) {
    test(`${path} in ${colorScheme} colours has no violation known to axe`, async () => {
      const { page, close } = await open(demo.url + path, { colorScheme });
      if (path === '/') {
        await ask(page, 'What is the capital of India?');
        await page.getByText(/tokens\/s/).waitFor();
      } else {
        await page.getByText('RUNNING').first().waitFor();
        await wait(1200);
      }
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map(v => `${v.id}: ${v.nodes.map(node => node.html).join(' | ')}`.slice(0, 400)), []);
      await close();
    });
  }
}

test('a phone shows both pages without scrolling sideways', async () => {
  for (const path of ['/', '/dashboard']) {
    const { page, close } = await open(demo.url + path, { viewport: { width: 390, height: 780 } });
    await wait(500);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), path);
    await close();
  }
});
