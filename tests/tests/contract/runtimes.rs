//! Running the example clients' job in this process, on each runtime, against the model server over
//! real sockets.

use std::sync::{Arc, Mutex};

use mcp_authz_tests::job::args::{self, Command};
use mcp_authz_tests::job::{Options, Outcome, Show};
use mcp_authz_tests::serve::Served;

use crate::{asynchronous, blocking, kept};

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
    match args::read("contract", arguments, |_| None) {
        Ok(Command::Run(options)) => *options,
        other => panic!("these arguments make a run: {other:?}"),
    }
}

/// Runs the job with one adapter; `$run` is given options, URL, session, port, visits and show.
macro_rules! ran {
    ($options:expr, $served:expr, $glue:ident, $client:ty $(, $await:tt)?) => {{
        let options: &Options = $options;
        let printed = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&printed);
        let show = Show::new(options.format, move |line| {
            lines.lock().unwrap().push(line.to_owned());
        });
        let url = $served.mcp_url().to_owned();
        let store = kept::open(options).unwrap_or_else(|outcome| panic!("{outcome:?}"));
        let (face, visits) = $glue::Face::new(&show, options);
        let client = <$client>::builder().observer(face).store(store).build().unwrap();
        let session = client.session(options.config(&url).unwrap());
        let outcome =
            $glue::run(options, &url, &session, client.http(), visits, &show)$(.$await)?;
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
    ran!(options, served, blocking, mcp_authz_ureq::Client)
}

/// On tokio.
pub(crate) fn on_tokio(options: &Options, served: &Served) -> Ran {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { ran!(options, served, asynchronous, mcp_authz_tokio::Client, await) })
}

/// On async-std.
pub(crate) fn on_async_std(options: &Options, served: &Served) -> Ran {
    async_std::task::block_on(async {
        ran!(options, served, asynchronous, mcp_authz_async_std::Client, await)
    })
}

/// Runs the job on every runtime, each against a server of its own, and compares what they say.
pub(crate) fn all_alike(arguments: &[&str], serve: &dyn Fn() -> Served) -> Ran {
    let options = options(arguments);
    let blocking = on_ureq(&options, &serve());
    let tokio = on_tokio(&options, &serve());
    let async_std = on_async_std(&options, &serve());
    assert_eq!(blocking.lines, tokio.lines, "ureq and tokio say the same: {arguments:?}");
    assert_eq!(blocking.lines, async_std.lines, "and so does async-std: {arguments:?}");
    blocking
}
