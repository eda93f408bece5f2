//! Each event by itself, with what is told of it.

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};

use super::super::*;
use crate::model::downstream::Problem;
use crate::model::profile::{Address, Phone};
use crate::risk_assess::columns::Column;
use crate::risk_assess::config::Strictness;
use crate::risk_assess::matching::{ConflictKind, Roster};
use crate::risk_assess::theirs::TheirAccount;

fn at(hour: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    begin + SignedDuration::from_hours(hour)
}

fn ann() -> Profile {
    Profile {
        user: crate::model::id::UserId::new(7).unwrap(),
        class: AccountClass::Internal,
        active: true,
        licensed: Some(true),
        login: "Ann".into(),
        email: Some("ann@x.com".into()),
        first_name: Some("Ann".into()),
        middle_name: None,
        last_name: Some("Lee".into()),
        phone: Some(Phone {
            country_code: Some("1".into()),
            area_code: Some("555".into()),
            number: Some("123-4567".into()),
            extension: None,
        }),
        address: Some(Address {
            street1: Some("1 High St".into()),
            state: Some("Ohio".into()),
            state_iso_code: Some("OH".into()),
            country: Some("US".into()),
            ..Address::default()
        }),
        authentication_method: None,
        updated_at: Some(at(0)),
    }
}

fn config(delivery: Delivery, user_sync: UserSync, removal: Removal) -> RiskAssessConfig {
    RiskAssessConfig {
        strictness: Strictness::Standard,
        delivery,
        user_sync,
        removal,
    }
}

fn native() -> RiskAssessConfig {
    RiskAssessConfig::default()
}

fn quick() -> RiskAssessConfig {
    config(Delivery::QuickIntegration, UserSync::Unknown, Removal::Unknown)
}

fn first(profile: &Profile, config: &RiskAssessConfig) -> Record {
    read(None, profile, config, at(1)).unwrap()
}

fn with(change: impl FnOnce(&mut Profile)) -> Profile {
    let mut profile = ann();
    change(&mut profile);
    profile
}

fn kinds(record: &Record) -> Vec<&str> {
    record.problems.iter().map(|problem| &*problem.kind).collect()
}

#[test]
fn what_is_expected() {
    let expected = |licensed, active, removal| {
        let profile = with(|profile| (profile.licensed, profile.active) = (licensed, active));
        expectation(&profile, &config(Delivery::Native, UserSync::On, removal))
    };
    for removal in Removal::ALL {
        assert_eq!(expected(Some(true), true, removal), Some(Expectation::Active));
        assert_eq!(expected(Some(true), false, removal), Some(Expectation::Closed));
        assert_eq!(expected(None, true, removal), None, "nobody knows");
    }
    for active in [true, false] {
        let lost = |removal| expected(Some(false), active, removal).unwrap();
        assert_eq!(lost(Removal::Closes), Expectation::Closed);
        assert_eq!(lost(Removal::Stays), Expectation::Kept);
        assert_eq!(lost(Removal::Unknown), Expectation::Undocumented);
    }
}

#[test]
fn every_field_of_the_sync_is_in_the_fingerprint_and_no_other() {
    let of = |change: fn(&mut Profile)| fingerprint(&with(change)).fields;
    let mut seen = std::collections::BTreeSet::from([fingerprint(&ann()).fields]);
    let changes: [fn(&mut Profile); 18] = [
        |p| p.user = crate::model::id::UserId::new(8).unwrap(),
        |p| p.login = "ann".into(),
        |p| p.email = Some("Ann@x.com".into()),
        |p| p.email = None,
        |p| p.email = Some("".into()),
        |p| p.active = false,
        |p| p.first_name = Some("Anne".into()),
        |p| p.last_name = None,
        |p| p.phone.as_mut().unwrap().country_code = None,
        |p| p.phone.as_mut().unwrap().area_code = None,
        |p| p.phone.as_mut().unwrap().number = None,
        |p| p.phone.as_mut().unwrap().extension = Some("9".into()),
        |p| p.address.as_mut().unwrap().street1 = None,
        |p| p.address.as_mut().unwrap().street2 = Some("1 High St".into()),
        |p| p.address.as_mut().unwrap().city = Some("1 High St".into()),
        |p| p.address.as_mut().unwrap().state = None,
        |p| p.address.as_mut().unwrap().postal_code = Some("1 High St".into()),
        |p| p.address = None,
    ];
    for (which, change) in changes.into_iter().enumerate() {
        assert!(seen.insert(of(change)), "{which}");
    }
    let others: [fn(&mut Profile); 5] = [
        |p| p.middle_name = Some("M".into()),
        |p| p.licensed = Some(false),
        |p| p.updated_at = None,
        |p| p.authentication_method = Some("saml".into()),
        |p| p.address.as_mut().unwrap().street3 = Some("x".into()),
    ];
    for (which, change) in others.into_iter().enumerate() {
        assert_eq!(of(change), fingerprint(&ann()).fields, "{which}");
    }
    assert_eq!(folded(" ANN "), folded("ann"));
    assert_eq!(
        folded("abc").0.as_ref(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn who_never_held_the_license_has_no_record() {
    let none = with(|profile| profile.licensed = Some(false));
    assert_eq!(read(None, &none, &native(), at(1)), None);
    let hidden = with(|profile| profile.licensed = None);
    assert_eq!(read(None, &hidden, &native(), at(1)), None);
    let known = first(&ann(), &native());
    let kept = read(Some(known.clone()), &hidden, &native(), at(2));
    assert_eq!(kept, Some(known), "what is not shown changes nothing");
}

#[test]
fn a_change_ends_what_was_claimed_and_a_repeat_does_not() {
    let record = first(&ann(), &quick());
    let sent = Sent::of(&ann(), &quick()).unwrap();
    let delivered = answered(record, &sent, Standing::Delivered, "201", at(2));
    assert_eq!(delivered.standing, Standing::Delivered);
    let again = read(Some(delivered.clone()), &ann(), &quick(), at(3)).unwrap();
    assert_eq!((again.standing, again.since), (Standing::Delivered, at(2)));
    assert_eq!(again.reading.at, at(3));
    let renamed = with(|profile| profile.login = "Ann2".into());
    let changed = read(Some(again.clone()), &renamed, &quick(), at(4)).unwrap();
    assert_eq!((changed.standing, changed.since), (Standing::Expected, at(4)));
    let lost = with(|profile| profile.licensed = Some(false));
    let lost = read(Some(again), &lost, &quick(), at(4)).unwrap();
    assert_eq!(
        (lost.expectation, lost.standing),
        (Expectation::Undocumented, Standing::Unknown),
        "equal fields, and something else is expected"
    );
}

#[test]
fn an_older_reading_replaces_nothing() {
    let renamed = with(|profile| profile.login = "Ann2".into());
    let record = read(None, &renamed, &native(), at(5)).unwrap();
    let late = read(Some(record.clone()), &ann(), &native(), at(4)).unwrap();
    assert_eq!(late, record);
    let gone = absent(record, at(6));
    assert_eq!(gone.standing, Standing::Unknown);
    assert_eq!(kinds(&gone), [USER_ABSENT]);
    let late = read(Some(gone.clone()), &renamed, &native(), at(5)).unwrap();
    assert_eq!(late, gone, "it was asked for before Coupa said so");
    let back = read(Some(gone.clone()), &renamed, &native(), at(7)).unwrap();
    assert_eq!((back.standing, kinds(&back).len()), (Standing::Expected, 0));
    assert_eq!(absent(back.clone(), at(6)), back);
    assert_eq!(absent(gone.clone(), at(9)), gone, "once is enough");
}

#[test]
fn an_answer_counts_for_the_row_it_was_given_to() {
    let record = first(&ann(), &quick());
    let other = with(|profile| profile.first_name = None);
    let sent = |profile: &Profile| Sent::of(profile, &quick()).unwrap();
    let inactive = Sent {
        expectation: Expectation::Closed,
        ..sent(&ann())
    };
    for sent in [sent(&other), inactive] {
        let after = answered(record.clone(), &sent, Standing::Delivered, "201", at(2));
        assert_eq!(after, record);
    }
    let after = answered(record.clone(), &sent(&ann()), Standing::Delivered, "201", at(0));
    assert_eq!(after, record, "older than the record");
}

#[test]
fn a_repeated_row_takes_nothing_back() {
    let sent = Sent::of(&ann(), &quick()).unwrap();
    let seen = Standing::Seen(date(2026, 11, 1));
    let (expected, delivered) = (Standing::Expected, Standing::Delivered);
    let (queued, doubtful) = (Standing::Queued, Standing::Doubtful);
    let (rejected, unknown) = (Standing::Rejected, Standing::Unknown);
    for (known, answer, then) in [
        (expected, delivered, delivered),
        (expected, queued, queued),
        (expected, doubtful, doubtful),
        (expected, rejected, rejected),
        (expected, unknown, unknown),
        (doubtful, queued, queued),
        (queued, doubtful, queued),
        (queued, delivered, delivered),
        (delivered, queued, delivered),
        (delivered, doubtful, delivered),
        (delivered, rejected, rejected),
        (rejected, delivered, delivered),
        (rejected, doubtful, doubtful),
        (delivered, expected, delivered),
        (delivered, unknown, delivered),
        (expected, seen, expected),
        (seen, delivered, seen),
        (seen, doubtful, seen),
        (seen, rejected, rejected),
    ] {
        let record = Record {
            standing: known,
            ..first(&ann(), &quick())
        };
        let after = answered(record, &sent, answer, "it", at(2));
        assert_eq!(after.standing, then, "{answer} after {known}");
        let refused = answer == rejected;
        assert_eq!(kinds(&after), if refused { vec![REJECTED] } else { vec![] });
        let at_last = answered(after, &sent, delivered, "201", at(3));
        assert!(kinds(&at_last).is_empty());
    }
}

#[test]
fn what_says_nothing_yet_follows_the_operator() {
    let off = config(Delivery::Native, UserSync::Off, Removal::Unknown);
    let record = first(&ann(), &off);
    assert_eq!(record.standing, Standing::Unknown);
    assert!(
        record.evidence.contains("User Sync is off"),
        "{}",
        record.evidence
    );
    let record = read(Some(record), &ann(), &native(), at(2)).unwrap();
    assert_eq!((record.standing, record.since), (Standing::Expected, at(2)));
    let supplier = with(|profile| profile.class = AccountClass::Supplier);
    for config in [native(), quick()] {
        assert_eq!(first(&supplier, &config).standing, Standing::Unknown);
    }
}

#[test]
fn what_is_due() {
    let quick = quick();
    let due = |old: Option<&Record>, profile: &Profile, config: &RiskAssessConfig| {
        let new = read(old.cloned(), profile, config, at(2)).unwrap();
        is_due(old, &new, profile.class, config)
    };
    let record = first(&ann(), &quick);
    let renamed = with(|profile| profile.last_name = Some("Li".into()));
    let inactive = with(|profile| profile.active = false);
    let lost = with(|profile| profile.licensed = Some(false));
    assert!(due(None, &ann(), &quick));
    assert!(due(Some(&record), &renamed, &quick));
    assert!(due(Some(&record), &inactive, &quick));
    assert!(!due(Some(&record), &ann(), &quick), "nothing changed");
    assert!(!due(None, &inactive, &quick), "nobody needs a closed account");
    assert!(!due(None, &ann(), &native()), "Coupa does it");
    assert!(!due(Some(&record), &lost, &quick), "nobody knows what to say");
    for (removal, says) in [(Removal::Closes, true), (Removal::Stays, false)] {
        let stated = RiskAssessConfig {
            removal,
            ..quick.clone()
        };
        assert_eq!(due(Some(&record), &lost, &stated), says);
    }
    for class in AccountClass::ALL {
        let profile = with(|profile| profile.class = class);
        let sendable = matches!(class, AccountClass::Internal | AccountClass::Api);
        assert_eq!(due(None, &profile, &quick), sendable, "{}", class.name());
    }
    let mut linked = record.clone();
    linked.link = Some((Link::Username, date(2026, 11, 1)));
    assert!(!due(Some(&linked), &renamed, &quick), "kept by Coupa's own sync");
    let off = RiskAssessConfig {
        user_sync: UserSync::Off,
        ..quick.clone()
    };
    assert!(due(Some(&linked), &renamed, &off), "there is no such sync");
    linked.link = Some((Link::Email, date(2026, 11, 1)));
    assert!(due(Some(&linked), &renamed, &quick), "made by hand");
    assert!(is_outstanding(&record, AccountClass::Internal, &quick));
    assert!(!is_outstanding(&record, AccountClass::Internal, &native()));
}

/// An account that is as Coupa shows Ann.
fn account(change: impl FnOnce(&mut TheirAccount)) -> TheirAccount {
    let cells = [
        (Column::CoupaUsername, "ann"),
        (Column::Username, "ann@x.com"),
        (Column::Email, "ANN@x.com"),
        (Column::FirstName, "Ann"),
        (Column::LastName, "Lee"),
        (Column::BusinessPhone, "(555) 123-4567"),
        (Column::Address1, "1 High St"),
        (Column::State, "oh"),
        (Column::Country, "US"),
    ];
    let mut account = TheirAccount {
        line: 2,
        coupa_id: None,
        cells: cells
            .into_iter()
            .map(|(column, value)| (column, value.into()))
            .collect(),
    };
    change(&mut account);
    account
}

fn grade(
    record: Record,
    profile: &Profile,
    accounts: &[TheirAccount],
    grid: Date,
) -> (Record, Option<Failing>) {
    let observations = observe(std::slice::from_ref(profile), &Roster::new(accounts));
    let now = record.since.max(record.reading.at);
    graded(record, profile, &observations[0], &native(), grid, now)
}

const GRID: Date = date(2026, 11, 3);

#[test]
fn a_grid_shows_an_account_as_expected() {
    let record = first(&ann(), &native());
    let (seen, failing) = grade(record, &ann(), &[account(|_| {})], GRID);
    assert_eq!(failing, None);
    assert_eq!(seen.standing, Standing::Seen(GRID));
    assert_eq!(seen.link, Some((Link::Username, GRID)));
    let told = "Coupa Username, Email, First Name, Last Name, Business Phone, Mailing Address, State/Province, Country";
    assert!(seen.evidence.ends_with(told), "{}", seen.evidence);
    assert_eq!(
        claim(&seen, &native()),
        "license set and read back; account seen in the user grid of 2026-11-03"
    );
}

#[test]
fn each_field_that_differs_is_named() {
    let cases: [(Column, &str); 8] = [
        (Column::Email, "other@x.com"),
        (Column::FirstName, "ann"),
        (Column::LastName, "Li"),
        (Column::BusinessPhone, "5551234568"),
        (Column::Address1, "2 High St"),
        (Column::City, "Athens"),
        (Column::State, "TX"),
        (Column::Country, "CA"),
    ];
    for (column, value) in cases {
        let other = account(|account| _ = account.cells.insert(column, value.into()));
        let (record, failing) = grade(first(&ann(), &native()), &ann(), &[other], GRID);
        let failing = failing.unwrap();
        assert_eq!((failing.kind, &*failing.fields), (GRID_DIFFERS, &[column][..]));
        assert!(failing.reason.contains(column.title()) && !failing.reason.contains(value));
        assert_eq!(record.standing, Standing::Expected);
        assert_eq!(kinds(&record), [GRID_DIFFERS]);
    }
    let renamed = account(|account| {
        account.coupa_id = Some(ann().user);
        account.cells.insert(Column::CoupaUsername, "ann.old".into());
    });
    let (record, failing) = grade(first(&ann(), &native()), &ann(), &[renamed], GRID);
    assert_eq!(failing.unwrap().fields, [Column::CoupaUsername]);
    assert_eq!(record.link, Some((Link::CoupaId, GRID)));
}

#[test]
fn a_blank_cell_differs_only_where_the_grid_shows_the_column() {
    let bare = account(|account| _ = account.cells.remove(&Column::Address1));
    let (seen, _) = grade(
        first(&ann(), &native()),
        &ann(),
        std::slice::from_ref(&bare),
        GRID,
    );
    assert_eq!(seen.standing, Standing::Seen(GRID), "the grid has no such column");
    let other = account(|account| {
        account.line = 3;
        account.cells.insert(Column::CoupaUsername, "bob".into());
        account.cells.insert(Column::Email, "bob@x.com".into());
    });
    let (_, failing) = grade(first(&ann(), &native()), &ann(), &[bare, other], GRID);
    assert_eq!(failing.unwrap().fields, [Column::Address1]);
    let named = account(|account| _ = account.cells.insert(Column::Country, "United States".into()));
    let (seen, _) = grade(first(&ann(), &native()), &ann(), &[named], GRID);
    assert_eq!(seen.standing, Standing::Seen(GRID), "a name is no code");
    assert!(!seen.evidence.contains("Country"), "{}", seen.evidence);
}

#[test]
fn what_a_grid_shows_is_held_against_what_is_expected() {
    let closes = config(Delivery::Native, UserSync::On, Removal::Closes);
    let stays = config(Delivery::Native, UserSync::On, Removal::Stays);
    let lost = with(|profile| profile.licensed = Some(false));
    let (here, hand) = (
        account(|_| {}),
        account(|account| _ = account.cells.remove(&Column::CoupaUsername)),
    );
    let inactive = account(|account| _ = account.cells.insert(Column::Status, "Inactive".into()));
    let seen = Standing::Seen(GRID);
    for (profile, config, shown, standing, kind) in [
        (ann(), &closes, None, Standing::Expected, Some(GRID_MISSING)),
        (
            ann(),
            &closes,
            Some(&inactive),
            Standing::Expected,
            Some(GRID_INACTIVE),
        ),
        (
            ann(),
            &closes,
            Some(&hand),
            Standing::Expected,
            Some(GRID_NOT_LINKED),
        ),
        (lost.clone(), &closes, None, seen, None),
        (lost.clone(), &closes, Some(&inactive), seen, None),
        (
            lost.clone(),
            &closes,
            Some(&here),
            Standing::Expected,
            Some(GRID_STILL_ACTIVE),
        ),
        (lost.clone(), &stays, Some(&here), seen, None),
        (lost.clone(), &stays, None, Standing::Expected, None),
        (lost.clone(), &native(), Some(&here), Standing::Unknown, None),
        (lost.clone(), &native(), None, Standing::Unknown, None),
    ] {
        let held = first(&ann(), config);
        let record = read(Some(held), &profile, config, at(2)).unwrap();
        let accounts: Vec<TheirAccount> = shown.into_iter().cloned().chain([somebody()]).collect();
        let observations = observe(std::slice::from_ref(&profile), &Roster::new(&accounts));
        let (record, failing) = graded(record, &profile, &observations[0], config, GRID, at(60));
        let told = claim(&record, config);
        assert_eq!(record.standing, standing, "{told}");
        assert_eq!(failing.map(|failing| failing.kind), kind, "{told}");
        assert!(record.evidence.contains("2026-11-03"), "{told}");
    }
}

/// An account of somebody else, by which the grid shows links.
fn somebody() -> TheirAccount {
    account(|account| {
        account.line = 3;
        account.cells.insert(Column::CoupaUsername, "bob".into());
        account.cells.insert(Column::Username, "bob@x.com".into());
        account.cells.insert(Column::Email, "bob@x.com".into());
    })
}

#[test]
fn an_export_without_links_proves_none_and_accuses_nobody() {
    let record = first(&ann(), &native());
    let unlinked = account(|account| _ = account.cells.remove(&Column::CoupaUsername));
    let (after, failing) = grade(record, &ann(), std::slice::from_ref(&unlinked), GRID);
    assert_eq!((after.standing, failing), (Standing::Expected, None));
    assert!(
        after.evidence.contains("does not tell whether it is linked"),
        "{}",
        after.evidence
    );
    assert!(after.problems.is_empty());
}

#[test]
fn a_grid_of_the_day_of_the_change_or_before_proves_no_fields() {
    let record = first(&ann(), &native());
    let by_id = account(|account| account.coupa_id = Some(ann().user));
    let changed_on = date(2026, 11, 1);
    for grid in [changed_on, changed_on.yesterday().unwrap()] {
        let (after, failing) = grade(record.clone(), &ann(), &[account(|_| {})], grid);
        assert_eq!((after, failing), (record.clone(), None));
        let (after, failing) = grade(record.clone(), &ann(), std::slice::from_ref(&by_id), grid);
        assert_eq!((after.standing, failing), (Standing::Expected, None));
        assert_eq!(after.link, Some((Link::CoupaId, grid)));
    }
    let timeless = with(|profile| profile.updated_at = None);
    let record = first(&timeless, &native());
    let (after, _) = grade(record, &timeless, &[account(|_| {})], changed_on);
    assert_eq!(
        after.standing,
        Standing::Expected,
        "it may have changed when it was read"
    );
}

#[test]
fn an_earlier_grid_takes_nothing_back() {
    let (missing, _) = grade(first(&ann(), &native()), &ann(), &[], date(2026, 11, 5));
    assert_eq!(kinds(&missing), [GRID_MISSING]);
    let (after, _) = grade(missing.clone(), &ann(), &[account(|_| {})], GRID);
    assert_eq!(after, missing);
    let (seen, _) = grade(missing, &ann(), &[account(|_| {})], date(2026, 11, 6));
    assert_eq!(
        (seen.standing, kinds(&seen).len()),
        (Standing::Seen(date(2026, 11, 6)), 0)
    );
    let (after, _) = grade(seen.clone(), &ann(), &[], date(2026, 11, 5));
    assert_eq!(after, seen);
    let (gone, _) = grade(seen, &ann(), &[], date(2026, 11, 7));
    assert_eq!(
        (gone.standing, kinds(&gone)),
        (Standing::Expected, vec![GRID_MISSING])
    );
}

#[test]
fn what_was_acknowledged_stays_so_when_the_grid_lacks_it() {
    let sent = Sent::of(&ann(), &quick()).unwrap();
    let delivered = answered(first(&ann(), &quick()), &sent, Standing::Delivered, "201", at(2));
    let (after, failing) = grade(delivered, &ann(), &[], GRID);
    assert_eq!(failing.unwrap().kind, GRID_MISSING);
    assert_eq!((after.standing, &*after.evidence), (Standing::Delivered, "201"));
    assert_eq!(
        claim(&after, &quick()),
        "license set and read back; Risk Assess acknowledged the row of the user on 2026-11-01; to look at: grid-missing"
    );
}

#[test]
fn an_account_that_two_users_could_have_is_nobodys() {
    let hand = account(|account| _ = account.cells.remove(&Column::CoupaUsername));
    let twin = Profile {
        user: crate::model::id::UserId::new(8).unwrap(),
        login: "other".into(),
        ..ann()
    };
    let accounts = [hand];
    let observations = observe(&[ann(), twin], &Roster::new(&accounts));
    for observation in observations {
        let Sighting::Conflict { kind, .. } = observation.sighting else {
            panic!("{observation:?}")
        };
        assert_eq!(kind, ConflictKind::ClaimedBySeveral);
    }
}

#[test]
fn licensed_users_who_share_are_told_of_each_other() {
    let record = |n: u64, login: &str, email: &str, licensed| {
        let mut record = first(&ann(), &native());
        record.user = crate::model::id::UserId::new(n).unwrap();
        record.reading.login = folded(login);
        record.reading.email = Some(folded(email));
        record.reading.licensed = licensed;
        record
    };
    let records = [
        record(1, "a", "s@x.com", true),
        record(2, "b", "S@x.com", true),
        record(3, "A", "t@x.com", true),
        record(4, "b", "s@x.com", false),
    ];
    let shared = shared(&records);
    let told: Vec<String> = shared
        .iter()
        .flat_map(|(user, told)| {
            told.iter()
                .map(move |(kind, text)| format!("{user} {kind}: {text}"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "1 email-shared: the e-mail address is also that of licensed user 2",
            "1 login-shared: the login is also that of licensed user 3",
            "2 email-shared: the e-mail address is also that of licensed user 1",
            "3 login-shared: the login is also that of licensed user 1",
        ]
    );
    let user = records[0].user;
    let once = with_shared(records[0].clone(), &shared[&user], at(5));
    assert_eq!(kinds(&once), [LOGIN_SHARED, EMAIL_SHARED]);
    let again = with_shared(once.clone(), &shared[&user], at(9));
    assert_eq!(again, once, "found once, at that time");
    let over = with_shared(once, &std::collections::BTreeMap::new(), at(9));
    assert!(over.problems.is_empty());
}

#[test]
fn claims_say_who_brings_it() {
    let active = first(&ann(), &native());
    for (delivery, user_sync, told) in [
        (Delivery::Native, UserSync::On, "downstream sync expected"),
        (
            Delivery::Native,
            UserSync::Unknown,
            "downstream sync expected, if User Sync is on",
        ),
        (
            Delivery::Native,
            UserSync::Off,
            "no downstream sync expected: User Sync is off by the operator's statement",
        ),
        (
            Delivery::QuickIntegration,
            UserSync::On,
            "to be delivered; not acknowledged by Risk Assess",
        ),
        (
            Delivery::File,
            UserSync::Unknown,
            "to be uploaded by a person; nothing known of that",
        ),
    ] {
        let config = config(delivery, user_sync, Removal::Unknown);
        assert_eq!(
            claim(&active, &config),
            format!("license set and read back; {told}")
        );
    }
}

#[test]
fn every_claim_is_worded_for_what_is_expected_and_known() {
    let statements = [Removal::Closes, Removal::Stays, Removal::Unknown];
    for (expectation, words) in [
        (
            Expectation::Active,
            [
                "downstream sync expected, if User Sync is on",
                "Risk Assess acknowledged the row of the user on 2026-11-01",
                "Risk Assess put the row of the user into its queue on 2026-11-01; the result goes out by mail",
                "the row of the user was sent on 2026-11-01, and what came back proves nothing",
                "Risk Assess refused the row of the user on 2026-11-01",
                "account seen in the user grid of 2026-11-03",
                "nothing known of the account: why",
            ],
        ),
        (
            Expectation::Closed,
            [
                "downstream deactivation expected, if User Sync is on",
                "Risk Assess acknowledged the row that deactivates the account on 2026-11-01",
                "Risk Assess put the row that deactivates the account into its queue on 2026-11-01; the result goes out by mail",
                "the row that deactivates the account was sent on 2026-11-01, and what came back proves nothing",
                "Risk Assess refused the row that deactivates the account on 2026-11-01",
                "no active account seen in the user grid of 2026-11-03",
                "nothing known of the account: why",
            ],
        ),
        (
            Expectation::Kept,
            [
                "by the operator's statement the account stays as it is",
                "Risk Assess acknowledged a row of the user on 2026-11-01",
                "Risk Assess put a row of the user into its queue on 2026-11-01; the result goes out by mail",
                "a row of the user was sent on 2026-11-01, and what came back proves nothing",
                "Risk Assess refused a row of the user on 2026-11-01",
                "account still seen in the user grid of 2026-11-03",
                "nothing known of the account: why",
            ],
        ),
        (
            Expectation::Undocumented,
            [
                "what becomes of the account is not documented",
                "what becomes of the account is not documented; Risk Assess acknowledged a row of the user on 2026-11-01",
                "what becomes of the account is not documented; Risk Assess put a row of the user into its queue on 2026-11-01; the result goes out by mail",
                "what becomes of the account is not documented; a row of the user was sent on 2026-11-01, and what came back proves nothing",
                "what becomes of the account is not documented; Risk Assess refused a row of the user on 2026-11-01",
                "what becomes of the account is not documented; account seen in the user grid of 2026-11-03",
                "what becomes of the account is not documented; why",
            ],
        ),
    ] {
        let standings = [
            Standing::Expected,
            Standing::Delivered,
            Standing::Queued,
            Standing::Doubtful,
            Standing::Rejected,
            Standing::Seen(GRID),
            Standing::Unknown,
        ];
        let licensed = expectation == Expectation::Active;
        for (standing, words) in standings.into_iter().zip(words) {
            let mut record = first(&ann(), &native());
            record.reading.licensed = licensed;
            (record.expectation, record.standing, record.evidence) = (expectation, standing, "why".into());
            let read = if licensed {
                "license set and read back"
            } else {
                "license read back as not held"
            };
            for removal in statements {
                let config = config(Delivery::Native, UserSync::Unknown, removal);
                assert_eq!(claim(&record, &config), format!("{read}; {words}"));
            }
        }
    }
    let inactive = first(&with(|profile| profile.active = false), &native());
    assert_eq!(
        claim(&inactive, &native()),
        "user read back as inactive; downstream deactivation expected, if User Sync is on"
    );
}

#[test]
fn a_user_who_could_not_be_read_after_a_change_is_told_until_read() {
    let missed = not_followed(first(&ann(), &native()), at(2));
    assert_eq!(kinds(&missed), [NOT_FOLLOWED]);
    assert_eq!(missed.standing, Standing::Expected);
    let read = read(Some(missed), &ann(), &native(), at(3)).unwrap();
    assert_eq!(read.problems, Vec::<Problem>::new());
}
