//! Running the example clients in this process, on each runtime, against the model server over
//! real sockets.

use std::sync::{Arc, Mutex};

use mcp_authz_tests::job::args::{self, Command};
use mcp_authz_tests::job::{Options, Outcome, Show};
use mcp_authz_tests::serve::Served;

use crate::{async_std_client, blocking_client, oauth_client};

/// The job on one runtime.
pub(crate) type Run = fn(&Options, &Served) -> Ran;

/// Every runtime.
pub(crate) const RUNTIMES: [(&str, Run); 3] =
    [("ureq", on_ureq), ("tokio", on_tokio), ("async-std", on_async_std)];

/// What one run printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) lines: Vec<String>,
    pub(crate) outcome: Outcome,
}

pub(crate) fn options(arguments: &[&str]) -> Options {
    let arguments = arguments.iter().map(|argument| (*argument).into());
    match args::read("contract", arguments) {
        Ok(Command::Run(options)) => *options,
        other => panic!("these arguments make a run: {other:?}"),
    }
}

/// Runs an example's work.
macro_rules! ran {
    ($options:expr, $served:expr, $example:ident $(, $await:tt)?) => {{
        let options: &Options = $options;
        let printed = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&printed);
        let show = Show::new(options.format, move |line| {
            lines.lock().unwrap().push(line.to_owned());
        });
        let url = $served.mcp_url().to_owned();
        let program = $example::program::Program::at(options.clone(), show, url)
            .unwrap_or_else(|outcome| panic!("{outcome:?}"));
        let ended = $example::work(&program)$(.$await)?;
        let outcome = program.outcome(ended);
        let lines = printed.lock().unwrap().iter().map(|line| normalised(line)).collect();
        Ran { lines, outcome }
    }};
}

/// A line without what differs between two runs of one program: ports.
fn normalised(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("127.0.0.1:") {
        out.push_str(before);
        out.push_str("127.0.0.1:PORT");
        rest = after.trim_start_matches(|character: char| character.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

/// On blocking ureq.
pub(crate) fn on_ureq(options: &Options, served: &Served) -> Ran {
    ran!(options, served, blocking_client)
}

/// On tokio.
pub(crate) fn on_tokio(options: &Options, served: &Served) -> Ran {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { ran!(options, served, oauth_client, await) })
}

/// On async-std.
pub(crate) fn on_async_std(options: &Options, served: &Served) -> Ran {
    async_std::task::block_on(async { ran!(options, served, async_std_client, await) })
}

/// Every runtime says the same; of long stories it is shown where they part.
pub(crate) fn alike(stories: &[Vec<String>; 3]) {
    let [ureq, others @ ..] = stories;
    for other in others {
        let at = ureq.iter().zip(other).take_while(|(one, other)| one == other).count();
        let from =
            |lines: &[String]| lines[at.saturating_sub(2)..].iter().take(6).cloned().collect();
        let parted: [Vec<String>; 2] = [from(ureq), from(other)];
        assert!(ureq == other, "{parted:#?}");
    }
}

/// Runs the job on every runtime, each against a server of its own, and compares what they say.
pub(crate) fn all_alike(arguments: &[&str], serve: &dyn Fn() -> Served) -> Ran {
    let options = options(arguments);
    let blocking = on_ureq(&options, &serve());
    let tokio = on_tokio(&options, &serve());
    let async_std = on_async_std(&options, &serve());
    let stories = [&blocking, &tokio, &async_std].map(|ran| ran.lines.clone());
    alike(&stories);
    blocking
}
