//! The inputs and the effects of a replayed step in words, one line each.

use mcp_authz_core::effect::{Effects, Revoked, Settlement, Told};
use mcp_authz_core::failure::escaped;
use mcp_authz_core::internals::trace::{Given, Kept, Outcome};
use serde_json::Value;

/// So many letters in a row are not those of a word.
const RUN: usize = 3;

/// A text for people: escaped, and without the letters that only make a placeholder as long as what it
/// stands for.
pub(super) fn shortened(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&"x".repeat(RUN)) {
        let (before, run) = rest.split_at_checked(at).unwrap_or((rest, ""));
        made.push_str(before);
        made.push_str("..");
        rest = run.trim_start_matches('x');
    }
    made.push_str(rest);
    escaped(&made)
}

/// An input.
pub(super) fn given(given: &Given) -> String {
    let named = |scopes: &str| match scopes {
        "" => String::new(),
        scopes => format!(" for {}", shortened(scopes)),
    };
    let may = |may_ask: bool| if may_ask { "" } else { ", asking nobody" };
    match given {
        Given::Acquire(want) => format!(
            "caller {} wants a grant{}{}",
            want.waiter,
            named(&want.scopes),
            may(want.may_ask)
        ),
        Given::LogIn(want) => {
            format!("caller {} wants a login{}", want.waiter, named(&want.scopes))
        }
        Given::Challenge(refused) => format!(
            "caller {}: {} was refused with {}{}",
            refused.waiter,
            shortened(&refused.operation),
            refused.status,
            may(refused.may_ask)
        ),
        Given::Callback { url, .. } => format!("a callback came: {}", shortened(url)),
        Given::Code { .. } => "a code was pasted".to_owned(),
        Given::Unshown { .. } => "the page could be shown to nobody".to_owned(),
        Given::Answer { outcome, .. } => answered(outcome),
        Given::Cancel { waiter } => format!("caller {waiter} no longer waits"),
        Given::Forget {} => "a log-out".to_owned(),
        Given::Wake {} => "time has passed".to_owned(),
    }
}

fn answered(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { status, body, cut, .. } => {
            let cut = cut.map_or_else(String::new, |why| format!(", cut off: {}", why.sentence()));
            format!("answered {status}, {} bytes{cut}", body.bytes().len())
        }
        Outcome::NotSent(why) => format!("not sent: {}", why.sentence()),
        Outcome::MaybeSent(why) => format!("no answer: {}", why.sentence()),
        Outcome::Listening(port) => format!("listening on port {port}"),
        Outcome::NotListening(_) => "nothing could be listened on".to_owned(),
        Outcome::Stored(kept) => format!("the store: {}", stored(kept)),
        Outcome::Signed(made) => {
            if made.is_some() { "signed" } else { "the key is not there" }.to_owned()
        }
    }
}

fn stored(kept: &Kept) -> String {
    match kept {
        Kept::Loaded(None) => "there is no such record".to_owned(),
        Kept::Loaded(Some((generation, _))) => format!("a record of generation {generation}"),
        Kept::Swapped => "written".to_owned(),
        Kept::Conflict(_) => "another record is there".to_owned(),
        Kept::Leased => "the lease is taken".to_owned(),
        Kept::Busy => "another has the lease".to_owned(),
        Kept::Intended => "the intent is recorded".to_owned(),
        Kept::Standing(_) => "the intent was recorded before".to_owned(),
        Kept::Released => "given back".to_owned(),
        Kept::Failed(kind) => kind.sentence().to_owned(),
    }
}

/// All effects of a step; `written` are the same ones as plain values.
pub(super) fn effects(effects: &Effects, written: &Value) -> Vec<String> {
    let told = effects.told.iter().filter_map(told);
    let all = written.get("work").and_then(Value::as_array).into_iter().flatten();
    told.chain(all.filter_map(work)).collect()
}

fn told(told: &Told) -> Option<String> {
    Some(match told {
        Told::Publish(None) => "no grant is published".to_owned(),
        Told::Publish(Some(granted)) => {
            format!("the grant of epoch {} is published", granted.epoch().0)
        }
        Told::Settle(settlement) => settled(settlement),
        Told::Open(visit) => format!("show the page {}", shortened(visit.url())),
        Told::Page { page, .. } => format!("the browser is shown a page, status {}", page.status()),
        Told::Forgotten(forgotten) => match &forgotten.revoked {
            Revoked::Nothing => "logged out; there was nothing to revoke".to_owned(),
            Revoked::NotOffered => "logged out; the server revokes nothing".to_owned(),
            Revoked::Done => "logged out; revoked".to_owned(),
            Revoked::Failed(failure) => format!("logged out; not revoked: {}", failure.code()),
        },
        Told::Abandon(_) => "give up an earlier piece of work".to_owned(),
        Told::Note(note) => shortened(&note.to_string()),
        _ => return None,
    })
}

fn settled(settlement: &Settlement) -> String {
    let waiter = settlement.waiter.0;
    match &settlement.outcome {
        Ok(granted) => format!("caller {waiter} gets the grant of epoch {}", granted.epoch().0),
        Err(failure) => format!("caller {waiter} fails: {}", shortened(&failure.to_string())),
    }
}

/// Work in one line.
fn work(work: &Value) -> Option<String> {
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).map_or_else(String::new, shortened)
    };
    if let Some(call) = work.get("call") {
        let [method, url, purpose] = ["method", "url", "purpose"].map(|name| text(call, name));
        return Some(format!("send {method} {url} ({purpose})"));
    }
    if let Some(listen) = work.get("listen") {
        return Some(match listen.get("port").and_then(Value::as_u64) {
            Some(port) => format!("listen on port {port}"),
            None => "listen on any free port".to_owned(),
        });
    }
    let Some(store) = work.get("store") else { return Some("sign".to_owned()) };
    let asked = ["load", "swap", "lease", "intend", "release", "leave"];
    let (asked, key) = asked.into_iter().find_map(|name| Some((name, store.get(name)?)))?;
    let kind = text(key, "kind");
    Some(match asked {
        "load" => format!("ask the store for the {kind} record"),
        "swap" => format!("have the store write the {kind} record"),
        "lease" => format!("ask the store for the lease of the {kind} record"),
        "intend" => format!("have the store record an intent beside the {kind} record"),
        "release" => format!("give back to the store what was taken of the {kind} record"),
        _ => "give every lease back to the store".to_owned(),
    })
}
