// Bundles the pages into a folder, each file as it is and compressed, with a list for CMake.
//
//   node build.mjs OUT [--max-bytes N] [--cache FOLDER]
//
// FOLDER keeps bundles by the content of their sources, so that several build folders compress the same pages once.
//
// pages.list has a line a file: URL, media type, encoding (identity, gzip or br), file. Scripts and styles carry a hash of
// their content in their names, so browsers may keep them for ever. Fails when all of it together, compressed by
// gzip, is larger than N bytes.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const { values: options, positionals: [out] } = parseArgs({ allowPositionals: true,
  options: { 'max-bytes': { type: 'string', default: '250000' }, cache: { type: 'string' } } });
const here = fileURLToPath(new URL('.', import.meta.url));
const PAGES = { '/': 'chat', '/dashboard': 'dashboard' };
const TITLES = { chat: 'Pagoda', dashboard: 'Dashboard · Pagoda' };
const MEDIA = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };

// Of everything that a bundle depends on.
function sourceKey() {
  const hash = createHash('sha256').update(options['max-bytes']);
  const sources = readdirSync(join(here, 'src'), { recursive: true }).map(name => join('src', name));
  for (const name of ['build.mjs', 'package-lock.json', 'tsconfig.json', ...sources].sort()) {
    if (statSync(join(here, name)).isFile()) hash.update(`${name}\0`).update(readFileSync(join(here, name)));
  }
  return hash.digest('hex').slice(0, 32);
}

const kept = options.cache && join(options.cache, sourceKey());
if (kept && existsSync(join(kept, 'pages.list'))) {
  rmSync(out, { recursive: true, force: true });
  cpSync(kept, out, { recursive: true });
  console.log('pages: bundled before');
  process.exit(0);
}

const bundle = await build({
  absWorkingDir: here,
  entryPoints: Object.values(PAGES).map(page => `src/${page}/main.tsx`),
  outbase: 'src',
  outdir: 'out',
  entryNames: '[dir]-[hash]',
  chunkNames: 'shared-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  metafile: true,
  write: false,
});

const assets = new Map(bundle.outputFiles.map(file => [`/assets/${basename(file.path)}`, Buffer.from(file.contents)]));
const icon = readFileSync(join(here, 'src/shared/icon.svg'));
const iconUrl = `/assets/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`;
assets.set(iconUrl, icon);

for (const [url, page] of Object.entries(PAGES)) {
  const [script, { cssBundle }] = Object.entries(bundle.metafile.outputs)
    .find(([, output]) => output.entryPoint === `src/${page}/main.tsx`);
  const html = readFileSync(join(here, 'src/shared/page.html'), 'utf8')
    .replace('{{title}}', TITLES[page])
    .replace('{{icon}}', iconUrl)
    .replace('{{style}}', `/assets/${basename(cssBundle)}`)
    .replace('{{script}}', `/assets/${basename(script)}`);
  assets.set(url, Buffer.from(html));
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
let list = '';
const total = { identity: 0, gzip: 0, br: 0 };
for (const [url, content] of assets) {
  const name = url === '/' ? 'chat.html' : url === '/dashboard' ? 'dashboard.html' : basename(url);
  const encodings = { identity: content, gzip: gzipSync(content, { level: 9 }),
    br: brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }) };
  for (const [encoding, bytes] of Object.entries(encodings)) {
    const file = encoding === 'identity' ? name : `${name}.${encoding === 'gzip' ? 'gz' : 'br'}`;
    writeFileSync(join(out, file), bytes);
    list += `${url}|${MEDIA[extname(name)]}|${encoding}|${file}\n`;
    total[encoding] += bytes.length;
  }
}
writeFileSync(join(out, 'pages.list'), list);
console.log(`pages: ${assets.size} files, ${total.identity} bytes, gzip ${total.gzip}, brotli ${total.br}`);
if (total.gzip > Number(options['max-bytes'])) {
  console.error(`the pages have ${total.gzip} bytes by gzip, the limit is ${options['max-bytes']}`);
  process.exit(1);
}
if (kept) {
  // Other builds may do the same at this moment, so the folder appears whole; of other sources none is kept.
  const mine = `${kept}.${process.pid}`;
  try {
    cpSync(out, mine, { recursive: true });
    for (const name of readdirSync(options.cache)) {
      if (!name.includes('.')) rmSync(join(options.cache, name), { recursive: true, force: true });
    }
    renameSync(mine, kept);
  } catch (error) {
    console.log(`pages: not kept for other builds: ${error.message}`);
    rmSync(mine, { recursive: true, force: true });
  }
}
