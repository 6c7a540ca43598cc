// The data export as a file: JSON for programs, or a page that any browser shows without this client and without a server.

import type { Exported, ExportedConversation, ExportedMessage } from "../../core/index.ts";
import { language, words } from "../i18n/words.ts";
import { plainText } from "../../core/model/markdown.ts";
import { unshown } from "../text/unshown.ts";

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const styles = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-inline-size: 46rem; margin: 2rem auto; padding-inline: 1rem; }
h2 { margin-block: 3rem 0; padding-block-start: 1rem; border-block-start: 1px solid; }
h3 { margin-block: 1.5rem 0; font-size: .875rem; text-align: center; }
article { margin-block: .75rem; }
article p, blockquote { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
blockquote { padding-inline-start: .75rem; border-inline-start: 3px solid; }
time, small { opacity: .75; font-size: .875rem; font-weight: 400; }`;

// Whose it is stands above it: in the page everybody has a name.
function placeholderOf({ deleted, name, trouble }: ExportedMessage): string | null {
  if (deleted) return unshown("deleted", false, name);
  return trouble === null || trouble === "notProven" || trouble === "forked" ? null : unshown(trouble, false, name);
}

function article(message: ExportedMessage): string {
  const w = words.value;
  const { name, at, text, reply, reactions, edited, trouble, files } = message;
  const still = placeholderOf(message);
  const notes = [
    ...(edited ? [w.edited] : []),
    ...(trouble === "notProven" ? [w.notProven(name)] : trouble === "forked" ? [w.forked(name)] : []),
    ...(files.length > 0 ? [w.format.list(files)] : []),
    ...reactions.map(({ emoji, by }) => `${emoji} ${w.format.list(by)}`),
  ];
  return `<article><div><b dir="auto">${escaped(name)}</b> <time datetime="${at}">${escaped(w.format.time(Date.parse(at)))}</time></div>
${reply ? `<blockquote dir="auto"><b>${escaped(reply.name)}</b>\n${escaped(reply.deleted ? unshown("deleted", false, reply.name) : plainText(reply.quote))}</blockquote>\n` : ""}${
    still === null ? `<p dir="auto">${escaped(text)}</p>` : `<p><small>${escaped(still)}</small></p>`
  }${notes.length > 0 ? `\n<small>${escaped(notes.join(" · "))}</small>` : ""}</article>`;
}

function section({ name, group, members, messages }: ExportedConversation): string {
  const w = words.value;
  const days: string[] = [];
  let last = "";
  for (const message of messages) {
    const day = w.format.date(Date.parse(message.at));
    if (day !== last) days.push(`<h3>${escaped(day)}</h3>`);
    last = day;
    days.push(article(message));
  }
  const who = group && name !== "" ? `<p dir="auto"><small>${escaped(w.format.list(members.map((one) => one.name)))}</small></p>\n` : "";
  return `<section>\n<h2 dir="auto">${escaped(name || w.saved)}</h2>\n${who}${days.join("\n")}\n</section>`;
}

/** The export as a page, in the language in use. */
function pageOf(all: Exported): string {
  const w = words.value;
  const title = escaped(`Parlance, ${all.name}, ${w.format.date(Date.parse(all.at))}`);
  return `<!doctype html>
<html lang="${language.value}" dir="${w.direction}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${styles}</style>
<main>
<h1 dir="auto">${title}</h1>
<p>${escaped(all.email)}</p>
${all.conversations.map(section).join("\n")}
</main>
</html>
`;
}

/** The text of the file. */
export const exportedAs = (as: "json" | "html", all: Exported): string => (as === "html" ? pageOf(all) : `${JSON.stringify(all, null, 2)}\n`);
