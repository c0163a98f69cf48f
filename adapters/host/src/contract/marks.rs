//! The promises of a store about leases and intents.

use mcp_authz_core::effect::{Holder, RecordKind, Stored};

use super::records::nasty_keys;
use super::{
    Subject, code, expect, intend, key, lease, leave, load, record, refresh, release, standing,
    swap,
};

const ONE: Holder = Holder(1);
const OTHER: Holder = Holder(u64::MAX);

/// A lease is one holder's; asking for it again is answered as before.
pub fn a_lease_has_one_holder(store: &dyn Subject) {
    const WHY: &str = "of two that would renew a record one does";
    let key = key("k");
    for _ in 0..2 {
        expect(store, lease(&key, ONE), &Stored::Leased, WHY);
        expect(store, lease(&key, OTHER), &Stored::Busy, WHY);
    }
    expect(store, release(&key, ONE, None), &Stored::Released, WHY);
    expect(store, lease(&key, OTHER), &Stored::Leased, "what was given back can be had");
    expect(store, lease(&key, ONE), &Stored::Busy, WHY);
}

/// A lease concerns leases: the record is read and swapped by anybody.
pub fn a_lease_keeps_nobody_from_the_record(store: &dyn Subject) {
    const WHY: &str = "a received rotation is saved, whoever has the lease (HOST-241)";
    let key = key("k");
    expect(store, lease(&key, ONE), &Stored::Leased, "a free lease can be had");
    expect(store, swap(&key, None, record(1, b"a")), &Stored::Swapped, WHY);
    expect(store, load(&key), &Stored::Loaded(Some(record(1, b"a"))), WHY);
    expect(store, intend(&key, &refresh(1, 0), OTHER), &Stored::Intended, WHY);
    expect(store, swap(&key, Some(1), record(2, b"b")), &Stored::Swapped, WHY);
    expect(store, lease(&key, OTHER), &Stored::Busy, "a swap ends no lease");
}

/// A release by anybody else changes nothing, and is no error.
pub fn only_the_holder_gives_a_lease_back(store: &dyn Subject) {
    const WHY: &str = "a stranger's release must not let two in";
    let (held, free) = (key("held"), key("free"));
    expect(store, release(&free, ONE, None), &Stored::Released, "nothing to give is no error");
    expect(store, lease(&held, ONE), &Stored::Leased, "a free lease can be had");
    expect(store, release(&held, OTHER, None), &Stored::Released, WHY);
    expect(store, lease(&held, OTHER), &Stored::Busy, WHY);
    expect(store, release(&free, ONE, None), &Stored::Released, WHY);
    expect(store, lease(&held, OTHER), &Stored::Busy, "a release is of one key");
}

/// An intent is an exclusive creation: whoever comes second hears that it stands, the maker too.
pub fn an_intent_is_made_once(store: &dyn Subject) {
    const WHY: &str = "a one-time credential is spent by one request";
    let key = key("k");
    let spends = [
        refresh(0, 0),
        refresh(0, 1),
        refresh(1, 0),
        refresh(10, 0),
        refresh(u64::MAX, 1),
        code("00112233445566778899aabbccddeeff"),
        code("00112233445566778899aabbccddeef0"),
    ];
    for spend in &spends {
        expect(store, intend(&key, spend, ONE), &Stored::Intended, "each spend is one of its own");
    }
    for spend in &spends {
        expect(store, intend(&key, spend, OTHER), &standing(true), WHY);
        expect(store, intend(&key, spend, ONE), &standing(true), WHY);
    }
    expect(store, release(&key, ONE, None), &Stored::Released, "a release may withdraw nothing");
    expect(store, intend(&key, &spends[0], OTHER), &standing(true), "a release leaves intents be");
    expect(store, load(&key), &Stored::Loaded(None), "an intent is no record");
}

/// Only who made an intent takes it back; the lease goes back in the same step.
pub fn only_the_maker_withdraws_an_intent(store: &dyn Subject) {
    const WHY: &str =
        "who withdraws says that the credential is unspent, and only its spender knows";
    let key = key("k");
    let (one, two) = (refresh(3, 0), code("00112233445566778899aabbccddeeff"));
    for spend in [&one, &two] {
        expect(store, intend(&key, spend, ONE), &Stored::Intended, "nobody else has made it");
        expect(store, release(&key, OTHER, Some(spend)), &Stored::Released, "no error either");
        expect(store, intend(&key, spend, OTHER), &standing(true), WHY);
    }
    expect(store, lease(&key, ONE), &Stored::Leased, "a free lease can be had");
    expect(store, release(&key, ONE, Some(&one)), &Stored::Released, WHY);
    expect(store, lease(&key, OTHER), &Stored::Leased, "a release gives the lease back as well");
    expect(store, intend(&key, &one, OTHER), &Stored::Intended, "what was withdrawn is gone");
    expect(store, intend(&key, &two, OTHER), &standing(true), "the other intent was not named");
    expect(store, release(&key, ONE, Some(&one)), &Stored::Released, "no error either");
    expect(store, intend(&key, &one, ONE), &standing(true), "it is the new maker's now");
    expect(store, release(&key, ONE, Some(&refresh(9, 0))), &Stored::Released, "none is no error");
}

/// A holder that leaves has no lease any more, and its intents stand without a maker; those of
/// other holders stay as they are.
pub fn who_leaves_has_no_lease_and_lives_no_more(store: &dyn Subject) {
    const WHY: &str = "whoever comes after must know that nobody will say how it ended";
    let (first, second, theirs) = (key("first"), key("second"), key("theirs"));
    for key in [&first, &second] {
        expect(store, lease(key, ONE), &Stored::Leased, "a free lease can be had");
        expect(store, intend(key, &refresh(1, 0), ONE), &Stored::Intended, "a first intent");
    }
    expect(store, lease(&theirs, OTHER), &Stored::Leased, "a free lease can be had");
    expect(store, intend(&theirs, &refresh(1, 0), OTHER), &Stored::Intended, "a first intent");
    expect(store, leave(ONE), &Stored::Released, WHY);
    for key in [&first, &second] {
        expect(store, intend(key, &refresh(1, 0), OTHER), &standing(false), WHY);
        expect(store, lease(key, OTHER), &Stored::Leased, "a lease ends with its holder");
    }
    expect(store, lease(&theirs, Holder(5)), &Stored::Busy, "the other holder has not left");
    expect(store, intend(&theirs, &refresh(1, 0), Holder(5)), &standing(true), "nor its intents");
    expect(store, leave(Holder(77)), &Stored::Released, "a holder of nothing leaves as well");
    expect(store, leave(ONE), &Stored::Released, "and so does one that has left before");
}

/// A swap removes the record's refresh intents of generations below the new one: they are answered
/// by it. Codes, newer generations and other records are not its business, nor is a failed swap's.
pub fn a_swap_removes_older_refresh_intents_only(store: &dyn Subject) {
    const WHY: &str = "an answered intent must not look like a crash";
    const STANDS: &str = "an unanswered intent must not be forgotten";
    let (own, other) = (key("own"), key("other"));
    let login = code("00112233445566778899aabbccddeeff");
    let (older, kept) =
        ([refresh(8, 0), refresh(8, 1), refresh(9, 0)], [refresh(10, 0), refresh(11, 1), login]);
    expect(store, swap(&own, None, record(8, b"a")), &Stored::Swapped, "a first record is taken");
    for spend in older.iter().chain(&kept) {
        expect(store, intend(&own, spend, ONE), &Stored::Intended, "each spend is one of its own");
    }
    expect(store, intend(&other, &older[0], ONE), &Stored::Intended, "each key has its own");
    let conflict = Stored::Conflict(Some(record(8, b"a")));
    expect(store, swap(&own, Some(7), record(10, b"b")), &conflict, "another generation is there");
    expect(store, intend(&own, &older[0], OTHER), &standing(true), STANDS);

    expect(store, swap(&own, Some(8), record(10, b"b")), &Stored::Swapped, WHY);
    expect(store, leave(ONE), &Stored::Released, "whoever leaves is let go");
    for spend in &kept {
        expect(store, intend(&own, spend, OTHER), &standing(false), STANDS);
    }
    expect(store, intend(&other, &older[0], OTHER), &standing(false), STANDS);
    for spend in &older {
        let came = store.perform(intend(&own, spend, OTHER));
        assert!(came != standing(false), "{WHY}: {spend:?} was to be forgotten, and is {came:?}");
    }
}

/// A holder that comes after the record has moved to a later generation spends nothing. The intents
/// that it would have met are removed, so the answer is as if an intent stood whose maker lives.
/// The holder loads the record again.
pub fn a_superseded_generation_is_spent_by_nobody_host_240(store: &dyn Subject) {
    const WHY: &str = "a refresh token that was rotated must not be sent again";
    let (own, other) = (key("own"), key("other"));
    expect(store, swap(&own, None, record(3, b"a")), &Stored::Swapped, "a first record is taken");
    expect(store, intend(&own, &refresh(3, 0), ONE), &Stored::Intended, "it is the record's own");
    expect(store, swap(&own, Some(3), record(4, b"b")), &Stored::Swapped, "the lease is no matter");
    for spend in [refresh(3, 0), refresh(3, 1), refresh(1, 0)] {
        for holder in [OTHER, ONE, OTHER] {
            expect(store, intend(&own, &spend, holder), &standing(true), WHY);
        }
    }
    expect(store, intend(&own, &refresh(4, 0), OTHER), &Stored::Intended, "it is the record's own");
    expect(store, intend(&other, &refresh(3, 0), OTHER), &Stored::Intended, "another's goes on");
}

/// Keys that differ at all have leases and intents of their own (HOST-286).
pub fn marks_of_one_key_are_no_other_s_host_286(store: &dyn Subject) {
    const WHY: &str = "one account's refresh must not hold up or unlock another's";
    // One kind under every name, and every kind under one: a store may keep a file open for each.
    let mut keys = nasty_keys();
    keys.retain(|key| key.kind == RecordKind::Grant || key.name == "a");
    let holders = || (1_u64..=16).map(Holder).cycle();
    for (key, holder) in keys.iter().zip(holders()) {
        expect(store, lease(key, holder), &Stored::Leased, WHY);
        expect(store, intend(key, &refresh(1, 0), holder), &Stored::Intended, WHY);
    }
    for (key, holder) in keys.iter().zip(holders()) {
        expect(store, lease(key, holder), &Stored::Leased, WHY);
        expect(store, lease(key, OTHER), &Stored::Busy, WHY);
    }
}
