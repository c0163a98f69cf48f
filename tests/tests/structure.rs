//! The shape of core's sources and the driver's: no circle of imports, no file and no function too long
//! to be read in one go, and in core no more public items than somebody can learn.
//!
//! What breaks a rule still is named here, and each list may only get shorter. All of them are core's:
//! in the driver nothing does.
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
const IN_A_CIRCLE: [&str; 0] = [];

/// Files of more than [`LONGEST_FILE`] lines.
const LONG_FILES: [&str; 0] = [];

/// Functions of more than [`LONGEST_FUNCTION`] lines, each after its file.
const LONG_FUNCTIONS: [&str; 0] = [];

/// Lines of core that begin a public item: `pub` before `fn`, `struct`, `enum`, `trait`, `type`,
/// `const`, `static`, `mod` or `use`. Those of the wire are not counted: its public name promises
/// nothing.
const MOST_PUBLIC_ITEMS: usize = 299;

fn core() -> Vec<Source> {
    source::read_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src"))
}

fn driver() -> Vec<Source> {
    source::read_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../adapters/driver/src"))
}

/// Compares what breaks a rule with what may: these in core, and nothing in the driver.
fn only(listed: &[&str], broken: impl Fn(&[Source]) -> Vec<String>) {
    let found = broken(&core());
    let news: Vec<_> = found.iter().filter(|found| !listed.contains(&found.as_str())).collect();
    assert!(news.is_empty(), "broken anew in core: {news:#?}");
    let kept: Vec<_> = listed.iter().filter(|kept| !found.contains(&(**kept).to_owned())).collect();
    assert!(kept.is_empty(), "mended, so take them off the list: {kept:#?}");
    let news = broken(&driver());
    assert!(news.is_empty(), "broken anew in the driver: {news:#?}");
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    only(&IN_A_CIRCLE, imports::circles);
}

#[test]
fn no_file_is_longer_than_one_idea() {
    only(&LONG_FILES, |sources| {
        let long = sources.iter().filter(|source| source.lines.len() > LONGEST_FILE);
        long.map(|source| source.path.clone()).collect()
    });
}

#[test]
fn no_function_is_longer_than_a_page() {
    only(&LONG_FUNCTIONS, |sources| {
        let mut long = Vec::new();
        for source in sources {
            for (name, lines) in source.functions() {
                if lines > LONGEST_FUNCTION {
                    long.push(format!("{} {name}", source.path));
                }
            }
        }
        long
    });
}

#[test]
fn the_public_face_can_be_learnt() {
    let outside = |source: &&Source| !source.path.starts_with("wire/");
    let items: usize = core().iter().filter(outside).map(Source::public_items).sum();
    assert!(items <= MOST_PUBLIC_ITEMS, "{items} public items, of {MOST_PUBLIC_ITEMS} at most");
}
