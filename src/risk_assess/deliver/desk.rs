//! Between outbox, Coupa and ledger: takes parcels, makes their rows, and writes down what came of them.
//!
//! Invariants: a user is read only after the parcel is marked as being sent, so a change that is posted later is put in anew; the ledger is
//! written before a parcel is settled, so nothing that was settled is missing there.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::change::AccountKey;
use crate::model::downstream::{Expectation, Ledger, Link, Load, Outbox, Parcel, ParcelId, ParcelStage};
use crate::model::fault::Fault;
use crate::model::id::UserId;
use crate::model::profile::{Profile, ReadProfiles};
use crate::risk_assess::config::{Removal, RiskAssessConfig, UserSync};

use super::deliveries::Of;
use super::render::{self, Active, Row};
use super::standing::{self, Came, Content, NotSent};

/// What a courier and a handout work at.
#[derive(Clone)]
pub struct Desk {
    outbox: Arc<dyn Outbox>,
    ledger: Arc<dyn Ledger>,
    profiles: Arc<dyn ReadProfiles>,
    user_sync: UserSync,
    removal: Removal,
}

/// A parcel that was taken, with its row or why it has none.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) parcel: ParcelId,
    pub(super) of: Of,
    pub(super) row: Result<Row, Came>,
    content: Option<Content>,
}

impl Desk {
    /// A desk for what the outbox holds.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        ledger: Arc<dyn Ledger>,
        profiles: Arc<dyn ReadProfiles>,
        config: &RiskAssessConfig,
    ) -> Self {
        Self {
            outbox,
            ledger,
            profiles,
            user_sync: config.user_sync,
            removal: config.removal,
        }
    }

    pub(super) fn unsettled(&self) -> Result<Vec<Parcel>, Fault> {
        self.outbox.unsettled()
    }

    /// Marks parcels as being sent.
    pub(super) fn take(&self, parcels: &[ParcelId]) -> Result<(), Fault> {
        self.outbox.advance(parcels, &ParcelStage::Sending)
    }

    /// Marks parcels as waiting.
    pub(super) fn put_back(&self, parcels: &[ParcelId]) -> Result<(), Fault> {
        self.outbox.advance(parcels, &ParcelStage::Waiting)
    }

    /// Makes the row of a parcel that was taken; reads its user now.
    pub(super) async fn prepare(&self, parcel: &Parcel) -> Result<Piece, Fault> {
        let (content, row) = match &parcel.load {
            Load::User(user) => self.user(*user).await?,
            Load::Row { cells, .. } => (
                None,
                render::imported(cells).map_err(|why| Came::NotSent(NotSent::Unfit(why))),
            ),
        };
        Ok(Piece {
            parcel: parcel.id,
            of: Of::from(&parcel.load),
            row,
            content,
        })
    }

    async fn user(&self, user: UserId) -> Result<(Option<Content>, Result<Row, Came>), Fault> {
        let Some(profile) = self.profiles.profile(user).await? else {
            return Ok((None, Err(Came::NotSent(NotSent::Gone))));
        };
        let Some(expectation) = standing::expectation(&profile, self.removal) else {
            return Ok((None, Err(Came::NotSent(NotSent::LicenseUnknown))));
        };
        let content = Content {
            user,
            fields: standing::fingerprint(&profile),
            expectation,
        };
        Ok((Some(content), self.row(&profile, expectation).await?))
    }

    async fn row(&self, profile: &Profile, expectation: Expectation) -> Result<Result<Row, Came>, Fault> {
        let active = match expectation {
            Expectation::Active => Active::Yes,
            Expectation::Closed => Active::No,
            Expectation::Kept => {
                return Ok(Err(Came::Nothing(
                    "not sent: the license was taken, and the account stays as it is",
                )));
            }
            Expectation::Undocumented => {
                return Ok(Err(Came::Nothing(
                    "not sent: the license was taken, and nobody said what becomes of the account",
                )));
            }
        };
        if self.is_synced(profile.user)? {
            return Ok(Err(Came::Nothing(
                "not sent: a grid showed the account as linked to Coupa, so User Sync keeps it and an import changes none of its fields",
            )));
        }
        let row = match render::cells(profile, active) {
            Ok(row) => row,
            Err(why) => return Ok(Err(Came::NotSent(NotSent::Unfit(why)))),
        };
        // The e-mail address is the user name there (D501): with two users of one address, one's row would change the other's account.
        let email = profile.email.as_deref().unwrap_or_default().trim();
        let mut others = self.profiles.accounts_named(AccountKey::Email(email)).await?;
        others.retain(|other| *other != profile.user);
        if !others.is_empty() {
            return Ok(Err(Came::NotSent(NotSent::SharedEmail(others))));
        }
        Ok(Ok(row))
    }

    /// Whether the account is known to be kept by Coupa's own sync, unless the operator states that there is none.
    fn is_synced(&self, user: UserId) -> Result<bool, Fault> {
        if self.user_sync == UserSync::Off {
            return Ok(false);
        }
        let link = self.ledger.record(user)?.and_then(|record| record.link);
        Ok(matches!(link, Some((Link::CoupaId | Link::Username, _))))
    }

    /// Writes into the ledger what came of a piece. Rows of a file claim nothing there.
    pub(super) fn note(&self, piece: &Piece, came: &Came, at: Timestamp) -> Result<(), Fault> {
        let Of::User(user) = piece.of else { return Ok(()) };
        let left_out = piece.row.as_ref().map_or(&[][..], |row| &row.left_out);
        self.ledger.revise(&[user], &mut |_, record| {
            Some(standing::answered(
                record?,
                piece.content.as_ref(),
                came,
                left_out,
                at,
            ))
        })
    }

    /// Writes that down and is done with the parcel; gives back what was told.
    pub(super) fn settle(&self, piece: &Piece, came: &Came) -> Result<String, Fault> {
        let at = Timestamp::now();
        self.note(piece, came, at)?;
        let left_out = piece.row.as_ref().map_or(&[][..], |row| &row.left_out);
        let told = came.told(left_out);
        self.outbox.advance(
            &[piece.parcel],
            &ParcelStage::Settled {
                standing: came.standing(),
                told: told.as_str().into(),
                at,
            },
        )?;
        Ok(told)
    }
}
