// Consecutive messages of one sender within a few minutes: name and time once; own ones in the conversation's colour.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import { memo } from "../list/memo.ts";
import type { MessageId } from "../../core/index.ts";
import { Boundary } from "../parts/boundary.tsx";
import { Avatar } from "../parts/avatar.tsx";
import { Article } from "./article.tsx";
import type { MessageActions, Place } from "./message-menu.ts";
import type { Run } from "./timeline.ts";

interface RunProps {
  run: Run;
  place: Place;
  newest: MessageId | null;
  target: string | null;
  actions: MessageActions;
  onJump: (id: string) => void;
}

function DrawRun({ run, place, newest, target, actions, onJump }: RunProps): JSX.Element | null {
  const w = words.value;
  const first = run.articles[0];
  if (!first) return null;
  const head = !first.own && place.kind === "group";
  return (
    <div class={first.own ? "run own" : "run"}>
      {head && (
        <div class="run-head" aria-hidden="true">
          <Avatar of={{ kind: "person", id: first.user, name: first.name }} size={32} />
          <b class="cut">
            <bdi>{first.name}</bdi>
          </b>
          {first.admin && <small>{w.admin}</small>}
          <time>{w.format.time(first.at)}</time>
        </div>
      )}
      {!head && !first.own && (
        <div class="run-time" aria-hidden="true">
          {w.format.time(first.at)}
        </div>
      )}
      <div class="run-body">
        {run.articles.map((article) => (
          <Boundary key={article.id} instead={Broken}>
            <Article
              article={article}
              place={place}
              newest={article.id === newest}
              target={article.id === target}
              actions={actions}
              onJump={onJump}
            />
          </Boundary>
        ))}
      </div>
    </div>
  );
}

const Broken = (): JSX.Element => <p class="notice">{words.value.broken}</p>;

/** A run of messages; rendered again only if it is a different object. */
export const RunBlock = memo(DrawRun);
