//! Tests which rows a cached page takes in, and when it is dropped.

use super::*;
use crate::notify::event::tests::{rows, written};

const INSTANCE: &str = "AAAAAAAAAA";
const ALL: Cursor = Cursor {
    message_id: None,
    message_at: None,
    report_id: None,
    report_at: None,
};

fn conversation() -> ConversationId {
    ConversationId::parse(&format!("{:032x}", 1)).unwrap()
}

fn head(last_seq: i64) -> HistoryHead {
    HistoryHead {
        instance: Instance::parse(INSTANCE).unwrap(),
        last_seq,
        last_report_id: None,
        chain: None,
        erased: 0,
    }
}

/// A cache with the page of messages up to this number.
fn cached(last_seq: i64) -> PageCache {
    let cache = PageCache::default();
    let mut page = RenderedPage::new(vec![], vec![], ClientVersion::V4);
    for seq in 1..=last_seq {
        page.push(&rows(&written(1, seq, 1))[0].row);
    }
    cache.insert(
        conversation(),
        ClientVersion::V4,
        head(last_seq),
        &ALL,
        &page,
    );
    cache
}

/// The text of the cached page, and its head; `None` if it was dropped.
fn page(cache: &PageCache) -> Option<(String, HistoryHead)> {
    let instance = Instance::parse(INSTANCE).unwrap();
    let cached = cache.get(conversation(), ClientVersion::V4, &instance, &ALL)?;
    let head = locked(&cached).head.clone();
    let mut page = RenderedPage::new(vec![], vec![], ClientVersion::V4);
    assert!(locked(&cached).copy_to(&mut page, &ALL, &head));
    let (messages, _) = page.into_text().unwrap();
    Some((String::from_utf8(messages).unwrap(), head))
}

#[test]
fn a_row_that_follows_is_appended_as_it_is_rendered_for_sockets() {
    let cache = cached(10);
    let (before, _) = page(&cache).unwrap();
    let event = written(1, 11, 1);
    cache.append(std::slice::from_ref(&event)).unwrap();
    let (after, head) = page(&cache).unwrap();
    assert_eq!(head.last_seq, 11);
    let row = rows(&event)[0].json().unwrap();
    assert_eq!(after, format!("{before},{row}"));
}

#[test]
fn a_row_that_does_not_follow_leaves_the_page_with_its_old_head() {
    let cache = cached(10);
    let before = page(&cache).unwrap();
    for seq in [10, 12] {
        cache.append(&[written(1, seq, 1)]).unwrap();
        assert_eq!(page(&cache).unwrap(), before);
    }
    let instance = Instance::parse(INSTANCE).unwrap();
    let cached = cache.get(conversation(), ClientVersion::V4, &instance, &ALL);
    let mut copy = RenderedPage::new(vec![], vec![], ClientVersion::V4);
    // The database's head is another one by then, so the page is read again.
    assert!(!locked(&cached.unwrap()).copy_to(&mut copy, &ALL, &head(12)));
}

#[test]
fn a_page_that_grows_too_large_is_dropped_and_a_short_one_is_not_cached() {
    let cache = cached(10);
    cache.append(&[written(1, 11, MAX_PAGE_BYTES)]).unwrap();
    assert!(page(&cache).is_none());
    let few = i64::try_from(MIN_ROWS).unwrap() - 1;
    assert!(page(&cached(few)).is_none());
}
