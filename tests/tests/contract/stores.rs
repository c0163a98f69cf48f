//! What one run leaves in its store serves the next one, on whichever runtime.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use mcp_authz_tests::model::{Endpoint, Fault, Model, Rotation, Seen, Settings};
use mcp_authz_tests::serve::{self, Door, OnRequest, Served};
use serde_json::Value;
use tempfile::TempDir;

use crate::runtimes::{RUNTIMES, Ran, Run, alike, options};

/// Against hanging, nothing else.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server, and the folder that the runs at it share.
struct Shared {
    served: Served,
    folder: TempDir,
}

impl Shared {
    fn new() -> Self {
        Self { served: serve::embedded(|_| {}).unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    /// A run that keeps its credentials there. The URL is filled in by it; the argument only stands for one.
    fn run(&self, run: Run, more: &[&str]) -> Ran {
        let folder = self.folder.path().to_str().unwrap();
        let always = ["--json", "--store", folder, "http://127.0.0.1:1/mcp"];
        run(&options(&[&always, more].concat()), &self.served)
    }

    /// How often a person was sent there.
    fn visits(&self) -> usize {
        self.served.lock().count(Endpoint::Authorize)
    }
}

fn last(ran: &Ran) -> Value {
    serde_json::from_str(ran.lines.last().unwrap()).unwrap()
}

/// `token_requests`, `logins`, `refreshes` and `adopted` of a run that ended well.
fn cost(ran: &Ran) -> [u64; 4] {
    let last = last(ran);
    assert_eq!((&last["outcome"], &last["failures"]), (&"authorized".into(), &0.into()), "{last}");
    ["token_requests", "logins", "refreshes", "adopted"].map(|name| last[name].as_u64().unwrap())
}

#[test]
fn a_second_run_asks_nobody_and_says_the_same_on_every_runtime_bind_10() {
    let stories = RUNTIMES.map(|(runtime, run)| {
        let shared = Shared::new();
        let first = shared.run(run, &["--headless", "--calls", "5"]);
        assert_eq!(cost(&first), [1, 1, 0, 0], "{runtime}");
        let second = shared.run(run, &["--no-login", "--calls", "5", "--parallel", "2"]);
        assert_eq!(cost(&second), [0, 0, 0, 0], "{runtime}: the token is still good");
        shared.served.lock().revoke_access_tokens();
        let third = shared.run(run, &["--no-login", "--calls", "5"]);
        assert_eq!(cost(&third), [1, 0, 1, 0], "{runtime}: a refresh bothers nobody");
        let fourth = shared.run(run, &["--headless"]);
        assert_eq!(cost(&fourth), [0, 0, 0, 0], "{runtime}: what it brought was kept");
        assert_eq!(shared.visits(), 1, "{runtime}");
        [first, second, third, fourth].map(|ran| ran.lines).concat()
    });
    alike(&stories);
}

#[test]
fn a_record_of_one_runtime_serves_the_others_bind_10() {
    let shared = Shared::new();
    for (turn, (runtime, run)) in RUNTIMES.into_iter().cycle().take(6).enumerate() {
        shared.served.lock().revoke_access_tokens();
        let ran = shared.run(run, &["--headless", "--calls", "2"]);
        let expected = if turn == 0 { [1, 1, 0, 0] } else { [1, 0, 1, 0] };
        assert_eq!(cost(&ran), expected, "{runtime}");
    }
    assert_eq!(shared.visits(), 1);
}

#[test]
fn accounts_have_records_of_their_own_bind_01_bind_02() {
    let stories = RUNTIMES.map(|(runtime, run)| {
        let shared = Shared::new();
        let mut told = Vec::new();
        for account in [&[][..], &["--account", "work"], &["--account", "home"]] {
            let nobody = shared.run(run, &[account, &["--no-login"]].concat());
            assert_eq!(last(&nobody)["code"], "reauthorization_required", "{runtime}: {account:?}");
            let login = shared.run(run, &[account, &["--headless"]].concat());
            assert_eq!(cost(&login)[1], 1, "{runtime}: {account:?}");
            told.extend([nobody.lines, login.lines]);
        }
        for account in [&["--account", "home"][..], &[], &["--account", "work"]] {
            let again = shared.run(run, &[account, &["--no-login"]].concat());
            assert_eq!(cost(&again), [0, 0, 0, 0], "{runtime}: {account:?}");
        }
        assert_eq!(shared.visits(), 3, "{runtime}");
        told.concat()
    });
    alike(&stories);
}

#[test]
fn a_lost_answer_to_a_refresh_is_named_where_it_costs_a_login_host_227() {
    let stories = RUNTIMES.map(|(runtime, run)| {
        let shared = Shared::new();
        cost(&shared.run(run, &["--headless"]));
        let lose = |rotation: Rotation| {
            let mut model = shared.served.lock();
            model.set(|at| at.server.tokens.rotation = rotation);
            model.revoke_access_tokens();
            model.fail(Endpoint::Token, 1, Fault::Lost);
        };
        lose(Rotation::On { revoke_family: true, grace_ms: 3_600_000 });
        let forgiven = shared.run(run, &["--no-login", "--calls", "3"]);
        assert_eq!(cost(&forgiven), [2, 0, 1, 0], "{runtime}: the same token, once more");
        lose(Rotation::On { revoke_family: true, grace_ms: 0 });
        let refused = shared.run(run, &["--no-login", "--calls", "3"]);
        let end = last(&refused);
        assert_eq!(end["code"], "reauthorization_required", "{runtime}: {end}");
        assert_eq!(end["moment"], "refresh_unanswered", "{runtime}: {end}");
        assert_eq!(end["token_requests"], 2, "{runtime}: {end}");
        let again = shared.run(run, &["--no-login", "--calls", "3"]);
        assert_eq!(last(&again)["token_requests"], 0, "{runtime}: and never again");
        assert_eq!(cost(&shared.run(run, &["--headless"]))[1], 1, "{runtime}");
        [forgiven, refused, again].map(|ran| ran.lines).concat()
    });
    alike(&stories);
}

/// Holds back the answers to the first `tools/list` of each MCP session, until the test lets them go.
#[derive(Default)]
struct Gathering {
    sessions: Mutex<BTreeSet<Vec<u8>>>,
    changed: Condvar,
}

impl Gathering {
    fn told(&self, seen: &Seen) {
        let Some(session) = seen.headers.get("mcp-session-id").map(|id| id.as_bytes().to_vec())
        else {
            return;
        };
        let mut sessions = self.sessions.lock().unwrap();
        if seen.rpc() == Some("tools/list") && sessions.insert(session) {
            self.changed.notify_all();
            drop(
                self.changed
                    .wait_timeout_while(sessions, PATIENCE, |sessions| !sessions.contains(&[][..])),
            );
        }
    }

    fn complete(&self, number: usize) {
        let sessions = self.sessions.lock().unwrap();
        let few = |sessions: &mut BTreeSet<_>| sessions.len() < number;
        let waited = self.changed.wait_timeout_while(sessions, PATIENCE, few).unwrap();
        assert!(!waited.1.timed_out(), "not all of them come");
    }

    fn let_go(&self) {
        self.sessions.lock().unwrap().insert(Vec::new());
        self.changed.notify_all();
    }
}

#[test]
fn of_three_runtimes_at_once_one_refreshes_and_the_others_take_that_over_ref_05_ref_06() {
    let gathering = Arc::new(Gathering::default());
    let shared = {
        let [mcp, first, second] = [0; 3].map(|port| Door::open(port).unwrap());
        let mcp_url = format!("{}/mcp", mcp.origin());
        let settings = Settings::default().at(&mcp_url, first.origin(), second.origin());
        let model = Arc::new(Mutex::new(Model::new(settings)));
        let told = Arc::clone(&gathering);
        let told: OnRequest = Arc::new(move |seen| told.told(seen));
        let served = Served::start_told(model, vec![mcp, first, second], Some(told));
        Shared { served, folder: tempfile::tempdir().unwrap() }
    };
    // On the other wire, which has no sessions.
    cost(&shared.run(RUNTIMES[0].1, &["--headless", "--era", "modern"]));
    let costs = thread::scope(|scope| {
        let runs = RUNTIMES.map(|(_, run)| {
            let calls = ["--no-login", "--era", "legacy", "--calls", "20", "--parallel", "5"];
            let shared = &shared;
            scope.spawn(move || cost(&shared.run(run, &calls)))
        });
        gathering.complete(runs.len());
        shared.served.lock().revoke_access_tokens();
        gathering.let_go();
        runs.map(|run| run.join().unwrap())
    });
    let total = |at: usize| costs.iter().map(|cost| cost[at]).sum::<u64>();
    assert_eq!([total(0), total(1), total(2), total(3)], [1, 0, 1, 2], "{costs:?}");
}
