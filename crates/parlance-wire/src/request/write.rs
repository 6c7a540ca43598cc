//! Writes a body, the inverse of `read`.

use serde::{Serialize, ser::Error};
use serde_json::{Map, Value};

use crate::{time::Timestamp, version::ClientVersion};

/// Writes the body of a request: an action, and the fields that all requests have. The nonce has to
/// be new for every request, including a retry.
///
/// # Errors
/// `action` is not a variant of one of the enums of this module.
pub fn body<A: Serialize>(
    action: &A,
    version: ClientVersion,
    timestamp: Timestamp,
    nonce: &str,
) -> serde_json::Result<Vec<u8>> {
    let mut body = fields(action)?;
    body.insert("clientversioncode".into(), version.code().into());
    body.insert("timestamp".into(), timestamp.to_string().into());
    body.insert("nonce".into(), nonce.into());
    serde_json::to_vec(&body)
}

/// An action's name and fields in one object. serde nests the fields in an object under the name.
fn fields<A: Serialize>(action: &A) -> serde_json::Result<Map<String, Value>> {
    let (name, mut fields) = match serde_json::to_value(action)? {
        Value::String(name) => (name, Map::new()),
        Value::Object(variant) => match variant.into_iter().next() {
            Some((name, Value::Object(fields))) => (name, fields),
            _ => return Err(serde_json::Error::custom("not an action with fields")),
        },
        _ => return Err(serde_json::Error::custom("not an action")),
    };
    fields.insert("action".into(), name.into());
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::{
        e2ee::{self, Announcement, Changes, Epoch, Signature, commitment, roster},
        id::{ConversationId, FileId, MessageId, Receipt, ReportId, UserId},
        key::Credential,
        list::ListMark,
        request::{
            Head, PageSize, availability, blocklist, conversation, conversationgroup, epoch, file,
            friends, keys, login, notification, reports, workspace,
        },
        text::{Color, Data, Email, HideId, Instance, MessageType, Secret, WorkspaceName},
    };

    fn written<A: Serialize>(action: &A) -> Value {
        let now = Timestamp::parse("2026-01-31 12:00:00").unwrap();
        let body = body(action, ClientVersion::V4, now, "n").unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Asserts that writing and parsing changes nothing.
    fn comes_back<A: Serialize + DeserializeOwned>(actions: &[A]) {
        for action in actions {
            let first = written(action);
            let body = serde_json::to_vec(&first).unwrap();
            let head = Head::parse(&body).unwrap();
            assert!(head.version().is_v4());
            let read: A = crate::request::action(&head.action, &body).unwrap();
            assert_eq!(written(&read), first);
        }
    }

    #[test]
    fn the_server_reads_each_action_as_a_client_writes_it() {
        let (user, conversationid) = (
            UserId::of(&Email::parse("ann@example.org").unwrap()),
            ConversationId::random(),
        );
        let (instance, now) = (Instance::random(), Timestamp::now());
        let secret = Secret::parse("d3JhcHBlZA==".into()).unwrap();
        let secrets = BTreeMap::from([(user, secret.clone())]);
        let signature = Signature::from_bytes(&[1; 64]).unwrap();
        let announcement = Announcement::first(
            conversationid,
            Changes {
                roster: roster(&BTreeMap::new()),
                admins: BTreeSet::new(),
                added: BTreeSet::from([user]),
                removed: BTreeSet::new(),
                commit: commitment(&[0; 32]),
                by: user,
                head: e2ee::Head {
                    seq: 0,
                    chain: None,
                },
            },
        )
        .unwrap();
        let participantids = BTreeSet::from([user]);
        {
            use availability::Action::{UserAvailable, UserAway, UserBusy, UserOffline};
            comes_back(&[UserAvailable, UserAway, UserBusy, UserOffline]);
        }
        {
            use blocklist::Action::{Block, Blocklist, Unblock};
            comes_back(&[Blocklist, Block { userid: user }, Unblock { userid: user }]);
        }
        {
            use friends::Action::{Accept, Add, List, Remove};
            comes_back(&[
                List,
                Add {
                    friendid: Some(user),
                    email: None,
                },
                Add {
                    friendid: None,
                    email: Email::parse("ben@example.org"),
                },
                Accept { friendid: user },
                Remove { friendid: user },
            ]);
        }
        {
            use conversation::Action::{
                Add, Clear, Create, Download, DownloadPartial, Epochs, Erase, Favorite, Hide, List,
                Mute, Rekey, SetListItemBackgroundColor, ShareEpochs, Transcript, Unfavorite,
                Unhide, Unmute,
            };
            let message = conversation::SentMessage {
                id: MessageId::random(),
                r#type: MessageType::parse("Message").unwrap(),
                created: now,
                valid_until: None,
                data: Data::parse("\"}".into()).unwrap(),
            };
            comes_back(&[
                List {
                    limit: PageSize(None),
                    after: None,
                    known: Some(ListMark::parse(&"0123456789abcdef".repeat(5)).into()),
                },
                List {
                    limit: PageSize(Some(1000)),
                    after: Some(conversationid),
                    known: None,
                },
                Add {
                    conversationid,
                    instance: instance.clone(),
                    message,
                    epoch: Epoch::new(7),
                    files: BTreeSet::from([FileId::random()]),
                },
                Download {
                    conversationid,
                    instance: instance.clone(),
                    firstmessagedate: Some(now),
                    firstmessageid: Some(MessageId::random()),
                    firstreportdate: None,
                    firstreportid: Some(ReportId::random()),
                },
                DownloadPartial {
                    conversationid,
                    instance: instance.clone(),
                    lastmessagedate: None,
                    lastmessageid: Some(MessageId::random()),
                    lastreportdate: Some(now),
                    lastreportid: None,
                    limit: PageSize(Some(500)),
                },
                Erase {
                    conversationid,
                    instance: instance.clone(),
                    messageids: vec![MessageId::random()],
                },
                Clear {
                    conversationid,
                    instance: instance.clone(),
                },
                Transcript {
                    conversationid,
                    instance: instance.clone(),
                    afterseq: 7,
                    limit: PageSize(Some(1)),
                },
                Favorite { conversationid },
                Unfavorite { conversationid },
                Mute { conversationid },
                Unmute { conversationid },
                Hide {
                    conversationid,
                    hideid: HideId::parse("PqjfKSn7V8;"),
                },
                Unhide { conversationid },
                SetListItemBackgroundColor {
                    conversationid,
                    color: Color::parse("#bae1ff").unwrap(),
                },
                Create {
                    participantid: user,
                    secrets: secrets.clone(),
                    displaynames: BTreeMap::new(),
                    announcement: None,
                    signature: None,
                },
                Rekey(Box::new(epoch::Rekey {
                    conversationid,
                    instance: instance.clone(),
                    epoch: Epoch::FIRST,
                    announcement: announcement.clone(),
                    signature,
                    secrets: secrets.clone(),
                    displaynames: secrets.clone(),
                    removeparticipants: BTreeSet::new(),
                    addparticipants: participantids.clone(),
                })),
                ShareEpochs(Box::new(epoch::ShareEpochs {
                    conversationid,
                    userid: user,
                    secrets: BTreeMap::from([(Epoch::FIRST, secret)]),
                })),
                Epochs {
                    conversationid,
                    before: Epoch::new(51),
                    limit: PageSize(Some(50)),
                },
            ]);
        }
        {
            use conversationgroup::Action::{
                Accept, AddParticipants, Create, Decline, Invitations, Leave, RemoveParticipants,
                Rename, SetRole,
            };
            comes_back(&[
                Create {
                    displayname: Secret::parse("bmFtZQ==".into()).unwrap(),
                    participantids: participantids.clone(),
                    secrets: secrets.clone(),
                    displaynames: BTreeMap::new(),
                    announcement: Some(Box::new(announcement)),
                    signature: Some(signature),
                },
                Rename {
                    conversationid,
                    displaynames: secrets.clone(),
                },
                AddParticipants {
                    conversationid,
                    participantids: participantids.clone(),
                    secrets: secrets.clone(),
                    displaynames: secrets,
                },
                RemoveParticipants {
                    conversationid,
                    participantids,
                },
                Leave { conversationid },
                Invitations,
                Accept { conversationid },
                Decline { conversationid },
                SetRole {
                    conversationid,
                    participantid: user,
                    role: crate::word::Role::Admin,
                },
            ]);
        }
        let report = reports::Report {
            conversationid,
            instance: instance.clone(),
            firstmessagedate: None,
            lastmessagedate: Some(now),
            messageids: vec![MessageId::random()],
        };
        comes_back(&[
            reports::Action::Viewed(report.clone()),
            reports::Action::Delivered(report),
        ]);
        comes_back(&[notification::Action::Download {
            received: Some(Receipt::random()),
        }]);
        comes_back(&[
            keys::Action::Get {
                userids: BTreeSet::from([user]),
                after: BTreeMap::from([(user, 3)]),
            },
            keys::Action::Log { after: 7 },
        ]);
        let fileid = FileId::random();
        comes_back(&[
            file::Action::Create {
                conversationid,
                instance,
                fileid,
                size: 300_032,
                validuntil: Some(now),
            },
            file::Action::Put(file::Put {
                fileid,
                record: 1,
                sha256: file::BodyHash::of(b"records"),
                length: 37_888,
            }),
            file::Action::Status { fileid },
            file::Action::Complete {
                fileid,
                digest: file::FileDigest::of(b"hashes"),
            },
            file::Action::Delete { fileid },
            file::Action::Get { fileid },
        ]);
        comes_back(&[workspace::Action::WorkspaceRegister {
            workspacename: WorkspaceName::parse("ann.example.org").unwrap(),
        }]);
    }

    #[test]
    fn a_secret_is_written_to_its_request_and_nowhere_else() {
        let apikey = Credential::new("a secret of sixteen".into()).unwrap();
        let action = login::ClientAction::Login {
            apikey,
            stationname: None,
        };
        assert_eq!(written(&action)["apikey"], "a secret of sixteen");
        assert!(!format!("{action:?}").contains("sixteen"));
        let body = serde_json::to_vec(&written(&action)).unwrap();
        let read: login::Action = crate::request::action("login", &body).unwrap();
        assert!(matches!(
            read,
            login::Action::Login { apikey, .. } if apikey == crate::key::SecretHash::of("a secret of sixteen")
        ));
    }
}
