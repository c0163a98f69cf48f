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

/// Lines of core that begin a public item: `pub` before `fn`, `struct`, `enum`, `trait`, `type`,
/// `const`, `static`, `mod` or `use`. Those of the wire, of the tables and of `internals` itself are not
/// counted: they can be had by that name alone, and it promises nothing.
const MOST_PUBLIC_ITEMS: usize = 280;

fn core() -> Vec<Source> {
    source::read_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src"))
}

fn driver() -> Vec<Source> {
    source::read_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../adapters/driver/src"))
}

/// Nothing in core and the driver breaks a rule.
fn nothing(broken: impl Fn(&[Source]) -> Vec<String>) {
    for (of, sources) in [("core", core()), ("the driver", driver())] {
        let found = broken(&sources);
        assert!(found.is_empty(), "broken in {of}: {found:#?}");
    }
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    nothing(imports::circles);
}

#[test]
fn no_file_is_longer_than_one_idea() {
    nothing(|sources| {
        let long = sources.iter().filter(|source| source.lines.len() > LONGEST_FILE);
        long.map(|source| source.path.clone()).collect()
    });
}

#[test]
fn no_function_is_longer_than_a_page() {
    nothing(|sources| {
        let functions = sources.iter().flat_map(|source| {
            let named = |(name, lines)| (format!("{} {name}", source.path), lines);
            source.functions().into_iter().map(named)
        });
        let long = functions.filter(|(_, lines)| *lines > LONGEST_FUNCTION);
        long.map(|(name, _)| name).collect()
    });
}

/// What a flow has is a state with a name, and no flag beside others: two flags that meet are a state
/// that nobody thought of.
#[test]
fn no_state_of_a_flow_has_a_boolean() {
    let flags = core().into_iter().filter(|source| source.path.starts_with("flow/"));
    let flags = flags.flat_map(|source| {
        let kept = source.types_that_are("Serialize");
        let flag = |line: &&String| line.contains("bool");
        kept.iter().filter(flag).map(|line| format!("{} {line}", source.path)).collect::<Vec<_>>()
    });
    let flags: Vec<_> = flags.collect();
    assert!(flags.is_empty(), "{flags:#?}");
}

#[test]
fn the_public_face_can_be_learnt() {
    let internal = |path: &str| {
        path.starts_with("wire/")
            || path.starts_with("internals/")
            || ["internals.rs", "table.rs"].contains(&path)
    };
    let outside = |source: &&Source| !internal(&source.path);
    let items: usize = core().iter().filter(outside).map(Source::public_items).sum();
    assert!(items <= MOST_PUBLIC_ITEMS, "{items} public items, of {MOST_PUBLIC_ITEMS} at most");
}
