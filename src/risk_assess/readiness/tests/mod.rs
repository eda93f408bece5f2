//! Every rule broken and kept, what is told of it, and the settings.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;

use super::judge::judge_twins;
use super::rule::Check;
use super::*;
use crate::model::downstream::{Digest, Reading};
use crate::model::fault::FaultKind;
use crate::model::id::UserId;
use crate::model::profile::{Address, Phone, Profile};
use crate::model::readiness::{Level, Remark};
use crate::model::tenant::AccountClass;
use crate::risk_assess::Strictness;
use crate::risk_assess::columns::Column;

mod docs;
mod tenant;

fn id(number: u64) -> UserId {
    UserId::new(number).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "elements of a profile are optional")]
fn text(value: &str) -> Option<Box<str>> {
    Some(value.into())
}

/// A user at whom no rule finds anything.
fn sound(user: u64) -> Profile {
    Profile {
        user: id(user),
        class: AccountClass::Internal,
        active: true,
        licensed: Some(false),
        login: format!("ann{user}").into(),
        email: text(&format!("ann{user}@example.com")),
        first_name: text("Ann"),
        middle_name: None,
        last_name: text("Other"),
        phone: Some(Phone {
            country_code: text("1"),
            area_code: text("555"),
            number: text("1234567"),
            extension: text("1234"),
        }),
        address: Some(Address {
            street1: text("1 Main Street"),
            city: text("Springfield"),
            state: text("IL"),
            state_iso_code: text("US-IL"),
            postal_code: text("62701"),
            country: text("US"),
            ..Address::default()
        }),
        authentication_method: text("saml"),
        updated_at: None,
    }
}

/// Changes a user.
type Edit = fn(&mut Profile);

fn of_address(profile: &mut Profile) -> &mut Address {
    profile.address.as_mut().unwrap()
}

fn of_phone(profile: &mut Profile) -> &mut Phone {
    profile.phone.as_mut().unwrap()
}

fn long(length: usize) -> Option<Box<str>> {
    text(&"ü".repeat(length))
}

/// For each rule about the user as it is: what breaks it and nothing else, and what comes as near as can be and breaks nothing.
const CASES: &[(&str, Edit, Edit)] = &[
    (
        "account-supplier",
        |user| user.class = AccountClass::Supplier,
        |user| user.class = AccountClass::Internal,
    ),
    (
        "account-outside",
        |user| user.class = AccountClass::Support,
        |user| user.class = AccountClass::Internal,
    ),
    (
        "account-outside",
        |user| user.class = AccountClass::ManagedService,
        |user| user.class = AccountClass::Internal,
    ),
    (
        "account-inactive",
        |user| user.active = false,
        |user| user.active = true,
    ),
    (
        "login-blank",
        |user| user.login = " ".into(),
        |user| user.login = "x".into(),
    ),
    (
        "email-blank",
        |user| user.email = None,
        |user| user.email = text("a@b.de"),
    ),
    (
        "email-blank",
        |user| user.email = text(" "),
        |user| user.email = text("a@b.de"),
    ),
    (
        "firstname-blank",
        |user| user.first_name = None,
        |user| user.first_name = text("A"),
    ),
    (
        "lastname-blank",
        |user| user.last_name = text("\u{a0}"),
        |user| user.last_name = text("O"),
    ),
    (
        "account-machine",
        |user| user.class = AccountClass::Api,
        |user| user.class = AccountClass::Internal,
    ),
    (
        "login-edge-space",
        |user| user.login = "ann ".into(),
        |user| user.login = "ann other".into(),
    ),
    (
        "login-length",
        |user| user.login = long(1001).unwrap(),
        |user| user.login = long(1000).unwrap(),
    ),
    (
        "email-space",
        |user| user.email = text("ann other@b.com"),
        |user| user.email = text("ann_other@b.com"),
    ),
    (
        "email-two-dots",
        |user| user.email = text("a..b@b.com"),
        |user| user.email = text("a.b.c@b.com"),
    ),
    (
        "email-dot-before-at",
        |user| user.email = text("a.@b.com"),
        |user| user.email = text("a@b.b.com"),
    ),
    (
        "email-pattern",
        |user| user.email = text("a@b.technology"),
        |user| user.email = text("a@b.company"),
    ),
    (
        "email-length",
        |user| user.email = text(&format!("{}@b.com", "a".repeat(251))),
        |user| user.email = text(&format!("{}@b.com", "a".repeat(250))),
    ),
    (
        "firstname-length",
        |user| user.first_name = long(65),
        |user| user.first_name = long(64),
    ),
    (
        "lastname-length",
        |user| user.last_name = long(65),
        |user| user.last_name = long(64),
    ),
    (
        "phone-pattern",
        |user| of_phone(user).number = text("123.4567"),
        |user| user.phone = None,
    ),
    (
        "phone-country",
        |user| of_phone(user).country_code = text("44"),
        |user| of_phone(user).country_code = text("+1"),
    ),
    (
        "phone-digits",
        |user| of_phone(user).area_code = text("55"),
        |user| of_phone(user).area_code = text(" 555 "),
    ),
    (
        "phone-length",
        |user| of_phone(user).number = text("123-4567"),
        |user| of_phone(user).country_code = None,
    ),
    (
        "phone-extension",
        |user| of_phone(user).extension = text("12345"),
        |user| of_phone(user).extension = text("1234"),
    ),
    (
        "street1-length",
        |user| of_address(user).street1 = long(65),
        |user| of_address(user).street1 = long(64),
    ),
    (
        "street2-length",
        |user| of_address(user).street2 = long(65),
        |user| of_address(user).street2 = long(64),
    ),
    (
        "city-length",
        |user| of_address(user).city = long(65),
        |user| of_address(user).city = long(64),
    ),
    (
        "postal-code-length",
        |user| of_address(user).postal_code = long(65),
        |user| of_address(user).postal_code = long(64),
    ),
    (
        "state-length",
        |user| {
            of_address(user).country = None;
            of_address(user).state = long(65);
        },
        |user| {
            of_address(user).country = None;
            of_address(user).state = long(64);
        },
    ),
    (
        "state-unknown",
        |user| of_address(user).state = text("Ontario"),
        |user| of_address(user).state = text("illinois"),
    ),
    (
        "state-unknown",
        |user| {
            of_address(user).country = text("Canada");
            of_address(user).state_iso_code = None;
        },
        |user| {
            of_address(user).country = text("DE");
            of_address(user).state = text("Hessen");
            of_address(user).state_iso_code = text("DE-HE");
        },
    ),
    (
        "state-iso-code-unknown",
        |user| of_address(user).state_iso_code = text("CA-ON"),
        |user| of_address(user).state_iso_code = text("il"),
    ),
    (
        "country-unknown",
        |user| of_address(user).country = text("XX"),
        |user| of_address(user).country = text("United States"),
    ),
    (
        "street3-dropped",
        |user| of_address(user).street3 = text("Floor 3"),
        |user| user.address = None,
    ),
    (
        "street4-dropped",
        |user| of_address(user).street4 = text("Room 4"),
        |user| of_address(user).street4 = text(" "),
    ),
    (
        "middlename-dropped",
        |user| user.middle_name = text("M"),
        |user| user.middle_name = text(""),
    ),
    (
        "license-held",
        |user| user.licensed = Some(true),
        |user| user.licensed = None,
    ),
    (
        "sign-in-not-saml",
        |user| user.authentication_method = text("ldap"),
        |user| user.authentication_method = None,
    ),
];

fn broken(profile: &Profile, twins: &Twins) -> Vec<&'static str> {
    judge(profile, twins).iter().map(|remark| remark.rule).collect()
}

#[test]
fn each_rule_speaks_alone_and_only_when_broken() {
    let nobody = Twins::default();
    assert_eq!(broken(&sound(1), &nobody), [""; 0]);
    for (place, (rule, breaks, keeps)) in CASES.iter().enumerate() {
        let (mut bad, mut good) = (sound(1), sound(1));
        breaks(&mut bad);
        keeps(&mut good);
        assert_eq!(broken(&bad, &nobody), [*rule], "case {place}");
        assert_eq!(broken(&good, &nobody), [""; 0], "case {place}, {rule}");
    }
}

#[test]
fn each_rule_is_tested() {
    let tested: BTreeSet<&str> = CASES.iter().map(|(rule, ..)| *rule).collect();
    for rule in RULES {
        let as_it_is = !matches!(rule.check, Check::Type | Check::Before | Check::Alone(_));
        assert_eq!(tested.contains(rule.id), as_it_is, "{}", rule.id);
    }
}

#[test]
fn shared_values_are_told_by_ids() {
    let twins = Twins {
        login: vec![id(7)],
        email: (11..=17).map(id).collect(),
    };
    let remarks = judge(&sound(1), &twins);
    let told: Vec<(&str, &str)> = remarks
        .iter()
        .map(|remark| (remark.rule, remark.text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("login-shared", "user 7 has it, too"),
            (
                "email-shared",
                "user 11, user 12, user 13, user 14, user 15 and 2 others have it, too"
            ),
        ]
    );
    assert!(remarks.iter().all(|remark| remark.level == Level::Error));
}

#[test]
fn a_rename_of_a_licensed_user_is_told() {
    let reading = |login: &str, licensed| Reading {
        at: Timestamp::UNIX_EPOCH,
        updated_at: None,
        licensed,
        active: true,
        fields: Digest("f".into()),
        login: Digest(login.into()),
        email: None,
    };
    let told =
        |before: &Reading, now: &Reading| renamed(before, now).map(|remark| (remark.rule, remark.level));
    let (ann, bob) = (reading("aa", true), reading("bb", true));
    assert_eq!(told(&ann, &bob), Some(("login-renamed", Level::Warn)));
    assert_eq!(told(&ann, &ann), None);
    assert_eq!(told(&reading("aa", false), &bob), None, "nothing was linked then");
}

#[test]
fn the_rules_are_sound_data() {
    let mut ids = BTreeSet::new();
    for rule in RULES {
        assert!(ids.insert(rule.id), "{} twice", rule.id);
        let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(rule.id.bytes().all(kebab), "{}", rule.id);
        assert!(
            rule.column.is_empty() || Column::of_header(rule.column).is_some(),
            "{}: no column {}",
            rule.id,
            rule.column
        );
        for words in [rule.element, rule.source, rule.what, rule.fix] {
            assert!(
                !words.is_empty() && !words.ends_with('.') && !words.contains("  "),
                "{}: {words:?}",
                rule.id
            );
        }
    }
    let facts: Vec<&str> = RULES
        .iter()
        .filter(|rule| rule.level == Level::Error)
        .map(|rule| rule.id)
        .collect();
    assert_eq!(
        facts,
        [
            "id-present",
            "account-supplier",
            "account-outside",
            "account-inactive",
            "login-blank",
            "email-blank",
            "firstname-blank",
            "lastname-blank",
            "login-shared",
            "email-shared",
        ],
        "what refuses by default: not internal, inactive, required field blank, duplicate e-mail or login"
    );
}

/// A user with one info, one warning or one error.
fn with(level: Level) -> Vec<Remark> {
    let mut user = sound(1);
    match level {
        Level::Info => user.middle_name = text("M"),
        Level::Warn => user.email = text("a@b.technology"),
        Level::Error => user.active = false,
    }
    judge(&user, &Twins::default())
}

#[test]
fn what_refuses_is_a_setting() {
    use Strictness::{Lenient, Standard, Strict};
    use Verdict::{NotReady, Ready, ReadyWithWarnings};
    for (level, strictness, expected) in [
        (Level::Info, Standard, Ready),
        (Level::Info, Strict, Ready),
        (Level::Info, Lenient, Ready),
        (Level::Warn, Standard, ReadyWithWarnings),
        (Level::Warn, Strict, NotReady),
        (Level::Warn, Lenient, ReadyWithWarnings),
        (Level::Error, Standard, NotReady),
        (Level::Error, Strict, NotReady),
        (Level::Error, Lenient, ReadyWithWarnings),
    ] {
        let remarks = with(level);
        assert_eq!(
            verdict(&remarks, strictness),
            expected,
            "{level:?} {strictness:?}"
        );
        let refused = refusal(id(1), &remarks, strictness).is_some();
        assert_eq!(refused, expected == NotReady, "{level:?} {strictness:?}");
    }
    assert_eq!(verdict(&[], Strict), Ready);
}

#[test]
fn a_refusal_names_rules_elements_fixes_and_the_way_out() {
    let mut user = sound(42);
    user.active = false;
    user.email = text("secret&address@b.com");
    user.middle_name = text("M");
    let twins = Twins {
        login: vec![id(7)],
        email: vec![id(7)],
    };
    let remarks = judge(&user, &twins);
    let fault = refusal(id(42), &remarks, Strictness::Standard).unwrap();
    assert_eq!(*fault.kind(), FaultKind::Declined);
    assert_eq!(
        fault.message(),
        "user 42 is not ready for Risk Assess: account-inactive (active), login-shared (login), email-shared (email)"
    );
    assert_eq!(
        fault.advice().unwrap(),
        "activate the user, or give the license to somebody else; give each account a login of its own; give each account an e-mail address of its own, \
         inactive accounts too; or set --risk-assess-readiness lenient if the license is to be granted all the same"
    );
    let listed: Vec<&str> = fault.remarks().iter().map(|remark| remark.rule).collect();
    assert_eq!(
        listed,
        [
            "account-inactive",
            "login-shared",
            "email-shared",
            "email-pattern",
            "middlename-dropped"
        ],
        "what does not refuse is listed, too"
    );
    let strict = refusal(id(42), &with(Level::Warn), Strictness::Strict).unwrap();
    assert!(
        strict
            .advice()
            .unwrap()
            .contains("or set --risk-assess-readiness standard if"),
        "one step back is enough"
    );
}

#[test]
fn the_ledger_keeps_the_heaviest_and_what_is_more_than_good_to_know() {
    let at = Timestamp::UNIX_EPOCH;
    let kept = judged(&[with(Level::Info), with(Level::Warn)].concat(), at);
    assert_eq!(kept.worst, Some(Level::Warn));
    assert_eq!(kept.rules, [Box::from("email-pattern")]);
    assert_eq!(judged(&with(Level::Info), at).worst, Some(Level::Info));
    assert_eq!(judged(&[], at).worst, None);
}

prop_compose! {
    fn value()(value in prop::option::weighted(0.8, "[a-z@. ()+x&0-9ü-]{12,90}")) -> Option<Box<str>> {
        value.map(String::into_boxed_str)
    }
}

prop_compose! {
    fn any_profile()(
        texts in prop::collection::vec(value(), 19),
        class in prop::sample::select(AccountClass::ALL.to_vec()),
        active: bool,
        licensed: Option<bool>,
    ) -> Profile {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap();
        Profile {
            user: id(1),
            class,
            active,
            licensed,
            login: next().unwrap_or_default(),
            email: next(),
            first_name: next(),
            middle_name: next(),
            last_name: next(),
            phone: Some(Phone { country_code: next(), area_code: next(), number: next(), extension: next() }),
            address: Some(Address {
                street1: next(), street2: next(), street3: next(), street4: next(), city: next(), state: next(),
                state_iso_code: next(), postal_code: next(), country: next(),
            }),
            authentication_method: next(),
            updated_at: None,
        }
    }
}

fn values(profile: &Profile) -> Vec<&str> {
    let (phone, address) = (profile.phone.as_ref().unwrap(), profile.address.as_ref().unwrap());
    let optional = [
        &profile.email,
        &profile.first_name,
        &profile.middle_name,
        &profile.last_name,
        &phone.country_code,
        &phone.area_code,
        &phone.number,
        &phone.extension,
        &address.street1,
        &address.street2,
        &address.street3,
        &address.street4,
        &address.city,
        &address.state,
        &address.state_iso_code,
        &address.postal_code,
        &address.country,
        &profile.authentication_method,
    ];
    let optional = optional.into_iter().filter_map(Option::as_deref);
    let all = optional.chain([&*profile.login]);
    all.filter(|value| !value.is_empty()).collect()
}

proptest! {
    /// No text repeats a value, nor any six signs of one.
    #[test]
    fn no_remark_and_no_fault_repeats_a_value(profile in any_profile()) {
        let twins = Twins { login: vec![id(2)], email: vec![id(3)] };
        let remarks = judge(&profile, &twins);
        let fault = refusal(profile.user, &remarks, Strictness::Strict).unwrap();
        let mut told = format!("{fault} {fault:?}");
        for remark in &remarks {
            told.push_str(&remark.text);
        }
        for value in values(&profile) {
            let signs: Vec<char> = value.chars().collect();
            for piece in signs.windows(6) {
                let piece: String = piece.iter().collect();
                prop_assert!(!told.contains(&piece), "{piece:?} of {value:?} in {told}");
            }
        }
    }

    /// Remarks come in the order of the rules, each at most once, also when twins are known later.
    #[test]
    fn remarks_are_in_order(profile in any_profile()) {
        let twins = Twins { login: vec![id(2)], email: vec![id(3)] };
        let remarks = judge(&profile, &twins);
        let places: Vec<usize> = remarks
            .iter()
            .map(|remark| RULES.iter().position(|rule| rule.id == remark.rule).unwrap())
            .collect();
        prop_assert!(places.is_sorted_by(|one, next| one < next));
        let mut later = judge(&profile, &Twins::default());
        judge_twins(&mut later, &profile, &twins);
        prop_assert_eq!(later, remarks);
    }
}
