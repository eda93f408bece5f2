//! Where the Coupa tenant tells Risk Assess of its users.
//!
//! Invariant: told from [`Tenant::commit`] alone, through which every change goes, whoever makes it and whatever reads show of it.

use std::sync::atomic::Ordering;

use crate::sandbox::tenant::Tenant;

use super::coupa_user::{CoupaUser, is_licensed};
use super::native::Tiding;
use super::readings::Switch;

impl Tenant {
    /// A user before it is saved; `None` where nobody asks.
    pub(in crate::sandbox) fn seen_by_sync(&mut self, user: u64) -> Option<CoupaUser> {
        (self.risk_assess.readings.user_sync == Switch::On).then(|| CoupaUser::of(self, user))
    }

    /// A user was saved; `at` in seconds since 1970.
    pub(in crate::sandbox) fn tell_sync(&mut self, user: u64, before: Option<CoupaUser>, at: i64) {
        let Some(before) = before else { return };
        let after = CoupaUser::of(self, user);
        if Tiding::matters(&before, &after, self.risk_assess.readings.retrigger) {
            self.tell(before.licensed, after, at);
        }
    }

    fn tell(&mut self, was_licensed: bool, user: CoupaUser, at: i64) {
        let clock = self.risk_assess.clock.load(Ordering::Relaxed);
        self.risk_assess.hear(Tiding {
            user,
            was_licensed,
            at,
            clock,
        });
    }

    /// Tells of every licensed user, as if each were saved once.
    pub(in crate::sandbox) fn tell_all(&mut self, at: i64) {
        for user in 0..self.users.len() as u64 {
            if is_licensed(self.true_user(user).licenses) {
                let user = CoupaUser::of(self, user);
                self.tell(true, user, at);
            }
        }
    }

    /// Users who truly hold the license.
    pub(in crate::sandbox) fn seats_taken(&self) -> u64 {
        let users = 0..self.users.len() as u64;
        users
            .filter(|&user| is_licensed(self.true_user(user).licenses))
            .count() as u64
    }
}
