//! A source file as its code lines.

use std::fs;
use std::path::Path;

/// One file.
pub(crate) struct Source {
    /// Its path below the crate's sources.
    pub(crate) path: String,
    /// Its lines without comments, blank ones and tests.
    pub(crate) lines: Vec<String>,
}

/// Every file below a folder but those of tests, by path.
pub(crate) fn read_all(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    read_folder(Path::new(folder), "", &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 50, "only {} sources in {folder}", found.len());
    found
}

fn read_folder(folder: &Path, prefix: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let lines = code_lines(&fs::read_to_string(entry.path()).unwrap());
            found.push(Source { path, lines });
        }
    }
}

fn code_lines(text: &str) -> Vec<String> {
    let code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let mut lines: Vec<_> = text.lines().filter(code).map(str::to_owned).collect();
    if let Some(tests) = lines.iter().position(|line| line.starts_with("mod tests")) {
        // What stands on it goes with it: under which conditions they are compiled differs.
        let before = lines[..tests].iter().rposition(|line| !line.starts_with("#["));
        lines.truncate(before.map_or(0, |at| at + 1));
    }
    lines
}

/// The rest of a line after its visibility, if it begins with `pub` or without.
fn after_visibility(line: &str) -> &str {
    let line = line.trim_start();
    let Some(rest) = line.strip_prefix("pub") else { return line };
    match rest.strip_prefix('(') {
        Some(within) => within.split_once(") ").map_or(line, |(_, rest)| rest),
        None => rest.trim_start(),
    }
}

/// The name of the function that a line begins.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = after_visibility(line);
    for word in ["const ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

impl Source {
    /// Its name as a module: the parts of its path.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.strip_suffix(".rs").unwrap();
        let path = path.strip_suffix("/mod").unwrap_or(path);
        let parts = path.split('/').filter(|part| *part != "lib");
        parts.map(str::to_owned).collect()
    }

    /// Its functions and how many lines each has. The formatter closes each at its own depth.
    pub(crate) fn functions(&self) -> Vec<(&str, usize)> {
        let mut found = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let depth = line.len() - line.trim_start().len();
            let ends = |line: &String| {
                let same = line.len() - line.trim_start().len() == depth;
                same && line.ends_with(['}', ';'])
            };
            let after = self.lines[at..].iter().position(ends);
            found.push((name, after.expect("a function ends") + 1));
        }
        found
    }

    /// The lines of its types that derive this trait.
    pub(crate) fn types_that_are(&self, derived: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = self.lines.iter();
        while let Some(line) = lines.next() {
            if line.starts_with("#[derive(") && line.contains(derived) {
                let body = lines.by_ref().take_while(|line| *line != "}" && !line.ends_with(';'));
                found.extend(body.cloned());
            }
        }
        found
    }

    /// How many public items it has.
    pub(crate) fn public_items(&self) -> usize {
        const ITEMS: [&str; 9] =
            ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "use"];
        let item = |line: &&String| {
            let rest = line.trim_start().strip_prefix("pub ");
            rest.and_then(|rest| rest.split(' ').next()).is_some_and(|word| ITEMS.contains(&word))
        };
        self.lines.iter().filter(item).count()
    }
}

#[test]
fn a_function_ends_where_the_formatter_closes_it() {
    let text =
        "pub(super) const fn one(\n    a: u8,\n) -> u8 {\n    // why\n    a\n}\n\nfn two() {}\n";
    let source = Source { path: "a/b.rs".to_owned(), lines: code_lines(text) };
    assert_eq!(source.functions(), [("one", 5), ("two", 1)]);
    assert_eq!(source.module(), ["a", "b"]);
    let tested = "fn a() {}\n\n#[cfg(all(test, b))]\n#[allow(c)]\nmod tests {\n}\n";
    assert_eq!(code_lines(tested), ["fn a() {}"]);
    let types = "#[derive(Debug, Serialize)]\npub(crate) enum C {\n    D { e: bool },\n}\nfn f(g: bool) {}\n";
    let source = Source { path: "c.rs".to_owned(), lines: code_lines(types) };
    assert_eq!(
        source.types_that_are("Serialize").concat(),
        "pub(crate) enum C {    D { e: bool },"
    );
    let public = "pub const A: u8 = 1;\npub(crate) fn b() {}\n    pub fn c() {}\n    pub d: u8,\n";
    let source = Source { path: "mod.rs".to_owned(), lines: code_lines(public) };
    assert_eq!(source.public_items(), 2);
}
