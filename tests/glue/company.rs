//! A company's network in one process: an MCP server and its login behind a proxy that wants a password,
//! with certificates of the company's own. There is no other way to them, and no DNS that knows them.

use std::sync::Arc;

use http::Request;
use mcp_authz_core::effect::Visit;
use mcp_authz_driver::person::{Answers, Person};
use mcp_authz_driver::testing::front::Front;
use mcp_authz_driver::testing::proxies;
use mcp_authz_driver::testing::server::Server;
use mcp_authz_tests::model::Settings;
use mcp_authz_tests::serve::{Door, Served, embedded_behind};

pub(crate) struct Company {
    served: Arc<Served>,
    proxy: Server,
    roots: String,
}

impl Company {
    pub(crate) fn open() -> std::io::Result<Self> {
        let fronts =
            ["mcp", "login", "other"].map(|name| Front::of(&format!("{name}.corp.example")));
        let proxy = proxies::company(&fronts);
        let roots = fronts.iter().map(Front::pem).collect();
        let [mcp, login, other] = fronts.map(|front| {
            let door = Door::behind(&front.origin())?;
            front.lead_to(door.address()?);
            std::io::Result::Ok(door)
        });
        let served = embedded_behind(Settings::default(), [mcp?, login?, other?], |_| ())?;
        Ok(Self { served: Arc::new(served), proxy, roots })
    }

    /// The URL of the MCP server.
    pub(crate) fn url(&self) -> &str {
        self.served.mcp_url()
    }

    /// The proxy, by its URL and with what it wants to be told.
    pub(crate) fn proxy(&self) -> String {
        format!("http://user:pass@{}", self.proxy.address)
    }

    /// The requests that it has seen.
    #[allow(dead_code, reason = "the example does not look")]
    pub(crate) fn seen(&self) -> Vec<String> {
        self.proxy.requests()
    }

    /// The company's root certificates, in PEM.
    pub(crate) fn roots(&self) -> &str {
        &self.roots
    }

    /// Somebody whose browser knows the way, and who agrees to everything.
    pub(crate) fn employee(&self) -> impl Person + use<> {
        let served = Arc::clone(&self.served);
        move |visit: &Visit, answers: Answers| {
            let page = Request::get(visit.url()).body(Vec::new());
            let now = served.now_ms();
            let answer = page.map(|page| served.lock().handle(&page, now));
            let back = answer.ok().and_then(|answer| answer.headers.get("location").cloned());
            match back.as_ref().and_then(|back| back.to_str().ok()) {
                Some(back) => answers.give(back, |_| ()),
                None => answers.cannot_ask(),
            }
        }
    }
}
