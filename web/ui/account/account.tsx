// The account page: navigation and five sections; on a phone, a page each.

import type { JSX } from "preact";
import { words } from "../i18n/words.ts";
import { ask } from "../overlay.ts";
import { Avatar } from "../parts/avatar.tsx";
import { IconButton } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import type { IconName } from "../parts/icon-paths.ts";
import { go, hashOf, type Section, sections } from "../route.ts";
import { ownDot } from "../presence.ts";
import { client, me, waiting } from "../state.ts";
import { Appearance } from "./appearance.tsx";
import { Devices } from "./devices.tsx";
import { Notifications } from "./notifications.tsx";
import { Profile } from "./profile.tsx";
import { Security } from "./security.tsx";

const icons: Record<Section, IconName> = {
  profile: "person",
  devices: "devices",
  security: "shieldCheck",
  appearance: "half",
  notifications: "bell",
};

const pages: Record<Section, () => JSX.Element> = {
  profile: Profile,
  devices: Devices,
  security: Security,
  appearance: Appearance,
  notifications: Notifications,
};

/** Asks for confirmation, and then deletes everything on this device. */
function logOut(): void {
  const w = words.value;
  const text = waiting.value > 0 ? w.logOutWaiting(waiting.value) : w.logOutText;
  const run = async (): Promise<null> => {
    await client().logOut();
    go({ at: "list" });
    return null;
  };
  ask({ title: w.logOutTitle, text, yes: w.logOut, no: w.stay, run });
}

function Entries({ section }: { section: Section | null }): JSX.Element {
  const w = words.value;
  const self = me.value;
  return (
    <div class="account-nav" role={section ? "navigation" : "main"} aria-label={w.account}>
      <div class="pane-head bare">
        <IconButton icon="back" label={w.back} onClick={() => go({ at: "list" })} />
        {section ? <strong>{w.account}</strong> : <h1>{w.account}</h1>}
      </div>
      <div class="account-who">
        <Avatar of={{ kind: "person", id: self.id, name: self.name }} size={48} dot={ownDot.value} />
        <span>
          <b class="cut">
            <bdi>{self.name}</bdi>
          </b>
          <small class="cut">{self.email}</small>
        </span>
      </div>
      <ul>
        {sections.map((one) => (
          <li key={one}>
            <a
              class="account-entry"
              href={hashOf({ at: "account", section: one })}
              aria-current={one === section ? "page" : undefined}
              aria-describedby={one === "security" && !self.hasSheet ? "no-sheet" : undefined}
            >
              <Icon name={icons[one]} />
              <span>{w[one]}</span>
            </a>
            {/* Beside the link, whose name is a contract. */}
            {one === "security" && !self.hasSheet && <span id="no-sheet" class="chip warn">{w.noSheetYet}</span>}
          </li>
        ))}
      </ul>
      <button type="button" class="account-entry log-out" onClick={logOut}>
        <Icon name="logout" />
        <span>{w.logOut}</span>
      </button>
      <p class="account-foot">
        Parlance
        <br />
        <bdi>{location.host}</bdi>
      </p>
    </div>
  );
}

/** The account page at one of its sections; null shows the navigation alone, on a phone. */
export function AccountPage({ section }: { section: Section | null }): JSX.Element {
  const w = words.value;
  const Shown = section ? pages[section] : () => null;
  return (
    <div class={section ? "account open" : "account"}>
      <Entries section={section} />
      {section && <main class="account-main">
        <div class="account-column">
          <header class="account-title">
            <span class="only-phone">
              <IconButton icon="back" label={w.account} onClick={() => go({ at: "account", section: null })} />
            </span>
            <h1>{w[section]}</h1>
          </header>
          <Shown />
        </div>
      </main>}
    </div>
  );
}
