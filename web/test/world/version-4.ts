// A server of version 4 in memory, as far as cards, vaults and epochs go: docs/e2ee.md and docs/api.md, without their checks.
// Unlike the real one, it can behave like a hostile server: see `tamper`. People chat with the real one in test/server.

import { createHash, randomUUID } from "node:crypto";
import type { Http, OpenSocket, SocketListener } from "../../core/ports.ts";
import { base64, type Bytes, concat, fromHex, random, utf8 } from "../../core/crypto/bytes.ts";
import { canonical } from "../../core/crypto/canonical.ts";
import { cardHash } from "../../core/crypto/card.ts";
import { importSeed, label, publicOfSeed, sign } from "../../core/crypto/keys.ts";
import { append, EMPTY, rootOf, tagOf } from "../../core/crypto/log.ts";
import { md5 } from "../../core/crypto/md5.ts";
import { beginning, nextLink } from "../../core/crypto/chain.ts";
import { parseAnnouncement } from "../../core/crypto/epoch.ts";

type Fields = Record<string, unknown>;
const PUBLISHED = { kdf: "pbkdf2-sha256", rounds: 600_000, salt: "" };
interface Account {
  user: string;
  email: string;
  nick: string;
  apikey: string;
  recoverykey: string;
  publickey: string;
  rsakey: string;
  kdf: Fields;
  version: number;
  cards: Fields[];
  /** Names by id. */
  stations: Map<string, string>;
  friends: Set<string>;
  requests: Set<string>;
  /** The names of friends who have deleted their accounts, by id. */
  left: Map<string, string>;
}
interface Epoch {
  epoch: number;
  announcement: string;
  signature: string;
  secrets: Record<string, string>;
}
interface Message extends Fields {
  ID: string;
  User: string;
  Seq: number;
  Chain: string;
  Data: string;
}
interface Conversation {
  id: string;
  isGroup: boolean;
  instance: string;
  participants: Set<string>;
  displaynames: Record<string, string>;
  epochs: Epoch[];
  messages: Message[];
  reports: Fields[];
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly more: Fields = {},
  ) {
    super(code);
  }
}

/** The server. */
export class Version4 {
  private adding: Promise<unknown> = Promise.resolve();
  readonly id = createHash("md5").update(randomUUID()).digest("hex");
  readonly accounts = new Map<string, Account>();
  readonly conversations = new Map<string, Conversation>();
  /** What the log's head is signed with, and the log. */
  private seed = random(32);
  readonly entries: Bytes[] = [];
  private readonly sockets = new Map<SocketListener, { user: string; station: string; protocols: readonly string[] }>();
  /** Whether it forwards reports about delivered and seen messages. */
  keepsReports = false;
  /** What was asked, in order. */
  readonly asked: string[] = [];
  /** Users to whom another user's new card is not disclosed, once. */
  missesCard: (user: string) => boolean = () => false;
  /** Changes what is answered before a login. */
  prelogin: (answer: Fields) => Fields = (answer) => answer;
  /** Users whose changes of the vault are refused as stale. */
  isStale: (user: string) => boolean = () => false;
  /** Whether a user's cards are withheld from another user. */
  withholdsCards: (user: string, of: string) => boolean = () => false;
  /** Changes a conversation as a user sees it. */
  tamper: (user: string, conversation: Fields) => Fields = (_user, conversation) => conversation;

  /** Changes an epoch as a user sees it. */
  tamperEpoch: (user: string, epoch: Fields) => Fields = (_user, epoch) => epoch;

  http: Http = async (path, body, headers) => {
    const fields = JSON.parse(String(body)) as Fields;
    // A login names its user, too, before anything is signed.
    const user = ("Ozeki-Signature" in headers && headers["Ozeki-User"]) || "";
    const answer = (status: number, found: Fields) => ({ status, date: null, retryAfter: null, text: JSON.stringify(found) });
    try {
      const found = await this.perform(new URLSearchParams(path).get("api") ?? "", fields, user, headers["Ozeki-Station"] ?? "");
      return answer(200, { status: "OK", errormessage: "", ...found });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return answer(error.status, { status: "ERROR", errormessage: error.code, errorcode: error.code, ...error.more });
    }
  };

  openSocket: OpenSocket = (path, listener, protocols) => {
    const fields = new URLSearchParams(path.slice(3));
    this.sockets.set(listener, { user: fields.get("user") ?? "", station: fields.get("station") ?? "", protocols });
    if (fields.has("signature") || !fields.get("nonce")) throw new Error("a signature is in the address, or it has no nonce");
    setTimeout(() => listener.onOpen(), 0);
    return { send: () => undefined, close: () => this.sockets.delete(listener) };
  };

  /** The data, as a backup has it. */
  backup(): unknown {
    return structuredClone({ accounts: [...this.accounts], conversations: [...this.conversations], entries: this.entries });
  }

  /** Restores a backup; users stay logged in. */
  restore(backup: unknown): void {
    const { accounts, conversations, entries } = structuredClone(backup) as { accounts: [string, Account][]; conversations: [string, Conversation][]; entries: Bytes[] };
    const stations = new Map([...this.accounts].map(([user, account]) => [user, account.stations]));
    this.accounts.clear();
    this.conversations.clear();
    for (const [user, account] of accounts) this.accounts.set(user, { ...account, stations: stations.get(user) ?? account.stations });
    for (const [id, conversation] of conversations) this.conversations.set(id, conversation);
    this.entries.splice(0, this.entries.length, ...entries);
  }

  /** Replaces the server by another one. */
  signsWithAnotherKey(): void {
    this.seed = random(32);
  }

  /** Makes these users resync. */
  private announce(users: Iterable<string>): void {
    for (const user of new Set(users)) this.push([user], { conversationlistchangedof: [user] });
  }

  /** Makes a user resync. */
  announceTo(user: string): void {
    this.announce([user]);
  }

  /** Ends a friendship, as another client of the user would. */
  unfriend(user: string, friend: string): void {
    this.account(user).friends.delete(friend);
    this.account(friend).friends.delete(user);
    this.announce([user, friend]);
  }

  /** Deletes a user's account. */
  deleteAccount(user: string): void {
    const { nick, friends } = this.account(user);
    this.accounts.delete(user);
    for (const friend of friends) {
      this.account(friend).friends.delete(user);
      this.account(friend).left.set(user, nick);
    }
    this.announce(friends);
  }

  private push(users: readonly string[], frame: Fields): void {
    for (const [listener, { user }] of this.sockets) {
      if (users.includes(user)) setTimeout(() => listener.onFrame(JSON.stringify(frame)), 0);
    }
  }

  /** Closes the sockets of these stations. */
  close(stations: readonly string[], code: number): void {
    for (const [listener, { station }] of this.sockets) if (stations.includes(station)) setTimeout(() => listener.onClose(code), 0);
  }

  /** Inviters by the code of the invitation. */
  private readonly invites = new Map<string, string>();
  /** Users who get no more answers. */
  readonly disabled = new Set<string>();

  private account(user: string): Account {
    const found = this.accounts.get(user);
    if (!found) throw new Refusal(404, "user_not_found");
    return found;
  }

  private one(fields: Fields, user: string): Conversation {
    const found = this.conversations.get(String(fields["conversationid"]));
    if (!found?.participants.has(user)) throw new Refusal(404, "conversation_not_found");
    return found;
  }

  private async perform(api: string, fields: Fields, user: string, station: string): Promise<Fields> {
    if (this.disabled.has(user)) throw new Refusal(403, "not_allowed");
    if (user !== "" && !this.account(user).stations.has(station)) throw new Refusal(401, "unknown_station");
    const action = `${api}.${String(fields["action"])}`;
    this.asked.push(action);
    switch (action) {
      case "chatlogin.prelogin": {
        const known = this.accounts.get(md5(String(fields["email"])));
        return this.prelogin({ server: this.id, ...(known?.kdf ?? { kdf: "argon2id", m: 65_536, t: 3, p: 1, salt: "00".repeat(16) }) });
      }
      case "chatlogin.register":
        return this.register(fields);
      case "chatlogin.login": {
        const found = [...this.accounts.values()].find(({ apikey, recoverykey }) => [apikey, recoverykey].includes(String(fields["apikey"])));
        if (!found) throw new Refusal(401, "login_failed");
        const { stations } = found;
        const isNew = !stations.has(station);
        stations.set(station, String(fields["stationname"] ?? ""));
        if (isNew) this.push([found.user], { newstations: [station] });
        const key = found.recoverykey === fields["apikey"] ? "recovery" : "password";
        return { userid: found.user, fullname: found.nick, nick: found.nick, rsakey: found.rsakey, version: found.version, key };
      }
      case "chatlogin.invite": {
        const invite = randomUUID();
        this.invites.set(invite, user);
        return { inviteid: invite, invite, link: `http://127.0.0.1/#invite=${invite}`, expires: "2126-11-24 12:00:00" };
      }
      case "chatlogin.vault": {
        const { rsakey, version, kdf } = this.account(user);
        return { rsakey, version, kdf };
      }
      case "chatlogin.changekeys":
        Object.assign(this.account(user), { publickey: fields["publickey"] });
        return this.change({ ...fields, signout: true }, this.account(user), station);
      case "chatlogin.changevault":
      case "chatlogin.changerecovery":
      case "chatlogin.changepassword":
        return this.change(fields, this.account(user), station);
      case "chatlogin.keys":
        return { keys: [{ kind: "password" }, ...(this.account(user).recoverykey ? [{ kind: "recovery" }] : [])] };
      case "chatlogin.stations":
        return {
          stations: [...this.account(user).stations].map(([stationid, name]) => ({
            stationid,
            name,
            key: "password",
            created: "2026-11-24 12:00:00",
            lastseen: "2026-11-24 12:00:00",
            current: stationid === station,
          })),
        };
      case "chatlogin.signout": {
        const { stations } = this.account(user);
        const ended = [...stations.keys()].filter((one) => (fields["others"] === true ? one !== station : one === fields["stationid"]));
        for (const one of ended) stations.delete(one);
        this.close(ended, 4401);
        return { signedout: ended.length };
      }
      case "chatkeys.publish":
        return this.publish(fields, this.account(user));
      case "chatkeys.log":
        return this.log(Number(fields["after"]));
      case "chatkeys.get": {
        const after = (fields["after"] ?? {}) as Record<string, number>;
        const cardsOf = (id: string): Fields[] => (this.withholdsCards(user, id) ? [] : (this.accounts.get(id)?.cards ?? []));
        const cards = (fields["userids"] as string[]).map((id) => [id, cardsOf(id).slice(after[id] ?? 0)]);
        return { cards: Object.fromEntries(cards.filter(([, list]) => list?.length)) };
      }
      case "chatfriends.list": {
        const { friends, requests, left } = this.account(user);
        const named = (id: string): Fields => ({ friendid: id, friendname: this.account(id).nick });
        const availabilities = [...friends].map((id) => ({ ...named(id), publickey: this.account(id).publickey, availability: "available" }));
        return { availabilities, requests: [...requests].map(named), left: [...left].map(([friendid, friendname]) => ({ friendid, friendname })) };
      }
      case "chatfriends.add": {
        const friend = String(fields["friendid"] ?? md5(String(fields["email"])));
        if (this.account(user).friends.has(friend)) return {};
        this.account(friend).requests.add(user);
        this.announce([friend]);
        return {};
      }
      case "chatfriends.accept": {
        const friend = String(fields["friendid"]);
        this.account(user).requests.delete(friend);
        this.account(user).friends.add(friend);
        this.account(friend).friends.add(user);
        this.announce([user, friend]);
        return {};
      }
      case "chatblocklist.blocklist":
        return { blockedusers: [] };
      case "chatconversationgroup.invitations":
        return { invitations: [] };
      case "chatconversation.list":
        return { conversations: [...this.conversations.values()].filter((c) => c.participants.has(user)).map((c) => this.view(c, user)) };
      case "chatconversation.create":
        return this.create(fields, user, [user, String(fields["participantid"])], false);
      case "chatconversationgroup.create":
        return this.create(fields, user, [user, ...(fields["participantids"] as string[])], true);
      case "chatconversationgroup.leave": {
        const left = this.one(fields, user);
        left.participants.delete(user);
        this.announce([user, ...left.participants]);
        return {};
      }
      case "chatconversation.rekey":
        return this.rekey(fields, user);
      case "chatconversation.epochs":
        return { epochs: [...this.one(fields, user).epochs].reverse().map((epoch) => this.epochView(epoch, user)) };
      case "chatconversation.add":
        return this.add(fields, user, station);
      case "chatconversation.erase": {
        const c = this.one(fields, user);
        const messageids = fields["messageids"] as string[];
        for (const one of c.messages) if (messageids.includes(one.ID)) Object.assign(one, { Data: "", DataHash: createHash("sha256").update(one.Data).digest("hex") });
        this.push([...c.participants], { erased: [{ conversationid: c.id, messageids }] });
        return {};
      }
      case "chatconversation.downloadpartial":
        return { messages: this.one(fields, user).messages, reports: this.one(fields, user).reports };
      case "chatconversation.download": {
        const { messages, reports } = this.one(fields, user);
        const from = messages.findIndex(({ ID }) => ID === fields["firstmessageid"]);
        const since = reports.findIndex(({ ID }) => ID === fields["firstreportid"]);
        return { messages: messages.slice(Math.max(0, from)), reports: reports.slice(Math.max(0, since)) };
      }
      case "chatconversation.transcript": {
        const later = this.one(fields, user).messages.filter(({ Seq }) => Seq > Number(fields["afterseq"]));
        const transcript = later.map(({ Seq, ID, Chain, Data }) => ({ Seq, ID, Chain, DataHash: createHash("sha256").update(Data).digest("hex") }));
        return { transcript, hasmore: false };
      }
      case "chatreports.delivered":
      case "chatreports.viewed":
        return this.report(fields, user);
      default:
        throw new Refusal(404, "unknown_action");
    }
  }

  private async publish(fields: Fields, account: Account): Promise<Fields> {
    const card = String(fields["card"]);
    account.cards.push({ card, signatures: fields["signatures"] });
    const n = new Uint8Array(8);
    new DataView(n.buffer).setBigUint64(0, BigInt(account.cards.length));
    this.entries.push(concat(fromHex(await tagOf(this.id, account.user)), n, fromHex(await cardHash(card))));
    return {};
  }

  private async log(after: number): Promise<Fields> {
    let tree = EMPTY;
    for (const entry of this.entries) tree = await append(tree, entry);
    const head = canonical({ v: 1, server: this.id, size: tree.size, root: await rootOf(tree), time: "2026-11-24 12:00:00" });
    const signature = base64(await sign(await importSeed(this.seed), concat(label("log"), utf8(head))));
    const entries = base64(concat(...this.entries.slice(after)));
    return { head, signature, key: base64(await publicOfSeed(this.seed)), entries, hasmore: false };
  }

  /** An account of the published form. */
  addPublished(of: { email: string; nick: string; apikey: string; publickey: string; rsakey: string }): void {
    const sets = { stations: new Map<string, string>(), friends: new Set<string>(), requests: new Set<string>(), left: new Map<string, string>() };
    this.accounts.set(md5(of.email), { ...of, user: md5(of.email), recoverykey: "", kdf: PUBLISHED, version: 0, cards: [], ...sets });
  }

  private async register(fields: Fields): Promise<Fields> {
    const { apikey, recoverykey, publickey, rsakey } = fields as Record<string, string>;
    const email = String(fields["email"]);
    const own = { email, user: md5(email), nick: String(fields["nick"]), kdf: (fields["kdf"] ?? PUBLISHED) as Fields };
    const keys = { apikey: apikey ?? "", recoverykey: recoverykey ?? "", publickey: publickey ?? "", rsakey: rsakey ?? "" };
    const sets = { stations: new Map(), friends: new Set<string>(), requests: new Set<string>(), left: new Map<string, string>() };
    const account = { ...own, ...keys, version: 0, cards: [], ...sets };
    this.accounts.set(own.user, account);
    if (fields["card"]) await this.publish(fields["card"] as Fields, account);
    const inviter = this.invites.get(String(fields["invite"]));
    if (inviter) {
      account.friends.add(inviter);
      this.account(inviter).friends.add(own.user);
      this.announce([inviter]);
    }
    return { userid: own.user };
  }

  private async change(fields: Fields, account: Account, station: string): Promise<Fields> {
    const { apikey, recoverykey, rsakey, version, kdf } = fields;
    if (Number(version) <= account.version || this.isStale(account.user)) throw new Refusal(409, "stale_version");
    const password = apikey !== undefined && { apikey, kdf };
    Object.assign(account, { rsakey, version, ...password, ...(recoverykey !== undefined && { recoverykey }) });
    if (fields["card"]) await this.publish(fields["card"] as Fields, account);
    const others = [...account.stations.keys()].filter((one) => one !== station);
    if (fields["signout"] !== true) return {};
    for (const one of others) account.stations.delete(one);
    this.close(others, 4401);
    return {};
  }

  private epochView({ secrets, ...epoch }: Epoch, user: string): Fields {
    return this.tamperEpoch(user, { ...epoch, secret: secrets[user] ?? "" });
  }

  private view(c: Conversation, user: string): Fields {
    const newest = c.epochs.at(-1);
    return this.tamper(user, {
      id: c.id,
      isgroup: c.isGroup,
      participants: [...c.participants].sort().map((id) => ({ userid: id, username: this.accounts.get(id)?.nick ?? "?" })),
      displayname: c.displaynames[user] ?? c.displaynames[""] ?? "",
      lastmessageid: c.messages.at(-1)?.ID ?? "",
      lastreportid: c.reports.at(-1)?.["ID"] ?? "",
      lastaccess: 1,
      secret: newest?.secrets[user] ?? "",
      instance: c.instance,
      hiddenby: [],
      properties: [],
      epoch: newest?.epoch ?? 0,
      epochs: newest ? [this.epochView(newest, user)] : [],
    });
  }

  private epochOf(fields: Fields): Epoch {
    const { announcement, signature, secrets } = fields as { announcement: string; signature: string; secrets: Record<string, string> };
    return { epoch: parseAnnouncement(announcement).epoch, announcement, signature, secrets };
  }

  private create(fields: Fields, user: string, users: string[], isGroup: boolean): Fields {
    const epoch = this.epochOf(fields);
    if (this.missesCard(user)) throw new Refusal(409, "stale_roster", { participantids: users });
    const id = parseAnnouncement(epoch.announcement).conversation;
    const displaynames = isGroup ? { "": String(fields["displayname"]) } : {};
    const made: Conversation = { id, isGroup, instance: "abcdefghij", participants: new Set(users), displaynames, epochs: [epoch], messages: [], reports: [] };
    if (!this.conversations.has(id)) this.conversations.set(id, made);
    this.announce(users);
    return { conversation: this.view(this.conversations.get(id) ?? made, user) };
  }

  private rekey(fields: Fields, user: string): Fields {
    const c = this.one(fields, user);
    const epoch = this.epochOf(fields);
    if (epoch.epoch !== (c.epochs.at(-1)?.epoch ?? 0) + 1) throw new Refusal(409, "stale_epoch");
    const before = [...c.participants];
    for (const id of (fields["removeparticipants"] ?? []) as string[]) c.participants.delete(id);
    for (const id of (fields["addparticipants"] ?? []) as string[]) c.participants.add(id);
    if (Object.keys(epoch.secrets).sort().join() !== [...c.participants].sort().join()) throw new Refusal(409, "stale_roster", { participantids: [...c.participants] });
    if (this.missesCard(user)) throw new Refusal(409, "stale_roster", { participantids: [...c.participants] });
    Object.assign(c.displaynames, fields["displaynames"]);
    c.epochs.push(epoch);
    this.announce([...before, ...c.participants]);
    return { conversation: this.view(c, user) };
  }

  private report(fields: Fields, user: string): Fields {
    if (!this.keepsReports) return {};
    const c = this.one(fields, user);
    const Type = fields["action"];
    for (const MessageID of fields["messageids"] as string[]) {
      if (c.reports.some((one) => one["MessageID"] === MessageID && one["User"] === user && one["Type"] === Type)) continue;
      const Created = `2026-11-24 12:00:${String(c.reports.length % 60).padStart(2, "0")}`;
      c.reports.push({ ID: randomUUID(), Type, Created, User: user, MessageID });
    }
    this.announce(c.participants);
    return {};
  }

  // One after the other, as each link follows the one before.
  private add(fields: Fields, user: string, station: string): Promise<Fields> {
    const added = this.adding.then(() => this.addNext(fields, user, station));
    this.adding = added.catch(() => undefined);
    return added;
  }

  private async addNext(fields: Fields, user: string, station: string): Promise<Fields> {
    const c = this.one(fields, user);
    const { ID, Type, Created, ValidUntil, Data } = JSON.parse(String(fields["message"])) as Record<string, string>;
    const stored = { ID: ID ?? "", Type, Created, ValidUntil, Data: Data ?? "", User: user, Station: station };
    if (!c.messages.some((one) => one.ID === ID)) {
      if (fields["epoch"] !== c.epochs.at(-1)?.epoch) throw new Refusal(409, "stale_epoch");
      const last = c.messages.at(-1);
      const seq = (last?.Seq ?? 0) + 1;
      const link = { seq, id: stored.ID, data: stored.Data };
      const Chain = await nextLink(last?.Chain ?? (await beginning(c.id, c.instance)), link);
      c.messages.push({ ...stored, Seq: seq, Chain });
    }
    this.announce(c.participants);
    return { message: { ID, Created, ValidUntil } };
  }
}
