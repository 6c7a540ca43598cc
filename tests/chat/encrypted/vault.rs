//! An account with a vault, from the registration to a lost password.

use parlance_client::{
    Error, ErrorCode, NewMessage, NewUser, Reader, Server, StationId, Unlock, Unlocked, UserId,
    e2ee::{
        Card, CardHash, Content, Contents, Error as Wrong, Kdf, Kind, Mark, Master, Owner, Pin,
        Root, Slot, State, Vault, VaultPin,
    },
};
use parlance_wire::{kdf, request::account::VaultVersion, text::Email};

use super::{account::deletes_account, person::Person, wrong};
use crate::{client::Relay, world::World};

pub(super) const EMAIL: &str = "vera@example.org";
pub(super) const PASSWORD: &str = "a long password";

/// Vera registers. Returns her recovery key.
pub(super) async fn registers(server: &Server) -> parlance_client::e2ee::RecoveryKey {
    let new = NewUser {
        email: EMAIL,
        fullname: "Vera",
        nick: "Vera",
        invite: None,
    };
    server.register_with_vault(&new, PASSWORD).await.unwrap()
}

/// Vera, logged in at this station.
pub(super) async fn unlocks(server: &Server, password: &str, station: StationId) -> Unlocked {
    let key = Unlock::Password(password);
    server.unlock(EMAIL, key, station, 0).await.unwrap()
}

/// Vera's vault as it lies on the server, with what opens it, and its contents.
async fn opened(server: &Server, vera: &Unlocked) -> (Owner, Master, Vault, Contents) {
    let before = server.prelogin(EMAIL).await.unwrap();
    let owner = Owner {
        server: before.server,
        user: vera.session.user(),
    };
    let kdf::Kdf::Argon2id { m, t, p, salt } = before.kdf else {
        panic!("a vault's password")
    };
    let kdf = Kdf::Argon2id {
        m: m.get(),
        t: t.get(),
        p: p.get(),
        salt: format!("{salt:?}"),
    };
    let root = Root::of_password(PASSWORD, &kdf).unwrap();
    let vault = Vault::parse(&vera.session.vault().await.unwrap().rsakey).unwrap();
    let master = vault.master(&owner, Slot::Password, &root).unwrap();
    let contents = vault.open(&owner, &master, 0).unwrap();
    (owner, master, vault, contents)
}

/// Changes the contents of Vera's vault, as another client of hers does.
pub(super) async fn changes_vault(
    server: &Server,
    vera: &Unlocked,
    change: impl FnOnce(&mut Contents),
) {
    let (owner, master, vault, mut contents) = opened(server, vera).await;
    change(&mut contents);
    let vault = vault.update(&owner, &master, &contents).unwrap();
    let version = u32::try_from(vault.version()).unwrap();
    let version = VaultVersion::new(version).unwrap();
    let changed = vera.session.change_vault(vault.to_key().unwrap(), version);
    changed.await.unwrap();
}

/// Puts pins into Vera's vault.
async fn pins(server: &Server, vera: &Unlocked, pins: &[(UserId, VaultPin)]) {
    changes_vault(server, vera, |contents| {
        contents.pins = pins.iter().cloned().collect();
    })
    .await;
}

/// What Vera reads at a new station.
pub(super) async fn reads(unlocked: &Unlocked, state: &mut State) -> Vec<String> {
    let session = &unlocked.session;
    let mut conversation = session.list().await.unwrap().remove(0);
    let read = session
        .read(state, &mut conversation, &mut Reader::new())
        .await
        .unwrap();
    let text = |one: &parlance_client::Received| match &one.content.as_ref().unwrap().body.content {
        Content::Known(Kind::Text { text, .. }) => text.clone(),
        other => panic!("{other:?}"),
    };
    read.iter().map(text).collect()
}

/// Makes a friend of somebody.
pub(super) async fn befriends(vera: &Unlocked, other: &Person) {
    let session = &vera.session;
    session.add_friend(&other.email).await.unwrap();
    other.session.accept_friend(session.user()).await.unwrap();
}

/// Says something to a friend at this station.
pub(super) async fn says(unlocked: &Unlocked, state: &mut State, friend: UserId, text: &str) {
    let (session, sign) = (&unlocked.session, &unlocked.sign);
    let mut conversation = session.direct(state, sign, friend).await.unwrap();
    let mut reader = Reader::new();
    session
        .read(state, &mut conversation, &mut reader)
        .await
        .unwrap();
    let kind = Kind::Text {
        text: text.into(),
        reply: None,
        mentions: vec![],
    };
    session
        .say(
            state,
            sign,
            &mut conversation,
            &reader,
            NewMessage::new(kind),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_password_is_replaced_with_the_recovery_key_and_old_messages_are_read() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    let sheet = registers(&server).await;
    let unlock =
        async |key: Unlock<'_>, seen| server.unlock(EMAIL, key, StationId::random(), seen).await;
    let vera = unlock(Unlock::Password(PASSWORD), 0).await.unwrap();
    let mut state = vera.begin_state().await.unwrap();
    let ann = Person::new(&world, "Ann").await;
    befriends(&vera, &ann).await;
    says(&vera, &mut state, ann.user(), "Hello").await;

    let old = opened(&server, &vera).await;
    // The password is lost: the sheet opens the vault, and is replaced along with the password.
    let mut recovered = unlock(Unlock::Recovery(&sheet), 0).await.unwrap();
    let new_sheet = recovered
        .replace_password("another password")
        .await
        .unwrap();
    for old in [Unlock::Password(PASSWORD), Unlock::Recovery(&sheet)] {
        let refused = unlock(old, 0).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::LoginFailed));
    }
    // The other station has ended.
    assert!(vera.session.list().await.is_err());
    let renewed = unlock(Unlock::Recovery(&new_sheet), 0).await.unwrap();
    // The master key of an old copy, which the lost password opens, does not open the new vault.
    let (owner, master, before, _) = old;
    let vault = Vault::parse(&renewed.session.vault().await.unwrap().rsakey).unwrap();
    before.open(&owner, &master, 0).unwrap();
    let refused = vault.open(&owner, &master, 0);
    assert!(matches!(refused, Err(Wrong::Relabelled)));
    // The server may not put the old one back.
    assert_eq!(renewed.vault_version(), vault.version());
    assert!(renewed.vault_version() > before.version());

    // After a theft, a new key pair: what was written before is still read.
    let mut again = unlock(Unlock::Password("another password"), 0)
        .await
        .unwrap();
    let mut state = again.begin_state().await.unwrap();
    assert_eq!(reads(&again, &mut state).await, ["Hello"]);
    again.replace_keys(&mut state).await.unwrap();
    let again = unlock(Unlock::Password("another password"), 0)
        .await
        .unwrap();
    let mut state = again.begin_state().await.unwrap();
    assert_eq!(reads(&again, &mut state).await, ["Hello"]);
    says(&again, &mut state, ann.user(), "With new keys").await;
    let mut fresh = again.begin_state().await.unwrap();
    assert_eq!(reads(&again, &mut fresh).await, ["Hello", "With new keys"]);
    // Nobody puts an older vault in place of it.
    let refused = unlock(Unlock::Password("another password"), 9).await;
    assert!(matches!(refused, Err(Error::Encryption(_))), "{refused:?}");
    world.end().await;
}

#[tokio::test]
async fn a_pair_that_the_server_refused_does_not_get_into_the_vault() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    registers(&server).await;
    let station = StationId::random();
    let mut vera = unlocks(&server, PASSWORD, station).await;
    let mut state = vera.begin_state().await.unwrap();
    world
        .sql(
            "create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
            create trigger refuse before update on users for each row
            when (old.public_key <> new.public_key) execute function refuse()",
        )
        .await;
    vera.replace_keys(&mut state).await.unwrap_err();
    world.sql("drop trigger refuse on users").await;
    vera.replace_password("another password").await.unwrap();
    let mut vera = unlocks(&server, "another password", station).await;
    vera.session.list().await.unwrap();
    vera.begin_state().await.unwrap();
    vera.replace_keys(&mut state).await.unwrap();
    let vera = unlocks(&server, "another password", station).await;
    vera.session.list().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_full_vault_leaves_out_pins_for_a_replaced_pair_and_those_that_were_only_seen_first() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    registers(&server).await;
    let station = StationId::random();
    let vera = unlocks(&server, PASSWORD, station).await;
    let mut state = vera.begin_state().await.unwrap();
    // As many as a vault with one pair takes.
    let people: Vec<_> = (0..1240)
        .map(|n| {
            let mark = if n % 8 == 0 {
                Mark::Verified
            } else {
                Mark::Seen
            };
            let card = CardHash::from_bytes([7; 32]);
            let email = Email::parse(&format!("contact-{n}@example.org")).unwrap();
            (UserId::of(&email), VaultPin(card, 0, mark))
        })
        .collect();
    pins(&server, &vera, &people).await;
    for _ in 0..2 {
        let mut vera = unlocks(&server, PASSWORD, station).await;
        vera.replace_keys(&mut state).await.unwrap();
    }
    let vera = unlocks(&server, PASSWORD, station).await;
    let (.., contents) = opened(&server, &vera).await;
    assert_eq!(contents.earlier.len(), 2);
    assert!((1000..people.len()).contains(&contents.pins.len()));
    let is_kept = |(user, pin): &(UserId, VaultPin)| contents.pins.get(user) == Some(pin);
    let verified = people.iter().filter(|(_, pin)| pin.2 == Mark::Verified);
    assert_eq!(verified.filter(|one| is_kept(one)).count(), 155);
    world.end().await;
}

#[tokio::test]
async fn a_pair_that_was_replaced_at_one_station_is_taken_over_by_the_other() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    registers(&server).await;
    let [one, other] = [(); 2].map(|()| StationId::random());
    let mut vera = unlocks(&server, PASSWORD, one).await;
    let mut state = vera.begin_state().await.unwrap();
    let mut others = unlocks(&server, PASSWORD, other)
        .await
        .begin_state()
        .await
        .unwrap();
    let ann = Person::new(&world, "Ann").await;
    befriends(&vera, &ann).await;
    says(&vera, &mut state, ann.user(), "Hello").await;
    vera.replace_keys(&mut state).await.unwrap();
    // Twice, as nothing keeps the other station from being away for long.
    let mut vera = unlocks(&server, PASSWORD, one).await;
    vera.replace_keys(&mut state).await.unwrap();
    let vera = unlocks(&server, PASSWORD, other).await;
    assert_eq!(reads(&vera, &mut others).await, ["Hello"]);
    says(&vera, &mut others, ann.user(), "From the other station").await;
    assert_eq!(others.own_cards.len(), 3);
    assert_eq!(others.pins.cards(vera.session.user()).len(), 3);
    world.end().await;
}

#[tokio::test]
async fn the_pins_of_a_vault_survive_their_people() {
    let world = World::new().await;
    let server = Server::new(&world.url).unwrap();
    registers(&server).await;
    let station = StationId::random();
    let vera = unlocks(&server, PASSWORD, station).await;
    let mut people = vec![];
    for name in ["Ann", "Ben", "Cleo", "Dan"] {
        let person = Person::new(&world, name).await;
        befriends(&vera, &person).await;
        people.push(person);
    }
    let people: [Person; 4] = people.try_into().ok().unwrap();
    let [ann, ben, cleo, dan] = &people;
    let card = |person: &Person| {
        let card = person.state.pins.cards(person.user()).last();
        card.map(Card::hash).unwrap()
    };
    // Of Dan, who had no card then, the vault has the public key.
    let dans = dan.state.pins.cards(dan.user())[0].rsa();
    let dans = CardHash::from_bytes(*dans.as_bytes());
    let mut all = [ann, ben, cleo]
        .map(|person| (person.user(), VaultPin(card(person), 1, Mark::Verified)))
        .to_vec();
    all.push((dan.user(), VaultPin(dans, 0, Mark::Verified)));
    pins(&server, &vera, &all).await;
    // Ben's account is gone, and somebody else has Cleo's address.
    deletes_account(ben).await;
    deletes_account(cleo).await;
    let again = Person::new(&world, "Cleo").await;
    befriends(&vera, &again).await;

    let vera = unlocks(&server, PASSWORD, station).await;
    let state = vera.begin_state().await.unwrap();
    let mark = |person: &Person| state.pins.get(person.user()).map(Pin::mark);
    assert_eq!(mark(ann), Some(Mark::Verified));
    assert_eq!(mark(ben), None);
    assert_eq!(mark(&again), Some(Mark::Changed));
    assert_eq!(mark(dan), Some(Mark::Verified));

    // A card that was never in the log is still refused.
    all[0].1.0 = CardHash::from_bytes([7; 32]);
    pins(&server, &vera, &all).await;
    let vera = unlocks(&server, PASSWORD, station).await;
    let refused = wrong(vera.begin_state().await);
    assert!(matches!(refused, Wrong::DifferentCard), "{refused}");
    world.end().await;
}

#[tokio::test]
async fn a_server_that_withholds_ones_own_card_is_found_out() {
    let world = World::new().await;
    let relay = Relay::open().await;
    relay.leads_to(&world);
    let server = Server::new(&relay.url).unwrap();
    registers(&server).await;
    let vera = unlocks(&server, PASSWORD, StationId::random()).await;
    let mut shown = format!("\"{}\":", vera.session.user());
    let own = shown.clone();
    shown.replace_range(1..9, "00000000");
    *relay.garbles.lock().unwrap() = Some((own, shown));
    let refused = wrong(vera.begin_state().await);
    assert!(matches!(refused, Wrong::UnknownSigner(_)), "{refused}");
    *relay.garbles.lock().unwrap() = None;
    vera.begin_state().await.unwrap();
    world.end().await;
}
