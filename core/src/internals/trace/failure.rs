//! A failure, as a plain value.

use serde_json::{Value, json};

use crate::failure::{Evidence, Failure, Outcome, Remedy};

/// The members named `text` are sentences that may hold anything a server wrote; they may be cut.
pub(super) fn failure(failure: &Failure) -> Value {
    let said = failure
        .said()
        .map(|said| json!({"error": said.error, "text": said.description, "status": said.status}));
    let switches: Vec<Value> = failure
        .openings()
        .map(|(switch, words)| json!({"switch": switch.name(), "words": words}))
        .collect();
    let mends: Vec<Value> = failure
        .mends()
        .iter()
        .map(|mend| json!({"setting": mend.setting.name(), "issuer": mend.issuer}))
        .collect();
    json!({
        "kind": failure.code(),
        "rule": failure.rule(),
        "remedy": failure.remedy().name(),
        "after": after(failure.remedy()),
        "cause": failure.cause().map(crate::outcome::Why::name),
        "purpose": failure.purpose().map(crate::purpose::Purpose::name),
        "subject": {"text": failure.subject()},
        "hint": {"text": failure.hint()},
        "said": said,
        "scope": {"text": failure.scope()},
        "switches": switches,
        "mends": mends,
        "evidence": failure.evidence().iter().map(evidence).collect::<Vec<_>>(),
    })
}

fn after(remedy: Remedy) -> Option<u64> {
    match remedy {
        Remedy::Retry { after } => after.map(|after| after.as_secs()),
        _ => None,
    }
}

fn evidence(seen: &Evidence) -> Value {
    let outcome = match seen.outcome {
        Outcome::Status(status) => json!(status),
        Outcome::Refused(kind) => json!(kind.code()),
        Outcome::Lost(why) => json!(why.name()),
    };
    json!({"purpose": seen.purpose.name(), "url": seen.url, "outcome": outcome})
}
