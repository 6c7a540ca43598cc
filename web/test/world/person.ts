// A person in a test: a client, with verbs that wait for what a user would see.

import { type Client, type ConversationId, startClient, type State } from "../../core/index.ts";
import type { Ports } from "../../core/ports.ts";
import type { Article } from "../../core/model/view.ts";
import { nodePorts } from "../../node/ports.ts";

/** The limit of each wait. */
const LIMIT_MS = 30_000;

export const address = process.env["PARLANCE_URL"] ?? "";
export const password = "correct horse battery staple";

/** A person. */
export class Person {
  private constructor(
    readonly client: Client,
    readonly email: string,
    readonly name: string,
  ) {}

  /** Registers a new account. */
  static async joins(name: string, ports: Partial<Ports> = {}): Promise<Person> {
    const email = `${name.toLowerCase()}-${crypto.randomUUID()}@example.org`;
    const client = await startClient(nodePorts(address, ports));
    const invitation = { code: "", from: "", card: "", secret: "", name: "" };
    const made = await client.createAccount({ invitation, email, name, password });
    if (!made.ok) throw new Error(`no account: ${JSON.stringify(made.failure)}`);
    await client.enter(true);
    return new Person(client, email, name);
  }

  /** Logs in to an existing account. */
  static async logsIn(name: string, email: string, ports: Partial<Ports> = {}): Promise<Person> {
    const client = await startClient(nodePorts(address, ports));
    const outcome = await client.logIn(email, password);
    if (!outcome.ok) throw new Error(`no login: ${JSON.stringify(outcome.failure)}`);
    return new Person(client, email, name);
  }

  /** The same person on another device. */
  onAnotherDevice(ports: Partial<Ports> = {}): Promise<Person> {
    return Person.logsIn(this.name, this.email, ports);
  }

  get id(): string {
    const { session } = this.client.state;
    if (session.kind !== "in") throw new Error(`${this.name} is not logged in`);
    return session.me.id;
  }

  /** Waits until something is shown. */
  sees<T>(what: string, find: (state: State) => T | undefined | false, limitMs = LIMIT_MS): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const found = find(this.client.state);
        if (found === undefined || found === false) return false;
        clearTimeout(timer);
        end();
        resolve(found);
        return true;
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`${this.name} does not see ${what}: ${show(this.client.state)}`));
      }, limitMs);
      const end = this.client.subscribe(() => look());
      look();
    });
  }

  /** Makes friends with another person; returns the direct conversation. */
  async befriends(other: Person): Promise<ConversationId> {
    await this.client.request(other.email);
    const request = await other.sees("a request", ({ requests }) => requests.find(({ user }) => user === this.id));
    const answered = await other.client.answer(request, true);
    if (!answered.ok || !answered.value) throw new Error(`not accepted: ${JSON.stringify(answered)}`);
    const id = answered.value;
    await this.sees("the conversation", ({ conversations }) => conversations.find((one) => one.id === id));
    return id;
  }

  /** Sends a message. */
  async types(id: string, text: string): Promise<void> {
    await this.client.send(id, { text, reply: null, mentions: new Map() });
  }

  /** Waits for a message in the open conversation. */
  reads(text: string): Promise<Article> {
    return this.sees(`"${text}"`, ({ log }) => articlesOf(log?.entries ?? []).find((one) => one.text === text));
  }

  /** The texts of the open conversation. */
  texts(): string[] {
    return articlesOf(this.client.state.log?.entries ?? []).map(({ text }) => text);
  }
}

export const articlesOf = (entries: readonly { kind: string }[]): Article[] =>
  entries.filter((entry): entry is Article => entry.kind === "article");

function show({ connection, waiting, conversations, log, requests }: State): string {
  const entries = articlesOf(log?.entries ?? []).map(({ text, state, trouble }) => ({ text, state, trouble }));
  return JSON.stringify({ connection, waiting, conversations: conversations.length, requests, entries });
}
