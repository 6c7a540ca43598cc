import { test } from "node:test";
import { memoryBackend } from "../../core/store/memory.ts";
import { claims } from "../world/store-claims.ts";

for (const [claim, holds] of Object.entries(claims)) test(claim, () => holds(() => Promise.resolve(memoryBackend())));
