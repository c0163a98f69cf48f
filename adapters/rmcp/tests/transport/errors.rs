//! The errors of a transport, and how they are told.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_rmcp::rmcp::model::{
    ClientConfig, ClientJsonRpcMessage, ClientRequest, InitializeRequest, RequestId,
};
use mcp_authz_rmcp::rmcp::transport::streamable_http_client::{
    StreamableHttpClient as _, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpResponseLimits,
};
use mcp_authz_rmcp::{Error, HttpSse, StreamableHttp};
use mcp_authz_tests::model::{AnswerForm, Endpoint, Era, Literal};
use mcp_authz_tests::serve::{Served, embedded, embedded_revision};

use crate::common::{Person, authorized_transport, count, serve, session, session_with};

type Failed = StreamableHttpError<Error>;

/// The answer to that.
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"m","version":"1"}}}"#;

fn initialize() -> ClientJsonRpcMessage {
    let request = InitializeRequest::new(ClientConfig::default());
    ClientJsonRpcMessage::request(ClientRequest::InitializeRequest(request), RequestId::Number(1))
}

fn none() -> HashMap<HeaderName, HeaderValue> {
    HashMap::new()
}

/// A server that asks for no authorization, and a client for it.
fn open(
    adjust: impl FnOnce(&mut mcp_authz_tests::model::Settings),
) -> (Served, StreamableHttp, Arc<str>) {
    let served = embedded_revision("2025-11-25", |settings| {
        settings.gate.open = true;
        adjust(settings);
    })
    .unwrap();
    let client = StreamableHttp::new(session(&served, &Person::default()));
    let url = served.mcp_url().into();
    (served, client, url)
}

#[tokio::test]
async fn a_token_of_rmcps_own_is_refused_host_259() {
    let (served, client, url) = open(|_| {});
    let token = || Some("another".to_owned());
    let errors = [
        client.post_message(url.clone(), initialize(), None, token(), none()).await.unwrap_err(),
        client.get_stream(url.clone(), None, None, token(), none()).await.err().unwrap(),
        client.delete_session(url.clone(), "s".into(), token(), none()).await.unwrap_err(),
    ];
    for error in errors {
        let Failed::Client(error) = error else { panic!("{error:?}") };
        assert_eq!(error.failure().unwrap().kind(), Kind::ConfigInvalid);
    }
    for name in ["authorization", "accept", "mcp-session-id", "last-event-id"] {
        let custom =
            HashMap::from([(HeaderName::from_static(name), HeaderValue::from_static("x"))]);
        let error = client.post_message(url.clone(), initialize(), None, None, custom).await;
        assert!(matches!(error, Err(Failed::ReservedHeaderConflict(named)) if named == name));
    }
    assert_eq!(count(&served, Endpoint::Mcp), 0);
}

#[tokio::test]
async fn nothing_goes_to_another_server_host_257() {
    let (served, other) = (embedded(|_| {}).unwrap(), embedded(|_| {}).unwrap());
    let transport =
        authorized_transport(other.mcp_url(), session(&served, &Person::default()), None);
    let error = serve(transport).await.unwrap_err();
    let error = Error::within(&error).unwrap();
    assert_eq!(error.failure().unwrap().kind(), Kind::OriginMismatch);
    assert_eq!(count(&other, Endpoint::Mcp), 0);
}

#[tokio::test]
async fn a_failure_of_authorization_says_what_to_do() {
    let served = embedded(|settings| settings.server.metadata.at.clear()).unwrap();
    let transport =
        authorized_transport(served.mcp_url(), session(&served, &Person::default()), None);
    let error = serve(transport).await.unwrap_err();
    let failure = Error::within(&error).unwrap().failure().unwrap();
    assert_eq!(failure.remedy(), Remedy::Report, "{failure}");
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_may_be() {
    let served = embedded(|_| {}).unwrap();
    let person = Person::default();
    let client = StreamableHttp::new(session(&served, &person)).may_ask(false);
    let error = client.post_message(served.mcp_url().into(), initialize(), None, None, none());
    let Err(Failed::Client(error)) = error.await else { panic!("answered") };
    assert_eq!(error.failure().unwrap().kind(), Kind::ReauthorizationRequired);
    assert_eq!(person.visits(), 0);
}

#[tokio::test]
async fn a_goodbye_asks_nobody_trans_21() {
    let served = embedded_revision("2025-11-25", |_| {}).unwrap();
    let person = Person::default();
    let session = session(&served, &person);
    // Asked for, so that a refusal may still lead to a page.
    session.acquire(&ScopeSet::empty(), true).await.unwrap().outcome.unwrap();
    let service = serve(authorized_transport(served.mcp_url(), session, None)).await.unwrap();
    served.lock().revoke_all();
    served.lock().clear_seen();
    service.cancel().await.unwrap();
    assert_eq!(person.visits(), 1);
    let model = served.lock();
    assert!(model.seen_at(Endpoint::Mcp).any(|seen| seen.method == "DELETE" && seen.status == 401));
}

#[tokio::test]
async fn what_rmcp_has_names_for_is_called_so() {
    let (served, client, url) = open(|_| {});
    let session_id = || Some(Arc::from("gone"));
    let gone = client.post_message(url.clone(), initialize(), session_id(), None, none());
    served.lock().inject(Endpoint::Mcp, 1, Literal::status(404));
    assert!(matches!(gone.await, Err(Failed::SessionExpired)));
    let stream = client.get_stream(url.clone(), session_id(), None, None, none()).await;
    assert!(matches!(stream, Err(Failed::ServerDoesNotSupportSse)));
    for status in [404, 405] {
        served.lock().inject(Endpoint::Mcp, 1, Literal::status(status));
        client.delete_session(url.clone(), "gone".into(), None, none()).await.unwrap();
    }
    let busy = Literal::status(503).header("retry-after", "7");
    served.lock().inject(Endpoint::Mcp, 1, busy);
    let error = client.post_message(url.clone(), initialize(), None, None, none()).await;
    let Err(Failed::HttpStatus(error)) = error else { panic!("{error:?}") };
    assert_eq!((error.status, error.retry_after.as_deref()), (503, Some("7")));
    let page = Literal { body: b"<html>".to_vec(), ..Literal::status(200) };
    served.lock().inject(Endpoint::Mcp, 1, page.header("content-type", "text/html"));
    let error = client.post_message(url.clone(), initialize(), None, None, none()).await;
    assert!(matches!(error, Err(Failed::UnexpectedContentType(Some(_)))));
    served.lock().inject(Endpoint::Mcp, 1, Literal::json(200, "{"));
    let error = client.post_message(url.clone(), initialize(), None, None, none()).await;
    assert!(matches!(error, Err(Failed::Deserialize(_))));
}

#[tokio::test]
async fn session_ids_that_no_header_may_hold_are_refused_host_266() {
    let (served, client, url) = open(|_| {});
    let long = "x".repeat(10 * 1024);
    for id in ["", "a b", "\u{e9}", &long] {
        served.lock().inject(
            Endpoint::Mcp,
            1,
            Literal::json(200, INITIALIZED).header("mcp-session-id", id),
        );
        let error = client.post_message(url.clone(), initialize(), None, None, none()).await;
        let Err(Failed::Client(error)) = error else { panic!("{error:?}") };
        assert_eq!(error.failure().unwrap().kind(), Kind::LimitExceeded);
    }
}

/// The server may mean the one, and something on the way the other.
#[tokio::test]
async fn of_two_session_ids_neither_is_taken_host_266() {
    let (served, client, url) = open(|_| {});
    for second in ["a", "b", ""] {
        let two = Literal::json(200, INITIALIZED).header("mcp-session-id", "a");
        served.lock().inject(Endpoint::Mcp, 1, two.header("mcp-session-id", second));
        let error = client.post_message(url.clone(), initialize(), None, None, none()).await;
        let Err(Failed::Client(error)) = error else { panic!("{second}: {error:?}") };
        assert_eq!(error.failure().unwrap().rule(), "HOST-266");
    }
    let one = Literal::json(200, INITIALIZED).header("mcp-session-id", "a");
    served.lock().inject(Endpoint::Mcp, 1, one);
    client.post_message(url.clone(), initialize(), None, None, none()).await.unwrap();
}

/// A text may be short, and its values many: it is weighed before it is read.
#[tokio::test]
async fn answers_that_swell_when_they_are_read_are_too_large_host_322() {
    const LARGEST: usize = 16 * 1024;
    let (served, client, url) = open(|_| {});
    let mut limits = StreamableHttpResponseLimits::default();
    limits.max_json_response_size = LARGEST;
    limits.max_sse_event_size = LARGEST;
    let zeros = format!("[{}0]", "0,".repeat(LARGEST / 4));
    let text = format!("{:?}", "0,".repeat(LARGEST / 4));
    let post = async |answer: Literal| {
        served.lock().inject(Endpoint::Mcp, 1, answer);
        let none = none();
        let asked = client.post_message_with_response_limits(
            url.clone(),
            initialize(),
            None,
            None,
            none,
            limits,
        );
        match asked.await {
            Ok(answer) => answer.expect_initialized::<Error>().await.map(drop),
            Err(error) => Err(error),
        }
    };
    for (values, fits) in [(&text, true), (&zeros, false)] {
        let result = INITIALIZED.replace(
            r#""capabilities":{}"#,
            &format!(r#""capabilities":{{"experimental":{{"x":{{"y":{values}}}}}}}"#),
        );
        assert!(result.len() < LARGEST);
        match post(Literal::json(200, &result)).await {
            Ok(()) if fits => {}
            Err(Failed::ResponseBodyTooLarge { max_size: LARGEST }) if !fits => {}
            other => panic!("{fits} {other:?}"),
        }
        // An error is an answer as well.
        let error = format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32602,"message":"no","data":{values}}}}}"#
        );
        let refused = post(Literal::json(400, &error)).await;
        let too_large = matches!(refused, Err(Failed::ResponseBodyTooLarge { max_size: LARGEST }));
        assert_eq!(too_large, !fits, "{refused:?}");
        let event = Literal { body: format!("data: {result}\n\n").into(), ..Literal::status(200) };
        match post(event.header("content-type", "text/event-stream")).await {
            Ok(()) if fits => {}
            Err(error @ Failed::Sse(_)) if !fits => {
                assert!(error.to_string().contains("limit"), "{error}");
            }
            other => panic!("{fits} {other:?}"),
        }
    }
}

#[tokio::test]
async fn bodies_and_events_are_limited_host_262() {
    for form in [AnswerForm::Json, AnswerForm::EventStream] {
        let (_served, client, url) = open(|settings| settings.mcp.answers = form);
        let mut limits = StreamableHttpResponseLimits::default();
        limits.max_sse_event_size = 64;
        limits.max_json_response_size = 64;
        let answer = client
            .post_message_with_response_limits(
                url.clone(),
                initialize(),
                None,
                None,
                none(),
                limits,
            )
            .await;
        match (form, answer) {
            (AnswerForm::Json, Err(Failed::ResponseBodyTooLarge { max_size: 64 })) => {}
            (AnswerForm::EventStream, Ok(answer)) => {
                let error = answer.expect_initialized::<Error>().await.unwrap_err();
                assert!(matches!(error, Failed::Sse(_)), "{error:?}");
                assert!(error.to_string().contains("limit"), "{error}");
            }
            (form, other) => panic!("{form:?} {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_no_second_request_host_254() {
    let served = embedded_revision("2025-11-25", |_| {}).unwrap();
    let session = session_with(&served, &Person::default(), |config| config);
    let config = StreamableHttpClientTransportConfig::default();
    let service = serve(authorized_transport(served.mcp_url(), session, Some(config))).await;
    let service = service.unwrap();
    // rmcp asks for the server's own stream aside; the fault is for what comes after that.
    let asks = |seen: &mcp_authz_tests::model::Seen| seen.method == http::Method::GET;
    while !served.lock().seen_at(Endpoint::Mcp).any(asks) {
        tokio::time::sleep(core::time::Duration::from_millis(5)).await;
    }
    served.lock().fail(Endpoint::Mcp, 1, mcp_authz_tests::model::Fault::Lost);
    served.lock().clear_seen();
    let error = crate::common::echo(&service, "once").await.unwrap_err();
    let error = Error::within(&error).unwrap();
    assert!(matches!(error, Error::Exchange(_)), "{error:?}");
    assert_eq!(error.failure().unwrap().cause(), Some(mcp_authz_core::effect::Why::Broken));
    assert_eq!((error.code(), error.remedy().name()), ("transient", "retry"));
    assert_eq!(count(&served, Endpoint::Mcp), 1);
}

#[tokio::test]
async fn a_stream_that_is_closed_at_once_is_not_reopened_at_once_host_265() {
    let (served, client, url) = open(|_| {});
    let empty = || Literal::status(200).header("content-type", "text/event-stream");
    served.lock().inject(Endpoint::Mcp, 2, empty());
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        drop(client.get_stream(url.clone(), Some("s".into()), None, None, none()).await.unwrap());
    }
    assert!(begun.elapsed() >= core::time::Duration::from_secs(1));
}

#[tokio::test]
async fn a_server_cannot_have_pages_opened_at_will() {
    for http_sse in [false, true] {
        let served = embedded_revision("2025-11-25", |settings| {
            settings.mcp.get_stream = true;
            if http_sse {
                settings.mcp.era = Era::HttpSse;
            }
        });
        let (served, person) = (served.unwrap(), Person::default());
        let session = session(&served, &person);
        let service = if http_sse {
            serve(HttpSse::new(session)).await.unwrap()
        } else {
            serve(authorized_transport(served.mcp_url(), session, None)).await.unwrap()
        };
        let until = async |what: &str, there: &dyn Fn() -> bool| {
            for _ in 0..1000 {
                if there() {
                    return;
                }
                tokio::time::sleep(core::time::Duration::from_millis(10)).await;
            }
            panic!("{what}");
        };
        until("the stream is open", &|| {
            let model = served.lock();
            model.seen_at(Endpoint::Mcp).any(|seen| seen.method == "GET" && seen.status == 200)
        })
        .await;
        let endpoint = if http_sse { Endpoint::Messages } else { Endpoint::Mcp };
        let more = r#"Bearer error="insufficient_scope", scope="mcp:admin""#;
        let refused = Literal::status(403).header("www-authenticate", more);
        served.lock().inject(endpoint, 1, refused);
        served.lock().push(&serde_json::json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}));
        until("it is answered", &|| served.lock().seen_at(endpoint).any(|seen| seen.status == 403))
            .await;
        tokio::time::sleep(core::time::Duration::from_millis(300)).await;
        assert_eq!(person.visits(), 1, "{http_sse}");
        drop(service);
    }
}
