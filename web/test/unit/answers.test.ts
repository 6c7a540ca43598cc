// Answers are read by the types that are made of the server's: what differs from them does not compile.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Epoch, Participant } from "../../core/wire/answers.ts";
import { answer, integer, list, Malformed, optional, text } from "../../core/wire/decode.ts";

test("a field that the server does not have, one of another type, and one that may be missing are mistakes", () => {
  // @ts-expect-error: it is called username.
  answer<Participant>()({ userid: text, name: text });
  // @ts-expect-error: it is a number.
  answer<Epoch>()({ epoch: text });
  // @ts-expect-error: a list of texts is no text.
  answer<{ gone: readonly string[] }>()({ gone: text });
  // @ts-expect-error: it is not in every answer.
  answer<{ version?: string | undefined }>()({ version: text });
  answer<{ version?: string | undefined }>()({ version: optional(text, "") });
});

test("what is read has the types of its decoders, and what is malformed says where", () => {
  const decode = answer<{ epochs: readonly Epoch[] }>()({ epochs: list(answer<Epoch>()({ epoch: integer, secret: text })) });
  const found: { epochs: { epoch: number; secret: string }[] } = decode({ epochs: [{ epoch: 3, secret: "x", more: 1 }] }, "");
  assert.deepEqual(found, { epochs: [{ epoch: 3, secret: "x" }] });
  assert.throws(() => decode({ epochs: [{ epoch: "3", secret: "x" }] }, ""), (error) => error instanceof Malformed && error.message.includes("epochs[0].epoch"));
});
