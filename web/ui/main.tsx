// What production starts. Where the browser offers no encryption there is a page, and no form at all.

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

/** The client over what lies here; null where that cannot be opened. */
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
    // A newer version may be what opens it.
    return install();
  }
  // First, as messages may come while the page is still beginning.
  followMessages(client);
  await begin(client);
  effect(() => {
    if (session.value.kind === "in") void keepStorage();
  });
  await install();
  await followPush();
}

void start();
