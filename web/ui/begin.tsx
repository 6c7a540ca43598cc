// Starts the UI: settings first, so that nothing is rendered twice, then the screens for a client.

import "./styles/all.css";
import { render } from "preact";
import { App } from "./app.tsx";
import type { Client } from "../core/index.ts";
import { setLanguage } from "./i18n/words.ts";
import { showCount } from "./notify.ts";
import { loadRest } from "./lazy.ts";
import { followAddress } from "./route.ts";
import { applySettings, settings } from "./settings.ts";
import { provide } from "./state.ts";

const FONT_MS = 150;
/** The rest of the UI is loaded when the browser is idle after the first paint, or after this time. */
const REST_MS = 500;

/** Waits briefly for the font, to avoid a layout shift. */
async function font(): Promise<void> {
  const late = new Promise((waited) => setTimeout(waited, FONT_MS));
  await Promise.race([document.fonts.load("1rem Figtree"), late]);
}

/** Renders the screens, which follow the client from then on. */
export async function begin(client: Client): Promise<void> {
  await Promise.all([setLanguage(settings.value.language), font()]);
  applySettings();
  followAddress();
  provide(client);
  showCount();
  render(<App />, document.querySelector("#app") ?? document.body);
  const rest = (): void => void loadRest();
  // Safari has no idle callback.
  if ("requestIdleCallback" in globalThis) requestIdleCallback(rest, { timeout: REST_MS });
  else setTimeout(rest, REST_MS);
}
