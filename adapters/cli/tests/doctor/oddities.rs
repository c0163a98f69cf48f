//! Every oddity of the model server: the rules that are named without a login and with one.

use std::thread;

use mcp_authz_tests::model::Oddity;
use mcp_authz_tests::serve;

use crate::Examined;
use crate::common::Home;

/// How far a test goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    /// Without a login: there is nothing behind it, or nobody who would fill in a form.
    No,
    /// Through a login.
    Yes,
    /// Through a login and one renewal.
    Renewed,
    /// The same, with refresh tokens that are over at once.
    Late,
}
use Login::{Late, No, Renewed, Yes};

/// The name of the oddity; the verdict and the rules without a login; how far to go; the verdict and the
/// rules then.
type Expected<'a> = (&'a str, &'a str, &'a [&'a str], Login, &'a str, &'a [&'a str]);

const EXPECTED: &[Expected<'static>] = &[
    ("prm-root", "works", &["PRM-07"], Yes, "works", &["PRM-07"]),
    ("prm-root-unnamed", "works", &["DISC-04"], Yes, "works", &["DISC-04"]),
    ("prm-custom", "works", &[], Yes, "works", &[]),
    ("prm-redirect", "works", &["SEC-09"], Yes, "works", &["SEC-09"]),
    ("prm-foreign", "broken", &["PRM-07"], No, "", &[]),
    ("prm-no-servers", "broken", &["PRM-08"], No, "", &[]),
    ("web-page-everywhere", "works", &[], Yes, "works", &[]),
    ("openid-only", "works", &["ASM-06"], Yes, "works", &["ASM-06"]),
    ("metadata-redirect", "works", &["SEC-09"], Yes, "works", &["SEC-09"]),
    ("issuer-other", "works_with_options", &["ASM-07", "BIND-12"], No, "", &[]),
    ("pkce-unlisted", "works_with_options", &["ASM-11"], Yes, "works_with_options", &["ASM-11"]),
    ("pkce-plain", "broken", &["ASM-12"], No, "", &[]),
    ("par-required", "broken", &["PAR-01"], No, "", &[]),
    ("open", "works_without_login", &["DISC-03"], No, "", &[]),
    ("bare-401", "works", &["WWW-13"], Yes, "works", &["WWW-13"]),
    ("basic-challenge", "works", &["DISC-04"], Yes, "works", &["DISC-04"]),
    (
        "basic-only",
        "unknown",
        &["LEG-03", "SCOPE-04"],
        Yes,
        "broken",
        &["LEG-03", "LEG-09", "SCOPE-04"],
    ),
    (
        "closed",
        "unknown",
        &["HOST-059", "LEG-03", "SCOPE-04", "WWW-13"],
        Yes,
        "broken",
        &["HOST-059", "LEG-03", "LEG-09", "SCOPE-04", "WWW-13"],
    ),
    ("dpop-only", "broken", &["DPOP-18"], No, "", &[]),
    ("handshake-open", "works", &[], Yes, "works", &[]),
    ("event-streams", "works", &[], Yes, "works", &[]),
    ("no-sessions", "works", &[], Yes, "works", &[]),
    ("session-lost-404", "works", &[], Yes, "works", &[]),
    ("session-lost-410", "works", &[], Yes, "works", &[]),
    ("session-lost-400", "works", &[], Yes, "works", &[]),
    ("session-lost-rpc", "works", &[], Yes, "works", &[]),
    ("resource-ignored", "works", &[], Yes, "works", &[]),
    ("secret-basic", "works", &[], Renewed, "works", &[]),
    ("secret-post", "works", &[], Renewed, "works", &[]),
    ("secret-post-first", "works", &[], Renewed, "works", &[]),
    ("secret-unasked", "works", &[], Renewed, "works", &[]),
    ("redirect-exact", "works", &[], Yes, "works", &["REF-11"]),
    ("registered-200", "works", &[], Yes, "works", &[]),
    ("registered-with-nulls", "works", &[], Yes, "works", &[]),
    ("application-type", "works", &[], Yes, "works", &[]),
    ("registration-closed", "needs_client", &["REG-20"], No, "", &[]),
    ("registration-refused", "works", &[], Yes, "needs_client", &["REG-17"]),
    ("registration-forgotten", "works", &[], Yes, "works", &[]),
    ("consent-form", "works", &[], No, "", &[]),
    ("consent-denied", "works", &[], Yes, "refused", &["ISS-17"]),
    ("resource-refused", "works", &[], Yes, "works_with_options", &["ISS-17", "RES-01"]),
    ("entra-resource", "works", &[], Yes, "works_with_options", &["ISS-17", "RES-01"]),
    ("iss-missing", "works", &[], Yes, "broken", &["ISS-08"]),
    ("iss-other", "works", &[], Yes, "broken", &["ISS-07"]),
    ("iss-unannounced", "works", &["ISS-10"], Yes, "works", &["ISS-10"]),
    ("iss-absent", "works", &["ISS-10"], Yes, "works", &["ISS-10"]),
    ("callback-more", "works", &[], Yes, "works", &[]),
    ("short-rotating", "works", &[], Renewed, "works", &[]),
    ("short-static", "works", &[], Renewed, "works", &[]),
    ("short-no-refresh", "works", &[], Yes, "works", &["REF-11"]),
    ("short-refresh-dies", "works", &[], Late, "broken", &["REF-08"]),
    ("refused-with-422", "works", &[], Late, "broken", &["REF-08"]),
    ("refused-with-200", "works", &[], Late, "broken", &["REF-08"]),
    ("refused-ok-false", "works", &[], Late, "broken", &["REF-90"]),
    ("refused-message", "works", &[], Late, "broken", &["REF-90"]),
    ("refused-scope", "works", &[], Late, "broken", &["REF-90"]),
    ("refused-request", "works", &[], Late, "broken", &["REF-90"]),
    ("refused-client", "works", &[], Late, "broken", &["TOK-12"]),
    ("granted-202", "works", &[], Yes, "works", &["HOST-320"]),
    ("granted-203", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-encoding", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-encoding-empty", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-not-utf8", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-surrogate", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-line-end", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-deep", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-nul-after", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-text-after", "works", &[], Yes, "works", &["HOST-320"]),
    ("token-twice", "works", &[], Yes, "works", &["HOST-320"]),
    ("short-untold", "works", &[], Yes, "works", &["HOST-205"]),
    ("refresh-ends-access", "works", &[], Renewed, "works", &[]),
    ("expires-in-text", "works", &[], Yes, "works", &[]),
    ("expires-in-float", "works", &[], Yes, "works", &[]),
    ("expires-in-nonsense", "works", &[], Yes, "works", &["HOST-205"]),
    ("token-type-lower", "works", &[], Yes, "works", &[]),
    ("token-type-other", "works", &[], Yes, "broken", &["TOK-07"]),
    ("scope-commas", "works", &[], Yes, "works", &[]),
    ("scope-array", "works", &[], Yes, "works", &[]),
    ("scope-wider", "works", &[], Yes, "works", &["HOST-211"]),
    ("long-token", "works", &[], Yes, "works", &[]),
];

/// Plays one oddity, and says how it was otherwise than expected.
fn play(oddity: &Oddity, expected: &Expected<'_>) -> Vec<String> {
    let (name, verdict, rules, login, after, rules_after) = expected;
    let served = serve::embedded(|settings| {
        oddity.apply(settings);
        if *login == Late {
            settings.servers_mut().for_each(|server| server.tokens.refresh_life_ms = Some(0));
        }
    })
    .unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let mut wrong = Vec::new();
    let mut judge = |examined: &Examined, verdict: &str, rules: &[&str]| {
        let mut wanted: Vec<&str> = rules.to_vec();
        wanted.sort_unstable();
        let found: Vec<&str> = examined.rules().into_iter().collect();
        if examined.verdict() != verdict || found != wanted {
            wrong.push(format!(
                "{name}: {} {found:?}, not {verdict} {wanted:?}",
                examined.verdict()
            ));
        }
    };
    let examined = Examined::of(&home, url, &[]);
    judge(&examined, verdict, rules);
    for purpose in ["registration", "code_exchange", "refresh"] {
        assert!(!examined.sent().contains(&purpose), "{name} is only looked at");
    }
    assert_eq!(home.pages(), 0, "{name}: nobody is asked");
    if examined.verdict() == "works_with_options" {
        examined.works_as_printed(&home, &[]);
    }
    let more: &[&str] = match login {
        No => return wrong,
        Yes => &["--login", "--forget", "--yes"],
        Renewed | Late => &["--login", "--forget", "--yes", "--refresh"],
    };
    let examined = Examined::of(&home, url, more);
    judge(&examined, after, rules_after);
    if examined.verdict() == "works_with_options" {
        examined.works_as_printed(&home, &["--login", "--forget"]);
    }
    wrong
}

/// A new oddity without an expectation fails.
#[test]
fn each_oddity_of_the_model_is_named() {
    let all: Vec<(&Oddity, &Expected<'static>)> = Oddity::all()
        .map(|oddity| {
            let of = |expected: &&Expected<'static>| expected.0 == oddity.name;
            let expected = EXPECTED.iter().find(of);
            (oddity, expected.unwrap_or_else(|| panic!("nothing is expected of {}", oddity.name)))
        })
        .collect();
    assert_eq!(all.len(), EXPECTED.len(), "an expectation has no oddity");
    let wrong: Vec<String> = thread::scope(|scope| {
        let players: Vec<_> = all
            .chunks(all.len().div_ceil(4))
            .map(|some| {
                scope.spawn(|| {
                    some.iter()
                        .flat_map(|(oddity, expected)| play(oddity, expected))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
