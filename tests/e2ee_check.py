"""A second implementation of docs/e2ee.md, written from that page alone, over the files of vectors/:

    python3 tests/e2ee_check.py vectors

It needs the packages python3-cryptography and python3-argon2 of Debian (or cryptography 44 alone, which has argon2id). Each good case must have the outcome that
the file names, and every other one must be refused for the reason that the file names.
"""

import base64
import hashlib
import hmac
import itertools
import json
import sys
import unicodedata
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

P = 2**255 - 19
MAX_INTEGER = 2**53 - 1
SIZES = (256, 512, 1024, 2048, 4096)


class Refused(Exception):
    """With the name of the reason."""


def refuse_unless(holds, reason):
    if not holds:
        raise Refused(reason)


# Notation.


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def lp(*parts):
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def id_bytes(text):
    return bytes.fromhex(text.replace("-", ""))


def unbase64(text):
    return base64.b64decode(text, validate=True)


def hkdf(secret, salt, info):
    return HKDF(hashes.SHA256(), 32, salt or None, info).derive(secret)


def canonical(value):
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        refuse_unless(abs(value) <= MAX_INTEGER, "Number")
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"


def parse(text, fields=None):
    """Reads canonical JSON. `fields` names the fields that it must have, and no others."""

    def pairs(pairs):
        found = dict(pairs)
        refuse_unless(len(found) == len(pairs), "Json" if fields else "NotCanonical")
        return found

    def number(_):
        raise Refused("Json" if fields else "Number")

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_float=number, parse_constant=number)
    except ValueError:
        raise Refused("Json") from None
    if fields is not None:
        refuse_unless(set(fields) <= set(value), "Json")
        refuse_unless(set(fields) == set(value), "NotCanonical")
    refuse_unless(canonical(value) == text, "NotCanonical")
    return value


def sign_key(text):
    """A public key, unless everything verifies with it."""
    key = unbase64(text)
    y = int.from_bytes(key, "little") & (2**255 - 1)
    d = -121665 * pow(121666, P - 2, P) % P
    # y of the points whose order divides 8: 0, 1, -1, and where doubling gives y = 0.
    small = y in (0, 1, P - 1) or (d * y**4 + 2 * y * y - 1) % P == 0
    refuse_unless(len(key) == 32 and y < P and not small, "Json")
    return key


def verifies(key, text, signature):
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
        return True
    except (InvalidSignature, ValueError):
        return False


# Cards.


def card(text):
    fields = parse(text, ("v", "user", "email", "server", "sign", "rsa", "n", "prev"))
    sign_key(fields["sign"])
    refuse_unless(fields["v"] == 1, "Version")
    user = hashlib.md5(fields["email"].encode()).hexdigest()
    refuse_unless(fields["user"] == user, "Owner")
    refuse_unless(fields["n"] > 0 and (fields["n"] == 1) == (fields["prev"] == ""), "Order")
    fields["text"] = text.encode()
    fields["hash"] = sha256(text.encode()).hex()
    fields["key"] = sign_key(fields["sign"])
    return fields


def signed_card(case):
    found = card(case["card"])
    found["signatures"] = case["signatures"]
    return found


def card_signed_by(found, key, name):
    text = b"parlance card 1\n" + found["text"]
    return verifies(key, text, unbase64(found["signatures"][name]))


def offer(pinned, case, offered, public):
    for one in offered:
        refuse_unless((one["user"], one["server"]) == (case["user"], case["server"]), "ForeignCard")
    for one in offered:
        refuse_unless(one["n"] > 1 or not one["signatures"]["prev"], "Order")
        refuse_unless(card_signed_by(one, one["key"], "sign"), "Signature")
    newest, der = offered[-1], unbase64(public)
    refuse_unless(newest["rsa"] == sha256(der).hex(), "RsaKey")
    try:
        serialization.load_der_public_key(der).verify(
            unbase64(newest["signatures"]["rsa"]),
            b"parlance card 1\n" + newest["text"],
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
    except InvalidSignature:
        raise Refused("RsaSignature") from None
    result = "same" if pinned else "new"
    known = list(pinned)
    for one in offered:
        if not known:
            known.append(one)
            continue
        last = known[-1]
        if one["n"] > last["n"]:
            refuse_unless(one["n"] == last["n"] + 1, "SkippedCard")
            refuse_unless(one["prev"] == last["hash"], "Order")
            if not one["signatures"]["prev"]:
                if result != "new":
                    result = "newidentity"
            else:
                refuse_unless(card_signed_by(one, last["key"], "prev"), "PredecessorSignature")
                if result == "same":
                    result = "renewed"
            known.append(one)
        elif one["n"] >= known[0]["n"]:
            refuse_unless(one["hash"] in [it["hash"] for it in known], "DifferentCard")
    refuse_unless(known[-1]["hash"] == newest["hash"], "OlderCard")
    return known, result


def check_card(case):
    known = []
    if "pinned" in case:
        pinned = [signed_card(one) for one in case["pinned"]]
        known, _ = offer(known, case, pinned, case["pinnedkey"])
    offered = [signed_card(one) for one in case["offered"]]
    known, result = offer(known, case, offered, case["publickey"])
    if "send" in case:
        refuse_unless(result != "newidentity", "NewIdentity")
    return {"is": result, "card": known[-1]["hash"], "n": known[-1]["n"]}


# Epochs.


def announcement(text):
    fields = parse(
        text,
        ("v", "conversation", "epoch", "prev", "roster", "admins", "added", "removed", "commit", "by", "head"),
    )
    refuse_unless(fields["epoch"] > 0, "Json")
    for name in ("admins", "added", "removed"):
        refuse_unless(sorted(set(fields[name])) == fields[name], "NotCanonical")
        fields[name] = set(fields[name])
    refuse_unless(fields["v"] == 1, "Version")
    first = fields["epoch"] == 1
    refuse_unless(first == (fields["prev"] == ""), "Order")
    lists = not fields["removed"] & (fields["added"] | fields["admins"])
    if first:
        lists = lists and not fields["removed"] and fields["by"] in fields["added"] and fields["admins"] <= fields["added"]
    refuse_unless(lists, "Lists")
    fields["text"] = text.encode()
    fields["hash"] = sha256(text.encode()).hex()
    return fields


def roster(members):
    return sha256(*(id_bytes(user) + bytes.fromhex(members[user]) for user in sorted(members))).hex()


def resolve(announced, users, before, cards):
    """The members of a roster: each with one of their cards from the one before on."""
    choices = {}
    for user in users:
        theirs = [it["hash"] for it in cards if it["user"] == user]
        if user in before:
            known = before[user]
            theirs = theirs[theirs.index(known) :] if known in theirs else [known] + theirs
        refuse_unless(theirs, "UnknownSigner")
        choices[user] = theirs
    # Those who had renewed fewest cards since come first.
    together = itertools.product(*(enumerate(reversed(keys)) for keys in choices.values()))
    for each in itertools.islice(sorted(together, key=lambda each: sum(back for back, _ in each)), 1000):
        members = {user: key for user, (_, key) in zip(choices, each)}
        if roster(members) == announced:
            return members
    raise Refused("WrongRoster")


def check_epoch(case):
    cards = [card(text) for text in case["cards"]]
    announcements = [
        dict(announcement(one["announcement"]), signature=unbase64(one["signature"])) for one in case["announcements"]
    ]
    members = {user: next(iter(key.values())) for user, key in case["members"].items()}

    def is_signed(one):
        theirs = [it for it in cards if it["user"] == one["by"]]
        refuse_unless(theirs, "UnknownSigner")
        text = b"parlance epoch 1\n" + one["text"]
        refuse_unless(any(verifies(it["key"], text, one["signature"]) for it in theirs), "WrongSigner")

    if "known" in case:
        known = announcement(case["known"])
        before, users = dict(members), set(members)
        for one in announcements:
            follows = one["conversation"] == known["conversation"] and one["prev"] == known["hash"]
            if not (follows and one["epoch"] == known["epoch"] + 1):
                refuse_unless(one["epoch"] >= known["epoch"] and one["hash"] != known["hash"], "OldEpoch")
                refuse_unless(one["epoch"] > known["epoch"] + 1, "ForkedEpoch")
                raise Refused("SkippedEpoch")
            refuse_unless(one["by"] in users, "NotAMember")
            is_signed(one)
            stays = users - one["removed"]
            fits = (
                one["removed"] <= users
                and not one["added"] & users
                and one["by"] in stays
                and one["admins"] <= stays | one["added"]
                and bool(one["admins"]) == bool(known["admins"])
            )
            refuse_unless(fits, "WrongChanges")
            left = known["admins"] - one["removed"]
            succession = known["admins"] and not left and len(one["admins"]) == 1 and one["admins"] <= stays
            if one["added"] or (one["admins"] != left and not succession):
                refuse_unless(one["by"] in known["admins"], "NotAnAdmin")
            users = stays | one["added"]
            known = one
        members = resolve(known["roster"], users, before, cards)
    else:
        known = announcements[-1]
        refuse_unless(known["conversation"] == case["conversation"], "ForkedEpoch")
        users, prev, ever = set(), "", set()
        for number, one in enumerate(announcements, 1):
            refuse_unless(one["epoch"] == number and one["conversation"] == case["conversation"], "WrongRoster")
            refuse_unless(one["prev"] == prev, "ForkedEpoch")
            refuse_unless(one["removed"] <= users and not one["added"] & users, "WrongRoster")
            users, prev = (users - one["removed"]) | one["added"], one["hash"]
            ever |= one["added"]
        if not known["admins"]:
            both = hashlib.md5(";".join(sorted(ever)).encode()).hexdigest()
            refuse_unless(len(ever) == 2 and both == case["conversation"], "WrongRoster")
        refuse_unless(known["by"] in users, "NotAMember")
        refuse_unless(known["admins"] <= users, "WrongRoster")
        members = resolve(known["roster"], users, {}, cards)
        is_signed(known)
    if "secret" in case:
        commit = sha256(b"parlance secret 1\n", bytes.fromhex(case["secret"])).hex()
        refuse_unless(commit == known["commit"], "WrongSecret")
    if "participants" in case:
        refuse_unless(set(case["participants"]) == set(members), "DifferentParticipants")
    return {"epoch": known["epoch"], "hash": known["hash"], "members": sorted(members)}


# Messages and names.


def padded(length):
    return next((size for size in SIZES if length <= size), -(-length // 4096) * 4096)


def open_sealed(form, text, secret, key, aad_of, cards_of):
    try:
        data = unbase64(text)
    except ValueError:
        raise Refused("NotSigned") from None
    refuse_unless(data[:2] == form + b"\x01", "NotSigned")
    epoch, kid, sealed = data[2:6], data[6:14], data[14:]
    length = len(sealed) - 12 - 16
    refuse_unless(length > 0 and padded(length) == length and int.from_bytes(epoch, "big") > 0, "Malformed")
    refuse_unless(kid == sha256(b"parlance kid 1\n", secret)[:8], "OtherSecret")
    aad = aad_of(epoch, kid)
    try:
        plain = AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise Refused("Relabelled") from None
    end = 4 + int.from_bytes(plain[:4], "big")
    body, signature, zeros = plain[4:end], plain[end : end + 64], plain[end + 64 :]
    refuse_unless(len(signature) == 64 and padded(end + 64) == length and not any(zeros), "Malformed")
    try:
        body_text = body.decode()
    except ValueError:
        raise Refused("Malformed") from None
    value = parse(body_text)

    def signer(user):
        theirs = [it for it in cards_of if it["user"] == user]
        refuse_unless(theirs, "UnknownSigner")
        signed = b"parlance body 1\n" + sha256(aad) + sha256(body)
        for it in reversed(theirs):
            if verifies(it["key"], signed, signature):
                return it["hash"]
        raise Refused("WrongSigner")

    return body_text, value, int.from_bytes(epoch, "big"), signer


def is_id(text):
    return isinstance(text, str) and len(text.replace("-", "")) == 32 and int(text.replace("-", ""), 16) >= 0


def check_kind(body):
    """The fields of texts and files, as the table of kinds has them."""
    if body["v"] != 1 or body["kind"] not in ("text", "file"):
        return
    is_file = body["kind"] == "file"
    refuse_unless(isinstance(body.get("text", "" if is_file else None), str), "Malformed")
    refuse_unless(all(is_id(user) for user in body.get("mentions", [])), "Malformed")
    if "reply" in body:
        reply = body["reply"]
        refuse_unless(set(reply) == {"id", "user", "quote"}, "Malformed")
        refuse_unless(is_id(reply["id"]) and is_id(reply["user"]) and len(reply["quote"]) <= 200, "Malformed")
    for file in body["files"] if is_file else []:
        always = {"id", "name", "mime", "size", "records", "key", "digest"}
        refuse_unless(always <= set(file) <= always | {"w", "h", "ms", "thumb", "wave"}, "Malformed")
        refuse_unless(len(unbase64(file["key"])) == 32 and len(bytes.fromhex(file["digest"])) == 32, "Malformed")


def check_message(case):
    ids = [id_bytes(case[name]) for name in ("conversation", "id", "user", "station")]
    conversation, message, user, station = ids
    instance, kind = case["instance"].encode(), case["type"].encode()
    secret = bytes.fromhex(case["secret"])
    key = hkdf(secret, conversation + instance, b"parlance message key 1\n" + user + station)
    text, body, epoch, signer = open_sealed(
        b"P",
        case["data"],
        secret,
        key,
        lambda epoch, kid: b"parlance message 1\n" + lp(conversation, instance, message, user, station, kind, epoch, kid),
        [card(text) for text in case["cards"]],
    )
    refuse_unless(isinstance(body.get("n"), int) and isinstance(body.get("head"), list), "Json")
    check_kind(body)
    signed_by = signer(case["user"])
    if "view" in case:
        view = case["view"]
        known, seq = announcement(view["announcement"]), body["head"][0]
        refuse_unless(body["n"] > view["last"], "RepeatedNumber")
        refuse_unless(seq < view["seq"], "DifferentTranscript")
        own = sha256(conversation, instance).hex() if seq == 0 else view["chain"].get(str(seq))
        refuse_unless(own == body["head"][1], "DifferentTranscript")
        same = (known["epoch"], known["conversation"], known["hash"]) == (
            epoch,
            case["conversation"],
            body.get("ep", known["hash"]),
        )
        refuse_unless(same, "DifferentEpoch")
        entries = unbase64(view["log"]["entries"])
        size, root = body.get("log", [0, None])
        if 0 < size <= len(entries) // 72:
            refuse_unless(tree_root(entries[: 72 * size]).hex() == root, "DifferentLog")
        refuse_unless(body["n"] == view["last"] + 1, "MissingMessages")
    return {"body": text, "epoch": epoch, "card": signed_by}


def check_name(case):
    conversation, secret = id_bytes(case["conversation"]), bytes.fromhex(case["secret"])
    _, name, epoch, signer = open_sealed(
        b"N",
        case["displayname"],
        secret,
        hkdf(secret, conversation, b"parlance name key 1\n"),
        lambda epoch, kid: b"parlance name 1\n" + lp(conversation, epoch, kid),
        [card(text) for text in case["cards"]],
    )
    refuse_unless(set(name) == {"v", "name", "by"}, "NotCanonical")
    refuse_unless(name["v"] == 1, "Version")
    signer(name["by"])
    return {"name": name["name"], "by": name["by"], "epoch": epoch}


# The key log.


def tree_root(entries):
    """RFC 9162, section 2.1.1, as it stands there."""

    def root(leaves):
        if not leaves:
            return sha256()
        if len(leaves) == 1:
            return leaves[0]
        half = 1 << (len(leaves) - 1).bit_length() - 1
        return sha256(b"\x01", root(leaves[:half]), root(leaves[half:]))

    return root([sha256(b"\x00", entries[at : at + 72]) for at in range(0, len(entries), 72)])


def check_log(case):
    head = parse(case["head"], ("v", "server", "size", "root", "time"))
    refuse_unless(head["v"] == 1, "Version")
    refuse_unless(head["server"] == case["server"], "OtherServerKey")
    signed = b"parlance log 1\n" + case["head"].encode()
    refuse_unless(verifies(sign_key(case["key"]), signed, unbase64(case["signature"])), "Signature")
    before, after = unbase64(case["before"]), bytes.fromhex(case["entries"])
    refuse_unless(head["size"] >= len(before) // 72, "LogShrank")
    refuse_unless(len(after) % 72 == 0, "Malformed")
    mine = sha256(b"parlance tag 1\n", lp(id_bytes(case["server"]), id_bytes(case["user"])))
    newest, entries = {}, before + after
    for at in range(0, len(entries), 72):
        tag, n, hashed = entries[at : at + 32], entries[at + 32 : at + 40], entries[at + 40 : at + 72].hex()
        n = int.from_bytes(n, "big")
        refuse_unless(n == newest.get(tag, (0, ""))[0] + 1, "LogOrder")
        newest[tag] = (n, hashed)
        if at >= len(before) and tag == mine:
            refuse_unless(case["own"].get(str(n)) == hashed, "NotMyCard")
    same = len(entries) // 72 == head["size"] and tree_root(entries).hex() == head["root"]
    refuse_unless(same, "LogForked")
    if "card" in case:
        text = case["card"]["card"] if isinstance(case["card"], dict) else case["card"]
        found = card(text)
        tag = sha256(b"parlance tag 1\n", lp(id_bytes(case["server"]), id_bytes(found["user"])))
        refuse_unless(newest.get(tag) == (found["n"], found["hash"]), "NotLogged")
    if "mark" in case:
        size, root = case["mark"]
        if size <= len(entries) // 72:
            refuse_unless(tree_root(entries[: 72 * size]).hex() == root, "DifferentLog")
    return {"size": head["size"], "root": head["root"]}


# The vault.


def argon2id(password, salt, memory, passes, lanes):
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        return Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(password)
    except ImportError:
        pass
    try:
        from argon2.low_level import Type, hash_secret_raw

        return hash_secret_raw(password, salt, passes, memory, lanes, 32, Type.ID)
    except ImportError:
        sys.exit("There is no argon2id here: install python3-argon2, or a newer cryptography.")


def recovery_key(text):
    letters = "".join(text.upper().split()).replace("-", "")
    try:
        value = base64.b32decode(letters + "====")
    except ValueError:
        raise Refused("Malformed") from None
    same = base64.b32encode(value).decode().rstrip("=") == letters
    refuse_unless(len(letters) == 52 and same, "Malformed")
    return value


def check_vault(case):
    server, user = id_bytes(case["server"]), id_bytes(case["user"])
    owner, name, root = lp(server, user), "password", None
    if "recovery" in case:
        root, name = recovery_key(case["recovery"]), "recovery"
    elif "password" in case:
        kdf = case["kdf"]
        fair = 65536 <= kdf["m"] <= 16 * 65536 and 3 <= kdf["t"] <= 48 and 1 <= kdf["p"] <= 16
        refuse_unless(kdf["kdf"] == "argon2id" and fair, "Malformed")
        password = unicodedata.normalize("NFKC", case["password"]).encode()
        root = argon2id(password, bytes.fromhex(kdf["salt"]), kdf["m"], kdf["t"], kdf["p"])
    else:
        root = bytes.fromhex(case["root"])
    prefix = "parlance-vault:1:"
    refuse_unless(case["rsakey"].startswith(prefix), "Malformed")
    vault = parse(unbase64(case["rsakey"][len(prefix) :]).decode(), ("version", "slots", "box"))
    wrap = hkdf(root, b"", b"parlance wrap 1\n" + owner)
    sealed = unbase64(vault["slots"][name])
    try:
        aad = b"parlance slot 1\n" + lp(user, server, name.encode())
        master = AESGCM(wrap).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise Refused("WrongPassword") from None
    refuse_unless(vault["version"] >= case["seen"], "OldVault")
    sealed = unbase64(vault["box"])
    try:
        aad = b"parlance vault 1\n" + lp(user, server, vault["version"].to_bytes(8, "big"))
        box = AESGCM(hkdf(master, b"", b"parlance box 1\n")).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise Refused("Relabelled") from None
    fields = ["rsa", "sign", "pins", "heads"]
    if "earlier" in json.loads(box):
        fields.append("earlier")
    box = parse(box.decode(), fields)
    raw, info = serialization.Encoding.Raw, serialization.PublicFormat.SubjectPublicKeyInfo
    sign = ed25519.Ed25519PrivateKey.from_private_bytes(unbase64(box["sign"])).public_key()
    pairs = [unbase64(pair) for pair in [box["rsa"], *box.get("earlier", [])]]
    pairs = [serialization.load_der_private_key(pair, None) for pair in pairs]
    assert all(isinstance(pair, rsa.RSAPrivateKey) for pair in pairs)
    private = pairs[0]
    return {
        "apikey": hkdf(root, b"", b"parlance auth 1\n" + owner).hex(),
        "version": vault["version"],
        "sign": base64.b64encode(sign.public_bytes(raw, serialization.PublicFormat.Raw)).decode(),
        "publickey": base64.b64encode(
            private.public_key().public_bytes(serialization.Encoding.DER, info)
        ).decode(),
        "pins": box["pins"],
        "heads": box["heads"],
    }


# What people compare.


def half_number(found):
    key = found["key"]
    value = key + id_bytes(found["user"])
    for _ in range(5200):
        value = hashlib.sha512(value + key).digest()
    return ["%05d" % (int.from_bytes(value[at : at + 5], "big") % 100000) for at in range(0, 30, 5)]


def check_compare(case):
    if "numbers" in case:
        people = sorted((card(text) for text in case["numbers"]), key=lambda found: found["user"])
        return " ".join(half_number(people[0]) + half_number(people[1]))
    if "code" in case:
        parts = case["code"].split(":")
        refuse_unless(len(parts) == 7 and parts[:2] == ["parlance", "1"], "Malformed")
        user, hashed, conversation, seq, chain = parts[2:]
        ids = all(len(text) == 32 and bytes.fromhex(text).hex() == text for text in (user, conversation))
        hashes_fit = all(len(text) == 64 and bytes.fromhex(text).hex() == text for text in (hashed, chain))
        refuse_unless(ids and hashes_fit and str(int(seq)) == seq, "Malformed")
        return {"user": user, "card": hashed, "seq": int(seq)}
    pairs = parse_qsl(urlsplit(case["link"]).fragment)
    link = dict(pairs)
    refuse_unless(len(link) == len(pairs) and {"invite", "from", "card", "v"} <= set(link), "Malformed")
    refuse_unless(all(bytes.fromhex(link[part]).hex() == link[part] for part in ("from", "card", "v")), "Malformed")
    text = b"parlance invite 1\n" + bytes.fromhex(case["newcomer"]) + bytes.fromhex(link["card"])
    mac = hmac.new(bytes.fromhex(link["v"]), text, hashlib.sha256).hexdigest()
    refuse_unless(hmac.compare_digest(mac, case["mac"]), "DifferentCard")
    return {"from": link["from"], "code": link["invite"]}


def padme(length):
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    last = exponent - exponent.bit_length()
    return (length + (1 << last) - 1) >> last << last


def check_files(case):
    key, aad = AESGCM(bytes.fromhex(case["key"])), b"parlance file 1"
    nonce = lambda number, last: bytes(7) + number.to_bytes(4, "big") + bytes([last])
    content = bytes(i * case["step"] % 251 for i in range(case["length"]))
    if case["padded"]:
        content = content.ljust(padme(len(content)), b"\0")
    parts = [content[at : at + 262_128] for at in range(0, len(content), 262_128)] or [b""]
    last = len(parts) - 1
    records = [
        key.encrypt(nonce(n, n == last or case.get("lasttoo") == n), part, aad) for n, part in enumerate(parts)
    ]
    hashes = [sha256(record) for record in records]
    digest = sha256(*hashes).hex()
    served = [bytearray(records[n]) for n in case.get("order", range(len(records)))]
    if "flipped" in case:
        record, byte = case["flipped"]
        served[record][byte] ^= 1
    # The reader.
    size, opener = case.get("size", case["length"]), AESGCM(bytes.fromhex(case.get("openkey", case["key"])))
    total = sum(map(len, served))
    refuse_unless(len(served) == len(records) and size <= total - 16 * len(served), "DamagedFile")
    found = b""
    for number, record in enumerate(served):
        try:
            found += opener.decrypt(nonce(number, number == last), bytes(record), aad)
        except InvalidTag:
            raise Refused("DamagedFile") from None
    refuse_unless(not any(found[size:]), "DamagedFile")
    refuse_unless(sha256(*map(sha256, served)).hex() == case.get("digest", digest), "DifferentFile")
    return {
        "records": len(records),
        "stored": sum(map(len, records)),
        "hashes": [one.hex() for one in hashes],
        "digest": digest,
        "content": sha256(found[:size]).hex(),
    }


def check_keys(folder):
    """The wrapped secrets, which are random, and so in no other file."""
    keys = json.loads((folder / "keys.json").read_text())
    for person in keys["people"].values():
        private = serialization.load_der_private_key(unbase64(person["private"]), None)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        assert private.decrypt(unbase64(person["wrapped"]), oaep) == bytes(range(0x20, 0x40))


def main():
    folder = Path(sys.argv[1])
    check_keys(folder)
    counts, faults = [0, 0], []
    checks = {
        "card": check_card,
        "epoch": check_epoch,
        "message": check_message,
        "name": check_name,
        "vault": check_vault,
        "log": check_log,
        "compare": check_compare,
        "files": check_files,
    }
    for file, check in checks.items():
        for case in json.loads((folder / f"{file}.json").read_text())["cases"]:
            name = f"{file}: {case['name']}"
            try:
                found, reason = check(case), None
            except Refused as refused:
                found, reason = None, refused.args[0]
            counts["refused" in case] += 1
            if reason != case.get("refused"):
                faults.append(f"{name}: refused for {reason}, expected {case.get('refused')}")
            elif "outcome" in case and found != case["outcome"]:
                faults.append(f"{name}: {found}, expected {case['outcome']}")
    print(f"{counts[0]} good cases, {counts[1]} refused")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
