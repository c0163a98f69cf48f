//! Two hundred requests at once with a live token, against a server that takes five milliseconds.
//! Prints the first time, when every connection is made, and the median of the others.

use core::time::Duration;

use mcp_authz_benches::slow::{DELAY, Slow};

const REQUESTS: usize = 200;
const ROUNDS: usize = 41;

fn main() {
    let slow = Slow::new();
    let first = slow.ask(REQUESTS);
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| slow.ask(REQUESTS)).collect();
    times.sort();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    println!(
        "{REQUESTS} requests at once, {DELAY:?} each: {median:.1?}; the first time {first:.1?}"
    );
}
