//! Who may change what, one at a time, within this process; the lock of the state directory keeps other processes away.
//!
//! Order in which locks are taken: request, login, user, administrators. Nobody takes them in another order, so nobody waits in a circle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::model::change::RequestId;
use crate::model::id::UserId;

/// What is locked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Lock {
    /// One request of the caller, which must not run twice.
    Request(RequestId),
    /// An account that is to be made, by the digest of its login.
    Login(String),
    /// One account.
    User(UserId),
    /// The question who may still do everything.
    Administrators,
}

/// Held until dropped.
pub(super) type Held = OwnedMutexGuard<()>;

#[derive(Default)]
pub(super) struct Locks {
    locks: Mutex<HashMap<Lock, Weak<AsyncMutex<()>>>>,
}

impl Locks {
    /// Waits until the lock is free. First come, first served.
    pub(super) async fn hold(&self, lock: Lock) -> Held {
        self.mutex(lock).lock_owned().await
    }

    /// The lock, if it is free.
    pub(super) fn try_hold(&self, lock: Lock) -> Option<Held> {
        self.mutex(lock).try_lock_owned().ok()
    }

    fn mutex(&self, lock: Lock) -> Arc<AsyncMutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mutex) = locks.get(&lock).and_then(Weak::upgrade) {
            return mutex;
        }
        locks.retain(|_, mutex| mutex.strong_count() > 0);
        let mutex = Arc::default();
        locks.insert(lock, Arc::downgrade(&mutex));
        mutex
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_per_user_and_nothing_is_kept() {
        let locks = Locks::default();
        let user = |n| Lock::User(UserId::new(n).unwrap());
        let held = locks.hold(user(1)).await;
        assert!(locks.try_hold(user(1)).is_none());
        let other = locks.try_hold(user(2));
        assert!(other.is_some());
        drop((held, other));
        assert!(locks.try_hold(user(1)).is_some());
        assert_eq!(
            locks.locks.lock().unwrap().len(),
            1,
            "locks that nobody holds are forgotten"
        );
    }
}
