//! The model's lists: creating, clearing and arranging conversations, and how each user sees them.

use serde_json::{Value, json};

use super::{
    Model, NAMES, Who,
    conversation::{Conversation, Member, Message},
    is_refused,
    step::How,
};

impl Model {
    pub(super) fn secrets(&self, whose: &[Who]) -> Value {
        whose
            .iter()
            .map(|who| {
                (
                    self.people[*who].user.clone(),
                    json!(format!("secret {who}")),
                )
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    pub(super) fn member(&self, who: Who, name: &str, is_admin: bool) -> Member {
        Member {
            secret: format!("secret {who}"),
            name: name.to_owned(),
            is_admin,
            joined: self.clock,
            is_favorite: false,
            is_muted: false,
            is_hidden: false,
            hide_id: String::new(),
            color: "#ffffff".into(),
        }
    }

    pub(super) fn list_changed(&mut self, of: impl IntoIterator<Item = Who>) {
        for who in of {
            self.expected[who].list = true;
        }
    }

    pub(super) fn content_changed(&mut self, conversation: usize) {
        for who in self.conversations[conversation].members.keys() {
            self.expected[*who]
                .conversations
                .insert(self.conversations[conversation].id.clone());
        }
    }

    /// Compares a user's view of a conversation with the model.
    pub(super) fn shows(&mut self, conversation: usize, who: Who, view: &Value) {
        let Conversation {
            id,
            is_group,
            instance,
            members,
            messages,
            reports,
            last_access,
            ..
        } = &mut self.conversations[conversation];
        let newest = reports.last_mut().map(|report| {
            report
                .id
                .get_or_insert_with(|| {
                    view["lastreportid"]
                        .as_str()
                        .filter(|id| !id.is_empty())
                        .unwrap()
                        .to_owned()
                })
                .clone()
        });
        let mut everyone: Vec<(&str, &str)> = members
            .keys()
            .map(|who| (self.people[*who].user.as_str(), NAMES[*who]))
            .collect();
        everyone.sort_unstable();
        let own = &members[&who];
        let user = &self.people[who].user;
        let named_if = |is: bool| if is { json!([user]) } else { json!([]) };
        let mut expected = json!({
            "id": id, "isgroup": is_group, "instance": instance, "displayname": own.name, "secret": own.secret, "lastaccess": last_access,
            "participantids": everyone.iter().map(|(id, _)| id).collect::<Vec<_>>(),
            "participants": everyone.iter().map(|(id, name)| json!({ "userid": id, "username": name })).collect::<Vec<_>>(),
            "lastmessageid": messages.last().map_or("", Message::id), "lastreportid": newest.unwrap_or_default(),
            "mutedby": named_if(own.is_muted), "favoriteby": named_if(own.is_favorite), "hiddenby": named_if(own.is_hidden),
            "properties": [{
                "userid": user, "ismuted": own.is_muted, "isfavorite": own.is_favorite, "hideid": own.hide_id,
                "listitembackgroundcolor": own.color,
            }],
        });
        // Additional fields for v4 clients (the golden tests show that others do not get them). No
        // epochs are announced here.
        if view.get("epoch").is_some() {
            let mut admins: Vec<&str> = members
                .iter()
                .filter(|(_, member)| *is_group && member.is_admin)
                .map(|(who, _)| self.people[*who].user.as_str())
                .collect();
            admins.sort_unstable();
            expected["admins"] = json!(admins);
            expected["epoch"] = json!(0);
            expected["epochs"] = json!([]);
        }
        assert_eq!(*view, expected);
    }

    /// Whether it is a direct conversation of two who are friends no longer.
    pub(super) fn is_ended(&self, conversation: usize) -> bool {
        let Conversation {
            is_group, members, ..
        } = &self.conversations[conversation];
        let mut pairs = members.keys().zip(members.keys().skip(1));
        !is_group && !pairs.all(|(one, other)| self.are_friends(*one, *other))
    }

    /// The possible refusals if a user may not do this; empty if they may. If several apply,
    /// docs/api.md leaves open which one is returned.
    pub(super) fn refusals(
        &self,
        who: Who,
        conversation: usize,
        is_stale: bool,
        is_for_admins: bool,
        is_for_unblocked: bool,
    ) -> Vec<&'static str> {
        let conversation = &self.conversations[conversation];
        let Some(own) = conversation.members.get(&who) else {
            return vec!["conversation_not_found"];
        };
        let is_blocked = !conversation.is_group
            && conversation
                .members
                .keys()
                .any(|other| self.blocks.contains(&(*other, who)));
        let mut refusals = vec![];
        if is_stale {
            refusals.push("stale_instance");
        }
        if (is_for_admins && conversation.is_group && !own.is_admin)
            || (is_for_unblocked && is_blocked)
        {
            refusals.push("not_allowed");
        }
        refusals
    }

    pub(super) async fn create(&mut self, who: Who, with: Who) {
        let request = self.people[who].creation(&self.people[with]);
        let answer = self.asks(who, "chatconversation", request).await;
        let there = self.conversations.iter().position(|conversation| {
            !conversation.is_group
                && conversation.members.contains_key(&who)
                && conversation.members.contains_key(&with)
        });
        let is_allowed =
            there.is_some() || (self.are_friends(who, with) && !self.blocks.contains(&(with, who)));
        let refusals: &[_] = if who == with {
            &["bad_request"]
        } else if is_allowed {
            &[]
        } else {
            &["not_allowed"]
        };
        if is_refused(&answer, refusals) {
            return;
        }
        let view = answer.json()["conversation"].clone();
        let conversation = there.unwrap_or_else(|| {
            let member = |who: Who| Member {
                secret: format!("secret for {}", NAMES[who]),
                ..self.member(who, &format!("name for {}", NAMES[who]), false)
            };
            let members = [who, with].map(|who| (who, member(who))).into();
            self.conversations
                .push(Conversation::new(&view, false, members));
            self.list_changed([who, with]);
            self.conversations.len() - 1
        });
        self.shows(conversation, who, &view);
    }

    pub(super) async fn clear(&mut self, who: Who, conversation: usize, is_stale: bool) {
        let answer = self
            .does(who, conversation, "clear", is_stale, json!({}))
            .await;
        if is_refused(
            &answer,
            &self.refusals(who, conversation, is_stale, true, true),
        ) {
            return;
        }
        let view = answer.json()["conversation"].clone();
        let cleared = &mut self.conversations[conversation];
        assert_ne!(view["instance"], cleared.instance.as_str());
        view["instance"]
            .as_str()
            .unwrap()
            .clone_into(&mut cleared.instance);
        cleared.gone.append(&mut cleared.messages);
        cleared.reports.clear();
        // Who are friends no longer do not disturb each other.
        let told: Vec<Who> = if self.is_ended(conversation) {
            vec![who]
        } else {
            self.conversations[conversation]
                .members
                .keys()
                .copied()
                .collect()
        };
        self.list_changed(told);
        self.shows(conversation, who, &view);
    }

    pub(super) async fn set_property(&mut self, who: Who, conversation: usize, how: How) {
        let (action, fields) = match how {
            How::Favorite(is) => (if is { "favorite" } else { "unfavorite" }, json!({})),
            How::Muted(is) => (if is { "mute" } else { "unmute" }, json!({})),
            How::Hide(id) => ("hide", json!({ "hideid": id })),
            How::Unhide => ("unhide", json!({})),
            How::Color(color) => ("setlistitembackgroundcolor", json!({ "color": color })),
        };
        let answer = self.does(who, conversation, action, false, fields).await;
        if is_refused(
            &answer,
            &self.refusals(who, conversation, false, false, false),
        ) {
            return;
        }
        if let Some(own) = self.conversations[conversation].members.get_mut(&who) {
            match how {
                How::Favorite(is) => own.is_favorite = is,
                How::Muted(is) => own.is_muted = is,
                How::Hide(None) => own.is_hidden = true,
                How::Hide(Some(id)) => id.clone_into(&mut own.hide_id),
                How::Unhide => (own.is_hidden, own.hide_id) = (false, String::new()),
                How::Color(color) => color.clone_into(&mut own.color),
            }
        }
        self.list_changed([who]);
        self.shows(conversation, who, &answer.json()["conversation"]);
    }

    pub(super) async fn list(&mut self, who: Who) {
        let answer = self
            .asks(who, "chatconversation", json!({ "action": "list" }))
            .await
            .ok();
        let views = answer["conversations"].as_array().unwrap();
        let own: Vec<usize> = (0..self.conversations.len())
            .filter(|conversation| self.conversations[*conversation].members.contains_key(&who))
            .collect();
        assert_eq!(views.len(), own.len(), "{answer}");
        let times: Vec<i64> = views
            .iter()
            .map(|view| view["lastaccess"].as_i64().unwrap())
            .collect();
        assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
        for conversation in own {
            let view = views
                .iter()
                .find(|view| view["id"] == self.conversations[conversation].id.as_str())
                .unwrap();
            self.shows(conversation, who, view);
        }
    }
}
