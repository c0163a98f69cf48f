use super::*;

#[test]
fn waits_are_bounded_host_073_tok_15() {
    let now = Timestamp::from_unix(784_111_777);
    let digits = "9".repeat(300);
    for (text, seconds) in [
        ("0", Some(0)),
        ("7", Some(7)),
        ("300", Some(300)),
        ("301", Some(300)),
        ("99999999999", Some(300)),
        (digits.as_str(), Some(300)),
        ("-1", None),
        ("NaN", None),
        ("1.5", None),
        ("", None),
        ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(300)),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun, 06 Nov 1994 24:49:37 GMT", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sunday, 06-Nov-94 08:49:37 GMT", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        let wait = read_retry_after(&headers, now).map(|wait| wait.as_secs());
        assert_eq!(wait, seconds, "{text}");
    }
    let mut twice = HeaderMap::new();
    twice.append(RETRY_AFTER, "1".parse().unwrap());
    twice.append(RETRY_AFTER, "2".parse().unwrap());
    assert_eq!(read_retry_after(&twice, now), None);
    assert_eq!(read_retry_after(&HeaderMap::new(), now), None);
}

#[test]
fn a_broken_clock_judges_no_date_host_312() {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, "Fri, 31 Dec 9999 23:59:59 GMT".parse().unwrap());
    assert_eq!(read_retry_after(&headers, Timestamp::from_unix(-5)), None);
}

#[test]
fn dates_count_leap_days() {
    for (text, unix) in [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
        ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
        ("Thu, 31 Dec 2026 23:59:59 GMT", 1_798_761_599),
    ] {
        assert_eq!(imf_fixdate(text), Some(Timestamp::from_unix(unix)), "{text}");
    }
}
