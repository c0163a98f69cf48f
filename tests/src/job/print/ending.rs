//! The last step: what happened, and what to do next.

use mcp_authz_core::effect::{Purpose, Why};
use mcp_authz_core::failure::{Evidence, Failure, Kind, Mend, Outcome as Ended, Remedy, escaped};
use serde_json::{Value, json};

use super::super::outcome::{Counts, Fault, Outcome, Summary, Trouble};
use super::{ENDING, Human, Moment, Step, or_nothing};

impl Step {
    /// How the job ended.
    #[must_use]
    pub fn outcome(outcome: &Outcome) -> Self {
        Self::ending(outcome, Counts::default())
    }

    /// The same, of a run that made these calls.
    pub(crate) fn ending(outcome: &Outcome, counts: Counts) -> Self {
        let mut step = match outcome {
            Outcome::Authorized(summary) => ended("authorized", summary),
            Outcome::Open(summary) => ended("open", summary),
            Outcome::Failed(Trouble::Authorization(failure)) => refused(failure),
            Outcome::Failed(Trouble::Mcp(fault)) => failed(fault),
        };
        step.key = ENDING;
        if let (Human::Block(_, rows), Counts { calls: 1.., .. }) = (&mut step.human, counts) {
            let calls = match counts.failures {
                0 => format!("{}, none failed", counts.calls),
                failures => format!("{}, {failures} failed", counts.calls),
            };
            let at = rows.iter().position(|(name, _)| *name == "next").unwrap_or(rows.len());
            rows.insert(at, ("calls", calls));
        }
        step.with("calls", counts.calls).with("failures", counts.failures)
    }
}

fn ended(name: &'static str, summary: &Summary) -> Step {
    let heading = match name {
        "open" => "done: the server asks for no authorization",
        _ => "done: authorized",
    };
    let mut rows: Vec<(&'static str, String)> = Vec::new();
    rows.extend(summary.issuer.clone().map(|issuer| ("issuer", issuer)));
    rows.extend(summary.resource.clone().map(|resource| ("resource", resource)));
    rows.extend(summary.scopes.as_deref().map(|scopes| ("scope", or_nothing(scopes))));
    rows.push(("wire", format!("{} ({})", summary.version, summary.era)));
    rows.push(("tools", summary.tools.join(", ")));
    if !summary.called.is_empty() {
        rows.push(("called", summary.called.join(", ")));
    }
    let stepped_up = match summary.added.as_slice() {
        [] => "a step-up".to_owned(),
        added => format!("a step-up that added {}", added.join(" ")),
    };
    let seen =
        [(summary.refreshed, "a forced refresh".to_owned()), (summary.stepped_up, stepped_up)];
    let seen: Vec<String> =
        seen.into_iter().filter_map(|(seen, what)| seen.then_some(what)).collect();
    if !seen.is_empty() {
        rows.push(("also", seen.join(", ")));
    }
    Step::new(name, "")
        .with("issuer", summary.issuer.as_deref())
        .with("resource", summary.resource.as_deref())
        .with("scope", summary.scopes.as_deref())
        .with("era", summary.era)
        .with("version", escaped(&summary.version))
        .with("tools", json!(summary.tools))
        .with("called", json!(summary.called))
        .with("refreshed", summary.refreshed)
        .with("stepped_up", summary.stepped_up)
        .with("added", json!(summary.added))
        .human(Human::Block(heading.to_owned(), rows))
}

fn refused(failure: &Failure) -> Step {
    let next = next_of(failure);
    let evidence: Vec<Value> = failure
        .evidence()
        .iter()
        .map(|seen| json!({"purpose": seen.purpose.name(), "url": seen.url, "outcome": outcome(seen)}))
        .collect();
    let said = failure
        .said()
        .map(|said| json!({"error": said.error, "error_description": said.description, "status": said.status}));
    let switches: Vec<&str> = failure.openings().map(|(switch, _)| switch.name()).collect();
    let settings: Vec<&str> = failure.mends().iter().map(|mend| mend.setting.name()).collect();
    let mut rows: Vec<(&'static str, String)> = Vec::new();
    rows.extend(failure.subject().map(|subject| ("about", subject.to_owned())));
    rows.extend(failure.purpose().map(|purpose| ("during", purpose.name().to_owned())));
    if let Some(said) = failure.said() {
        let words = said.description.as_deref().unwrap_or_default();
        rows.push(("server said", format!("{} {words}", said.error).trim_end().to_owned()));
    }
    rows.extend(
        failure.evidence().iter().map(|seen| ("answer", format!("{} {}", outcome(seen), seen.url))),
    );
    rows.push(("rule", failure.rule().to_owned()));
    rows.extend(next.iter().map(|next| ("next", next.clone())));
    let kind = failure.kind();
    let step = Step::new("failed", "")
        .with("code", kind.code())
        .with("remedy", failure.remedy().name())
        .with("retry_after", retry_after(failure.remedy()))
        .with("rule", failure.rule())
        .with("purpose", failure.purpose().map(|purpose| purpose.name()))
        .with("subject", failure.subject())
        .with("said", said.unwrap_or_default())
        .with("switches", json!(switches))
        .with("settings", json!(settings))
        .with("evidence", Value::Array(evidence))
        .with("why", failure.cause().map(Why::name))
        .with("message", failure.sentence())
        .with("next", json!(next))
        .human(Human::Block(format!("failed: {}: {}", kind.code(), failure.sentence()), rows));
    match moment(failure) {
        Some(moment) => step.at_moment(moment),
        None => step,
    }
}

/// Which request was out when its answer was lost.
fn moment(failure: &Failure) -> Option<Moment> {
    match (failure.kind(), failure.purpose()) {
        (Kind::OutcomeUnknown, Some(Purpose::CodeExchange)) => Some(Moment {
            name: "code_unanswered",
            words: "the code was sent and no answer came; a code works once, so it is not sent again",
        }),
        (Kind::OutcomeUnknown, Some(Purpose::Refresh)) => Some(Moment {
            name: "refresh_unanswered",
            words: "the refresh token was sent and no answer came; it is kept, and tried once more",
        }),
        _ => None,
    }
}

fn failed(fault: &Fault) -> Step {
    let next = of_cause(fault.why).map_or_else(|| advice(fault.remedy), str::to_owned);
    let mut rows = Vec::new();
    if !fault.rule.is_empty() {
        rows.push(("rule", fault.rule.to_owned()));
    }
    rows.push(("next", next.clone()));
    Step::new("failed", "")
        .with("code", fault.code)
        .with("why", fault.why.map(Why::name))
        .with("remedy", fault.remedy.name())
        .with("retry_after", retry_after(fault.remedy))
        .with("rule", fault.rule)
        .with("message", fault.text.as_str())
        .with("next", json!([next]))
        .human(Human::Block(format!("failed: {}: {}", fault.code, fault.text), rows))
}

/// One word for how a request ended.
fn outcome(seen: &Evidence) -> String {
    match seen.outcome {
        Ended::Lost(why) => why.name().to_owned(),
        answered => answered.to_string(),
    }
}

/// The advice about a request without an answer, as far as the command line can help.
fn of_cause(why: Option<Why>) -> Option<&'static str> {
    match why? {
        Why::Timeout => Some("run it again, with a longer --timeout if the server is slow"),
        why => Failure::lost(why, "TRANS-17").advice(),
    }
}

fn retry_after(remedy: Remedy) -> Option<u64> {
    match remedy {
        Remedy::Retry { after } => after.map(|after| after.as_secs()),
        _ => None,
    }
}

/// The advice about a failure, as far as the command line can help.
fn next_of(failure: &Failure) -> Vec<String> {
    let switched = failure.openings().next().is_some();
    let mut next = match (failure.kind(), failure.remedy()) {
        (Kind::ReauthorizationRequired, _) => {
            vec!["run it again without --no-login, and log in".to_owned()]
        }
        (_, Remedy::Configure) if failure.rule() == "TRANS-91" => {
            vec!["if it is a server of 2025-11-25 or before: --era legacy".to_owned()]
        }
        // The options below say how.
        (_, Remedy::Configure) if switched => Vec::new(),
        (_, Remedy::Retry { after: Some(_) }) => vec![advice(failure.remedy())],
        (_, remedy) => {
            let known = failure.advice().and_then(|_| of_cause(failure.cause()));
            vec![known.map_or_else(|| advice(remedy), str::to_owned)]
        }
    };
    if switched {
        next.push(OPTIONS.to_owned());
    }
    next.extend(failure.mends().iter().map(mended));
    next
}

/// The program has an option for every switch, and finds out which ones a server needs.
const OPTIONS: &str =
    "if you trust this server all the same: mcp-authz doctor URL names the options";

/// A setting, as a program of one's own has it.
fn mended(mend: &Mend) -> String {
    let issuer = mend.issuer.as_ref().map(|issuer| format!(" for {issuer}"));
    let (words, name) = (mend.setting.words(), mend.setting.name());
    format!("or {words}{}: {name} of the configuration", issuer.unwrap_or_default())
}

/// The text that says what is wrong with the arguments.
pub(crate) fn of_arguments(failure: &Failure) -> String {
    let mut text = failure.kind().sentence().to_owned();
    if let Some(subject) = failure.subject() {
        text.push_str(&format!(" ({subject})"));
    }
    if let Some(hint) = failure.hint() {
        text.push_str(": ");
        text.push_str(hint);
    }
    text.push_str("; see --help");
    text
}

fn advice(remedy: Remedy) -> String {
    match remedy {
        Remedy::Retry { after: Some(after) } => format!("run it again in {} s", after.as_secs()),
        Remedy::Retry { after: None } => "run it again later".to_owned(),
        Remedy::AskUser => "run it again and log in".to_owned(),
        Remedy::Register => {
            "name a client that this server knows: mcp-authz login URL --client-id ID".to_owned()
        }
        Remedy::Configure => "see what mcp-authz doctor URL says of it".to_owned(),
        Remedy::Report => "report it to the people who run the server".to_owned(),
        Remedy::Proceed => "go on without logging in".to_owned(),
    }
}
