//! Flags, colors and hiding, which each participant sets for themselves.

use serde_json::{Value, json};

use super::flag;
use crate::world::{World, message, request};

#[tokio::test]
async fn list_properties_are_private() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let untouched = ben.sees(&conversation).await;
    for action in ["favorite", "mute", "hide", "setlistitembackgroundcolor"] {
        for _ in 0..2 {
            let shown = ann
                .asks("chatconversation", flag(action, &conversation))
                .await
                .ok()["conversation"]
                .clone();
            assert_eq!(shown, ann.sees(&conversation).await, "{action}");
        }
    }
    let arranged = ann.sees(&conversation).await;
    for by in ["favoriteby", "mutedby", "hiddenby"] {
        assert_eq!(arranged[by], json!([ann.user]));
    }
    assert_eq!(
        arranged["properties"],
        json!([{ "userid": ann.user, "ismuted": true, "isfavorite": true, "hideid": "", "listitembackgroundcolor": "#bae1ff" }])
    );
    assert_eq!(ben.sees(&conversation).await, untouched);
    for action in ["unfavorite", "unmute", "unhide"] {
        for _ in 0..2 {
            ann.asks("chatconversation", flag(action, &conversation))
                .await
                .ok();
        }
    }
    ann.does(
        "setlistitembackgroundcolor",
        &conversation,
        json!({ "color": "#ffffff" }),
    )
    .await
    .ok();
    let plain = ann.sees(&conversation).await;
    assert_eq!(
        (&plain["favoriteby"], &plain["mutedby"], &plain["hiddenby"]),
        (&json!([]), &json!([]), &json!([]))
    );
    world.end().await;
}

#[tokio::test]
async fn hide_is_until_the_instance_changes_or_for_good_and_unhide_undoes_both() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let hides = async |fields: Value| {
        ann.does("hide", &conversation, fields).await.ok()["conversation"].clone()
    };
    let hide_id = format!("{};", conversation.instance);
    let shown = hides(json!({ "hideid": hide_id })).await;
    assert_eq!(
        (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
        (&json!(hide_id), &json!([]))
    );
    // For good: `hideid` stays as it was. Empty and null count as absent.
    for fields in [
        json!({}),
        json!({ "hideid": "" }),
        json!({ "hideid": null }),
    ] {
        let shown = hides(fields).await;
        assert_eq!(
            (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
            (&json!(hide_id), &json!([ann.user]))
        );
    }
    // Hidden until the instance changes: `hiddenby` stays as it was.
    let shown = hides(json!({ "hideid": "7sSwU2VoFM;PqjfKSn7V8;" })).await;
    assert_eq!(
        (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
        (&json!("7sSwU2VoFM;PqjfKSn7V8;"), &json!([ann.user]))
    );
    let shown = ann.does("unhide", &conversation, json!({})).await.ok()["conversation"].clone();
    assert_eq!(
        (&shown["properties"][0]["hideid"], &shown["hiddenby"]),
        (&json!(""), &json!([]))
    );
    for wrong in ["a b;", "é;", &"a".repeat(257)] {
        ann.does("hide", &conversation, json!({ "hideid": wrong }))
            .await
            .refused(400, "bad_request");
    }
    assert_eq!(ann.sees(&conversation).await["properties"][0]["hideid"], "");
    world.end().await;
}

#[tokio::test]
async fn a_colour_is_kept_as_given_and_nothing_else_is_a_colour() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    ann.does(
        "setlistitembackgroundcolor",
        &conversation,
        json!({ "color": "#BAe1fF" }),
    )
    .await
    .ok();
    for wrong in [
        json!("bae1ff"),
        json!("#bae1f"),
        json!("#bae1fff"),
        json!("#bae1fg"),
        json!(""),
        json!(null),
        json!(7),
        json!("red"),
    ] {
        ann.does(
            "setlistitembackgroundcolor",
            &conversation,
            json!({ "color": wrong }),
        )
        .await
        .refused(400, "bad_request");
    }
    assert_eq!(
        ann.sees(&conversation).await["properties"][0]["listitembackgroundcolor"],
        "#BAe1fF"
    );
    world.end().await;
}

#[tokio::test]
async fn opaque_text_is_printable_ascii() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let printable: String = (b' '..=b'~').map(char::from).collect();
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    for (wrong, is_refused) in [
        ("\u{1}", true),
        ("\n", true),
        ("\u{7f}", true),
        ("é", true),
        ("\u{202e}", true),
        (&*printable, false),
        ("uwR...A==", false),
    ] {
        let mut direct = ann.creation(&cleo);
        let mut names = ann.creation(&cleo);
        direct["secrets"][&cleo.user] = wrong.into();
        names["displaynames"][&cleo.user] = wrong.into();
        let group = |name: &str, secret: &str| json!({ "action": "create", "displayname": name, "participantids": [], "secrets": { &ann.user: secret } });
        let sent = message(wrong);
        for (api, field, request) in [
            ("chatconversation", "secrets", direct),
            ("chatconversation", "displaynames", names),
            ("chatconversationgroup", "displayname", group(wrong, "s")),
            ("chatconversationgroup", "secrets", group("n", wrong)),
            (
                "chatconversation",
                "message.Data",
                request("add", &conversation, json!({ "message": sent.to_string() })),
            ),
            (
                "chatconversation",
                "message.Data",
                request("add", &conversation, json!({ "message": sent })),
            ),
        ] {
            let answer = ann.asks(api, request).await;
            if is_refused {
                let refusal = answer.refused(400, "bad_request");
                let sentence = refusal["errormessage"].as_str().unwrap();
                assert!(
                    sentence.starts_with(field) && sentence.contains("printable ASCII"),
                    "{wrong:?} {sentence}"
                );
            } else {
                answer.ok();
            }
        }
    }
    let page = ben.reads(&conversation).await;
    assert_eq!(
        (
            &page["messages"][0]["Data"],
            page["messages"].as_array().unwrap().len()
        ),
        (&json!(printable), 2)
    );
    world.end().await;
}
