//! The front page tells the truth: its picture is the one the tables draw.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

const README: &str = include_str!("../../README.md");

#[test]
fn the_diagram_is_the_one_the_tables_draw() {
    let (_, rest) = README.split_once("<!-- diagram -->\n```mermaid\n").unwrap();
    let (committed, _) = rest.split_once("```\n<!-- /diagram -->").unwrap();
    let drawn = mcp_authz_core::internals::mermaid();
    assert_eq!(committed, drawn, "put the output of the diagram program into README.md");
}

#[test]
fn every_program_named_on_the_page_exists() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for (named, file) in [
        ("--example oauth_client", "adapters/tokio/examples/oauth_client.rs"),
        ("--bin diagram", "tests/src/bin/diagram.rs"),
        ("--bin requirements", "tests/src/bin/requirements.rs"),
        ("tests/conformance/run", "tests/conformance/run"),
        ("tests/interop/run", "tests/interop/run"),
        ("benches/instructions", "benches/instructions"),
    ] {
        assert!(README.contains(named), "{named} is not on the page");
        assert!(std::path::Path::new(root).join(file).exists(), "{file} is not in the tree");
    }
}
