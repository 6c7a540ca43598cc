//! Checks each kind of case with the functions that clients call.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    chain::Chain,
    e2ee::{Announcement, Card, Invalid, LogHead, MemberKey, SignedAnnouncement, SignedCard},
    id::{ConversationId, MessageId, StationId, UserId},
    key::PublicKey,
    text::Instance,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::e2ee::{
    Body, Code, Content, Envelope, EpochSecret, Epochs, Error, Invitation, KeyLog, Members, Offer,
    OwnCards, Pins, Reading, Sealed, SignedLogHead, View, safety_number,
};

pub(super) fn field<T: DeserializeOwned>(case: &Value, name: &str) -> Result<T, Error> {
    serde_json::from_value(case[name].clone()).map_err(|error| Invalid::Json(error).into())
}

fn has(case: &Value, name: &str) -> bool {
    case.get(name).is_some()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

pub(super) fn secret(case: &Value) -> EpochSecret {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text(case, "secret"), &mut bytes).unwrap();
    EpochSecret::from_bytes(&bytes)
}

fn signed_cards(case: &Value, name: &str) -> Result<Vec<SignedCard>, Error> {
    let cards = case[name].as_array().unwrap();
    cards
        .iter()
        .map(|one| -> Result<SignedCard, Error> {
            Ok(SignedCard {
                card: Card::parse(text(one, "card"))?,
                signatures: field(one, "signatures")?,
            })
        })
        .collect()
}

fn cards(case: &Value) -> Vec<Card> {
    let texts = case["cards"].as_array().unwrap().iter();
    texts
        .map(|card| Card::parse(card.as_str().unwrap()).unwrap())
        .collect()
}

pub(super) fn card(case: &Value) -> Result<Value, Error> {
    let user: UserId = field(case, "user")?;
    let mut pins = Pins::new(field(case, "server")?);
    if has(case, "pinned") {
        let key: PublicKey = field(case, "pinnedkey")?;
        pins.offer(user, &signed_cards(case, "pinned")?, &key)?;
    }
    let key: PublicKey = field(case, "publickey")?;
    let before = pins.clone();
    let outcome = match pins.offer(user, &signed_cards(case, "offered")?, &key) {
        Ok(outcome) => outcome,
        Err(error) => {
            assert_eq!(pins, before, "what is refused changes nothing");
            return Err(error);
        }
    };
    if has(case, "send") {
        pins.may_send([user])?;
    }
    let card = pins.get(user).unwrap().card().unwrap();
    let outcome = match outcome {
        Offer::New => "new",
        Offer::Same => "same",
        Offer::Renewed => "renewed",
        Offer::NewIdentity => "newidentity",
        Offer::Lost => "lost",
    };
    Ok(json!({ "is": outcome, "card": card.hash(), "n": card.n() }))
}

pub(super) fn epoch(case: &Value) -> Result<Value, Error> {
    let cards = cards(case);
    let cards_of = |user: UserId| {
        let start = cards.iter().position(|card| card.user() == user);
        let end = cards.iter().rposition(|card| card.user() == user);
        match (start, end) {
            (Some(start), Some(end)) => &cards[start..=end],
            _ => &[],
        }
    };
    let keys = |user: UserId| {
        let newest_first = cards_of(user).iter().rev();
        let keys = newest_first.map(|card| MemberKey::Card(card.hash()));
        keys.collect()
    };
    let announcements = case["announcements"].as_array().unwrap().iter();
    let announcements: Vec<SignedAnnouncement> = announcements
        .map(|one| -> Result<SignedAnnouncement, Error> {
            Ok(SignedAnnouncement {
                announcement: Announcement::parse(text(one, "announcement"))?,
                signature: field(one, "signature")?,
            })
        })
        .collect::<Result<_, Error>>()?;
    let epochs = if has(case, "known") {
        let members: Members = field(case, "members")?;
        let known = json!({ "newest": text(case, "known"), "members": members });
        let mut epochs: Epochs = serde_json::from_value(known).unwrap();
        let before = epochs.clone();
        if let Err(error) = epochs.follow(&announcements, cards_of, keys) {
            assert_eq!(epochs, before, "what is refused changes nothing");
            return Err(error);
        }
        epochs
    } else {
        let mut before = announcements.clone();
        before.pop();
        before.reverse();
        Epochs::begin(
            field(case, "conversation")?,
            announcements.last().unwrap(),
            &before,
            cards_of,
            keys,
        )?
    };
    if has(case, "secret") && secret(case).commitment() != epochs.newest().commit() {
        return Err(Error::WrongSecret);
    }
    if has(case, "participants") {
        epochs.check_participants(&field(case, "participants")?)?;
    }
    Ok(json!({
        "epoch": epochs.newest().epoch(),
        "hash": epochs.newest().hash(),
        "members": epochs.members().keys().collect::<BTreeSet<_>>(),
    }))
}

pub(super) fn message(case: &Value) -> Result<Value, Error> {
    let instance: Instance = field(case, "instance")?;
    let envelope = Envelope {
        conversation: field::<ConversationId>(case, "conversation")?,
        instance: &instance,
        id: field::<MessageId>(case, "id")?,
        user: field::<UserId>(case, "user")?,
        station: field::<StationId>(case, "station")?,
        r#type: text(case, "type"),
    };
    let opened =
        Sealed::message(text(case, "data"))?.open(&envelope, &secret(case), &cards(case))?;
    assert_eq!(Body::parse(&opened.text)?, opened.body);
    // What this version knows it writes as it was, and loses nothing of it.
    if let Content::Known(_) = opened.body.content
        && !opened.text.contains("later")
    {
        assert_eq!(opened.body.to_text()?, opened.text);
    }
    if has(case, "view") {
        read(&case["view"], &envelope, &opened)?;
    }
    Ok(json!({ "body": opened.text, "epoch": opened.epoch, "card": opened.card }))
}

fn read(view: &Value, envelope: &Envelope<'_>, opened: &crate::e2ee::Opened) -> Result<(), Error> {
    let chain: BTreeMap<i64, Chain> = field(view, "chain")?;
    let announcement = Announcement::parse(text(view, "announcement"))?;
    let mut reading = Reading::default();
    if has(view, "last") {
        let counted = json!({ "by_station": { (envelope.user.to_string()): { (envelope.station.to_string()): view["last"] } } });
        reading = serde_json::from_value(counted).unwrap();
    }
    reading.check(
        envelope,
        opened,
        &View {
            seq: field(view, "seq")?,
            chain_at: &|seq| chain.get(&seq).copied(),
            known_from: 0,
            announcement: &announcement,
            log: &field::<KeyLog>(view, "log")?,
            has_all: true,
        },
    )
}

pub(super) fn name(case: &Value) -> Result<Value, Error> {
    let cards = cards(case);
    let sealed = Sealed::name(text(case, "displayname"))?;
    let conversation = field(case, "conversation")?;
    let name = sealed.open_name(conversation, &secret(case), |_| &cards)?;
    Ok(json!({ "name": name.name, "by": name.by, "epoch": sealed.epoch() }))
}

pub(super) fn log(case: &Value) -> Result<Value, Error> {
    let kept = json!({ "server": case["server"], "key": case["key"], "entries": case["before"] });
    let mut log: KeyLog = serde_json::from_value(kept).unwrap();
    let head = SignedLogHead {
        head: LogHead::parse(text(case, "head"))?,
        signature: field(case, "signature")?,
    };
    let entries = hex::decode(text(case, "entries")).unwrap();
    let own: OwnCards = field(case, "own")?;
    let before = log.clone();
    if let Err(error) = log.follow(&entries, &head, field(case, "user")?, &own) {
        assert_eq!(log, before, "what is refused changes nothing");
        return Err(error);
    }
    if has(case, "card") {
        log.check_card(&Card::parse(text(case, "card"))?)?;
    }
    if has(case, "mark") {
        log.check_mark(field(case, "mark")?)?;
    }
    Ok(json!({ "size": log.size(), "root": log.mark().1 }))
}

pub(super) fn compare(case: &Value) -> Result<Value, Error> {
    if has(case, "numbers") {
        let [one, other]: [Card; 2] = field(case, "numbers")?;
        return Ok(safety_number(&one, &other).into());
    }
    if has(case, "code") {
        let code = Code::parse(text(case, "code")).ok_or(Error::Malformed("the code"))?;
        return Ok(json!({ "user": code.user, "card": code.card, "seq": code.seq }));
    }
    let link = url::Url::parse(text(case, "link")).unwrap();
    let invitation = Invitation::parse(&link)?;
    if invitation.is_proof(field(case, "newcomer")?, text(case, "mac")) {
        Ok(json!({ "from": invitation.from, "code": invitation.code.reveal() }))
    } else {
        Err(Error::DifferentCard)
    }
}

/// The root of the log of these entries.
pub(super) fn log_root(entries: &[parlance_wire::e2ee::LogEntry]) -> parlance_wire::e2ee::LogRoot {
    let mut tree = parlance_wire::e2ee::Tree::default();
    for entry in entries {
        tree.append(entry.leaf());
    }
    tree.root()
}
