// Messages and names of the published form (docs/api.md, End-to-end encryption): what a client of version 3 writes.
// Nothing in it says who made a secret or wrote a message, so whoever can change the server's rows can forge both.

import { base64, type Bytes, concat, fromBase64, fromUtf8, random, utf8 } from "./bytes.ts";
import { aesKey } from "./keys.ts";

/** What a message of the published form is bound to. */
export interface PublishedPlace {
  conversation: string;
  instance: string;
  message: string;
}

const bound = ({ conversation, instance, message }: PublishedPlace): Bytes => utf8(conversation + instance + message);

/** Encrypts a body. */
export async function sealPublished(secret: Bytes, place: PublishedPlace, body: string): Promise<string> {
  const iv = random(12);
  const key = await aesKey(secret);
  const algorithm = { name: "AES-GCM", iv, additionalData: bound(place) };
  return base64(concat(iv, new Uint8Array(await crypto.subtle.encrypt(algorithm, key, utf8(body)))));
}

/** Decrypts a body; rejects if it is not of this secret or not of this place. */
export async function openPublished(secret: Bytes, place: PublishedPlace, data: string): Promise<string> {
  const bytes = fromBase64(data);
  const key = await aesKey(secret);
  const algorithm = { name: "AES-GCM", iv: bytes.slice(0, 12), additionalData: bound(place) };
  return fromUtf8(new Uint8Array(await crypto.subtle.decrypt(algorithm, key, bytes.slice(12))));
}

/** A group gets its id from the server only after its name was encrypted, so the name is bound to the secret alone. */
const NAME: PublishedPlace = { conversation: "", instance: "", message: "name" };

/** A name under a conversation's secret. */
export const sealPublishedName = (secret: Bytes, name: string): Promise<string> =>
  sealPublished(secret, NAME, JSON.stringify({ v: 1, name }));

/** Opens what `sealPublishedName` made. */
export const openPublishedName = (secret: Bytes, data: string): Promise<string> => openPublished(secret, NAME, data);
