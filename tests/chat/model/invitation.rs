//! The model's invitations: users who are invited to groups, and accept or decline.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Model, NAMES, Who, conversation::Invitation};

impl Model {
    /// Returns `true` if a user sees an invitation to the group.
    pub(super) fn sees_invitation(&self, who: Who, conversation: usize) -> bool {
        let conversation = &self.conversations[conversation];
        let has_blocked = |other: Who| self.blocks.contains(&(who, other));
        let is_run_by_blocked = conversation
            .members
            .iter()
            .any(|(other, member)| member.is_admin && has_blocked(*other));
        conversation
            .invited
            .get(&who)
            .is_some_and(|invitation| !has_blocked(invitation.by))
            && !is_run_by_blocked
    }

    /// All visible invitations: the invited user, the group, the inviter.
    pub(super) fn all_invited(&self) -> BTreeSet<(Who, usize, Who)> {
        let all = (0..NAMES.len()).flat_map(|who| {
            (0..self.conversations.len()).map(move |conversation| (who, conversation))
        });
        all.filter(|(who, conversation)| self.sees_invitation(*who, *conversation))
            .map(|(who, conversation)| {
                (
                    who,
                    conversation,
                    self.conversations[conversation].invited[&who].by,
                )
            })
            .collect()
    }

    /// Deletes hidden invitations when someone becomes an admin.
    pub(super) fn withdraw_hidden(&mut self, conversation: usize) {
        let shown: Vec<Who> = (0..NAMES.len())
            .filter(|who| self.sees_invitation(*who, conversation))
            .collect();
        self.conversations[conversation]
            .invited
            .retain(|who, _| shown.contains(who));
    }

    /// Expects a notification for each user whose visible invitations have changed.
    pub(super) fn expect_invitation_changes(&mut self, before: &BTreeSet<(Who, usize, Who)>) {
        let now = self.all_invited();
        self.list_changed(now.symmetric_difference(before).map(|(who, ..)| *who));
    }

    pub(super) fn invitation(&self, by: Who, of: Who, name: &str) -> Invitation {
        Invitation {
            by,
            secret: format!("secret {of}"),
            name: name.to_owned(),
            since: self.clock,
        }
    }

    pub(super) async fn invite(&mut self, who: Who, conversation: usize, whom: Who) {
        let refusals = self.refusals_of_group(who, conversation);
        let is_in = self.conversations[conversation].members.contains_key(&whom);
        let request = json!({
            "participantids": [self.people[whom].user], "secrets": self.secrets(&[whom]),
            "displaynames": { self.people[whom].user.clone(): "invited" },
        });
        let Some(answer) = self
            .changes(who, conversation, "addparticipants", request, &refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        let there: Vec<Who> = self.conversations[conversation]
            .members
            .keys()
            .copied()
            .collect();
        let departed = self.conversations[conversation]
            .departed
            .get(&whom)
            .copied();
        let is_put_in = departed.is_none() && self.is_put_in(who, whom, &there);
        let view = self.answers_invited(
            &answer,
            if is_in || is_put_in {
                &[]
            } else {
                std::slice::from_ref(&whom)
            },
        );
        let (member, invitation) = (
            self.member(whom, "invited", false),
            self.invitation(who, whom, "invited"),
        );
        let gives_way = |by: Who| {
            self.blocks.contains(&(whom, by))
                || self.are_friends(who, whom) && !self.are_friends(by, whom)
        };
        let is_open = self.conversations[conversation]
            .invited
            .get(&whom)
            .is_none_or(|before| gives_way(before.by));
        let changed = &mut self.conversations[conversation];
        if is_put_in && !is_in {
            changed.invited.remove(&whom);
            changed.members.insert(whom, member);
        } else if !is_in && departed != Some(true) && is_open {
            changed.invited.insert(whom, invitation);
        }
        self.all_hear(conversation);
        self.expect_invitation_changes(&before);
        self.shows(conversation, who, &view);
    }

    pub(super) async fn accept(&mut self, who: Who, conversation: usize) {
        let is_in = self.conversations[conversation].members.contains_key(&who);
        let refusals: &[_] = match () {
            () if is_in && !self.conversations[conversation].is_group => &["not_allowed"],
            () if is_in || self.sees_invitation(who, conversation) => &[],
            () => &["conversation_not_found"],
        };
        let Some(answer) = self
            .changes(who, conversation, "accept", json!({}), refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        if let Some(invitation) = self.conversations[conversation].invited.remove(&who) {
            let mut member = self.member(who, &invitation.name, false);
            member.secret = invitation.secret;
            self.conversations[conversation].members.insert(who, member);
            self.conversations[conversation].departed.remove(&who);
            self.conversations[conversation].declined.remove(&who);
        }
        if is_in {
            self.list_changed([who]);
        } else {
            self.all_hear(conversation);
        }
        self.expect_invitation_changes(&before);
        self.shows(conversation, who, &answer["conversation"]);
    }

    pub(super) async fn decline(&mut self, who: Who, conversation: usize) {
        let is_invited = self.sees_invitation(who, conversation);
        let refusals: &[_] =
            if is_invited || self.conversations[conversation].declined.contains(&who) {
                &[]
            } else {
                &["conversation_not_found"]
            };
        if self
            .changes(who, conversation, "decline", json!({}), refusals)
            .await
            .is_none()
            || !is_invited
        {
            return;
        }
        let before = self.all_invited();
        self.conversations[conversation].invited.remove(&who);
        self.conversations[conversation].departed.insert(who, true);
        self.conversations[conversation].declined.insert(who);
        self.expect_invitation_changes(&before);
    }

    pub(super) async fn invitations(&self, who: Who) {
        let answer = self.people[who]
            .asks_as(
                4,
                "chatconversationgroup",
                json!({ "action": "invitations" }),
            )
            .await
            .ok();
        let mut expected: Vec<_> = self
            .conversations
            .iter()
            .enumerate()
            .filter(|(conversation, _)| self.sees_invitation(who, *conversation))
            .collect();
        expected
            .sort_by_key(|(_, conversation)| std::cmp::Reverse(conversation.invited[&who].since));
        let mut shown = answer["invitations"].clone();
        for view in shown.as_array_mut().unwrap() {
            assert!(view.as_object_mut().unwrap().remove("invited").is_some());
        }
        let expected: Value = expected
            .into_iter()
            .map(|(_, conversation)| {
                let invitation = &conversation.invited[&who];
                let is_known = |other: &Who| self.are_friends(who, *other) || self.blocks.contains(&(who, *other));
                let mut known: Vec<&str> =
                    conversation.members.keys().filter(|other| is_known(other)).map(|other| self.people[*other].user.as_str()).collect();
                known.sort_unstable();
                json!({
                    "conversationid": conversation.id, "inviterid": self.people[invitation.by].user, "invitername": NAMES[invitation.by],
                    "secret": invitation.secret, "displayname": invitation.name, "participantids": known,
                })
            })
            .collect();
        assert_eq!(shown, expected);
    }

    pub(super) async fn day(&mut self) {
        self.people[0]
            .world
            .sql("update departures set departed_at = departed_at - interval '1 day'")
            .await;
        for conversation in &mut self.conversations {
            conversation
                .departed
                .values_mut()
                .for_each(|just| *just = false);
        }
    }
}
