// The session record: who is logged in, with keys that cannot be exported.

import { hex, random, sha256, utf8 } from "../crypto/bytes.ts";
import { userId } from "../model/ids.ts";
import type { Ports } from "../ports.ts";
import type { SessionRecord } from "../store/records.ts";
import { Caller } from "../wire/call.ts";

/** Sends this session's requests, signed with the keys that it has at the time. */
export const callerOf = (ports: Pick<Ports, "http" | "clock">, session: Pick<SessionRecord, "user" | "station" | "keys">): Caller =>
  new Caller(ports.http, ports.clock, {
    user: userId(session.user),
    station: session.station,
    get rsaSign() {
      return session.keys.rsaSign;
    },
  });

/** A fingerprint to compare the keys of two devices by reading it out: the same on all devices of a user. */
export async function fingerprintOf({ publicKey, signKey }: SessionRecord): Promise<string> {
  return (hex(await sha256(utf8(signKey || publicKey))).slice(0, 32).match(/.{4}/g) ?? []).join(" ");
}

/** A password that is easy to write down and hard to guess: 80 bits in four groups. */
export function suggestPassword(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789";
  const groups: string[] = [];
  while (groups.length < 4) {
    // Bytes beyond the last multiple of 31 are skipped, so that all letters are equally likely.
    const bytes = [...random(32)].filter((byte) => byte < 248).slice(0, 4);
    if (bytes.length === 4) groups.push(bytes.map((byte) => letters[byte % 31] ?? "").join(""));
  }
  return groups.join("-");
}
