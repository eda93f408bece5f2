//! Rows that are only passed on wait here, in a temporary file that has no name: no other process can open it, and it is gone
//! with the last handle, however the process ends.
//!
//! Invariant: file work never runs on the threads of the async runtime; writes are positioned, so pages of several readers
//! never mix.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::account::Account;
use crate::model::fault::Fault;
use crate::model::id::UserId;

/// Where the row of one account lies. 24 bytes, kept in memory for every listed account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// Whose row it is.
    pub(crate) id: UserId,
    /// Offset in the spool.
    offset: u64,
    /// Bytes.
    length: u32,
    /// Number under which the pass knows what the account holds.
    pub(crate) slot: u32,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Spool {
    file: Arc<File>,
    end: AtomicU64,
}

impl Spool {
    /// An empty spool in the directory for temporary files.
    pub(crate) async fn create() -> Result<Self, Fault> {
        let file = off_thread(tempfile::tempfile).await?;
        Ok(Self {
            file: Arc::new(file),
            end: AtomicU64::new(0),
        })
    }

    /// Writes accounts and their slots; answers their rows in the same order.
    pub(crate) async fn append(&self, accounts: &[(Account, u32)]) -> Result<Vec<Row>, Fault> {
        let mut bytes = Vec::with_capacity(accounts.len() * 256);
        let mut rows = Vec::with_capacity(accounts.len());
        for (account, slot) in accounts {
            let start = bytes.len();
            account.encode(&mut bytes);
            rows.push(Row {
                id: account.id,
                offset: start as u64,
                length: u32::try_from(bytes.len() - start)
                    .map_err(|_| Fault::corrupt("a user is too large to be kept").context(account.id))?,
                slot: *slot,
            });
        }
        let base = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        for row in &mut rows {
            row.offset += base;
        }
        let file = Arc::clone(&self.file);
        off_thread(move || file.write_all_at(&bytes, base)).await?;
        Ok(rows)
    }

    /// Reads accounts back, in the order of `rows`.
    pub(crate) async fn read(&self, rows: Vec<Row>) -> Result<Vec<Account>, Fault> {
        let file = Arc::clone(&self.file);
        let found = off_thread(move || {
            rows.iter()
                .map(|row| {
                    let mut bytes = vec![0; row.length as usize];
                    file.read_exact_at(&mut bytes, row.offset).map(|()| bytes)
                })
                .collect::<io::Result<Vec<_>>>()
        })
        .await?;
        found.iter().map(|bytes| Account::decode(bytes)).collect()
    }
}

async fn off_thread<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    let failed = || Fault::internal("the temporary file for users cannot be used");
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed()
            .advise("check free space and permissions of the directory for temporary files (TMPDIR)")
            .because(error)),
        Err(error) => Err(failed().because(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::snapshot::SupplierRoles;
    use crate::snapshot::fake::World;

    #[tokio::test]
    async fn pages_written_side_by_side_come_back_in_any_order() {
        let spool = Spool::create().await.unwrap();
        let accounts: Vec<(Account, u32)> = World::new(500)
            .users
            .into_values()
            .map(|user| Account::of(user, &SupplierRoles::default()).0)
            .zip(0..)
            .collect();
        let pages = accounts.chunks(50).map(|page| spool.append(page));
        let mut rows = futures::future::try_join_all(pages).await.unwrap().concat();
        rows.reverse();
        let read = spool.read(rows).await.unwrap();
        assert!(read.iter().eq(accounts.iter().rev().map(|(account, _)| account)));
    }

    #[test]
    fn a_row_takes_the_memory_that_is_planned() {
        assert_eq!(size_of::<Row>(), 24);
    }
}
