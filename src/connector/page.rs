//! Page tokens and page sizes.
//!
//! A token names the listing it belongs to and the key after which the listing goes on, so any process can go on from it on
//! any pass. It never carries an offset. A page that is empty because nothing is known yet carries the same place with a
//! higher `wait`, so no token ever answers itself.
//!
//! Form: `1.<type>.<listing>.<item>.<last>.<wait>`, for instance `1.role.g.17.4711.0`: grants of all roles, after user 4711
//! of role 17.
//!
//! Invariant: parsing accepts exactly what `Display` writes, and only for the listing it was made for.

use std::fmt;

use prost::Message;

use super::kind::{Key, Kind};
use crate::model::fault::Fault;
use crate::model::id::UserId;

/// Bytes after which a page is closed. Go peers refuse messages over 4 MiB; rows are bounded well below the other half.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Rows of a page when the caller leaves the size to us: enough that round trips do not matter, bounded for memory's sake.
const OWN_ROWS: usize = 4000;

/// The largest page a caller may ask for (protocol rule).
const MOST_ROWS: u32 = 250;

/// Bytes that a row costs in a page beside its own: tag and length.
const ROW_OVERHEAD: usize = 6;

/// Which listing a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// Resource types.
    Types,
    /// Resources of a type.
    Resources,
    /// Entitlements of all resources of a type.
    Entitlements,
    /// Grants of all resources of a type.
    TypeGrants,
    /// Grants of one resource.
    Grants,
}

impl Listing {
    const ALL: [Self; 5] = [
        Self::Types,
        Self::Resources,
        Self::Entitlements,
        Self::TypeGrants,
        Self::Grants,
    ];

    const fn letter(self) -> &'static str {
        match self {
            Self::Types => "t",
            Self::Resources => "r",
            Self::Entitlements => "e",
            Self::TypeGrants => "g",
            Self::Grants => "p",
        }
    }
}

/// A place in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) listing: Listing,
    /// Rows up to this key were served; in grants: rows of earlier items.
    pub(super) item: Option<Key>,
    /// In grants: holders of `item` up to this one were served.
    pub(super) last: Option<UserId>,
    /// Empty pages served at this place.
    pub(super) wait: u32,
}

impl Token {
    /// The start of a listing.
    pub(super) fn start(kind: Kind, listing: Listing) -> Self {
        Self {
            kind,
            listing,
            item: None,
            last: None,
            wait: 0,
        }
    }

    /// The place that a request names; its start if the text is empty.
    pub(super) fn parse(text: &str, kind: Kind, listing: Listing) -> Result<Self, Fault> {
        if text.is_empty() {
            return Ok(Self::start(kind, listing));
        }
        let token = Self::read(text).ok_or_else(|| Fault::invalid("the page token is malformed"))?;
        if token.kind != kind || token.listing != listing {
            return Err(Fault::invalid("the page token belongs to another listing"));
        }
        Ok(token)
    }

    /// The token of a listing over resource types, which has no kind of its own.
    pub(super) fn parse_types(text: &str) -> Result<Option<Kind>, Fault> {
        if text.is_empty() {
            return Ok(None);
        }
        match Self::read(text) {
            Some(token) if token.listing == Listing::Types => Ok(Some(token.kind)),
            _ => Err(Fault::invalid("the page token is malformed")),
        }
    }

    /// The place after a row.
    pub(super) fn after(&self, item: Key, last: Option<UserId>) -> Self {
        Self {
            kind: self.kind,
            listing: self.listing,
            item: Some(item),
            last,
            wait: 0,
        }
    }

    /// The same place, to be asked for again.
    pub(super) fn again(&self) -> Self {
        Self {
            wait: self.wait.wrapping_add(1),
            ..self.clone()
        }
    }

    fn read(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let &["1", kind, listing, item, last, wait] = parts.as_slice() else {
            return None;
        };
        let kind = Kind::parse(kind)?;
        let token = Self {
            kind,
            listing: Listing::ALL.into_iter().find(|known| known.letter() == listing)?,
            item: optional(item, |item| kind.key(item).ok())?,
            last: optional(last, |last| last.parse().ok())?,
            wait: wait.parse().ok()?,
        };
        (token.sound() && token.to_string() == text).then_some(token)
    }

    /// Whether the listing can have such a place.
    fn sound(&self) -> bool {
        let (item, last) = (self.item.is_some(), self.last.is_some());
        let held = self.kind.item().is_some();
        match self.listing {
            Listing::Types => !item && !last && self.wait == 0,
            Listing::Resources | Listing::Entitlements => !last,
            Listing::TypeGrants => held && item == last,
            Listing::Grants => held && item,
        }
    }
}

/// An absent part is empty; outer `None`: malformed.
#[expect(clippy::option_option, reason = "private to this file, and said above")]
fn optional<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() {
        Some(None)
    } else {
        parse(text).map(Some)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}.{}.", self.kind.id(), self.listing.letter())?;
        if let Some(item) = &self.item {
            write!(f, "{item}")?;
        }
        f.write_str(".")?;
        if let Some(last) = self.last {
            write!(f, "{last}")?;
        }
        write!(f, ".{}", self.wait)
    }
}

/// Rows that a page may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) rows: usize,
    bytes: usize,
}

impl Budget {
    /// The budget of a request; 0 leaves the size to us.
    pub(super) fn of(page_size: u32) -> Result<Self, Fault> {
        let rows = match page_size {
            0 => OWN_ROWS,
            1..=MOST_ROWS => page_size as usize,
            _ => return Err(Fault::invalid(format!("page_size is at most {MOST_ROWS}"))),
        };
        Ok(Self {
            rows,
            bytes: PAGE_BYTES,
        })
    }
}

/// A page: its rows, and the key of the last one if more follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<T, K> {
    pub(super) rows: Vec<T>,
    pub(super) more_after: Option<K>,
}

/// Takes rows while they fit, at least one.
pub(super) fn fill<T: Message, K>(rows: impl IntoIterator<Item = (K, T)>, budget: Budget) -> Page<T, K> {
    let mut page = Page {
        rows: Vec::new(),
        more_after: None,
    };
    let (mut bytes, mut last) = (0, None);
    for (key, row) in rows {
        bytes += row.encoded_len() + ROW_OVERHEAD;
        let full = page.rows.len() == budget.rows || bytes > budget.bytes;
        if full && !page.rows.is_empty() {
            page.more_after = last;
            return page;
        }
        page.rows.push(row);
        last = Some(key);
    }
    page
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> impl Strategy<Value = Token> {
        let key = |kind: Kind, n: u64| match kind {
            Kind::License => kind.key(&format!("license-{n}-user")).unwrap(),
            _ => kind.key(&n.to_string()).unwrap(),
        };
        (
            0..4usize,
            0..5usize,
            1u64..,
            1u64..,
            any::<[bool; 2]>(),
            any::<u32>(),
        )
            .prop_filter_map(
                "a place the listing can have",
                move |(kind, listing, item, last, has, wait)| {
                    let kind = Kind::ALL[kind];
                    let token = Token {
                        kind,
                        listing: Listing::ALL[listing],
                        item: has[0].then(|| key(kind, item)),
                        last: has[1].then(|| UserId::new(last).unwrap()),
                        wait: if listing == 0 { 0 } else { wait },
                    };
                    token.sound().then_some(token)
                },
            )
    }

    proptest! {
        #[test]
        fn a_token_survives_the_trip(token in tokens()) {
            let text = token.to_string();
            prop_assert_eq!(Token::parse(&text, token.kind, token.listing).unwrap(), token.clone());
            prop_assert_ne!(token.again().to_string(), text);
        }

        #[test]
        fn a_token_serves_its_own_listing_only(token in tokens(), kind in 0..4usize, listing in 0..5usize) {
            let (kind, listing) = (Kind::ALL[kind], Listing::ALL[listing]);
            let fits = token.kind == kind && token.listing == listing;
            prop_assert_eq!(Token::parse(&token.to_string(), kind, listing).is_ok(), fits);
        }

        #[test]
        fn nothing_else_is_a_token(text in "[0-9a-z.:-]{1,30}") {
            if let Some(token) = Token::read(&text) {
                prop_assert_eq!(token.to_string(), text);
            }
        }
    }

    #[test]
    fn odd_tokens_are_refused() {
        for text in [
            "1",
            "2.role.r...0",
            "1.role.r..0",
            "1.role.r...00",
            "1.role.r...-1",
            "1.role.r.007..0",
            "1.role.r.1.2.0",
            "1.role.x...0",
            "1.roles.r...0",
            "1.role.g.1..0",
            "1.role.p...0",
            "1.user.g...0",
            "1.role.r...0.",
            " ",
            "1.role.r...99999999999",
            "1.license.r.Risk..0",
        ] {
            assert!(Token::read(text).is_none(), "{text}");
        }
        assert!(Token::read("1.role.g.1.2.0").is_some());
    }

    #[test]
    fn a_page_is_bounded_by_rows_and_bytes() {
        let rows = |bytes: usize| (0..10).map(move |n| (n, "x".repeat(bytes)));
        let budget = |rows| Budget { rows, bytes: 1000 };
        let page = fill(rows(1), budget(4));
        assert_eq!((page.rows.len(), page.more_after), (4, Some(3)));
        let page = fill(rows(1), budget(10));
        assert_eq!((page.rows.len(), page.more_after), (10, None), "nothing follows");
        let page = fill(rows(300), budget(10));
        assert_eq!((page.rows.len(), page.more_after), (3, Some(2)));
        let page = fill(rows(5000), budget(10));
        assert_eq!(
            (page.rows.len(), page.more_after),
            (1, Some(0)),
            "one row always fits"
        );
    }

    #[test]
    fn page_sizes_follow_the_protocol() {
        assert_eq!(Budget::of(250).unwrap().rows, 250);
        assert!(Budget::of(251).is_err());
        assert!(Budget::of(0).unwrap().rows > 250);
    }
}
