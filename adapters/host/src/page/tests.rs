use std::sync::Arc;

use mcp_authz_core::effect::LoopbackHost;
use mcp_authz_core::failure::{Failure, Remedy};

use super::*;

fn parties() -> Parties {
    Parties {
        program: "Mail".to_owned(),
        resource: "mcp.example".to_owned(),
        issuer: "xn--bcher-kva.example".to_owned(),
    }
}

fn pages_with(text: PageText) -> Pages {
    let on = ListenOn { host: LoopbackHost::V4, port: None, path: "/callback".to_owned() };
    Pages::new(text, &on, 4711)
}

fn page(page: &Page) -> Vec<u8> {
    pages_with(PageText::new()).page(page)
}

fn nobody() -> Vec<u8> {
    pages_with(PageText::new()).nobody()
}

fn failed(kind: Kind) -> Page {
    Page::Failed { parties: parties(), kind, remedy: kind.remedy() }
}

/// Its failure names what a stranger wrote.
fn untrusted(kind: Kind) -> Page {
    let failure =
        Failure::new(kind, "ISS-07").with_subject("received STRANGE https://evil.example");
    Page::Untrusted { parties: parties(), failure: Arc::new(failure) }
}

fn callbacks() -> Vec<Page> {
    let mut pages =
        vec![Page::Authorized(parties()), Page::OneMoreStep(parties()), Page::Denied(parties())];
    for kind in Kind::ALL {
        pages.extend([failed(*kind), untrusted(*kind), Page::Refused(*kind)]);
    }
    pages
}

fn text(answer: Vec<u8>) -> String {
    String::from_utf8(answer).unwrap()
}

fn answers_of(pages: &Pages) -> Vec<String> {
    let shown = callbacks().into_iter().map(|shown| pages.page(&shown));
    let rest = [400, 404, 405, 421].map(|status| pages.refusal(status));
    shown.chain(rest).chain([pages.nobody()]).map(text).collect()
}

/// In the library's words, and in a program's that mean no good.
fn every_answer() -> Vec<String> {
    let mut answers = answers_of(&pages_with(PageText::new()));
    answers.extend(answers_of(&pages_with(hostile())));
    answers
}

const OUTCOMES: [Outcome; 8] = [
    Outcome::Authorized,
    Outcome::OneMoreStep,
    Outcome::Untrusted,
    Outcome::Denied,
    Outcome::Failed,
    Outcome::Refused,
    Outcome::Nobody,
    Outcome::NoCallback,
];

const LABELS: [Label; 4] = [Label::Program, Label::Resource, Label::Issuer, Label::Served];

const MARKUP: &str = "You may close this window\"'><script>alert(1)</script></title>\u{7}";
const AS_TEXT: &str = "You may close this window&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\
                       &lt;/title&gt; ";

/// Markup wherever a program may bring words.
fn hostile() -> PageText {
    let words = Words::new().title(MARKUP).lead(MARKUP).next(MARKUP);
    let text = OUTCOMES
        .iter()
        .fold(PageText::new().language("de"), |text, outcome| text.words(*outcome, words.clone()));
    LABELS.iter().fold(text, |text, label| text.label(*label, MARKUP))
}

#[test]
fn pages_are_fenced_in_and_redirect_nowhere_nat_10_sec_13_host_198() {
    for answer in every_answer() {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        for field in [
            "Content-Type: text/html; charset=utf-8",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        ] {
            assert!(head.lines().any(|line| line == field), "{field}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(length.parse(), Ok(body.len()));
        assert!(!head.to_ascii_lowercase().contains("location:"));
    }
}

/// Nothing is loaded, run or sent, whatever gets into a page.
#[test]
fn the_policy_allows_the_style_and_nothing_else_nat_10_host_198() {
    let answer = text(nobody());
    let policy = answer.lines().find_map(|line| line.strip_prefix("Content-Security-Policy: "));
    let shown = answer.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(shown));
    assert_eq!(
        policy.unwrap(),
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; \
             base-uri 'none'; form-action 'none'"
        )
    );
}

#[test]
fn pages_hold_no_script_and_nothing_from_elsewhere_nat_10() {
    for answer in every_answer() {
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_ascii_lowercase();
        for part in [
            "<script",
            "javascript:",
            " onload",
            " onerror",
            " style=",
            "href",
            "src=",
            "url(",
            "@import",
            "://",
            "<form",
            "<iframe",
            "http-equiv",
        ] {
            assert!(!body.contains(part), "{part}");
        }
    }
}

/// Each page has the parts that a screen reader, a small window and a tab need.
#[test]
fn pages_are_complete_documents_nat_10() {
    for answer in every_answer() {
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let lang = if answer.contains("alert(1)") { "de" } else { "en" };
        assert!(body.starts_with(&format!("<!DOCTYPE html>\n<html lang=\"{lang}\">\n")));
        for part in ["name=\"viewport\"", "<main ", "aria-hidden=\"true\"", "</html>\n"] {
            assert_eq!(body.matches(part).count(), 1, "{part}");
        }
        let inner = |name: &str| {
            let (open, close) = (format!("<{name}>"), format!("</{name}>"));
            body.split_once(&open).unwrap().1.split_once(&close).unwrap().0.to_owned()
        };
        assert_eq!(inner("title"), inner("h1"));
        assert!(body.contains("You may close this window"));
    }
}

#[test]
fn pages_say_who_was_authorized_by_whom_nat_10() {
    for shown in [
        Page::Authorized(parties()),
        Page::OneMoreStep(parties()),
        Page::Denied(parties()),
        failed(Kind::Timeout),
    ] {
        let answer = text(page(&shown));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(answer.contains("<dd>mcp.example</dd>"), "{answer}");
        assert!(answer.contains("<dd>xn--bcher-kva.example</dd>"), "{answer}");
        assert!(answer.contains("<dt>Program</dt><dd>Mail</dd>"), "{answer}");
    }
}

/// A person with several programs, or several windows, sees which one it was.
#[test]
fn every_page_says_where_on_loopback_it_was_served_nat_10() {
    for (host, port, shown) in [
        (LoopbackHost::V4, 4711, "127.0.0.1:4711"),
        (LoopbackHost::V6, 80, "[::1]:80"),
        (LoopbackHost::Localhost, 65535, "localhost:65535"),
    ] {
        let on = ListenOn { host, port: None, path: "/callback".to_owned() };
        for answer in answers_of(&Pages::new(PageText::new(), &on, port)) {
            let row = format!("<dt>Served at</dt><dd>{shown}</dd>");
            assert_eq!(answer.matches(&row).count(), 1, "{answer}");
        }
    }
}

#[test]
fn an_answer_of_another_issuer_is_said_to_be_untrusted_and_not_repeated_iss_90_host_198() {
    let answer = text(page(&untrusted(Kind::IssMismatch)));
    assert!(answer.starts_with("HTTP/1.1 400 "));
    assert!(answer.contains("<h1>This answer cannot be trusted</h1>"), "{answer}");
    assert!(answer.contains("cancel it in the program"), "{answer}");
    assert!(answer.contains("<dd>xn--bcher-kva.example</dd>"), "{answer}");
    assert!(answer.contains("<code>iss_mismatch</code>"), "{answer}");
    assert!(!answer.contains("STRANGE") && !answer.contains("evil.example"), "{answer}");
}

#[test]
fn a_login_that_goes_on_elsewhere_says_so_reg_21() {
    let answer = text(page(&Page::OneMoreStep(parties())));
    assert!(answer.starts_with("HTTP/1.1 200 "));
    assert!(answer.contains("<h1>One more step</h1>"), "{answer}");
}

#[test]
fn a_machine_that_lacks_something_is_not_to_be_reconfigured_blindly_host_281() {
    let answer = text(page(&failed(Kind::MachineExhausted)));
    assert!(answer.contains("limits on open files"), "{answer}");
    let answer = text(page(&failed(Kind::ConfigInvalid)));
    assert!(answer.contains(&Remedy::Configure.to_string()), "{answer}");
}

/// Any web page can send a browser here, and learns nothing by it.
#[test]
fn strangers_are_told_of_nobody_host_175() {
    let answer = text(page(&Page::Refused(Kind::StateMismatch)));
    assert!(answer.starts_with("HTTP/1.1 400 "));
    assert_eq!(answer.matches("<dt>").count(), 1, "{answer}");
    assert!(answer.contains("<dt>Served at</dt>"), "{answer}");
    assert!(text(nobody()).starts_with("HTTP/1.1 410 "));
}

#[test]
fn a_failure_says_what_happened_and_what_to_do_nat_10() {
    let remedy = Remedy::Retry { after: Some(core::time::Duration::from_secs(7)) };
    let answer = text(page(&Page::Failed { parties: parties(), kind: Kind::Transient, remedy }));
    assert!(answer.contains("<p>The server cannot answer now.</p>"));
    assert!(answer.contains("and try again in 7 s.</p>"));
    assert!(answer.contains("<small><code>transient</code></small>"));
}

#[test]
fn names_are_text_and_never_markup_host_198() {
    let hostile = "<script>alert('1')</script>&\"";
    let parties = Parties {
        program: hostile.to_owned(),
        resource: hostile.to_owned(),
        issuer: hostile.to_owned(),
    };
    let answer = text(page(&Page::Authorized(parties)));
    assert!(!answer.contains("<script"));
    let safe = "<dd>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;</dd>";
    assert_eq!(answer.matches(safe).count(), 3);
}

#[test]
fn the_words_of_a_program_are_text_and_never_markup_host_198() {
    for answer in answers_of(&pages_with(hostile())) {
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.matches("<script").count(), 0, "{body}");
        for (open, close) in [("<h1>", "</h1>"), ("<p>", "</p>"), ("<title>", "</title>")] {
            assert!(body.contains(&format!("{open}{AS_TEXT}{close}")), "{body}");
        }
        assert!(body.contains(&format!("<dt>{AS_TEXT}</dt><dd>127.0.0.1:4711</dd>")), "{body}");
        assert!(!body.contains('\u{7}'));
    }
    let tag = text(pages_with(PageText::new().language("\"><b>")).nobody());
    assert!(tag.contains("<html lang=\"&quot;&gt;&lt;b&gt;\">"), "{tag}");
}

#[test]
fn a_program_brings_words_for_some_outcomes_and_the_rest_stays() {
    let done = Words::new().title("Willkommen").lead("Acme Mail ist angemeldet.");
    let failed_with = Words::new().lead("Es hat nicht geklappt.");
    let refused = Words::new().lead("Damit ist nichts anzufangen.");
    let pages = pages_with(
        PageText::new()
            .language("de")
            .words(Outcome::Authorized, Words::new().title("Zuerst"))
            .words(Outcome::Authorized, done)
            .words(Outcome::Failed, failed_with)
            .words(Outcome::Refused, refused)
            .label(Label::Program, "Programm"),
    );
    let answer = text(pages.page(&Page::Authorized(parties())));
    assert!(answer.contains("<title>Willkommen</title>"), "{answer}");
    assert!(answer.contains("<h1>Willkommen</h1>\n<p>Acme Mail ist angemeldet.</p>"), "{answer}");
    assert!(answer.contains("<dt>Programm</dt><dd>Mail</dd>"), "{answer}");
    assert!(answer.contains("<dt>MCP server</dt>"), "{answer}");
    assert!(answer.contains("<p>You may close this window and go back to the program.</p>"));
    let answer = text(pages.page(&Page::Denied(parties())));
    assert!(answer.contains("<h1>The login was declined</h1>"), "{answer}");
    // A lead takes the place of every sentence about the failure; its code can still be looked up.
    let answer = text(pages.page(&failed(Kind::Transient)));
    assert!(answer.contains("<p>Es hat nicht geklappt.</p>"), "{answer}");
    assert!(!answer.contains("cannot answer now"), "{answer}");
    assert!(answer.contains("<small><code>transient</code></small>"), "{answer}");
    let answer = text(pages.page(&Page::Refused(Kind::StateMismatch)));
    assert!(answer.contains("<small><code>state_mismatch</code></small>"), "{answer}");
}

/// WCAG 2 AA: 4.5 for text, 3 for the marks; the marks are held to 4.5 as well.
#[test]
fn every_colour_can_be_read_on_its_ground_in_light_and_dark() {
    let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    for theme in [light, dark] {
        for ink in ["ink", "soft", "good", "mild", "bad"] {
            let (ink_is, card) = (luminance(theme, ink), luminance(theme, "card"));
            let contrast = (ink_is.max(card) + 0.05) / (ink_is.min(card) + 0.05);
            assert!(contrast >= 4.5, "{ink}: {contrast:.2}");
        }
    }
}

fn luminance(theme: &str, name: &str) -> f64 {
    let colour = theme.split_once(&format!("--{name}: #")).unwrap().1.get(..6).unwrap();
    let part = |at: usize| {
        let value = u8::from_str_radix(colour.get(at..at + 2).unwrap(), 16).unwrap();
        let value = f64::from(value) / 255.0;
        if value <= 0.03928 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}
