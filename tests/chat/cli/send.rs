//! `parlance send`: what services say to people.

mod files;

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    sync::Arc,
};

use parlance_client::{MessageId, Server, UserId, e2ee::Offer};
use parlance_wire::text::Email;

use super::{bad, good, parlance, run};
use crate::{
    backup::Backup,
    encrypted::{
        person::{PASSWORD, Person},
        restored::restores,
    },
    world::World,
};

const SERVICE: &str = "alerts@example.org";

/// A service with its keys in a directory.
struct Service {
    world: Arc<World>,
    apikey: String,
    keys: tempfile::TempDir,
}

impl Service {
    fn new(world: &Arc<World>) -> Self {
        let made = run(
            parlance(world.store.options()).args(["user", "apikey", SERVICE, "--json"]),
            "",
        );
        let made: serde_json::Value = serde_json::from_str(&good(&made)).unwrap();
        Self {
            world: world.clone(),
            apikey: made["apikey"].as_str().unwrap().to_owned(),
            keys: tempfile::tempdir().unwrap(),
        }
    }

    fn user() -> UserId {
        UserId::of(&Email::parse(SERVICE).unwrap())
    }

    /// Sends a text, with its apikey in the environment.
    fn sends(&self, text: &str, options: &[&str]) -> Output {
        self.runs(text, options, Some(&self.apikey))
    }

    fn runs(&self, text: &str, options: &[&str], apikey: Option<&str>) -> Output {
        run(&mut self.command(options, apikey), text)
    }

    fn command(&self, options: &[&str], apikey: Option<&str>) -> Command {
        let mut command = parlance(self.world.store.options());
        command
            .args(["send", "--as", SERVICE, "--server", &self.world.url])
            .arg("--keys")
            .arg(self.keys.path())
            .args(options)
            .env_remove("PARLANCE_APIKEY");
        if let Some(apikey) = apikey {
            command.env("PARLANCE_APIKEY", apikey);
        }
        command
    }
}

const TO_ANN: [&str; 2] = ["--to", "ann@example.org"];

#[tokio::test(flavor = "multi_thread")]
async fn a_services_text_reaches_a_person_encrypted_and_once_however_often_it_is_sent() {
    let world = World::new().await;
    let (service, mut ann) = (Service::new(&world), Person::new(&world, "Ann").await);
    // Nobody is written to without their consent.
    for _ in 0..2 {
        let refused = bad(&service.sends("The disk is full\n", &TO_ANN));
        assert_eq!(
            refused,
            "parlance: ann@example.org has not accepted alerts@example.org as a contact yet: a friend request was sent, if there is such a user"
        );
    }
    ann.session.accept_friend(Service::user()).await.unwrap();
    let id = good(&service.sends("The disk is full\n", &TO_ANN));
    assert!(MessageId::parse(id.trim_end()).is_some(), "{id}");
    let mut anns = ann.follows().await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["The disk is full"]);
    assert_eq!(world.count("messages where data like '%disk%'").await, 0);

    // The answer may get lost, but not the text, which may have two lines.
    let id = MessageId::random().to_string();
    let with_id = [&TO_ANN[..], &["--id", &id]].concat();
    for _ in 0..2 {
        assert_eq!(
            good(&service.sends("One\ntwo", &with_id)),
            format!("{id}\n")
        );
    }
    let refused = bad(&service.sends("Another text", &with_id));
    assert_eq!(
        refused,
        format!("parlance: another message already has the id {id}; choose another one")
    );
    // After an answer of hers, and in a new epoch of hers.
    ann.says("Thank you", &mut anns).await.unwrap();
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    let said = good(&service.sends("It is full again", &[&TO_ANN[..], &["--json"]].concat()));
    assert!(said.starts_with("{\"messageid\":"), "{said}");
    let all = [
        "The disk is full",
        "One\ntwo",
        "Thank you",
        "It is full again",
    ];
    assert_eq!(ann.hears(&anns).await.unwrap(), all);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_sent_at_once_are_numbered_one_after_the_other() {
    let world = World::new().await;
    let (service, mut ann) = (Service::new(&world), Person::new(&world, "Ann").await);
    bad(&service.sends("x", &TO_ANN));
    ann.session.accept_friend(Service::user()).await.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| good(&service.sends("x", &TO_ANN)));
        }
    });
    let anns = ann.follows().await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["x"; 4]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apikey_is_in_the_environment_or_in_a_file_that_nobody_else_can_read() {
    let world = World::new().await;
    let (service, ann) = (Service::new(&world), Person::new(&world, "Ann").await);
    bad(&service.sends("x", &TO_ANN));
    ann.session.accept_friend(Service::user()).await.unwrap();
    let from_file = || service.runs("x", &TO_ANN, None);
    let refused = bad(&from_file());
    assert!(
        refused.contains("put the apikey of alerts@example.org"),
        "{refused}"
    );
    let file = service.keys.path().join("alerts@example.org.apikey");
    std::fs::write(&file, format!("{}\n", service.apikey)).unwrap();
    let readable_by = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    readable_by(0o644);
    let refused = bad(&from_file());
    assert!(refused.contains("others can read"), "{refused}");
    readable_by(0o600);
    good(&from_file());
    // The keys that are made are as private.
    let kept = service.keys.path().join("alerts@example.org.json");
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = format!("--apikey={}", service.apikey);
    let usage = service.runs("x", &[&TO_ANN[..], &[&key]].concat(), None);
    assert_eq!(usage.status.code(), Some(2));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_in_a_plain_sentence() {
    let world = World::new().await;
    let (service, ann) = (Service::new(&world), Person::new(&world, "Ann").await);
    let says = |text: &str, options: &[&str]| bad(&service.sends(text, options));
    assert_eq!(
        says("x", &["--to", "nobody@example.org"]),
        "parlance: nobody@example.org has not accepted alerts@example.org as a contact yet: a friend request was sent, if there is such a user"
    );
    assert_eq!(
        says("\n", &TO_ANN),
        "parlance: there is no text on standard input"
    );
    let wrong = service.runs("x", &TO_ANN, Some("a wrong apikey, which is long"));
    assert_eq!(bad(&wrong), "parlance: Login failed.");
    bad(&service.sends("x", &TO_ANN));
    ann.session.accept_friend(Service::user()).await.unwrap();
    good(&service.sends("x", &TO_ANN));

    // New keys of hers: nothing is sent until somebody has compared them.
    let mut again = ann.resets(&world).await;
    let changed = "parlance: the keys of ann@example.org have changed; ask them whether that is so, and then pass --accept-new-keys";
    assert_eq!(says("x", &TO_ANN), changed);
    again.publishes_first_card().await;
    assert_eq!(says("x", &TO_ANN), changed);
    good(&service.sends(
        "To the new keys",
        &[&TO_ANN[..], &["--accept-new-keys"]].concat(),
    ));
    good(&service.sends("Also", &TO_ANN));
    let met = again.meets(&[Service::user()]).await.unwrap();
    assert_eq!(met.offers[&Service::user()], Offer::New);
    again.follows().await.unwrap();

    again.session.block(Service::user()).await.unwrap();
    assert_eq!(says("x", &TO_ANN), "parlance: This user has blocked you.");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restored_backup_a_service_goes_on_once_somebody_says_so() {
    let world = World::new().await;
    let (mut service, mut ann) = (Service::new(&world), Person::new(&world, "Ann").await);
    bad(&service.sends("x", &TO_ANN));
    ann.session.accept_friend(Service::user()).await.unwrap();
    good(&service.sends("Kept", &TO_ANN));
    let backup = Backup::of(&world);
    // Each call reads what was there before it.
    for _ in 0..2 {
        good(&service.sends("Lost", &TO_ANN));
    }
    let restored = restores(world, &backup).await;
    service.world = Arc::clone(&restored);
    assert_eq!(
        bad(&service.sends("x", &TO_ANN)),
        "parlance: the server does not show what it has shown before (other messages were shown before, or to its writer); if its database was restored from a backup, pass --accept-restored"
    );
    good(&service.sends("And on", &[&TO_ANN[..], &["--accept-restored"]].concat()));
    good(&service.sends("and on", &TO_ANN));
    let server = Server::new(&restored.url).unwrap();
    let station = ann.session.identity().station;
    ann.session = server.login(&ann.email, PASSWORD, station).await.unwrap();
    let anns = ann.follows().await.unwrap();
    assert_eq!(
        ann.hears(&anns).await.unwrap(),
        ["Kept", "And on", "and on"]
    );
    restored.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_misses_its_newest_message_after_a_restored_backup() {
    let world = World::new().await;
    let (mut service, ann) = (Service::new(&world), Person::new(&world, "Ann").await);
    bad(&service.sends("x", &TO_ANN));
    ann.session.accept_friend(Service::user()).await.unwrap();
    good(&service.sends("Kept", &TO_ANN));
    let backup = Backup::of(&world);
    let lost = good(&service.sends("Lost", &TO_ANN));
    let restored = restores(world, &backup).await;
    service.world = Arc::clone(&restored);
    let lost = lost.trim_end();
    assert_eq!(
        bad(&service.sends("x", &TO_ANN)),
        format!(
            "parlance: the server does not show what it has shown before (message {lost}, which the server had stored, is missing); if its database was restored from a backup, pass --accept-restored"
        )
    );
    good(&service.sends("And on", &[&TO_ANN[..], &["--accept-restored"]].concat()));
    good(&service.sends("and on", &TO_ANN));
    restored.end().await;
}
