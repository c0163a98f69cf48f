//! Which of the two wires it is.

use mcp_authz_rmcp::{Auto, Error};
use mcp_authz_tests::model::{Endpoint, Literal};
use mcp_authz_tests::serve::{Served, embedded_revision};

use crate::common::{Person, TOOLS, echo, either, modern, serve, serve_as, session, tools};
use crate::http_sse::older;

fn gets(served: &Served) -> usize {
    served.lock().seen_at(Endpoint::Mcp).filter(|seen| seen.method == "GET").count()
}

fn auto(served: &Served, person: &Person) -> Auto {
    Auto::new(session(served, person), None)
}

#[tokio::test]
async fn streamable_http_stays_what_it_is() {
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let served = embedded_revision(revision, |_| {}).unwrap();
        let auto = auto(&served, &Person::default());
        let service = if revision == "2026-07-28" {
            serve_as(auto, modern()).await.unwrap()
        } else {
            serve(auto).await.unwrap()
        };
        assert_eq!(tools(&service).await, TOOLS);
        service.cancel().await.unwrap();
        let model = served.lock();
        if revision != "2026-07-28" {
            let last = model.seen_at(Endpoint::Mcp).last().unwrap();
            assert_eq!(last.method, "DELETE", "the session is ended");
        }
    }
}

#[tokio::test]
async fn a_server_of_http_sse_is_found_out_trans_30() {
    for lifecycle in [None, Some(either())] {
        let served = older(|_| {});
        let person = Person::default();
        let auto = auto(&served, &person);
        let service = match lifecycle {
            None => serve(auto).await.unwrap(),
            Some(lifecycle) => serve_as(auto, lifecycle).await.unwrap(),
        };
        assert_eq!(tools(&service).await, TOOLS);
        assert_eq!(echo(&service, "hello").await.unwrap(), "hello");
        service.cancel().await.unwrap();
        assert_eq!(person.visits(), 1);
        let model = served.lock();
        let order: Vec<_> = model
            .seen()
            .iter()
            .filter(|seen| seen.endpoint == Endpoint::Mcp)
            .map(|seen| (seen.method.as_str().to_owned(), seen.status))
            .collect();
        // The login comes first; only the answer to an authorized POST decides.
        assert_eq!(order.first().unwrap(), &("POST".to_owned(), 401));
        assert_eq!(order.last().unwrap(), &("GET".to_owned(), 200));
        let before = order.len() - 1;
        assert!(order[1..before].iter().all(|(method, status)| method == "POST" && *status == 405));
    }
}

/// Whatever the first message is: with it the connection ends, and not without its error.
#[tokio::test]
async fn a_first_message_that_gets_no_token_says_why() {
    for lifecycle in [None, Some(modern()), Some(either())] {
        let served = embedded_revision("2026-07-28", |_| {}).unwrap();
        let auto = auto(&served, &Person::default()).may_ask(false);
        let error = match lifecycle {
            None => serve(auto).await.unwrap_err(),
            Some(lifecycle) => serve_as(auto, lifecycle).await.unwrap_err(),
        };
        let code = Error::within(&error).map(Error::code);
        assert_eq!(code, Some("reauthorization_required"), "{error:?}");
    }
}

#[tokio::test]
async fn other_answers_lead_nowhere_trans_30() {
    let modern = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"no"}}"#;
    let unknown = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"no"}}"#;
    for (answer, streams) in [
        (Literal::status(400), 1),
        (Literal::status(404), 1),
        (Literal::status(405), 1),
        (
            Literal::json(
                400,
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":""}}"#,
            ),
            1,
        ),
        (Literal::json(400, modern), 0),
        (Literal::json(404, unknown), 0),
        (Literal::status(403), 0),
        (Literal::status(410), 0),
        (Literal::status(500), 0),
        (Literal::status(503), 0),
    ] {
        let said = format!("{answer:?}");
        let served = embedded_revision("2025-11-25", |settings| settings.gate.open = true).unwrap();
        served.lock().inject(Endpoint::Mcp, 1, answer);
        let error = serve(auto(&served, &Person::default())).await.unwrap_err();
        assert_eq!(gets(&served), streams, "{said}: {error}");
        if streams == 1 {
            let status = match Error::within(&error) {
                Some(Error::Status { status, .. }) => status.as_u16().to_string(),
                other => panic!("{other:?}"),
            };
            assert!(said.contains(&status), "the first answer is told of: {said}, {status}");
        }
    }
}
