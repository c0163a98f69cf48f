//! The shape of core's sources: no circle of imports, no file and no function too long to be read in
//! one go, and no more public items than somebody can learn.
//!
//! What breaks a rule still is named here, and each list may only get shorter.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

#[path = "structure/imports.rs"]
mod imports;
#[path = "structure/source.rs"]
mod source;

use source::Source;

/// Code lines of a file: no comments, no blank lines, no tests.
const LONGEST_FILE: usize = 400;
/// Code lines of a function, its first and last among them.
const LONGEST_FUNCTION: usize = 50;

/// Files that import each other.
const IN_A_CIRCLE: [&str; 6] = [
    "session/history.rs",
    "session/log_out.rs",
    "session/memory.rs",
    "session/mod.rs",
    "session/owed.rs",
    "session/snapshot.rs",
];

/// Files of more than [`LONGEST_FILE`] lines.
const LONG_FILES: [&str; 2] = ["session/absorb.rs", "session/memory.rs"];

/// Functions of more than [`LONGEST_FUNCTION`] lines, each after its file.
const LONG_FUNCTIONS: [&str; 5] = [
    "session/absorb.rs absorb",
    "session/ending.rs end",
    "session/ending.rs fail",
    "session/ending.rs install",
    "session/flow.rs prepare",
];

/// Lines of core that begin a public item: `pub` before `fn`, `struct`, `enum`, `trait`, `type`,
/// `const`, `static`, `mod` or `use`. Those of the wire are not counted: its public name promises
/// nothing.
const MOST_PUBLIC_ITEMS: usize = 299;

fn core() -> Vec<Source> {
    source::read_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src"))
}

/// Compares what breaks a rule with what may.
fn only(found: &[String], listed: &[&str]) {
    let news: Vec<_> = found.iter().filter(|found| !listed.contains(&found.as_str())).collect();
    assert!(news.is_empty(), "broken anew: {news:#?}");
    let kept: Vec<_> = listed.iter().filter(|kept| !found.contains(&(**kept).to_owned())).collect();
    assert!(kept.is_empty(), "mended, so take them off the list: {kept:#?}");
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    only(&imports::circles(&core()), &IN_A_CIRCLE);
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let long = core().into_iter().filter(|source| source.lines.len() > LONGEST_FILE);
    only(&long.map(|source| source.path).collect::<Vec<_>>(), &LONG_FILES);
}

#[test]
fn no_function_is_longer_than_a_page() {
    let mut long = Vec::new();
    for source in core() {
        for (name, lines) in source.functions() {
            if lines > LONGEST_FUNCTION {
                long.push(format!("{} {name}", source.path));
            }
        }
    }
    only(&long, &LONG_FUNCTIONS);
}

#[test]
fn the_public_face_can_be_learnt() {
    let outside = |source: &&Source| !source.path.starts_with("wire/");
    let items: usize = core().iter().filter(outside).map(Source::public_items).sum();
    assert!(items <= MOST_PUBLIC_ITEMS, "{items} public items, of {MOST_PUBLIC_ITEMS} at most");
}
