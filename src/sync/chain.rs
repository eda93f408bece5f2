//! Chains of pages: which tokens follow a page, and which sibling chains it starts.
//!
//! Invariant: within one listing no token is used twice, so a connector that turns in circles is found out instead of being
//! followed forever.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use prost_types::Any;

use super::page::List;
use crate::model::fault::Fault;
use crate::proto::connector::EnqueuePageTokens;
use crate::proto::{annotation, is};

/// Sibling chains that one answer may start.
const MAX_SIBLINGS: usize = 1024;
/// Longest token, in bytes.
const MAX_TOKEN: usize = 1 << 20;
/// Tokens of one answer together, in bytes.
const MAX_TOKENS_TOTAL: usize = 16 << 20;

/// A listing with the tokens used so far.
pub(super) struct Listed {
    pub(super) list: List,
    used: Mutex<HashSet<String>>,
}

/// Where a listing goes on.
pub(super) struct Chain {
    pub(super) listed: Arc<Listed>,
    pub(super) token: String,
}

impl Chain {
    /// The start of a listing.
    pub(super) fn start(list: List) -> Self {
        Self {
            listed: Arc::new(Listed {
                list,
                used: Mutex::default(),
            }),
            token: String::new(),
        }
    }

    /// The chains that go on after a page of this one.
    pub(super) fn follow(&self, next: String, siblings: Vec<String>) -> Result<Vec<Self>, Fault> {
        let mut used = self.listed.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chains = Vec::new();
        if !next.is_empty() {
            if next.len() > MAX_TOKEN {
                return Err(bad("a page token that is too long"));
            }
            if !used.insert(next.clone()) {
                return Err(bad("the same page token twice, so the listing would never end"));
            }
            chains.push(self.at(next));
        }
        for token in siblings {
            if used.insert(token.clone()) {
                chains.push(self.at(token));
            } else {
                tracing::warn!("a page token was enqueued twice; its pages are read once");
            }
        }
        Ok(chains)
    }

    fn at(&self, token: String) -> Self {
        Self {
            listed: Arc::clone(&self.listed),
            token,
        }
    }
}

/// The tokens of sibling chains in an answer whose own chain goes on at `next`.
pub(super) fn siblings(annotations: &[Any], next: &str) -> Result<Vec<String>, Fault> {
    let count = annotations
        .iter()
        .filter(|any| is::<EnqueuePageTokens>(any))
        .count();
    if count > 1 {
        return Err(bad("two lists of page tokens in one answer"));
    }
    let Some(enqueued) = annotation::<EnqueuePageTokens>(annotations) else {
        return Ok(Vec::new());
    };
    let tokens = enqueued.page_tokens;
    let mut distinct = HashSet::new();
    let total: usize = tokens.iter().map(String::len).sum();
    if tokens.len() > MAX_SIBLINGS || total > MAX_TOKENS_TOTAL {
        return Err(bad("too many page tokens in one answer"));
    }
    if tokens.iter().any(|token| {
        token.is_empty() || token.len() > MAX_TOKEN || token == next || !distinct.insert(token.as_str())
    }) {
        return Err(bad("an empty, oversized or doubled page token"));
    }
    Ok(tokens)
}

fn bad(what: &str) -> Fault {
    Fault::corrupt(format!("the connector answered {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proto::pack;

    fn enqueue(tokens: &[&str]) -> Any {
        pack(&EnqueuePageTokens {
            page_tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            ..EnqueuePageTokens::default()
        })
    }

    #[test]
    fn a_circle_is_found_out_however_long_it_is() {
        let start = Chain::start(List::ResourceTypes);
        let a = start.follow("a".into(), vec![]).unwrap().remove(0);
        let b = a.follow("b".into(), vec![]).unwrap().remove(0);
        assert!(b.follow("a".into(), vec![]).is_err());
        assert!(b.follow("b".into(), vec![]).is_err());
        assert!(b.follow(String::new(), vec![]).unwrap().is_empty());
    }

    #[test]
    fn siblings_start_once() {
        let start = Chain::start(List::ResourceTypes);
        let tokens = |chains: Vec<Chain>| -> Vec<String> { chains.into_iter().map(|c| c.token).collect() };
        assert_eq!(
            tokens(start.follow("n".into(), vec!["x".into(), "y".into()]).unwrap()),
            ["n", "x", "y"]
        );
        assert_eq!(
            tokens(start.follow(String::new(), vec!["x".into(), "z".into()]).unwrap()),
            ["z"]
        );
    }

    #[test]
    fn enqueued_tokens_keep_the_rules() {
        assert!(siblings(&[], "n").unwrap().is_empty());
        assert_eq!(siblings(&[enqueue(&["x", "y"])], "n").unwrap(), ["x", "y"]);
        let many: Vec<String> = (0..=MAX_SIBLINGS).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for broken in [
            vec![enqueue(&["x", "x"])],
            vec![enqueue(&[""])],
            vec![enqueue(&["n"])],
            vec![enqueue(&["x"]), enqueue(&["y"])],
            vec![enqueue(&many)],
        ] {
            assert!(siblings(&broken, "n").is_err());
        }
    }
}
