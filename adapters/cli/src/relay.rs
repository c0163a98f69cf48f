//! What a command says when the agent performs it for another program: sent there, and said there.

#![cfg_attr(not(unix), allow(dead_code, reason = "there is no agent"))]

use std::sync::{Arc, Mutex, PoisonError};

use mcp_authz_tokio::driver::person::{Answers, Person};
use mcp_authz_tokio::{Desktop, Page, Terminal, Visit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Mutex as Queue, OwnedMutexGuard, mpsc};

/// The environment variable with the path of the agent's socket.
pub(crate) const VARIABLE: &str = "MCP_AUTHZ_AGENT";

/// One thing said: a text for people, a line for programs, or both. Whoever asked shows the one that
/// its reader wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
pub(crate) enum Said {
    /// A result.
    Result { text: String, line: Value },
    /// A thing that was done.
    Done { text: String, line: Value },
    /// A result for people alone.
    Text { text: String },
    /// An aside.
    Aside { text: String, line: Value },
    /// A step of a session.
    Progress { text: String, expected: bool },
    /// A thing that is waited for.
    Busy { text: String },
    /// Nothing is waited for.
    Idle,
    /// A fault that does not end the command.
    Fault { fault: Value },
    /// A page that is shown to a person now, who may paste the address that they end up at.
    Page { line: Value },
    /// A line about that page, for people alone.
    Line { text: String },
    /// A restricted socket listens now.
    Listening { socket: String },
}

/// One page at a time, whatever the server: two at once, and a person agrees to the wrong one.
pub(crate) type Logins = Arc<Queue<()>>;

/// The way to the program that asked. Clones lead to the same one.
#[derive(Clone)]
pub(crate) struct Relay {
    to: mpsc::UnboundedSender<Said>,
    logins: Logins,
    /// Where the answer to the page goes that is shown now.
    answers: Arc<Mutex<Option<Answers>>>,
}

impl Relay {
    /// A relay into this channel, in this queue of logins.
    pub(crate) fn new(to: mpsc::UnboundedSender<Said>, logins: Logins) -> Self {
        Self { to, logins, answers: Arc::default() }
    }

    /// Sends it, if somebody still listens.
    pub(crate) fn say(&self, said: Said) {
        let _or_it_has_gone = self.to.send(said);
    }

    /// Waits until no other login has a page open.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        if let Ok(turn) = Arc::clone(&self.logins).try_lock_owned() {
            return turn;
        }
        let text = "another login has its page open: this one waits".to_owned();
        self.say(Said::Aside { text, line: json!({"event": "queued"}) });
        Arc::clone(&self.logins).lock_owned().await
    }

    /// The person in front of the program that asked. The browser is that of the agent: only what a
    /// session made is ever opened, and no text that came over a socket.
    pub(crate) fn person(&self, no_browser: bool) -> Arc<dyn Person> {
        let this = self.clone();
        let lines = move |line: &str| this.say(Said::Line { text: line.to_owned() });
        let person: Arc<dyn Person> = match no_browser {
            true => Arc::new(Terminal::new().say(lines).without_pasting()),
            false => Arc::new(Desktop::new().say(lines).without_pasting()),
        };
        let slot = Arc::clone(&self.answers);
        Arc::new(move |visit: &Visit, answers: Answers| {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(answers.clone());
            person.show(visit, answers);
        })
    }

    /// Takes in what the person pasted.
    pub(crate) fn paste(&self, text: &str) {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(answers) = answers.filter(Answers::awaited) else { return };
        let this = self.clone();
        answers.give(text, move |page| {
            let text = match page {
                Page::Refused(kind) => {
                    format!("That was not it: {}. Paste the whole address.", kind.sentence())
                }
                Page::Untrusted { failure, .. } => format!(
                    "This answer cannot be trusted: {failure}. The login waits for a better one; if \
                     you expect none, cancel it."
                ),
                _ => return,
            };
            this.say(Said::Line { text });
        });
    }
}
