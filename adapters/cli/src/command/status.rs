//! `status`: what is kept for a server and its accounts.

use mcp_authz_tokio::driver::vault::{Entry, State};
use mcp_authz_tokio::{Granted, Vault};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::options::Options;
use crate::say::{Say, block};
pub(super) use crate::server::expiry;
use crate::server::{self, bare, seconds_left, shown};

/// Shows every account of a server, or the one that the options name.
pub(super) fn run(url: &str, options: &Options, say: &Say) -> Result<(), Fault> {
    let _well_formed = server::checked(url, options)?;
    let entries = Vault::new(server::store(options)?).entries()?;
    let accounts = entries.iter().filter_map(|entry| entry.account.as_deref());
    let mut accounts: Vec<Option<&str>> = accounts.map(Some).chain([None]).collect();
    accounts.dedup();
    if let Some(account) = &options.account {
        accounts = vec![Some(account.as_str())];
    }
    let of_it = |entry: &&Entry| accounts.iter().any(|account| entry.is_of(url, *account));
    let found: Vec<&Entry> = entries.iter().filter(of_it).collect();
    if found.is_empty() {
        say.result(
            format!("nothing is kept for {}; to log in: mcp-authz login URL", shown(url)),
            &json!({"event": "nothing_kept", "server": shown(url)}),
        );
    }
    for entry in found {
        say.result(told(entry), &line(entry));
    }
    Ok(())
}

fn told(entry: &Entry) -> String {
    let resource = entry.resource.as_deref().map(|it| ("resource", bare(it)));
    let client = entry.client_id.as_ref().map(|it| ("client", it.clone()));
    let until = match entry.state {
        State::Authorized { until: Some(until) } => Some(("until", left(until.unix()))),
        _ => None,
    };
    let rows = resource.into_iter().chain(client).chain(until);
    block(&entry.to_string(), rows.chain([("next", next(entry.state).to_owned())]))
}

/// What a use of the entry would need.
const fn next(state: State) -> &'static str {
    match state {
        State::Authorized { .. } => "nothing: the token is used as it is, and renewed if it can be",
        State::Renewable => "no person: the next use renews it with its refresh token",
        State::Expired => "a person: it is over, and there is no refresh token",
        State::Rejected => "a person: the authorization server has ended it",
        State::LoggedOut => "a person: nobody is logged in",
        State::Unreadable => "a person: the record is damaged, and a login replaces it",
        State::Newer => "a newer version of this program, which wrote the record",
        _ => "a newer version of this program",
    }
}

/// The entry for programs.
pub(super) fn line(entry: &Entry) -> Value {
    let until = match entry.state {
        State::Authorized { until } => until.map(|until| until.unix()),
        _ => None,
    };
    json!({
        "event": "entry",
        "server": shown(&entry.mcp_url),
        "account": entry.account,
        "issuer": entry.issuer,
        "resource": entry.resource.as_deref().map(shown),
        "client_id": entry.client_id,
        "state": name(entry.state),
        "expires": until,
        "needs_person": needs_person(entry.state),
    })
}

/// The stable name of a state.
const fn name(state: State) -> &'static str {
    match state {
        State::Authorized { .. } => "authorized",
        State::Renewable => "renewable",
        State::Expired => "expired",
        State::Rejected => "rejected",
        State::LoggedOut => "logged_out",
        State::Unreadable => "unreadable",
        _ => "newer",
    }
}

/// Returns true if the entry cannot be used before a person has logged in.
pub(super) const fn needs_person(state: State) -> bool {
    matches!(state, State::Expired | State::Rejected | State::LoggedOut | State::Unreadable)
}

/// Until when a token is believed, in words.
pub(super) fn until(granted: &Granted) -> String {
    match expiry(granted) {
        Some(until) => format!("good for {}", left(until)),
        None => "its server names no end".to_owned(),
    }
}

/// The time that is left before a moment.
pub(super) fn left(until: i64) -> String {
    let seconds = seconds_left(until);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
