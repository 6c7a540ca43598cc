// Builds the client into dist/: file names with content hashes, compressed copies beside each file, and reproducible
// output. `node build.mjs` prints the sizes; with --budget it fails when it is larger than it may be.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
/** Kilobytes of JavaScript, as brotli, before the first paint. */
const FIRST_LOAD_KB = 80;
/** Kilobytes of all files, as brotli, except those in `LAZY`. */
const ALL_KB = 200;
/** Files that only some users load: languages, the font's extended Latin subset, the emoji, and the code for opening and sending files. */
const LAZY = /^ui\/(?:i18n\/|picker\/emoji-data|files\/more)/;

const options = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2023", "chrome120", "firefox128", "safari17"],
  charset: "utf8",
  legalComments: "none",
  loader: { ".woff2": "file", ".svg": "file", ".png": "file" },
  logLevel: "warning",
  metafile: true,
};

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

const page = await build({
  ...options,
  entryPoints: { app: "ui/main.tsx" },
  outdir: join(dist, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  splitting: true,
});

const outputs = Object.entries(page.metafile.outputs);
const [entry, { cssBundle, imports }] = outputs.find(([, output]) => output.entryPoint === "ui/main.tsx");
const toUrl = (path) => relative("dist", path).replaceAll("\\", "/");
const integrity = (path) => `sha384-${createHash("sha384").update(readFileSync(join(here, path))).digest("base64")}`;
const first = [entry, ...imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => path)];

let html = readFileSync(join(here, "index.html"), "utf8");
const head = [
  cssBundle && `<link rel="stylesheet" href="${toUrl(cssBundle)}" integrity="${integrity(cssBundle)}">`,
  ...first.slice(1).map((path) => `<link rel="modulepreload" href="${toUrl(path)}" integrity="${integrity(path)}">`),
  `<script type="module" src="${toUrl(entry)}" integrity="${integrity(entry)}"></script>`,
].filter(Boolean);
html = html.replace("<!--assets-->", head.join("\n    "));
writeFileSync(join(dist, "index.html"), html);

// The service worker caches the files of one version. Their list is part of the worker, so a new file makes a new worker.
const files = ["./", ...outputs.map(([path]) => toUrl(path)).sort()];
const version = createHash("sha256").update(html).update(files.join("\n")).digest("hex").slice(0, 12);
if (existsSync(join(here, "worker/service.ts"))) {
  await build({
    ...options,
    format: "iife",
    entryPoints: ["worker/service.ts"],
    outfile: join(dist, "sw.js"),
    define: { VERSION: JSON.stringify(version), FILES: JSON.stringify(files) },
  });
}
for (const name of existsSync(join(here, "public")) ? readdirSync(join(here, "public")).sort() : []) {
  writeFileSync(join(dist, name), readFileSync(join(here, "public", name)));
}

const brotli = (bytes) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });

const packs = /\.(?:html|js|css|svg|webmanifest|json)$/;
const sizes = new Map();
for (const name of readdirSync(dist, { recursive: true }).map(String).sort()) {
  const path = join(dist, name);
  if (statSync(path).isDirectory()) continue;
  const bytes = readFileSync(path);
  const packed = packs.test(name) ? brotli(bytes) : bytes;
  if (packs.test(name)) {
    writeFileSync(`${path}.br`, packed);
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  }
  sizes.set(name, { raw: bytes.length, br: packed.length });
}

const kb = (bytes) => `${(bytes / 1024).toFixed(1).padStart(7)} KB`;
for (const [name, { raw, br }] of sizes) console.log(`${kb(raw)} ${kb(br)} brotli  ${name}`);
const isLazy = ([path, { entryPoint }]) => LAZY.test(entryPoint) || path.includes("latin-ext");
const lazy = new Set(outputs.filter(isLazy).map(([path]) => toUrl(path)));
const sum = (names) => names.reduce((total, name) => total + sizes.get(name).br, 0);
const budgets = [
  ["first load, JavaScript", sum(first.map(toUrl)), FIRST_LOAD_KB],
  ["everything but languages and their letters, emoji, and files that are opened or sent", sum([...sizes.keys()].filter((name) => !lazy.has(name))), ALL_KB],
];
for (const [what, bytes, most] of budgets) console.log(`${what}: ${kb(bytes).trim()} of ${most} KB`);
console.log(`version ${version}`);
writeFileSync(join(dist, "version"), `${version}\n`);
if (process.argv.includes("--budget") && budgets.some(([, bytes, most]) => bytes > most * 1024)) {
  console.error("The client is larger than it may be.");
  process.exit(1);
}
