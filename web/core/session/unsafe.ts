// What a server that changes what it stores could try: it is refused before a password or a key is used.

import type { UnsafeBy } from "../model/view.ts";

/** It is not safe to go on. */
export class Unsafe extends Error {
  constructor(
    readonly by: UnsafeBy,
    cause?: unknown,
  ) {
    super(`it is not safe to go on: ${by}`, { cause });
    this.name = "Unsafe";
  }
}
