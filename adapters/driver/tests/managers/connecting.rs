//! Cases of the one call that connects, and of the progress that it tells.

macro_rules! connecting {
    ($name:ident, $adapter:ident, $run:path $(, $await:tt)?) => {
        mod $name {
            use std::sync::{Arc, Mutex};

            use $adapter::{AuthorizationManager, ConnectError, FileStore, ManagerBuilder, connect};
            use mcp_authz_tests::serve::{Served, embedded};
            use serde_json::json;

            use crate::parts;

            /// A program with this store that writes its progress down.
            fn program(
                served: &Served,
                folder: &std::path::Path,
            ) -> (ManagerBuilder, Arc<Mutex<Vec<String>>>) {
                let said = Arc::new(Mutex::new(Vec::new()));
                let says = Arc::clone(&said);
                let builder = AuthorizationManager::builder(served.mcp_url())
                    .store(FileStore::open(folder).unwrap())
                    .person(parts::browses)
                    .on_progress(move |progress| says.lock().unwrap().push(progress.to_string()));
                (builder, said)
            }

            #[test]
            fn one_call_leads_to_the_tools_and_the_next_run_needs_no_person() {
                let served = embedded(|_| {}).unwrap();
                let folder = tempfile::tempdir().unwrap();
                let issuer = served.lock().settings().servers().next().unwrap().issuer.clone();
                enter!($run; $($await)?; {
                    let (builder, said) = program(&served, folder.path());
                    let server = connect(builder)$(.$await)?.unwrap();
                    let tools = server.list_tools()$(.$await)?.unwrap();
                    let echo = server.call_tool("echo", json!({"text": "hello"}))$(.$await)?.unwrap();
                    assert!(tools.iter().any(|tool| tool.name == "echo") && !echo.is_error);
                    assert!(server.session().granted().is_some());
                    let host = issuer.strip_prefix("http://").unwrap().split(':').next().unwrap();
                    assert_eq!(*said.lock().unwrap(), [
                        format!("the server's tokens come from {issuer}"),
                        "this program registers there".to_owned(),
                        format!("waiting for you to log in at {host}, for mcp:tools"),
                        format!("logged in at {issuer}"),
                    ]);
                    server.close()$(.$await)?.unwrap();

                    let (builder, said) = program(&served, folder.path());
                    let server = connect(builder)$(.$await)?.unwrap();
                    server.list_tools()$(.$await)?.unwrap();
                    let going_on = format!("going on with the stored login at {issuer}");
                    assert_eq!(*said.lock().unwrap(), [going_on]);
                    server.session().forget()$(.$await)?.unwrap();
                    assert_eq!(said.lock().unwrap().last().unwrap(), "logged out");
                });
            }

            #[test]
            fn a_person_who_cannot_be_asked_is_an_error_with_a_remedy() {
                let served = embedded(|_| {}).unwrap();
                let folder = tempfile::tempdir().unwrap();
                enter!($run; $($await)?; {
                    let nobody = |_: &_, answers: mcp_authz_driver::person::Answers| answers.cannot_ask();
                    let (builder, said) = program(&served, folder.path());
                    let error = connect(builder.person(nobody))$(.$await)?.unwrap_err();
                    assert_eq!(error.code(), "browser_refused");
                    assert!(error.failure().is_some(), "{error}");
                    assert!(said.lock().unwrap().last().unwrap().starts_with("failed: "));
                });
            }

            #[test]
            fn a_url_that_cannot_be_is_refused_before_anything_is_sent() {
                enter!($run; $($await)?; {
                    let builder = AuthorizationManager::builder("mcp.example/mcp");
                    let builder = builder.store($adapter::host::store::MemoryStore::new());
                    let error = connect(builder)$(.$await)?.unwrap_err();
                    assert!(matches!(error, ConnectError::Setup(_)));
                    assert_eq!((error.code(), error.remedy().name()), ("config_invalid", "configure"));
                });
            }
        }
    };
}
