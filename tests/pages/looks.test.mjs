// What holds for both pages: no violation known to axe, and no scrolling sideways on a phone. Run by `./dev test pages`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ask, axeFile, launch, open, serve, wait } from './support.mjs';

const axe = readFileSync(axeFile, 'utf8');
let browser, demo;
before(async () => {
  browser = await launch();
  demo = await serve();
});
after(async () => {
  await browser?.close();
  demo?.stop();
});

for (const colorScheme of ['light', 'dark']) {
  for (const path of ['/', '/dashboard']) {
    test(`${path} in ${colorScheme} colours has no violation known to axe`, async () => {
      const { page, close } = await open(browser, demo.url + path, { colorScheme });
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
    const { page, close } = await open(browser, demo.url + path, { viewport: { width: 390, height: 780 } });
    await wait(500);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), path);
    await close();
  }
});
