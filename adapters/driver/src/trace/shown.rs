//! The inputs and the effects of a replayed step in words, one line each.

use mcp_authz_core::effect::{Effects, Revoked, Settlement, Told, Work};
use mcp_authz_core::failure::escaped;
use mcp_authz_core::internals::trace::{Given, Kept, Outcome};

/// A text for people: escaped, and without the letters that only make a placeholder as long as what it
/// stands for.
pub(super) fn shortened(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut run = 0usize;
    for character in text.chars() {
        run = if character == 'x' { run.saturating_add(1) } else { 0 };
        if run <= 3 {
            made.push(character);
        }
    }
    escaped(&made.replace("xxx", "\u{2026}").replace('\u{2026}', ".."))
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

/// All effects of a step.
pub(super) fn effects(effects: &Effects) -> Vec<String> {
    let told = effects.told.iter().filter_map(told);
    told.chain(effects.work.iter().map(work)).collect()
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

fn work(work: &Work) -> String {
    match work {
        Work::Call(call) => format!("send: {call:?}"),
        Work::Listen(_) => "listen on the redirect URI".to_owned(),
        Work::Store(op) => format!("ask the store: {op:?}"),
        Work::Sign(_) => "sign".to_owned(),
    }
}
