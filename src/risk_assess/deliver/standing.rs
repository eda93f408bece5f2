//! What the sending of a user's row means for the record of that user, in words and in the ledger.
//!
//! Invariants: the reading that a row was made of is recorded with what came of it, so the ledger never speaks of another one; what came of an
//! older reading than the ledger's says nothing there. No text has a value of a person.

use jiff::Timestamp;

use crate::model::downstream::{Record, Standing};
use crate::model::id::UserId;
use crate::model::profile::Profile;
use crate::risk_assess::account::{self, Sent};
use crate::risk_assess::config::RiskAssessConfig;

use super::render::{LeftOut, Unfit};

/// A user as Coupa showed it, and the moment before it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) profile: Profile,
    pub(super) at: Timestamp,
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

/// The record after that; `read` is what the row was made of, if Coupa had the user.
pub(super) fn noted(
    record: Record,
    read: Option<&Read>,
    came: &Came,
    left_out: &[LeftOut],
    config: &RiskAssessConfig,
    at: Timestamp,
) -> Option<Record> {
    let Some(read) = read else {
        return Some(account::absent(record, at));
    };
    let mut record = account::read(Some(record), &read.profile, config, read.at)?;
    let told = came.told(left_out);
    match (came, Sent::of(&read.profile, config)) {
        (Came::NotSent(_), None) => {
            account::add_problem(&mut record, account::NOT_SENT, told, at);
            Some(record)
        }
        (Came::Nothing(_), _) | (_, None) => Some(record),
        (came, Some(sent)) => {
            if matches!(came, Came::NotSent(_)) && sent.speaks_of(&record) {
                account::add_problem(&mut record, account::NOT_SENT, told.clone(), at);
            }
            Some(account::answered(record, &sent, came.standing(), &told, at))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::render::tests::ann;
    use super::*;
    use crate::model::tenant::AccountClass;
    use crate::risk_assess::config::{Delivery, Removal};

    pub(in super::super) fn config() -> RiskAssessConfig {
        RiskAssessConfig {
            delivery: Delivery::QuickIntegration,
            ..RiskAssessConfig::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(profile: &Profile, second: i64) -> Read {
        Read {
            profile: profile.clone(),
            at: at(second),
        }
    }

    fn record(read: &Read) -> Record {
        account::read(None, &read.profile, &config(), read.at).unwrap()
    }

    fn renamed() -> Profile {
        Profile {
            last_name: Some("New".into()),
            ..ann(1)
        }
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
    fn what_came_of_an_older_reading_says_nothing() {
        let (older, newer) = (read(&ann(1), 1), read(&renamed(), 2));
        for came in all() {
            let before = record(&newer);
            let after = noted(before.clone(), Some(&older), &came, &[], &config(), at(5));
            assert_eq!(after.unwrap(), before, "{came:?}");
        }
    }

    #[test]
    fn a_newer_reading_is_recorded_with_what_came_of_it() {
        let (older, newer) = (read(&ann(1), 1), read(&renamed(), 2));
        for came in all() {
            let after = noted(record(&older), Some(&newer), &came, &[], &config(), at(5)).unwrap();
            assert_eq!(after.reading.fields, account::fingerprint(&newer.profile).fields);
            assert_eq!(after.standing, came.standing(), "{came:?}");
        }
    }

    #[test]
    fn what_a_person_has_to_look_at_is_a_problem_until_it_is_overcome() {
        let sent = read(&ann(1), 1);
        let then = |record: Record, came: &Came, second: i64| {
            noted(record, Some(&sent), came, &[], &config(), at(second)).unwrap()
        };
        let kinds = |record: &Record| -> Vec<String> {
            let kinds = record.problems.iter().map(|problem| problem.kind.to_string());
            kinds.collect()
        };
        let told = Some("LastName is strange".into());
        let rejected = then(record(&sent), &Came::Rejected { told }, 5);
        assert_eq!(kinds(&rejected), [account::REJECTED]);
        assert!(
            rejected.evidence.contains("LastName is strange"),
            "{}",
            rejected.evidence
        );
        let shared = NotSent::SharedEmail(vec![UserId::new(9).unwrap()]);
        let unfit = then(record(&sent), &Came::NotSent(shared), 5);
        assert_eq!(kinds(&unfit), [account::NOT_SENT]);
        assert!(unfit.problems[0].text.contains("user 9"));
        for record in [rejected, unfit] {
            assert_eq!(kinds(&then(record, &Came::Delivered, 6)), Vec::<String>::new());
        }
    }

    #[test]
    fn a_user_who_is_gone_or_whose_license_nobody_sees_is_told() {
        let known = record(&read(&ann(1), 1));
        let gone = noted(
            known.clone(),
            None,
            &Came::NotSent(NotSent::Gone),
            &[],
            &config(),
            at(5),
        )
        .unwrap();
        assert_eq!(
            (gone.standing, &*gone.problems[0].kind),
            (Standing::Unknown, account::USER_ABSENT)
        );
        let hidden = read(
            &Profile {
                licensed: None,
                ..ann(1)
            },
            2,
        );
        let came = Came::NotSent(NotSent::LicenseUnknown);
        let hidden = noted(known, Some(&hidden), &came, &[], &config(), at(5)).unwrap();
        assert_eq!(&*hidden.problems[0].kind, account::NOT_SENT);
    }

    #[test]
    fn what_is_not_sent_since_the_license_was_taken_changes_no_answer() {
        let left = read(
            &Profile {
                licensed: Some(false),
                ..ann(1)
            },
            2,
        );
        let kept = RiskAssessConfig {
            removal: Removal::Stays,
            ..config()
        };
        let known = account::read(Some(record(&read(&ann(1), 1))), &left.profile, &kept, left.at).unwrap();
        let after = noted(
            known.clone(),
            Some(&left),
            &Came::Nothing("not sent"),
            &[],
            &kept,
            at(5),
        );
        assert_eq!(after, Some(known));
    }

    #[test]
    fn what_was_left_out_is_told_with_the_answer() {
        use super::super::render::Why;
        use crate::risk_assess::columns::Column;
        let left_out = [LeftOut {
            column: Column::Address1,
            why: Why::LongerThan(64),
        }];
        let told = Came::Delivered.told(&left_out);
        assert!(
            told.ends_with("; left out: Mailing Address (longer than 64 characters)"),
            "{told}"
        );
        assert!(!Came::Nothing("not sent").told(&left_out).contains("left out"));
    }
}
