//! What is wrong with a server, found out by the library's own login.
//!
//! Nothing here knows a rule of OAuth or MCP: a session does what it does for a login, and is watched.
//! The requests are those that its port sees, the findings are its failures and notes, the options are the
//! switches that its failures name, and the sentences are those of the rules.

mod examine;
mod facts;
mod finding;
mod log;
mod login;
mod port;
mod show;
mod snippet;
mod verdict;

pub(crate) use self::examine::{Examination, Examined};
use self::finding::Finding;
use self::log::Asked;
pub(crate) use self::login::How;
use self::verdict::Verdict;
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::shown;

/// The words of an examination, section after section. It remembers what it has said.
pub(crate) struct Report<'a> {
    url: String,
    say: &'a Say,
    asked: usize,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    /// About the server at this URL.
    pub(crate) fn new(url: &str, say: &'a Say) -> Self {
        Self { url: shown(url), say, asked: 0, findings: Vec::new() }
    }

    /// Everything that was found without a login.
    pub(crate) fn examined(&mut self, examined: &Examined) {
        self.requests("What was asked", examined);
        let facts = &examined.facts;
        self.say.text(format!("{}\n", show::facts(&self.url, facts)));
        self.line(&facts.server.line(&self.url));
        if let Some(authorization) = &facts.authorization {
            self.line(&authorization.line());
        }
        self.findings(examined);
    }

    /// Goes on through a login.
    pub(crate) async fn log_in(
        &mut self,
        url: &str,
        examined: &mut Examined,
        given: &Options,
        how: How,
    ) -> Result<bool, Fault> {
        let found = login::run(url, examined, given, how, self.say).await?;
        self.requests("What was asked for the login", examined);
        if !found.rows.is_empty() {
            self.say.text(format!("{}\n", show::login(&found.rows)));
            self.line(&found.line.into());
        }
        self.findings(examined);
        Ok(!found.rows.is_empty())
    }

    /// The configuration and the verdict, whose exit status it returns.
    pub(crate) fn ends(&self, examined: &Examined, logged_in: bool, file: &str) -> u8 {
        let verdict = Verdict::of(examined, logged_in);
        if verdict.has_configuration() {
            self.say.text(format!("{}\n", show::snippet(&examined.snippet, file)));
            self.line(&examined.snippet.line());
        }
        let todo = verdict::todo(verdict, examined);
        self.say.text(show::verdict(verdict, logged_in, &todo));
        self.line(&verdict::line(verdict, logged_in, &todo));
        verdict.status()
    }

    fn requests(&mut self, title: &str, examined: &Examined) {
        let asked = examined.log.asked();
        let new: Vec<Asked> = asked.iter().skip(self.asked).cloned().collect();
        self.asked = asked.len();
        if !new.is_empty() {
            self.say.text(format!("{}\n", show::requests(title, &new)));
        }
        new.iter().for_each(|asked| self.line(&show::request_line(asked)));
    }

    fn findings(&mut self, examined: &Examined) {
        let is_new = |finding: &&Finding| !self.findings.contains(finding);
        let new: Vec<Finding> = examined.findings.iter().filter(is_new).cloned().collect();
        if !new.is_empty() || self.findings.is_empty() {
            self.say.text(format!("{}\n", show::findings(&new)));
        }
        new.iter().for_each(|finding| self.line(&finding.line()));
        self.findings = examined.findings.clone();
    }

    /// One object for programs.
    fn line(&self, line: &serde_json::Value) {
        if self.say.is_json() {
            self.say.result("", line);
        }
    }
}
