//! Killed at a moment that nobody chose, and started again.

use std::time::Duration;
use std::{env, thread};

use mcp_authz_tests::model::Settings;

use crate::holder::with_grace;
use crate::program::EXAMPLES;
use crate::world::World;

/// How many kills, for the long form.
const KILLS: &str = "MCP_AUTHZ_KILLS";
const QUICK: usize = 25;

/// Numbers without a pattern, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Kills programs that refresh, each at another moment. Answers how often the one moment was hit at which that
/// costs a login.
fn killed_and_started_again(adjust: fn(&mut Settings), seed: u64) -> usize {
    let kills = env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(QUICK);
    let world = World::new(adjust);
    let mut chance = Chance(seed);
    let steps = world.log_in(EXAMPLES[0]).steps.len() as u64;
    let mut hit = 0;
    for kill in 0..kills {
        world.revoke();
        let started = EXAMPLES[kill % EXAMPLES.len()];
        let calls = ["--no-login", "--calls", "6", "--parallel", "3"];
        let mut program = world.start(started, &calls);
        // Anywhere between two of its steps, from before the first one on.
        program.says(chance.below(steps + 1) as usize, |_| true);
        thread::sleep(Duration::from_micros(chance.below(3_000)));
        program.kill();
        let said = program.steps();
        let ended = world.calls(EXAMPLES[(kill / EXAMPLES.len()) % EXAMPLES.len()]);
        if ended.went_well() {
            continue;
        }
        let told = format!("kill {kill} after {said:#?}: {:#?}", ended.steps);
        assert_eq!(ended.last["code"], "reauthorization_required", "{told}");
        assert_eq!(ended.last["moment"], "refresh_cut_off", "{told}");
        assert_eq!(world.watch.most_sent(), 2, "{told}");
        hit += 1;
        world.log_in(EXAMPLES[kill % EXAMPLES.len()]);
    }
    assert_eq!(world.watch.logins(), 1 + hit);
    assert!(world.watch.most_sent() <= 2, "a token is sent once more at the most");
    println!("{kills} kills, {hit} of them at the one moment that costs a login");
    hit
}

#[test]
fn a_killed_program_goes_on_without_a_browser_or_names_the_moment_host_228_ref_17() {
    killed_and_started_again(|_| {}, 0x9e37_79b9_7f4a_7c15);
}

#[test]
fn a_killed_program_goes_on_without_a_browser_where_an_old_token_still_works_host_228() {
    assert_eq!(killed_and_started_again(with_grace, 0xd1b5_4a32_d192_ed03), 0);
}
