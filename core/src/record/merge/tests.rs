use super::*;

/// A grant of this login with this refresh token, as generation `generation` of its record.
fn held(login: &str, refresh_token: &str, generation: u64) -> Held<Grant> {
    let value = serde_json::from_value(serde_json::json!({
        "format": 1, "issuer": "https://as.example", "resource": "https://mcp.example/mcp",
        "client_id": "c1", "account": "default", "access_token": format!("at-{refresh_token}"),
        "refresh_token": refresh_token, "expires": null, "lifetime": null, "login": login,
        "requested": "files:read", "granted": null, "resource_parameter": null,
        "token_endpoint": "https://as.example/token", "revocation_endpoint": null,
        "rejected": false, "untyped": false,
    }));
    Held { value: value.expect("a grant"), generation: Some(generation) }
}

fn rejected(mut held: Held<Grant>) -> Held<Grant> {
    held.value.rejected = true;
    held
}

fn of_another_client(mut held: Held<Grant>) -> Held<Grant> {
    held.value.client_id = "c2".into();
    held
}

/// An access token without a refresh token. It ends at this time.
fn alone(held: Held<Grant>, ends: Option<i64>) -> Held<Grant> {
    let expires = ends.map(Timestamp::from_unix);
    Held { value: Grant { refresh_token: None, expires, ..held.value }, ..held }
}

fn emptied(held: Held<Grant>) -> Held<Grant> {
    let value = Grant { access_token: None, refresh_token: None, ..rejected(held.clone()).value };
    Held { value, ..held }
}

#[test]
fn the_whole_table_of_reads_ref_06_host_225() {
    let ours = held("l1", "r1", 3);
    for (case, ours, theirs, newer_binding, word) in [
        ("the same record", &ours, held("l1", "r1", 3), false, Word::Ours),
        ("an older one", &ours, held("l1", "r0", 2), true, Word::Ours),
        ("a newer one", &ours, held("l1", "r2", 4), false, Word::Theirs),
        ("a login that began it anew, lower", &ours, held("l2", "x", 1), false, Word::Ours),
        ("of another client", &ours, of_another_client(held("l2", "x", 9)), false, Word::Ours),
        (
            "of another client, by a newer binding",
            &ours,
            of_another_client(held("l2", "x", 1)),
            true,
            Word::Theirs,
        ),
        (
            "of another client, and ours is dead",
            &rejected(ours.clone()),
            of_another_client(held("l2", "x", 1)),
            false,
            Word::Theirs,
        ),
    ] {
        assert_eq!(merge(ours, &theirs, Occasion::Read { newer_binding }), word, "{case}");
    }
}

#[test]
fn the_whole_table_of_looks_ref_06_host_224() {
    let spent = [Secret::new("r0")];
    let ours = held("l1", "r1", 3);
    for (case, ours, theirs, refused, unwritten, word) in [
        ("the same record", &ours, held("l1", "r1", 3), false, false, Word::Ours),
        ("an older one", &ours, held("l1", "r0", 2), false, false, Word::Ours),
        ("an older one, after a refusal", &ours, held("l1", "r0", 2), true, false, Word::Ours),
        ("a newer one", &ours, held("l1", "r2", 4), false, false, Word::Theirs),
        ("a newer one, dead", &ours, rejected(held("l1", "r2", 4)), true, false, Word::Theirs),
        ("another login, after a refusal", &ours, held("l2", "x", 1), true, false, Word::Theirs),
        ("another login, before one", &ours, held("l2", "x", 1), false, false, Word::Ours),
        ("a dead login of another", &ours, rejected(held("l2", "x", 1)), true, false, Word::Ours),
        ("ours was never written", &ours, held("l1", "r1", 4), false, true, Word::Ours),
        ("ours was, late, and went on", &ours, held("l1", "r2", 4), false, true, Word::Theirs),
        ("what came late is spent", &ours, held("l1", "r0", 4), false, true, Word::Ours),
        ("a login replaces it", &ours, held("l2", "x", 4), false, true, Word::Ours),
        (
            "a login replaces it, after a refusal",
            &ours,
            held("l2", "x", 4),
            true,
            true,
            Word::Theirs,
        ),
        (
            "the largest number, with another token",
            &held("l1", "r1", u64::MAX),
            held("l1", "r2", u64::MAX),
            false,
            false,
            Word::Theirs,
        ),
        (
            "the largest number, as it is",
            &held("l1", "r1", u64::MAX),
            held("l1", "r1", u64::MAX),
            true,
            false,
            Word::Ours,
        ),
    ] {
        let occasion = Occasion::Look { refused, unwritten, spent: [&spent, &[]] };
        assert_eq!(merge(ours, &theirs, occasion), word, "{case}");
    }
}

#[test]
fn the_whole_table_of_writes_host_242_host_269_host_291() {
    let spent = Replaces::Spent(vec![Secret::new("r0")]);
    let of_login = Replaces::OfLogin(Some("l1".into()));
    let useless = Replaces::Useless { spent: vec![Secret::new("r0")], left: vec!["l0".into()] };
    let ours = held("l1", "r1", 3);
    for (case, theirs, replaces, word) in [
        ("a login replaces anything", held("l2", "x", 9), &Replaces::Anything, Word::Ours),
        ("a rotation, its own token", held("l1", "r0", 4), &spent, Word::Ours),
        ("a rotation, its own record", held("l1", "r1", 4), &spent, Word::Ours),
        ("a rotation, an old copy", held("l1", "x", 2), &spent, Word::Ours),
        ("a rotation, a renewed record", held("l1", "r2", 4), &spent, Word::Theirs),
        ("a rotation, another login", held("l2", "x", 1), &spent, Word::Theirs),
        ("a rotation, a log-out", emptied(held("l1", "r0", 4)), &spent, Word::Theirs),
        ("a log-out, its login", held("l1", "r9", 9), &of_login, Word::Ours),
        ("a log-out, another login", held("l2", "x", 9), &of_login, Word::Theirs),
        ("saved again, its own token", held("l1", "r0", 4), &useless, Word::Ours),
        ("saved again, a dead record", rejected(held("l2", "x", 9)), &useless, Word::Ours),
        ("saved again, an empty record", emptied(held("l2", "x", 9)), &useless, Word::Ours),
        ("saved again, what was left", held("l0", "x", 9), &useless, Word::Ours),
        ("saved again, a token alone", alone(held("l2", "x", 9), None), &useless, Word::Theirs),
        (
            "saved again, a token alone that is over",
            alone(held("l2", "x", 9), Some(1_999_999_999)),
            &useless,
            Word::Ours,
        ),
        ("saved again, another login", held("l2", "x", 9), &useless, Word::Theirs),
    ] {
        let wall = Timestamp::from_unix(2_000_000_000);
        assert_eq!(merge(&ours, &theirs, Occasion::Write { replaces, wall }), word, "{case}");
    }
    for (kind, replaces, left_alone) in [
        (Kind::StoreVersion, &Replaces::Anything, true),
        (Kind::StoreCorrupt, &Replaces::Anything, false),
        (Kind::StoreCorrupt, &of_login, false),
        (Kind::StoreCorrupt, &useless, false),
        (Kind::StoreCorrupt, &spent, true),
        (Kind::StoreVersion, &useless, true),
    ] {
        assert_eq!(merge_unreadable(kind, replaces).is_err(), left_alone, "{kind:?} {replaces:?}");
    }
}

#[test]
fn the_whole_table_of_ended_logins() {
    let ours = held("l1", "r1", 3);
    for (case, theirs, published, word) in [
        ("another login", held("l2", "x", 9), true, Word::Ours),
        ("this one, as it came", held("l1", "r1", 3), false, Word::Ours),
        ("this one, published already", held("l1", "r1", 3), true, Word::Theirs),
        ("this one, renewed", held("l1", "r2", 4), false, Word::Theirs),
        ("this one, before it was saved", held("l1", "r1", 2), true, Word::Ours),
    ] {
        assert_eq!(merge(&ours, &theirs, Occasion::LoginEnds { published }), word, "{case}");
    }
}

#[test]
fn the_whole_table_of_what_a_record_brings_ref_08() {
    let wall = Timestamp::from_unix(2_000_000_000);
    let ours = held("l1", "r1", 3).value;
    let ends =
        |at: i64| Grant { expires: Some(Timestamp::from_unix(at)), ..held("l1", "r2", 4).value };
    let same_refresh = |grant: Grant| Grant { refresh_token: ours.refresh_token.clone(), ..grant };
    for (case, theirs, expected) in [
        ("a dead record", rejected(held("l1", "r2", 4)).value, Brings::Refusal),
        ("a token of unknown life", held("l1", "r2", 4).value, Brings::Token),
        ("a live token", ends(2_000_000_001), Brings::Token),
        ("a token that is over", ends(2_000_000_000), Brings::RefreshToken),
        ("a token alone", same_refresh(ends(2_000_000_001)), Brings::Token),
        ("nothing new that lives", same_refresh(ends(1)), Brings::Nothing),
        ("what we have", ours.clone(), Brings::Nothing),
        (
            "a token that is over, and nothing to renew it",
            Grant { refresh_token: None, ..ends(1) },
            Brings::Refusal,
        ),
    ] {
        assert_eq!(brings(&ours, &theirs, wall), expected, "{case}");
    }
    assert_eq!(brings(&ours, &ends(1), Timestamp::from_unix(0)), Brings::Token, "no clock");
}
