//! What the sending of a user's row means for the record of that user.
//!
//! STAND-IN for part A: [`fingerprint`], [`expectation`] and [`answered`] are to be exchanged for those of `risk_assess::account`, which must
//! agree with what is written into the ledger there; everything else here stays.
//!
//! Invariants: a record changes only if it speaks of what was sent, the same fields and the same expectation; what was acknowledged or seen
//! is not unsaid by an answer that says less.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::model::downstream::{Digest, Expectation, Problem, Record, Standing};
use crate::model::id::UserId;
use crate::model::profile::{Address, Phone, Profile};
use crate::risk_assess::config::Removal;

use super::render::{LeftOut, Unfit};

/// Kind of the problem of a row that Risk Assess refused.
const REJECTED: &str = "delivery-rejected";
/// Kind of the problem of a row that we do not send.
const NOT_SENT: &str = "not-deliverable";

/// Content of a user's row, as far as the ledger can tell it from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) user: UserId,
    pub(super) fields: Digest,
    pub(super) expectation: Expectation,
}

/// Why no row of a user is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotSent {
    /// Coupa does not have the user any more.
    Gone,
    /// No row can be made.
    Unfit(Unfit),
    /// Other accounts have the same e-mail address, which is the user name in Risk Assess: the row would change their account.
    SharedEmail(Vec<UserId>),
    /// The tenant does not show who has the license.
    LicenseUnknown,
}

impl NotSent {
    fn told(&self) -> String {
        match self {
            Self::Gone => "not sent: Coupa does not have the user any more".to_owned(),
            Self::Unfit(why) => format!("not sent: {why}"),
            Self::SharedEmail(others) => {
                let others: Vec<String> = others.iter().map(ToString::to_string).collect();
                format!(
                    "not sent: the e-mail address is also that of user {}",
                    others.join(", ")
                )
            }
            Self::LicenseUnknown => "not sent: Coupa does not show whether the license is held".to_owned(),
        }
    }
}

/// What came of a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    /// 201, one row.
    Delivered,
    /// 201, several rows.
    Accepted { rows: usize },
    /// 202.
    Queued,
    /// 204, or a success that no document names.
    Doubtful { status: u16 },
    /// An answer that it could not be taken now.
    Failed { status: u16 },
    /// No answer after something was sent.
    Unanswered,
    /// 400, with the message, values removed.
    Rejected { told: Option<String> },
    /// Not sent, and a person has to look.
    NotSent(NotSent),
    /// Not sent, since nothing is to be sent: why.
    Nothing(&'static str),
    /// Written to a file.
    HandedOut,
}

impl Came {
    /// How the parcel stands by it.
    pub(super) const fn standing(&self) -> Standing {
        match self {
            Self::Delivered => Standing::Delivered,
            Self::Queued => Standing::Queued,
            Self::Accepted { .. } | Self::Doubtful { .. } | Self::Failed { .. } | Self::Unanswered => {
                Standing::Doubtful
            }
            Self::Rejected { .. } => Standing::Rejected,
            Self::NotSent(_) => Standing::Unknown,
            Self::Nothing(_) | Self::HandedOut => Standing::Expected,
        }
    }

    /// In one sentence, without values.
    pub(super) fn told(&self, left_out: &[LeftOut]) -> String {
        let mut told = match self {
            Self::Delivered => "Risk Assess answered 201 to a file with this row alone".to_owned(),
            Self::Accepted { rows } => {
                format!(
                    "Risk Assess answered 201 to a file of {rows} rows, which proves nothing for this one"
                )
            }
            Self::Queued => {
                "Risk Assess answered 202: the row is in its queue, the result goes out by mail".to_owned()
            }
            Self::Doubtful { status: 204 } => {
                "Risk Assess answered 204: nothing new, or the wrong format".to_owned()
            }
            Self::Doubtful { status } => format!("Risk Assess answered {status}, which is not documented"),
            Self::Failed { status } => {
                format!("Risk Assess answered {status}; the row may or may not have been taken")
            }
            Self::Unanswered => "the row was sent and no answer came".to_owned(),
            Self::Rejected { told: None } => "Risk Assess answered 400 and refused the row".to_owned(),
            Self::Rejected { told: Some(told) } => {
                format!("Risk Assess answered 400 and refused the row: {told}")
            }
            Self::NotSent(why) => why.told(),
            Self::Nothing(why) => (*why).to_owned(),
            Self::HandedOut => {
                "written to a file for a person to upload; whether that was done is not known".to_owned()
            }
        };
        if !left_out.is_empty() && !matches!(self, Self::NotSent(_) | Self::Nothing(_)) {
            let columns: Vec<String> = left_out.iter().map(ToString::to_string).collect();
            told = format!("{told}; left out: {}", columns.join(", "));
        }
        told
    }
}

/// The record after that; unchanged if it does not speak of what was sent.
pub(super) fn answered(
    mut record: Record,
    sent: Option<&Content>,
    came: &Came,
    left_out: &[LeftOut],
    at: Timestamp,
) -> Record {
    if let Some(content) = sent
        && (record.reading.fields != content.fields || record.expectation != content.expectation)
    {
        return record;
    }
    let standing = match came {
        Came::Nothing(_) => return record,
        other => other.standing(),
    };
    let kind = match came {
        Came::Rejected { .. } => Some(REJECTED),
        Came::NotSent(_) => Some(NOT_SENT),
        _ => None,
    };
    let told = came.told(left_out);
    if kind.is_some() || matches!(came, Came::Delivered | Came::Queued) {
        record
            .problems
            .retain(|problem| ![REJECTED, NOT_SENT].contains(&&*problem.kind));
    }
    if let Some(kind) = kind {
        record.problems.push(Problem {
            kind: kind.into(),
            text: told.as_str().into(),
            at,
        });
    }
    if says_more(standing, record.standing) {
        record.standing = standing;
        record.since = at;
        record.evidence = told.into();
    }
    record
}

/// Whether a new standing may take the place of the present one, for the same fields and expectation.
const fn says_more(new: Standing, present: Standing) -> bool {
    match new {
        // An answer about this very row is the newest word on it.
        Standing::Delivered | Standing::Rejected | Standing::Seen(_) => true,
        Standing::Queued => !matches!(present, Standing::Delivered | Standing::Seen(_)),
        Standing::Doubtful => !matches!(
            present,
            Standing::Delivered | Standing::Seen(_) | Standing::Queued
        ),
        // Nothing was sent, or nobody knows: that unsays nothing that was answered before.
        Standing::Expected | Standing::Unknown => matches!(present, Standing::Expected | Standing::Unknown),
    }
}

/// What the sync comes to for a user; `None` where the tenant does not show the license.
pub(super) fn expectation(profile: &Profile, removal: Removal) -> Option<Expectation> {
    Some(match (profile.licensed?, profile.active) {
        (true, true) => Expectation::Active,
        (true, false) => Expectation::Closed,
        (false, _) => match removal {
            Removal::Unknown => Expectation::Undocumented,
            Removal::Stays => Expectation::Kept,
            Removal::Closes => Expectation::Closed,
        },
    })
}

/// Digest of all fields of the sync (S1), letter case as it is: a change of case is a change.
pub(super) fn fingerprint(profile: &Profile) -> Digest {
    let none = (&Phone::default(), &Address::default());
    let phone = profile.phone.as_ref().unwrap_or(none.0);
    let address = profile.address.as_ref().unwrap_or(none.1);
    let user = profile.user.to_string();
    let fields = [
        Some(user.as_str()),
        Some(&profile.login),
        profile.email.as_deref(),
        Some(if profile.active { "active" } else { "inactive" }),
        profile.first_name.as_deref(),
        profile.last_name.as_deref(),
        phone.country_code.as_deref(),
        phone.area_code.as_deref(),
        phone.number.as_deref(),
        phone.extension.as_deref(),
        address.street1.as_deref(),
        address.street2.as_deref(),
        address.city.as_deref(),
        address.state.as_deref(),
        address.state_iso_code.as_deref(),
        address.postal_code.as_deref(),
        address.country.as_deref(),
    ];
    let mut hash = Sha256::new();
    for field in fields {
        let text = field.unwrap_or_default();
        // The length before it, so that no two lists of fields run together to the same bytes.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Digest(hex.into())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::render::tests::ann;
    use super::*;
    use crate::model::downstream::Reading;
    use crate::model::tenant::AccountClass;
    use jiff::civil::date;

    /// What the ledger says of a user that was just read.
    pub(in super::super) fn record(profile: &Profile, removal: Removal) -> Record {
        Record {
            user: profile.user,
            expectation: expectation(profile, removal).unwrap(),
            standing: Standing::Expected,
            since: Timestamp::UNIX_EPOCH,
            evidence: "Coupa was read".into(),
            link: None,
            reading: Reading {
                at: Timestamp::UNIX_EPOCH,
                updated_at: None,
                licensed: profile.licensed.unwrap(),
                active: profile.active,
                fields: fingerprint(profile),
                login: Digest("l".into()),
                email: None,
            },
            judged: None,
            problems: Vec::new(),
        }
    }

    fn content(profile: &Profile) -> Content {
        Content {
            user: profile.user,
            fields: fingerprint(profile),
            expectation: expectation(profile, Removal::Unknown).unwrap(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn all() -> Vec<Came> {
        vec![
            Came::Delivered,
            Came::Accepted { rows: 2 },
            Came::Queued,
            Came::Doubtful { status: 204 },
            Came::Failed { status: 500 },
            Came::Unanswered,
            Came::Rejected { told: None },
            Came::NotSent(NotSent::Unfit(Unfit::Class(AccountClass::Supplier))),
            Came::Nothing("not to be sent"),
            Came::HandedOut,
        ]
    }

    #[test]
    fn a_record_of_other_fields_or_another_expectation_claims_nothing() {
        let profile = ann(1);
        let newer = Profile {
            last_name: Some("New".into()),
            ..ann(1)
        };
        let left = Profile {
            licensed: Some(false),
            ..ann(1)
        };
        for came in all() {
            for other in [&newer, &left] {
                let before = record(other, Removal::Unknown);
                let after = answered(before.clone(), Some(&content(&profile)), &came, &[], at(5));
                assert_eq!(after, before, "{came:?}");
            }
        }
    }

    #[test]
    fn an_answer_is_evidence_and_says_since_when() {
        let profile = ann(1);
        let after = answered(
            record(&profile, Removal::Unknown),
            Some(&content(&profile)),
            &Came::Delivered,
            &[],
            at(5),
        );
        assert_eq!((after.standing, after.since), (Standing::Delivered, at(5)));
        assert_eq!(
            &*after.evidence,
            "Risk Assess answered 201 to a file with this row alone"
        );
    }

    #[test]
    fn what_was_acknowledged_or_seen_is_not_unsaid_by_less() {
        let profile = ann(1);
        let seen = Standing::Seen(date(2026, 11, 22));
        for present in [Standing::Delivered, seen] {
            for came in all() {
                let before = Record {
                    standing: present,
                    ..record(&profile, Removal::Unknown)
                };
                let after = answered(before, Some(&content(&profile)), &came, &[], at(5)).standing;
                let expected = match came {
                    Came::Delivered => Standing::Delivered,
                    Came::Rejected { .. } => Standing::Rejected,
                    _ => present,
                };
                assert_eq!(after, expected, "{came:?} after {present}");
            }
        }
        let queued = Record {
            standing: Standing::Queued,
            ..record(&profile, Removal::Unknown)
        };
        let after = answered(
            queued,
            Some(&content(&profile)),
            &Came::Doubtful { status: 204 },
            &[],
            at(5),
        );
        assert_eq!(after.standing, Standing::Queued);
    }

    #[test]
    fn a_refusal_is_a_problem_until_it_is_overcome() {
        let profile = ann(1);
        let content = content(&profile);
        let other = Problem {
            kind: "email-shared".into(),
            text: "x".into(),
            at: at(1),
        };
        let before = Record {
            problems: vec![other.clone()],
            ..record(&profile, Removal::Unknown)
        };
        let kinds = |record: &Record| {
            record
                .problems
                .iter()
                .map(|problem| problem.kind.to_string())
                .collect::<Vec<_>>()
        };
        let rejected = Came::Rejected {
            told: Some("LastName is strange".into()),
        };
        let once = answered(before, Some(&content), &rejected, &[], at(5));
        let twice = answered(once, Some(&content), &rejected, &[], at(6));
        assert_eq!(kinds(&twice), ["email-shared", REJECTED]);
        assert_eq!(
            (twice.standing, twice.problems[1].at),
            (Standing::Rejected, at(6))
        );
        assert!(twice.evidence.contains("LastName is strange"));
        let unfit = answered(
            twice,
            Some(&content),
            &Came::NotSent(NotSent::LicenseUnknown),
            &[],
            at(7),
        );
        assert_eq!(
            (kinds(&unfit), unfit.standing),
            (vec!["email-shared".into(), NOT_SENT.into()], Standing::Rejected)
        );
        let done = answered(unfit, Some(&content), &Came::Delivered, &[], at(8));
        assert_eq!(done.problems, [other]);
    }

    #[test]
    fn what_is_expected_follows_license_activity_and_the_operators_word() {
        let of = |licensed, active, removal| {
            expectation(
                &Profile {
                    licensed,
                    active,
                    ..ann(1)
                },
                removal,
            )
        };
        for removal in Removal::ALL {
            assert_eq!(of(Some(true), true, removal), Some(Expectation::Active));
            assert_eq!(of(Some(true), false, removal), Some(Expectation::Closed));
            assert_eq!(of(None, true, removal), None);
        }
        assert_eq!(
            of(Some(false), true, Removal::Unknown),
            Some(Expectation::Undocumented)
        );
        assert_eq!(of(Some(false), true, Removal::Stays), Some(Expectation::Kept));
        assert_eq!(of(Some(false), true, Removal::Closes), Some(Expectation::Closed));
    }

    #[test]
    fn fields_of_the_sync_make_the_fingerprint() {
        let base = fingerprint(&ann(1));
        assert_eq!(
            base,
            fingerprint(&Profile {
                middle_name: Some("M".into()),
                ..ann(1)
            })
        );
        for other in [
            Profile {
                active: false,
                ..ann(1)
            },
            Profile {
                first_name: Some("AnnO'Brien".into()),
                last_name: None,
                ..ann(1)
            },
            Profile {
                phone: Some(Phone {
                    number: Some("1".into()),
                    ..Phone::default()
                }),
                ..ann(1)
            },
            Profile {
                address: Some(Address {
                    city: Some("1".into()),
                    ..Address::default()
                }),
                ..ann(1)
            },
        ] {
            assert_ne!(base, fingerprint(&other));
        }
    }
}
