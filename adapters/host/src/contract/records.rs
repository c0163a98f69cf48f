//! The promises of a store about records.

use std::collections::BTreeMap;

use mcp_authz_core::effect::{Key, RecordKind, Stored};
use mcp_authz_core::failure::Kind;

use super::{Subject, expect, key, load, record, swap};

/// A swap replaces the very generation it names, and there is nothing in between.
pub fn a_swap_names_the_generation_it_replaces(store: &dyn Subject) {
    const WHY: &str = "a swap succeeds only over the generation it names";
    let key = key("k");
    expect(store, load(&key), &Stored::Loaded(None), "a new store is empty");
    expect(store, swap(&key, Some(1), record(2, b"x")), &Stored::Conflict(None), WHY);
    expect(store, load(&key), &Stored::Loaded(None), "a refused swap leaves nothing behind");
    expect(store, swap(&key, None, record(1, b"a")), &Stored::Swapped, WHY);
    expect(store, load(&key), &Stored::Loaded(Some(record(1, b"a"))), WHY);
    expect(store, swap(&key, Some(1), record(2, b"b")), &Stored::Swapped, WHY);
    expect(store, load(&key), &Stored::Loaded(Some(record(2, b"b"))), WHY);
}

/// A conflict answers with the record that is there, whole, and changes nothing.
pub fn a_conflict_shows_what_is_there(store: &dyn Subject) {
    const WHY: &str = "the loser must see the winner's record, or a rotation is written over";
    let key = key("k");
    let held = record(5, b"held");
    expect(store, swap(&key, None, held.clone()), &Stored::Swapped, "a first record is taken");
    for expected in [None, Some(0), Some(4), Some(6), Some(u64::MAX)] {
        let other = record(7, b"other");
        let conflict = Stored::Conflict(Some(held.clone()));
        expect(store, swap(&key, expected, other), &conflict, WHY);
        expect(store, load(&key), &Stored::Loaded(Some(held.clone())), "a loser changes nothing");
    }
}

/// A record's generation is its own: a store neither counts nor rounds.
pub fn generations_are_kept_as_given(store: &dyn Subject) {
    const WHY: &str = "others compare what they hold by the generation, gaps and all";
    let key = key("k");
    let mut before = None;
    // 2^53 + 1 is the first integer that a floating-point number has no room for.
    for generation in [0, 1, 7, 8, 1 << 32, (1 << 53) + 1, u64::MAX - 1, u64::MAX] {
        let record = record(generation, generation.to_string().as_bytes());
        expect(store, swap(&key, before, record.clone()), &Stored::Swapped, WHY);
        expect(store, load(&key), &Stored::Loaded(Some(record)), WHY);
        before = Some(generation);
    }
}

/// Bytes are opaque: any of them, none of them, up to 256 KiB at least. A larger record is kept
/// whole or refused whole.
pub fn any_bytes_come_back(store: &dyn Subject) {
    const WHY: &str = "a store sees opaque bytes and gives back the same ones";
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let bodies: [&[u8]; 9] = [
        b"",
        b"\0",
        b"\n",
        b" \r\n ",
        &all,
        b"\xff\xfe\xfd",
        "\u{feff}é\u{301}".as_bytes(),
        b"{\"generation\":9}",
        b"-----BEGIN X-----",
    ];
    let mut before = None;
    let mut put = |name: &str, bytes: &[u8]| {
        let key = key(name);
        let new = record(before.unwrap_or(0) + 1, bytes);
        expect(store, swap(&key, before, new.clone()), &Stored::Swapped, WHY);
        expect(store, load(&key), &Stored::Loaded(Some(new.clone())), WHY);
        before = Some(new.generation);
    };
    for bytes in bodies {
        put("opaque", bytes);
    }
    // About the sizes at which platforms, pages and pieces end; then small again, so that nothing
    // of a longer record shows behind a shorter one.
    for size in [1, 255, 2_559, 2_560, 2_561, 4_096, 5_120, 65_537, 256 * 1024, 3, 0] {
        put("opaque", &noise(size));
    }
    a_large_one_is_kept_whole_or_refused_whole(store);
}

fn a_large_one_is_kept_whole_or_refused_whole(store: &dyn Subject) {
    let key = key("large");
    let small = record(1, b"small");
    let large = record(2, &noise(1024 * 1024));
    expect(store, swap(&key, None, small.clone()), &Stored::Swapped, "a first record is taken");
    let after = match store.perform(swap(&key, Some(1), large.clone())) {
        Stored::Swapped => large,
        Stored::Failed(Kind::StoreTooLarge) => small,
        other => {
            panic!("a record of 1 MiB is kept, or refused as store_too_large; it was {other:?}")
        }
    };
    expect(store, load(&key), &Stored::Loaded(Some(after)), "a record is never cut");
}

/// Bytes without a pattern that a piece could be mistaken by.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    core::iter::repeat_with(next).take(size).collect()
}

/// Names that a file system, a shell, a database or a keychain might take for each other or for
/// something else. No two are equal.
#[must_use]
pub fn nasty_names() -> Vec<String> {
    let long = "x".repeat(10 * 1024);
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        "/",
        "//",
        "\\",
        "~",
        "*",
        "?",
        "-",
        "--",
        "-rf",
        "a",
        "A",
        "b",
        "a/b",
        "a\\b",
        "a/../b",
        "../a",
        "/a",
        "a/",
        "/etc/passwd",
        "a\0",
        "a\0b",
        "\0",
        "\0a",
        " ",
        "a ",
        " a",
        "a.",
        ".a",
        "a\n",
        "a\r\n",
        "\n",
        "a:b",
        "a;b",
        "a|b",
        "a<b",
        "a>b",
        "\"a\"",
        "'a'",
        "$HOME",
        "%2f",
        "%2F",
        "%00",
        "CON",
        "con",
        "nul",
        "NUL.txt",
        "LPT1",
        "lock",
        ".lock",
        "a.tmp",
        "a.json",
        "[\"a\",\"b\"]",
        "[\"a,b\"]",
        "[\"a\", \"b\"]",
        "grant",
        "binding",
        "grant-a",
        "refresh-1-0",
        // Composed and decomposed, and what some case tables fold together.
        "\u{e9}",
        "e\u{301}",
        "\u{fb01}",
        "fi",
        "\u{df}",
        "ss",
        "\u{1e9e}",
        "SS",
        "\u{130}",
        "i\u{307}",
        "\u{131}",
        "i",
        "I",
        "\u{212a}",
        "k",
        "K",
        "\u{1f980}",
        "\u{202e}a",
        "a\u{200b}",
        "\u{feff}a",
    ]
    .map(str::to_owned)
    .to_vec();
    // About the length of the longest file name, and far beyond it, alike at either end.
    names.extend([254, 255, 256].map(|length| "y".repeat(length)));
    names.extend([format!("{long}1"), format!("{long}2"), format!("1{long}"), long]);
    names
}

/// Every key under every name, and every kind beside it.
pub(super) fn nasty_keys() -> Vec<Key> {
    let kinds = [RecordKind::Binding, RecordKind::Client, RecordKind::Grant];
    let names = nasty_names();
    let keys = kinds
        .iter()
        .flat_map(|kind| names.iter().map(|name| Key { kind: *kind, name: name.clone() }));
    keys.collect()
}

/// Keys that differ at all have records of their own (HOST-286).
pub fn keys_are_distinct_host_286(store: &dyn Subject) {
    const WHY: &str = "two keys with one record would show one account's tokens to the other";
    let keys = nasty_keys();
    for (key, number) in keys.iter().zip(0_u64..) {
        let named = format!("the key {:?} {:?}", key.kind, short(&key.name));
        expect(store, load(key), &Stored::Loaded(None), &format!("{WHY}: {named}"));
        let own = record(number, number.to_string().as_bytes());
        expect(store, swap(key, None, own), &Stored::Swapped, &format!("{WHY}: {named}"));
    }
    for (key, number) in keys.iter().zip(0_u64..) {
        let named = format!("the key {:?} {:?}", key.kind, short(&key.name));
        let own = record(number, number.to_string().as_bytes());
        expect(store, load(key), &Stored::Loaded(Some(own)), &format!("{WHY}: {named}"));
    }
}

fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

/// A list shows each record of its kind once, as it is now, under the very key it was given.
pub fn every_record_of_a_kind_is_listed(store: &dyn Subject) {
    const WHY: &str = "a program that knows no URL finds its accounts by the list";
    let kinds = [RecordKind::Binding, RecordKind::Client, RecordKind::Grant];
    for kind in kinds {
        listed(store, kind, &BTreeMap::new(), "a new store lists nothing");
    }
    let keys = nasty_keys();
    let mut kept = BTreeMap::new();
    for (key, number) in keys.iter().zip(1_u64..) {
        let first = record(number, b"first");
        expect(store, swap(key, None, first.clone()), &Stored::Swapped, WHY);
        kept.insert(key.clone(), first);
    }
    for key in keys.iter().step_by(7) {
        let held = kept.get_mut(key).unwrap();
        let newer = record(held.generation + 1, b"newer, and longer");
        expect(store, swap(key, Some(held.generation), newer.clone()), &Stored::Swapped, WHY);
        *held = newer;
    }
    for kind in kinds {
        let mut of_kind = kept.clone();
        of_kind.retain(|key, _| key.kind == kind);
        listed(store, kind, &of_kind, WHY);
    }
}

#[track_caller]
fn listed(
    store: &dyn Subject,
    kind: RecordKind,
    expected: &BTreeMap<Key, super::Record>,
    purpose: &str,
) {
    let came = store.list(kind);
    let came = came.unwrap_or_else(|code| panic!("{purpose}: the list was refused, {code:?}"));
    let count = came.len();
    let came: BTreeMap<_, _> = came.into_iter().collect();
    assert_eq!(count, came.len(), "{purpose}: a record was listed twice");
    for (key, record) in expected {
        let named = short(&key.name);
        let listed = came.get(key);
        assert!(
            listed == Some(record),
            "{purpose}: {kind:?} {named:?} was to be listed as {record:?}, and is {listed:?}"
        );
    }
    let strangers = came.keys().filter(|key| !expected.contains_key(key)).count();
    assert_eq!(strangers, 0, "{purpose}: the list of {kind:?} has records that nobody put there");
}

/// Debugging output holds nothing of a record (HOST-300).
pub fn debug_shows_no_bytes_host_300(store: &dyn Subject) {
    let secret = "canary-3f1c0e";
    let key = key("k");
    let held = record(1, secret.as_bytes());
    expect(store, swap(&key, None, held), &Stored::Swapped, "a first record is taken");
    let numbers = format!("{:?}", secret.as_bytes());
    let numbers = numbers.trim_matches(['[', ']']);
    for text in [format!("{store:?}"), format!("{store:#?}").replace(",\n", ",")] {
        let packed: String = text.split_whitespace().collect();
        let shown = text.contains(secret) || packed.contains(&numbers.replace(' ', ""));
        assert!(!shown, "records are secret, and logs are not: Debug was to show none, and does");
    }
}
