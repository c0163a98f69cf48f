//! A stdio MCP server in front of a remote one, for host applications that can only start commands.
//!
//! | module | decides |
//! | --- | --- |
//! | `lines` | what a line is |
//! | `message` | what kind of message a line holds |
//! | `era` | what the revisions say differently |
//! | `desk` | whose answer an answer is, and whose turn it is |
//! | `hidden` | which tools the host sees |
//! | `headers` | which headers go with every request |
//! | `error` | what the host is told of a failure |
//!
//! These are pure. Around them `host` takes in the host's lines, `calls` brings each request to its
//! outcome, `listen` passes on what the server says unasked, `link` holds the connection and `login`
//! shares one login with every other bridge of the same server and account; `hub` is what they share.
//!
//! Standard output has nothing but messages; whatever else there is to say goes to standard error,
//! which hosts keep as a log.

mod calls;
mod desk;
mod era;
mod error;
mod headers;
mod hidden;
mod host;
mod hub;
mod lines;
mod link;
mod listen;
mod login;
mod message;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_authz_core::failure::{Remedy, escaped};
use tokio::sync::mpsc;

use crate::bridge::hidden::Hidden;
use crate::bridge::host::Host;
use crate::bridge::hub::{Hub, Phase};
use crate::bridge::lines::Line;
use crate::bridge::link::Link;
use crate::bridge::login::{Login, Pages};
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::Server;
use crate::way::Lender;

/// How long the next answer is waited for after the host has closed its end, which may have been the
/// end of a script. The SDKs ask a server that is not gone two seconds later to end, and then kill it.
const GRACE: Duration = Duration::from_secs(1);
/// How long the server may take to be told that they are cancelled, and then over its farewell.
const FAREWELL: Duration = Duration::from_millis(400);
/// How long tokens may take that are on their way into the store: a refresh that is cut off costs a
/// login.
const SAVING: Duration = Duration::from_secs(10);
/// How often it is looked whether calls have ended.
const LOOK: Duration = Duration::from_millis(10);

/// The settings of a bridge beside those of every command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Headers as `Name: value`.
    pub(crate) headers: Vec<String>,
    /// Patterns of the names of tools that are left out.
    pub(crate) ignored: Vec<String>,
    /// Answer `initialize` with an error if a login is not done in time.
    pub(crate) strict: bool,
}

/// Runs until the host closes its end, or the system asks for an end.
pub(crate) async fn run(
    url: String,
    options: Options,
    wishes: &Wishes,
    say: &Say,
) -> Result<(), Fault> {
    crate::say::log_aside();
    let headers = headers::read(&wishes.headers, |name| std::env::var(name).ok())?;
    let pages = Pages::default();
    let lender = lender(&url, &options).await?;
    let heard = (pages.clone(), pages.spent());
    let server = Server::open_asking(url, options, say, heard, lender)?;
    let manager = server.manager.clone();
    let login = Login::new(server, pages)?;
    let link = Link::new(Arc::clone(&login), headers);
    let lines = lines::read(io::stdin()).map_err(|error| machine(&error))?;
    let out = lines::write(io::stdout()).map_err(|error| machine(&error))?;
    let hidden = Hidden::new(&wishes.ignored);
    let hub = Hub::new(login, link, out, hidden, wishes.strict);
    serve(&hub, lines).await;
    hub.desk().cancel_all();
    let _or_the_server_finds_out = tokio::time::timeout(FAREWELL, answered(&hub)).await;
    let _or_it_forgets_by_itself = tokio::time::timeout(FAREWELL, hub.link.close()).await;
    let _or_they_are_lost = tokio::time::timeout(SAVING, manager.session().quiet()).await;
    let _nobody_reads = tokio::time::timeout(FAREWELL, hub.out.written()).await;
    Ok(())
}

/// The agent that the environment names, if it does.
async fn lender(url: &str, options: &Options) -> Result<Option<Lender>, Fault> {
    #[cfg(unix)]
    if let Some(path) = crate::agent::client::named().filter(|_| crate::trace::recorder().is_none())
    {
        return Lender::at(path, url, options).await.map(Some);
    }
    let _ = (url, options);
    Ok(None)
}

/// Takes in lines to their end, and gives the calls that are out then a moment.
async fn serve(hub: &Arc<Hub>, mut lines: mpsc::Receiver<Line>) {
    let host = Host::new(Arc::clone(hub));
    let taken = async {
        while let Some(line) = lines.recv().await {
            host.hear(line).await;
        }
        answered(hub).await;
    };
    tokio::select! {
        () = taken => {}
        () = hub.out.closed() => {}
        () = end_is_asked() => {}
    }
}

fn machine(error: &io::Error) -> Fault {
    let text = format!("this machine gives the program no thread: {}", escaped(&error.to_string()));
    Fault::new("setup", &text, Remedy::Retry { after: None })
}

/// Waits until every call is answered, for as long as there are answers. The one to `initialize` has
/// a time of its own.
async fn answered(hub: &Hub) {
    let (mut before, mut at) = (usize::MAX, Instant::now());
    loop {
        let left = hub.desk().unanswered();
        if left == 0 {
            return;
        }
        if left < before || hub.state().phase == Phase::Starting {
            (before, at) = (left, Instant::now());
        }
        if at.elapsed() >= GRACE {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Is ready when the system wants the program to end.
#[cfg(unix)]
async fn end_is_asked() {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let waits = signals.into_iter().filter_map(|kind| {
        let mut signal = signal(kind).ok()?;
        Some(Box::pin(async move { signal.recv().await }))
    });
    futures_util::future::select_all(waits).await;
}

#[cfg(not(unix))]
async fn end_is_asked() {
    let _asked = tokio::signal::ctrl_c().await;
}
