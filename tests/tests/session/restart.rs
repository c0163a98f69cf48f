//! Stopping and going on where it matters which moment it was.

use mcp_authz_core::config::Config;
use mcp_authz_core::effect::{Page, RecordKind};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Misuse;
use mcp_authz_core::granted::Usable;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Env, RestoreError, Session, Snapshot};
use mcp_authz_core::time::{Monotonic, Timestamp};
use mcp_authz_tests::sim::{BEGINNING, Sim};
use serde_json::{Value, json};

use crate::given::{
    TOKEN, approve, at, bearer, by_hand, discover, in_the_clear, kept, kept_in_the_clear,
    logged_in, refresh, register, tokens, up_to_exchange, up_to_exchange_in_the_clear,
};

fn env(wall: i64, mono: u64, seed: u8) -> Env {
    let mut bytes = [seed; Entropy::BYTES];
    bytes[0] = !seed;
    Env {
        wall: Timestamp::from_unix(wall),
        mono: Monotonic::from_millis(mono),
        entropy: Entropy::new(bytes),
    }
}

/// A session that has logged in and been written out.
fn at_rest() -> (Sim, Value) {
    let mut sim = by_hand();
    logged_in(&mut sim, &tokens(1, 3600));
    let written = serde_json::to_value(sim.session().snapshot()).unwrap();
    (sim, written)
}

fn read(written: &Value) -> Snapshot {
    serde_json::from_value(written.clone()).unwrap()
}

scripts! {
    /// What came is saved, since it may be wanted under other switches again; here it is used for
    /// nothing, as if it had been read from the store.
    a_grant_that_is_restored_in_its_save_is_not_used_where_its_endpoint_is_refused_sec_05(
        sim = kept_in_the_clear()
    ) {
        if sim.restarting() {
            return;
        }
        let (first, call) = up_to_exchange_in_the_clear(sim);
        let (_, ticket) = call.hold();
        sim.store().mute(Some(RecordKind::Grant));
        sim.reply_late(ticket, 200, &tokens(1, 60));
        sim.expect_waiting(first);
        sim.store().heal();
        sim.restart_with(|config| config.persistent(true));
        assert!(sim.published().is_none(), "{:?}", sim.published());
        sim.expect_waiting(first);
    }

    a_rotation_that_is_restored_in_its_save_is_not_used_where_its_endpoint_is_refused_sec_05(
        sim = kept_in_the_clear()
    ) {
        if sim.restarting() {
            return;
        }
        let (first, call) = up_to_exchange_in_the_clear(sim);
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(first);
        let caller = sim.at(60).acquire("");
        let (_, ticket) = sim.expect_call(http::Method::POST, &in_the_clear(TOKEN)).hold();
        sim.store().mute(Some(RecordKind::Grant));
        sim.reply_late(ticket, 200, &tokens(2, 60));
        sim.expect_waiting(caller);
        sim.store().heal();
        sim.restart_with(|config| config.persistent(true));
        let used = sim.published().filter(|granted| granted.access_token().expose() == at(2));
        assert!(used.is_none(), "{used:?}");
        // It is not lost to those who may use it.
        sim.new_process(|config| {
            config.persistent(true).danger().allow_plain_http("as.example").done()
        });
        let other = sim.acquire("");
        assert_eq!(sim.expect_granted(other).access_token().expose(), at(2));
    }

    /// The code is spent and its answer lost: said so, with what to do, and never sent again.
    in_the_middle_of_a_code_exchange_tok_04_host_219(sim = kept()) {
        let (waiter, call) = up_to_exchange(sim);
        let _sent = call.hold();
        sim.restart();
        sim.expect_note("outcome_unknown");
        // Its caller asks anew, and so is the person.
        sim.expect_waiting(waiter);
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 60));
        sim.expect_granted(waiter);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-2");
    }

    /// The outcome is unknown: tried once more after a pause, in whatever process.
    in_the_middle_of_a_refresh_host_227_host_228(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let _sent = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        sim.restart();
        sim.expect_no_call();
        sim.at(61);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        sim.expect_no_visit();
    }

    /// A process that dies each time must not send the token each time it starts.
    in_the_middle_of_each_refresh_host_228_step_16(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let quiet = sim.at(60).acquire_quietly("");
        let _sent = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        sim.restart();
        sim.at(61);
        let _sent = refresh(sim, 1).hold();
        sim.cancel(quiet);
        sim.restart();
        sim.expect_note("outcome_unknown");
        sim.at(65).expect_no_call();
        // Nothing is lost: the next caller's refresh is a new one.
        let next = sim.at(72).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
    }

    in_the_middle_of_a_pause_ref_09(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).reply(503);
        sim.restart();
        sim.expect_no_call();
        refresh_after_pause(sim);
        sim.expect_granted(caller);
    }

    /// The page stays the same one: the person need not begin again.
    while_the_person_is_away_authz_12(sim = by_hand()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        let (redirect, state) = sim.expect_visit().ours();
        sim.at(100).restart();
        assert!(sim.listens());
        let visit = sim.expect_visit();
        assert!(visit.visit().reissued, "it is not to be opened twice");
        assert_eq!(visit.ours(), (redirect, state));
        let arrival = visit.arrive_with_code("");
        crate::given::exchange(sim).reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
        sim.expect_page(arrival, Page::Authorized(sim.parties()));
    }

    /// What remains of the person's time is kept, not begun again.
    a_restart_gives_no_more_time_authz_11(sim = by_hand()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        sim.at(200).restart();
        sim.at(299);
        sim.expect_waiting(waiter);
        sim.at(300);
        sim.expect_failed(waiter, "callback_timeout");
        assert!(!sim.listens());
    }

    /// A live token is published again under the epoch it had.
    a_restart_is_no_new_token_step_12(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let epoch = sim.published().map(|granted| granted.epoch());
        sim.restart();
        assert_eq!(sim.published().map(|granted| granted.epoch()), epoch);
        let caller = sim.acquire("");
        sim.expect_granted(caller);
        let refused = sim.refused_with(epoch, 401, "Bearer", "x", false, true);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(refused);
        assert_eq!(bearer(sim), at(2));
    }
}

fn refresh_after_pause(sim: &mut Sim) {
    crate::given::pause_until(sim, 70);
    refresh(sim, 1).reply_json(200, &tokens(2, 60));
}

#[test]
fn a_snapshot_is_taken_up_by_its_own_session_only_bind_02() {
    let (sim, written) = at_rest();
    let take = |config, written: &Value, seed| {
        Session::restore(config, read(written), env(BEGINNING, 5, seed)).map(|(session, _)| session)
    };
    let config = || std::sync::Arc::clone(sim.session().config());
    assert!(take(config(), &written, 1).is_ok());
    let elsewhere = Config::builder("https://other.example/mcp").build().unwrap();
    assert_eq!(take(elsewhere, &written, 1).unwrap_err(), RestoreError::OtherSession);
    let somebody = Config::builder("https://mcp.example/mcp").account("other").build().unwrap();
    assert_eq!(take(somebody, &written, 1).unwrap_err(), RestoreError::OtherSession);
    let mut older = written.clone();
    older["format"] = json!(1);
    assert_eq!(take(config(), &older, 1).unwrap_err(), RestoreError::Format);
    let alike = Env { entropy: Entropy::new([7; Entropy::BYTES]), ..env(BEGINNING, 5, 1) };
    let refused = Session::restore(config(), read(&written), alike).map(|(session, _)| session);
    assert_eq!(refused.unwrap_err(), RestoreError::Misuse(Misuse::EntropyRepeated));
}

/// Another process has another monotonic clock; what remains of a life is what the wall clock and
/// the time that remained say, whichever is less.
#[test]
fn a_life_goes_on_in_another_process_host_313_host_314() {
    let (sim, written) = at_rest();
    let config = sim.session().config();
    for (case, wall, mono, over) in [
        ("at once", BEGINNING, 3, false),
        ("an hour later", BEGINNING + 3600, 3, true),
        ("the wall clock went back", BEGINNING - 86_400, 3, false),
        ("a machine that has run for long", BEGINNING, u64::MAX / 2, false),
    ] {
        let env = env(wall, mono, 9);
        let (now, mono) = (env.wall, env.mono);
        let (session, _) =
            Session::restore(std::sync::Arc::clone(config), read(&written), env).unwrap();
        let granted = session.granted().unwrap();
        let over_at = |at| granted.usable(&ScopeSet::empty(), now, at) == Usable::No;
        assert_eq!(over_at(mono), over, "{case}");
        let hour = Monotonic::from_millis(mono.millis() + 3_600_000);
        assert!(over_at(hour), "{case}: never longer than it was to live");
    }
}
