// Bundles the tests with esbuild and runs them with Node's own runner. `node test.mjs unit` runs one folder.
// test/server needs a running server: PARLANCE_URL, where everyone may register.

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, ".test");
const folders = process.argv[2] ? [process.argv[2]] : ["unit", ...(process.env.PARLANCE_URL ? ["server"] : [])];

rmSync(out, { recursive: true, force: true });
mkdirSync(out);
const entryPoints = folders.flatMap((folder) =>
  readdirSync(join(here, "test", folder))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(here, "test", folder, name)),
);
await build({
  absWorkingDir: here,
  entryPoints,
  outdir: out,
  outbase: join(here, "test"),
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  outExtension: { ".js": ".mjs" },
  sourcemap: "inline",
  logLevel: "warning",
});
const files = readdirSync(out, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".test.mjs"))
  .map((name) => join(out, name));
// Node's default leaves one core free: with two cores that would be half.
const options = ["--enable-source-maps", "--experimental-websocket", "--test", `--test-concurrency=${availableParallelism()}`, "--test-timeout=120000"];
const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: "inherit", cwd: here });
process.exit(status ?? 1);
