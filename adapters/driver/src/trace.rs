//! Traces: what sessions were given and what they did, as a file that replays, so that a report of a
//! bug is a file.
//!
//! All that a session knows comes from its configuration and from the inputs, the times and the random
//! bytes of its steps. A trace holds these, and the effects that they had. [`Replay`] gives them to the
//! core again, offline, and compares the effects: each step has the same ones, or the trace was made by
//! a program that decides otherwise, and the first step that differs says where.
//!
//! # Nothing real is in it
//!
//! [`Recording`] runs a second core beside each session, its shadow, which is given the same inputs with
//! a placeholder in the place of every text that is not on the list of what is kept. The configuration,
//! the inputs and the effects of the shadow are what is written. So a trace holds what the list lets
//! through, and nothing else:
//!
//! | kept | as a placeholder, by kind and number |
//! | --- | --- |
//! | the clocks, statuses, lengths, numbers of steps, callers and generations | every token, code, `state`, verifier, secret, client identifier, account |
//! | members, parameters and attributes that the specifications or our records define, and numbers where they are times | all other members, with their names, and every text that is no word of the protocols |
//! | header fields that the specifications define, by name | all other fields, with their names, and most values |
//! | of a URL: the scheme, addresses, `localhost` and other special names, ports, and segments such as `.well-known` and `token` | every label of a host, every other segment, each parameter's name and value |
//! | words of the protocols, such as `invalid_grant`; methods of MCP | scopes, the names of tools, words of people one by one |
//!
//! A placeholder such as `access-2xxxx` has the shape of what it stands for: no shorter, with the same
//! kinds of odd characters, the same one for the same text, and in a URL label by label and segment by
//! segment. So whatever the core compares, cuts, joins and measures comes out alike. Random bytes are
//! replaced by a counter. What both cores draw of them, a `state` or the name of a login, is learnt by
//! comparing their effects.
//!
//! The effects of both cores are compared at each step: they must be the same but for the placeholders.
//! If they are not, the list has lost something that mattered; the step says so (`diverged`), and that
//! is a bug of this module. A deployment's own rule about URLs
//! ([`url_policy`](mcp_authz_core::config::ConfigBuilder::url_policy)) is not in a trace: a session that
//! has one may diverge.
//!
//! While a recording goes on, copies of secrets are in the memory of the process, and not all of them are
//! wiped.
//!
//! # The file
//!
//! One JSON object a line.
//!
//! ```text
//! {"trace":1,"program":"mcp-authz 0.1.0"}                    the first line: the format, and who wrote it
//! {"session":1,"setup":{"mcp_url":"https://host-1.example/mcp",..}}               a session begins
//! {"session":1,"step":1,"wall":1785542400,"mono":1000,"mark":7,"input":{..},"effects":{..}}
//! {"session":1,"step":2,..,"restored":{..},"effects":{..}}   it is taken up from a snapshot
//! {"session":1,"step":3,..,"effects":null,"diverged":"misuse"}    see above
//! {"session":2,"lost":"config_invalid"}                      a session that cannot be recorded begins
//! {"stopped":"limit"}                                        the trace is as large as it may be
//! ```
//!
//! `wall` is in seconds since 1970, `mono` in milliseconds since any moment. `mark` is the part of the
//! random bytes that is no secret: it tells one step from another, and the length of pauses is taken from
//! it. An input is `acquire`, `log_in`, `challenge`, `callback`, `code`, `unshown`, `answer`, `cancel`,
//! `forget` or `wake`; effects are what is `told` and the `work` to be done. Lines are written as steps
//! are taken, so what a program that was killed leaves is a trace as well. A newer format has a higher
//! number, and is refused.

mod compare;
mod fields;
mod forms;
mod json;
mod lines;
mod mapping;
mod names;
mod parts;
mod recording;
mod replay;
mod setup;
mod shown;
mod snapshot;
#[cfg(test)]
mod tests;
mod url;
mod words;

pub use lines::FORMAT;
pub use recording::{LARGEST, Recording};
pub use replay::{Differs, Replay, ReplayError, Replayed};

use std::sync::Arc;

use mcp_authz_core::effect::Effects;
use mcp_authz_core::internals::trace::Given;
use mcp_authz_core::session::{Session, Snapshot};

use lines::Step;

/// Takes one step of a trace.
fn take(session: &mut Session, step: &Step) -> Result<Effects, &'static str> {
    if let Some(snapshot) = &step.restored {
        let snapshot: Snapshot =
            serde_json::from_value(snapshot.clone()).map_err(|_| "snapshot")?;
        let restored = Session::restore(Arc::clone(session.config()), snapshot, step.env());
        let (taken_up, effects) = restored.map_err(|_| "restored")?;
        *session = taken_up;
        return Ok(effects);
    }
    let input = step.input.clone().and_then(Given::input).ok_or("input")?;
    session.handle(input, step.env()).map_err(|_| "misuse")
}
