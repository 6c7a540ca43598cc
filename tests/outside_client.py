"""A client written from docs/api.md, docs/e2ee.md and docs/transcript.md alone, which talks to a real server:

    python3 tests/outside_client.py URL EMAIL PASSWORD FRIEND
    python3 tests/outside_client.py URL EMAIL PASSWORD seed:SEED

At first it registers, and publishes a card; then FRIEND, an address, is whom it talks to. With the seed of a signing key in
hex, it is another device of a user who has a card already. Each line of standard input is a command, and each line on
standard output an answer:

    ask             asks for the friendship; answers "asked"
    begin           creates the conversation, with its first epoch; answers its id
    say TEXT        sends a text, in the present epoch; answers the message's id
    read            answers the texts of all messages, as a JSON list, or why something was refused
    rekey           begins the next epoch; answers its number
    group           reads the only group from now on, and not the direct conversation
    meet            fetches the keys and the key log, and pins them
    keep NAME       keeps what is known now under this name
    know NAME       knows what was kept, and nothing later; "nothing" is a new device
    at URL          calls another node from now on
    vault ROOT SEEN opens the user's vault with a root key in hex; SEEN is the newest version that was seen

All checks are those of tests/e2ee_check.py, whose cases are made here of what the server answers.
"""

import base64
import copy
import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import e2ee_check as e2ee
from e2ee_check import Refused, canonical, hkdf, id_bytes, lp, refuse_unless, sha256, unbase64

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def base64_of(data):
    return base64.b64encode(data).decode()


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


class Server:
    """The calls: docs/api.md, One endpoint, and Signatures."""

    def __init__(self, url):
        self.url, self.station, self.user, self.key = url, os.urandom(16).hex(), "", None

    def call(self, api, action, **fields):
        fields.update(action=action, clientversioncode=4, timestamp=now(), nonce=os.urandom(16).hex())
        body = json.dumps(fields)
        headers = {"Ozeki-Station": self.station, "Content-Type": "application/json"}
        if self.key:
            text = "\n".join(("chatserver", api, self.user, self.station, body)).encode()
            signature = self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
            headers.update({"Ozeki-User": self.user, "Ozeki-Signature": base64_of(signature)})
        request = urllib.request.Request(f"{self.url}/?srv=chatserver&api={api}", body.encode(), headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise Refused(json.load(refusal)["errorcode"]) from None


def secret_of(one, key):
    """The secret of an epoch, which is the one that was announced; None if it was not given to this user."""
    if one["secret"] == "":
        return None
    try:
        secret = key.decrypt(unbase64(one["secret"]), OAEP)
    except ValueError:
        raise Refused("WrongSecret") from None
    commit = e2ee.announcement(one["announcement"])["commit"]
    refuse_unless(sha256(b"parlance secret 1\n", secret).hex() == commit, "WrongSecret")
    return secret


class Known:
    """What a device keeps of the past."""

    def __init__(self):
        self.cards, self.own_cards, self.log, self.server_key, self.server_id = {}, {}, b"", None, None
        # The newest epoch, as the server showed it, and the keys of its members; the newest message: number and chain.
        self.epoch, self.members, self.head = None, {}, None


class Client:
    def __init__(self, url, email, password, friend):
        self.server = Server(url)
        self.email, self.friend_email = email, friend
        self.me = hashlib.md5(email.encode()).hexdigest()
        self.friend = hashlib.md5(friend.encode()).hexdigest()
        self.conversation = hashlib.md5(";".join(sorted((self.me, self.friend))).encode()).hexdigest()
        self.is_group, self.n, self.kept = False, 0, {"nothing": Known()}
        self.known = Known()
        # docs/api.md, End-to-end encryption: the published form of an account.
        apikey = hashlib.pbkdf2_hmac("sha256", password.encode(), f"parlance:{email}".encode(), 600_000).hex()
        seed = friend.removeprefix("seed:") if friend.startswith("seed:") else None
        if not seed:
            self.register(apikey, rsa.generate_private_key(65537, 2048), password)
        answer = self.server.call("chatlogin", "login", apikey=apikey)
        refuse_unless(answer["userid"] == self.me, "another user")
        self.key = serialization.load_pem_private_key(answer["rsakey"].encode(), password.encode())
        self.server.user, self.server.key = self.me, self.key
        if seed:
            self.sign = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        else:
            self.sign = ed25519.Ed25519PrivateKey.generate()
            self.publish_card()

    def register(self, apikey, key, password):
        # PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC. This Python package has no say in the rounds, OpenSSL has.
        nothing = serialization.NoEncryption()
        der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, nothing)
        lock = "openssl pkcs8 -topk8 -inform DER -v2 aes-256-cbc -v2prf hmacWithSHA256 -iter 600000 -passout env:PASSWORD"
        pem = subprocess.run(lock.split(), input=der, env={**os.environ, "PASSWORD": password}, capture_output=True, check=True).stdout
        public = self.public_of(key)
        names = {"fullname": "Outside", "nick": "Outside"}
        self.server.call(
            "chatlogin", "register", email=self.email, apikey=apikey, publickey=public, rsakey=pem.decode(), **names
        )

    @staticmethod
    def public_of(key):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return base64_of(key.public_key().public_bytes(serialization.Encoding.DER, form))

    # Cards and the key log.

    def server_id(self):
        if self.known.server_id is None:
            self.known.server_id = self.server.call("chatlogin", "prelogin", email=self.email)["server"]
        return self.known.server_id

    def publish_card(self):
        raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        card = canonical(
            {
                "v": 1,
                "user": self.me,
                "email": self.email,
                "server": self.server_id(),
                "sign": base64_of(self.sign.public_key().public_bytes(*raw)),
                "rsa": sha256(unbase64(self.public_of(self.key))).hex(),
                "n": 1,
                "prev": "",
            }
        )
        signed = b"parlance card 1\n" + card.encode()
        by_rsa = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        signatures = {"sign": base64_of(self.sign.sign(signed)), "rsa": base64_of(by_rsa), "prev": ""}
        self.follow_log()
        self.server.call("chatkeys", "publish", card=card, signatures=signatures)
        self.known.own_cards["1"] = sha256(card.encode()).hex()

    def tag(self, user):
        return sha256(b"parlance tag 1\n", lp(id_bytes(self.server_id()), id_bytes(user)))

    def follow_log(self, card=None):
        """Follows the key log, in which a card has to be the newest one of its user."""
        known, entries, more = self.known, b"", True
        while more:
            page = self.server.call("chatkeys", "log", after=len(known.log + entries) // 72)
            entries, more = entries + unbase64(page["entries"]), page["hasmore"]
        known.server_key = known.server_key or page["key"]
        if not known.log and not known.own_cards:
            # A new device: what is there of this user is compared with the own keys once the cards are met.
            mine = [entries[at : at + 72] for at in range(0, len(entries), 72) if entries[at : at + 32] == self.tag(self.me)]
            known.own_cards = {str(int.from_bytes(one[32:40], "big")): one[40:].hex() for one in mine}
        case = {"head": page["head"], "signature": page["signature"], "key": known.server_key, "server": self.server_id()}
        case.update(before=base64_of(known.log), entries=entries.hex(), user=self.me, own=known.own_cards)
        if card:
            case["card"] = card
        e2ee.check_log(case)
        known.log += entries

    def is_logged(self, user):
        return any(self.known.log[at : at + 32] == self.tag(user) for at in range(0, len(self.known.log), 72))

    def meet(self, users=None):
        """Pins the keys of these users; at first of both in the direct conversation."""
        users, known = sorted(users or {self.me, self.friend}), self.known
        found = self.server.call("chatkeys", "get", userids=users)
        self.follow_log()
        for user in users:
            offered = found["cards"].get(user, [])
            refuse_unless(offered or user not in known.cards, "OlderCard")
            refuse_unless(offered or not self.is_logged(user), "NotLogged")
            if offered:
                self.meet_card(user, offered, found["publickeys"][user])
        self.keys = found["publickeys"]

    def meet_card(self, user, offered, public):
        case = {"user": user, "server": self.server_id()}
        pinned = [e2ee.signed_card(one) for one in self.known.cards.get(user, [])]
        try:
            _, result = e2ee.offer(pinned, case, [e2ee.signed_card(one) for one in offered], public)
        except Refused as refused:
            # Nothing is wrapped for a key that no card names, and nothing is sent.
            raise Refused("NewIdentity") if str(refused) == "RsaKey" else refused
        self.follow_log(offered[-1])
        refuse_unless(result != "newidentity", "NewIdentity")
        if user == self.me:
            form = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            own = base64_of(self.sign.public_key().public_bytes(*form)), self.public_of(self.key)
            newest = e2ee.card(offered[-1]["card"])
            refuse_unless((newest["sign"], newest["rsa"]) == (own[0], sha256(unbase64(own[1])).hex()), "NotMyCard")
        self.known.cards[user] = offered

    def texts(self):
        return [one["card"] for cards in self.known.cards.values() for one in cards]

    def members(self):
        return {user: sha256(cards[-1]["card"].encode()).hex() for user, cards in self.known.cards.items()}

    # Epochs.

    def announce(self, epoch, prev, added, head):
        """An epoch with a new secret: the fields of `create` and `rekey`."""
        self.meet()
        secret = os.urandom(32)
        announcement = canonical(
            {
                "v": 1,
                "conversation": self.conversation,
                "epoch": epoch,
                "prev": prev,
                "roster": e2ee.roster(self.members()),
                "admins": [],
                "added": added,
                "removed": [],
                "commit": sha256(b"parlance secret 1\n", secret).hex(),
                "by": self.me,
                "head": head,
            }
        )
        signature = base64_of(self.sign.sign(b"parlance epoch 1\n" + announcement.encode()))
        wrapped = {
            user: base64_of(serialization.load_der_public_key(unbase64(key)).encrypt(secret, OAEP))
            for user, key in self.keys.items()
        }
        return {"announcement": announcement, "signature": signature, "secrets": wrapped}

    def begin(self):
        both = sorted((self.me, self.friend))
        fields = self.announce(1, "", both, [0, ""])
        # Each is shown the other's name.
        names = {user: "" for user in both}
        self.server.call("chatconversation", "create", participantid=self.friend, displaynames=names, **fields)
        return self.conversation

    def rekey(self):
        rows = self.follow()
        newest = self.epochs[-1]
        head = [rows[-1]["Seq"], rows[-1]["Chain"]] if rows else [0, self.beginning().hex()]
        prev = sha256(newest["announcement"].encode()).hex()
        fields = self.announce(newest["epoch"] + 1, prev, [], head)
        fields.update(conversationid=self.conversation, instance=self.instance, epoch=newest["epoch"] + 1)
        self.server.call("chatconversation", "rekey", **fields)
        return newest["epoch"] + 1

    def beginning(self):
        return sha256(id_bytes(self.conversation), self.instance.encode())

    def follow(self):
        """Follows the epochs to the newest one, and the transcript. Answers the messages."""
        known, listed = self.known, self.listed()
        self.instance = listed["instance"]
        page = self.server.call("chatconversation", "epochs", conversationid=self.conversation)
        self.epochs = page["epochs"][::-1]
        refuse_unless(not page["hasmore"] and self.epochs[-1]["epoch"] == listed["epoch"], "OldEpoch")
        announced = [e2ee.announcement(one["announcement"]) for one in self.epochs]
        # Also of those who have left: their cards verify what they wrote.
        self.meet({self.me}.union(*(one["added"] | {one["by"]} for one in announced)))
        case = {"conversation": self.conversation, "cards": self.texts(), "announcements": self.epochs}
        case["members"] = {user: {"card": key} for user, key in known.members.items()}
        if known.epoch:
            number = e2ee.announcement(known.epoch)["epoch"]
            refuse_unless(announced[-1]["epoch"] >= number, "OldEpoch")
            refuse_unless(known.epoch.encode() in [one["text"] for one in announced], "ForkedEpoch")
            case.update(known=known.epoch, announcements=[one for one in self.epochs if one["epoch"] > number])
        members = sorted(known.members)
        if case["announcements"]:
            members = e2ee.check_epoch(case)["members"]
        for before, after in zip(announced, announced[1:]):
            refuse_unless(after["prev"] == before["hash"], "ForkedEpoch")
        refuse_unless(announced[-1]["conversation"] == self.conversation, "ForkedEpoch")
        # People are shown the one or the other.
        refuse_unless(bool(announced[-1]["admins"]) == listed["isgroup"], "WrongRoster")
        refuse_unless(listed["isgroup"] != self.is_direct(members), "WrongRoster")
        newest = secret_of(self.epochs[-1], self.key)
        refuse_unless(newest, "WrongSecret")
        refuse_unless(set(listed["participantids"]) == set(members), "DifferentParticipants")
        cards = [e2ee.card(text) for text in case["cards"]]
        keys = e2ee.resolve(announced[-1]["roster"], members, known.members, cards)
        known.epoch, known.members = self.epochs[-1]["announcement"], keys
        self.secrets = {one["epoch"]: one for one in self.epochs}
        return self.follow_transcript(listed)

    def listed(self):
        """The conversation, as the list has it: a group, or the direct one."""
        listed = self.server.call("chatconversation", "list")["conversations"]
        if self.is_group:
            found = [one for one in listed if one["isgroup"]]
            self.conversation = found[0]["id"] if found else self.conversation
        return next(one for one in listed if one["id"] == self.conversation)

    def is_direct(self, members):
        """Whether it has the id of the direct conversation with one of these."""
        both = [";".join(sorted((self.me, user))) for user in members if user != self.me]
        return self.conversation in [hashlib.md5(one.encode()).hexdigest() for one in both]

    def follow_transcript(self, listed):
        fields = {"conversationid": self.conversation, "instance": self.instance, "limit": 500}
        rows = self.server.call("chatconversation", "downloadpartial", **fields)["messages"]
        chain, chains = self.beginning(), {}
        for row in rows:
            data = sha256(row["Data"].encode())
            chain = sha256(chain, row["Seq"].to_bytes(8, "big"), id_bytes(row["ID"]), data)
            refuse_unless(chain.hex() == row["Chain"], "BrokenTranscript")
            chains[row["Seq"]] = row["Chain"]
        refuse_unless(not rows or chain.hex() == listed["chain"], "DifferentTranscript")
        if self.known.head:
            seq, before = self.known.head
            refuse_unless(chains.get(seq) == before, "DifferentTranscript")
        if rows:
            self.known.head = rows[-1]["Seq"], rows[-1]["Chain"]
        return rows

    # Messages.

    def say(self, text):
        rows = self.follow()
        newest, self.n = self.epochs[-1], self.n + 1
        secret, message = secret_of(newest, self.key), str(uuid.uuid4())
        head = [rows[-1]["Seq"], rows[-1]["Chain"]] if rows else [0, self.beginning().hex()]
        body = {"v": 1, "kind": "text", "at": now(), "n": self.n, "head": head, "text": text}
        body["ep"] = sha256(newest["announcement"].encode()).hex()
        body["log"] = [len(self.known.log) // 72, e2ee.tree_root(self.known.log).hex()]
        body = canonical(body).encode()
        conversation, user, station = (id_bytes(one) for one in (self.conversation, self.me, self.server.station))
        epoch, kid = newest["epoch"].to_bytes(4, "big"), sha256(b"parlance kid 1\n", secret)[:8]
        instance, parts = self.instance.encode(), (user, station, b"Message", epoch, kid)
        aad = b"parlance message 1\n" + lp(conversation, instance, id_bytes(message), *parts)
        key = hkdf(secret, conversation + instance, b"parlance message key 1\n" + user + station)
        signature = self.sign.sign(b"parlance body 1\n" + sha256(aad) + sha256(body))
        plain = len(body).to_bytes(4, "big") + body + signature
        plain += bytes(e2ee.padded(len(plain)) - len(plain))
        nonce = os.urandom(12)
        data = base64_of(b"P\x01" + epoch + kid + nonce + AESGCM(key).encrypt(nonce, plain, aad))
        sent = {"ID": message, "Type": "Message", "Created": now(), "Data": data}
        fields = {"conversationid": self.conversation, "instance": self.instance, "epoch": newest["epoch"]}
        self.server.call("chatconversation", "add", message=sent, **fields)
        return message

    def read(self):
        texts, chains, last, newest = [], {}, {}, 0
        announced = {}
        for row in self.follow():
            announced = announced or {one["epoch"]: one["announcement"] for one in self.epochs}
            data = base64.b64decode(row["Data"])
            refuse_unless(data[:2] == b"P\x01", "NotSigned")
            epoch = int.from_bytes(data[2:6], "big")
            refuse_unless(epoch in announced, "NoSecret")
            secret = secret_of(self.secrets[epoch], self.key)
            refuse_unless(secret, "NoSecret")
            case = {"conversation": self.conversation, "instance": self.instance, "id": row["ID"], "data": row["Data"]}
            case.update(user=row["User"], station=row["Station"], type=row["Type"], cards=self.texts())
            view = {"announcement": announced[epoch], "last": last.get(row["Station"], 0), "seq": row["Seq"]}
            view.update(chain=dict(chains), log={"entries": base64_of(self.known.log)})
            if row["User"] not in self.known.cards:
                self.meet({row["User"]})
                case["cards"] = self.texts()
            body = json.loads(e2ee.check_message({**case, "secret": secret.hex(), "view": view})["body"])
            refuse_unless(epoch >= newest, "OldEpoch")
            present = epoch == self.epochs[-1]["epoch"]
            refuse_unless(not present or row["User"] in self.known.members, "NotAMember")
            newest = epoch
            last[row["Station"]], chains[str(row["Seq"])] = body["n"], row["Chain"]
            texts.append(body["text"])
        return json.dumps(texts)

    # What is known, and the vault.

    def know(self, name):
        self.known = copy.deepcopy(self.kept[name])

    def vault(self, root, seen):
        rsakey = self.server.call("chatlogin", "vault")["rsakey"]
        case = {"server": self.server_id(), "user": self.me, "root": root, "rsakey": rsakey, "seen": int(seen)}
        return str(e2ee.check_vault(case)["version"])


def main():
    client = Client(*sys.argv[1:])
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        try:
            if command == "ask":
                client.server.call("chatfriends", "add", email=client.friend_email)
                answer = "asked"
            elif command == "begin":
                answer = client.begin()
            elif command == "say":
                answer = client.say(rest)
            elif command == "read":
                answer = client.read()
            elif command == "rekey":
                answer = client.rekey()
            elif command == "vault":
                answer = client.vault(*rest.split())
            else:
                answer = "done"
                if command == "group":
                    client.is_group = True
                elif command == "meet":
                    client.meet(set(rest.split()) or None)
                elif command == "keep":
                    client.kept[rest] = copy.deepcopy(client.known)
                elif command == "know":
                    client.know(rest)
                elif command == "at":
                    client.server.url = rest
        except Refused as refused:
            answer = f"refused {refused}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
