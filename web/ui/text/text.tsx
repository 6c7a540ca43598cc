// Draws what markdown.ts has parsed. Everything a person wrote is a text node; no HTML is built.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { IconButton } from "../parts/button.tsx";
import { words } from "../i18n/words.ts";
import { type Block, type Inline, type Mentions, parse, realHost } from "../../core/model/markdown.ts";

interface Context {
  /** The reader's user id: mentions of the reader are highlighted. */
  me: string;
  /** What to find in the text, marked wherever it stands. */
  find: string;
}

function marked(text: string, find: string): (string | JSX.Element)[] {
  if (!find) return [text];
  const out: (string | JSX.Element)[] = [];
  const low = text.toLocaleLowerCase();
  const wanted = find.toLocaleLowerCase();
  let from = 0;
  for (let i = low.indexOf(wanted); i >= 0 && low.length === text.length; i = low.indexOf(wanted, from)) {
    out.push(text.slice(from, i), <mark>{text.slice(i, i + wanted.length)}</mark>);
    from = i + wanted.length;
  }
  return [...out, text.slice(from)];
}

/** Some text with each place of `find` marked. */
export const Marked = ({ text, find }: { text: string; find: string }): JSX.Element => <>{marked(text, find)}</>;

function Line({ nodes, context }: { nodes: Inline[]; context: Context }): JSX.Element {
  return (
    <>
      {nodes.map((node, i) => {
        switch (node.kind) {
          case "text":
            return <Marked key={i} text={node.text} find={context.find} />;
          case "code":
            return <code key={i}>{node.text}</code>;
          case "mention":
            return (
              <span key={i} class={node.user === context.me ? "mention me" : "mention"}>
                @<bdi>{node.name}</bdi>
              </span>
            );
          case "link":
            return <Link key={i} href={node.href} text={node.text} />;
          case "strong":
            return <strong key={i}><Line nodes={node.inside} context={context} /></strong>;
          case "emphasis":
            return <em key={i}><Line nodes={node.inside} context={context} /></em>;
          case "strike":
            return <s key={i}><Line nodes={node.inside} context={context} /></s>;
        }
      })}
    </>
  );
}

/** A link; if its text is another address than the one it opens, that one stands after it. */
function Link({ href, text }: { href: string; text: string }): JSX.Element {
  const real = realHost(href, text);
  return (
    <>
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {text}
      </a>
      {real && <small class="real-host"> ({real})</small>}
    </>
  );
}

function Code({ text }: { text: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const w = words.value;
  return (
    <div class="code-block">
      <pre tabIndex={0} dir="ltr">
        <code>{text}</code>
      </pre>
      <IconButton
        icon={copied ? "check" : "copy"}
        small
        label={copied ? w.copied : w.copyCode}
        onClick={() => {
          void navigator.clipboard.writeText(text).then(() => setCopied(true));
        }}
      />
    </div>
  );
}

function Blocks({ blocks, context }: { blocks: Block[]; context: Context }): JSX.Element {
  return (
    <>
      {blocks.map((block, i) => {
        switch (block.kind) {
          case "paragraph":
            return <p key={i} dir="auto"><Line nodes={block.inside} context={context} /></p>;
          case "code":
            return <Code key={i} text={block.text} />;
          case "quote":
            return <blockquote key={i}><Blocks blocks={block.inside} context={context} /></blockquote>;
          case "list": {
            const items = block.items.map((item, n) => <li key={n} dir="auto"><Line nodes={item} context={context} /></li>);
            return block.start === null ? <ul key={i}>{items}</ul> : <ol key={i} start={block.start}>{items}</ol>;
          }
        }
      })}
    </>
  );
}

/** The text of a message. */
export function Text(props: { text: string; mentions: Mentions; me: string; find?: string }): JSX.Element {
  const context = { me: props.me, find: props.find ?? "" };
  return (
    <div class="text">
      <Blocks blocks={parse(props.text, props.mentions)} context={context} />
    </div>
  );
}
