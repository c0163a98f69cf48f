use http::header::SET_COOKIE;

use super::*;

const REDIRECT: &str = "http://127.0.0.1:9/callback";
const START: &str = "https://as.example/authorize?state=SECRET";

fn page(body: &str) -> Response<Vec<u8>> {
    Response::builder()
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .body(body.as_bytes().to_vec())
        .unwrap()
}

fn status(status: u16) -> Response<Vec<u8>> {
    Response::builder().status(status).body(Vec::new()).unwrap()
}

fn redirect(code: u16, to: &str) -> Response<Vec<u8>> {
    let mut response = status(code);
    response.headers_mut().insert(LOCATION, HeaderValue::from_bytes(to.as_bytes()).unwrap());
    response
}

fn setting(mut response: Response<Vec<u8>>, cookie: &str) -> Response<Vec<u8>> {
    response.headers_mut().append(SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
    response
}

/// Plays a login against these answers. Gives the requests and the end.
fn play(answers: Vec<Response<Vec<u8>>>) -> (Vec<Request<Vec<u8>>>, PersonAction) {
    let mut person = Person::new(START, REDIRECT);
    let mut requests = Vec::new();
    let mut event = PersonEvent::Start;
    let mut answers = answers.into_iter();
    loop {
        let turn = person.step(event);
        for step in &turn.said {
            assert!(!step.json().contains("SECRET"), "{}", step.json());
        }
        match turn.action {
            PersonAction::Send(request) => requests.push(request),
            end => return (requests, end),
        }
        event =
            answers.next().map_or(PersonEvent::Unreachable(Why::Connect), PersonEvent::Answered);
    }
}

fn arrived(answers: Vec<Response<Vec<u8>>>) -> (Vec<Request<Vec<u8>>>, String) {
    match play(answers) {
        (requests, PersonAction::Arrived(url)) => (requests, url),
        (requests, end) => panic!("{end:?} after {requests:?}"),
    }
}

fn stuck(answers: Vec<Response<Vec<u8>>>) -> String {
    match play(answers) {
        (_, PersonAction::Stuck(why)) => why,
        (requests, end) => panic!("{end:?} after {requests:?}"),
    }
}

#[test]
fn a_redirect_home_is_handed_over_as_it_was_written_and_never_fetched() {
    for to in [
        "http://127.0.0.1:9/callback?code=SECRET&state=a%2Fb&iss=https%3A%2F%2Fas.example",
        "http://127.0.0.1:9/callback?error=access_denied&state=x",
        "http://127.0.0.1:9/callback?code=a'b\"c",
        "http://127.0.0.1:9/callback",
    ] {
        let (requests, url) = arrived(vec![redirect(302, to)]);
        assert_eq!((requests.len(), url.as_str()), (1, to));
        assert_eq!(requests[0].uri(), START);
        assert_eq!(requests[0].method(), Method::GET);
    }
}

#[test]
fn a_place_that_is_not_quite_home_is_not_home() {
    for to in [
        "http://127.0.0.1:10/callback?code=1",
        "https://127.0.0.1:9/callback?code=1",
        "http://localhost:9/callback?code=1",
        "http://127.0.0.1:9/callback/more?code=1",
        "http://127.0.0.1:9/Callback?code=1",
        "/callback?code=1",
    ] {
        assert_eq!(play(vec![redirect(302, to)]).0.len(), 2, "{to}");
    }
    let private = Person::new(START, "com.example.app:/cb").step(PersonEvent::Start);
    assert!(matches!(private.action, PersonAction::Send(_)));
    let mut person = Person::new(START, "com.example.app:/cb");
    let _ = person.step(PersonEvent::Start);
    let end =
        person.step(PersonEvent::Answered(redirect(302, "com.example.app:/cb?code=1"))).action;
    assert!(matches!(end, PersonAction::Arrived(url) if url == "com.example.app:/cb?code=1"));
}

#[test]
fn redirects_are_followed_hop_by_hop_with_the_cookies_of_each_host() {
    let (requests, _) = arrived(vec![
        setting(redirect(302, "/login?x=1"), "sid=1; Path=/"),
        setting(redirect(303, "https://idp.example/sso"), "lang=de"),
        setting(redirect(307, "https://as.example/back"), "idp=2"),
        redirect(302, REDIRECT),
    ]);
    let seen: Vec<(String, String)> = requests
        .iter()
        .map(|request| {
            let cookie =
                request.headers().get(COOKIE).map(|value| value.to_str().unwrap().to_owned());
            (request.uri().to_string(), cookie.unwrap_or_default())
        })
        .collect();
    let seen: Vec<(&str, &str)> =
        seen.iter().map(|(url, cookie)| (url.as_str(), cookie.as_str())).collect();
    assert_eq!(
        seen,
        [
            (START, ""),
            ("https://as.example/login?x=1", "sid=1"),
            ("https://idp.example/sso", ""),
            ("https://as.example/back", "sid=1; lang=de"),
        ]
    );
}

#[test]
fn a_form_is_filled_in_and_sent() {
    let form = "<form method=post action=/consent><input type=hidden name=ticket value=T>\
                <button name=decision value=deny>Deny</button><button name=decision value=allow>Allow</button></form>";
    let (requests, _) = arrived(vec![setting(page(form), "c=1"), redirect(302, REDIRECT)]);
    let sent = &requests[1];
    assert_eq!(
        (sent.method(), sent.uri().to_string().as_str()),
        (&Method::POST, "https://as.example/consent")
    );
    assert_eq!(sent.body(), b"ticket=T&decision=allow");
    assert_eq!(sent.headers()[CONTENT_TYPE], FORM);
    assert_eq!(sent.headers()[COOKIE], "c=1");
}

#[test]
fn only_307_and_308_send_a_form_again() {
    let form = "<form method=post action=/a><input type=hidden name=t value=1></form>";
    for (code, method, body) in [
        (302, Method::GET, ""),
        (303, Method::GET, ""),
        (307, Method::POST, "t=1"),
        (308, Method::POST, "t=1"),
    ] {
        let (requests, _) =
            arrived(vec![page(form), redirect(code, "/b"), redirect(302, REDIRECT)]);
        assert_eq!(
            (requests[2].method(), requests[2].body().as_slice()),
            (&method, body.as_bytes())
        );
    }
}

#[test]
fn a_page_may_lead_home_by_itself() {
    let home = format!("{REDIRECT}?code=SECRET&amp;state=1");
    for body in [
        format!("<meta http-equiv=refresh content='0;url={home}'>"),
        format!("<p>Done. <a href=\"{home}\">Back</a>"),
        format!(
            "<form action='{REDIRECT}'><input type=hidden name=code value=SECRET>\
                 <input type=hidden name=state value=1></form>"
        ),
    ] {
        assert_eq!(arrived(vec![page(&body)]).1, home.replace("&amp;", "&"), "{body}");
    }
    let post = format!(
        "<form method=post action='{REDIRECT}'><input type=hidden name=code value=SECRET></form>"
    );
    assert!(stuck(vec![page(&post)]).contains("posts its answer"));
}

#[test]
fn every_way_ends() {
    let around = (0..20).map(|hop| redirect(302, &format!("/{hop}"))).collect();
    assert!(stuck(around).contains("on and on"));
    for (answer, says) in [
        (status(302), "leads nowhere"),
        (redirect(302, "http://["), "no URL"),
        (redirect(302, "javascript:alert(1)"), "javascript:"),
        (redirect(302, "myapp://other?code=SECRET"), "myapp:"),
        (redirect(302, "file:///etc/passwd"), "file:"),
        (status(400), "answered 400"),
        (status(500), "answered 500"),
        (page("<form method=post><input type=password name=pw></form>"), "typed in"),
        (page("<p>\u{1b}[2J"), "no form"),
        (page("<form method=post><input name='\u{1b}[2J' required></form>"), "\\u{1b}[2J"),
        (
            Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .body(b"{}".to_vec())
                .unwrap(),
            "no page",
        ),
    ] {
        let why = stuck(vec![answer]);
        assert!(why.contains(says) && !why.contains("SECRET"), "{why}");
    }
    assert!(stuck(Vec::new()).contains("nothing listens at as.example:443"));
    let nowhere = Person::new("nonsense", REDIRECT).step(PersonEvent::Start).action;
    assert!(matches!(nowhere, PersonAction::Stuck(_)));
    let out_of_turn = Person::new(START, REDIRECT).step(PersonEvent::Answered(status(200))).action;
    assert!(matches!(out_of_turn, PersonAction::Stuck(_)));
}

/// A server that has forgotten the client shows a page of its own, whose address says so.
#[test]
fn what_an_error_page_s_address_says_is_reported_reg_93() {
    let to = "https://as.example/error?error=invalid_client&error_description=gone%1b&state=SECRET";
    for end in [page("<p>Oops</p>"), status(400), status(404)] {
        let why = stuck(vec![redirect(302, to), end]);
        assert!(why.ends_with("; its address says error=invalid_client (gone\\u{1b})"), "{why}");
        assert!(!why.contains("SECRET"), "{why}");
    }
    let silent = redirect(302, "https://as.example/error?error=&state=SECRET");
    assert!(!stuck(vec![silent, status(400)]).contains("address"));
}

#[test]
fn nothing_of_it_shows_in_debug() {
    let mut person = Person::new(START, REDIRECT);
    let turn = person.step(PersonEvent::Start);
    assert!(!format!("{turn:?}{person:?}").contains("SECRET"));
    let turn = person
        .step(PersonEvent::Answered(redirect(302, "http://127.0.0.1:9/callback?code=SECRET")));
    assert!(!format!("{turn:?}{person:?}").contains("SECRET"));
}
