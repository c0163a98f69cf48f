//! Which tests prove which requirement, by their names.
//!
//! A test or script whose name holds an id of `tests/requirements/rows.tsv` (`…_www_02`, several in
//! one name are fine, and `…_www_02_to_www_05` is a range) stands for that row. A number of the catalogue of hostile inputs (`…_host_064`)
//! stands for that case. Names are read from the sources: nothing needs to be run or built.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many cases the catalogue of hostile inputs has.
pub const HOSTILE_CASES: u16 = 332;

/// The folders whose sources are read.
pub const FOLDERS: &[&str] = &["core", "adapters", "tests", "fuzz"];

const ROWS: &str = include_str!("../requirements/rows.tsv");

/// One requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its id, `WWW-02`.
    pub id: &'static str,
    /// `MUST`, `SHOULD` or `MAY`; with a star if it is a rule of this project.
    pub level: &'static str,
    /// The section it stands in.
    pub section: &'static str,
    /// The protocol revisions in which it holds.
    pub revisions: &'static str,
    /// The part of this project that has to meet it.
    pub place: &'static str,
    /// The rule, in a few words.
    pub summary: &'static str,
}

impl Row {
    /// Returns true if a test has to exist.
    #[must_use]
    pub fn demanded(&self) -> bool {
        self.level.starts_with("MUST")
            && matches!(self.place, "core" | "driver" | "store" | "transport")
    }
}

/// Every requirement, in order.
#[must_use]
pub fn rows() -> Vec<Row> {
    ROWS.lines().filter_map(row).collect()
}

fn row(line: &'static str) -> Option<Row> {
    let mut cells = line.split('\t');
    let mut next = || cells.next().filter(|cell| !cell.is_empty());
    let id = next().filter(|id| !id.starts_with('#'))?;
    Some(Row {
        id,
        level: next()?,
        section: next()?,
        revisions: next()?,
        place: next()?,
        summary: next()?,
    })
}

/// A test or script, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Its file, from the root of the tree.
    pub file: String,
    /// Its line.
    pub line: usize,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.file, self.line, self.name)
    }
}

/// The tests, by the requirement that they prove.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// The tests of each requirement.
    pub rows: BTreeMap<String, BTreeSet<Test>>,
    /// The tests of each hostile case.
    pub cases: BTreeMap<u16, BTreeSet<Test>>,
    /// Names with an id that does not exist.
    pub unknown: BTreeSet<(String, Test)>,
    /// Names of all tests and scripts, with an id or without.
    pub tests: usize,
}

impl Coverage {
    /// Reads the sources of the tree whose root this is.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let known = Known::new();
        let mut coverage = Self::default();
        for folder in FOLDERS {
            let mut sources = Vec::new();
            find_sources(&root.join(folder), &mut sources)?;
            for path in sources {
                let source = fs::read_to_string(&path)?;
                let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                coverage.take(&known, &file, &source);
            }
        }
        Ok(coverage)
    }

    fn take(&mut self, known: &Known, file: &str, source: &str) {
        for (name, line) in names(source) {
            self.tests += 1;
            let test = Test { name: name.to_owned(), file: file.to_owned(), line };
            for id in known.ids(name) {
                match id {
                    Id::Row(id) => {
                        self.rows.entry(id).or_default().insert(test.clone());
                    }
                    Id::Case(number) => {
                        self.cases.entry(number).or_default().insert(test.clone());
                    }
                    Id::Unknown(id) => {
                        self.unknown.insert((id, test.clone()));
                    }
                }
            }
        }
    }

    /// The tests of a requirement.
    pub fn of(&self, id: &str) -> impl Iterator<Item = &Test> {
        self.rows.get(id).into_iter().flatten()
    }

    /// The requirements that demand a test and have none.
    #[must_use]
    pub fn missing(&self) -> Vec<Row> {
        let untested = |row: &Row| row.demanded() && !self.rows.contains_key(row.id);
        rows().into_iter().filter(untested).collect()
    }
}

/// The root of the tree that this crate belongs to.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).to_owned()
}

#[derive(Debug, PartialEq, Eq)]
enum Id {
    Row(String),
    Case(u16),
    Unknown(String),
}

/// The ids that exist, as they look inside a name.
struct Known {
    ids: BTreeMap<String, &'static str>,
    /// Groups, `["ext", "cc"]`, longest first.
    groups: Vec<Vec<String>>,
}

impl Known {
    fn new() -> Self {
        let mut ids = BTreeMap::new();
        let mut groups = BTreeSet::new();
        for row in rows() {
            let written = row.id.to_ascii_lowercase().replace('-', "_");
            if let Some((group, _)) = written.rsplit_once('_') {
                groups.insert(group.split('_').map(str::to_owned).collect::<Vec<_>>());
            }
            ids.insert(written, row.id);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        Self { ids, groups }
    }

    /// The ids in a name: a known group followed by two digits, or `host` and three. Between two of
    /// one group `to` stands for all that lie between.
    fn ids(&self, name: &str) -> Vec<Id> {
        let mut found = Vec::new();
        let words: Vec<&str> = name.split('_').collect();
        let mut last: Option<(String, u16)> = None;
        let mut rest = words.as_slice();
        while let Some((_, after)) = rest.split_first() {
            if let Some((group, number)) = self.id_at(rest) {
                let open = last.take().filter(|(of, _)| *of == group).map(|(_, from)| from);
                found.extend((open.unwrap_or(number)..=number).map(|n| self.id(&group, n)));
                let taken = group.split('_').count() + 1;
                rest = rest.get(taken..).unwrap_or_default();
                if let Some(("to", after)) = rest.split_first().map(|(word, after)| (*word, after))
                    && self.id_at(after).is_some()
                {
                    last = Some((group, number.saturating_add(1)));
                    rest = after;
                }
            } else {
                rest = after;
            }
        }
        found
    }

    fn id(&self, group: &str, number: u16) -> Id {
        if group == "host" {
            return match number {
                1..=HOSTILE_CASES => Id::Case(number),
                _ => Id::Unknown(format!("HOST-{number:03}")),
            };
        }
        let written = format!("{group}_{number:02}");
        match self.ids.get(&written) {
            Some(id) => Id::Row((*id).to_owned()),
            None => Id::Unknown(written.to_ascii_uppercase().replace('_', "-")),
        }
    }

    fn id_at(&self, words: &[&str]) -> Option<(String, u16)> {
        if let Some((&"host", after)) = words.split_first() {
            return Some(("host".to_owned(), digits(after.first()?, 3)?));
        }
        self.group_at(words)
    }

    fn group_at(&self, words: &[&str]) -> Option<(String, u16)> {
        self.groups.iter().find_map(|group| {
            let (head, tail) = words.split_at_checked(group.len())?;
            let number = tail.first().and_then(|word| digits(word, 2))?;
            let same = head.iter().zip(group).all(|(word, of)| word == of);
            same.then(|| (group.join("_"), number))
        })
    }
}

fn digits(word: &str, count: usize) -> Option<u16> {
    let right = word.len() == count && word.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| word.parse().ok()).flatten()
}

fn find_sources(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut paths = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                find_sources(&path, into)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}

/// The names of a source's tests and scripts, each with its line.
///
/// A test is a function under an attribute whose path ends in `test` (or inside `proptest!`); a
/// script is an entry of `scripts!`, a case of a contract a lone name in a list of `@cases`. Comments
/// are skipped; strings are not told apart, since no
/// string of ours begins a line with `fn`.
fn names(source: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut marked = false;
    let mut scripts_end: Option<&str> = None;
    let mut cases_end: Option<&str> = None;
    for (index, full) in source.lines().enumerate() {
        let line = full.trim_start();
        let indent = &full[..full.len() - line.len()];
        if line.starts_with("//") {
            continue;
        }
        if let Some(outer) = scripts_end {
            if indent == outer && line.starts_with('}') {
                scripts_end = None;
            } else if indent.len() == outer.len() + 4
                && let Some(name) = word(line)
                && line[name.len()..].starts_with('(')
            {
                found.push((name, index + 1));
            }
            continue;
        }
        if let Some(outer) = cases_end {
            if indent == outer && line.starts_with('}') {
                cases_end = None;
            } else if let Some(name) = word(line)
                && &line[name.len()..] == ","
            {
                found.push((name, index + 1));
            }
        } else if line.contains("! { @cases ") {
            cases_end = Some(indent);
        } else if line.starts_with("scripts!") {
            scripts_end = Some(indent);
        } else if let Some(attribute) = line.strip_prefix("#[") {
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            marked |= path == "test" || path.ends_with("::test") || path == "test_case";
        } else if let Some(name) = function(line) {
            if marked {
                found.push((name, index + 1));
            }
            marked = false;
        }
    }
    found
}

fn function(line: &str) -> Option<&str> {
    let mut line = line;
    for before in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe "] {
        line = line.strip_prefix(before).unwrap_or(line);
    }
    line.strip_prefix("fn ").and_then(word)
}

fn word(line: &str) -> Option<&str> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(line.len());
    line.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        let lines = ROWS.lines().filter(|line| !line.starts_with('#')).count();
        let rows = rows();
        assert_eq!(rows.len(), lines);
        let ids: BTreeSet<&str> = rows.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), rows.len());
        let places = ["core", "driver", "transport", "store", "extension", "person"];
        for row in rows {
            let level = row.level.strip_suffix('*').unwrap_or(row.level);
            assert!(["MUST", "SHOULD", "MAY"].contains(&level), "{row:?}");
            assert!(places.contains(&row.place), "{row:?}");
            assert!(row.summary.len() <= 150, "{row:?}");
        }
    }

    #[test]
    fn names_are_found_where_tests_and_scripts_begin() {
        let source = concat!(
            "// #[test]\n#[test]\nfn one_www_02() {}\nfn helper_www_03() {}\n",
            "#[tokio::test(flavor = \"x\")]\nasync fn two_sec_05_host_033() {}\n",
        );
        let tests: Vec<&str> = names(source).into_iter().map(|(name, _)| name).collect();
        assert_eq!(tests, ["one_www_02", "two_sec_05_host_033"]);
        let source = "    $crate::contract! { @cases $make;\n        topic {\n            \
                      three_prm_19,\n        }\n    }\n    other_www_04,\n";
        let tests: Vec<&str> = names(source).into_iter().map(|(name, _)| name).collect();
        assert_eq!(tests, ["three_prm_19"]);
        let source = concat!(
            "scripts! {\n    name_ref_04(sim = begin()) {\n        sim_at(0);\n    }\n",
            "    /// Words.\n    other_ref_05(\n        sim = x\n    ) {\n    }\n}\n",
            "fn no_ref_06() {}\n",
        );
        assert_eq!(names(source), [("name_ref_04", 2), ("other_ref_05", 6)]);
    }

    #[test]
    fn ids_are_read_from_names() {
        let known = Known::new();
        let row = |id: &str| Id::Row(id.to_owned());
        assert_eq!(known.ids("a_401_is_sec_05_host_033"), [row("SEC-05"), Id::Case(33)]);
        assert_eq!(known.ids("x_ext_cc_01_ext_ema_20"), [row("EXT-CC-01"), row("EXT-EMA-20")]);
        assert_eq!(known.ids("x_www_02_to_www_04"), [row("WWW-02"), row("WWW-03"), row("WWW-04")]);
        assert_eq!(known.ids("host_318_to_host_319"), [Id::Case(318), Id::Case(319)]);
        assert_eq!(known.ids("x_www_02_to_ref_01"), [row("WWW-02"), row("REF-01")]);
        assert_eq!(known.ids("login_2026_07_28"), []);
        assert_eq!(known.ids("the_use_of_host_names"), []);
        assert_eq!(known.ids("x_www_77"), [Id::Unknown("WWW-77".to_owned())]);
        assert_eq!(known.ids("x_host_900"), [Id::Unknown("HOST-900".to_owned())]);
    }
}
