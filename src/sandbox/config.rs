//! What a sandbox is started with: size, credentials, pace, and how it reads the unclear parts of the Coupa documents.
//!
//! Invariant: the client secret never shows in `Debug`.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use super::seed::mix;

/// Rows Coupa returns per call at most.
pub const PAGE_CAP: usize = 50;

/// Scopes the sandbox's OAuth client holds unless told otherwise.
pub const DEFAULT_SCOPES: [&str; 6] = [
    "core.user.read",
    "core.user.write",
    "core.user_group.read",
    "core.user_group.write",
    "core.common.read",
    "core.accounting.read",
];

/// Everything a sandbox tenant is started with.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Number of users, the Coupa support account among them (at least 1).
    pub users: usize,
    /// Number of user groups, projects among them.
    pub groups: usize,
    /// Number of roles.
    pub roles: usize,
    /// Seed of all data, credentials and fault dice: equal seeds make equal tenants.
    pub seed: u64,
    /// Added to every API answer, in milliseconds.
    pub latency_ms: u64,
    /// API requests per second before 429; `None` means no limit.
    pub rate: Option<f64>,
    /// Requests that may come at once before `rate` counts (Coupa documents a queue of 20).
    pub burst: u32,
    /// Life of a token in seconds (Coupa: 86399).
    pub token_lifetime_secs: u64,
    /// For how long after its minting a token is not known yet and answers 401, in milliseconds.
    pub propagation_ms: u64,
    /// OAuth client id; derived from the seed when `None`.
    pub client_id: Option<String>,
    /// OAuth client secret; derived from the seed when `None`.
    pub client_secret: Option<SecretString>,
    /// Scopes the OAuth client holds.
    pub scopes: Vec<String>,
    /// Rows per REST call at most.
    pub page_cap: usize,
    /// How the unclear parts of the documents are read.
    pub readings: Readings,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            users: 500,
            groups: 40,
            roles: 25,
            seed: 1,
            latency_ms: 0,
            rate: None,
            burst: 20,
            token_lifetime_secs: 86_399,
            propagation_ms: 0,
            client_id: None,
            client_secret: None,
            scopes: DEFAULT_SCOPES.map(str::to_owned).to_vec(),
            page_cap: PAGE_CAP,
            readings: Readings::default(),
            faults: Faults::default(),
        }
    }
}

impl SandboxConfig {
    /// The client id in force: the given one, or 32 hex digits from the seed.
    pub(super) fn resolved_client_id(&self) -> String {
        self.client_id.clone().unwrap_or_else(|| hex(self.seed, 101, 2))
    }

    /// The client secret in force: the given one, or 64 hex digits from the seed.
    pub(super) fn resolved_client_secret(&self) -> SecretString {
        self.client_secret
            .clone()
            .unwrap_or_else(|| hex(self.seed, 102, 4).into())
    }
}

fn hex(seed: u64, stream: u64, words: u64) -> String {
    (0..words).fold(String::new(), |text, word| {
        text + &format!("{:016x}", mix(seed, stream, word))
    })
}

/// Certificate and key of an HTTPS sandbox, both PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key of the leaf.
    pub key: PathBuf,
}

/// One value for each of the two ways to read a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerSurface<T: Default> {
    /// For `/api/...`.
    pub rest: T,
    /// For `/api/graphql`.
    pub graphql: T,
}

impl<T: Default + Clone> PerSurface<T> {
    /// The same value for both.
    pub fn both(value: T) -> Self {
        Self {
            rest: value.clone(),
            graphql: value,
        }
    }
}

/// The two ways to read a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    Rest,
    Graphql,
}

impl<T: Default> PerSurface<T> {
    pub(super) fn on(&self, surface: Surface) -> &T {
        match surface {
            Surface::Rest => &self.rest,
            Surface::Graphql => &self.graphql,
        }
    }
}

/// Whether a documented or plausible parameter has an effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heed {
    /// It works.
    #[default]
    Honoured,
    /// It is accepted and changes nothing.
    Ignored,
}

/// What becomes of `order_by` and `dir`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ordering {
    /// They work; without them rows ascend by id.
    #[default]
    Honoured,
    /// They change nothing: rows ascend by id.
    Ignored,
    /// Each page holds the right rows, but shuffled (the same way each time).
    ShuffledPage,
    /// The whole listing has another, stable order.
    Scattered,
}

/// How an empty nested list is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyList {
    /// `[]`
    #[default]
    Brackets,
    /// `null`
    Null,
    /// The key is missing (on GraphQL, which always answers an asked field, `null`).
    Omitted,
}

/// What stands where a page of rows is expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopLevel {
    /// Always a list.
    #[default]
    List,
    /// `null` in place of an empty page.
    NullWhenEmpty,
    /// Always `null`.
    Null,
}

/// How ids are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdForm {
    /// `7`
    #[default]
    Number,
    /// `"7"`
    Text,
}

/// How the JSON keys are spelled whose spelling differs between Coupa's pages (`treasury-user` and three more).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// `treasury-user`
    #[default]
    Dashed,
    /// `treasury_user`
    Underscored,
}

/// Whether a part of an answer is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Not there.
    #[default]
    Absent,
    /// There.
    Present,
}

/// The `Retry-After` header of a 429.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// No header.
    #[default]
    Absent,
    /// Whole seconds.
    Seconds,
    /// An HTTP date.
    HttpDate,
}

/// The body of a 401.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorBody {
    /// No body.
    #[default]
    Empty,
    /// `{"error": ...}`
    Json,
}

/// Whether a REST collection can be read at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestAccess {
    /// It can.
    #[default]
    Allowed,
    /// 404: this release has no such path.
    NotFound,
    /// 403, whatever the scopes.
    Forbidden,
}

/// Whether GraphQL can be used at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphqlAccess {
    /// It can.
    #[default]
    Available,
    /// 404: not switched on in this tenant.
    NotFound,
    /// 403, whatever the scopes.
    Forbidden,
    /// 200 with `errors` to everything.
    Errors,
}

/// Whether `__type` and `__schema` answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Introspection {
    /// They do.
    #[default]
    Available,
    /// They give an error.
    Refused,
}

/// How the sandbox reads the parts of the Coupa documents that are unclear. The default is the most plausible reading.
/// As JSON: kebab-case names, anything left out has its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Readings {
    /// `id[lt]` and `id[lt_or_eq]`.
    pub upper_bound: PerSurface<Heed>,
    /// `order_by` and `dir`.
    pub order: PerSurface<Ordering>,
    /// `limit` inside a GraphQL `query` argument.
    pub graphql_limit: Heed,
    /// `offset` inside a GraphQL `query` argument.
    pub graphql_offset: Heed,
    /// Rows per GraphQL list when no `limit` applies, and the most a `limit` gets.
    pub graphql_page: usize,
    /// Empty nested lists.
    pub empty_list: PerSurface<EmptyList>,
    /// Elements (dashed REST names: licenses, class flags, anything) a surface does not show.
    pub hidden: PerSurface<Vec<String>>,
    /// In list calls, nested lists are cut to this many entries.
    pub nested_cut: PerSurface<Option<usize>>,
    /// The same for single-object calls.
    pub nested_cut_single: PerSurface<Option<usize>>,
    /// Introspection.
    pub introspection: Introspection,
    /// GraphQL as a whole.
    pub graphql: GraphqlAccess,
    /// `/api/users`.
    pub rest_users: RestAccess,
    /// `/api/user_groups`.
    pub rest_groups: RestAccess,
    /// `/api/user_group_memberships`.
    pub rest_memberships: RestAccess,
    /// `/api/roles`.
    pub rest_roles: RestAccess,
    /// What stands in place of a page.
    pub top_level: PerSurface<TopLevel>,
    /// The form of ids.
    pub ids: PerSurface<IdForm>,
    /// REST keys of `treasury-user`, `invoicing-user`, `category-planner-user`, `category-strategy-user`.
    pub license_keys: KeyForm,
    /// The REST parameter `fields`.
    pub fields: Heed,
    /// Whether users carry their undocumented `type` element (the filter on it works in any case).
    pub user_type: PerSurface<Presence>,
    /// `Retry-After` of a 429.
    pub retry_after: RetryAfter,
    /// Body of a 401.
    pub unauthorized_body: ErrorBody,
    /// Whether a page that is not the first starts with the last row of the page before it.
    pub repeated_row: PerSurface<bool>,
}

impl Default for Readings {
    fn default() -> Self {
        Self {
            upper_bound: PerSurface::default(),
            order: PerSurface::default(),
            graphql_limit: Heed::default(),
            graphql_offset: Heed::default(),
            graphql_page: PAGE_CAP,
            empty_list: PerSurface::default(),
            hidden: PerSurface::default(),
            nested_cut: PerSurface::default(),
            nested_cut_single: PerSurface::default(),
            introspection: Introspection::default(),
            graphql: GraphqlAccess::default(),
            rest_users: RestAccess::default(),
            rest_groups: RestAccess::default(),
            rest_memberships: RestAccess::default(),
            rest_roles: RestAccess::default(),
            top_level: PerSurface::default(),
            ids: PerSurface::default(),
            license_keys: KeyForm::default(),
            fields: Heed::default(),
            user_type: PerSurface::default(),
            retry_after: RetryAfter::default(),
            unauthorized_body: ErrorBody::default(),
            repeated_row: PerSurface::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug() {
        let config = SandboxConfig {
            client_secret: Some("sentinel-4711".into()),
            ..SandboxConfig::default()
        };
        assert!(!format!("{config:?}").contains("sentinel-4711"));
        assert_eq!(config.resolved_client_secret().expose_secret(), "sentinel-4711");
    }

    #[test]
    fn credentials_follow_the_seed() {
        let one = SandboxConfig::default();
        let two = SandboxConfig {
            seed: 2,
            ..SandboxConfig::default()
        };
        assert_eq!(
            one.resolved_client_id(),
            SandboxConfig::default().resolved_client_id()
        );
        assert_ne!(one.resolved_client_id(), two.resolved_client_id());
        assert_eq!(one.resolved_client_secret().expose_secret().len(), 64);
    }

    #[test]
    fn readings_are_named_in_kebab_case_and_default_where_silent() {
        let readings: Readings = serde_json::from_str(
            r#"{"empty-list":{"graphql":"null"},"order":{"rest":"scattered"},"nested-cut":{"graphql":5}}"#,
        )
        .unwrap();
        assert_eq!(
            readings.empty_list,
            PerSurface {
                rest: EmptyList::Brackets,
                graphql: EmptyList::Null
            }
        );
        assert_eq!(readings.order.rest, Ordering::Scattered);
        assert_eq!(readings.nested_cut.graphql, Some(5));
        assert_eq!(readings.graphql_page, 50);
        assert!(
            serde_json::from_str::<Readings>(r#"{"upper_bound":{}}"#).is_err(),
            "unknown names are refused"
        );
    }
}
