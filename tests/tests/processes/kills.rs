//! Killed at a moment that nobody chose, and started again.

use std::time::Duration;
use std::{env, thread};

use mcp_authz_tests::model::Settings;
use mcp_authz_tests::random::Random;

use crate::holder::with_grace;
use crate::program::EXAMPLES;
use crate::world::World;

/// How many kills, for the long form.
const KILLS: &str = "MCP_AUTHZ_KILLS";
const QUICK: usize = 25;

/// Kills a program each time, anywhere between two of its steps: `prepare` says what it meets, `after` sees to what
/// it has left behind.
fn kill_at_random(
    world: &World,
    seed: u64,
    arguments: &[&str],
    prepare: impl Fn(),
    mut after: impl FnMut(usize, &str),
) {
    let kills = env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(QUICK);
    let mut chance = Random::new(seed);
    prepare();
    let whole = world.start(EXAMPLES[0], arguments).end();
    assert!(whole.went_well(), "{:#?}", whole.steps);
    let steps = u64::try_from(whole.steps.len()).unwrap();
    for kill in 0..kills {
        prepare();
        let mut program = world.start(EXAMPLES[kill % EXAMPLES.len()], arguments);
        program.says(usize::try_from(chance.below(steps + 1)).unwrap(), |_| true);
        thread::sleep(Duration::from_micros(chance.below(3_000)));
        program.kill();
        after(kill, &format!("kill {kill}, after {:#?}", program.steps()));
    }
}

/// Kills programs that refresh. Answers how often the one moment was hit at which that costs a login.
fn killed_in_refreshes(adjust: fn(&mut Settings), seed: u64) -> usize {
    let world = World::new(adjust);
    world.log_in(EXAMPLES[0]);
    let (mut hit, mut kills) = (0, 0);
    let arguments = ["--no-login", "--calls", "6", "--parallel", "3"];
    kill_at_random(
        &world,
        seed,
        &arguments,
        || world.revoke(),
        |kill, told| {
            kills += 1;
            let ended = world.calls(EXAMPLES[(kill / EXAMPLES.len()) % EXAMPLES.len()]);
            if ended.went_well() {
                return;
            }
            let told = format!("{told}: {:#?}", ended.steps);
            assert_eq!(ended.last["code"], "reauthorization_required", "{told}");
            assert_eq!(ended.last["moment"], "refresh_cut_off", "{told}");
            assert_eq!(world.watch.most_sent(), 2, "{told}");
            hit += 1;
            world.log_in(EXAMPLES[kill % EXAMPLES.len()]);
        },
    );
    assert_eq!(world.watch.logins(), 1 + hit, "nobody was asked but after that moment");
    assert!(world.watch.most_sent() <= 2, "a token is sent once more at the most");
    println!("{kills} kills, {hit} of them at the one moment that costs a login");
    hit
}

#[test]
fn a_killed_program_goes_on_without_a_browser_or_names_the_moment_host_228_ref_17() {
    killed_in_refreshes(|_| {}, 0x9e37_79b9_7f4a_7c15);
}

#[test]
fn a_killed_program_goes_on_without_a_browser_where_an_old_token_still_works_host_228() {
    assert_eq!(killed_in_refreshes(with_grace, 0xd1b5_4a32_d192_ed03), 0);
}

#[test]
fn a_killed_login_can_be_made_again_and_its_code_is_not_sent_twice_tok_04() {
    let world = World::new(|_| {});
    let login = ["--headless", "--calls", "6", "--parallel", "3"];
    let over = || world.served.lock().revoke_all();
    kill_at_random(&world, 0x2545_f491_4f6c_dd1d, &login, over, |kill, told| {
        let ended = world.start(EXAMPLES[(kill / EXAMPLES.len()) % EXAMPLES.len()], &login).end();
        assert!(ended.went_well(), "{told}: {:#?}", ended.steps);
        let ended = world.calls(EXAMPLES[kill % EXAMPLES.len()]);
        assert!(ended.went_well(), "{told}: {:#?}", ended.steps);
        assert_eq!(ended.last["token_requests"], 0, "what the login brought was kept: {told}");
    });
    assert_eq!(world.watch.most_sent_code(), 1);
}
