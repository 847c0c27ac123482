// The chat page in Debian's Chromium, against the real server. Run by `./dev test pages`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { answerWith, ask, launch, numRunning, open, serve, until, wait } from './support.mjs';

let browser, demo, paced;
before(async () => {
  browser = await launch();
  demo = await serve();
  // One token each 50 ms, so that an answer lasts.
  paced = await serve('--simulate', 'ttft=50ms,itl=50ms');
});
after(async () => {
  await browser?.close();
  demo?.stop();
  paced?.stop();
});

const answers = page => page.locator('.message.assistant .markdown');
const picker = (page, name) => page.locator(`input[type="file"][aria-label="${name}"]`);
const textFile = (name, text) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });

async function exportAll(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export all' }).click()]);
  return readFileSync(await download.path(), 'utf8');
}

test('an answer is shown, with its speed', async () => {
  const { page, close } = await open(browser, demo.url);
  await ask(page, 'What is the capital of India?');
  await page.getByText('The capital of India is New Delhi.').waitFor();
  await page.getByText(/tokens\/s/).waitFor();
  await close();
});

test('an answer grows while it streams; stopped in the middle it ends, keeps its text and shows its speed', async () => {
  const { page, close } = await open(browser, paced.url);
  await ask(page, 'Go on and on.');
  const lengths = new Set();
  for (let i = 0; i < 30; ++i) {
    lengths.add((await page.locator('main').innerText()).length);
    await wait(50);
  }
  assert.ok(lengths.size > 8, `${lengths.size} states seen in 1.5 s of 50 ms tokens`);
  const seen = await answers(page).innerText();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped.').waitFor();
  await until(async () => await numRunning(paced) === 0, 'the request still runs 2 s after it was stopped', 2000);
  const kept = await answers(page).innerText();
  assert.ok(kept.startsWith(seen), `"${kept}" after "${seen}"`);
  const stats = await page.locator('.message.assistant .stats').innerText();
  const [, tokens, rate] = /^(\d+) tokens · ([\d.]+) tokens\/s · first after .* · /.exec(stats) ?? assert.fail(stats);
  assert.ok(Number(tokens) >= 8 && Number(rate) > 1 && Number(rate) < 40, stats);
  // The conversation goes on after it.
  await ask(page, 'And again.');
  await page.getByRole('button', { name: 'Stop' }).click();
  await until(async () => await numRunning(paced) === 0, 'the second request still runs');
  await close();
});

test('what an answer holds is never run', async () => {
  const hostile = ['<img src=x onerror="window.hurt=1">', '<script>window.hurt=1</script>', '[x](javascript:window.hurt=1)',
    '<svg onload="window.hurt=1">', '<iframe srcdoc="<script>parent.hurt=1</script>"></iframe>', '<button onclick="window.hurt=1">x</button>',
    '**bold**', '<a href="data:text/html,x">y</a>'].join('\n\n');
  const { page, context } = await open(browser, demo.url);
  await answerWith(page, hostile);
  await ask(page, 'Be hostile.');
  await page.locator('main strong', { hasText: 'bold' }).waitFor();
  await wait(300);
  assert.equal(await page.evaluate(() => window.hurt), undefined);
  assert.equal(await page.locator('.markdown').locator('iframe, script, img, button, [onerror], [onload], [onclick]').count(), 0);
  const links = await page.locator('main a').evaluateAll(all => all.map(a => a.getAttribute('href')));
  assert.ok(links.every(href => href === null || /^(https?:|mailto:|\/)/.test(href)), String(links));
  await context.close();
});

test('code is copied by keyboard alone', async () => {
  const { page, close } = await open(browser, demo.url, { permissions: ['clipboard-read', 'clipboard-write'] });
  await answerWith(page, 'Look:\n\n```python\nprint("a < b")\n```\n');
  await ask(page, 'Write code.');
  await page.locator('.message.assistant footer').waitFor();
  await page.evaluate(() => document.activeElement.blur());
  for (let presses = 0; !await page.evaluate(() => document.activeElement.matches('.copy-code')); ++presses) {
    assert.ok(presses < 60, 'Tab does not get to the button of the code');
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), 'print("a < b")');
  await page.getByRole('button', { name: 'Copy code' }).waitFor();
  await close();
});

test('conversations outlive the page', async () => {
  const { page, close } = await open(browser, demo.url);
  await ask(page, 'What is 12 plus 7?');
  await page.getByText(/tokens\/s/).waitFor();
  await page.reload();
  await page.getByRole('navigation').getByText('What is 12 plus 7?').first().waitFor();
  await close();
});

for (const [name, leave] of [
  ['a reload', page => page.reload()],
  ['a crash of the page', async page => {
    // What came in the last second before a crash may be lost.
    await wait(1200);
    const session = await page.context().newCDPSession(page);
    await session.send('Page.crash').catch(() => {});
  }],
]) {
  test(`${name} in the middle of an answer keeps what had arrived, as a stopped answer`, async () => {
    const { page, context } = await open(browser, paced.url);
    await ask(page, 'Go on and on.');
    const seen = await until(async () => {
      const text = await answers(page).count() > 0 ? await answers(page).innerText() : '';
      return text.length > 40 && text;
    }, 'no answer');
    const gone = leave(page);
    // A page that has crashed answers nothing any more, so another one looks.
    if (name === 'a reload') await gone;
    else await Promise.race([gone, wait(500)]);
    const reader = name === 'a reload' ? page : await context.newPage();
    if (reader !== page) {
      await reader.goto(paced.url);
      await reader.getByRole('navigation').getByText('Go on and on.').click();
    }
    await reader.getByText('Stopped.').waitFor();
    const kept = await answers(reader).innerText();
    assert.ok(kept.startsWith(seen), `"${kept}" after "${seen}"`);
    await reader.getByText(/tokens\/s/).waitFor();
    await context.close();
    await until(async () => await numRunning(paced) === 0, 'the request of the page that is gone still runs');
  });
}

test('a chat that one tab is answering cannot be written to in another, which shows the answer once it has ended', async () => {
  const { page, context, close } = await open(browser, paced.url);
  await ask(page, 'Go on and on.');
  await until(async () => await answers(page).count() > 0 && (await answers(page).innerText()).length > 40, 'no answer');
  const other = await context.newPage();
  await other.goto(paced.url);
  await other.getByRole('navigation').getByText('Go on and on.').click();
  const field = other.getByRole('textbox', { name: 'Message' });
  await other.getByPlaceholder('Being answered in another tab').waitFor();
  await field.fill('From here.');
  await field.press('Enter');
  assert.equal(await field.inputValue(), 'From here.');
  assert.equal(await numRunning(paced), 1);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped.').waitFor();
  const whole = await answers(page).innerText();
  await other.getByText('Stopped.').waitFor();
  assert.equal(await answers(other).innerText(), whole);
  await other.locator('button.send:enabled').waitFor();
  await close();
});

test('a question that is edited replaces what came after it', async () => {
  const { page, close } = await open(browser, demo.url);
  const sent = [];
  page.on('request', request => { if (request.url().endsWith('/v1/chat/completions')) sent.push(request.postDataJSON().messages); });
  await ask(page, 'What is the capital of India?');
  await page.getByText('The capital of India is New Delhi.').waitFor();
  await page.getByText(/tokens\/s/).waitFor();
  await ask(page, 'What is 12 plus 7?');
  await until(() => page.locator('.message.assistant .stats').count().then(count => count === 2), 'two answers');
  await page.getByRole('button', { name: 'Edit', exact: true }).first().click();
  await page.locator('.editor textarea').fill('What is the capital of France?');
  await page.keyboard.press('Enter');
  await page.getByText('The capital of France is Paris.').waitFor();
  assert.equal(await page.locator('.message').count(), 2);
  assert.equal(await page.getByText('New Delhi').count(), 0);
  assert.deepEqual(sent.at(-1), [{ role: 'user', content: 'What is the capital of France?' }]);
  await close();
});

test('an answer that is regenerated stands beside the first, and the one shown is what the model is told', async () => {
  const { page, close } = await open(browser, demo.url);
  const sent = await answerWith(page, 'The first answer.', 'The second answer.', 'Done.');
  await ask(page, 'Say something.');
  await page.getByText('The first answer.').waitFor();
  await page.getByRole('button', { name: 'Regenerate' }).click();
  await page.getByText('The second answer.').waitFor();
  await page.getByText('2/2').waitFor();
  assert.deepEqual(sent[1].messages, [{ role: 'user', content: 'Say something.' }]);
  await page.getByRole('button', { name: 'Previous answer' }).click();
  await page.getByText('The first answer.').waitFor();
  await page.getByText('1/2').waitFor();
  await ask(page, 'Go on.');
  await page.getByText('Done.').waitFor();
  assert.deepEqual(sent[2].messages.map(({ content }) => content), ['Say something.', 'The first answer.', 'Go on.']);
  await close();
});

test('a text file is attached, shown and sent in a fence of its own; a binary one is refused', async () => {
  const { page, close } = await open(browser, demo.url);
  const sent = await answerWith(page, 'Read it.');
  await picker(page, 'Attach text files').setInputFiles([textFile('notes.md', 'one\n```\ntwo\n```\n'), textFile('picture.bin', 'a\0b')]);
  await page.getByText('picture.bin is not a text file').waitFor();
  assert.deepEqual(await page.locator('.files .name').allInnerTexts(), ['notes.md']);
  await ask(page, 'Summarise this.');
  await page.getByText('Read it.').waitFor();
  assert.deepEqual(sent[0].messages, [{ role: 'user', content: 'Summarise this.\n\nnotes.md\n````\none\n```\ntwo\n```\n\n````' }]);
  assert.equal(await page.locator('.files').count(), 0);
  await page.locator('.attachment summary').click();
  assert.equal(await page.locator('.attachment pre').innerText(), 'one\n```\ntwo\n```\n');
  await close();
});

test('what one browser exports, another imports', async () => {
  const first = await open(browser, demo.url);
  await answerWith(first.page, 'Of **course**.');
  await picker(first.page, 'Attach text files').setInputFiles([textFile('a.txt', 'in the file')]);
  await ask(first.page, 'Can you read?');
  await first.page.locator('main strong', { hasText: 'course' }).waitFor();
  await first.page.locator('.message.assistant footer').waitFor();
  const file = await exportAll(first.page);
  await first.close();

  const second = await open(browser, demo.url);
  await picker(second.page, 'Import').setInputFiles([textFile('chats.json', file)]);
  await second.page.getByText('1 chats imported').waitFor();
  await second.page.locator('main strong', { hasText: 'course' }).waitFor();
  const content = json => JSON.parse(json, (key, value) => (key === 'id' || key === 'exported' ? undefined : value));
  assert.deepEqual(content(await exportAll(second.page)), content(file));
  assert.equal(content(file).conversations[0].messages[0].attachments[0].text, 'in the file');
  // It is kept like any other.
  await second.page.reload();
  await second.page.locator('main strong', { hasText: 'course' }).waitFor();
  await second.close();
});

test('a file that is no export is refused by name and changes nothing', async () => {
  const { page, close } = await open(browser, demo.url);
  for (const text of ['not JSON', '{"format": "other/1", "conversations": []}', '[1, 2]']) {
    await picker(page, 'Import').setInputFiles([textFile('wrong.json', text)]);
    await page.getByText(/^wrong\.json could not be imported/).waitFor();
  }
  assert.equal(await page.locator('.entries .entry').count(), 0);
  await close();
});

test('a browser that speaks Korean is spoken to in Korean', async () => {
  const { page, close } = await open(browser, demo.url, { locale: 'ko-KR' });
  await page.getByText('무엇이 궁금하세요?').waitFor();
  await close();
});
