// Opens a report in headless Chromium and prints, as one JSON object, what the page is there.
//
//   node open_report.mjs REPORT.html [--screenshot OUT.png] [--dark] [--width PIXELS] [--height PIXELS]
//
// Without --height a screenshot is of the whole page.
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options, positionals: [report] } = parseArgs({ allowPositionals: true, options: {
  screenshot: { type: 'string' }, dark: { type: 'boolean' }, width: { type: 'string', default: '1240' },
  height: { type: 'string' }, browser: { type: 'string', default: '/usr/bin/chromium' } } });
const url = pathToFileURL(report).href;

const browser = await chromium.launch({ executablePath: options.browser, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: Number(options.width), height: Number(options.height ?? 900) },
    colorScheme: options.dark ? 'dark' : 'light' });
  const seen = { errors: [], requests: [], dialogs: [] };
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) seen.errors.push(message.text()); });
  page.on('pageerror', error => seen.errors.push(String(error)));
  page.on('request', request => { if (request.url() !== url) seen.requests.push(request.url()); });
  page.on('dialog', dialog => { seen.dialogs.push(dialog.message()); dialog.dismiss(); });
  await page.goto(url);
  await page.waitForTimeout(300);
  Object.assign(seen, await page.evaluate(() => ({
    title: document.title,
    heading: document.querySelector('h1')?.textContent,
    text: document.body.innerText,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    images: document.images.length,
    charts: [...document.querySelectorAll('figure.chart')].map(figure => {
      const box = figure.querySelector(':scope > svg').getBoundingClientRect();
      const marks = [...figure.querySelectorAll(':scope > svg .data')];
      return { title: figure.querySelector('h3').textContent, width: box.width, height: box.height,
        name: figure.querySelector('svg > title')?.textContent, description: figure.querySelector('svg > desc')?.textContent,
        marks: marks.map(mark => ({ length: mark.getAttribute('d').length, width: mark.getBBox().width, height: mark.getBBox().height,
          broken: /NaN|Infinity|undefined/.test(mark.getAttribute('d')) })) };
    }),
    broken: /NaN|undefined|\[object/.test(document.querySelector('main').innerHTML),
  })));
  // What shows under the pointer, for the first chart and at its middle.
  const first = page.locator('figure.chart > svg').first();
  if (await first.count()) {
    await first.hover();
    seen.tip = await page.locator('figure.chart').first().locator('.tip').innerText();
    await page.mouse.move(0, 0);
  }
  if (options.screenshot) await page.screenshot({ path: options.screenshot, fullPage: !options.height });
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
