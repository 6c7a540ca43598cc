"""A client written from docs/api.md, docs/e2ee.md and docs/transcript.md alone, which talks to a real server:

    python3 tests/outside_client.py URL EMAIL PASSWORD FRIEND

It registers, publishes a card, asks FRIEND (an address) for a friendship, begins the first epoch of their conversation, and
says what it reads on standard input. Each line there is a command, and each line on standard output an answer:

    ask             asks for the friendship; answers "asked"
    begin           creates the conversation, with its first epoch; answers its id
    say TEXT        sends a text, in the present epoch; answers the message's id
    read            answers the texts of all messages, as a JSON list, or why one was refused
    rekey           begins the next epoch; answers its number

All checks are those of tests/e2ee_check.py, whose cases are made here of what the server answers.
"""

import base64
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


class Client:
    def __init__(self, url, email, password, friend):
        self.server = Server(url)
        self.email, self.friend_email = email, friend
        self.me = hashlib.md5(email.encode()).hexdigest()
        self.friend = hashlib.md5(friend.encode()).hexdigest()
        # docs/api.md, End-to-end encryption: the published form of an account.
        apikey = hashlib.pbkdf2_hmac("sha256", password.encode(), f"parlance:{email}".encode(), 600_000).hex()
        key = rsa.generate_private_key(65537, 2048)
        self.register(apikey, key, password)
        answer = self.server.call("chatlogin", "login", apikey=apikey)
        refuse_unless(answer["userid"] == self.me, "another user")
        self.key = serialization.load_pem_private_key(answer["rsakey"].encode(), password.encode())
        self.server.user, self.server.key = self.me, self.key
        self.sign = ed25519.Ed25519PrivateKey.generate()
        self.cards, self.own_cards, self.log, self.n = {}, {}, b"", 0
        self.server_id = self.server.call("chatlogin", "prelogin", email=email)["server"]
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

    def publish_card(self):
        raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        card = canonical(
            {
                "v": 1,
                "user": self.me,
                "email": self.email,
                "server": self.server_id,
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
        self.own_cards["1"] = sha256(card.encode()).hex()

    def follow_log(self, card=None):
        """Follows the key log, in which a card has to be the newest one of its user."""
        entries, more = b"", True
        while more:
            page = self.server.call("chatkeys", "log", after=len(self.log + entries) // 72)
            entries, more = entries + unbase64(page["entries"]), page["hasmore"]
        self.server_key = getattr(self, "server_key", page["key"])
        case = {"head": page["head"], "signature": page["signature"], "key": self.server_key, "server": self.server_id}
        case.update(before=base64_of(self.log), entries=entries.hex(), user=self.me, own=self.own_cards)
        if card:
            case["card"] = card
        e2ee.check_log(case)
        self.log += entries

    def meet(self):
        """Pins the keys of both."""
        found = self.server.call("chatkeys", "get", userids=[self.me, self.friend])
        for user in (self.me, self.friend):
            case = {"user": user, "server": self.server_id, "publickey": found["publickeys"][user]}
            case["offered"] = found["cards"][user]
            if user in self.cards:
                case.update(pinned=self.cards[user], pinnedkey=found["publickeys"][user])
            e2ee.check_card({**case, "send": True})
            self.cards[user] = case["offered"]
            self.follow_log(case["offered"][-1])
        self.keys = found["publickeys"]

    def texts(self):
        return [one["card"] for cards in self.cards.values() for one in cards]

    def members(self):
        return {user: sha256(cards[-1]["card"].encode()).hex() for user, cards in self.cards.items()}

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
        self.conversation = hashlib.md5(";".join(both).encode()).hexdigest()
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
        """Follows the epochs from the first one on, and the transcript. Answers the messages."""
        self.meet()
        listed = self.server.call("chatconversation", "list")["conversations"]
        listed = next(one for one in listed if one["id"] == self.conversation)
        self.instance = listed["instance"]
        page = self.server.call("chatconversation", "epochs", conversationid=self.conversation)
        self.epochs = page["epochs"][::-1]
        refuse_unless(not page["hasmore"] and self.epochs[-1]["epoch"] == listed["epoch"], "epochs")
        self.secrets = {one["epoch"]: self.key.decrypt(unbase64(one["secret"]), OAEP) for one in self.epochs}
        case = {"conversation": self.conversation, "cards": self.texts(), "participants": listed["participantids"]}
        case["members"] = {user: {"card": key} for user, key in self.members().items()}
        first, *later = self.epochs
        e2ee.check_epoch({**case, "announcements": [first], "secret": self.secrets[1].hex()})
        for before, after in zip(self.epochs, later):
            secret = self.secrets[after["epoch"]].hex()
            e2ee.check_epoch({**case, "known": before["announcement"], "announcements": [after], "secret": secret})
        fields = {"conversationid": self.conversation, "instance": self.instance, "limit": 500}
        rows = self.server.call("chatconversation", "downloadpartial", **fields)["messages"]
        chain = self.beginning()
        for row in rows:
            data = sha256(row["Data"].encode())
            chain = sha256(chain, row["Seq"].to_bytes(8, "big"), id_bytes(row["ID"]), data)
            refuse_unless(chain.hex() == row["Chain"], "BrokenTranscript")
        return rows

    # Messages.

    def say(self, text):
        rows = self.follow()
        newest, self.n = self.epochs[-1], self.n + 1
        secret, message = self.secrets[newest["epoch"]], str(uuid.uuid4())
        head = [rows[-1]["Seq"], rows[-1]["Chain"]] if rows else [0, self.beginning().hex()]
        body = {"v": 1, "kind": "text", "at": now(), "n": self.n, "head": head, "text": text}
        body["ep"] = sha256(newest["announcement"].encode()).hex()
        body["log"] = [len(self.log) // 72, e2ee.tree_root(self.log).hex()]
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
        texts, chains, last = [], {}, {}
        for row in self.follow():
            announced = {one["epoch"]: one["announcement"] for one in self.epochs}
            epoch = int.from_bytes(unbase64(row["Data"])[2:6], "big")
            refuse_unless(epoch in announced, "UnknownEpoch")
            case = {"conversation": self.conversation, "instance": self.instance, "id": row["ID"], "data": row["Data"]}
            case.update(user=row["User"], station=row["Station"], type=row["Type"], cards=self.texts())
            view = {"announcement": announced[epoch], "last": last.get(row["Station"], 0), "seq": row["Seq"]}
            view.update(chain=dict(chains), log={"entries": base64_of(self.log)})
            body = e2ee.check_message({**case, "secret": self.secrets[epoch].hex(), "view": view})["body"]
            body = json.loads(body)
            last[row["Station"]], chains[str(row["Seq"])] = body["n"], row["Chain"]
            texts.append(body["text"])
        return json.dumps(texts)


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
        except Refused as refused:
            answer = f"refused {refused}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
