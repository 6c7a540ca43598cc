// People in browsers, and the way between them and a real server, which can be cut. Needs a built client (`npm run build`)
// and PARLANCE_URL: a running server where everyone may register.

import { existsSync, readFileSync } from "node:fs";
import { createServer, request as forward } from "node:http";
import { connect } from "node:net";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../../ui/dev/serve.mjs";

const dist = join(dirname(fileURLToPath(import.meta.url)), "../../dist");
const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
};
const csp =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; media-src blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types parlance";

/** The page and the server behind one address, as in production; `cut` breaks the way to the server until `mend`. */
export async function openWay(upstream) {
  const { hostname, port } = new URL(upstream);
  const open = new Set();
  let whole = true;
  let release = "";
  const server = createServer((question, answer) => {
    if (question.method === "POST") {
      if (!whole) return question.socket.destroy();
      const { url: path, method, headers } = question;
      const sent = forward({ hostname, port, path, method, headers }, (got) => {
        answer.writeHead(got.statusCode, got.headers);
        got.pipe(answer);
      });
      sent.on("error", () => answer.destroy());
      return question.pipe(sent);
    }
    const path = new URL(question.url, "http://x").pathname;
    const file = join(dist, path === "/" ? "index.html" : path);
    if (!existsSync(file)) return answer.writeHead(404).end();
    answer.setHeader("Content-Type", types[extname(file)] ?? "application/octet-stream");
    const bytes = readFileSync(file);
    return answer.setHeader("Content-Security-Policy", csp).end(path === "/sw.js" ? bytes + release : bytes);
  });
  server.on("upgrade", ({ method, url, headers }, socket, head) => {
    if (!whole) return socket.destroy();
    const up = connect(Number(port), hostname, () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      up.write(`${method} ${url} HTTP/1.1\r\n${lines.join("")}\r\n`);
      up.write(head);
      up.pipe(socket).pipe(up);
    });
    open.add(socket);
    for (const one of [up, socket]) {
      one.on("error", () => undefined);
      one.on("close", () => [up, socket].forEach((both) => both.destroy()));
    }
    return socket.on("close", () => open.delete(socket));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    cut: () => {
      whole = false;
      for (const socket of open) socket.destroy();
    },
    mend: () => {
      whole = true;
    },
    /** The server has another version from now on: its worker differs. */
    upgrade: () => {
      release += "// newer\n";
    },
    end: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

export const password = "correct horse battery 9";
const unique = () => Math.random().toString(36).slice(2, 10);

/** Somebody with a browser of their own; the verbs wait for what a person would see. */
export class Person {
  constructor(context, tab, name, email, way) {
    Object.assign(this, { context, tab, name, email, way });
  }

  /** A fresh browser at the start. */
  static async at(browser, way, hash, { width = 1280, height = 800 } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, locale: "en-GB" });
    context.setDefaultTimeout(15_000);
    const tab = await context.newPage();
    await tab.goto(way.address + hash);
    return { context, tab };
  }

  /** Makes an account by an invitation's page. */
  static async joins(browser, way, name, size) {
    const email = `${name.toLowerCase()}-${unique()}@example.org`;
    const { context, tab } = await Person.at(browser, way, "#invite=", size);
    await tab.getByRole("textbox", { name: "E-mail", exact: true }).fill(email);
    await tab.getByRole("textbox", { name: "Name", exact: true }).fill(name);
    await tab.getByRole("textbox", { name: "Password", exact: true }).fill(password);
    await tab.getByRole("textbox", { name: "Repeat password", exact: true }).fill(password);
    await tab.getByRole("button", { name: "Create account", exact: true }).click();
    const search = tab.getByRole("textbox", { name: "Search", exact: true });
    const next = tab.getByRole("button", { name: "Continue", exact: true });
    await search.or(next).waitFor();
    if (await next.isVisible()) await next.click();
    await search.waitFor();
    return new Person(context, tab, name, email, way);
  }

  /** The same person in another browser. */
  async onAnotherDevice(browser) {
    const { context, tab } = await Person.at(browser, this.way, "");
    await tab.getByRole("textbox", { name: "E-mail", exact: true }).fill(this.email);
    await tab.getByLabel("Password", { exact: true }).fill(password);
    await tab.getByRole("button", { name: "Log in", exact: true }).click();
    await tab.getByRole("textbox", { name: "Search", exact: true }).waitFor();
    return new Person(context, tab, this.name, this.email, this.way);
  }

  get list() {
    return this.tab.getByRole("list", { name: "Conversations", exact: true });
  }
  get log() {
    return this.tab.getByRole("log", { name: "Messages", exact: true });
  }
  get box() {
    return this.tab.getByRole("textbox", { name: "Message", exact: true });
  }
  button(name) {
    return this.tab.getByRole("button", { name, exact: true });
  }
  article(text) {
    return this.log.getByRole("article").filter({ has: this.tab.locator(".text", { hasText: text }) });
  }

  /** Becomes a contact of somebody. */
  async befriends(other) {
    await this.button("New conversation").click();
    const dialog = this.tab.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "E-mail", exact: true }).fill(other.email);
    await dialog.getByRole("button", { name: "Send request", exact: true }).click();
    await dialog.getByRole("button", { name: "Close", exact: true }).last().click();
    await other.button("Accept").click();
    await this.list.getByRole("link", { name: new RegExp(`^${other.name}\\b`) }).waitFor();
  }

  async opens(name) {
    await this.list.getByRole("link", { name: new RegExp(`^${name}\\b`) }).click();
    await this.tab.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  }

  /** Types and presses Enter; the box is empty when the text lies on the device. */
  async says(text) {
    await this.box.fill(text);
    await this.box.press("Enter");
    await this.tab.waitForFunction(() => document.querySelector("textarea")?.value === "");
  }

  async sees(text) {
    await this.article(text).first().waitFor();
  }

  /** The item of a message's menu. */
  async does(text, item) {
    await this.article(text).getByRole("button", { name: "More", exact: true }).click();
    await this.tab.getByRole("menuitem", { name: item, exact: true }).click();
  }

  /** The texts of the log, from the oldest. */
  async texts() {
    return this.log.getByRole("article").locator(".text").allTextContents();
  }
}

export { launch };
