//! The effects of a step, as a plain value.

use serde_json::{Value, json};

use super::failure::failure;
use super::input::{Raw, fields};
use crate::effect::{
    Call, Effects, Forgotten, Key, Limits, Page, Parties, Record, RecordKind, Revoked, Settlement,
    Spend, StoreRequest, Told, Visit, Work,
};
use crate::granted::{Granted, Life};
use crate::input::Had;
use crate::note::{Choice, Note};

/// The value of all effects of a step, with every secret in it.
#[must_use]
pub fn written(effects: &Effects) -> Value {
    json!({
        "told": effects.told.iter().map(told).collect::<Vec<_>>(),
        "work": effects.work.iter().map(work).collect::<Vec<_>>(),
    })
}

fn told(told: &Told) -> Value {
    match told {
        Told::Publish(granted) => json!({"publish": granted.as_deref().map(grant)}),
        Told::Settle(settlement) => json!({"settle": settled(settlement)}),
        Told::Open(visit) => json!({"open": page_of(visit)}),
        Told::Page { arrival, page } => json!({"page": shown(page), "arrival": arrival.0}),
        Told::Forgotten(forgotten) => json!({"forgotten": ended(forgotten)}),
        Told::Abandon(ticket) => json!({"abandon": {"ticket": ticket.0}}),
        Told::Note(note) => json!({"note": noted(note)}),
    }
}

fn grant(granted: &Granted) -> Value {
    let life = match granted.life {
        Life::Unknown => Value::Null,
        Life::Until { wall, mono, ahead } => json!({
            "wall": wall.map(crate::time::Timestamp::unix),
            "mono": mono.millis(),
            "ahead": u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX),
        }),
    };
    json!({
        "epoch": granted.epoch.0,
        "access_token": granted.token.expose(),
        "issuer": granted.issuer,
        "resource": granted.resource,
        "scope": granted.scopes().map(crate::scope::ScopeSet::as_str),
        "life": life,
        "unsaved": granted.unsaved,
        "retired": granted.retired,
    })
}

fn settled(settlement: &Settlement) -> Value {
    let Had { renewals, logins, grants } = settlement.had;
    let outcome = match &settlement.outcome {
        Ok(granted) => json!({"granted": grant(granted)}),
        Err(error) => json!({"failure": failure(error)}),
    };
    json!({
        "waiter": settlement.waiter.0,
        "outcome": outcome,
        "unsaved": settlement.unsaved,
        "had": [renewals, logins, grants],
    })
}

fn page_of(visit: &Visit) -> Value {
    json!({
        "url": visit.url(),
        "issuer": visit.issuer,
        "previous_issuer": visit.previous_issuer,
        "resource": visit.resource,
        "hosts": visit.hosts().into_iter().map(|(part, host)| json!({"part": part, "host": host}))
            .collect::<Vec<_>>(),
        "scope": visit.scopes.as_str(),
        "client_id": visit.client_id,
        "redirect_uri": visit.redirect_uri,
        "reissued": visit.reissued,
    })
}

fn parties(parties: &Parties) -> Value {
    let Parties { program, resource, issuer } = parties;
    json!({"program": program, "resource_host": resource, "issuer_host": issuer})
}

fn shown(page: &Page) -> Value {
    match page {
        Page::Authorized(of) => json!({"authorized": parties(of)}),
        Page::OneMoreStep(of) => json!({"one_more_step": parties(of)}),
        Page::Untrusted { parties: of, failure: why } => {
            json!({"untrusted": parties(of), "failure": failure(why)})
        }
        Page::Denied(of) => json!({"denied": parties(of)}),
        Page::Failed { parties: of, kind, remedy } => {
            json!({"failed": parties(of), "kind": kind.code(), "remedy": remedy.name()})
        }
        Page::Refused(kind) => json!({"refused": kind.code()}),
    }
}

fn ended(forgotten: &Forgotten) -> Value {
    let revoked = match &forgotten.revoked {
        Revoked::Nothing => json!("nothing"),
        Revoked::NotOffered => json!("not_offered"),
        Revoked::Done => json!("done"),
        Revoked::Failed(why) => json!({"failed": failure(why)}),
    };
    json!({"revoked": revoked, "unremoved": forgotten.unremoved.map(crate::failure::Kind::code)})
}

fn noted(note: &Note) -> Value {
    match note {
        Note::Step(edge) => json!({"step": edge.machine.to_string(), "from": edge.from.to_string(),
            "on": edge.on.to_string(), "to": edge.to.to_string()}),
        Note::Asked { purpose, method, url } => json!({"asked": purpose.name(),
            "method": method.as_str(), "url": url.to_string()}),
        Note::Answered { purpose, status } => {
            json!({"answered": purpose.name(), "status": status})
        }
        Note::Lost { purpose, why } => json!({"lost": purpose.name(), "why": why.name()}),
        Note::Proxied { proxy } => json!({"proxied": proxy}),
        Note::Dropped { kind, rule, subject } => {
            json!({"dropped": kind.code(), "rule": rule, "subject": {"text": subject}})
        }
        Note::Lenient { switch, subject } => {
            json!({"lenient": switch.name(), "subject": {"text": subject}})
        }
        Note::Chose(choice) => json!({"chose": chosen(choice)}),
        Note::Renewed { missing, unasked } => {
            json!({"renewed": {"missing": missing.as_str(), "unasked": unasked.as_str()}})
        }
        Note::Adopted => json!("adopted"),
        Note::Rejected => json!("rejected"),
        Note::Store { kind } => json!({"store": kind.code()}),
        Note::Stray { kind, rule } => json!({"stray": kind.code(), "rule": rule}),
        Note::Untrusted { kind, rule } => json!({"untrusted": kind.code(), "rule": rule}),
        Note::Late { kept } => json!({"late": kept}),
        Note::Failed { kind, rule } => json!({"failed": kind.code(), "rule": rule}),
        Note::Fault(fault) => json!({"fault": format!("{fault:?}")}),
    }
}

fn chosen(choice: &Choice) -> Value {
    match choice {
        Choice::Resource { resource } => json!({"resource": resource}),
        Choice::Server { issuer, document } => {
            json!({"issuer": issuer, "url": document.as_ref().map(ToString::to_string)})
        }
        Choice::Client(way) => json!({"client": way.name()}),
        Choice::Scopes { scopes, source } => {
            json!({"scope": scopes.as_str(), "source": source.name()})
        }
        Choice::IssuerChanged { from, to } => json!({"issuer": to, "previous_issuer": from}),
    }
}

fn work(work: &Work) -> Value {
    let ticket = work.id().0;
    match work {
        Work::Call(call) => json!({"call": called(call), "ticket": ticket}),
        Work::Listen(listen) => json!({
            "listen": {"host": listen.on.host, "port": listen.on.port, "path": listen.on.path},
            "ticket": ticket,
        }),
        Work::Store(op) => json!({"store": asked(&op.request), "ticket": ticket}),
        Work::Sign(sign) => json!({
            "sign": {"key": sign.request.key, "algorithm": sign.request.algorithm},
            "ticket": ticket,
        }),
    }
}

fn called(call: &Call) -> Value {
    let Limits { connect, total, head, fields: most, body, addresses, proxy } = &call.limits;
    json!({
        "purpose": call.purpose.name(),
        "method": call.request.method().as_str(),
        "url": call.request.uri().to_string(),
        "headers": fields(call.request.headers()),
        "body": Raw::new(call.request.body().clone()),
        "limits": [connect, total, head, most, body, addresses, proxy],
    })
}

fn asked(request: &StoreRequest) -> Value {
    match request {
        StoreRequest::Load { key } => json!({"load": named(key)}),
        StoreRequest::Swap { key, expected, record } => {
            json!({"swap": named(key), "expected": expected, "record": kept(record)})
        }
        StoreRequest::Lease { key, holder } => json!({"lease": named(key), "holder": holder.0}),
        StoreRequest::Intend { key, spend, holder } => {
            json!({"intend": named(key), "spend": spent(spend), "holder": holder.0})
        }
        StoreRequest::Release { key, holder, withdraw } => json!({
            "release": named(key),
            "holder": holder.0,
            "withdraw": withdraw.as_ref().map(spent),
        }),
        StoreRequest::Leave { holder } => json!({"leave": {}, "holder": holder.0}),
    }
}

fn named(key: &Key) -> Value {
    let kind = match key.kind {
        RecordKind::Binding => "binding",
        RecordKind::Client => "client",
        RecordKind::Grant => "grant",
    };
    let names = serde_json::from_str::<Value>(&key.name).unwrap_or_default();
    json!({"kind": kind, "names": names})
}

fn kept(record: &Record) -> Value {
    json!({"generation": record.generation, "body": Raw::new(record.bytes.0.clone())})
}

fn spent(spend: &Spend) -> Value {
    match spend {
        Spend::Refresh { generation, attempt } => {
            json!({"generation": generation, "attempt": attempt})
        }
        Spend::Code { login } => json!({"login": login}),
    }
}
