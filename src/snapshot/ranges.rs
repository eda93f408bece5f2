//! How the id space of users is shared out among readers.
//!
//! The space is cut into ranges, each read upwards by key. A range ends on an empty page, or when a row reaches its upper
//! id; rows beyond it are left to the neighbour. A reader without work takes a part of the range with most rows left.
//! The tenant is never told an upper bound, so nothing depends on whether it honours one.
//!
//! Invariants: ranges never overlap and leave no gap, so no id is lost and none doubled; every range costs at most one
//! request more than its rows need (the open last one two), and there are at most [`MAX_RANGES`] of them, so a pass costs
//! at most `rows / 50 + MAX_RANGES + 2` requests.

/// Ranges of one pass, made at the start or split off later.
pub(crate) const MAX_RANGES: usize = 16;

/// Rows of one page (Coupa: 50 rows per call).
const PAGE: u64 = 50;

/// A range, or the rest of one, is worth a reader of its own from this many rows on.
const WORTH: u64 = 4 * PAGE;

/// So many pages must have come for each split beyond the ranges of the start.
const PAGES_PER_SPLIT: usize = 8;

/// Where a split falls: after an even split brought nothing, the ids crowd at the low end, so the next one is low.
const EVEN: u32 = 1;
const LOW: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Reading,
    Done,
}

#[derive(Debug)]
struct Range {
    /// Every id up to this one has been seen.
    read_to: u64,
    /// Last id of the range; `None`: open-ended.
    upto: Option<u64>,
    /// Rows kept so far.
    rows: u64,
    /// Rows and ids spanned by the last page, for guessing how many are left.
    density: Option<(u64, u64)>,
    /// A split leaves the low `1 / 2^shift` of what is left.
    shift: u32,
    /// The range this one was split off from.
    parent: Option<usize>,
    /// The range last split off from this one.
    child: Option<usize>,
    state: State,
}

/// The ranges of one pass.
#[derive(Debug)]
pub(crate) struct Ranges {
    list: Vec<Range>,
    /// Highest id known at the start; 0 if the tenant does not tell.
    highest: u64,
    /// Pages taken so far.
    pages: usize,
}

/// A range to read: from the start of the range upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    /// Number of the range, for [`Ranges::page`].
    pub(crate) range: usize,
    /// The range holds ids above this one. Unique among ranges, and never changes.
    pub(crate) after: u64,
}

/// What an idle reader is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read this range.
    Read(Job),
    /// Ask again when a page has come: only then is it known where the rows are.
    Wait,
    /// Go home: what is left is with other readers.
    Nothing,
}

/// What to do with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// This many rows of the page belong to the range.
    pub(crate) keep: usize,
    /// Where to go on; `None`: the range is done.
    pub(crate) next: Option<u64>,
}

/// The tenant sent rows against the order it was found to keep, or does not move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("users did not come in the order of their ids after {0}")]
pub(crate) struct OutOfOrder(pub(crate) u64);

impl Ranges {
    /// Cuts the ids up to `highest` into at most `readers` even ranges; the last one is open-ended.
    pub(crate) fn new(highest: Option<u64>, readers: usize) -> Self {
        let highest = highest.unwrap_or(0);
        let worth = usize::try_from(highest / WORTH).unwrap_or(usize::MAX);
        let count = readers.min(MAX_RANGES / 2).min(worth).max(1) as u64;
        let bound = |n: u64| highest / count * n;
        let list = (0..count)
            .map(|n| Range {
                read_to: bound(n),
                upto: (n + 1 < count).then(|| bound(n + 1)),
                rows: 0,
                density: None,
                shift: EVEN,
                parent: None,
                child: None,
                state: State::Waiting,
            })
            .collect();
        Self {
            list,
            highest,
            pages: 0,
        }
    }

    /// Lower ends of the ranges, ascending; for whoever follows the pass.
    pub(crate) fn starts(&self) -> impl Iterator<Item = u64> {
        self.list.iter().map(|range| range.read_to)
    }

    /// Work for an idle reader: a range nobody reads, else a part of the one with most rows left, if that is worth it.
    pub(crate) fn next(&mut self) -> Next {
        if let Some(range) = self.list.iter().position(|range| range.state == State::Waiting) {
            self.list[range].state = State::Reading;
            return Next::Read(Job {
                range,
                after: self.list[range].read_to,
            });
        }
        self.split()
    }

    fn split(&mut self) -> Next {
        if self.list.len() >= MAX_RANGES {
            return Next::Nothing;
        }
        let worth = |number: &usize| self.rows_left(&self.list[*number]) >= WORTH;
        let candidates: Vec<usize> = (0..self.list.len()).filter(worth).collect();
        let known = candidates
            .iter()
            .copied()
            .filter(|number| self.is_known(&self.list[*number]));
        let victim = known.max_by_key(|number| self.rows_left(&self.list[*number]));
        let Some(victim) = victim.filter(|_| self.may_split()) else {
            return if candidates.is_empty() {
                Next::Nothing
            } else {
                Next::Wait
            };
        };
        let range = self.list.len();
        let end = self.end(&self.list[victim]);
        let old = &mut self.list[victim];
        old.child = Some(range);
        let middle = old.read_to + ((end - old.read_to) >> old.shift).max(1);
        let upto = old.upto.replace(middle);
        self.list.push(Range {
            read_to: middle,
            upto,
            rows: 0,
            density: None,
            shift: EVEN,
            parent: Some(victim),
            child: None,
            state: State::Reading,
        });
        Next::Read(Job { range, after: middle })
    }

    /// Takes a page of `range`: ids ascending, and where the tenant goes on.
    pub(crate) fn page(&mut self, range: usize, ids: &[u64], next: Option<u64>) -> Result<Taken, OutOfOrder> {
        let at = self.list[range].read_to;
        let ascending = ids.windows(2).all(|pair| pair[0] < pair[1]);
        let above = ids.first().is_none_or(|first| *first > at);
        let reached = ids.last().copied().unwrap_or(at);
        let moves_on = next.is_none_or(|next| next > at && next >= reached);
        if !(ascending && above && moves_on) {
            return Err(OutOfOrder(at));
        }
        let upto = self.list[range].upto;
        let keep = upto.map_or(ids.len(), |upto| ids.partition_point(|id| *id <= upto));
        let next = next.filter(|next| upto.is_none_or(|upto| *next < upto));
        self.pages += 1;
        let this = &mut self.list[range];
        this.rows += keep as u64;
        if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
            this.density = Some((ids.len() as u64, last - first + 1));
        }
        match next {
            Some(next) => this.read_to = next,
            None => self.finish(range),
        }
        Ok(Taken { keep, next })
    }

    /// Every split may cost a request, so a small tenant is split less often than a large one.
    fn may_split(&self) -> bool {
        self.list.len() < MAX_RANGES / 2 + self.pages / PAGES_PER_SPLIT
    }

    fn finish(&mut self, range: usize) {
        self.list[range].state = State::Done;
        let empty = self.list[range].rows == 0;
        if let Some(parent) = self.list[range].parent {
            self.list[parent].shift = if empty { LOW } else { EVEN };
        }
    }

    /// Whether pages have told where the rows of a range are: its own, and those of what was split off last. Without that,
    /// several idle readers would halve the same empty space.
    fn is_known(&self, range: &Range) -> bool {
        let told = |range: &Range| range.density.is_some() || range.state == State::Done;
        told(range) && range.child.is_none_or(|child| told(&self.list[child]))
    }

    fn end(&self, range: &Range) -> u64 {
        range.upto.unwrap_or(self.highest).max(range.read_to)
    }

    /// A guess at the rows left; never more than there are ids.
    fn rows_left(&self, range: &Range) -> u64 {
        if range.state != State::Reading {
            return 0;
        }
        let ids = self.end(range) - range.read_to;
        match range.density {
            Some((rows, span)) => {
                let guess = u128::from(ids) * u128::from(rows) / u128::from(span.max(1));
                u64::try_from(guess).unwrap_or(u64::MAX).min(ids)
            }
            None => ids,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Reads `ids` with `readers` readers whose pages come back in the order that `dice` gives.
    fn read(ids: &BTreeSet<u64>, highest: Option<u64>, readers: usize, dice: &[u8]) -> (Vec<u64>, u64) {
        let mut ranges = Ranges::new(highest, readers);
        let mut busy: Vec<(usize, u64)> = Vec::new();
        let mut idle = readers;
        let (mut seen, mut requests) = (Vec::new(), 0);
        let mut dice = dice.iter().cycle();
        loop {
            while idle > 0 {
                let Next::Read(job) = ranges.next() else { break };
                busy.push((job.range, job.after));
                idle -= 1;
            }
            if busy.is_empty() {
                return (seen, requests);
            }
            let at = usize::from(*dice.next().unwrap_or(&0)) % busy.len();
            let (range, after) = busy[at];
            requests += 1;
            let page: Vec<u64> = ids.range(after + 1..).take(PAGE as usize).copied().collect();
            let taken = ranges.page(range, &page, page.last().copied()).unwrap();
            seen.extend(&page[..taken.keep]);
            if let Some(next) = taken.next {
                busy[at].1 = next;
            } else {
                busy.swap_remove(at);
                idle += 1;
            }
        }
    }

    fn check(
        ids: &BTreeSet<u64>,
        highest: Option<u64>,
        readers: usize,
        dice: &[u8],
    ) -> Result<(), TestCaseError> {
        let (mut seen, requests) = read(ids, highest, readers, dice);
        seen.sort_unstable();
        prop_assert_eq!(&seen, &ids.iter().copied().collect::<Vec<_>>());
        let bound = (ids.len() as u64).div_ceil(PAGE) + 20;
        prop_assert!(
            requests <= bound,
            "{} requests, at most {} allowed",
            requests,
            bound
        );
        Ok(())
    }

    fn clustered() -> impl Strategy<Value = BTreeSet<u64>> {
        let cluster = (0u64..1 << 40, 1u64..4, 0u64..900);
        prop::collection::vec(cluster, 0..5).prop_map(|clusters| {
            clusters
                .into_iter()
                .flat_map(|(base, step, count)| (1..=count).map(move |n| base + n * step))
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn sparse_ids_are_read_once_each(
            ids in prop::collection::btree_set(1u64..1 << 42, 0..1500),
            readers in 1usize..20, dice in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            check(&ids, ids.last().copied(), readers, &dice)?;
        }

        #[test]
        fn clustered_ids_are_read_once_each(
            ids in clustered(), readers in 1usize..20, dice in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            check(&ids, ids.last().copied(), readers, &dice)?;
        }

        #[test]
        fn ids_above_the_highest_known_one_are_read_too(
            ids in clustered(), part in 0..100usize, dice in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let known = ids.iter().nth(ids.len() * part / 100).copied();
            check(&ids, known, 8, &dice)?;
        }
    }

    #[test]
    fn ids_at_the_end_of_the_number_space_are_read() {
        let ids = BTreeSet::from([1, 1 << 33, u64::MAX - 1]);
        assert_eq!(read(&ids, Some(u64::MAX - 1), 8, &[0]).0.len(), 3);
    }

    #[test]
    fn work_is_shared_where_ids_crowd_at_one_end() {
        for base in [0u64, 1 << 33] {
            let mut ids: BTreeSet<u64> = (1..=20_000).map(|n| base + n).collect();
            ids.insert((1 << 33) + 30_000);
            let mut ranges = Ranges::new(ids.last().copied(), 8);
            let mut jobs: Vec<(usize, u64)> = Vec::new();
            let mut rounds = 0;
            // One page per reader and round: rounds tell the time a pass takes.
            loop {
                while jobs.len() < 8 {
                    let Next::Read(job) = ranges.next() else { break };
                    jobs.push((job.range, job.after));
                }
                if jobs.is_empty() {
                    break;
                }
                rounds += 1;
                jobs.retain_mut(|(range, after)| {
                    let page: Vec<u64> = ids.range(*after + 1..).take(50).copied().collect();
                    let taken = ranges.page(*range, &page, page.last().copied()).unwrap();
                    *after = taken.next.unwrap_or(*after);
                    taken.next.is_some()
                });
            }
            assert!(rounds < 200, "{rounds} rounds for 400 pages from {base}");
        }
    }

    #[test]
    fn a_small_tenant_is_one_range() {
        assert_eq!(Ranges::new(Some(300), 8).starts().count(), 1);
        assert_eq!(Ranges::new(None, 8).starts().count(), 1);
    }

    #[test]
    fn rows_against_the_order_are_refused() {
        let mut ranges = Ranges::new(Some(100), 1);
        let Next::Read(job) = ranges.next() else {
            panic!("no work")
        };
        assert!(ranges.page(job.range, &[5, 4], Some(5)).is_err());
        ranges.page(job.range, &[4, 5], Some(5)).unwrap();
        assert_eq!(ranges.page(job.range, &[5], Some(6)), Err(OutOfOrder(5)), "again");
        assert_eq!(ranges.page(job.range, &[], Some(5)), Err(OutOfOrder(5)), "stuck");
    }
}
