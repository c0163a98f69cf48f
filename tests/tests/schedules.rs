//! Random schedules of whole worlds against the reference model, and the proof that the model sees.
//!
//! `SCHEDULES=N` runs N seeds instead of 2,000. Many more run in little time with
//! `cargo run --release -p mcp-authz-tests --bin schedules -- 100000`.

use mcp_authz_tests::schedule::{Broken, Reached, Rule, Schedule, prove, run};

/// Seeds among which each broken world must be found out.
const ENOUGH: u64 = 40_000;

/// Seeds beyond those of every run that found a fault once.
const FOUND: [u64; 19] = [
    33_599,
    76_655,
    113_252,
    454_236,
    747_098,
    3_128_122,
    3_418_413,
    3_501_045,
    855_453_904,
    881_262_193,
    881_263_049,
    881_266_309,
    881_276_475,
    1_000_015_976,
    1_000_101_359,
    1_200_000_917,
    1_200_003_063,
    1_200_151_789,
    1_200_797_025,
];

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
    let mut all = Reached::default();
    for seed in 0..500 {
        all += run(&Schedule::of(seed), None).unwrap_or_default();
    }
    for (name, least, seen) in [
        ("pages", 500, all.pages),
        ("refreshes", 400, all.refreshes),
        ("recoveries", 10, all.recoveries),
        ("unsaved settlements", 10, all.unsaved),
        ("kills amid", 10, all.killed_amid),
        ("restored sessions", 50, all.restored),
        ("sloppy answers", 50, all.sloppy),
        ("refusals in other words", 10, all.reworded),
        ("outages", 20, all.outages),
        ("clients with a secret", 50, all.proofs),
        ("clients that are known", 50, all.known),
        ("refused registrations", 10, all.unregistered),
        ("refused codes", 5, all.unexchanged),
        ("worn tokens", 20, all.worn),
        ("grants without a refresh token", 20, all.alone),
        ("refresh tokens that stay", 10, all.kept),
        ("failures of an exhausted machine", 20, all.exhausted),
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
    a_refusal_in_other_words_that_is_not_heard_is_found: WordsUnheard breaks SpentOnce;
    tokens_in_an_odd_form_that_are_not_read_are_found: FormUnread breaks NothingLost;
}
