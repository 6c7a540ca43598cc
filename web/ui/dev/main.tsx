// The page of the pictures: the real screens over sample data. `?scene=` chooses what there is. Never shipped.

import { render } from "preact";
import type { State } from "../../core/index.ts";
import { begin } from "../begin.tsx";
import { NotSecure } from "../start/pages.tsx";
import { fakeClient } from "./fake.ts";
import { many, request, state } from "./sample.ts";

const scenes: Record<string, Partial<State>> = {
  main: {},
  requests: { requests: [request], conversations: state.conversations.map((c) => (c.kind === "group" && c.favorite ? { ...c, unread: 3 } : c)) },
  out: { session: { kind: "out", why: null } },
  many: { conversations: many(1_000) },
  empty: { conversations: [], people: new Map() },
  sync: { firstSync: { done: 124, all: 200 } },
  alarm: { alarm: ["lost"] },
  offline: { connection: { kind: "offline" }, waiting: 2 },
};

const scene = new URLSearchParams(location.search).get("scene") ?? "main";
if (scene === "insecure") render(<NotSecure />, document.querySelector("#app") ?? document.body);
else void begin(fakeClient({ ...state, ...scenes[scene] }));
