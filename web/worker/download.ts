// Downloads that are too large to be held whole: the page hands in a file, is told an address for it, and the browser saves what
// is streamed from there, decrypted record by record as the disk takes it. An address works once, and for this worker only.

import { closePorts, openPorts } from "../browser/open.ts";
import type { FileInfo } from "../core/model/file.ts";
import { callerOf } from "../core/session/record.ts";
import { Store } from "../core/store/store.ts";
import type { Caller } from "../core/wire/call.ts";
import { scope } from "./scope.ts";
import { streamOf } from "./stream.ts";

const waiting = new Map<string, FileInfo>();
const prefix = new URL("./download/", scope.location.href).href;

/** A page wants to save a file; answers the address from which it is streamed. */
export function announce(file: FileInfo): string {
  const address = prefix + crypto.randomUUID();
  waiting.set(address, file);
  return address;
}

/** The answer to a request for such an address, so that the page stays where it is also if it is not known any more; null if it is none. */
export function download(address: string): Promise<Response> | null {
  if (!address.startsWith(prefix)) return null;
  const file = waiting.get(address);
  waiting.delete(address);
  if (!file) return Promise.resolve(nothing());
  return stream(file).catch((error: unknown) => {
    // The page would be replaced by the browser's own, which says that it cannot be reached.
    reportError(error);
    return nothing();
  });
}

const nothing = (): Response => new Response(null, { status: 204 });

/** Who asks for it; null where nobody is logged in. */
async function openCaller(): Promise<Caller | null> {
  const ports = await openPorts();
  try {
    const session = await new Store(ports.backend).session();
    return session ? callerOf(ports, session) : null;
  } finally {
    closePorts(ports);
  }
}

async function stream(file: FileInfo): Promise<Response> {
  const { size, name } = file;
  const caller = await openCaller();
  if (!caller) return nothing();
  // An error of it is one with which the browser ends the download as failed.
  const body = await streamOf(caller, file);
  const headers = {
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent((name || "file").toWellFormed())}`,
    "Content-Length": String(size),
    "Content-Security-Policy": "default-src 'none'; sandbox",
  };
  return new Response(body, { headers });
}
