// Saving a file: as a download, never as a page. What is too large to be held goes through the worker, as a stream.

import type { FileInfo } from "../../core/index.ts";
import { sentenceOf } from "../failure.ts";
import { note } from "../parts/announcer.tsx";
import { blobOf } from "./load.ts";

/** What a download may be held whole, in bytes. */
const MAX_HELD = 64 << 20;
/** The address is needed until the browser has begun. */
const BEGUN_MS = 60_000;

/** Goes to an address from which something is saved; the page stays where it is. */
function follow(url: string, name: string | null): void {
  const link = document.createElement("a");
  link.href = url;
  if (name !== null) link.download = name;
  link.click();
}

/** Saves it under its name; `onPart` hears how much is here. */
export async function save(file: FileInfo, onPart: (done: number) => void): Promise<void> {
  const worker = navigator.serviceWorker?.controller;
  if (file.size > MAX_HELD && worker) {
    const { port1, port2 } = new MessageChannel();
    const ready = new Promise<string>((resolve) => {
      port1.onmessage = ({ data }: MessageEvent<string>) => resolve(data);
    });
    worker.postMessage({ download: file }, [port2]);
    // Chromium asks no worker for what has the attribute "download"; that it is to be saved, the answer says.
    follow(await ready, null);
    return;
  }
  const found = await blobOf(file, null, onPart);
  if (!(found instanceof Blob)) {
    note(sentenceOf(found));
    return;
  }
  const url = URL.createObjectURL(found);
  follow(url, file.name);
  setTimeout(() => URL.revokeObjectURL(url), BEGUN_MS);
}
