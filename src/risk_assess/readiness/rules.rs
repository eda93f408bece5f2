//! The rules as data: each with where it comes from and what to do in Coupa.
//!
//! Invariants: ids never change their meaning; the order is that of the checks before a grant (internal, active, required, unique, formats);
//! only what is a fact about the user has [`Level::Error`], since the formats and lengths are those of the import and that the native sync
//! applies them is likely, not proven.

use crate::model::profile::{Address, Profile};
use crate::model::readiness::Level;
use crate::model::tenant::AccountClass;

use super::phone::Flaw;
use super::rule::{Check, Rule, blank};
use super::{email, phone, place};

/// Characters that most columns take (D501).
const COLUMN: usize = 64;

/// The rule about a login that changed.
pub(super) static RENAMED: Rule = Rule {
    id: "login-renamed",
    level: Level::Warn,
    element: "login",
    column: "Coupa Username",
    source: "SP",
    what: "stays the same while the license is held: the link leans on it",
    fix: "look for the account in Risk Assess: the link may be broken, or a second account made",
    check: Check::Before,
};

/// The rule about a license that is held already.
pub(super) const LICENSE_HELD: &str = "license-held";

/// Every rule, in the order of the checks.
pub static RULES: [&Rule; 39] = [
    &Rule {
        id: "id-present",
        level: Level::Error,
        element: "id",
        column: "Coupa User ID",
        source: "S2",
        what: "is a positive number; nothing else is read as a user",
        fix: "report it: Coupa numbers every user",
        check: Check::Type,
    },
    &Rule {
        id: "account-supplier",
        level: Level::Error,
        element: "supplier-user",
        column: "IsSupplierUser",
        source: "D501",
        what: "the account is not a supplier's: Risk Assess keeps those apart",
        fix: "give the license to an internal account",
        check: Check::User(|profile| {
            (profile.class == AccountClass::Supplier).then(|| "it is a supplier's account".to_owned())
        }),
    },
    &Rule {
        id: "account-outside",
        level: Level::Error,
        element: "type",
        column: "IsSupplierUser",
        source: "D501",
        what: "the account is not one of Coupa's support or of a managed-service provider",
        fix: "give the license to an internal account",
        check: Check::User(|profile| match profile.class {
            AccountClass::Support | AccountClass::ManagedService => Some(format!(
                "it is a {} account, not an internal one",
                profile.class.name()
            )),
            AccountClass::Internal | AccountClass::Api | AccountClass::Supplier => None,
        }),
    },
    &Rule {
        id: "account-inactive",
        level: Level::Error,
        element: "active",
        column: "Activated",
        source: "S1",
        what: "the user is active: Risk Assess' grid shows nobody else, and the license would be a wasted seat",
        fix: "activate the user, or give the license to somebody else",
        check: Check::User(|profile| (!profile.active).then(|| "the user is inactive".to_owned())),
    },
    &Rule {
        id: "login-blank",
        level: Level::Error,
        element: "login",
        column: "Coupa Username",
        source: "S2",
        what: "is not blank",
        fix: "set the login",
        check: Check::Present(|profile| Some(&profile.login)),
    },
    &Rule {
        id: "email-blank",
        level: Level::Error,
        element: "email",
        column: "EmailAddress",
        source: "D501, S2",
        what: "is not blank",
        fix: "set the e-mail address",
        check: Check::Present(address_of),
    },
    &Rule {
        id: "firstname-blank",
        level: Level::Error,
        element: "firstname",
        column: "FirstName",
        source: "D501, S2",
        what: "is not blank",
        fix: "set the first name",
        check: Check::Present(|profile| profile.first_name.as_deref()),
    },
    &Rule {
        id: "lastname-blank",
        level: Level::Error,
        element: "lastname",
        column: "LastName",
        source: "D501, S2",
        what: "is not blank",
        fix: "set the last name",
        check: Check::Present(|profile| profile.last_name.as_deref()),
    },
    &Rule {
        id: "login-shared",
        level: Level::Error,
        element: "login",
        column: "Coupa Username",
        source: "S1, SP",
        what: "no other account has it, letter case aside, inactive ones included",
        fix: "give each account a login of its own",
        check: Check::Alone(|twins| &twins.login),
    },
    &Rule {
        id: "email-shared",
        level: Level::Error,
        element: "email",
        column: "EmailAddress",
        source: "D501",
        what: "no other account has it, letter case aside, inactive ones included: it is the user name in Risk Assess",
        fix: "give each account an e-mail address of its own, inactive accounts too",
        check: Check::Alone(|twins| &twins.email),
    },
    &Rule {
        id: "account-machine",
        level: Level::Warn,
        element: "api-user",
        column: "",
        source: "I",
        what: "the account is a person's, not an integration's: it would take a person's seat",
        fix: "give the license to a person's account",
        check: Check::User(|profile| {
            (profile.class == AccountClass::Api).then(|| "it is an integration's account".to_owned())
        }),
    },
    &Rule {
        id: "login-edge-space",
        level: Level::Warn,
        element: "login",
        column: "Coupa Username",
        source: "I",
        what: "has no white space at its ends",
        fix: "remove the white space from the login, before the license is granted",
        check: Check::User(|profile| edge_space(&profile.login)),
    },
    &Rule {
        id: "login-length",
        level: Level::Warn,
        element: "login",
        column: "SSOUsername",
        source: "D501",
        what: "has at most 1000 characters",
        fix: "shorten the login, before the license is granted",
        check: Check::AtMost(1000, |profile| Some(&profile.login)),
    },
    &RENAMED,
    &Rule {
        id: "email-space",
        level: Level::Warn,
        element: "email",
        column: "EmailAddress",
        source: "D501",
        what: "has no white space",
        fix: "remove the white space from the e-mail address",
        check: Check::User(|profile| email::space(address_of(profile)?)),
    },
    &Rule {
        id: "email-two-dots",
        level: Level::Warn,
        element: "email",
        column: "EmailAddress",
        source: "D501",
        what: "has no two dots in a row",
        fix: "correct the e-mail address",
        check: Check::User(|profile| email::two_dots(address_of(profile)?)),
    },
    &Rule {
        id: "email-dot-before-at",
        level: Level::Warn,
        element: "email",
        column: "EmailAddress",
        source: "D501",
        what: "has no dot right before @",
        fix: "correct the e-mail address",
        check: Check::User(|profile| email::dot_before_at(address_of(profile)?)),
    },
    &Rule {
        id: "email-pattern",
        level: Level::Warn,
        element: "email",
        column: "EmailAddress",
        source: "D501",
        what: "before @ letters, digits and `_.+'-`, after it letters, digits and `_.-`, after the last dot 2 to 7 letters; a tenant may \
               have set another pattern",
        fix: "use an e-mail address that the pattern takes, or have the tenant's pattern in Risk Assess widened",
        check: Check::User(|profile| {
            email::pattern(address_of(profile).filter(|email| !blank(Some(email)))?)
        }),
    },
    &Rule {
        id: "email-length",
        level: Level::Warn,
        element: "email",
        column: "EmailAddress",
        source: "D501",
        what: "has at most 256 characters",
        fix: "use a shorter e-mail address",
        check: Check::AtMost(256, address_of),
    },
    &Rule {
        id: "firstname-length",
        level: Level::Warn,
        element: "firstname",
        column: "FirstName",
        source: "D501",
        what: "has at most 64 characters",
        fix: "shorten the first name",
        check: Check::AtMost(COLUMN, |profile| profile.first_name.as_deref()),
    },
    &Rule {
        id: "lastname-length",
        level: Level::Warn,
        element: "lastname",
        column: "LastName",
        source: "D501",
        what: "has at most 64 characters",
        fix: "shorten the last name",
        check: Check::AtMost(COLUMN, |profile| profile.last_name.as_deref()),
    },
    &Rule {
        id: "phone-pattern",
        level: Level::Warn,
        element: "phone-work",
        column: "BusinessPhone",
        source: "D501",
        what: "is blank, or a number that the pattern takes, with at least 7 digits",
        fix: "write the number with digits only",
        check: Check::User(|profile| match phone::flaw(profile.phone.as_ref()?)? {
            Flaw::Pattern(told) => Some(told),
            Flaw::Country | Flaw::Digits(_) | Flaw::Written(_) => None,
        }),
    },
    &Rule {
        id: "phone-country",
        level: Level::Warn,
        element: "phone-work",
        column: "BusinessPhone",
        source: "D501",
        what: "is blank, or has country code 1 or none: the column is made for numbers of North America",
        fix: "leave it if the number is right: it may be refused or cut in Risk Assess",
        check: Check::User(|profile| match phone::flaw(profile.phone.as_ref()?)? {
            Flaw::Country => Some("its country code is not 1".to_owned()),
            Flaw::Pattern(_) | Flaw::Digits(_) | Flaw::Written(_) => None,
        }),
    },
    &Rule {
        id: "phone-digits",
        level: Level::Warn,
        element: "phone-work",
        column: "BusinessPhone",
        source: "D501",
        what: "is blank, or has ten digits besides country code 1",
        fix: "complete the number: area code and number have ten digits together",
        check: Check::User(|profile| match phone::flaw(profile.phone.as_ref()?)? {
            Flaw::Digits(count) => Some(format!("it has {count} digits besides country code 1, not 10")),
            Flaw::Pattern(_) | Flaw::Country | Flaw::Written(_) => None,
        }),
    },
    &Rule {
        id: "phone-length",
        level: Level::Warn,
        element: "phone-work",
        column: "BusinessPhone",
        source: "D501",
        what: "is blank, or written as ten digits and nothing else: the pattern allows signs, the column ten characters",
        fix: "write area code and number with digits only, and country code and extension into their own fields",
        check: Check::User(|profile| match phone::flaw(profile.phone.as_ref()?)? {
            Flaw::Written(count) => Some(format!("its ten digits are written with {count} characters")),
            Flaw::Pattern(_) | Flaw::Country | Flaw::Digits(_) => None,
        }),
    },
    &Rule {
        id: "phone-extension",
        level: Level::Warn,
        element: "phone-work",
        column: "BusinessPhone",
        source: "D501",
        what: "has an extension of at most 4 digits, or none",
        fix: "write the extension with at most 4 digits",
        check: Check::User(|profile| phone::extension(profile.phone.as_ref()?)),
    },
    &Rule {
        id: "street1-length",
        level: Level::Warn,
        element: "default-address.street1",
        column: "Address1",
        source: "D501",
        what: "has at most 64 characters",
        fix: "shorten the line, or move a part of it to street2",
        check: Check::AtMost(COLUMN, |profile| address(profile)?.street1.as_deref()),
    },
    &Rule {
        id: "street2-length",
        level: Level::Warn,
        element: "default-address.street2",
        column: "Address2",
        source: "D501",
        what: "has at most 64 characters",
        fix: "shorten the line",
        check: Check::AtMost(COLUMN, |profile| address(profile)?.street2.as_deref()),
    },
    &Rule {
        id: "city-length",
        level: Level::Warn,
        element: "default-address.city",
        column: "City",
        source: "D501",
        what: "has at most 64 characters",
        fix: "shorten the city",
        check: Check::AtMost(COLUMN, |profile| address(profile)?.city.as_deref()),
    },
    &Rule {
        id: "postal-code-length",
        level: Level::Warn,
        element: "default-address.postal-code",
        column: "PostalCode",
        source: "D501",
        what: "has at most 64 characters",
        fix: "correct the postal code",
        check: Check::AtMost(COLUMN, |profile| address(profile)?.postal_code.as_deref()),
    },
    &Rule {
        id: "state-length",
        level: Level::Warn,
        element: "default-address.state",
        column: "State",
        source: "D501",
        what: "has at most 64 characters",
        fix: "shorten the state, or use its code",
        check: Check::AtMost(COLUMN, |profile| address(profile)?.state.as_deref()),
    },
    &Rule {
        id: "state-unknown",
        level: Level::Warn,
        element: "default-address.state",
        column: "State",
        source: "D501",
        what: "is a state of the United States or a province of Canada, by code or name, where the country is one of them",
        fix: "use the state's or province's two-letter code",
        check: Check::User(|profile| unknown_state(address(profile)?, |address| address.state.as_deref())),
    },
    &Rule {
        id: "state-iso-code-unknown",
        level: Level::Warn,
        element: "default-address.state-iso-code",
        column: "State",
        source: "D501",
        what: "is a state of the United States or a province of Canada, where the country is one of them",
        fix: "choose the state or province anew, so that it fits the country",
        check: Check::User(|profile| {
            unknown_state(address(profile)?, |address| address.state_iso_code.as_deref())
        }),
    },
    &Rule {
        id: "country-unknown",
        level: Level::Warn,
        element: "default-address.country.code",
        column: "Country",
        source: "D501",
        what: "is a country of ISO 3166, by two-letter code or name; the tenant's own list may be shorter",
        fix: "choose the country anew",
        check: Check::User(|profile| {
            let country = address(profile)?.country.as_deref()?;
            let known = blank(Some(country)) || place::country(country).is_some();
            (!known).then(|| {
                format!(
                    "its {} characters are no country of ISO 3166",
                    country.chars().count()
                )
            })
        }),
    },
    &Rule {
        id: "street3-dropped",
        level: Level::Info,
        element: "default-address.street3",
        column: "",
        source: "S1, D501",
        what: "is blank: it is not synced",
        fix: "move what matters to street1 or street2",
        check: Check::Dropped(|profile| address(profile)?.street3.as_deref()),
    },
    &Rule {
        id: "street4-dropped",
        level: Level::Info,
        element: "default-address.street4",
        column: "",
        source: "S1, D501",
        what: "is blank: it is not synced",
        fix: "move what matters to street1 or street2",
        check: Check::Dropped(|profile| address(profile)?.street4.as_deref()),
    },
    &Rule {
        id: "middlename-dropped",
        level: Level::Info,
        element: "middlename",
        column: "Middle",
        source: "S1",
        what: "is blank: it is not a field of the sync",
        fix: "none is needed; set it in Risk Assess if it matters there",
        check: Check::User(|profile| {
            (!blank(profile.middle_name.as_deref())).then(|| "the sync does not take it along".to_owned())
        }),
    },
    &Rule {
        id: LICENSE_HELD,
        level: Level::Info,
        element: "risk-assess-user",
        column: "",
        source: "S1",
        what: "the license is not held yet: granting it again changes nothing",
        fix: "none is needed",
        check: Check::User(|profile| {
            (profile.licensed == Some(true)).then(|| "the license is held already".to_owned())
        }),
    },
    &Rule {
        id: "sign-in-not-saml",
        level: Level::Info,
        element: "authentication-method",
        column: "",
        source: "I",
        what: "is `saml`: else the user may not reach Risk Assess by single sign-on",
        fix: "set up single sign-on for the user if the way from Coupa to Risk Assess does not work",
        check: Check::User(|profile| {
            let method = profile.authentication_method.as_deref()?;
            (!method.eq_ignore_ascii_case("saml")).then(|| "the user does not sign in by SAML".to_owned())
        }),
    },
];

/// The e-mail address; blank is none.
fn address_of(profile: &Profile) -> Option<&str> {
    profile.email.as_deref().filter(|email| !blank(Some(email)))
}

fn address(profile: &Profile) -> Option<&Address> {
    profile.address.as_ref()
}

fn edge_space(login: &str) -> Option<String> {
    if blank(Some(login)) {
        return None;
    }
    let leading = login.chars().count() - login.trim_start().chars().count();
    let trailing = login.chars().count() - login.trim_end().chars().count();
    (leading + trailing > 0).then(|| {
        format!("it has {leading} characters of white space at the beginning and {trailing} at the end")
    })
}

fn unknown_state(address: &Address, state: fn(&Address) -> Option<&str>) -> Option<String> {
    let country = place::country(address.country.as_deref()?)?;
    let state = state(address).filter(|state| !blank(Some(state)))?;
    let known = !place::lists_states(country) || place::is_state(country, state);
    (!known).then(|| {
        format!(
            "its {} characters are no state or province of {country}",
            state.chars().count()
        )
    })
}
