//! Random schedules of whole worlds against the reference model, and the proof that the model sees.
//!
//! `SCHEDULES=N` runs N seeds instead of 2,000. Many more run in little time with
//! `cargo run --release -p mcp-authz-tests --bin schedules -- 100000`.

use mcp_authz_tests::schedule::{Broken, Rule, Schedule, prove, reached, run};

/// Seeds among which each broken world must be found out.
const ENOUGH: u64 = 40_000;

/// Seeds beyond those of every run that found a fault once.
const FOUND: [u64; 1] = [113_252];

fn seeds() -> u64 {
    std::env::var("SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

#[test]
fn whatever_happens_nothing_is_lost_host_223_host_228_host_229_host_240_host_241_ref_17() {
    for seed in (0..seeds()).chain(FOUND) {
        if let Err(text) = prove(&Schedule::of(seed), &format!("seed {seed}")) {
            panic!("{text}");
        }
    }
}

/// Schedules that never come to what they are about would prove nothing.
#[test]
fn schedules_reach_what_they_are_meant_to_reach() {
    let all: Vec<_> = (0..500).map(|seed| reached(&Schedule::of(seed))).collect();
    for (name, least, seen) in [
        ("pages", 500, all.iter().map(|one| one.pages).sum::<usize>()),
        ("refreshes", 400, all.iter().map(|one| one.refreshes).sum()),
        ("recoveries", 10, all.iter().map(|one| one.recoveries).sum()),
        ("unsaved settlements", 10, all.iter().map(|one| one.unsaved).sum()),
        ("kills amid", 10, all.iter().map(|one| one.killed_amid).sum()),
        ("restored sessions", 50, all.iter().map(|one| one.restored).sum()),
    ] {
        assert!(seen >= least, "{seen} {name}, {least} are expected");
    }
}

/// Some schedule that breaks no rule breaks one of these in a world where this is wrong.
#[track_caller]
fn is_found(broken: Broken, rules: &[Rule]) {
    let found = (0..ENOUGH).map(Schedule::of).find(|schedule| {
        let breaks = run(schedule, Some(broken)).is_err_and(|found| rules.contains(&found.rule));
        breaks && run(schedule, None).is_ok()
    });
    assert!(found.is_some(), "{broken:?} breaks none of {rules:?}");
}

macro_rules! broken_worlds {
    ($($name:ident: $broken:ident breaks $($rule:ident),+;)*) => {$(
        #[test]
        fn $name() {
            is_found(Broken::$broken, &[$(Rule::$rule),+]);
        }
    )*};
}

broken_worlds! {
    a_store_that_leases_to_everybody_is_found: EverybodyLeased breaks OneRefresh, SpentOnce;
    a_store_that_keeps_nothing_is_found: SwapForgotten breaks SavedFirst;
    a_store_that_does_not_compare_is_found: SwapBlind breaks NothingLost;
    a_store_whose_intents_die_is_found: IntentsDie breaks SpentOnce;
    a_store_whose_leases_stay_is_found: LeasesStay breaks ServedInTheEnd;
    a_store_that_finds_nothing_is_found: NothingFound breaks LoginOnlyIfNeeded;
    a_store_that_is_rolled_back_is_found: StoreRolledBack breaks NothingLost;
    a_driver_that_answers_nothing_is_found: Unanswered breaks ServedInTheEnd;
    a_driver_that_wakes_nobody_is_found: NeverWoken breaks Bounded;
    a_driver_that_sends_twice_is_found: RefreshRepeated breaks OneRefresh;
    a_driver_that_repeats_randomness_is_found: RandomnessRepeats breaks NoFault;
    a_driver_that_loses_settlements_is_found: SettlementLost breaks SettledOnce;
    a_driver_that_settles_twice_is_found: SettledTwice breaks SettledOnce;
    a_driver_that_hides_what_is_unsaved_is_found: UnsavedHidden breaks SavedFirst;
    a_driver_that_ignores_log_outs_is_found: LogOutIgnored breaks LogOutIsFinal;
    a_session_that_is_rolled_back_is_found: SessionRolledBack breaks EpochsGrow;
    a_server_that_repeats_its_answer_is_found: AnswerRepeated breaks RefusedStaysOut;
}
