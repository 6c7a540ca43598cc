//! The model's groups: users who are added, invited, or have accepted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Model, NAMES, Who,
    conversation::{Conversation, Invitation},
    is_refused,
};

impl Model {
    /// The possible refusals if a user may not change a group; empty if they may.
    fn refusals_of_group(&self, who: Who, conversation: usize) -> Vec<&'static str> {
        let conversation = &self.conversations[conversation];
        match conversation.members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(own) if !conversation.is_group || !own.is_admin => vec!["not_allowed"],
            Some(_) => vec![],
        }
    }

    /// Returns `true` if a user sees an invitation to the group.
    fn sees_invitation(&self, who: Who, conversation: usize) -> bool {
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
    fn withdraw_hidden(&mut self, conversation: usize) {
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

    fn all_hear(&mut self, conversation: usize) {
        self.list_changed(
            self.conversations[conversation]
                .members
                .keys()
                .copied()
                .collect::<Vec<_>>(),
        );
    }

    /// Returns `true` if a user whom a friend adds joins at once, given the present participants.
    fn is_put_in(&self, who: Who, whom: Who, there: &[Who]) -> bool {
        self.are_friends(who, whom)
            && !there
                .iter()
                .any(|other| self.blocks.contains(&(whom, *other)))
    }

    pub(super) async fn group(&mut self, who: Who, others: &[Who]) {
        let others: BTreeSet<Who> = others
            .iter()
            .copied()
            .filter(|other| *other != who)
            .collect();
        let everyone: Vec<Who> = others.iter().copied().chain([who]).collect();
        let ids: Vec<&str> = others
            .iter()
            .map(|who| self.people[*who].user.as_str())
            .collect();
        let request = json!({ "action": "create", "displayname": "the group", "participantids": ids, "secrets": self.secrets(&everyone) });
        let answer = self.people[who]
            .asks_as(4, "chatconversationgroup", request)
            .await;
        let is_blocked = others
            .iter()
            .any(|other| self.are_friends(who, *other) && self.blocks.contains(&(*other, who)));
        if is_refused(&answer, if is_blocked { &["not_allowed"] } else { &[] }) {
            return;
        }
        let before = self.all_invited();
        // Users who are only invited do not count.
        let met: Vec<Who> = everyone
            .iter()
            .copied()
            .filter(|one| *one == who || self.are_friends(who, *one))
            .collect();
        let (put_in, invited): (Vec<Who>, Vec<Who>) = others
            .iter()
            .partition(|other| self.is_put_in(who, **other, &met));
        let view = self.answers_invited(&answer.json(), &invited);
        let members = put_in
            .iter()
            .chain([&who])
            .map(|one| (*one, self.member(*one, "the group", *one == who)))
            .collect();
        let mut conversation = Conversation::new(&view, true, members);
        conversation.invited = invited
            .iter()
            .map(|one| (*one, self.invitation(who, *one, "the group")))
            .collect();
        self.conversations.push(conversation);
        self.all_hear(self.conversations.len() - 1);
        self.expect_invitation_changes(&before);
        self.shows(self.conversations.len() - 1, who, &view);
    }

    fn invitation(&self, by: Who, of: Who, name: &str) -> Invitation {
        Invitation {
            by,
            secret: format!("secret {of}"),
            name: name.to_owned(),
            since: self.clock,
        }
    }

    /// Compares the invited users of an answer. Returns the conversation as a version 3 client
    /// would get it.
    fn answers_invited(&self, answer: &Value, invited: &[Who]) -> Value {
        let mut ids: Vec<&str> = invited
            .iter()
            .map(|who| self.people[*who].user.as_str())
            .collect();
        ids.sort_unstable();
        assert_eq!(answer["invited"], json!(ids));
        let mut view = answer["conversation"].clone();
        view.as_object_mut().unwrap().remove("chain");
        view
    }

    /// Requests a change to a group. Returns the answer if the change was made.
    async fn changes(
        &mut self,
        who: Who,
        conversation: usize,
        action: &str,
        mut fields: Value,
        refusals: &[&str],
    ) -> Option<Value> {
        fields["action"] = action.into();
        fields["conversationid"] = self.conversations[conversation].id.clone().into();
        let version = if action == "addparticipants" { 4 } else { 3 };
        let answer = self.people[who]
            .asks_as(version, "chatconversationgroup", fields)
            .await;
        (!is_refused(&answer, refusals)).then(|| answer.json())
    }

    pub(super) async fn invite(&mut self, who: Who, conversation: usize, whom: Who) {
        let mut refusals = self.refusals_of_group(who, conversation);
        let is_in = self.conversations[conversation].members.contains_key(&whom);
        if refusals.is_empty()
            && !is_in
            && self.are_friends(who, whom)
            && self.blocks.contains(&(whom, who))
        {
            refusals.push("not_allowed");
        }
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

    pub(super) async fn remove(&mut self, who: Who, conversation: usize, whom: Who) {
        if who == whom {
            return;
        }
        let refusals = self.refusals_of_group(who, conversation);
        let request = json!({ "participantids": [self.people[whom].user] });
        let Some(answer) = self
            .changes(who, conversation, "removeparticipants", request, &refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        self.all_hear(conversation);
        let changed = &mut self.conversations[conversation];
        changed.members.remove(&whom);
        changed
            .invited
            .retain(|invited, invitation| *invited != whom && invitation.by != whom);
        self.expected[whom]
            .conversations
            .remove(&self.conversations[conversation].id);
        self.expect_invitation_changes(&before);
        self.shows(conversation, who, &answer["conversation"]);
    }

    pub(super) async fn leave(&mut self, who: Who, conversation: usize) {
        let refusals = match self.conversations[conversation].members.get(&who) {
            None => vec!["conversation_not_found"],
            Some(_) if !self.conversations[conversation].is_group => vec!["not_allowed"],
            Some(_) => vec![],
        };
        if self
            .changes(who, conversation, "leave", json!({}), &refusals)
            .await
            .is_none()
        {
            return;
        }
        let before = self.all_invited();
        self.all_hear(conversation);
        let id = self.conversations[conversation].id.clone();
        self.expected[who].conversations.remove(&id);
        let (people, left) = (&self.people, &mut self.conversations[conversation]);
        left.members.remove(&who);
        left.departed.insert(who, false);
        left.declined.remove(&who);
        if left.members.is_empty() {
            left.invited.clear();
            left.departed.clear();
            left.declined.clear();
        }
        if !left.members.values().any(|member| member.is_admin) {
            let longest = left
                .members
                .iter_mut()
                .min_by_key(|(who, member)| (member.joined, people[**who].user.clone()));
            if let Some((_, longest)) = longest {
                longest.is_admin = true;
                self.withdraw_hidden(conversation);
            }
        }
        self.expect_invitation_changes(&before);
    }

    pub(super) async fn role(&mut self, who: Who, conversation: usize, whom: Who, is_admin: bool) {
        let mut refusals = self.refusals_of_group(who, conversation);
        let members = &self.conversations[conversation].members;
        if refusals.is_empty() && !members.contains_key(&whom) {
            refusals.push("user_not_found");
        }
        if refusals.is_empty()
            && !is_admin
            && !members
                .iter()
                .any(|(other, member)| member.is_admin && *other != whom)
        {
            refusals.push("not_allowed");
        }
        let request = json!({ "participantid": self.people[whom].user, "role": if is_admin { "admin" } else { "member" } });
        let Some(answer) = self
            .changes(who, conversation, "setrole", request, &refusals)
            .await
        else {
            return;
        };
        let before = self.all_invited();
        if let Some(member) = self.conversations[conversation].members.get_mut(&whom)
            && member.is_admin != is_admin
        {
            member.is_admin = is_admin;
            self.all_hear(conversation);
            if is_admin {
                self.withdraw_hidden(conversation);
            }
        }
        self.expect_invitation_changes(&before);
        self.shows(conversation, who, &answer["conversation"]);
    }

    pub(super) async fn rename(&mut self, who: Who, conversation: usize, name: &str) {
        let refusals = self.refusals_of_group(who, conversation);
        let names: serde_json::Map<_, _> = (0..NAMES.len())
            .map(|who| (self.people[who].user.clone(), name.into()))
            .collect();
        let Some(answer) = self
            .changes(
                who,
                conversation,
                "rename",
                json!({ "displaynames": names }),
                &refusals,
            )
            .await
        else {
            return;
        };
        for member in self.conversations[conversation].members.values_mut() {
            name.clone_into(&mut member.name);
        }
        for invitation in self.conversations[conversation].invited.values_mut() {
            name.clone_into(&mut invitation.name);
        }
        self.all_hear(conversation);
        self.shows(conversation, who, &answer["conversation"]);
    }
}
