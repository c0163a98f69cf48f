//! A socket: who is let in, and how many.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mcp_authz_core::failure::Remedy;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::audit::Line;
use super::frame::write_line;
use super::keeper::{Agent, end};
use super::place::Bound;
use super::protocol::{CONNECTIONS, lines};
use super::rights::{Door, Peer, Rights};
use crate::fault::Fault;

/// The wait after a connection could not be taken: descriptors may be short for a while.
const PAUSE: Duration = Duration::from_millis(100);
/// The time in which a peer that is turned away has to take the reason.
const FAREWELL: Duration = Duration::from_millis(500);

/// Holds the conversation of one connection.
pub(crate) type Visit =
    fn(UnixStream, Peer, Arc<Door>, Arc<Agent>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves a socket until the agent ends, and its connections to their ends after that. Whoever drops
/// it ends them all.
pub(crate) async fn keep(
    bound: Bound,
    door: Door,
    agent: Arc<Agent>,
    visit: Visit,
) -> std::io::Result<()> {
    let listener = bound.listener()?;
    let door = Arc::new(door);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut visitors = JoinSet::new();
    let mut ending = agent.ending.subscribe();
    loop {
        tokio::select! {
            () = end(&mut ending) => break,
            Some(_) = visitors.join_next() => {}
            stream = next(&listener) => {
                if let Some((stream, peer, seat)) = admit(stream, &door, &places, &agent).await {
                    let (door, agent) = (Arc::clone(&door), Arc::clone(&agent));
                    visitors.spawn(async move {
                        visit(stream, peer, door, agent).await;
                        drop(seat);
                    });
                }
            }
        }
    }
    drop((listener, bound));
    while visitors.join_next().await.is_some() {}
    Ok(())
}

async fn next(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// The places that a connection takes.
type Seat = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// Lets a process of this user in while there is room. Another user's gets not a byte.
async fn admit(
    mut stream: UnixStream,
    door: &Door,
    places: &Arc<Semaphore>,
    agent: &Agent,
) -> Option<(UnixStream, Peer, Seat)> {
    let found = stream.peer_cred().ok()?;
    let peer = Peer { pid: found.pid(), uid: found.uid() };
    let turned_away = |outcome: &str| {
        let (socket, request) = (door.name.as_str(), "connect");
        agent.audit.line(&Line { peer, socket, request, server: "", outcome });
    };
    if peer.uid != rustix::process::geteuid().as_raw() {
        turned_away("foreign_user");
        return None;
    }
    let seat = Arc::clone(places).try_acquire_owned().ok().and_then(|place| {
        let guest = match door.rights {
            Rights::Owner => None,
            Rights::Restricted(_) => Some(Arc::clone(&agent.guests).try_acquire_owned().ok()?),
        };
        Some((place, guest))
    });
    let Some(seat) = seat else {
        turned_away("busy");
        for line in lines(&Value::Null, "error", &busy().wire()) {
            let _or_it_has_gone = write_line(&mut stream, &line, FAREWELL).await;
        }
        return None;
    };
    Some((stream, peer, seat))
}

fn busy() -> Fault {
    let text = "every connection of this socket is taken";
    Fault::new("busy", text, Remedy::Retry { after: None })
        .advised(["close a connection that is not used, and try again"])
}
