//! The front page and the guides tell the truth: their pictures are the ones the tables draw, their rules
//! those that errors name, and what they name exists.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mcp_authz_tests::coverage::root;
use mcp_authz_tests::rules::Ids;
use mcp_authz_tests::{picture, rules};

const README: &str = include_str!("../../README.md");

/// What stands between the marks of a page.
fn marked<'a>(page: &'a str, mark: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<!-- {mark} -->\n")).unwrap();
    rest.split_once(&format!("<!-- /{mark} -->")).unwrap().0
}

fn guide(name: &str) -> PathBuf {
    root().join(format!("adapters/driver/src/guide/{name}.md"))
}

/// The front page and every page of a guide, by their paths.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md"), root().join("adapters/rmcp/README.md")];
    for adapter in fs::read_dir(root().join("adapters")).unwrap() {
        let source = adapter.unwrap().path().join("src");
        paths.push(source.join("guide.md"));
        let folder = fs::read_dir(source.join("guide")).into_iter().flatten();
        paths.extend(folder.map(|page| page.unwrap().path()));
    }
    paths.retain(|path| path.exists());
    let pages = paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap()));
    pages.collect()
}

/// A page shows what is drawn. Both are too long to be printed by a test.
fn shows(page: &str, mark: &str, drawn: &str, program: &str) {
    let same = marked(page, mark) == drawn;
    assert!(same, "put the output of `cargo run -q -p mcp-authz-tests --bin {program}` there");
}

#[test]
fn the_pictures_are_the_ones_the_tables_draw() {
    let mermaid = |drawn: &str| format!("```mermaid\n{drawn}```\n");
    shows(README, "diagram", &mermaid(&picture::overview()), "diagram");
    let states = fs::read_to_string(guide("states")).unwrap();
    let whole = mermaid(&mcp_authz_core::internals::mermaid());
    shows(&states, "diagram", &whole, "diagram -- --whole");
}

#[test]
fn the_rules_are_printed_with_their_sentences() {
    let page = fs::read_to_string(guide("rules")).unwrap();
    let rules = rules::page(&Ids::read(&root()).unwrap().named);
    shows(&page, "rules", &format!("\n{rules}\n"), "rules");
}

#[test]
fn every_rule_that_the_sources_name_has_a_sentence() {
    let Ids { named, cited } = Ids::read(&root()).unwrap();
    assert!(named.len() > 100, "only {} ids were found in the code", named.len());
    assert!(named.is_subset(&cited));
    let known: BTreeSet<String> =
        rules::rules().iter().map(|[_, id, ..]| (*id).to_owned()).collect();
    let unknown: Vec<_> = cited.difference(&known).collect();
    assert!(unknown.is_empty(), "write a sentence for these into named.tsv: {unknown:?}");
}

#[test]
fn every_program_named_on_a_page_exists() {
    for (page, named, file) in [
        ("README.md", "--example oauth_client", "adapters/tokio/examples/oauth_client.rs"),
        ("README.md", "--example mcp_oauth_server", "tests/examples/mcp_oauth_server.rs"),
        ("README.md", "--bin diagram", "tests/src/bin/diagram.rs"),
        ("README.md", "tests/interop/run", "tests/interop/run"),
        ("states.md", "--bin diagram", "tests/src/bin/diagram.rs"),
        ("rules.md", "--bin requirements", "tests/src/bin/requirements.rs"),
        ("revisions.md", "--bin requirements", "tests/src/bin/requirements.rs"),
        ("revisions.md", "tests/conformance/run", "tests/conformance/run"),
        ("examples.md", "--example blocking_client", "adapters/ureq/examples/blocking_client.rs"),
        (
            "examples.md",
            "--example async_std_client",
            "adapters/async-std/examples/async_std_client.rs",
        ),
        ("examples.md", "--example rmcp_client", "adapters/rmcp/examples/rmcp_client.rs"),
        ("examples.md", "--example minimal", "adapters/tokio/examples/minimal.rs"),
        ("examples.md", "--example progress", "adapters/tokio/examples/progress.rs"),
        ("examples.md", "--example own_http_client", "adapters/tokio/examples/own_http_client.rs"),
        ("examples.md", "--example rmcp`", "adapters/rmcp/examples/rmcp.rs"),
        ("examples.md", "tests/interop/run", "tests/interop/run"),
        ("examples.md", "tests/prove", "tests/prove"),
        ("figures.md", "benches/instructions", "benches/instructions"),
        ("figures.md", "benches/minimal", "benches/minimal"),
    ] {
        let path = if page == "README.md" {
            root().join(page)
        } else {
            guide(page.trim_end_matches(".md"))
        };
        assert!(fs::read_to_string(path).unwrap().contains(named), "{named} is not on {page}");
        assert!(root().join(file).exists(), "{file} is not in the tree");
    }
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    for (page, text) in pages() {
        for link in links(&text) {
            let outside = link.contains("::") || link.contains("://") || link.starts_with('#');
            let file = page.parent().unwrap_or(Path::new(".")).join(link);
            assert!(outside || file.exists(), "{} links to {link}", page.display());
        }
    }
}

/// The targets of `](..)` and of `[name]: ..`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|it| it.0);
    let defined = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    inline.chain(defined.map(|(_, target)| target))
}

#[test]
fn the_front_page_can_be_read_in_one_go() {
    let words = README.split_whitespace().count();
    assert!(words <= 1_500, "{words} words");
}
