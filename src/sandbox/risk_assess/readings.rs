//! How the unclear parts of Risk Assess' documents are read: what nobody but a tenant's owner can answer.
//!
//! Invariant: the default of each is the most plausible reading.

use serde::{Deserialize, Serialize};

/// On or off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Off.
    #[default]
    Off,
    /// On.
    On,
}

/// When a change in Coupa reaches Risk Assess.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delay {
    /// At once.
    #[default]
    Immediate,
    /// When so many more requests have come, to Coupa's API or to the import.
    Requests(u64),
    /// When somebody says so.
    ByHand,
}

/// What becomes of an account whose user loses the license.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// It stays as it is and is followed no longer.
    #[default]
    Keeps,
    /// It is deactivated.
    Deactivates,
}

/// Whether the sync keeps to the import's lengths and patterns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limits {
    /// It does; a user who does not fit is a problem.
    #[default]
    Rejected,
    /// It does not.
    NotEnforced,
    /// Values are cut to length; patterns do not count.
    Cut,
}

/// Which of the two contradicting rules for telephone numbers holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phones {
    /// The pattern, which lets longer numbers pass.
    #[default]
    Pattern,
    /// The pattern, and ten characters.
    TenCharacters,
}

/// Whether a failure of the sync goes out by mail as one of an import does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NativeReport {
    /// It does, as the title of the report says.
    #[default]
    Sent,
    /// It does not, as the text says.
    None,
}

/// A user without a default address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoAddress {
    /// Syncs as any other.
    #[default]
    Syncs,
    /// Is passed over in silence.
    Skipped,
}

/// What Coupa does with a license for which there is no seat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoSeat {
    /// 400.
    #[default]
    Refused,
    /// 2xx, and the flag is as it was.
    Ignored,
    /// It is given all the same.
    Granted,
}

/// What becomes of the link when a login changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rename {
    /// It holds by the Coupa id.
    #[default]
    KeepsLink,
    /// The login counts: there is a second account, and the first is left alone.
    SecondAccount,
}

/// What sets off a sync of a licensed user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retrigger {
    /// Any update, one that changes nothing too.
    #[default]
    AnyUpdate,
    /// A change of a field that is synced.
    SyncedFields,
    /// The license as it is given or taken, and nothing else.
    FlagToggle,
}

/// What becomes of a file with a bad row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// Nothing of it is taken.
    #[default]
    WholeFile,
    /// Its good rows are taken; the answer is the same.
    GoodRows,
}

/// The answer to a file that changed accounts and made none: the documents know "new objects made" and "nothing new or changed".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Updated {
    /// 201
    #[default]
    Created,
    /// 204
    NoContent,
    /// 200
    Ok,
}

/// A column that the documents do not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownColumns {
    /// 400
    #[default]
    Rejected,
    /// It is passed over.
    Ignored,
}

/// Whether an export of the grid has a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GridColumn {
    /// It has not.
    #[default]
    Hidden,
    /// It has.
    Shown,
}

/// How the sandbox reads what is unclear about Risk Assess. As JSON: kebab-case names, anything left out has its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Readings {
    /// Coupa's User Sync (off until a tenant asks for it).
    pub user_sync: Switch,
    /// When it acts.
    pub delay: Delay,
    /// Removal of the license.
    pub removal: Removal,
    /// Lengths and patterns in the sync.
    pub limits: Limits,
    /// Telephone numbers, in the import and, where limits are enforced, in the sync.
    pub phones: Phones,
    /// Mail about failures of the sync.
    pub native_report: NativeReport,
    /// Users without a default address.
    pub no_address: NoAddress,
    /// How many users may hold the license: `None` any number, 0 is a tenant without Risk Assess.
    pub seats: Option<u64>,
    /// A license beyond that.
    pub no_seat: NoSeat,
    /// Change of a login.
    pub rename: Rename,
    /// What sets off a sync.
    pub retrigger: Retrigger,
    /// Files with bad rows.
    pub bad_rows: BadRows,
    /// Whether imports wait for their turn.
    pub queue: Switch,
    /// Files that only change.
    pub updated: Updated,
    /// Columns nobody knows.
    pub unknown_columns: UnknownColumns,
    /// `Coupa User ID` in the grid, which hides it.
    pub grid_coupa_id: GridColumn,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn readings_are_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Readings>(text);
        let readings = read(
            r#"{"user-sync":"on","delay":{"requests":3},"removal":"deactivates","limits":"cut","seats":0,"no-seat":"ignored",
                "rename":"second-account","retrigger":"flag-toggle","bad-rows":"good-rows","queue":"on","updated":"ok"}"#,
        )
        .unwrap();
        assert_eq!(readings.delay, Delay::Requests(3));
        assert_eq!((readings.seats, readings.no_seat), (Some(0), NoSeat::Ignored));
        assert_eq!(readings.no_address, NoAddress::Syncs, "left out");
        let again = serde_json::to_value(readings).unwrap();
        assert_eq!(serde_json::from_value::<Readings>(again).unwrap(), readings);
        assert!(read(r#"{"user_sync":"on"}"#).is_err());
    }
}
