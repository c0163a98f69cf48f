//! The other end: a program that asks the agent. It checks whose process the agent is before it
//! sends a byte.

use std::env;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_authz_core::failure::Remedy;
use mcp_authz_tokio::host::terminal;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frame::{Broken, Lines, write_line};
use super::protocol::{Header, LONGEST, OWNERS, START_ADVICE, VERSION, WRITE};
use crate::fault::Fault;
use crate::relay::{Said, VARIABLE};

/// The time in which the agent has to greet.
const GREETING: Duration = Duration::from_secs(10);
/// The time beyond the agent's own deadline that an answer may take.
const GRACE: Duration = Duration::from_secs(30);
/// Longest answer that came in parts.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;

/// The socket that the environment names.
pub(crate) fn named() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A connection to an agent of this user.
pub(crate) struct Connection {
    lines: Lines<OwnedReadHalf>,
    to: OwnedWriteHalf,
    path: PathBuf,
    restricted: bool,
    count: u64,
}

/// Headers for one request.
pub(crate) struct Lent {
    /// Names and values; the values are secrets.
    pub(crate) headers: Vec<(String, String)>,
    /// The mark to name if the server answers 401.
    pub(crate) mark: String,
    /// The end of the token, in seconds since 1970.
    pub(crate) expires: Option<i64>,
    pub(crate) scope: Option<String>,
}

impl Connection {
    /// Connects; `None` if nobody is there.
    pub(crate) async fn open_if_there(path: &Path) -> Result<Option<Self>, Fault> {
        match UnixStream::connect(path).await {
            Ok(stream) => Self::greeted(stream, path).await.map(Some),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(unreachable(path, &error)),
            },
        }
    }

    /// Connects to the agent that is there.
    pub(crate) async fn open(path: &Path) -> Result<Self, Fault> {
        let found = Self::open_if_there(path).await?;
        found.ok_or_else(|| unreachable(path, &"nobody answers there"))
    }

    async fn greeted(stream: UnixStream, path: &Path) -> Result<Self, Fault> {
        let peer = stream.peer_cred().map_err(|error| unreachable(path, &error))?;
        if peer.uid() != rustix::process::geteuid().as_raw() {
            return Err(foreign(path, peer.uid()));
        }
        let (from, to) = stream.into_split();
        let mut lines = Lines::new(from);
        let line = timeout(GREETING, lines.next()).await;
        let line = line.map_err(|_| unreachable(path, &"it does not greet"))?;
        let Ok(Some(line)) = line else {
            return Err(unreachable(path, &"it closed the connection"));
        };
        let greeting: Value = serde_json::from_slice(&line).unwrap_or_default();
        if let Some(fault) = greeting.get("error") {
            return Err(Fault::told(fault.clone()));
        }
        let versions = greeting.get("versions").and_then(Value::as_array);
        if !versions.is_some_and(|all| all.contains(&json!(VERSION))) {
            return Err(Fault::new(
                "unknown_version",
                &format!("what listens at {} speaks no version known here", path.display()),
                Remedy::Configure,
            )
            .advised(["use the same version of mcp-authz on both sides"]));
        }
        let restricted = greeting.get("socket") != Some(&json!("owner"));
        Ok(Self { lines, to, path: path.to_owned(), restricted, count: 0 })
    }

    /// Returns true if it has `header` and `call` at most, and takes no options.
    pub(crate) const fn is_restricted(&self) -> bool {
        self.restricted
    }

    /// The headers for a request that the caller sends itself.
    pub(crate) async fn header(&mut self, header: &Header) -> Result<Lent, Fault> {
        let mut message = serde_json::to_value(header).map_err(|error| unsaid(&error))?;
        named_as(&mut message, "header");
        let lent = self.ask(message, Some(Duration::from_secs(60)), |_| {}).await?;
        let text = |name: &str| lent.get(name).and_then(Value::as_str).map(str::to_owned);
        let headers = lent.get("headers").and_then(Value::as_object);
        let headers = headers.into_iter().flatten();
        let headers: Vec<_> = headers
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        Ok(Lent {
            headers,
            mark: text("mark").unwrap_or_default(),
            expires: lent.get("expires").and_then(Value::as_i64),
            scope: text("scope"),
        })
    }

    /// Sends a request and waits for its end. What is said meanwhile goes to `hear`.
    pub(crate) async fn ask(
        &mut self,
        mut message: Value,
        deadline: Option<Duration>,
        mut hear: impl FnMut(Said),
    ) -> Result<Value, Fault> {
        self.count += 1;
        if let Some(members) = message.as_object_mut() {
            // Its options were decided when it was made, and the secrets of others are not for it.
            members.retain(|name, _| !self.restricted || !OWNERS.contains(&name.as_str()));
            members.insert("version".to_owned(), json!(VERSION));
            members.insert("id".to_owned(), json!(self.count));
        }
        let text = message.to_string();
        if text.len() > LONGEST {
            return Err(unsaid(&format!("a message is at most {LONGEST} bytes long")));
        }
        if write_line(&mut self.to, &text, WRITE).await.is_err() {
            return Err(self.ended());
        }
        let answered = self.answer(&mut hear);
        match deadline {
            None => answered.await,
            Some(deadline) => match timeout(deadline + GRACE, answered).await {
                Ok(answer) => answer,
                Err(_) => Err(super::keeper::too_late(deadline + GRACE)),
            },
        }
    }

    async fn answer(&mut self, hear: &mut impl FnMut(Said)) -> Result<Value, Fault> {
        let (paste, mut pasted) = mpsc::unbounded_channel();
        let mut pasting: Option<Pasting> = None;
        loop {
            let mut message = tokio::select! {
                message = message(&mut self.lines) => message.map_err(|()| self.ended())?,
                Some(text) = pasted.recv() => {
                    let text = json!({"version": VERSION, "paste": text}).to_string();
                    let _the_reading_notices = write_line(&mut self.to, &text, WRITE).await;
                    continue;
                }
            };
            if let Some(fault) = message.get_mut("error") {
                return Err(Fault::told(fault.take()));
            }
            if message.get("id") != Some(&json!(self.count)) {
                continue;
            }
            if let Some(said) = message.get_mut("said") {
                // A newer agent may say it in a way that is not known here.
                let Ok(said) = serde_json::from_value::<Said>(said.take()) else { continue };
                let page = matches!(said, Said::Page { .. });
                hear(said);
                if page && pasting.is_none() {
                    pasting = Pasting::begin(paste.clone(), hear);
                }
            } else if let Some(value) = message.get_mut("ok") {
                return Ok(value.take());
            }
        }
    }

    fn ended(&self) -> Fault {
        unreachable(&self.path, &"it ended before it answered")
    }
}

/// Lines of the terminal, taken in until it is dropped.
struct Pasting(Arc<AtomicBool>);

impl Pasting {
    /// Begins, if there is a terminal to read.
    fn begin(to: mpsc::UnboundedSender<String>, hear: &mut impl FnMut(Said)) -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let wanted = Arc::new(AtomicBool::new(true));
        let wants = Arc::clone(&wanted);
        let take = move |line: &str| {
            let _or_it_is_over = to.send(line.to_owned());
        };
        terminal::read_lines(move || wants.load(Ordering::SeqCst), take).then_some(())?;
        let text =
            "If that browser is on another machine, paste here the address that it ends up at.";
        hear(Said::Line { text: text.to_owned() });
        Some(Self(wanted))
    }
}

impl Drop for Pasting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// The next message, whole. It may be given up only before its first part.
async fn message(lines: &mut Lines<OwnedReadHalf>) -> Result<Value, ()> {
    let mut whole = String::new();
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) | Err(Broken::Gone | Broken::TooLong | Broken::TooSlow) => return Err(()),
        };
        let message: Value = serde_json::from_slice(&line).map_err(|_| ())?;
        let Some(piece) = message.get("part").and_then(Value::as_str) else { return Ok(message) };
        whole.push_str(piece);
        if whole.len() > LONGEST_ANSWER {
            return Err(());
        }
        if message.get("last") == Some(&Value::Bool(true)) {
            return serde_json::from_str(&whole).map_err(|_| ());
        }
    }
}

/// Gives a message the name of its request.
pub(crate) fn named_as(message: &mut Value, request: &str) {
    if let Some(members) = message.as_object_mut() {
        members.insert("request".to_owned(), json!(request));
    }
}

/// The fault of a request that cannot be put into a message.
pub(crate) fn unsaid(why: &dyn std::fmt::Display) -> Fault {
    Fault::new("too_long", &format!("the agent cannot be asked this: {why}"), Remedy::Configure)
        .advised(["do it without the agent: unset MCP_AUTHZ_AGENT"])
}

fn unreachable(path: &Path, why: &dyn std::fmt::Display) -> Fault {
    let text = format!("the agent at {} cannot be asked: {why}", path.display());
    Fault::new("agent_unreachable", &text, Remedy::Configure).advised(START_ADVICE)
}

fn foreign(path: &Path, uid: u32) -> Fault {
    let text = format!("what listens at {} is a process of user {uid}, not yours", path.display());
    Fault::new("foreign_agent", &text, Remedy::Configure)
        .advised(["ask nothing there: unset MCP_AUTHZ_AGENT, and start an agent of your own"])
}
