//! The model behind real sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use mcp_authz_tests::model::*;
use mcp_authz_tests::serve;

/// Sends one raw request and reads to the end of the connection.
fn raw(origin: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(origin.trim_start_matches("http://")).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut text = Vec::new();
    let _ = socket.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn served_behind_doors_of_its_own() {
    let served = serve::embedded(|_| {}).unwrap();
    let origins: Vec<String> = served.origins().map(str::to_owned).collect();
    let [mcp, first, second] = origins.as_slice() else { panic!("three doors") };
    assert_eq!(served.mcp_url(), format!("{mcp}/mcp"));
    let prm = raw(
        mcp,
        "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nconnection: close\r\n\r\n",
    );
    assert!(prm.starts_with("HTTP/1.1 200 OK\r\n") && prm.contains(first), "{prm}");
    for origin in [first, second] {
        let get =
            "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nconnection: close\r\n\r\n";
        assert!(raw(origin, get).contains(&format!("\"issuer\":\"{origin}\"")));
    }
    assert_eq!(served.lock().count(Endpoint::AsOauth), 2);
}

#[test]
fn served_connections_are_kept_until_told() {
    let served = serve::embedded(|_| {}).unwrap();
    let origin = served.origins().next().unwrap().to_owned();
    let get = "GET /nothing HTTP/1.1\r\n\r\n";
    let text =
        raw(&origin, &format!("{get}{}", get.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")));
    assert_eq!(text.matches("HTTP/1.1 404").count(), 2, "two answers on one connection");
    served.close_after_each(true);
    assert_eq!(raw(&origin, &format!("{get}{get}")).matches("HTTP/1.1 404").count(), 1);
}

#[test]
fn served_bodies_streams_and_cuts() {
    for (cut, whole) in [(Cut::Never, true), (Cut::InsideEvent, false)] {
        let served = serve::embedded_revision("2025-03-26", |settings| {
            settings.gate.open = true;
            settings.mcp.sessions = false;
            settings.mcp.answers = AnswerForm::EventStream;
            settings.mcp.cut = cut;
        })
        .unwrap();
        let origin = served.origins().next().unwrap().to_owned();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let (one, two) = body.split_at(10);
        let request = format!(
            "POST /mcp HTTP/1.1\r\nconnection: close\r\naccept: application/json, text/event-stream\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
             {:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
            one.len(),
            two.len(),
        );
        let text = raw(&origin, &request);
        assert!(text.contains("transfer-encoding: chunked"), "{text}");
        assert_eq!(text.ends_with("\r\n0\r\n\r\n"), whole, "{text}");
    }
}

#[test]
fn served_faults_reach_the_wire() {
    let served = serve::embedded(|_| {}).unwrap();
    let origin = served.origins().next().unwrap().to_owned();
    served.lock().fail(Endpoint::Mcp, 1, Fault::Dropped);
    let get = "GET /mcp HTTP/1.1\r\nconnection: close\r\n\r\n";
    assert_eq!(raw(&origin, get), "");
    served.lock().inject(
        Endpoint::Mcp,
        1,
        Literal::json(200, "{}").header("content-length", "100"),
    );
    assert!(raw(&origin, get).ends_with("content-length: 100\r\nconnection: close\r\n\r\n{}"));
}

#[test]
fn served_clock_can_be_set_forward() {
    let served = serve::embedded(|_| {}).unwrap();
    let before = served.now_ms();
    served.advance(5_000_000);
    assert!(served.now_ms() >= before + 5_000_000);
}

#[test]
fn dropping_a_server_ends_idle_connections_and_streams() {
    let served = serve::embedded_revision("2025-03-26", |settings| {
        settings.gate.open = true;
        settings.mcp.sessions = false;
        settings.mcp.get_stream = true;
    })
    .unwrap();
    let address = served.origins().next().unwrap().trim_start_matches("http://").to_owned();
    let idle = TcpStream::connect(&address).unwrap();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /mcp HTTP/1.1\r\naccept: text/event-stream\r\n\r\n").unwrap();
    let mut some = [0; 64];
    assert!(stream.read(&mut some).unwrap() > 0);
    drop(served);
    for mut socket in [idle, stream] {
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
    }
    assert!(TcpStream::connect(&address).is_err());
}
