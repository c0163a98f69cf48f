use super::*;

fn at(page: &str) -> Next {
    let url = Url::parse("https://as.example/authorize?state=x#frag").unwrap();
    next(page, &url, |url| url.as_str().starts_with("http://127.0.0.1:9/callback"))
}

fn submitted(page: &str) -> (String, String, bool) {
    match at(page) {
        Next::Submit(form) => (form.url.into(), form.body, form.post),
        other => panic!("{page}: {other:?}"),
    }
}

fn stuck(page: &str) -> String {
    match at(page) {
        Next::Stuck(why) => why,
        other => panic!("{page}: {other:?}"),
    }
}

fn body(fields: &str) -> String {
    submitted(&format!("<form method=post action=/go>{fields}</form>")).1
}

#[test]
fn the_button_that_agrees_is_pressed() {
    for (buttons, pressed) in [
        (
            "<button name=d value=deny>Deny</button><button name=d value=allow>Allow</button>",
            "d=allow",
        ),
        (
            "<input type=submit name=allow value=Deny><input type=submit name=y value='Yes, go on'>",
            "y=Yes%2C+go+on",
        ),
        ("<button name=a>Don&#39;t allow</button><button name=b>Allow</button>", "b="),
        ("<button name=a value=no>A</button><button name=b value=1>B</button>", "b=1"),
        (
            "<button id=btnApproveAccess name=a value=1>Los</button><button name=b>Weiter</button>",
            "a=1",
        ),
        ("<button name=a value=1>Weiter</button><button name=b>Zur\u{fc}ck</button>", "a=1"),
        (
            "<button type=button name=c>Accept</button><button type=SUBMIT name=a value=1>Go</button>",
            "a=1",
        ),
        ("<button disabled name=a>Allow</button><button name=b>Go</button>", "b="),
        ("<button type=reset name=r>OK</button><input type=image name=i alt=x value=2>", "i=2"),
        ("<button>Allow</button>", ""),
        ("", ""),
    ] {
        assert_eq!(body(buttons), pressed, "{buttons}");
    }
    for none in [
        "<button>Cancel</button>",
        "<button name=a value=deny>No</button><button>Disallow</button>",
    ] {
        assert!(stuck(&format!("<form method=post>{none}</form>")).contains("no button"), "{none}");
    }
}

#[test]
fn fields_are_sent_as_they_stand() {
    for (fields, sent) in [
        ("<input type=hidden name=csrf value='a&amp;b=c \u{fc}'>", "csrf=a%26b%3Dc+%C3%BC"),
        ("<INPUT TYPE=HIDDEN NAME=a VALUE=1><input name=b value=2 type=\"text\"/>", "a=1&b=2"),
        ("<input name=a value=\"x > y\"><input name=b value='\"'>", "a=x+%3E+y&b=%22"),
        ("<input name=a value=1 name=b value=2>", "a=1"),
        ("<input type=checkbox name=c checked><input type=checkbox name=d value=1>", "c=on"),
        ("<input type=radio name=r value=1><input type=radio name=r value=2 checked=''>", "r=2"),
        ("<select name=s><option value=1>A<option value=2 selected>B</select>", "s=2"),
        (
            "<select name=s><option value=first>A</option><option value=b>B</option></select>",
            "s=first",
        ),
        ("<textarea name=t>\n<b>hi</b> &lt;</textarea>", "t=%3Cb%3Ehi%3C%2Fb%3E+%3C"),
        (
            "<input type=hidden value=nameless><input type=hidden name='' value=x><input disabled name=n>",
            "",
        ),
        ("<input type=hidden name=a value=&#x41;&#66;&#0;&copy;>", "a=AB%EF%BF%BD%26copy%3B"),
        ("<input type=hidden name=u value=/x?a=1&amp=2&b=3>", "u=%2Fx%3Fa%3D1%26amp%3D2%26b%3D3"),
        (
            "<input type=file name=f><input type=reset name=r value=x><input type=email name=e>",
            "e=",
        ),
    ] {
        assert_eq!(body(fields), sent, "{fields}");
    }
}

#[test]
fn what_only_looks_like_a_form_is_none() {
    let real = "<form method=post action=/real><input type=hidden name=ok value=1></form>";
    for decoy in [
        "<!-- <form action=/evil><button>Allow</button></form> -->",
        "<script>document.write('<form action=/evil><button>Allow</button></form>')</script>",
        "<style><form action=/evil></style>",
        "<template><form action=/evil><button>Allow</button></form></template>",
        "<textarea><form action=/evil><button>Allow</button></form></textarea>",
        "<title><form action=/evil><button>Allow</button></form></title>",
        "<p title='<form action=/evil><button>Allow</button>'>",
        "<![CDATA[<form action=/evil]]>",
        "< form action=/evil><",
        "<form-like action=/evil></form-like>",
        "</form></form><a href=/evil>Allow</a>",
        "<form action=/search><input name=q><button>Search</button></form>",
        "<form action=/logout method=post><button>Log out</button></form>",
        "<form action=/logout method=post><button name=logout>x</button></form>",
    ] {
        let consent = format!("{decoy}{real}");
        let (url, body, post) = if decoy.contains("search") || decoy.contains("Log out") {
            submitted(&format!(
                "{decoy}{}",
                real.replace("</form>", "<button>Allow</button></form>")
            ))
        } else {
            submitted(&consent)
        };
        assert_eq!(
            (url.as_str(), body.as_str(), post),
            ("https://as.example/real", "ok=1", true),
            "{decoy}"
        );
    }
}

#[test]
fn targets_and_methods_as_browsers_have_them() {
    for (page, url, post) in [
        ("<form method=post action='consent?x=1'></form>", "https://as.example/consent?x=1", true),
        ("<form method=POST></form>", "https://as.example/authorize?state=x", true),
        ("<form method=post action=''></form>", "https://as.example/authorize?state=x", true),
        (
            "<form action='/go?old=1'><input type=hidden name=a value=1></form>",
            "https://as.example/go?a=1",
            false,
        ),
        ("<form method=bogus action=/go></form>", "https://as.example/go?", false),
        (
            "<base href='https://cdn.example/d/'><form method=post action=x></form>",
            "https://cdn.example/d/x",
            true,
        ),
        (
            "<form action=/a><button formaction=/b formmethod=post>OK</button></form>",
            "https://as.example/b",
            true,
        ),
        (
            "<form method=post action=/a><form action=/b><button>OK</button></form>",
            "https://as.example/a",
            true,
        ),
        ("<form method=post action=//other.example/x></form>", "https://other.example/x", true),
    ] {
        let (to, _, posts) = submitted(page);
        assert_eq!((to.as_str(), posts), (url, post), "{page}");
    }
    for page in [
        "<form method=dialog><button>OK</button></form>",
        "<form method=post enctype=multipart/form-data><button>OK</button></form>",
        "<form method=post action='http://['><button>OK</button></form>",
    ] {
        stuck(page);
    }
}

#[test]
fn fields_may_stand_outside_their_form() {
    let page = "<input form=f type=hidden name=a value=1><form id=f method=post action=/go></form>\
                <button form=f name=b value=2>Allow</button><input name=stray value=3>";
    let (_, body, _) = submitted(page);
    assert_eq!(body, "a=1&b=2");
}

#[test]
fn what_must_be_typed_is_for_a_person() {
    for field in [
        "<input type=password name=pw>",
        "<input type=email name=pw required>",
        "<textarea name=pw required></textarea>",
    ] {
        assert!(
            stuck(&format!("<form method=post>{field}<button>OK</button></form>"))
                .contains("pw typed in")
        );
    }
    assert_eq!(body("<input type=password name=pw value=given>"), "pw=given");
}

#[test]
fn pages_without_a_form_may_lead_on() {
    for (page, to) in [
        ("<meta http-equiv=refresh content='0; url=/next'>", "/next"),
        (
            "<META HTTP-EQUIV='Refresh' CONTENT=\"0;URL='https://x.example/?a=1&amp;b=2'\">",
            "https://x.example/?a=1&b=2",
        ),
        ("<meta http-equiv=refresh content='0,/next'>", "/next"),
        (
            "<a href=/help>Help</a><a href='http://127.0.0.1:9/callback?code=1&amp;state=2'>Back</a>",
            "http://127.0.0.1:9/callback?code=1&state=2",
        ),
    ] {
        let to_url = Url::parse("https://as.example/").unwrap().join(to).unwrap();
        match at(page) {
            Next::Visit(url) => assert!(url == to || url == to_url.as_str(), "{page}: {url}"),
            other => panic!("{page}: {other:?}"),
        }
    }
    for page in [
        "",
        "plain",
        "<meta charset=utf-8>",
        "<meta http-equiv=refresh content=5>",
        "<a href=/x>Allow</a>",
    ] {
        stuck(page);
    }
}

#[test]
fn cut_and_garbled_pages_end() {
    let page = "<form method=post action='/a b'><input type=hidden name=\"a\" value='1'><select name=s><option value=2>\
                <button name=b value=\"3\">Allow &amp; go</button><!-- x --><script>x</script></form>";
    for cut in 0..page.len() {
        let _ = at(&page[..cut]);
        let _ = at(&page[cut..]);
        let _ = at(&format!("{}<{}\"{}", &page[..cut], '=', &page[cut..]));
    }
    for odd in [
        "<", "</", "<!", "<!-", "<!--", "<a", "<a ", "<a =", "<a b=", "<a b='", "&#;", "&#x;", "&",
        "<\u{fc}>",
    ] {
        let _ = at(odd);
        let _ = at(&format!("<form>{odd}"));
    }
    let many = "<input name=a value=1>".repeat(5_000);
    assert!(body(&many).len() < 256 * 8);
}
