// The status bar: one at a time, the most severe, and none while all is well. A short loss of connection is not shown: text appears
// after two seconds, and "back online" only if messages were waiting.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { attempt } from "./failure.ts";
import { words } from "./i18n/words.ts";
import { reload as changeVersion } from "./install.ts";
import { Alarm } from "./lazy.ts";
import { Icon } from "./parts/icon.tsx";
import type { IconName } from "./parts/icon-paths.ts";
import { noNetwork } from "./presence.ts";
import { alarm, client, clockOff, connection, newDevices, newVersion, session, waiting } from "./state.ts";

const OFFLINE_MS = 2_000;
const CONNECTING_MS = 5_000;
const BACK_MS = 3_000;
const CLOCK_FROM_MIN = 2;

interface Action {
  label: string;
  run: () => void;
}
interface Bar {
  icon: IconName;
  text: string;
  kind: "plain" | "ok" | "warn";
  action?: Action;
  other?: Action;
}

/** A new device has logged in: the user's own, or that of somebody who has the password. */
function newDevice(): Bar | null {
  const w = words.value;
  const [device] = newDevices.value;
  if (!device) return null;
  const signOut = { label: w.signItOut, run: () => void attempt(client().signOut(device.id)) };
  const known = { label: w.itWasMe, run: () => void client().knowDevice(device.id) };
  return { icon: "devices", text: w.newDevice(device.name || w.unnamedDevice), kind: "warn", action: signOut, other: known };
}

/** True once `on` has held for `ms`. */
function useHeld(on: boolean, ms: number): boolean {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (!on) {
      setHeld(false);
      return undefined;
    }
    const timer = setTimeout(() => setHeld(true), ms);
    return () => clearTimeout(timer);
  }, [on, ms]);
  return held;
}

/** How many seconds are left; it counts down. */
function useSeconds(until: number | null): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (until === null) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [until]);
  return until === null ? 0 : Math.max(1, Math.ceil((until - now) / 1_000));
}

/** How many messages were sent since the connection was lost, for a moment after it came back. */
function useBack(): number {
  const [sent, setSent] = useState(0);
  const most = useRef(0);
  const live = connection.value.kind === "live";
  const left = waiting.value;
  useEffect(() => {
    if (!live) {
      most.current = Math.max(most.current, left);
      return undefined;
    }
    if (left > 0 || most.current === 0) return undefined;
    setSent(most.current);
    most.current = 0;
    return undefined;
  }, [live, left]);
  useEffect(() => {
    if (sent === 0) return undefined;
    const timer = setTimeout(() => setSent(0), BACK_MS);
    return () => clearTimeout(timer);
  }, [sent]);
  return sent;
}

function useBar(): Bar | null {
  const w = words.value;
  const now = connection.value;
  // Before the login nothing is connected.
  const isConnecting = now.kind === "offline" || now.kind === "waiting" || now.kind === "connecting";
  // A socket may take a minute to notice that the network is gone.
  const away = session.value.kind === "in" && (isConnecting || (noNetwork.value && waiting.value > 0));
  const saidAway = useHeld(away, OFFLINE_MS);
  const saidConnecting = useHeld(away, CONNECTING_MS);
  const seconds = useSeconds(now.kind === "waiting" ? now.until : null);
  const back = useBack();
  const tryNow = { label: w.tryNow, run: () => client().connectNow() };
  const reload = { label: w.reload, run: () => void changeVersion() };
  const unknown = newDevice();
  if (unknown) return unknown;
  if (now.kind === "elsewhere") return { icon: "devices", text: w.elsewhere, kind: "plain", action: { label: w.useHere, run: () => client().useHere() } };
  if (now.kind === "outdated") return { icon: "refresh", text: w.newVersion, kind: "warn", action: reload };
  // While there is no network, there is nothing to count down.
  const offline = now.kind === "offline" || (away && noNetwork.value);
  if (offline && saidAway) return { icon: "offline", text: w.offline, kind: "plain" };
  if (now.kind === "waiting" && saidAway) return { icon: "refresh", text: w.serverAway(seconds), kind: "plain", action: tryNow };
  if (now.kind === "connecting" && saidConnecting) return { icon: "refresh", text: w.connecting, kind: "plain", action: tryNow };
  if (back > 0) return { icon: "check", text: w.backOnline(back), kind: "ok" };
  // Before what a reload cannot change.
  if (newVersion.value) return { icon: "refresh", text: w.newVersion, kind: "plain", action: reload };
  if (Math.abs(clockOff.value) >= CLOCK_FROM_MIN) return { icon: "clock", text: w.clockOff(Math.abs(clockOff.value)), kind: "warn" };
  return null;
}

/** The bar. Its live region always exists, so that screen readers announce what appears in it. */
export function Bars(): JSX.Element {
  const bar = useBar();
  const [wrong] = alarm.value;
  if (wrong) {
    return (
      <div class="bars warn" role="status">
        <Alarm of={wrong} />
      </div>
    );
  }
  return (
    <div class={bar ? `bars ${bar.kind}` : "bars"} role="status">
      {bar && (
        <>
          <Icon name={bar.icon} size={16} />
          <span>{bar.text}</span>
          {[bar.action, bar.other].map(
            (action) =>
              action && (
                <button key={action.label} type="button" onClick={action.run}>
                  {action.label}
                </button>
              ),
          )}
        </>
      )}
    </div>
  );
}
