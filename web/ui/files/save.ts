// Saving a file: as a download, never as a page. What is too large to be held goes through the worker, as a stream.

import type { Failure, FileInfo, Heard } from "../../core/index.ts";
import { sentenceOf } from "../failure.ts";
import { note } from "../parts/announcer.tsx";
import { saveAs } from "../parts/save.ts";
import { blobOf } from "./load.ts";

/** What a download may be held whole, in bytes. */
const MAX_HELD = 64 << 20;

/** A worker that says nothing for so long is not there any more. */
const ANSWERS_MS = 10_000;

/** Has the worker save it; false if that does not answer. */
async function stream(worker: ServiceWorker, file: FileInfo, onPart: (done: number) => void): Promise<boolean> {
  const { port1, port2 } = new MessageChannel();
  const found = await new Promise<"no answer" | Failure | null>((end) => {
    const late = setTimeout(() => end("no answer"), ANSWERS_MS);
    port1.onmessage = ({ data }: MessageEvent<Heard>) => {
      clearTimeout(late);
      if ("done" in data) return onPart(data.done);
      if ("ended" in data) return end(data.ended);
      // Chromium asks no worker for what has the attribute "download"; that it is to be saved, the answer says.
      const link = document.createElement("a");
      link.href = data.address;
      link.click();
    };
    worker.postMessage({ download: file }, [port2]);
  });
  port1.close();
  if (found === "no answer") return false;
  if (found) note(sentenceOf(found));
  return true;
}

/** Saves it under its name; `onPart` hears how much is here. */
export async function save(file: FileInfo, onPart: (done: number) => void): Promise<void> {
  const worker = navigator.serviceWorker?.controller;
  if (file.size > MAX_HELD && worker && (await stream(worker, file, onPart))) return;
  const found = await blobOf(file, false, onPart);
  if (!(found instanceof Blob)) {
    note(sentenceOf(found));
    return;
  }
  saveAs(found, file.name);
}
