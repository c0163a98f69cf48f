//! The HTTP port against scripted servers.

use mcp_authz_ureq::Client;

mcp_authz_driver::http_contract!(|lookup, roots| {
    let client = Client::builder().lookup(lookup).roots(roots).build().unwrap();
    Box::new(client.http().clone())
});
