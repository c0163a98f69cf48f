//! One connection: requests one after another, and what is said meanwhile.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mcp_authz_core::failure::Remedy;
use serde_json::Value;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::audit::Line;
use super::frame::{Broken, Lines, write_line};
use super::keeper::{Agent, end, ending, too_late};
use super::protocol::{self, IDLE, LONGEST, REST, Request, Unread, WRITE};
use super::rights::{Door, Peer, Rights};
use super::{owner, restricted};
use crate::fault::Fault;
use crate::relay::{Relay, Said};

/// The time that a request without a deadline of its own may take.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A connection and its peer.
struct Conversation {
    lines: Lines<OwnedReadHalf>,
    to: OwnedWriteHalf,
    /// A request that came while another was out.
    next: Option<Vec<u8>>,
    /// The peer sends nothing more.
    heard_all: bool,
    ending: watch::Receiver<bool>,
}

/// Nobody is at the other end any more.
struct Gone;

/// Answers requests until the peer goes, is silent for long, or the agent ends.
pub(crate) fn visit(
    stream: UnixStream,
    peer: Peer,
    door: Arc<Door>,
    agent: Arc<Agent>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(hold(stream, peer, door, agent))
}

async fn hold(stream: UnixStream, peer: Peer, door: Arc<Door>, agent: Arc<Agent>) {
    let (from, to) = stream.into_split();
    let ending = agent.ending.subscribe();
    let mut this =
        Conversation { lines: Lines::new(from), to, next: None, heard_all: false, ending };
    if this.write(&protocol::greeting(door.may())).await.is_err() {
        return;
    }
    while let Some(line) = this.request().await {
        let audit = |request: &str, server: &str, outcome: &str| {
            let socket = door.name.as_str();
            agent.audit.line(&Line { peer, socket, request, server, outcome });
        };
        let line = match line {
            Ok(line) => line,
            Err(fault) => {
                audit("unread", "", fault.code());
                let _or_it_has_gone = this.answer(&Value::Null, Err(fault)).await;
                return;
            }
        };
        // It came too late for the page that it was meant for.
        if protocol::pasted(&line).is_some() {
            continue;
        }
        let (id, done) = match protocol::read(&line, door.may()) {
            Err(unread) => {
                let Unread { id, name, fault } = *unread;
                audit(name.unwrap_or("unread"), "", fault.code());
                (id, Ok(Err(fault)))
            }
            Ok((id, name, request)) => {
                let server = request.about();
                let done = this.perform(&id, request, &door, &agent).await;
                let outcome = match &done {
                    Ok(Ok(_)) => "ok",
                    Ok(Err(fault)) => fault.code(),
                    Err(Gone) => "peer_gone",
                };
                audit(name, &server, outcome);
                (id, done)
            }
        };
        let Ok(outcome) = done else { return };
        if this.answer(&id, outcome).await.is_err() {
            return;
        }
    }
}

impl Conversation {
    /// The next request; `None` if there is to be none.
    async fn request(&mut self) -> Option<Result<Vec<u8>, Fault>> {
        if let Some(line) = self.next.take() {
            return Some(Ok(line));
        }
        if self.heard_all {
            return None;
        }
        let line = tokio::select! {
            () = end(&mut self.ending) => return None,
            line = self.lines.next_within(IDLE, REST) => line,
        };
        match line {
            Ok(line) => Ok(line).transpose(),
            Err(Broken::TooLong) => Some(Err(too_long())),
            Err(Broken::TooSlow) => Some(Err(too_slow())),
            Err(Broken::Gone) => None,
        }
    }

    /// Performs a request, and passes on meanwhile what it says and what the peer sends.
    async fn perform(
        &mut self,
        id: &Value,
        request: Request,
        door: &Arc<Door>,
        agent: &Arc<Agent>,
    ) -> Result<Result<Value, Fault>, Gone> {
        let deadline = request.deadline().unwrap_or(FOREVER);
        let (to, mut said) = mpsc::unbounded_channel();
        let relay = Relay::new(to, Arc::clone(&agent.logins));
        let patient = request.is_patient();
        let mut doing = std::pin::pin!(dispatch(request, door, agent, relay.clone()));
        let mut late = std::pin::pin!(sleep(deadline));
        loop {
            tokio::select! {
                biased;
                Some(said) = said.recv() => self.pass_on(id, &said).await?,
                done = &mut doing => {
                    while let Ok(said) = said.try_recv() {
                        self.pass_on(id, &said).await?;
                    }
                    return Ok(done);
                }
                () = &mut late => return Ok(Err(too_late(deadline))),
                line = self.lines.next(), if self.next.is_none() && !self.heard_all => {
                    self.meanwhile(line, &relay, patient).await?;
                }
                () = end(&mut self.ending), if patient => {
                    return Ok(Err(ending()));
                }
            }
        }
    }

    /// Takes what the peer sends while a request is out. One that closes its end altogether gives
    /// the request up; one that only has no more to say may wait for the answer.
    async fn meanwhile(
        &mut self,
        line: Result<Option<Vec<u8>>, Broken>,
        relay: &Relay,
        patient: bool,
    ) -> Result<(), Gone> {
        match line {
            Ok(Some(line)) => match protocol::pasted(&line) {
                Some(text) => relay.paste(&text),
                None => self.next = Some(line),
            },
            Err(Broken::TooLong | Broken::TooSlow) => return Err(Gone),
            Ok(None) | Err(Broken::Gone) => {
                self.heard_all = true;
                let ready = self.to.ready(Interest::WRITABLE).await;
                if patient || ready.is_ok_and(|ready| ready.is_write_closed()) {
                    return Err(Gone);
                }
            }
        }
        Ok(())
    }

    async fn pass_on(&mut self, id: &Value, said: &Said) -> Result<(), Gone> {
        let said = serde_json::to_value(said).map_err(|_| Gone)?;
        self.send(id, "said", &said).await
    }

    async fn answer(&mut self, id: &Value, outcome: Result<Value, Fault>) -> Result<(), Gone> {
        match outcome {
            Ok(value) => self.send(id, "ok", &value).await,
            Err(fault) => self.send(id, "error", &fault.wire()).await,
        }
    }

    async fn send(&mut self, id: &Value, member: &str, value: &Value) -> Result<(), Gone> {
        for line in protocol::lines(id, member, value) {
            self.write(&line).await?;
        }
        Ok(())
    }

    async fn write(&mut self, line: &str) -> Result<(), Gone> {
        write_line(&mut self.to, line, WRITE).await.map_err(|_| Gone)
    }
}

async fn dispatch(
    request: Request,
    door: &Arc<Door>,
    agent: &Arc<Agent>,
    relay: Relay,
) -> Result<Value, Fault> {
    match &door.rights {
        Rights::Owner => owner::perform(request, agent, relay, visit).await,
        Rights::Restricted(allowance) => restricted::perform(request, allowance, agent).await,
    }
}

fn too_long() -> Fault {
    let text = format!("a message is at most {LONGEST} bytes long");
    Fault::new("too_long", &text, Remedy::Configure).advised(["send less at once"])
}

fn too_slow() -> Fault {
    let text = format!("a message that is begun is ended within {} s", REST.as_secs());
    Fault::new("too_slow", &text, Remedy::Configure).advised(["correct the program that asks"])
}
