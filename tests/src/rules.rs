//! The rules with their sentences, as the guide prints them.
//!
//! The sentences of requirements are those of `tests/requirements/rows.tsv`; `named.tsv` beside it has
//! those of the other ids that the sources name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::coverage::rows;

const NAMED: &str = include_str!("../requirements/named.tsv");

/// One rule: its section, id, level and sentence.
type Rule = [&'static str; 4];

/// Every rule, in order.
#[must_use]
pub fn rules() -> Vec<Rule> {
    let requirements = rows().into_iter().map(|row| [row.section, row.id, row.level, row.summary]);
    let others = NAMED.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (id, sentence) = line.split_once('\t')?;
        Some(["Hostile input and decisions of this project", id, "MUST*", sentence])
    });
    requirements.chain(others).collect()
}

/// The ids in the sources of the published crates.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    /// Those that the code gives to errors and notes.
    pub named: BTreeSet<String>,
    /// Those that anything names, comments and documentation among it.
    pub cited: BTreeSet<String>,
}

impl Ids {
    /// Reads the sources of the tree whose root this is.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut ids = Self::default();
        let mut folders = vec![root.join("core/src")];
        for adapter in fs::read_dir(root.join("adapters"))? {
            folders.push(adapter?.path().join("src"));
        }
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() && !ends(&path, "tests") && !ends(&path, "testing") {
                    folders.push(path);
                } else if path.extension().is_some_and(|it| it == "rs") && !ends(&path, "tests.rs")
                {
                    ids.take(&fs::read_to_string(&path)?);
                }
            }
        }
        Ok(ids)
    }

    fn take(&mut self, source: &str) {
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let whole = |text: &&str| is_id(text);
        self.named.extend(code.split('"').filter(whole).map(str::to_owned));
        let apart = |it: char| !it.is_ascii_alphanumeric() && it != '-';
        self.cited.extend(code.split(apart).filter(whole).map(str::to_owned));
    }
}

fn ends(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|it| it == name)
}

/// `TOK-90`, `EXT-CC-01`.
fn is_id(text: &str) -> bool {
    text != "SHA-256"
        && text.rsplit_once('-').is_some_and(|(group, number)| {
            group.starts_with(|first: char| first.is_ascii_uppercase())
                && group.chars().all(|it| it.is_ascii_uppercase() || it == '-')
                && (2..=3).contains(&number.len())
                && number.bytes().all(|it| it.is_ascii_digit())
        })
}

/// The tables of the page, a section after the other. The ids that errors name are bold.
#[must_use]
pub fn page(named: &BTreeSet<String>) -> String {
    let (mut out, mut section) = (String::new(), "");
    for [of, id, level, sentence] in rules() {
        // Writing to a string cannot fail.
        if of != section {
            section = of;
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}# {section}\n\n| id | level | rule |\n| --- | --- | --- |");
        }
        let bold = if named.contains(id) { "**" } else { "" };
        let sentence = sentence.replace('|', "\\|");
        let level = level.replace('*', "\\*");
        let _ = writeln!(
            out,
            "| <a id=\"{id}\"></a>{bold}{id}{bold} | {level} | {} |",
            capital(&sentence)
        );
    }
    out
}

fn capital(sentence: &str) -> String {
    let mut rest = sentence.chars();
    let first = rest.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(rest).chain(['.']).collect()
}
