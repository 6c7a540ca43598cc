// The user's devices, and signing them out.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Client, Device } from "../../core/index.ts";
import { sentenceOf } from "../failure.ts";
import { words } from "../i18n/words.ts";
import { ask } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { client, newDevices } from "../state.ts";

const isPhone = (name: string): boolean => /android|iphone|ipad|phone/i.test(name);

const HOUR_MS = 3_600_000;

/** When the device was used last, which is known to the hour, and when it logged in. */
function timesOf({ here, seenAt, idleMs, since }: Device): string {
  const w = words.value;
  const now = seenAt + idleMs;
  const used = here ? w.now : idleMs < HOUR_MS ? w.usedLately : w.usedLast(seenAt, now);
  return since === null ? used : `${used} · ${w.loggedInOn(since, now)}`;
}

/** "Devices". */
export function Devices(): JSX.Element {
  const w = words.value;
  const [all, setAll] = useState<readonly Device[]>([]);
  const [wrong, setWrong] = useState<string | null>(null);
  const load = async (): Promise<void> => {
    const outcome = await client().devices();
    setWrong(outcome.ok ? null : sentenceOf(outcome.failure));
    if (outcome.ok) setAll(outcome.value);
  };
  useEffect(() => {
    void load();
  }, [newDevices.value]);
  const asked = (title: string, text: string, run: Client["signOutOthers"]): void =>
    ask({
      title,
      text,
      yes: w.signOut,
      no: w.keep,
      run: async () => {
        const outcome = await run();
        await load();
        return outcome;
      },
    });
  const nameOf = ({ name }: Device): string => name || w.unnamedDevice;
  const signOut = (device: Device): void => asked(w.signOutTitle(nameOf(device)), w.signOutText, () => client().signOut(device.id));
  const signOutOthers = (): void => asked(w.signOutOthers, w.signOutOthersText, () => client().signOutOthers());
  return (
    <>
      <p class="account-text">{w.devicesText}</p>
      {wrong && <p class="form-wrong" role="alert">{wrong}</p>}
      {all.length > 0 && <ul class="card devices">
        {all.map((device) => (
          <li key={device.id}>
            <Icon name={isPhone(device.name) ? "phone" : "desktop"} size={24} />
            <span class="device-name">
              <b>
                <bdi>{nameOf(device)}</bdi>
                {device.here && <span class="chip ok">{w.thisDevice}</span>}
              </b>
              <small>{timesOf(device)}</small>
            </span>
            {!device.here && (
              <Button aria-label={w.signOutOf(nameOf(device))} onClick={() => signOut(device)}>
                {w.signOut}
              </Button>
            )}
          </li>
        ))}
      </ul>}
      {all.length > 1 && (
        <div class="account-buttons">
          <Button kind="danger" onClick={signOutOthers}>
            {w.signOutOthers}
          </Button>
        </div>
      )}
    </>
  );
}
