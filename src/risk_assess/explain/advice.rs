//! What to change where.
//!
//! Facts it rests on: a synced account is not editable in Risk Assess, all changes are made in the user's Coupa account (S1); accounts are linked
//! in bulk by the user import with Coupa User ID and Coupa Username (S2); a login renamed on one side only breaks the link (risk-assess,
//! section 2). Nothing here promises that or when Risk Assess follows: no document says so.

use super::{Link, Side, Way};
use crate::risk_assess::columns::Column;

/// Where users are edited in Coupa (S1).
const EDITOR: &str = "Setup > Company Setup > Users";

pub(super) const INACTIVE: &str =
    "the user is inactive in Coupa, and the user grid of Risk Assess shows active users only";
pub(super) const UNLICENSED: &str =
    "the user does not have the Risk Assess license in Coupa, so the sync does not carry this user";
pub(super) const NOTHING_SHOWN: &str = "the row shows nothing of Risk Assess: whether there is an account is not known; look for the user in the \
     user grid (Admin > User Management and Security > User Management), or compare an export of it by `risk-assess reconcile --grid FILE`";
pub(super) const NOTHING_DIFFERS: &str = "what this row shows is the same on both sides: check what it does not show by `risk-assess readiness` \
     (formats, lengths, doubles), and that User Sync is on";

/// A field that differs.
pub(super) struct Case<'a> {
    pub(super) column: Column,
    pub(super) ways: &'a [Way],
    pub(super) link: Link,
    pub(super) user: Option<&'a str>,
    pub(super) coupa: Option<&'a str>,
}

/// Where to change it, and how.
pub(super) fn fix(case: &Case<'_>) -> (Side, String) {
    if case.ways.contains(&Way::MissingInCoupa) {
        return (
            Side::Coupa,
            in_coupa(&format!("enter {} and save the user", what(case.column))),
        );
    }
    let blanks = case.coupa.is_some_and(|text| text.trim().len() < text.len());
    if case.ways.contains(&Way::EdgeSpaces) && blanks {
        return (
            Side::Coupa,
            in_coupa(&format!(
                "take the spaces out of {} and save the user",
                what(case.column)
            )),
        );
    }
    match case.column {
        Column::CoupaUsername => (Side::RiskAssess, login(case)),
        Column::CoupaUserId if case.ways.contains(&Way::Different) => (
            Side::RiskAssess,
            "the account is linked to another Coupa user: find out whose it is before anything is changed, then link each account by the \
             user import with its own Coupa User ID and Coupa Username"
                .to_owned(),
        ),
        Column::CoupaUserId => (
            Side::RiskAssess,
            format!("the account is not linked: {}", import(case)),
        ),
        _ if case.link == Link::None => (
            Side::RiskAssess,
            format!(
                "the account names no Coupa user, so the sync does not reach it: {}; from then on Coupa alone changes it",
                import(case)
            ),
        ),
        Column::Username => (
            Side::Coupa,
            in_coupa(
                "check the e-mail and the login, and save the user: the user name in Risk Assess is the e-mail by default, and is not \
                 editable there for a synced account",
            ),
        ),
        column if case.ways.contains(&Way::MissingInRiskAssess) => (
            Side::Coupa,
            in_coupa(&format!(
                "check {} and save the user, so that the sync takes it along; it is not editable in Risk Assess for a synced account",
                what(column)
            )),
        ),
        column => (
            Side::Coupa,
            in_coupa(&format!(
                "set {} to what is right and save the user: Coupa is the only editor of a synced account",
                what(column)
            )),
        ),
    }
}

fn in_coupa(what: &str) -> String {
    format!("in Coupa, {EDITOR}: {what}")
}

/// The field as Coupa's user form has it.
fn what(column: Column) -> String {
    match column {
        Column::CoupaUsername => "the login".to_owned(),
        Column::Email => "the e-mail".to_owned(),
        other => format!("`{}`", other.title()),
    }
}

fn login(case: &Case<'_>) -> String {
    if case.ways.contains(&Way::MissingInRiskAssess) {
        return format!("the account is not linked: {}", import(case));
    }
    format!(
        "the link is broken, for instance because the login was renamed on one side: {}; if Risk Assess leaves the field alone because the \
         account counts as synced, set the login in Coupa ({EDITOR}) back to what Risk Assess has",
        import(case)
    )
}

/// How an account is linked (S2).
fn import(case: &Case<'_>) -> String {
    let number = case.user.unwrap_or("of the user");
    format!(
        "in Risk Assess run the user import for this user with Coupa User ID {number} and the Coupa login as Coupa Username (First Name, Last \
         Name and Email are mandatory, too)"
    )
}

/// Other users of the report have the same login or e-mail.
pub(super) fn shared(column: Column, lines: &[String]) -> String {
    let which = match lines {
        [line] => format!("line {line}"),
        more => format!("lines {}", more.join(", ")),
    };
    format!(
        "{which}: another user with the same {} in Coupa; Risk Assess finds accounts by it and needs it unique: give each user its own in \
         Coupa, {EDITOR}",
        match column {
            Column::Email => "e-mail",
            _ => "login",
        }
    )
}
