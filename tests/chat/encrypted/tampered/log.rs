//! The key log, and the vault.

use std::collections::BTreeMap;

use parlance_client::e2ee::{
    Contents, Master, Owner, RecoveryKey, SigningKey, Slot, Vault, next_card,
};
use parlance_wire::{
    e2ee::{CardHash, LogEntry, Tag, Tree},
    request::account::VaultVersion,
};

use super::{Case, Does, Knows, Story, bytes, cards::shows, case};
use crate::{
    encrypted::{outside::Outside, person::Person},
    world::World,
};

impl Story {
    fn entry(&self, of: &Person, n: u64) -> LogEntry {
        let log = &self.ben.state.log;
        LogEntry {
            tag: Tag::of(log.server(), of.user()).unwrap(),
            n,
            card: CardHash::from_bytes([7; 32]),
        }
    }
}

/// The log with these entries, as if it had always been so.
fn rewritten(entries: &[LogEntry]) -> String {
    let mut tree = Tree::default();
    let mut rows = vec![];
    for entry in entries {
        tree.append(entry.leaf());
        rows.push(format!("({}, {})", tree.size(), bytes(&entry.to_bytes())));
    }
    let peaks: Vec<String> = tree.peaks().iter().map(|peak| bytes(peak)).collect();
    let (size, rows, peaks) = (tree.size(), rows.join(", "), peaks.join(", "));
    format!(
        "delete from key_log; insert into key_log values {rows};
        update key_log_head set size = {size}, peaks = array[{peaks}]::bytea[]"
    )
}

fn cases(story: &Story) -> Vec<Case> {
    let entries = story.ben.state.log.entries();
    let and = |entry: LogEntry| rewritten(&[entries, &[entry]].concat());
    let mut other = entries.to_vec();
    other[0].card = CardHash::from_bytes([7; 32]);
    let mut reordered = vec![story.entry(&story.eve, 1)];
    reordered.extend(&entries[..3]);
    reordered.extend(&entries[4..]);
    let bens = story.ben.state.pins.cards(story.ben.user()).last().unwrap();
    let eves_pair = &story.eve.session.identity().pair;
    let stolen = next_card(bens, &story.ben.sign, eves_pair, Some(&story.ben.sign)).unwrap();
    let stolen_entry = LogEntry {
        card: stolen.card.hash(),
        ..story.entry(&story.ben, 2)
    };
    let bens_pair = &story.ben.session.identity().pair;
    let replaced = next_card(bens, &story.eve.sign, bens_pair, Some(&story.ben.sign)).unwrap();
    let replaced_entry = LogEntry {
        card: replaced.card.hash(),
        ..story.entry(&story.ben, 2)
    };
    let (all, early, nothing) = (Knows::All, Knows::Early, Knows::Nothing);
    let log = |name, knows, refused, sql: String| case(name, knows, Does::FollowLog, refused, sql);
    vec![
        log(
            "an entry changed",
            nothing,
            "LogForked",
            "update key_log set entry = overlay(entry placing decode(repeat('00', 32), 'hex') from 41 for 32) where seq = 1".into(),
        ),
        log(
            "an entry changed that is new",
            early,
            "LogForked",
            "update key_log set entry = overlay(entry placing decode(repeat('00', 32), 'hex') from 41 for 32) where seq = 5".into(),
        ),
        log(
            "entries taken back",
            all,
            "LogShrank",
            "delete from key_log where seq > 4; delete from key_log_head; insert into key_log_head select * from saved.early_head".into(),
        ),
        log("another log of the same size", all, "LogForked", rewritten(&other)),
        log(
            "another log that is longer",
            all,
            "LogForked",
            rewritten(&[other.as_slice(), &[story.entry(&story.eve, 2)]].concat()),
        ),
        case(
            "another log, to a new device that reads what others saw",
            nothing,
            Does::Read,
            "DifferentLog",
            rewritten(&reordered),
        ),
        log("a card in his own name", all, "NotMyCard(2)", and(story.entry(&story.ben, 2))),
        // Whoever has his station's keys, and the server.
        case(
            "a card by his own signing key, with somebody else's key pair",
            all,
            Does::Meet,
            "NotMyCard(2)",
            format!("{}; {}", and(stolen_entry), shows(bens.user(), &stolen, 2)),
        ),
        case(
            "a card by his own keys, with somebody else's signing key",
            all,
            Does::Meet,
            "NotMyCard(2)",
            format!("{}; {}", and(replaced_entry), shows(bens.user(), &replaced, 2)),
        ),
        log("a number left out", all, "LogOrder", and(story.entry(&story.ann, 3))),
        log("a number used twice", all, "LogOrder", and(story.entry(&story.cleo, 2))),
        log(
            "another key of the server",
            all,
            "Invalid(Signature)",
            "update server_identity set seed = sha256('another')".into(),
        ),
        log(
            "another server",
            all,
            "OtherServerKey",
            "update server_identity set server_id = gen_random_uuid()".into(),
        ),
        case(
            "a card that is not the newest one in the log",
            all,
            Does::Meet,
            "NotLogged",
            and(story.entry(&story.cleo, 3)),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_log_that_does_not_continue_the_known_one_is_refused() {
    let story = Story::new().await;
    let cases = cases(&story);
    story.refuses(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_vault_and_one_that_was_changed_are_refused() {
    let world = World::new().await;
    let ann = Person::new(&world, "Ann").await;
    let owner = Owner {
        server: ann.state.pins.server(),
        user: ann.user(),
    };
    let (password, recovery) = (
        RecoveryKey::generate().unwrap(),
        RecoveryKey::generate().unwrap(),
    );
    // Logged in before there is a vault.
    let mut outside = Outside::device_of(&world, &ann);
    let master = Master::generate().unwrap();
    let contents = Contents {
        rsa: parlance_client::keys::KeyPair::generate().unwrap(),
        earlier: Vec::new(),
        sign: SigningKey::generate().unwrap(),
        pins: BTreeMap::new(),
        heads: BTreeMap::new(),
    };
    let roots = (password.root(), recovery.root());
    let first = Vault::new(&owner, &master, &roots.0, &roots.1, &contents).unwrap();
    let second = first.update(&owner, &master, &contents).unwrap();
    for (vault, version) in [(&first, 1), (&second, 2)] {
        let version = VaultVersion::new(version).unwrap();
        let key = vault.to_key().unwrap();
        ann.session.change_vault(key, version).await.unwrap();
    }
    let other = Master::generate().unwrap();
    // Of the same version, so that its box is judged: under another master key than the slots have.
    let others = Vault::new(&owner, &other, &roots.0, &roots.1, &contents)
        .and_then(|others| others.update(&owner, &other, &contents))
        .map(|others| with_box_of(&others, &second))
        .unwrap();
    // An old box with the newest version's number.
    let mixed = with_box_of(&first, &second);
    let eve = Owner {
        user: Person::new(&world, "Eve").await.user(),
        ..owner
    };
    let of_eve = Vault::new(&eve, &master, &roots.0, &roots.1, &contents).unwrap();
    let root = hex::encode(roots.0.as_bytes());
    for (name, stored, refused) in [
        ("an old one", &first, "OldVault"),
        ("with another box", &others, "Relabelled"),
        ("with an old box", &mixed, "Relabelled"),
        ("of somebody else", &of_eve, "WrongPassword"),
        ("the newest", &second, "nothing"),
    ] {
        let key = stored.to_key().unwrap();
        let update = format!(
            "update users set encrypted_private_key = '{}' where user_id = '{}'",
            key.as_str(),
            ann.user()
        );
        world.sql(&update).await;
        let told = ann.session.vault().await.unwrap();
        let opened = Vault::parse(&told.rsakey).and_then(|vault| {
            let master = vault.master(&owner, Slot::Password, &roots.0)?;
            vault.open(&owner, &master, 2).map(drop)
        });
        let found = match opened {
            Ok(()) => "nothing".to_owned(),
            Err(wrong) => format!("{wrong:?}"),
        };
        assert!(found.starts_with(refused), "{name}: {found}");
        let answer = outside.does(&format!("vault {root} 2"));
        let found = answer.strip_prefix("refused ").unwrap_or("nothing");
        assert_eq!(found, refused, "{name}, outside");
    }
    world.end().await;
}

/// A vault with the box of another one.
fn with_box_of(other: &Vault, vault: &Vault) -> Vault {
    let mut mixed = serde_json::to_value(vault).unwrap();
    mixed["box"] = serde_json::to_value(other).unwrap()["box"].clone();
    serde_json::from_value(mixed).unwrap()
}
