//! How long a thousand callers wait for one refresh, over what its endpoint takes. Prints the
//! medians, which should be at most 1.2 times that.

use core::time::Duration;

use mcp_authz_benches::crowd::{Crowd, DELAY};

const CALLERS: usize = 1_000;
const ROUNDS: usize = 21;

fn main() {
    report("on an expired token", || Crowd::expired().acquire(CALLERS));
    report("refused 5 ms into their flight", || Crowd::revoked().be_refused(CALLERS));
}

fn report(what: &str, round: impl Fn() -> Duration) {
    let mut times: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    times.sort();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    let ratio = median.as_secs_f64() / DELAY.as_secs_f64();
    println!("{CALLERS} callers {what}: {median:.1?}, {ratio:.2} times the endpoint's {DELAY:?}");
}
