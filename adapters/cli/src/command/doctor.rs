//! `doctor`: what is wrong with a server, which options make it work, and what its author should do.

use std::path::Path;

use crate::doctor::{Examination, How, Report};
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;

/// Examines a server, and goes on through a login if that is wanted.
pub(super) async fn run(
    url: &str,
    options: &Options,
    login: Option<How>,
    file: Option<&Path>,
    say: &Say,
) -> Result<(), Fault> {
    if login.is_some() && options.no_login {
        return Err(Fault::usage("doctor --login and --no-login contradict each other"));
    }
    say.busy("looking");
    let mut examined = Examination::new(url, options)?.run(options).await?;
    say.idle();
    let mut report = Report::new(url, say);
    report.examined(&examined);
    let mut logged_in = false;
    if let Some(how) = login.filter(|_| examined.wants_login()) {
        logged_in = report.log_in(url, &mut examined, options, how).await?;
    }
    let file =
        file.map_or_else(|| "the configuration file".to_owned(), |it| it.display().to_string());
    match report.ends(&examined, logged_in, &file) {
        0 => Ok(()),
        status => Err(Fault::silent(status)),
    }
}
