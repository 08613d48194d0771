// LaTeX between $…$, $$…$$, \(…\) and \[…\], as tokens of the Markdown parser. Formulas become MathML, which browsers draw by
// themselves: no fonts, no styles.

const MOST_FORMULAS = 200;
const LONGEST = 2000;

// `trust` and macros would let a formula write attributes; the rest bounds what it may grow to.
const OPTIONS = { output: "mathml", throwOnError: true, trust: false, strict: "ignore", maxExpand: 200, maxSize: 10 };

// Opener → closer, and whether it stands on lines of its own.
const FENCES = [["$$", "$$", true], ["\\[", "\\]", true], ["\\(", "\\)", false], ["$", "$", false]];

export const looksLikeMath = (text) => /\$[^\s$]|\$\$|\\[([]/.test(text);

function inline(state, silent) {
  const { src, pos } = state;
  const fence = FENCES.find(([opener]) => src.startsWith(opener, pos));
  if (!fence) return false;
  const [opener, closer, display] = fence;
  const start = pos + opener.length;
  const end = src.indexOf(closer, start);
  if (end < 0 || end === start || end - start > LONGEST) return false;
  const content = src.slice(start, end);
  // "$5 and $6" are no formula.
  if (opener === "$" && (/^\s|\s$|\n\n/.test(content) || /\d/.test(src[end + 1] ?? ""))) return false;
  if (!silent) {
    const token = state.push("math", "math", 0);
    token.content = content;
    token.meta = { display };
  }
  state.pos = end + closer.length;
  return true;
}

/** A plugin of markdown-it. Without `katex` formulas stay as they are written. */
export function math(markdown, katex) {
  markdown.inline.ruler.before("escape", "math", inline);
  markdown.renderer.rules.math = (tokens, index, options, env) => {
    const { content, meta } = tokens[index];
    const written = () => `<code>${markdown.utils.escapeHtml(content)}</code>`;
    env.formulas = (env.formulas ?? 0) + 1;
    if (!katex || env.formulas > MOST_FORMULAS) return written();
    try {
      // The source in an annotation would be shown as text where annotations are taken out.
      return katex.renderToString(content, { ...OPTIONS, displayMode: meta.display, macros: {} }).replace(/<annotation[^>]*>[^<]*<\/annotation>/g, "");
    } catch {
      return written();
    }
  };
}
