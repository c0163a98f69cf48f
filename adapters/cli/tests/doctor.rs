//! `doctor` before servers of every kind: which rule it names, and that what it prints works.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;
#[path = "doctor/documents.rs"]
mod documents;
#[path = "doctor/oddities.rs"]
mod oddities;
#[path = "doctor/places.rs"]
mod places;

use std::collections::BTreeSet;
use std::fs;

use common::{Home, event};
use serde_json::Value;

/// What one run of `doctor` has said.
struct Examined {
    status: i32,
    lines: Vec<Value>,
}

impl Examined {
    /// Runs `doctor` on this URL, with more words after it.
    fn of(home: &Home, url: &str, more: &[&str]) -> Self {
        let words: Vec<&str> = ["doctor", url].iter().chain(more).copied().collect();
        let words: Vec<&str> = words.into_iter().chain(["--json"]).collect();
        let ended = home.run(&words);
        assert!(ended.out.bytes().all(|byte| byte == b'\n' || !byte.is_ascii_control()));
        let lines = ended.out.lines().map(|line| serde_json::from_str(line).unwrap());
        let examined = Self { status: ended.status, lines: lines.collect() };
        assert!(examined.lines.iter().any(|it| it["event"] == "verdict"), "{url}: {}", ended.err);
        examined
    }

    fn verdict(&self) -> &str {
        event(&self.lines, "verdict")["verdict"].as_str().unwrap()
    }

    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(|line| line["event"] == "finding")
    }

    /// The rules that are named, without the one that every server of the model breaks: it announces
    /// no client ID metadata documents.
    fn rules(&self) -> BTreeSet<&str> {
        let rules = self.findings().map(|finding| finding["rule"].as_str().unwrap());
        rules.filter(|rule| *rule != "CIMD-02").collect()
    }

    /// The purposes of the requests that were sent, in order.
    fn sent(&self) -> Vec<&str> {
        let sent =
            self.lines.iter().filter(|line| line["event"] == "request" && line["sent"] == true);
        sent.map(|line| line["purpose"].as_str().unwrap()).collect()
    }

    /// Writes the printed configuration into a file and gives its path with the server's name.
    fn configuration(&self, home: &Home) -> (String, String) {
        let snippet = event(&self.lines, "snippet");
        assert_eq!(snippet["proved"], true, "{snippet:#}");
        let text = snippet["config"].as_str().unwrap();
        let path = home.path().join("printed.toml");
        fs::write(&path, text).unwrap();
        let name = text.lines().next().unwrap();
        let name = name.strip_prefix("[servers.").unwrap().strip_suffix(']').unwrap();
        (path.to_string_lossy().into_owned(), name.to_owned())
    }

    /// Runs `doctor` once more with the printed configuration: now it works.
    fn works_as_printed(&self, home: &Home, more: &[&str]) {
        let (file, name) = self.configuration(home);
        let more: Vec<&str> = ["--config", &file].iter().chain(more).copied().collect();
        let again = Self::of(home, &name, &more);
        assert_eq!((again.verdict(), again.status), ("works", 0), "{:#?}", again.lines);
    }
}
