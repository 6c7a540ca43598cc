// The subset of Markdown that people write in messages, as a tree: strong, emphasis, strike, code, code blocks,
// lists, quotes, links and mentions. No HTML is ever made of it: text.tsx draws the nodes.
// What does not parse is text. The work is linear in the length, for each of at most MAX_DEPTH levels.

/** A piece of a line. */
export type Inline =
  | { kind: "text"; text: string }
  | { kind: "strong" | "emphasis" | "strike"; inside: Inline[] }
  | { kind: "code"; text: string }
  | { kind: "link"; href: string; text: string }
  | { kind: "mention"; user: string; name: string };

/** A part of a message that begins on a line of its own. */
export type Block =
  | { kind: "paragraph"; inside: Inline[] }
  | { kind: "code"; text: string }
  | { kind: "quote"; inside: Block[] }
  | { kind: "list"; start: number | null; items: Inline[][] };

/** Whom `@Name` in a text means: names as they were when it was written. */
export type Mentions = ReadonlyMap<string, string>;

const MAX_DEPTH = 6;
const none: Mentions = new Map();

/** The blocks of a message. */
export function parse(text: string, mentions: Mentions = none, depth = 0): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const blocks: Block[] = [];
  let paragraph: string[] = [];
  const flush = (): void => {
    if (paragraph.length > 0) {
      blocks.push({ kind: "paragraph", inside: inline(paragraph.join("\n"), mentions) });
      paragraph = [];
    }
  };
  const take = (pattern: RegExp, from: number): string[] => {
    const found: string[] = [];
    for (let i = from; i < lines.length; i++) {
      const match = pattern.exec(lines[i] ?? "");
      if (!match) break;
      found.push(match[1] ?? "");
    }
    return found;
  };
  for (let i = 0; i < lines.length; ) {
    const line = lines[i] ?? "";
    if (line.startsWith("```")) {
      flush();
      const end = lines.indexOf("```", i + 1);
      const stop = end < 0 ? lines.length : end;
      blocks.push({ kind: "code", text: lines.slice(i + 1, stop).join("\n") });
      i = stop + 1;
    } else if (/^> ?/.test(line) && depth < MAX_DEPTH) {
      flush();
      const quoted = take(/^> ?(.*)$/, i);
      blocks.push({ kind: "quote", inside: parse(quoted.join("\n"), mentions, depth + 1) });
      i += quoted.length;
    } else if (/^[-*] \S/.test(line)) {
      flush();
      const items = take(/^[-*] (.*)$/, i);
      blocks.push({ kind: "list", start: null, items: items.map((item) => inline(item, mentions)) });
      i += items.length;
    } else if (/^\d{1,6}[.)] \S/.test(line)) {
      flush();
      const items = take(/^\d{1,6}[.)] (.*)$/, i);
      blocks.push({ kind: "list", start: Number.parseInt(line, 10), items: items.map((item) => inline(item, mentions)) });
      i += items.length;
    } else {
      if (line.trim() === "") flush();
      else paragraph.push(line);
      i += 1;
    }
  }
  flush();
  return blocks;
}

const delimiters = [
  { mark: "**", kind: "strong" },
  { mark: "__", kind: "strong" },
  { mark: "~~", kind: "strike" },
  { mark: "*", kind: "emphasis" },
  { mark: "_", kind: "emphasis" },
] as const;

/** Whether a character belongs to a word. */
export const isWord = (c: string | undefined): boolean => c !== undefined && /[\p{L}\p{N}]/u.test(c);
const isSpace = (c: string | undefined): boolean => c === undefined || /\s/.test(c);

/** Where the span that `mark` opens before `from` ends, or -1. */
function closing(text: string, mark: string, from: number): number {
  if (isSpace(text[from])) return -1;
  for (let end = text.indexOf(mark, from + 1); end >= 0; end = text.indexOf(mark, end + 1)) {
    const after = text[end + mark.length];
    if (isSpace(text[end - 1])) continue;
    if (mark.startsWith("_") && isWord(after)) continue;
    if (mark.length === 1 && (after === mark || text[end - 1] === mark)) continue;
    return end;
  }
  return -1;
}

/** The inline nodes of a paragraph. */
export function inline(text: string, mentions: Mentions = none, depth = 0): Inline[] {
  const out: Inline[] = [];
  const unclosed = new Set<string>();
  let plain = "";
  const push = (node: Inline): void => {
    if (plain) out.push({ kind: "text", text: plain });
    plain = "";
    out.push(node);
  };
  for (let i = 0; i < text.length; ) {
    const found = special(text, i, mentions, depth, unclosed);
    if (found) {
      if (found.node) push(found.node);
      else plain += found.text;
      i = found.end;
    } else {
      plain += text[i];
      i += 1;
    }
  }
  if (plain) out.push({ kind: "text", text: plain });
  return out;
}

type Match = { node: Inline; text?: never; end: number } | { node?: never; text: string; end: number };

function special(text: string, i: number, mentions: Mentions, depth: number, unclosed: Set<string>): Match | null {
  const c = text[i];
  const before = text[i - 1];
  if (c === "\\" && /[\\`*_~[\]()>#@-]/.test(text[i + 1] ?? "")) return { text: text[i + 1] ?? "", end: i + 2 };
  if (c === "`") return codeSpan(text, i, unclosed);
  if (c === "@" && !isWord(before)) return mention(text, i, mentions);
  if (c === "[") return namedLink(text, i);
  if ((c === "h" || c === "m") && !isWord(before)) return bareLink(text, i);
  if (depth >= MAX_DEPTH) return null;
  for (const { mark, kind } of delimiters) {
    if (!text.startsWith(mark, i)) continue;
    if (unclosed.has(mark) || (c === "_" && isWord(before))) continue;
    const end = closing(text, mark, i + mark.length);
    if (end < 0) {
      if (!isSpace(text[i + mark.length])) unclosed.add(mark);
      continue;
    }
    const inside = inline(text.slice(i + mark.length, end), mentions, depth + 1);
    return { node: { kind, inside }, end: end + mark.length };
  }
  return null;
}

function codeSpan(text: string, i: number, unclosed: Set<string>): Match | null {
  let marks = 1;
  while (text[i + marks] === "`") marks += 1;
  const fence = "`".repeat(marks);
  const end = unclosed.has(fence) ? -1 : text.indexOf(fence, i + marks);
  if (end < 0) {
    unclosed.add(fence);
    return { text: fence, end: i + marks };
  }
  return { node: { kind: "code", text: text.slice(i + marks, end) }, end: end + marks };
}

function mention(text: string, i: number, mentions: Mentions): Match | null {
  let best = "";
  for (const name of mentions.keys()) {
    if (name.length > best.length && text.startsWith(name, i + 1) && !isWord(text[i + 1 + name.length])) best = name;
  }
  const user = mentions.get(best);
  return user === undefined ? null : { node: { kind: "mention", user, name: best }, end: i + 1 + best.length };
}

const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cc}]/gu;
/** A scheme, or letters, a point or one of its likes, letters: what a reader takes for an address. */
const addressLike = /:\/\/|[\p{L}\p{N}-][.\u3002\uff0e\uff61]\p{L}{2,}/u;

/**
 * Where a link leads, to be shown beside a text that is, or looks like, another address; null where it says so itself, letter by
 * letter: nothing before the host, such as a name, and nothing that only looks like it.
 */
export function realHost(href: string, text: string): string | null {
  const { host, pathname } = new URL(href);
  // That of a letter is who gets it.
  const leads = (host || pathname).replace(/\.$/, "");
  const seen = text.replace(invisible, "").trim();
  if (!addressLike.test(seen)) return null;
  const [says = ""] = seen.replace(/^(?:https?:\/\/|mailto:)/i, "").split(/[/?#\\]/);
  return says.toLowerCase().replace(/\.$/, "") === leads.toLowerCase() ? null : leads;
}

/** An address that may be opened: https, http or mailto, as the browser's own parser reads it. */
export function safeHref(address: string): string | null {
  if (!/^(https?:\/\/|mailto:)/i.test(address) || !URL.canParse(address)) return null;
  const { protocol, href } = new URL(address);
  return protocol === "https:" || protocol === "http:" || protocol === "mailto:" ? href : null;
}

function namedLink(text: string, i: number): Match | null {
  const match = /^\[([^[\]\n]{1,500})\]\(([^\s()]{1,2000})\)/.exec(text.slice(i, i + 2510));
  const href = match ? safeHref(match[2] ?? "") : null;
  if (!match || !href) return null;
  return { node: { kind: "link", href, text: match[1] ?? "" }, end: i + match[0].length };
}

function bareLink(text: string, i: number): Match | null {
  const match = /^(?:https?:\/\/|mailto:)[^\s<>"`]{1,2000}/i.exec(text.slice(i, i + 2020));
  if (!match) return null;
  let address = match[0].replace(/[.,;:!?'*_~]+$/, "");
  while (address.endsWith(")") && address.split("(").length < address.split(")").length) address = address.slice(0, -1);
  const href = safeHref(address);
  return href ? { node: { kind: "link", href, text: address }, end: i + address.length } : null;
}

/** The text of a message in one line, without marks: for the list, quotes and notifications. */
export function plainText(text: string): string {
  const ofInline = (nodes: Inline[]): string =>
    nodes.map((n) => ("inside" in n ? ofInline(n.inside) : n.kind === "mention" ? `@${n.name}` : n.text)).join("");
  const ofBlocks = (blocks: Block[]): string =>
    blocks
      .map((b) => {
        if (b.kind === "code") return b.text;
        if (b.kind === "list") return b.items.map(ofInline).join(" ");
        return b.kind === "quote" ? ofBlocks(b.inside) : ofInline(b.inside);
      })
      .join(" ");
  return ofBlocks(parse(text)).replace(/\s+/g, " ").trim();
}

const emojiOnly = new RegExp("^(?:\\p{RGI_Emoji}\\s?){1,3}$", "v");

/** Whether a message is one to three emoji and nothing else: those are drawn large. */
export const isEmojiOnly = (text: string): boolean => text.length <= 60 && emojiOnly.test(text.trim());
