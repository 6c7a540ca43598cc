//! The client's calls for accounts, and for v4's additions to lists and sockets.

use parlance_client::{
    ErrorCode, Server, SocketEnd, StationId, Update,
    keys::{Account, KeyPair},
    message,
};
use parlance_wire::{
    kdf::{Kdf, SALT_BYTES, Salt, Whole},
    key::Credential,
    list::Known,
    request::account::{ChangePassword, ChangeRecovery},
    text::{Email, EncryptedKey},
    word::CredentialKind,
};

use super::{Feed, PASSWORD, friends, user};
use crate::world::World;

fn credential(text: &str) -> Credential {
    Credential::new(text.to_owned()).unwrap()
}

#[tokio::test]
async fn stations_are_listed_announced_and_signed_out() {
    let world = World::new().await;
    let ann = user(&world.url, "Ann").await;
    let server = Server::new(&world.url).unwrap();
    let mut feed = Feed::open(ann.clone()).await.unwrap();
    let phone = server
        .login("ann@example.org", PASSWORD, StationId::random())
        .await
        .unwrap();
    loop {
        if let Update::NewStations(stations) = feed.next().await.unwrap() {
            assert_eq!(stations, [phone.identity().station]);
            break;
        }
    }
    assert_eq!(ann.stations().await.unwrap().len(), 2);
    let mut socket = phone.open_socket().await.unwrap();
    socket.ping().await.unwrap();
    assert!(ann.sign_out(phone.identity().station).await.unwrap());
    assert!(!ann.sign_out(phone.identity().station).await.unwrap());
    // The first frame, the answer to the ping, and the end.
    while socket.next().await.unwrap().is_some() {}
    assert_eq!(socket.end(), Some(SocketEnd::SignedOut));
    let refusal = phone.list().await.unwrap_err();
    assert_eq!(refusal.code(), Some(ErrorCode::UnknownStation));
    assert_eq!(ann.sign_out_others().await.unwrap(), 0);
    let keys = ann.credentials().await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].kind, CredentialKind::Password);
    let refusal = ann.revoke(keys[0].keyid).await.unwrap_err();
    assert_eq!(refusal.code(), Some(ErrorCode::NotAllowed));
    // This server sends no pushes.
    assert_eq!(ann.push().await.unwrap().pushkey, "");
    let refusal = ann.enable_push("https://push.example/a").await.unwrap_err();
    assert_eq!(refusal.code(), Some(ErrorCode::NotAllowed));
    assert!(ann.enable_push("http://push.example/a").await.is_err());
    ann.ack_push().await.unwrap();
    ann.disable_push().await.unwrap();
    assert_eq!(ann.login().limits.unwrap().messagebytes, 64 * 1024);
    world.end().await;
}

#[tokio::test]
async fn a_password_a_recovery_key_and_a_key_pair_are_replaced() {
    let world = World::new().await;
    let ann = user(&world.url, "Ann").await;
    let server = Server::new(&world.url).unwrap();
    let prelogin = async || server.prelogin("ann@example.org").await.unwrap().kdf;
    assert_eq!(prelogin().await, Kdf::Pbkdf2);
    let email = Email::parse("ann@example.org").unwrap();
    let new = Account::of_person(&email, "another long password").unwrap();
    let kdf = Kdf::recommended(Salt::new([7; SALT_BYTES]));
    let change = |version: u32| ChangePassword {
        apikey: new.apikey.clone(),
        kdf: kdf.clone(),
        rsakey: ann.login().rsakey.clone(),
        version: Whole::new(version).unwrap(),
        recoverykey: Some(credential("a recovery key of Ann")),
        card: None,
        signout: true,
    };
    ann.change_password(change(2)).await.unwrap();
    assert_eq!(prelogin().await, kdf);
    let vault = |text: &str| EncryptedKey::parse(text).unwrap();
    let sheet = |version: u32| ChangeRecovery {
        recoverykey: credential("another recovery key of Ann"),
        rsakey: vault("a vault"),
        version: Whole::new(version).unwrap(),
    };
    match ann.change_recovery(sheet(2)).await.unwrap_err() {
        parlance_client::Error::Refused(refusal) => assert_eq!(
            (refusal.code, refusal.version),
            (ErrorCode::StaleVersion, Some(2))
        ),
        other => panic!("{other}"),
    }
    ann.change_recovery(sheet(3)).await.unwrap();
    let kinds: Vec<_> = ann.credentials().await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|key| key.kind).collect();
    assert_eq!(kinds, [CredentialKind::Password, CredentialKind::Recovery]);
    let pair = KeyPair::generate().unwrap();
    ann.change_keys(&pair, None, vault("a new vault"), Whole::new(4).unwrap())
        .await
        .unwrap();
    let refusal = ann.list().await.unwrap_err();
    assert_eq!(refusal.code(), Some(ErrorCode::SignatureInvalid));
    world.end().await;
}

#[tokio::test]
async fn changes_to_a_list_and_erased_messages_are_told() {
    let world = World::new().await;
    let (ann, ben, conversation) = friends(&world.url).await;
    let whole = ben.list_changes(Known::Nothing).await.unwrap();
    assert_eq!(whole.conversationids, Some([conversation.id].into()));
    assert_ne!(whole.known, Known::Nothing);
    let mut feed = Feed::open(ben.clone()).await.unwrap();
    let sent = message("aGVsbG8=").unwrap();
    let id = sent.id;
    ann.add(conversation.id, &conversation.instance, sent)
        .await
        .unwrap();
    let changes = ben.list_changes(whole.known).await.unwrap();
    assert_eq!(changes.conversations[0].unread, Some(1));
    assert_eq!(changes.conversationids, None);
    for gone in [vec![id], vec![]] {
        let erased = ann.erase(conversation.id, &conversation.instance, vec![id]);
        assert_eq!(erased.await.unwrap(), gone);
    }
    loop {
        if let Update::Erased { messages, .. } = feed.next().await.unwrap() {
            assert_eq!(messages, [id]);
            break;
        }
    }
    world.end().await;
}
