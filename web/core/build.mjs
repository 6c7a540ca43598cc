// Builds the package @parlance/client into dist/: JavaScript for Node and bundlers, and its types. Not a script of `npm pack`, as many
// switch such scripts off. The packages of web/ must be installed (`npm ci` there).

import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
rmSync(join(here, "dist"), { recursive: true, force: true });
await build({
  absWorkingDir: here,
  entryPoints: { index: "index.ts", node: "../node/ports.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  packages: "external",
  format: "esm",
  platform: "neutral",
  target: "es2023",
  charset: "utf8",
  logLevel: "warning",
});
execFileSync(process.execPath, [join(here, "../node_modules/typescript/bin/tsc"), "-p", "tsconfig.package.json"], { cwd: here, stdio: "inherit" });
