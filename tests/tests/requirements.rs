//! Every requirement that demands a test has one, and no test names one that does not exist.

use mcp_authz_tests::coverage::{Coverage, root};

#[test]
fn every_demanded_requirement_has_a_test() {
    let coverage = Coverage::read(&root()).unwrap();
    let lines = coverage.missing().into_iter();
    let missing: Vec<String> =
        lines.map(|row| format!("{} {} {}", row.id, row.level, row.summary)).collect();
    assert!(missing.is_empty(), "{} without a test: {missing:#?}", missing.len());
}

#[test]
fn every_id_in_a_name_exists() {
    let coverage = Coverage::read(&root()).unwrap();
    let unknown: Vec<String> =
        coverage.unknown.iter().map(|(id, test)| format!("{id}: {test}")).collect();
    assert!(unknown.is_empty(), "unknown ids: {unknown:#?}");
}
