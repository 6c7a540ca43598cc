// Builds the page of the pictures and serves it with the product's Content-Security-Policy.

import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const web = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The Content-Security-Policy that the server sends with the client. */
const csp =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types parlance";
const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Parlance</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><link rel="stylesheet" href="app.css"></head>
<body><div id="app"></div><script type="module" src="app.js"></script></body></html>`;
const types = { ".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2" };

/** Builds and serves the page; returns its address, and a function that stops the server. */
export async function serve() {
  const folder = mkdtempSync(join(tmpdir(), "parlance-dev-"));
  await build({
    absWorkingDir: web,
    bundle: true,
    splitting: true,
    format: "esm",
    charset: "utf8",
    target: ["es2023", "chrome120"],
    loader: { ".woff2": "file" },
    entryPoints: { app: "ui/dev/main.tsx" },
    outdir: folder,
    logLevel: "warning",
  });
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://x");
    const type = types[extname(pathname)];
    if (!type) return response.setHeader("Content-Security-Policy", csp).setHeader("Content-Type", "text/html").end(page);
    try {
      return response.setHeader("Content-Type", type).end(readFileSync(join(folder, pathname)));
    } catch {
      return response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const end = () => {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  };
  return { address: `http://127.0.0.1:${server.address().port}`, end };
}
