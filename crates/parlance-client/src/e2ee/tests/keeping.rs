//! The vault, and a client's state.

use super::*;

#[test]
fn a_new_password_and_a_new_recovery_key_replace_the_old_ones() {
    let world = World::new();
    let [ann, ..] = world.people;
    let owner = Owner {
        server: world.pins.server(),
        user: ann.user,
    };
    let roots = [1, 2, 3, 4].map(|byte| Root::from_bytes(&[byte; 32]));
    let [password, recovery, new_password, new_recovery] = &roots;
    let master = Master::generate().unwrap();
    let contents = Contents {
        rsa: ann.rsa,
        earlier: vec![KeyPair::generate().unwrap()],
        sign: ann.sign,
        pins: BTreeMap::new(),
        heads: BTreeMap::new(),
    };
    let first = Vault::new(&owner, &master, password, recovery, &contents).unwrap();
    let opens = |vault: &Vault, slot, root: &Root| {
        let vault = Vault::parse(&vault.to_key().unwrap()).unwrap();
        let master = vault.master(&owner, slot, root)?;
        let contents = vault.open(&owner, &master, 0)?;
        assert_eq!(contents.sign.public(), ann.card.card.sign());
        assert_eq!(contents.earlier.len(), 1);
        Ok::<_, Error>(())
    };
    opens(&first, Slot::Password, password).unwrap();
    opens(&first, Slot::Recovery, recovery).unwrap();
    let second = first
        .replace(&owner, &master, Slot::Password, new_password, &contents)
        .unwrap();
    let third = second
        .replace(&owner, &master, Slot::Recovery, new_recovery, &contents)
        .unwrap();
    assert_eq!((second.version(), third.version()), (2, 3));
    opens(&third, Slot::Password, new_password).unwrap();
    opens(&third, Slot::Recovery, new_recovery).unwrap();
    for (slot, root) in [
        (Slot::Password, password),
        (Slot::Recovery, recovery),
        (Slot::Password, new_recovery),
        (Slot::Recovery, new_password),
    ] {
        assert!(matches!(
            opens(&third, slot, root),
            Err(Error::WrongPassword)
        ));
    }
    assert!(matches!(
        second.open(&owner, &master, 3),
        Err(Error::OldVault { found: 2, seen: 3 })
    ));
    let key = RecoveryKey::generate().unwrap();
    let again = RecoveryKey::parse(&key.to_text().to_lowercase()).unwrap();
    assert_eq!(*again.to_text(), *key.to_text());
}

#[test]
fn a_clients_state_survives_in_its_file() {
    let world = World::new();
    let [ann, ben, _] = &world.people;
    let mut state = State::new(KeyLog::new(world.pins.server(), ann.sign.public()));
    state.pins = world.pins.clone();
    state.own_cards.insert(1, ann.card.card.hash());
    let epoch = first_epoch(
        ann.maker(),
        world.conversation,
        world.members(&[ann, ben]),
        BTreeSet::new(),
        world.head(),
    )
    .unwrap();
    state.epochs.insert(world.conversation, epoch.accepted());
    state.reading(world.conversation, &world.instance);
    state.vault_version = 7;
    let path = std::env::temp_dir().join(format!("parlance-state-{}", StationId::random()));
    assert!(State::load(&path).unwrap().is_none());
    // Left over from a save that was interrupted, with a mode that lets everybody read.
    let mut left = path.clone().into_os_string();
    left.push(".new");
    std::fs::write(&left, "{").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let everybody = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&left, everybody).unwrap();
    }
    state.save(&path).unwrap();
    assert_eq!(State::load(&path).unwrap().as_ref(), Some(&state));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(State::load(&path), Err(Error::DamagedStore(_))));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_epoch_is_due_after_thirty_days_or_ten_thousand_messages() {
    let world = World::new();
    let [ann, ben, _] = &world.people;
    let mut state = State::new(KeyLog::new(world.pins.server(), ann.sign.public()));
    let id = world.conversation;
    let at = |time: &str| Timestamp::parse(time).unwrap();
    let head = |seq| Head {
        seq,
        ..world.head()
    };
    let begin = at("2026-01-01 12:00:00");
    assert!(!state.is_epoch_due(id, head(20_000), begin), "no epoch");
    let members = world.members(&[ann, ben]);
    let first = first_epoch(
        ann.maker(),
        id,
        members.clone(),
        BTreeSet::new(),
        world.head(),
    )
    .unwrap();
    let from = world.head().seq;
    state.epochs.insert(id, first.accepted());
    assert!(!state.is_epoch_due(id, head(from + 1), begin));
    assert!(!state.is_epoch_due(id, head(from + 9_999), at("2026-01-31 11:59:59")));
    assert!(state.is_epoch_due(id, head(from + 10_000), begin));
    assert!(state.is_epoch_due(id, head(from + 1), at("2026-01-31 12:00:00")));
    // Without a message there is nothing to protect.
    assert!(!state.is_epoch_due(id, head(from), at("2027-01-01 00:00:00")));
    // A head that nobody has checked keeps no epoch for ever.
    let ahead = first_epoch(
        ann.maker(),
        id,
        members.clone(),
        BTreeSet::new(),
        head(1 << 52),
    )
    .unwrap();
    let mut other = State::new(KeyLog::new(world.pins.server(), ann.sign.public()));
    // Its month begins when it is followed, and not when somebody asks.
    other.set_epochs(id, ahead.accepted(), begin);
    other.set_epochs(id, ahead.accepted(), at("2026-01-20 12:00:00"));
    assert!(!other.is_epoch_due(id, head(20_000), at("2026-01-31 11:59:59")));
    assert!(other.is_epoch_due(id, head(1), at("2026-01-31 12:00:00")));
    // The next epoch has a month of its own.
    let second = first
        .accepted()
        .rekey(ann.maker(), members, BTreeSet::new(), world.head())
        .unwrap();
    state.epochs.insert(id, second.accepted());
    assert!(!state.is_epoch_due(id, head(from + 1), at("2026-01-31 12:00:00")));
    assert!(!state.is_epoch_due(id, head(from + 1), at("2026-03-02 11:00:00")));
    // A clock that was far ahead does not keep it for ever.
    assert!(!state.is_epoch_due(id, head(from + 1), begin));
    assert!(state.is_epoch_due(id, head(from + 1), at("2026-01-31 12:00:00")));
}
