// Saving a file: as a download, never as a page. What is too large to be held goes through the worker, as a stream.

import type { FileInfo } from "../../core/index.ts";
import { sentenceOf } from "../failure.ts";
import { note } from "../parts/announcer.tsx";
import { saveAs } from "../parts/save.ts";
import { blobOf } from "./load.ts";

/** What a download may be held whole, in bytes. */
const MAX_HELD = 64 << 20;

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
    const link = document.createElement("a");
    link.href = await ready;
    link.click();
    return;
  }
  const found = await blobOf(file, false, onPart);
  if (!(found instanceof Blob)) {
    note(sentenceOf(found));
    return;
  }
  saveAs(found, file.name);
}
