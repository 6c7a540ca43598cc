// The states of the connection; a pure function. Socket and timers live in engine.ts, and only send events.
//
//   idle ──start──▶ connecting ──opened──▶ catchingUp ──caughtUp──▶ live
//                       ▲                       │ failed/closed        │ closed
//                       └────wake── waiting ◀───┴──────────────────────┘
//   live ──asked to reconnect──▶ connecting
//   replaced, unauthorized, outdated: nothing happens until the user asks for it (start).

/** The state of the connection. */
export type ConnectionState =
  | { kind: "idle" }
  | { kind: "connecting"; tries: number }
  | { kind: "catchingUp"; tries: number }
  | { kind: "live" }
  | { kind: "waiting"; tries: number; until: number }
  | { kind: "replaced" }
  | { kind: "unauthorized" }
  | { kind: "outdated" };

/** What changes it. */
export type ConnectionEvent =
  | { kind: "start" | "stop" | "opened" | "caughtUp" | "unauthorized" | "outdated" }
  /** It failed or ended. `random` from 0 to 1 spreads the next tries of many clients. */
  | { kind: "closed"; code: number; now: number; random: number }
  /** The time to wait is over, or a person, the network or the tab says: try now. */
  | { kind: "due" | "wake" };

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 60_000;
/** The station has opened another socket elsewhere. Older servers close with 1008 for that and for other reasons. */
const REPLACED = new Set([1008, 4409]);
/** The server stops (1001) or asks for a reconnect (1012): it, or another node, can be reached at once. */
const AGAIN = new Set([1001, 1012]);
/** The station was signed out, or its user disabled. */
const SIGNED_OUT = 4401;

/** How long to wait before the next try: doubled each time, ±30 %. */
export function delayMs(tries: number, random: number): number {
  const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(tries, 20));
  return Math.round(delay * (0.7 + 0.6 * random));
}

/** The next state. An event that means nothing in a state changes nothing. */
export function step(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  switch (event.kind) {
    case "stop":
      return { kind: "idle" };
    case "start":
      return state.kind === "idle" || state.kind === "replaced" || state.kind === "waiting" || state.kind === "unauthorized" ? { kind: "connecting", tries: 0 } : state;
    case "opened":
      return state.kind === "connecting" ? { kind: "catchingUp", tries: state.tries } : state;
    case "caughtUp":
      return state.kind === "catchingUp" ? { kind: "live" } : state;
    case "unauthorized":
    case "outdated":
      return { kind: event.kind };
    case "due":
      return state.kind === "waiting" ? { kind: "connecting", tries: state.tries } : state;
    case "wake":
      return state.kind === "waiting" ? { kind: "connecting", tries: 0 } : state;
    case "closed":
      return closed(state, event);
  }
}

function closed(state: ConnectionState, { code, now, random }: { code: number; now: number; random: number }): ConnectionState {
  if (state.kind !== "connecting" && state.kind !== "catchingUp" && state.kind !== "live") return state;
  if (REPLACED.has(code)) return { kind: "replaced" };
  if (code === SIGNED_OUT) return { kind: "unauthorized" };
  // Only from `live`: otherwise a server that always closes so would be reconnected to in a loop.
  if (state.kind === "live" && AGAIN.has(code)) return { kind: "connecting", tries: 0 };
  const tries = state.kind === "live" ? 0 : state.tries + 1;
  return { kind: "waiting", tries, until: now + delayMs(tries, random) };
}
