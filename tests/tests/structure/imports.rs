//! Which file imports which, by the paths that are written in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

type Arrows = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

/// The files that import themselves by way of others.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let modules: BTreeSet<_> = sources.iter().map(Source::module).collect();
    let arrows: Arrows =
        sources.iter().map(|source| (source.module(), imports(source, &modules))).collect();
    let circular = sources.iter().filter(|source| reaches_itself(&source.module(), &arrows));
    circular.map(|source| source.path.clone()).collect()
}

fn reaches_itself(module: &Vec<String>, arrows: &Arrows) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<_> = arrows[module].iter().collect();
    while let Some(at) = next.pop() {
        if at == module {
            return true;
        }
        if seen.insert(at) {
            next.extend(&arrows[at]);
        }
    }
    false
}

/// The files that one imports. Where it gives a part of its own a public path, it needs nothing of it.
fn imports(source: &Source, modules: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let here = source.module();
    let text = source.lines.join("\n");
    let mut found = BTreeSet::new();
    let mut rest = String::new();
    for item in text.split_inclusive(';') {
        let Some((before, public, path)) = import(item) else {
            rest.push_str(item);
            continue;
        };
        rest.push_str(before);
        for path in spread(path) {
            let at = resolve(&path, &here, modules);
            found.extend(at.filter(|at| !(public && at.starts_with(&here))));
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in rest.match_indices(start) {
            let end = |letter: char| !(letter.is_alphanumeric() || "_:".contains(letter));
            let path = rest[at..].split(end).next().unwrap_or_default();
            found.extend(resolve(path, &here, modules));
        }
    }
    found.remove(&here);
    found
}

/// What stands before an import, whether it is public, and its path.
fn import(item: &str) -> Option<(&str, bool, &str)> {
    let start = item.starts_with("use ").then_some(0);
    let at = start.or_else(|| {
        let marks = ["\nuse ", "\n    use ", "\npub use ", "\npub(crate) use ", "pub use "];
        marks.iter().find_map(|mark| item.rfind(mark))
    })?;
    let (before, line) = item.split_at(at);
    let (visibility, path) = line.split_once("use ")?;
    Some((before, visibility.contains("pub"), path.strip_suffix(';')?))
}

/// The single paths of a path with braces.
fn spread(path: &str) -> Vec<String> {
    let path: String = path.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((head, tail)) = path.split_once('{') else { return vec![path.trim().to_owned()] };
    let tail = tail.rsplit_once('}').map_or(tail, |(within, _)| within);
    let mut depth = 0usize;
    let parts = tail.split(|letter| {
        depth += usize::from(letter == '{');
        depth -= usize::from(letter == '}');
        letter == ',' && depth == 0
    });
    let parts = parts.filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| spread(part.trim())).map(|part| format!("{head}{part}")).collect()
}

/// The file that a path leads into; `None` if it leads out of the crate.
fn resolve(path: &str, here: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
    let path = path.split(" as ").next()?.trim_end_matches("::self");
    let mut at: Vec<String> = here.to_vec();
    let mut parts = path.split("::").peekable();
    match parts.peek().copied()? {
        "crate" => at.clear(),
        "self" | "super" => {}
        first => {
            at.push(first.to_owned());
            if !modules.contains(&at) {
                return None;
            }
            at.pop();
        }
    }
    for part in parts {
        match part {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            part => at.push(part.to_owned()),
        }
    }
    while !modules.contains(&at) {
        at.pop()?;
    }
    Some(at)
}

#[test]
fn a_circle_is_found_through_braces_and_parents() {
    let source = |path: &str, text: &str| Source {
        path: path.to_owned(),
        lines: text.lines().map(str::to_owned).collect(),
    };
    let sources = [
        source("lib.rs", "pub mod a;\nmod b;\npub use a::A;"),
        source("a/mod.rs", "mod c;\npub use c::C;\nuse crate::{b::{B, self}, d};\npub struct A;"),
        source("a/c.rs", "use core::fmt;\npub struct C(super::A);"),
        source("b.rs", "fn b() -> crate::d::D {\n    todo()\n}"),
        source("d.rs", "use crate::a::c::C as Other;"),
    ];
    assert_eq!(circles(&sources), ["a/mod.rs", "a/c.rs", "b.rs", "d.rs"]);
    assert_eq!(circles(&sources[..4]), Vec::<String>::new());
}
