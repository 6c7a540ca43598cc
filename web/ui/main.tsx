// The entry point. Where the browser has no WebCrypto it shows a page that says so, and no form.

import { begin } from "./begin.tsx";
import { type FunctionComponent, createElement, render } from "preact";
import { effect } from "@preact/signals";
import { keepStorage, openPorts } from "../browser/open.ts";
import { type Client, startClient } from "../core/index.ts";
import { install, watchFiles } from "./install.ts";
import { setLanguage } from "./i18n/words.ts";
import { followPush } from "./lazy.ts";
import { followMessages } from "./notify.ts";
import { settings } from "./settings.ts";
import { session } from "./state.ts";
import { CannotOpen, NotSecure, TooOld } from "./start/pages.tsx";

/** What every browser of the last two years has. */
const isModern = (): boolean =>
  "locks" in navigator && "indexedDB" in globalThis && "showPopover" in HTMLElement.prototype && "Segmenter" in Intl;

async function show(page: FunctionComponent): Promise<void> {
  await setLanguage(settings.value.language);
  render(createElement(page, {}), document.querySelector("#app") ?? document.body);
}

/** Opens the client; null if the data on this device cannot be opened. */
async function opened(): Promise<Client | null> {
  try {
    return await startClient(await openPorts());
  } catch (error) {
    reportError(error);
    return null;
  }
}

async function start(): Promise<void> {
  if (!isSecureContext) return show(NotSecure);
  if (!isModern()) return show(TooOld);
  watchFiles();
  const client = await opened();
  if (!client) {
    await show(CannotOpen);
    // An update may be able to open it.
    return install();
  }
  // Before the screens, as messages may arrive while the page is starting.
  followMessages(client);
  await begin(client);
  effect(() => {
    if (session.value.kind === "in") void keepStorage();
  });
  await install();
  await followPush();
}

void start();
