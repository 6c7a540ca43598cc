//! A client that sets flags.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::Unsure;
use crate::selftest::{
    Test,
    ledger::{Flags, Settled},
    people::{Conversation, Use},
    request::{Request, V4},
    rng::Rng,
    wire::Wire,
};

/// Sets flags of single users. The other participant's must not change.
pub(in crate::selftest) async fn flag(test: Arc<Test>, mut rng: Rng) {
    // Not in groups: members come and go there, and which flags they come back with is not promised.
    let two: Vec<Conversation> = test
        .people
        .conversations
        .iter()
        .filter(|one| one.r#use != Use::Group)
        .cloned()
        .collect();
    let mut unsure = Unsure(HashMap::new());
    while test.is_writing() {
        test.rest(test.plan.change_millis / 4, &mut rng).await;
        let Some(conversation) = rng.pick(&two) else {
            return;
        };
        let Some(who) = test.people.member(conversation, rng.below(2)) else {
            return;
        };
        let mut wire = Wire::new(who, rng.below(2), rng.fork());
        let (key, flag) = ((conversation.id, who.user), rng.below(4));
        if unsure.is_unsure(&test, &(key, flag)) {
            continue;
        }
        let Some(mut flags) = test.ledger().flags.get_mut(&key).map(|flags| {
            // Not judged while it is being changed: a list may show either value.
            flags.since = None;
            flags.value.clone()
        }) else {
            continue;
        };
        let mut asked = Request::on("", conversation.id, "", V4);
        let action = match flag {
            0 => {
                flags.is_muted = !flags.is_muted;
                if flags.is_muted { "mute" } else { "unmute" }
            }
            1 => {
                flags.is_favorite = !flags.is_favorite;
                if flags.is_favorite {
                    "favorite"
                } else {
                    "unfavorite"
                }
            }
            2 => {
                flags.is_hidden = !flags.is_hidden;
                if flags.is_hidden { "hide" } else { "unhide" }
            }
            _ => {
                flags.color = format!("#{:06x}", rng.below(1 << 24));
                asked = asked.with("color", flags.color.clone());
                "setlistitembackgroundcolor"
            }
        };
        let insisted = wire
            .insist(&test.cluster, &asked.with("action", action))
            .await;
        unsure.note((key, flag), &insisted);
        if !test.is_refused(action, &insisted) {
            test.ledger().flags.insert(
                key,
                Settled {
                    value: Flags { ..flags },
                    // From now on: a list that was requested before may still show the old value.
                    since: Some(Instant::now()),
                },
            );
        }
    }
}
