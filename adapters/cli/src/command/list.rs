//! `list`: the servers and accounts of the store.

use mcp_authz_core::failure::escaped;
use mcp_authz_tokio::driver::vault::{Entry, State};

use crate::command::logout;
use crate::command::status::{left, line};
use crate::config_file::ConfigFile;
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::{self, shown};

/// Shows each entry on a line of its own; with `prune`, forgets those that are dead.
pub(super) async fn run(
    file: &ConfigFile,
    given: &Options,
    prune: bool,
    say: &Say,
) -> Result<(), Fault> {
    let (kept, dead): (Vec<_>, Vec<_>) = server::kept(file, given)?
        .into_iter()
        .partition(|(entry, _)| !prune || !is_dead(entry.state));
    for (entry, options) in &dead {
        logout::entry(entry, options, say).await?;
    }
    let kept: Vec<Entry> = kept.into_iter().map(|(entry, _)| entry).collect();
    if kept.is_empty() && dead.is_empty() {
        say.text("no credentials are kept; to log in: mcp-authz login URL");
    }
    let rows: Vec<[String; 4]> = kept.iter().map(row).collect();
    let width = |at: usize| {
        rows.iter()
            .filter_map(|row| row.get(at))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let (server, account, state) = (width(0), width(1), width(2));
    for (entry, [url, name, stands, rest]) in kept.iter().zip(&rows) {
        let text = format!("{url:<server$}  {name:<account$}  {stands:<state$}  {rest}");
        say.result(text.trim_end(), &line(entry));
    }
    Ok(())
}

fn row(entry: &Entry) -> [String; 4] {
    let rest = match (entry.state, &entry.issuer) {
        (State::Authorized { until: Some(until) }, _) => format!("for {}", left(until.unix())),
        (_, Some(issuer)) => format!("by {}", shown(issuer)),
        _ => String::new(),
    };
    let account = entry.account.as_deref().map_or_else(|| "-".to_owned(), escaped);
    [shown(&entry.mcp_url), account, entry.state.to_string(), rest]
}

/// Returns true if nothing can be done with the entry but to forget it.
const fn is_dead(state: State) -> bool {
    matches!(state, State::Expired | State::Rejected)
}
