// Where one is logged in, and how to end it there.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Device } from "../../core/index.ts";
import { words } from "../i18n/words.ts";
import { ask } from "../overlay.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { client } from "../state.ts";

const isPhone = (name: string): boolean => /android|iphone|ipad|phone/i.test(name);

/** "Devices". */
export function Devices(): JSX.Element {
  const w = words.value;
  const [all, setAll] = useState<readonly Device[]>([]);
  const load = async (): Promise<void> => setAll(await client().devices());
  useEffect(() => {
    void load();
  }, []);
  const signOut = (device: Device): void =>
    ask({
      title: w.signOutTitle(device.name),
      text: w.signOutText,
      yes: w.signOut,
      no: w.keep,
      run: async () => {
        const outcome = await client().signOut(device.id);
        await load();
        return outcome;
      },
    });
  const signOutOthers = (): void =>
    ask({
      title: w.signOutOthers,
      text: w.signOutOthersText,
      yes: w.signOut,
      no: w.keep,
      run: async () => {
        const outcome = await client().signOutOthers();
        await load();
        return outcome;
      },
    });
  return (
    <>
      <p class="account-text">{w.devicesText}</p>
      {all.length > 0 && <ul class="card devices">
        {all.map((device) => (
          <li key={device.id}>
            <Icon name={isPhone(device.name) ? "phone" : "desktop"} size={24} />
            <span class="device-name">
              <b>
                <bdi>{device.name}</bdi>
                {device.here && <span class="chip ok">{w.thisDevice}</span>}
              </b>
              <small>{device.here ? w.now : w.format.ago(device.seenAt, Date.now())}</small>
            </span>
            {!device.here && (
              <Button aria-label={w.signOutOf(device.name)} onClick={() => signOut(device)}>
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
