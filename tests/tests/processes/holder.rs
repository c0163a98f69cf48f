//! The process that holds the lease is killed or stopped while its token request is out.
//!
//! The server has dealt with the request and its answer is held back, so the moment is the same in every run.

use std::array;

use mcp_authz_core::effect::{Holder, RecordKind, StoreRequest, Stored};
use mcp_authz_driver::ports::Store as _;
use mcp_authz_host::store::FileStore;
use mcp_authz_tests::model::{Endpoint, Fault, Rotation, Settings};

use crate::program::{EXAMPLES, Ended, Program};
use crate::world::World;

/// A token that was replaced still works for a while.
pub(crate) fn with_grace(at: &mut Settings) {
    at.server.tokens.rotation = Rotation::On { revoke_family: true, grace_ms: 3_600_000 };
}

/// Two more programs, whose calls are refused while somebody else refreshes, and that wait for it.
fn others(world: &World) -> [Program; 2] {
    let others: [Program; 2] = array::from_fn(|number| {
        world.start(EXAMPLES[number], &["--no-login", "--calls", "6", "--parallel", "3"])
    });
    assert!(others.iter().all(|other| other.says(1, |step| step["step"] == "waiting")));
    others
}

fn wants_a_login(ended: &Ended) -> bool {
    ended.status == 1
        && ended.last["code"] == "reauthorization_required"
        && ended.last["next"][0].as_str().is_some_and(|next| next.contains("log in"))
}

#[test]
fn an_answer_lost_in_a_crash_costs_one_more_request_and_one_login_host_227_host_228_ref_17() {
    let world = World::new(|_| {});
    world.log_in(EXAMPLES[0]);
    let mut holder = world.in_mid_refresh(EXAMPLES[2], &[]);
    let others = others(&world);
    assert_eq!(world.watch.refreshes(), 1, "whoever does not hold the lease waits");
    holder.kill();
    world.watch.let_go();
    let ended = others.map(Program::end);
    for ended in &ended {
        assert!(wants_a_login(ended), "{:#?}", ended.steps);
    }
    let named = ended.iter().filter(|ended| ended.last["moment"] == "refresh_cut_off").count();
    assert_eq!(named, 1, "whoever tried once more says which moment was hit");
    assert_eq!((world.watch.refreshes(), world.watch.most_sent()), (2, 2));
    for example in EXAMPLES {
        assert!(wants_a_login(&world.calls(example)));
    }
    assert_eq!(world.watch.refreshes(), 2, "and never again");
    world.log_in(EXAMPLES[1]);
    let ended = world.calls(EXAMPLES[2]);
    assert!(ended.went_well() && ended.last["token_requests"] == 0, "{:#?}", ended.steps);
    assert_eq!(world.watch.logins(), 2);
}

#[test]
fn an_answer_lost_in_a_crash_costs_no_login_where_an_old_token_still_works_host_228_ref_17() {
    let world = World::new(with_grace);
    world.log_in(EXAMPLES[0]);
    let mut holder = world.in_mid_refresh(EXAMPLES[2], &[]);
    let others = others(&world);
    holder.kill();
    world.watch.let_go();
    let ended = others.map(Program::end);
    for ended in &ended {
        assert!(ended.went_well(), "{:#?}", ended.steps);
    }
    let total = |count: &str| ended.iter().filter_map(|ended| ended.last[count].as_u64()).sum();
    let [requests, adopted]: [u64; 2] = ["token_requests", "adopted"].map(total);
    assert_eq!((requests, adopted), (1, 1), "one sends it once more, the other takes that over");
    assert_eq!((world.watch.refreshes(), world.watch.logins()), (2, 1));
}

#[test]
fn a_request_that_no_server_read_costs_no_login_host_228() {
    let world = World::new(|_| {});
    world.log_in(EXAMPLES[0]);
    world.served.lock().fail(Endpoint::Token, 1, Fault::Dropped);
    let mut holder = world.in_mid_refresh(EXAMPLES[1], &[]);
    holder.kill();
    world.watch.let_go();
    let ended = world.calls(EXAMPLES[2]);
    assert!(ended.went_well(), "{:#?}", ended.steps);
    assert!(ended.steps.iter().any(|step| step["step"] == "refresh_cut_off"));
    assert_eq!((world.watch.refreshes(), world.watch.logins()), (2, 1));
}

#[test]
fn a_token_is_not_sent_a_third_time_however_many_are_killed_host_228_ref_17() {
    let world = World::new(with_grace);
    world.log_in(EXAMPLES[0]);
    for (number, example) in EXAMPLES.iter().enumerate().skip(1) {
        let mut holder = world.in_mid_refresh(example, &[]);
        assert_eq!(world.watch.refreshes(), number);
        holder.kill();
        world.watch.let_go();
    }
    for example in EXAMPLES {
        let ended = world.calls(example);
        assert!(wants_a_login(&ended), "{:#?}", ended.steps);
    }
    assert_eq!((world.watch.refreshes(), world.watch.most_sent()), (2, 2));
    world.log_in(EXAMPLES[0]);
}

#[test]
fn a_login_cut_off_at_its_code_is_begun_anew_and_the_code_is_not_sent_again_tok_04() {
    let world = World::new(|_| {});
    world.watch.hold();
    let mut login = world.start(EXAMPLES[0], &["--headless", "--calls", "3"]);
    world.watch.reached();
    login.kill();
    world.watch.let_go();
    for example in EXAMPLES {
        let ended = world.calls(example);
        assert!(wants_a_login(&ended), "{:#?}", ended.steps);
        assert_eq!(ended.last["token_requests"], 0);
    }
    world.log_in(EXAMPLES[1]);
    assert!(world.calls(EXAMPLES[2]).went_well());
    assert_eq!((world.watch.most_sent_code(), world.watch.logins()), (1, 2));
}

#[test]
fn the_lock_of_a_stopped_process_is_not_stolen_host_238() {
    let world = World::new(|_| {});
    world.log_in(EXAMPLES[0]);
    let holder = world.in_mid_refresh(EXAMPLES[1], &["--timeout", "300"]);
    holder.stop();
    // They wait for as long as anybody would.
    for ended in others(&world).map(Program::end) {
        assert_eq!(ended.last["code"], "store_locked", "{:#?}", ended.steps);
        assert_eq!(ended.last["remedy"], "retry");
    }
    assert_eq!(world.watch.refreshes(), 1, "nobody else has sent the token");
    holder.go_on();
    world.watch.let_go();
    let ended = holder.end();
    assert!(ended.went_well(), "{:#?}", ended.steps);
    let ended = world.calls(EXAMPLES[2]);
    assert!(ended.went_well() && ended.last["token_requests"] == 0, "{:#?}", ended.steps);
    assert_eq!((world.watch.refreshes(), world.watch.logins()), (1, 1));
}

#[test]
fn the_lock_of_a_killed_process_is_free_for_whoever_asks_next_host_239() {
    let world = World::new(with_grace);
    world.log_in(EXAMPLES[0]);
    let store = FileStore::open(world.store()).unwrap();
    let key = store.list(RecordKind::Grant).unwrap().pop().unwrap().0;
    let lease = || store.perform(StoreRequest::Lease { key: key.clone(), holder: Holder(7) });
    let mut holder = world.in_mid_refresh(EXAMPLES[2], &[]);
    assert_eq!(lease(), Stored::Busy);
    holder.kill();
    assert_eq!(lease(), Stored::Leased, "no age is waited for");
    assert_eq!(store.perform(StoreRequest::Leave { holder: Holder(7) }), Stored::Released);
    world.watch.let_go();
    assert!(world.calls(EXAMPLES[0]).went_well());
}
