// The dashboard in Debian's Chromium: against the real server, and against one whose clock is ours. Run by `./dev test pages`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FakeDashboard } from './fake_dashboard.mjs';
import { launch, numRunning, open, serve, until, wait } from './support.mjs';

let browser, paced;
before(async () => {
  browser = await launch();
  // One token each 50 ms, so that requests last.
  paced = await serve('--simulate', 'ttft=50ms,itl=50ms');
});
after(async () => {
  await browser?.close();
  paced?.stop();
});

// So many requests at once, each of 1,500 tokens; `stop` ends them.
function load(count) {
  const stop = new AbortController();
  for (let i = 0; i < count; ++i) {
    fetch(`${paced.url}/v1/completions`, { method: 'POST', signal: stop.signal, headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'pagoda-demo', prompt: `request ${i}`, max_tokens: 1500, ignore_eos: true }) }).catch(() => {});
  }
  return () => stop.abort();
}

const numRows = page => page.locator('button.small').count();

test('the dashboard shows requests in flight, and its numbers are those of /metrics', async () => {
  const stop = load(20);
  const { page, close } = await open(browser, `${paced.url}/dashboard`);
  await page.getByText('RUNNING').first().waitFor();
  await until(async () => await numRows(page) === 20, '20 rows', 8000);
  assert.equal(await numRunning(paced), 20);
  await page.waitForFunction(() => document.querySelector('.tile b').textContent === '20', null, { timeout: 5000 });
  await page.locator('button.small').first().click();
  await until(async () => await numRows(page) === 19, '19 rows');
  stop();
  await page.getByText('Nothing is in flight.').waitFor();
  await close();
});

test('the dashboard shows other servers beside its own, and says which is away', async () => {
  const server = await serve('--peers', `${paced.url},http://127.0.0.1:1`);
  const { page, close } = await open(browser, `${server.url}/dashboard`);
  const states = () => page.locator('[aria-labelledby="replicas"] .server-state').allInnerTexts();
  await until(async () => (await states()).join() === 'RUNNING,RUNNING,UNHEALTHY', 'three servers', 10000);
  assert.equal(await page.locator('[aria-labelledby="replicas"] .why').count(), 1);
  await close();
  server.stop();
});

// Counts what a page does to its table of requests, and how long it takes, from now on.
function watchTable() {
  const seen = { rows: 0, texts: 0, attributes: 0, longTaskMs: 0, longestTaskMs: 0, frames: 0, longestGapMs: 0 };
  window.seen = seen;
  new MutationObserver(records => {
    for (const record of records) {
      if (record.type === 'childList') seen.rows += record.addedNodes.length + record.removedNodes.length;
      else if (record.type === 'characterData') ++seen.texts;
      else ++seen.attributes;
    }
  }).observe(document.querySelector('[aria-labelledby="in-flight"] tbody'), { childList: true, subtree: true, characterData: true, attributes: true });
  new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) {
      seen.longTaskMs += duration;
      seen.longestTaskMs = Math.max(seen.longestTaskMs, duration);
    }
  }).observe({ type: 'longtask' });
  let last = performance.now();
  const frame = now => {
    ++seen.frames;
    seen.longestGapMs = Math.max(seen.longestGapMs, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

test('200 requests in flight are listed, and only what changes of them is drawn again', async t => {
  const stop = load(200);
  const { page, context, close } = await open(browser, `${paced.url}/dashboard`);
  await until(async () => await numRows(page) === 200, '200 rows', 10000);
  assert.equal(await numRunning(paced), 200);
  const session = await context.newCDPSession(page);
  // The time that the page computes, not what other programs take of the cores.
  await session.send('Performance.setTimeDomain', { timeDomain: 'threadTicks' });
  await session.send('Performance.enable');
  const computed = async () => (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration').value;
  await page.evaluate(watchTable);
  const [from, began] = [await computed(), Date.now()];
  await wait(4000);
  const seconds = (Date.now() - began) / 1000;
  const busy = (await computed() - from) / seconds;
  const seen = await page.evaluate(() => window.seen);
  t.diagnostic(`${seconds.toFixed(1)} s: ${JSON.stringify(seen)}, ${(100 * busy).toFixed(1)} % of a core`);
  // A row stays the same row, and of each the age, the tokens and their rate change, once a second.
  assert.equal(seen.rows, 0);
  assert.ok(seen.texts > 200 && seen.texts <= 200 * 4 * (seconds + 2), `${seen.texts} texts changed in ${seconds} s`);
  assert.equal(seen.attributes, 0);
  assert.ok(busy < 0.5, `the page computes ${(100 * busy).toFixed(0)} % of the time`);
  await page.locator('button.small').nth(100).click();
  await until(async () => await numRows(page) === 199, '199 rows');
  stop();
  await close();
});

test('two hours of charts leave the page as large as ten minutes do', async t => {
  const fake = await FakeDashboard.start(paced.url);
  const { page, context, close } = await open(browser, 'about:blank');
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable');
  await session.send('HeapProfiler.enable');
  // The least of several looks: what is garbage goes in its own time.
  const size = async () => {
    const least = { nodes: Infinity, listeners: Infinity, heapMb: Infinity };
    for (let i = 0; i < 6; ++i) {
      await session.send('HeapProfiler.collectGarbage');
      const { metrics } = await session.send('Performance.getMetrics');
      const value = name => metrics.find(metric => metric.name === name).value;
      least.nodes = Math.min(least.nodes, value('Nodes'));
      least.listeners = Math.min(least.listeners, value('JSEventListeners'));
      least.heapMb = Math.min(least.heapMb, value('JSHeapUsedSize') / 1e6);
      await wait(100);
    }
    return least;
  };
  await page.clock.install({ time: fake.now * 1000 });
  await page.goto(`${fake.url}/dashboard`);
  await until(() => fake.numWatchers === 1, 'the page does not watch');
  // What is due in five minutes is done once for all of them.
  const minutes = async count => {
    for (let i = 0; i < count; i += 5) {
      fake.pass(300);
      await page.clock.fastForward(300_000);
      await page.waitForFunction(count => document.querySelector('.tile b')?.textContent === String(count), fake.running);
    }
  };
  await minutes(10);
  const before = await size();
  await minutes(110);
  const after = await size();
  t.diagnostic(`after 10 min ${JSON.stringify(before)}, after 2 h ${JSON.stringify(after)}`);
  assert.equal(await page.locator('.chart canvas').count(), 6);
  assert.ok(after.nodes <= before.nodes * 1.02 + 20, 'nodes of the document');
  assert.ok(after.listeners <= before.listeners + 10, 'listeners');
  assert.ok(after.heapMb <= before.heapMb + 0.6, 'heap');
  fake.stop();
  await context.close();
});
