//! One server, one folder of credentials, and the programs that share both.

use std::sync::{Arc, Mutex};

use mcp_authz_tests::model::{Consent, Model, Settings};
use mcp_authz_tests::serve::{Door, Served};
use tempfile::TempDir;

use crate::program::{Ended, Program};
use crate::watch::Watch;

pub(crate) struct World {
    pub(crate) served: Served,
    pub(crate) watch: Arc<Watch>,
    folder: TempDir,
}

impl World {
    pub(crate) fn new(adjust: impl FnOnce(&mut Settings)) -> Self {
        let (mcp, first, second) =
            (Door::open(0).unwrap(), Door::open(0).unwrap(), Door::open(0).unwrap());
        let mcp_url = format!("{}/mcp", mcp.origin());
        let mut settings = Settings::default().at(&mcp_url, first.origin(), second.origin());
        settings.servers_mut().for_each(|server| server.consent = Consent::Auto);
        adjust(&mut settings);
        let watch = Arc::new(Watch::default());
        let model = Arc::new(Mutex::new(Model::new(settings)));
        let told = Arc::clone(&watch);
        let doors = vec![mcp, first, second];
        let served = Served::start_told(model, doors, Some(Arc::new(move |seen| told.told(seen))));
        Self { served, watch, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn store(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// A program with this store, at this server, on the wire whose sessions tell programs apart.
    pub(crate) fn start(&self, example: &str, more: &[&str]) -> Program {
        let always = ["--json", "--era", "legacy", "--store", self.store(), self.served.mcp_url()];
        Program::start(example, &[&always, more].concat())
    }

    /// A program that may ask nobody, run to its end.
    pub(crate) fn calls(&self, example: &str) -> Ended {
        self.start(example, &["--no-login", "--calls", "6", "--parallel", "3"]).end()
    }

    /// A program that logs in, run to its end.
    pub(crate) fn log_in(&self, example: &str) -> Ended {
        let ended = self.start(example, &["--headless", "--calls", "3"]).end();
        assert!(ended.went_well(), "{:#?}", ended.steps);
        assert_eq!(ended.last["logins"], 1, "{}", ended.last);
        ended
    }

    /// Makes every access token invalid: the next call of everybody is refused.
    pub(crate) fn revoke(&self) {
        let mut model = self.served.lock();
        model.revoke_access_tokens();
        model.clear_seen();
    }

    /// Whether a program that just wanted calls hangs at its token request, whose answer is held back.
    pub(crate) fn in_mid_refresh(&self, example: &str, more: &[&str]) -> Program {
        self.watch.hold();
        self.revoke();
        let always = ["--no-login", "--calls", "6", "--parallel", "3"];
        let program = self.start(example, &[&always, more].concat());
        self.watch.reached();
        program
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Or the server would wait for an answer that nobody lets go.
        self.watch.let_go();
    }
}
