//! The one call of rmcp's own guide.

use mcp_authz_core::effect::Visit;
use mcp_authz_driver::person::Answers;
use mcp_authz_rmcp::create_authorized_transport;
use mcp_authz_tests::model::Endpoint;
use mcp_authz_tests::serve::embedded;
use mcp_authz_tokio::AuthorizationManager;

use crate::common::{TOOLS, browse, call, count, serve, tools};

fn agrees(visit: &Visit, _: Answers) {
    let url = visit.url().to_owned();
    std::thread::spawn(move || {
        let there = browse(&url);
        let location = there.lines().find_map(|line| line.strip_prefix("location: "));
        browse(location.unwrap());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_all_it_takes() {
    let served = embedded(|_| {}).unwrap();
    let url = served.mcp_url();
    let manager = AuthorizationManager::builder(url).person(agrees).build().unwrap();
    let transport = create_authorized_transport(url, manager.clone(), None);
    let service = serve(transport).await.unwrap();
    assert_eq!(tools(&service).await, TOOLS);
    served.lock().revoke_access_tokens();
    call(&service, "whoami").await.unwrap();
    service.cancel().await.unwrap();
    assert_eq!((count(&served, Endpoint::Authorize), count(&served, Endpoint::Token)), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_without_a_person_asks_nobody() {
    let served = embedded(|_| {}).unwrap();
    let url = served.mcp_url();
    let manager = AuthorizationManager::new(url).unwrap();
    let error = serve(create_authorized_transport(url, manager.clone(), None)).await.unwrap_err();
    assert!(error.to_string().contains("log in"), "{error}");
    manager.log_in(&agrees).await.unwrap();
    let service = serve(create_authorized_transport(url, manager, None)).await.unwrap();
    assert_eq!(tools(&service).await, TOOLS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_page_of_a_login_is_shown_as_well_reg_21() {
    let served = embedded(|settings| {
        settings.servers_mut().for_each(|server| server.tokens.forgets_clients = 1);
    });
    let served = served.unwrap();
    let url = served.mcp_url();
    let manager = AuthorizationManager::builder(url).person(agrees).build().unwrap();
    let service = serve(create_authorized_transport(url, manager, None)).await.unwrap();
    assert_eq!(tools(&service).await, TOOLS);
    assert_eq!((count(&served, Endpoint::Authorize), count(&served, Endpoint::Register)), (2, 2));
}
