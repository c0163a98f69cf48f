//! What logins leave behind: descriptors, files and memory, counted after the tenth and after the two
//! thousandth. The sessions are kept all the while, as a program with many accounts keeps them.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use http::{Request, Response};
use mcp_authz_core::effect::{Bound, LoopbackHost, Reply, Told, Work};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::{Acquire, ArrivalId, Callback, WaiterId};
use mcp_authz_core::session::{Env, Session};
use mcp_authz_core::time::{Monotonic, Timestamp};
use mcp_authz_core::{Config, Input};
use mcp_authz_driver::ports::Store;
use mcp_authz_host::store::{FileStore, MemoryStore};
use serde_json::json;
use tempfile::TempDir;
use url::Url;

const ACCOUNTS: usize = 4;
/// Logins of each account before the first count.
const FIRST: u64 = 10;
/// What the lists that remember the last few things may still grow by after the tenth login.
const SLACK: i64 = 4 * 1024;

/// What the token endpoint makes of every code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codes {
    Good,
    Refused,
    /// The answer is lost on the way, every other time.
    LostOrGood,
}

/// One process with a session for each account, driven by hand on one thread, so that everything it
/// allocates is counted here.
struct Program<'a> {
    sessions: Vec<Session>,
    store: &'a dyn Store,
    codes: Codes,
    steps: u64,
    tokens: u64,
    outcome: Option<Result<(), Kind>>,
}

impl Codes {
    /// Logins of each account in all: of all accounts together two thousand good ones.
    const fn rounds(self) -> u64 {
        match self {
            Self::Good => 500,
            Self::Refused | Self::LostOrGood => 100,
        }
    }
}

impl<'a> Program<'a> {
    fn new(store: &'a dyn Store, codes: Codes) -> Self {
        let session = |account: usize| {
            let config = Config::builder("https://mcp.example/mcp")
                .account(&format!("account {account}"))
                .redirect_loopback(LoopbackHost::V4, Some(5000), "/callback")
                .persistent(true);
            Session::new(config.build().unwrap())
        };
        let sessions = (0..ACCOUNTS).map(session).collect();
        Self { sessions, store, codes, steps: 0, tokens: 0, outcome: None }
    }

    /// A minute passes with each round, and a millisecond with each step.
    fn env(&mut self) -> Env {
        self.steps += 1;
        // Every piece of it differs from step to step: a login is told from others by one of them.
        let mut bytes = [0x5a; Entropy::BYTES];
        for piece in bytes.chunks_mut(8) {
            piece.iter_mut().zip(self.steps.to_le_bytes()).for_each(|(to, from)| *to ^= from);
        }
        let mono = Monotonic::from_millis(self.tokens * 60_000 + self.steps);
        let wall = Timestamp::from_unix(1_785_542_400 + (mono.millis() / 1000).cast_signed());
        Env { wall, mono, entropy: Entropy::new(bytes) }
    }

    /// Gives an input, and performs everything that comes of it.
    fn give(&mut self, account: usize, input: Input) {
        let mut inbox = VecDeque::from([input]);
        while let Some(input) = inbox.pop_front() {
            let env = self.env();
            let now = env.mono;
            let effects = self.sessions[account].handle(input, env).unwrap();
            for told in effects.told {
                match told {
                    Told::Open(visit) => inbox.push_back(agree(visit.url())),
                    Told::Settle(settlement) => {
                        assert!(!settlement.unsaved);
                        let outcome = settlement.outcome.map(|_| ());
                        self.outcome = Some(outcome.map_err(|failure| failure.kind()));
                    }
                    _ => {}
                }
            }
            for work in effects.work {
                inbox.push_back(match work {
                    Work::Call(call) => {
                        let (request, _, ticket) = call.split();
                        ticket.answer(self.serve(&request))
                    }
                    Work::Store(op) => {
                        let (request, ticket) = op.split();
                        ticket.answer(self.store.perform(request))
                    }
                    Work::Listen(listen) => listen.split().1.answer(Bound::Port(5000)),
                    Work::Sign(_) => panic!("no key is configured"),
                });
            }
            let due = self.sessions[account].deadline().is_some_and(|due| due.at <= now);
            if inbox.is_empty() && due {
                inbox.push_back(Input::Wake);
            }
        }
    }

    /// An honest server, but for what it makes of codes.
    fn serve(&mut self, request: &Request<Vec<u8>>) -> Reply {
        let body = match request.uri().path() {
            "/.well-known/oauth-protected-resource/mcp" => json!({
                "resource": "https://mcp.example/mcp",
                "authorization_servers": ["https://as.example"],
            }),
            "/.well-known/oauth-authorization-server" => json!({
                "issuer": "https://as.example",
                "authorization_endpoint": "https://as.example/authorize",
                "token_endpoint": "https://as.example/token",
                "registration_endpoint": "https://as.example/register",
                "revocation_endpoint": "https://as.example/revoke",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "revocation_endpoint_auth_methods_supported": ["none"],
            }),
            "/register" => {
                let body = json!({ "client_id": "c1", "token_endpoint_auth_method": "none" });
                return answer(201, &body);
            }
            "/token" => {
                self.tokens += 1;
                match self.codes {
                    Codes::Refused => return answer(400, &json!({ "error": "invalid_grant" })),
                    Codes::LostOrGood if self.tokens.is_multiple_of(2) => {
                        return Reply::MaybeSent(mcp_authz_core::effect::Why::Broken);
                    }
                    Codes::Good | Codes::LostOrGood => json!({
                        "access_token": format!("AT-{:08}", self.tokens),
                        "refresh_token": format!("RT-{:08}", self.tokens),
                        "token_type": "Bearer",
                        "expires_in": 3600,
                    }),
                }
            }
            "/revoke" => json!({}),
            path => panic!("nobody asks for {path}"),
        };
        answer(200, &body)
    }

    /// Every account logs in and out again.
    fn round(&mut self) {
        for account in 0..ACCOUNTS {
            let acquire = Acquire {
                waiter: WaiterId(self.steps + 1),
                scopes: Default::default(),
                may_ask: true,
            };
            self.give(account, Input::Acquire(acquire));
            let expected = match self.codes {
                Codes::Good => Ok(()),
                Codes::Refused => Err(Kind::GrantRejected),
                Codes::LostOrGood if self.tokens.is_multiple_of(2) => Err(Kind::OutcomeUnknown),
                Codes::LostOrGood => Ok(()),
            };
            assert_eq!(self.outcome.take(), Some(expected));
            self.give(account, Input::Forget);
            assert!(self.sessions[account].granted().is_none());
        }
    }
}

fn answer(status: u16, body: &serde_json::Value) -> Reply {
    let response = Response::builder().status(status).header("content-type", "application/json");
    Reply::Answered(response.body(body.to_string().into_bytes()).unwrap())
}

/// The person agrees at once.
fn agree(url: &str) -> Input {
    let url = Url::parse(url).unwrap();
    let named = |name| url.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
    // No server gives the same code twice.
    let state = named("state");
    let callback = format!("{}?code=c-{state}&state={state}", named("redirect_uri"));
    Input::Callback { arrival: ArrivalId(1), callback: Callback::url(callback) }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// In memory where there is such a place: the disk is not what is tested.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Runs all rounds, and answers by how much the heap has grown since the tenth.
fn run(store: &dyn Store, codes: Codes, tenth: impl FnOnce()) -> i64 {
    let mut program = Program::new(store, codes);
    (0..FIRST).for_each(|_| program.round());
    tenth();
    let counted = allocation_counter::measure(|| {
        (FIRST..codes.rounds()).for_each(|_| program.round());
    });
    counted.bytes_current
}

#[test]
fn two_thousand_logins_leave_nothing_in_files_host_331() {
    for codes in [Codes::Good, Codes::Refused, Codes::LostOrGood] {
        let folder = folder();
        let store = FileStore::open(folder.path()).unwrap();
        let mut before = (0, Vec::new());
        let grown = run(&store, codes, || before = (descriptors(), files(folder.path())));
        let after = (descriptors(), files(folder.path()));
        assert_eq!((before.0, before.1.len()), (after.0, after.1.len()), "{codes:?}: {after:?}");
        assert!(grown <= SLACK, "{codes:?}: {grown} bytes");
    }
}

#[test]
fn two_thousand_logins_leave_nothing_in_memory_host_331() {
    for codes in [Codes::Good, Codes::Refused, Codes::LostOrGood] {
        let grown = run(&MemoryStore::new(), codes, || {});
        assert!(grown <= SLACK, "{codes:?}: {grown} bytes");
    }
}
