//! An MCP client on async-std that meets a protected server it has never seen: finds out who may let it
//! in, registers, asks the person, gets a token, lists the tools, refreshes.
//!
//! Without arguments it starts a server of its own and plays the person too. `--help` says more.

use std::process::ExitCode;

use mcp_authz_async_std::Client;
use mcp_authz_host::browser::{self, Visits};
use mcp_authz_tests::job::args::{self, Command};
use mcp_authz_tests::job::{Options, Outcome, Show, Step, Target, Who};

#[path = "../../../tests/glue/asynchronous.rs"]
mod glue;

#[async_std::main]
async fn main() -> ExitCode {
    let environment = |name: &str| std::env::var(name).ok();
    match args::read("async_std_client", std::env::args_os().skip(1), environment) {
        Ok(Command::Run(options)) => ExitCode::from(job(&options).await.exit_status()),
        Ok(Command::Say(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(usage) => {
            eprintln!("{usage}");
            ExitCode::from(2)
        }
    }
}

async fn job(options: &Options) -> Outcome {
    let show = Show::new(options.format, |line| println!("{line}"));
    let failed = |outcome: Outcome| {
        show.step(&Step::outcome(&outcome));
        outcome
    };
    let served = match options.serve() {
        Ok(served) => served,
        Err(error) => return failed(Outcome::setup(&error.to_string())),
    };
    let url = match (&served, &options.target) {
        (Some(served), _) => served.mcp_url().to_owned(),
        (None, Target::Url(url)) => url.clone(),
        (None, Target::Embedded(_)) => return failed(Outcome::setup("no embedded server")),
    };
    if served.is_some() {
        show.step(&Step::server(&url));
    }
    let config = match options.config(&url) {
        Ok(config) => config,
        Err(failure) => return failed(failure.into()),
    };
    let (face, visits) = glue::Face::new(&show, options);
    let builder = Client::builder();
    let builder = if options.person == Who::Browser {
        let offered = show.clone();
        let offer = move |_: &_| offered.step(&Step::browser_refused());
        builder.observer(Visits::new(browser::System, offer, face))
    } else {
        builder.observer(face)
    };
    let client = match builder.build() {
        Ok(client) => client,
        Err(error) => return failed(Outcome::setup(&error.to_string())),
    };
    let session = client.session(config);
    glue::run(options, &url, &session, client.http(), visits, &show).await
}
