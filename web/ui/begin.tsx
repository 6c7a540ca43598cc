// Begins to draw: the settings first, so that nothing is drawn twice, then the screens over a client.

import { render } from "preact";
import { App } from "./app.tsx";
import type { Client } from "../core/index.ts";
import { speak } from "./i18n/words.ts";
import { showCount } from "./notify.ts";
import { followAddress } from "./route.ts";
import { applySettings, settings } from "./settings.ts";
import { provide } from "./state.ts";
import "./styles/layers.css";
import "./styles/tokens.css";
import "./styles/base.css";

/** Draws the screens, which follow the client from then on. */
export async function begin(client: Client): Promise<void> {
  await speak(settings.value.language);
  applySettings();
  followAddress();
  provide(client);
  showCount();
  render(<App />, document.querySelector("#app") ?? document.body);
}
