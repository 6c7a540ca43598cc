// A request to the server: signed, with a timestamp by the server's clock, its own nonce, and a timeout.

import { base64, type Bytes, hex, random, utf8 } from "../crypto/bytes.ts";
import { DamagedFile } from "../crypto/file.ts";
import { rsaSign } from "../crypto/keys.ts";
import type { StationId, UserId } from "../model/ids.ts";
import type { Clock, Http, HttpAnswer } from "../ports.ts";
import { type Decode, fromJson, integer, list, Malformed, object, optional, text } from "./decode.ts";
import type { Requests } from "./requests.ts";
import { Pace } from "./pace.ts";
import { Refused, Unreachable } from "./refusal.ts";
import { wireTime } from "./time.ts";

/** The signer of requests. */
export interface Identity {
  user: UserId;
  station: StationId;
  rsaSign: CryptoKey;
}

/** The APIs, the actions of each, and their fields, as the server reads them. What is `undefined` is not sent. */
export type Api = keyof Requests;
export type Action<A extends Api> = keyof Requests[A] & string;

const VERSION = 4;
const TIMEOUT_MS = 30_000;
/** The minimum rate, in bytes per second, by which the timeout of large requests is computed. */
const MIN_RATE = 8192;
const JSON_TYPE = "application/json";
/** A device's clock that differs by more than this from the server's is not used. */
const CLOCK_MS = 120_000;

const head = object({
  status: text,
  errormessage: optional(text, ""),
  errorcode: optional(text, ""),
  participantids: optional(list(text), []),
  n: optional(integer, 0),
  card: optional(text, ""),
});

/** A request that was signed. */
interface Signed {
  request: string;
  headers: Record<string, string>;
}

/** Sends requests. */
export class Caller {
  /** The server's clock minus this device's, in ms; set by the first answer. */
  clockOffset = 0;
  /** Pacing of file records. Uploads start small, as a failed request has to be repeated whole. */
  readonly sending: Pace;
  readonly fetching: Pace;

  constructor(
    private readonly http: Http,
    readonly clock: Clock,
    private readonly who: Omit<Identity, "rsaSign"> | Identity,
  ) {
    this.sending = new Pace(clock, 1, 1, 2);
    this.fetching = new Pace(clock, 4, 3, 3);
  }

  /** The same, signed with another key of the same person's. */
  signedWith(rsaSign: CryptoKey): Caller {
    if (!("rsaSign" in this.who)) throw new Error("nobody is logged in");
    const { user, station } = this.who;
    return new Caller(this.http, this.clock, { user, station, rsaSign });
  }

  /** The time by the server's clock, in ms. */
  now(): number {
    return this.clock.now() + this.clockOffset;
  }

  /** Performs an action; throws `Refused`, `Unreachable` or `Malformed`. */
  async call<A extends Api, K extends Action<A>, T>(api: A, action: K, fields: Requests[A][K], decode: Decode<T>): Promise<T> {
    return (await this.prepare(api, action, fields, decode))();
  }

  /** Signs a request, which takes its time; returns a function that sends it, once. */
  async prepare<A extends Api, K extends Action<A>, T>(api: A, action: K, fields: Requests[A][K], decode: Decode<T>): Promise<() => Promise<T>> {
    let ready: Signed | null = await this.signed(api, action, fields);
    return () =>
      this.withCorrectedClock(async () => {
        const { request, headers } = ready ?? (await this.signed(api, action, fields));
        ready = null;
        return this.read(await this.send(pathOf(api), request, { ...headers, "Content-Type": JSON_TYPE }), decode);
      });
  }

  /** The same, with bytes that the fields name. */
  async callWith<A extends Api, K extends Action<A>, T>(bytes: Bytes, api: A, action: K, fields: Requests[A][K], decode: Decode<T>): Promise<T> {
    return this.withCorrectedClock(async () => {
      const { request, headers } = await this.signed(api, action, fields);
      const all = { ...headers, "Content-Type": "application/octet-stream", "Ozeki-Request": base64url(utf8(request)) };
      return this.read(await this.send(pathOf(api), bytes, all, bytes.length), decode);
    });
  }

  /** Fetches a range of a file, cut off at its end; throws as `call` does, and `DamagedFile` if the range begins beyond it. */
  async fetch(api: Api, path: string, action: string, fields: object, [first, last]: readonly [number, number]): Promise<Bytes> {
    return this.withCorrectedClock(async () => {
      const { request, headers } = await this.signed(api, action, fields);
      const all = { ...headers, "Ozeki-Request": base64url(utf8(request)), Range: `bytes=${first}-${last}` };
      const answer = await this.send(path, null, all);
      const { status, bytes } = answer;
      // The range begins beyond the end of the file, so it is shorter than its message says. A transfer that was cut has no answer.
      if (status === 416 || bytes?.length === 0) throw new DamagedFile("it ends too early");
      if (bytes && status === 206) return bytes.subarray(0, last - first + 1);
      return this.read<never>(answer, () => { throw new Unreachable(`HTTP ${answer.status}`); });
    });
  }

  private async withCorrectedClock<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      // The answer's date has corrected the clock meanwhile.
      if (error instanceof Refused && error.code === "timestamp_out_of_range") return task();
      throw error;
    }
  }

  private async signed(api: Api, action: string, fields: unknown): Promise<Signed> {
    const stamp = { timestamp: wireTime(this.now()), nonce: hex(random(16)) };
    const request = JSON.stringify(Object.assign({ action }, fields, { clientversioncode: VERSION, ...stamp }));
    // Also before a login, so that this user is not refused for the failures of others at the same address.
    const headers: Record<string, string> = { "Ozeki-Station": this.who.station, "Ozeki-User": this.who.user };
    if ("rsaSign" in this.who) headers["Ozeki-Signature"] = await signature(this.who, api, request);
    return { request, headers };
  }

  private async send(path: string, body: string | Bytes | null, headers: Record<string, string>, length = 0): Promise<HttpAnswer> {
    const abort = new AbortController();
    let cancel = (): void => undefined;
    const wait = (ms: number): void => {
      cancel();
      cancel = this.clock.after(ms, () => abort.abort());
    };
    wait(TIMEOUT_MS + (length / MIN_RATE) * 1000);
    try {
      // A body may arrive slowly, as long as it makes progress.
      return await this.http(path, body, headers, abort.signal, () => wait(TIMEOUT_MS));
    } catch (cause) {
      throw new Unreachable(abort.signal.aborted ? "it took too long" : "the server cannot be reached", { cause });
    } finally {
      cancel();
    }
  }

  private read<T>(answer: HttpAnswer, decode: Decode<T>): T {
    const date = answer.date === null ? Number.NaN : Date.parse(answer.date);
    let found: ReturnType<typeof head>;
    try {
      found = fromJson(answer.text, head);
    } catch (cause) {
      // A proxy's answer, or not a Parlance server.
      if (cause instanceof Malformed) throw new Unreachable(`HTTP ${answer.status}`, { cause });
      throw cause;
    }
    const offset = date - this.clock.now();
    // Seconds of difference are network latency; minutes mean a wrong clock, or one that was set right since.
    if (Math.abs(offset - this.clockOffset) > CLOCK_MS || found.errorcode === "timestamp_out_of_range") this.clockOffset = Number.isNaN(offset) ? 0 : offset;
    if (found.status === "OK") return fromJson(answer.text, decode);
    const seconds = answer.retryAfter === null ? Number.NaN : Number.parseInt(answer.retryAfter, 10);
    const { errorcode, errormessage, participantids, n, card } = found;
    const newest = card === "" ? null : { n, hash: card };
    throw new Refused(answer.status, errorcode, errormessage, Number.isNaN(seconds) ? null : seconds, participantids, newest);
  }

  /**
   * What opens this station's socket now. Addresses are logged by proxies: with `isModern` the signature is not in it, but
   * among the protocols that are offered, and good once.
   */
  async handshake(isModern: boolean): Promise<{ path: string; protocols: string[] }> {
    if (!("rsaSign" in this.who)) throw new Error("nobody is logged in");
    const timestamp = wireTime(this.now());
    const fields = { user: this.who.user, station: this.who.station, timestamp, clientversioncode: String(VERSION) };
    const address = (all: Record<string, string>): string => `ws?${new URLSearchParams(all).toString()}`;
    if (!isModern) return { path: address({ ...fields, signature: await signature(this.who, "websocket", timestamp) }), protocols: [] };
    const nonce = hex(random(16));
    const signed = await signature(this.who, "websocket", `${timestamp}\n${nonce}`);
    const name = signed.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return { path: address({ ...fields, nonce }), protocols: ["parlance", `parlance.signature.${name}`] };
  }
}

const pathOf = (api: Api): string => `?srv=chatserver&api=${api}`;
const base64url = (bytes: Bytes): string => base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function signature(who: Identity, api: Api | "websocket", body: string): Promise<string> {
  return rsaSign(who.rsaSign, utf8(["chatserver", api, who.user, who.station, body].join("\n")));
}

/** An answer without a result. */
export const done: Decode<null> = () => null;
