// Attacks by a server that changes what it stores: refused before a password or a key is used.

import type { UnsafeBy } from "../model/view.ts";

/** It is not safe to continue. */
export class Unsafe extends Error {
  constructor(
    readonly by: UnsafeBy,
    cause?: unknown,
  ) {
    super(`it is not safe to continue: ${by}`, { cause });
    this.name = "Unsafe";
  }
}
