//! The two drivers that share a session, whole and in every interleaving: nobody is left waiting.
//!
//! There is no time here. A thread that nobody wakes sleeps for ever, and loom reports it: what
//! passes needs no deadline to heal it.

use core::future::{Future, pending};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, OnceLock};

use futures_channel::oneshot;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use loom::thread::{Builder, JoinHandle};
use mcp_authz_core::Config;
use mcp_authz_core::effect::{Bound, Limits, Reply, Settlement, Told, Work};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::{Acquire, ArrivalId, Callback, Epoch, Had, Input, Refusal, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Env, Session, Snapshot};
use mcp_authz_core::time::{Monotonic, Timestamp};

use crate::AuthSession;
use crate::clock::Clock;
use crate::entropy::Random;
use crate::error::DriveError;
use crate::ports::{AsyncHttp, Body, Common, Http, NoBody, NoListener, Opened, Ports, Runtime};
use crate::sync::{Condvar, Mutex, STACK};
use crate::tasks::Tasks;
use crate::threads::Threads;

const MCP: &str = "https://mcp.example/mcp";
const WALL: Timestamp = Timestamp::from_unix(1_795_000_000);

fn config() -> Arc<Config> {
    Config::builder(MCP).build().unwrap()
}

/// Answers at once, and counts the token requests.
#[derive(Clone, Default)]
struct Server {
    count: Arc<AtomicUsize>,
    /// Its metadata is sound; otherwise a login ends with its first answer.
    sound: bool,
    /// A token is answered only when somebody has asked for the metadata.
    gate: Option<Arc<Gate>>,
}

/// Shut until somebody opens it, for threads and for tasks.
struct Gate {
    open: Mutex<bool>,
    turned: Condvar,
    opener: std::sync::Mutex<Option<oneshot::Sender<()>>>,
    opened: std::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl Gate {
    fn new() -> Self {
        let (opener, opened) = oneshot::channel();
        let (opener, opened) = (Some(opener).into(), Some(opened).into());
        Self { open: Mutex::new(false), turned: Condvar::new(), opener, opened }
    }

    fn pass(&self, request: &Request<Vec<u8>>) {
        if request.uri().path() == "/token" {
            let mut open = self.open.lock().unwrap();
            while !*open {
                open = self.turned.wait(open).unwrap();
            }
        } else {
            *self.open.lock().unwrap() = true;
            self.turned.notify_all();
        }
    }

    async fn pass_async(&self, request: &Request<Vec<u8>>) {
        if request.uri().path() == "/token" {
            let opened = self.opened.lock().unwrap().take();
            opened.unwrap().await.unwrap();
        } else if let Some(opener) = self.opener.lock().unwrap().take() {
            let _nobody_waits_yet = opener.send(());
        }
    }
}

impl Server {
    fn answer(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        let body = match request.uri().path() {
            "/.well-known/oauth-protected-resource/mcp" if !self.sound => {
                r#"{"resource":"https://other.example/mcp"}"#.to_owned()
            }
            "/.well-known/oauth-protected-resource/mcp" => {
                r#"{"resource":"https://mcp.example/mcp",
                    "authorization_servers":["https://auth.example"],
                    "scopes_supported":["a","b"]}"#
                    .to_owned()
            }
            "/.well-known/oauth-authorization-server" => r#"{"issuer":"https://auth.example",
                    "authorization_endpoint":"https://auth.example/authorize",
                    "token_endpoint":"https://auth.example/token",
                    "registration_endpoint":"https://auth.example/register",
                    "response_types_supported":["code"],
                    "code_challenge_methods_supported":["S256"]}"#
                .to_owned(),
            "/register" => r#"{"client_id":"c","redirect_uris":["http://127.0.0.1:4711/callback"],
                    "token_endpoint_auth_method":"none"}"#
                .to_owned(),
            "/token" => {
                let count = self.count.fetch_add(1, Ordering::SeqCst);
                format!(
                    r#"{{"access_token":"t{count}","token_type":"Bearer","expires_in":3600,
                        "refresh_token":"r{count}","scope":"a"}}"#
                )
            }
            path => panic!("{path}"),
        };
        let status = if request.uri().path() == "/register" { 201 } else { 200 };
        let answer = Response::builder().status(status).header("content-type", "application/json");
        answer.body(body.into_bytes()).unwrap()
    }

    fn tokens(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Http for Server {
    fn send(&self, request: Request<Vec<u8>>, _: &Limits) -> Reply {
        if let Some(gate) = &self.gate {
            gate.pass(&request);
        }
        Reply::Answered(self.answer(&request))
    }
    fn open(&self, _: Request<Vec<u8>>, _: &Limits) -> Opened<Box<dyn Body>> {
        unreachable!("nobody sends requests of their own")
    }
}

impl AsyncHttp for Server {
    type Body = NoBody;

    async fn send(&self, request: Request<Vec<u8>>, _: &Limits) -> Reply {
        if let Some(gate) = &self.gate {
            gate.pass_async(&request).await;
        }
        Reply::Answered(self.answer(&request))
    }
    async fn open(&self, _: Request<Vec<u8>>, _: &Limits) -> Opened<NoBody> {
        unreachable!("nobody sends requests of their own")
    }
}

/// A thread for each task; time never passes.
struct OnThreads;

impl Runtime for OnThreads {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        start(move || loom::future::block_on(task));
    }
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send {
        pending()
    }
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        Some(work())
    }
}

struct Still;

impl Clock for Still {
    fn wall(&self) -> Timestamp {
        WALL
    }
    fn mono(&self) -> Monotonic {
        Monotonic::from_millis(1_000_000)
    }
}

/// Never the same twice, and the same in every run.
struct Counting(AtomicUsize);

impl Random for Counting {
    fn draw(&self) -> Option<Entropy> {
        Some(entropy(self.0.fetch_add(1, Ordering::SeqCst)))
    }
}

fn entropy(seed: usize) -> Entropy {
    let mut bytes = [0x5a; Entropy::BYTES];
    for (at, byte) in seed.to_le_bytes().into_iter().enumerate() {
        bytes[at] ^= byte;
        bytes[Entropy::BYTES - 1 - at] = byte;
    }
    Entropy::new(bytes)
}

fn common() -> Common {
    let random = Arc::new(Counting(AtomicUsize::new(1_000)));
    Common { clock: Arc::new(Still), random, ..Common::default() }
}

/// A session with a token, at rest: its login is no part of any model.
fn logged_in() -> Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(log_in).clone()
}

fn log_in() -> Snapshot {
    // Its tokens are other ones than those of any model.
    let server = Server { count: Arc::new(AtomicUsize::new(100)), sound: true, gate: None };
    let mut session = Session::new(config());
    let scopes = ScopeSet::empty();
    let mut next = Some(Input::Acquire(Acquire { waiter: WaiterId(0), scopes, may_ask: true }));
    let mut seed = 0;
    while let Some(input) = next.take() {
        seed += 1;
        let mono = Monotonic::from_millis(1);
        let env = Env { wall: WALL, mono, entropy: entropy(seed) };
        let effects = session.handle(input, env).unwrap();
        for told in effects.told {
            if let Told::Open(visit) = told {
                let (_, rest) = visit.url().split_once("&state=").unwrap();
                let state = rest.split('&').next().unwrap();
                let callback = Callback::url(format!("code=x&state={state}"));
                next = Some(Input::Callback { arrival: ArrivalId(1), callback });
            }
        }
        for work in effects.work {
            next = Some(match work {
                Work::Call(call) => {
                    let (request, _, ticket) = call.split();
                    ticket.answer(Reply::Answered(server.answer(&request)))
                }
                Work::Listen(listen) => listen.split().1.answer(Bound::Port(4711)),
                Work::Store(_) | Work::Sign(_) => panic!("nothing is stored or signed"),
            });
        }
    }
    assert_eq!(session.granted().unwrap().epoch(), Epoch(1));
    session.snapshot()
}

fn refused(status: StatusCode, challenge: &'static str, may_ask: bool) -> Refusal {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    let (epoch, operation) = (Some(Epoch(1)), "tools/list".to_owned());
    Refusal { epoch, status, headers, operation, accepted: None, had: Had::default(), may_ask }
}

/// The token was refused: a refresh helps.
fn revoked() -> Refusal {
    refused(StatusCode::UNAUTHORIZED, r#"Bearer error="invalid_token""#, false)
}

/// More is needed, for which the metadata is of no use.
fn too_narrow() -> Refusal {
    let challenge = r#"Bearer error="insufficient_scope", scope="c""#;
    refused(StatusCode::FORBIDDEN, challenge, true)
}

type Settled = Result<Settlement, DriveError>;

#[track_caller]
fn healed(settled: Settled) {
    assert_eq!(settled.unwrap().outcome.unwrap().epoch(), Epoch(2));
}

#[track_caller]
fn failed(settled: Settled, kind: Kind) {
    assert_eq!(settled.unwrap().outcome.unwrap_err().kind(), kind);
}

fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().stack_size(STACK).spawn(work).unwrap()
}

/// Every interleaving with so many preemptions at most; `LOOM_MAX_PREEMPTIONS` says otherwise.
fn model(test: impl Fn() + Send + Sync + 'static) {
    logged_in();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.max_branches = 100_000;
    let test = Arc::new(test);
    builder.check(move || {
        let test = Arc::clone(&test);
        // The model's own thread has little stack.
        start(move || test()).join().unwrap();
    });
}

type OfThreads = AuthSession<Threads<Server, NoListener>>;
type OfTasks = AuthSession<Tasks<Server, NoListener, OnThreads>>;

fn gated() -> Server {
    Server { gate: Some(Arc::new(Gate::new())), ..Server::default() }
}

fn threads(server: Server) -> (Server, OfThreads) {
    let ports = Ports { http: server.clone(), listener: NoListener, runtime: () };
    (server, OfThreads::resume(config(), logged_in(), ports, common()).unwrap())
}

fn tasks(server: Server) -> (Server, OfTasks) {
    let ports = Ports { http: server.clone(), listener: NoListener, runtime: OnThreads };
    (server, OfTasks::resume(config(), logged_in(), ports, common()).unwrap())
}

#[test]
fn loom_threads_that_are_refused_share_one_refresh_host_222() {
    model(|| {
        let (server, session) = threads(Server::default());
        let other = session.clone();
        let other = start(move || other.challenge(revoked()));
        healed(session.challenge(revoked()));
        healed(other.join().unwrap());
        assert_eq!(server.tokens(), 1);
    });
}

/// Neither waits behind the other's work.
#[test]
fn loom_a_thread_is_settled_beside_anothers_login() {
    model(|| {
        let (server, session) = threads(gated());
        let other = session.clone();
        let other = start(move || other.challenge(too_narrow()));
        healed(session.challenge(revoked()));
        failed(other.join().unwrap(), Kind::ResourceMismatch);
        assert_eq!(server.tokens(), 1);
    });
}

#[test]
fn loom_threads_that_are_cancelled_leave_a_refresh_to_a_helper_host_195() {
    model(|| {
        let (server, session) = threads(Server::default());
        let other = session.clone();
        let other = start(move || other.challenge(revoked()));
        session.cancel().unwrap();
        match other.join().unwrap().unwrap().outcome {
            Ok(granted) => assert_eq!(granted.epoch(), Epoch(2)),
            Err(failure) => assert_eq!(failure.kind(), Kind::Cancelled),
        }
        session.quiet().unwrap();
        assert_eq!(session.granted().unwrap().epoch(), Epoch(2));
        assert_eq!(server.tokens(), 1);
    });
}

#[test]
fn loom_tasks_that_are_refused_share_one_refresh_host_222() {
    model(|| {
        let (server, session) = tasks(Server::default());
        let other = session.clone();
        let other = start(move || loom::future::block_on(other.challenge(revoked())));
        healed(loom::future::block_on(session.challenge(revoked())));
        healed(other.join().unwrap());
        assert_eq!(server.tokens(), 1);
    });
}

/// Work that comes when the runner sleeps, or is about to leave, is done by it or by the next.
#[test]
fn loom_a_runner_leaves_no_work_behind() {
    model(|| {
        let (server, session) = tasks(gated());
        let other = session.clone();
        let other = start(move || loom::future::block_on(other.challenge(too_narrow())));
        healed(loom::future::block_on(session.challenge(revoked())));
        failed(other.join().unwrap(), Kind::ResourceMismatch);
        assert_eq!(server.tokens(), 1);
    });
}

#[test]
fn loom_a_task_that_is_cancelled_is_settled_and_its_refresh_goes_on_host_195() {
    model(|| {
        let (server, session) = tasks(Server::default());
        let other = session.clone();
        let other = start(move || loom::future::block_on(other.challenge(revoked())));
        session.cancel().unwrap();
        match other.join().unwrap().unwrap().outcome {
            Ok(granted) => assert_eq!(granted.epoch(), Epoch(2)),
            Err(failure) => assert_eq!(failure.kind(), Kind::Cancelled),
        }
        loom::future::block_on(session.quiet());
        assert_eq!(session.granted().unwrap().epoch(), Epoch(2));
        assert_eq!(server.tokens(), 1);
    });
}
