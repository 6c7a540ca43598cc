//! `parlance doctor` finds inconsistencies in the tables, and repairs those that it can.

use parlance::store::doctor::{self, Rule};
use parlance_wire::time::Timestamp;

use crate::world::{Conversation, Person, Roster, World, message, operator};

/// A world with a direct conversation and a group, each with a message and a report.
async fn lived_in() -> (std::sync::Arc<World>, Person, Conversation, Conversation) {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let secrets = serde_json::json!({ &ann.user: "s", &ben.user: "s" });
    let create = serde_json::json!({ "action": "create", "displayname": "g", "participantids": [ben.user], "secrets": secrets });
    let group =
        Conversation::of(&ann.asks("chatconversationgroup", create).await.ok()["conversation"]);
    for conversation in [&conversation, &group] {
        let ids = [
            ann.adds(conversation, "one").await,
            ann.adds(conversation, "two").await,
        ];
        ben.views(conversation, &ids).await.ok();
        ann.does("clear", conversation, serde_json::json!({}))
            .await
            .ok();
        let conversation = Conversation {
            instance: ann.sees(conversation).await["instance"]
                .as_str()
                .unwrap()
                .to_owned(),
            ..conversation.clone()
        };
        let id = ann.adds(&conversation, "three").await;
        ben.views(&conversation, &[id]).await.ok();
    }
    (world, ann, conversation, group)
}

#[tokio::test]
async fn a_database_that_was_only_written_by_the_server_is_well() {
    let (world, ..) = lived_in().await;
    assert!(doctor::examine(&world.store).await.unwrap().is_empty());
    assert_eq!(
        doctor::repair(&world.store, &operator(), Timestamp::now())
            .await
            .unwrap(),
        0
    );
    world.end().await;
}

#[tokio::test]
async fn each_broken_rule_is_found_and_repaired_if_possible() {
    let (world, ann, conversation, group) = lived_in().await;
    let ben = world.person("Ben").await;
    let card = ann.first_card(ann.server_id().await);
    ann.publishes(&card).await.ok();
    ann.publishes(&ann.next_card(&card.card, 1, Some(1)))
        .await
        .ok();
    let (with_epochs, first) = ann.creates_group_with_epoch(&[&ben]).await;
    let same = Roster {
        admins: vec![&ann],
        ..Roster::default()
    };
    ann.rekeys(&with_epochs, &first, &same).await;
    let dan = world.person("Dan").await;
    ann.befriends(&dan).await;
    let with_file = ann.creates(&dan).await;
    let file = ann.uploads(10, &with_file).await;
    ann.adds_files(&with_file, &message("a file"), &[&file])
        .await
        .ok();
    let digest = file.digest();
    let (conversation, group) = (conversation.id, group.id);
    let outsider = world.person("Cleo").await.user;
    let peak: String = sqlx::query_scalar("select encode(peaks[1], 'hex') from key_log_head")
        .fetch_one(&world.db)
        .await
        .unwrap();
    let last = format!("(select max(seq) from messages where conversation_id = '{conversation}')");
    for (rule, harm, undo) in [
        (Rule::HistoryHead, format!("update conversations set last_message_id = gen_random_uuid() where conversation_id = '{conversation}'"), None),
        (Rule::HistoryHead, format!("update conversations set last_report_id = null where conversation_id = '{group}'"), None),
        (Rule::Direct, format!("update participants set peer_id = null where conversation_id = '{conversation}' and user_id = '{}'", ann.user), None),
        (Rule::Admin, format!("update participants set role = 'member' where conversation_id = '{group}'"), None),
        (
            Rule::Invitation,
            format!(
                "insert into invitations select conversation_id, user_id, user_id, '', '', now() from participants where conversation_id = '{group}'"
            ),
            None,
        ),
        (Rule::Invitation, format!("insert into invitations values ('{conversation}', '{outsider}', '{}', '', '', now())", ann.user), None),
        (
            Rule::Dense,
            format!("update conversations set last_seq = last_seq + 1 where conversation_id = '{conversation}'"),
            Some(format!("update conversations set last_seq = last_seq - 1 where conversation_id = '{conversation}'")),
        ),
        (
            Rule::Instance,
            format!("update messages set instance = 'AAAAAAAAAA' where conversation_id = '{conversation}' and seq = {last}"),
            Some(format!(
                "update messages m set instance = c.instance from conversations c where c.conversation_id = m.conversation_id and m.conversation_id = '{conversation}' and seq = {last}"
            )),
        ),
        (
            Rule::Orphan,
            format!(
                "insert into messages select gen_random_uuid(), seq, message_id, instance, user_id, station_id, type, created_at, sent_at, valid_until, data, chain from messages where conversation_id = '{conversation}' and seq = {last};
                insert into usage_changes select array[user_id], array[message_bytes(data)] from messages where conversation_id = '{conversation}' and seq = {last}"
            ),
            Some(
                "with gone as (
                    delete from messages m where not exists (select from conversations c where c.conversation_id = m.conversation_id) returning *
                )
                insert into usage_changes select array[user_id], array[-message_bytes(data)] from gone".into(),
            ),
        ),
        (
            Rule::Chain,
            format!("update messages set data = 'THREE' where conversation_id = '{conversation}' and seq = {last}"),
            Some(format!("update messages set data = 'three' where conversation_id = '{conversation}' and seq = {last}")),
        ),
        (
            Rule::Chain,
            format!("update conversations set chain = sha256(chain) where conversation_id = '{group}'"),
            Some(format!(
                "update conversations c set chain = m.chain from messages m where c.conversation_id = '{group}' and m.conversation_id = '{group}' and m.seq > c.cleared_seq"
            )),
        ),
        (
            Rule::Cards,
            "update cards set card = replace(card, 'ann', 'eve') where n = 1".into(),
            Some("update cards set card = replace(card, 'eve', 'ann') where n = 1".into()),
        ),
        (
            Rule::KeyLog,
            "update key_log_head set peaks[1] = sha256(peaks[1])".into(),
            Some(format!("update key_log_head set peaks[1] = decode('{peak}', 'hex')")),
        ),
        (
            Rule::Epochs,
            "update epochs set announcement = replace(announcement, '\"epoch\":2', '\"epoch\":3') where epoch = 2".into(),
            Some("update epochs set announcement = replace(announcement, '\"epoch\":3', '\"epoch\":2') where epoch = 2".into()),
        ),
        (
            Rule::Epochs,
            "update conversations set epoch = epoch + 1 where epoch > 0".into(),
            Some("update conversations set epoch = epoch - 1 where epoch > 0".into()),
        ),
        (
            Rule::Epochs,
            format!("insert into epoch_secrets select conversation_id, epoch, '{outsider}', secret from epoch_secrets limit 1"),
            Some(format!("delete from epoch_secrets where user_id = '{outsider}'")),
        ),
        (
            Rule::HistoryHead,
            format!("update conversations set last_message_seq = last_message_seq - 1 where conversation_id = '{group}'"),
            None,
        ),
        (
            Rule::Viewed,
            format!("update participants set viewed_seq = viewed_seq + 1000 where conversation_id = '{group}'"),
            None,
        ),
        (
            Rule::Station,
            format!("update stations set credential_id = gen_random_uuid() where user_id = '{}'", ann.user),
            Some(format!(
                "update stations s set credential_id = c.credential_id from credentials c where c.user_id = s.user_id and s.user_id = '{}'",
                ann.user
            )),
        ),
        (Rule::Files, "update file_usage set bytes = bytes + 1".into(), None),
        (Rule::Files, "delete from file_usage".into(), None),
        (Rule::Files, "insert into file_records select file_key + 1000, record, hash, bytes from file_records".into(), None),
        (
            Rule::Files,
            "update file_records set bytes = bytes || '\\x00'".into(),
            Some("update file_records set bytes = substr(bytes, 1, octet_length(bytes) - 1)".into()),
        ),
        (
            Rule::Files,
            "update files set digest = sha256(digest)".into(),
            Some(format!("update files set digest = decode('{digest}', 'hex')")),
        ),
        (
            Rule::Files,
            "update files set message_seq = message_seq + 1000".into(),
            Some("update files set message_seq = message_seq - 1000".into()),
        ),
        (Rule::Usage, "insert into usage_changes select array[user_id], array[1] from users".into(), None),
        (Rule::Usage, "delete from usage_changes; delete from usage".into(), None),
        (
            Rule::Usage,
            format!("insert into usage values ('{outsider}', 210) on conflict on constraint usage_key do update set bytes = 210"),
            None,
        ),
        (
            Rule::Audit,
            "update audit_log set entry = replace(entry, 'repair', 'user add') where seq = 1".into(),
            Some("update audit_log set entry = replace(entry, 'user add', 'repair') where seq = 1".into()),
        ),
        (
            Rule::Audit,
            "update audit_head set seq = seq + 1".into(),
            Some("update audit_head set seq = seq - 1".into()),
        ),
        (
            Rule::Report,
            format!("update reports set message_seq = message_seq + 1000 where conversation_id = '{conversation}'"),
            Some(format!("update reports set message_seq = message_seq - 1000 where conversation_id = '{conversation}'")),
        ),
    ] {
        world.sql(&harm).await;
        let findings = doctor::examine(&world.store).await.unwrap();
        assert!(findings.len() == 1 && findings[0].rule == rule && findings[0].count > 0, "{rule:?}: {findings:?}");
        if let Some(undo) = undo {
            assert_eq!(doctor::repair(&world.store, &operator(), Timestamp::now()).await.unwrap(), 0, "{rule:?}: what would lose something is left alone");
            world.sql(&undo).await;
        } else {
            assert!(doctor::repair(&world.store, &operator(), Timestamp::now()).await.unwrap() > 0, "{rule:?}");
        }
        let findings = doctor::examine(&world.store).await.unwrap();
        assert!(findings.is_empty(), "{rule:?}: {findings:?}");
    }
    world.end().await;
}
