// Markdown, code, LaTeX and pictures that somebody else wrote, as elements that can only be read.
//
// Three walls, each enough by itself: the parser takes no HTML, so markup in a text stays text; DOMPurify lets only the listed
// elements and attributes through; and the page's Content-Security-Policy runs and loads nothing that is not ours. Nothing is
// fetched: pictures from elsewhere are links.

import DOMPurify from "../../vendor/dompurify.js";
import hljs from "../../vendor/highlight.js";
import MarkdownIt from "../../vendor/markdown-it.js";
import { isData, mayShow } from "./images.js";
import { looksLikeMath, math } from "./math.js";

const LONGEST = 50_000; // the server shows 20,000 characters of a text
const MOST_CODE = 10_000; // characters that are coloured
const LINK = /^(?:https?:\/\/|mailto:)/i;

const TAGS = ["p", "div", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "img", "span"];
const MATH_TAGS = ["math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mfrac", "msqrt", "mroot", "mstyle", "mtable", "mtr", "mtd", "mpadded", "mphantom", "menclose"];
const ATTRIBUTES = ["href", "src", "alt", "class", "start"];
// No colours: white letters on white would hide a text.
const MATH_ATTRIBUTES = ["display", "displaystyle", "scriptlevel", "mathvariant", "stretchy", "fence", "separator", "accent", "accentunder", "columnalign", "rowspacing", "columnspacing", "columnlines", "rowlines", "linethickness", "lspace", "rspace", "minsize", "maxsize", "movablelimits", "largeop", "symmetric", "notation", "width", "height", "depth", "voffset"];
const CLEAN = {
  ALLOWED_TAGS: [...TAGS, ...MATH_TAGS],
  ALLOWED_ATTR: [...ATTRIBUTES, ...MATH_ATTRIBUTES],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:|data:image\/(?:png|gif|jpeg|webp);base64,)/i,
  ADD_URI_SAFE_ATTR: [...MATH_ATTRIBUTES, "start"], // no addresses
  RETURN_DOM_FRAGMENT: true,
};

let katex = null;

function parser() {
  const markdown = new MarkdownIt("default", { html: false, linkify: false, typographer: false, breaks: true, maxNesting: 20 });
  const { escapeHtml } = markdown.utils;
  const { rules } = markdown.renderer;
  markdown.use(math, katex);
  markdown.validateLink = (url) => LINK.test(url) || isData(url);
  // Headings of a text are none of the page.
  rules.heading_open = (tokens, index) => `<div class="md-${tokens[index].tag}">`;
  rules.heading_close = () => "</div>";
  // Alignment comes as a style, which nothing here may have.
  for (const cell of ["th_open", "td_open"]) {
    rules[cell] = (tokens, index) => {
      const align = /text-align:(right|center)/.exec(tokens[index].attrGet("style") ?? "")?.[1];
      return `<${tokens[index].tag}${align ? ` class="md-${align}"` : ""}>`;
    };
  }
  rules.image = (tokens, index) => {
    const url = tokens[index].attrGet("src");
    const name = escapeHtml(tokens[index].content);
    if (isData(url)) return mayShow(url) ? `<img src="${escapeHtml(url)}" alt="${name}">` : '<span class="md-image">picture too large or damaged</span>';
    return `<a href="${escapeHtml(url)}" class="md-image">picture: ${name || escapeHtml(url)}</a>`;
  };
  rules.fence = (tokens, index, options, env) => `<pre><code>${coloured(tokens[index].content, tokens[index].info.trim().split(/\s/)[0], env, escapeHtml)}</code></pre>`;
  rules.code_block = (tokens, index) => `<pre><code>${escapeHtml(tokens[index].content)}</code></pre>`;
  return markdown;
}

function coloured(code, language, env, escapeHtml) {
  env.coloured = (env.coloured ?? 0) + code.length;
  if (env.coloured > MOST_CODE || !hljs.getLanguage(language)) return escapeHtml(code);
  try {
    return hljs.highlight(code, { language, ignoreIllegals: true }).value;
  } catch {
    return escapeHtml(code);
  }
}

// Entities and formulas can write characters that hide or reorder text, as the server's own texts cannot any more.
function visible(text, inMath) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e0fff}]/gu, (character) => {
      const code = character.codePointAt(0);
      if (inMath && code > 0x2060 && code < 0x2065) return character; // invisible operators
      return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
    })
    .replace(/(\p{M}{6})\p{M}+/gu, "$1");
}

function finish(fragment) {
  const texts = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const text = visible(node.data, Boolean(node.parentElement?.closest("math")));
    if (text !== node.data) node.data = text;
  }
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    link.title = visible(link.href, false); // where it leads, whatever it says
  }
  for (const image of fragment.querySelectorAll("img")) {
    image.decoding = "async";
    image.alt = visible(image.alt, false);
    if (!mayShow(image.getAttribute("src") ?? "")) image.remove();
  }
  return fragment;
}

/** The text as a document fragment; `null` where it is too long. `json`: it is JSON, not Markdown. */
export async function render(text, json) {
  if (text.length > LONGEST) return null;
  if (!json && !katex && looksLikeMath(text)) katex = (await import("../../vendor/katex.js")).default;
  const markdown = parser();
  const html = json ? markdown.renderer.rules.fence([{ content: text, info: "json" }], 0, {}, {}) : markdown.render(text, {});
  return finish(DOMPurify.sanitize(html, CLEAN));
}
