//! The readers and writers of the wire, and what else only the tests, benches and fuzzers of this
//! repository need. The name promises nothing: what stands here may change in any release.

use crate::failure::{Evidence, Failure, Setting, Switch};
use crate::purpose::Purpose;
pub use crate::wire::*;

/// A failure with what the core alone puts into one, for the tests of those who show failures.
#[must_use]
pub fn furnished(
    failure: Failure,
    purpose: Purpose,
    switches: &[(Switch, &[&str])],
    settings: &[(Setting, Option<&str>)],
    evidence: Vec<Evidence>,
) -> Failure {
    let mut failure = failure.with_purpose(purpose).with_evidence(evidence);
    for (switch, words) in switches {
        failure = failure.with_switch_for(*switch, words);
    }
    for (setting, issuer) in settings {
        failure = failure.with_setting(*setting, *issuer);
    }
    failure
}
