// Markdown of a model as HTML that is safe to show: parsed by marked, highlighted, then sanitised by DOMPurify.
//
// A model's text is not trusted: it may repeat what a document told it to. No HTML of the text survives, nothing is
// loaded from anywhere, and links open elsewhere without telling from where.
import DOMPurify from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';
import { highlighted } from './highlight';
import { t } from './texts';

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, mark => `&#${mark.charCodeAt(0)};`);

const marked = new Marked({ gfm: true, breaks: true, async: false });
marked.use({
  renderer: {
    // Shown as text.
    html: ({ text }: Tokens.HTML | Tokens.Tag) => escaped(text),
    // Loading one would tell its server what was said here, so it is a link.
    image: ({ href, text }: Tokens.Image) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    code: ({ text, lang }: Tokens.Code) => {
      const language = (lang ?? '').trim().split(/\s/)[0]!.slice(0, 30);
      return `<div class="code"><div class="code-head"><span>${escaped(language)}</span>`
        + `<button type="button" class="copy-code">${escaped(t('copy_code'))}</button></div>`
        + `<pre tabindex="0"><code>${highlighted(text, language) ?? escaped(text)}</code></pre></div>`;
    },
  },
});

const ALLOWED_TAGS = ['a', 'blockquote', 'br', 'button', 'code', 'del', 'div', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'input', 'li', 'ol',
  'p', 'pre', 'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'];

DOMPurify.addHook('afterSanitizeAttributes', node => {
  if (node.nodeName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  } else if (node.nodeName === 'INPUT') {
    // The boxes of task lists.
    node.setAttribute('disabled', '');
    node.setAttribute('aria-label', node.hasAttribute('checked') ? '✓' : '–');
  } else if (node.nodeName === 'TH' || node.nodeName === 'TD') {
    const align = node.getAttribute('align');
    node.removeAttribute('align');
    if (align === 'right' || align === 'center') node.classList.add(align);
  }
});

function sanitized(html: string): TrustedHTML {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ['href', 'class', 'start', 'align', 'type', 'checked', 'disabled', 'tabindex'],
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_TRUSTED_TYPE: true,
  }) as unknown as TrustedHTML;
}

export interface Block {
  raw: string;
  html: TrustedHTML;
}

// The blocks of a text. Those that stand in `before` with the same source are taken from there: while an answer
// streams, only its last block changes.
export function markdownBlocks(text: string, before: readonly Block[] = []): Block[] {
  let tokens: Token[];
  let links: Record<string, unknown> = {};
  try {
    const parsed = marked.lexer(text);
    ({ links } = parsed);
    tokens = parsed;
  } catch {
    // Nested beyond what the parser can follow.
    return [{ raw: text, html: sanitized(`<pre tabindex="0">${escaped(text)}</pre>`) }];
  }
  return tokens.filter(token => token.type !== 'space').map((token, at) => {
    const known = before[at];
    if (known?.raw === token.raw) return known;
    try {
      return { raw: token.raw, html: sanitized(marked.parser(Object.assign([token], { links }) as never)) };
    } catch {
      return { raw: token.raw, html: sanitized(`<p>${escaped(token.raw)}</p>`) };
    }
  });
}

// Models that reason aloud begin with <think>; that part is set apart from the answer.
export function splitThinking(text: string): { thinking: string; answer: string; thinks: boolean } {
  const start = /^\s*<think>/.exec(text);
  if (!start) return { thinking: '', answer: text, thinks: false };
  const end = text.indexOf('</think>');
  return end < 0 ? { thinking: text.slice(start[0].length), answer: '', thinks: true }
    : { thinking: text.slice(start[0].length, end), answer: text.slice(end + 8).trimStart(), thinks: false };
}
