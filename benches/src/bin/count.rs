//! Does one thing many times, for an instruction counter to watch: `count flow TIMES`.
#![allow(clippy::expect_used, reason = "a bench that goes wrong must stop")]

use std::hint::black_box;

use mcp_authz_benches::live::{Floor, Live, Locked};
use mcp_authz_benches::renewal::Renewals;
use mcp_authz_benches::{floor, flow};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(1u32);
    let config = flow::config();
    match what.as_str() {
        "flow" => {
            for _ in 0..times {
                let prepared = flow::prepare(&config);
                black_box(flow::run(black_box(prepared)));
            }
        }
        // The part of the flow's measurement that is not the flow.
        "prepare" => {
            for _ in 0..times {
                black_box(flow::prepare(&config));
            }
        }
        "floor" => {
            for _ in 0..times {
                black_box(floor::login(black_box([0x5a; 56])));
            }
        }
        // This measurement contains one login beside the refreshes.
        "renewals" => {
            let mut world = Renewals::new();
            for _ in 0..times {
                world.renew();
            }
        }
        "acquire-threads" => repeat(times, Live::new, Live::acquire_ureq),
        "acquire-tasks" => repeat(times, Live::new, Live::acquire_tokio),
        "authorize-threads" => repeat(times, Live::new, Live::authorize_ureq),
        "authorize-tasks" => repeat(times, Live::new, Live::authorize_tokio),
        "acquire-floor" => repeat(times, Floor::new, Floor::acquire),
        "authorize-floor" => repeat(times, Floor::new, Floor::header),
        "authorize-async-floor" => repeat(times, Floor::new, Floor::header_async),
        "acquire-async-floor" => repeat(times, Floor::new, Floor::acquire_async),
        "acquire-lock" => repeat(times, Locked::new, Locked::acquire),
        _ => {
            eprintln!("usage: count flow|prepare|floor|renewals TIMES");
            eprintln!("       count acquire-{{threads|tasks|floor|async-floor|lock}} TIMES");
            eprintln!("       count authorize-{{threads|tasks|floor|async-floor}} TIMES");
            std::process::exit(2);
        }
    }
}

fn repeat<W, T>(times: u32, world: fn() -> W, once: fn(&W) -> T) {
    let world = world();
    for _ in 0..times {
        black_box(once(black_box(&world)));
    }
}
