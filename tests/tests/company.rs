//! A login and a connection in a company's network, on three runtimes.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

#[path = "../glue/company.rs"]
mod network;

use mcp_authz_driver::proxy::Proxy;
use mcp_authz_driver::transport::Settings;
use network::Company;

/// What one program does, on each runtime: it lists the tools. The words are those of its error.
macro_rules! lists {
    ($on:ident, $company:expr, $proxy:expr, $roots:expr $(, $wait:tt)?) => {{
        let client = $on::Client::builder().proxy($proxy).add_roots_pem($roots).build().unwrap();
        let manager = $on::AuthorizationManager::builder($company.url()).ports(client);
        let manager = manager.person($company.employee()).build().unwrap();
        match manager.connect(Settings::new("company", "1.0")) $(.$wait)? {
            Ok(server) => {
                let tools = server.list_tools() $(.$wait)?.unwrap();
                server.close() $(.$wait)?.unwrap();
                Ok(tools.len())
            }
            Err(error) => {
                let failure = error.failure().map(|failure| failure.to_string());
                Err(format!("{error} {error:?} {failure:?}"))
            }
        }
    }};
}

type Outcome = Result<usize, String>;

/// The same on each runtime.
fn everywhere(company: &Company, proxy: &str, roots: &str) -> [(&'static str, Outcome); 3] {
    let proxy = || Proxy::new(proxy).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    [
        (
            "tokio",
            runtime.block_on(async { lists!(mcp_authz_tokio, company, proxy(), roots, await) }),
        ),
        (
            "async-std",
            async_std::task::block_on(async {
                lists!(mcp_authz_async_std, company, proxy(), roots, await)
            }),
        ),
        ("ureq", lists!(mcp_authz_ureq, company, proxy(), roots)),
    ]
}

#[test]
fn a_program_logs_in_through_a_proxy_with_a_companys_root() {
    let company = Company::open().unwrap();
    for (on, outcome) in everywhere(&company, &company.proxy(), company.roots()) {
        assert!(outcome.as_ref().is_ok_and(|tools| *tools > 0), "{on}: {outcome:?}");
    }
    let seen = company.seen();
    for host in ["mcp.corp.example", "login.corp.example"] {
        assert!(seen.iter().any(|seen| seen.starts_with(&format!("CONNECT {host}:443 "))));
    }
    // The proxy opens tunnels and learns nothing of what is said in them.
    assert!(seen.iter().all(|seen| seen.starts_with("CONNECT ") && !seen.contains("Bearer")));
}

#[test]
fn a_wrong_password_is_said_of_the_proxy_and_not_shown() {
    let company = Company::open().unwrap();
    let address = company.proxy().rsplit_once('@').unwrap().1.to_owned();
    let wrong = format!("http://user:c4n4ry@{address}");
    for (on, outcome) in everywhere(&company, &wrong, company.roots()) {
        let said = outcome.unwrap_err();
        assert!(said.contains("proxy_refused") && said.contains(&address), "{on}: {said}");
        assert!(said.contains("password") && !said.contains("c4n4ry"), "{on}: {said}");
    }
}

#[test]
fn a_root_of_another_company_is_no_help() {
    let (company, other) = (Company::open().unwrap(), Company::open().unwrap());
    for (on, outcome) in everywhere(&company, &company.proxy(), other.roots()) {
        let said = outcome.unwrap_err();
        assert!(said.contains("tls"), "{on}: {said}");
    }
}
