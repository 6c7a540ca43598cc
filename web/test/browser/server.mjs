// A real server for the tests in browsers: the binary that `cargo test` compiled, with the client embedded, on data of its own.
// PARLANCE names another binary.

import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const program = process.env.PARLANCE ?? join(root, "target/debug/parlance");
/** How many lines of the log are shown when it fails. */
const LAST_LINES = 30;

/** A server that can be killed and started again on the same data; nothing of it is left at the end. */
export class Server {
  #directory = mkdtempSync(join(tmpdir(), "parlance-browser-"));
  #settings;
  #process = null;
  #log = [];
  /** Where it listens; another port after each start. */
  address = "";
  /** Resolves with the code that makes the first account: it is printed while there are no users. */
  firstCode = null;

  constructor(settings) {
    this.#settings = settings;
    // PostgreSQL does not run as root, and has to get through.
    chmodSync(this.#directory, 0o711);
    process.on("exit", () => this.#process?.kill("SIGKILL"));
  }

  /** Starts it; resolves when it serves. */
  async start() {
    const { PATH, HOME, LANG, TMPDIR = tmpdir() } = process.env;
    const child = spawn(program, ["serve"], {
      cwd: this.#directory,
      env: {
        PATH,
        HOME,
        LANG,
        TMPDIR,
        DATA_DIR: join(this.#directory, "data"),
        LISTEN_ADDR: "127.0.0.1:0",
        LOG_FORMAT: "human",
        // Everybody here has one address.
        LOGIN_TRIES: "100",
        NEW_STATIONS_PER_DAY: "1000",
        BAD_SIGNATURES: "100000",
        ...this.#settings,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    const lines = createInterface({ input: child.stderr });
    const said = createInterface({ input: child.stdout });
    this.firstCode = new Promise((known) => {
      said.on("line", (line) => {
        const [, code] = line.split("#invite=");
        if (code) known(code);
      });
    });
    this.address = await new Promise((serves, fails) => {
      child.once("error", fails);
      child.once("exit", (code, signal) => fails(new Error(`the server ended (${code ?? signal}):\n${this.lastLines}`)));
      lines.on("line", (line) => {
        this.#log = [...this.#log, line].slice(-LAST_LINES);
        const address = / serves (http:\S+)/.exec(line)?.[1];
        if (address) serves(address);
      });
    });
  }

  /** The end of its log. */
  get lastLines() {
    return this.#log.join("\n");
  }

  /** SIGKILL; what listens on its sockets is cut off. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Keeps its data as they are now, as a backup does; it has to be started again. */
  async keepCopy() {
    await this.#end("SIGTERM");
    execFileSync("cp", ["-a", join(this.#directory, "data"), join(this.#directory, "copy")]);
  }

  /** Goes back to the data that were kept; it has to be started again. */
  async goBack() {
    await this.#end("SIGTERM");
    rmSync(join(this.#directory, "data"), { recursive: true });
    renameSync(join(this.#directory, "copy"), join(this.#directory, "data"));
  }

  /** SIGKILL for its PostgreSQL; the server starts it again. */
  killDatabase() {
    const pid = Number.parseInt(readFileSync(join(this.#directory, "data/postgres/postmaster.pid"), "utf8"), 10);
    process.kill(pid, "SIGKILL");
  }

  /** Stops it, and deletes its data. */
  async stop() {
    await this.#end("SIGTERM");
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #end(signal) {
    const child = this.#process;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }
}
