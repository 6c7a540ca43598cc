//! Messages, and each kind of body.

use super::*;

#[test]
fn a_message_is_decrypted_with_the_secret_and_gaps_are_reported_once() {
    let world = World::new();
    let [ann, ben, _] = &world.people;
    let epoch = first_epoch(
        ann.maker(),
        world.conversation,
        world.members(&[ann, ben]),
        BTreeSet::new(),
        world.head(),
    )
    .unwrap();
    let announcement = &epoch.announcement.announcement;
    let log = KeyLog::new(world.pins.server(), ann.sign.public());
    let mut chain = Chain::beginning(world.conversation, &world.instance);
    let mut chains = BTreeMap::from([(0, chain)]);
    let mut reading = Reading::default();
    for (seq, n) in [(1, 1), (2, 2), (3, 4), (4, 5)] {
        let (before, head) = chains.last_key_value().unwrap();
        let body = Body {
            at: Timestamp::parse("2026-11-24 12:00:00").unwrap(),
            until: None,
            n,
            head: Head {
                seq: *before,
                chain: Some(*head),
            },
            ep: Some(announcement.hash()),
            log: Some(log.mark()),
            content: Content::Known(Kind::Text {
                text: format!("Hello {n}"),
                reply: None,
                mentions: vec![ben.user],
            }),
        };
        let envelope = Envelope {
            conversation: world.conversation,
            instance: &world.instance,
            id: MessageId::random(),
            user: ann.user,
            station: ann.station,
            r#type: "Message",
        };
        let data = seal(
            &envelope,
            announcement.epoch(),
            &epoch.secret,
            &ann.sign,
            &body,
        )
        .unwrap();
        let update = Envelope {
            r#type: "Update",
            ..envelope
        };
        assert!(
            seal(
                &update,
                announcement.epoch(),
                &epoch.secret,
                &ann.sign,
                &body
            )
            .is_err()
        );
        let opened = Sealed::message(data.as_str())
            .unwrap()
            .open(&envelope, &epoch.secret, world.pins.cards(ann.user))
            .unwrap();
        assert_eq!(opened.body, body);
        let checked = reading.check(
            &envelope,
            &opened,
            &View {
                seq,
                chain_at: &|seq| chains.get(&seq).copied(),
                known_from: 0,
                announcement,
                log: &log,
                has_all: true,
            },
        );
        match n {
            4 => assert!(matches!(
                checked,
                Err(Error::MissingMessages {
                    expected: 3,
                    found: 4
                })
            )),
            _ => checked.unwrap(),
        }
        chain = chain.link(seq, envelope.id, DataHash::of(data.as_str()));
        chains.insert(seq, chain);
    }
    assert_eq!(reading.next_number(ann.user, ann.station), 6);
}

#[test]
fn each_kind_comes_back_as_it_was() {
    let user = |email| UserId::of(&Email::parse(email).unwrap());
    let (user, other) = (user("ann@example.org"), user("ben@example.org"));
    let id = MessageId::random();
    let file = FileReference {
        id: parlance_wire::id::FileId::random(),
        name: "a.jpg".into(),
        mime: "image/jpeg".into(),
        size: 5,
        records: 1,
        key: "a2V5".into(),
        digest: "00".into(),
        w: Some(640),
        h: Some(480),
        ms: None,
        thumb: None,
        wave: None,
    };
    let settings = [("drafts".to_owned(), serde_json::json!({ "a": [1] }))];
    for kind in [
        Kind::Text {
            text: "*Hello*".into(),
            reply: Some(Reply {
                id,
                user,
                quote: "Hi".into(),
            }),
            mentions: vec![],
        },
        Kind::File {
            files: vec![file],
            text: String::new(),
            reply: Some(Reply {
                id,
                user,
                quote: "Hi".into(),
            }),
            mentions: vec![user],
        },
        Kind::Edit {
            of: id,
            text: "Hallo".into(),
            mentions: vec![user],
        },
        Kind::Delete { of: vec![id] },
        Kind::Reaction {
            of: id,
            emoji: "👍".into(),
            off: true,
        },
        Kind::Pin { of: id, off: false },
        Kind::Verify { mac: "00".into() },
        Kind::Settings(settings.into()),
    ] {
        let body = Body {
            at: Timestamp::parse("2026-11-24 12:00:00").unwrap(),
            until: Some(Timestamp::parse("2026-12-24 12:00:00").unwrap()),
            n: 1,
            head: Head {
                seq: 0,
                chain: None,
            },
            ep: None,
            log: None,
            content: Content::Known(kind.clone()),
        };
        assert_eq!(Body::parse(&body.to_text().unwrap()).unwrap(), body);
        assert!(!kind.may_change(user, other, false) || matches!(kind, Kind::Reaction { .. }));
        assert_eq!(
            kind.may_change(user, other, true),
            matches!(
                kind,
                Kind::Delete { .. } | Kind::Pin { .. } | Kind::Reaction { .. }
            )
        );
    }
}

#[test]
fn a_setting_does_not_take_the_place_of_the_kind() {
    let settings = [("kind".to_owned(), serde_json::json!("text"))];
    let body = Body {
        at: Timestamp::parse("2026-11-24 12:00:00").unwrap(),
        until: None,
        n: 1,
        head: Head {
            seq: 0,
            chain: None,
        },
        ep: None,
        log: None,
        content: Content::Known(Kind::Settings(settings.into())),
    };
    assert!(matches!(body.to_text(), Err(Error::Malformed(_))));
}
