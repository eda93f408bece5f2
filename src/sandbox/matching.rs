//! Which requests a fault, an edit or a pause concerns.
//!
//! Invariant: a request is classed once, from its method, path and body, before anybody acts on it.

use std::collections::HashMap;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::same_name;
use super::stats::RequestKind;
use super::tenant::LICENSES;

/// What a request wants to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteClass {
    /// A PUT of a user with roles or groups in it, none of them cleared.
    SetList,
    /// A PUT of a user with `null` or nothing for roles or groups.
    Clear,
    /// A PUT of a user with a license and no list.
    License,
    /// A new user.
    Create,
    /// A new membership, or the end of one.
    Membership,
    /// Anything else that is not a read.
    Other,
}

/// Chosen requests: those that fit everything named here, from the `nth` of them on, `times` in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Matching {
    /// Only requests of this kind.
    pub kind: Option<RequestKind>,
    /// Only requests with this method, such as `PUT`.
    pub method: Option<String>,
    /// Only requests whose path begins like this.
    pub path_prefix: Option<String>,
    /// Only writes of this class.
    pub write: Option<WriteClass>,
    /// The first request meant among those that fit, counted from 1 since this was set.
    pub nth: u64,
    /// How many in a row are meant.
    pub times: u64,
}

impl Default for Matching {
    /// The next request, whatever it is.
    fn default() -> Self {
        Self {
            kind: None,
            method: None,
            path_prefix: None,
            write: None,
            nth: 1,
            times: 1,
        }
    }
}

/// Before or after a request takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Right before.
    #[default]
    Before,
    /// Right after, before the answer leaves.
    After,
}

/// A request as far as matching looks at it.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    pub(super) kind: RequestKind,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) write: Option<WriteClass>,
}

impl Matching {
    fn fits(&self, marks: &Marks) -> bool {
        let is = |wanted: &String| wanted.eq_ignore_ascii_case(marks.method.as_str());
        let begins = |prefix: &String| marks.path.starts_with(prefix.as_str());
        self.kind.is_none_or(|wanted| wanted == marks.kind)
            && self.method.as_ref().is_none_or(is)
            && self.path_prefix.as_ref().is_none_or(begins)
            && (self.write.is_none() || self.write == marks.write)
    }
}

/// How many requests fitted each of several matchings so far.
#[derive(Debug, Default)]
pub(super) struct Tally(HashMap<usize, u64>);

impl Tally {
    /// Counts the request for the matching of this number and says whether it is one of those meant.
    pub(super) fn is_meant(&mut self, number: usize, matching: &Matching, marks: &Marks) -> bool {
        if !matching.fits(marks) {
            return false;
        }
        let seen = self.0.entry(number).or_default();
        *seen += 1;
        (matching.nth..matching.nth.saturating_add(matching.times)).contains(seen)
    }
}

/// The class of a write; `None` for reads and tokens.
pub(super) fn write_class(
    method: &Method,
    kind: RequestKind,
    path: &str,
    body: Option<&Value>,
) -> Option<WriteClass> {
    let is_read = *method == Method::GET || *method == Method::HEAD;
    if is_read || kind == RequestKind::Token || path.trim_end_matches('/') == "/api/graphql" {
        return None;
    }
    Some(match (kind, method) {
        (RequestKind::RestMemberships, _) => WriteClass::Membership,
        (RequestKind::RestUsers, &Method::POST) => WriteClass::Create,
        (RequestKind::RestUsers, &Method::PUT | &Method::PATCH) => body.map_or(WriteClass::Other, user_write),
        _ => WriteClass::Other,
    })
}

fn user_write(body: &Value) -> WriteClass {
    let elements = || body.as_object().into_iter().flatten();
    let is_list = |key: &str| same_name(key, "roles") || same_name(key, "user-groups");
    let mut lists = elements().filter(|(key, _)| is_list(key)).peekable();
    if lists.peek().is_some() {
        return if lists.any(|(_, value)| value.is_null() || value.as_array().is_some_and(Vec::is_empty)) {
            WriteClass::Clear
        } else {
            WriteClass::SetList
        };
    }
    let is_license = |key: &str| LICENSES.iter().any(|license| same_name(license.name, key));
    if elements().any(|(key, _)| is_license(key)) {
        WriteClass::License
    } else {
        WriteClass::Other
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    fn put(body: &Value) -> Option<WriteClass> {
        write_class(&Method::PUT, RequestKind::RestUsers, "/api/users/5", Some(body))
    }

    #[test]
    fn writes_have_classes() {
        assert_eq!(put(&json!({"roles": [{"id": 1}]})), Some(WriteClass::SetList));
        assert_eq!(put(&json!({"user_groups": []})), Some(WriteClass::Clear));
        assert_eq!(
            put(&json!({"roles": [{"id": 1}], "user-groups": null})),
            Some(WriteClass::Clear)
        );
        assert_eq!(put(&json!({"treasury_user": true})), Some(WriteClass::License));
        assert_eq!(put(&json!({"active": false})), Some(WriteClass::Other));
        let class = |method: Method, kind, path| write_class(&method, kind, path, None);
        let users = RequestKind::RestUsers;
        assert_eq!(class(Method::POST, users, "/api/users"), Some(WriteClass::Create));
        assert_eq!(class(Method::GET, users, "/api/users"), None);
        let memberships = RequestKind::RestMemberships;
        let path = "/api/user_group_memberships/4";
        assert_eq!(
            class(Method::DELETE, memberships, path),
            Some(WriteClass::Membership)
        );
        assert_eq!(
            class(Method::POST, RequestKind::GraphqlUsers, "/api/graphql"),
            None
        );
        assert_eq!(class(Method::POST, RequestKind::Token, "/oauth2/token"), None);
    }

    #[test]
    fn the_nth_that_fits_is_meant() {
        let matching: Matching =
            serde_json::from_str(r#"{"method":"put","write":"clear","nth":2,"times":2}"#).unwrap();
        let marks = |write| Marks {
            kind: RequestKind::RestUsers,
            method: Method::PUT,
            path: "/api/users/5".into(),
            write,
        };
        let mut tally = Tally::default();
        let clear = Some(WriteClass::Clear);
        let met: Vec<bool> = [clear, None, clear, Some(WriteClass::License), clear, clear]
            .into_iter()
            .map(|write| tally.is_meant(0, &matching, &marks(write)))
            .collect();
        assert_eq!(met, [false, false, true, false, true, false]);
    }
}
