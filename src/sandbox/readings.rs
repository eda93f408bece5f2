//! How the sandbox reads the unclear parts of the Coupa documents: every doubt is a switch.
//!
//! Invariant: the default of each is the most plausible reading, so a sandbox left alone is Coupa as we believe it to be.

use serde::{Deserialize, Serialize};

use super::config::PAGE_CAP;
use super::risk_assess;

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

/// How the country of an address is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountryForm {
    /// `{"code": "US", "name": "United States"}`
    #[default]
    Object,
    /// `"US"`
    Code,
    /// `"United States"`
    Name,
}

/// What becomes of license flags in a POST of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewcomerLicenses {
    /// They are set.
    #[default]
    Given,
    /// They are passed over in silence.
    Ignored,
    /// 400.
    Rejected,
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

/// What a PUT of a list does with what was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListWrite {
    /// The items are added to it.
    #[default]
    Add,
    /// They take its place.
    Replace,
}

/// One value for each list of a user that can be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PerList<T: Default> {
    /// For `roles`.
    pub roles: T,
    /// For `user-groups`.
    pub user_groups: T,
}

/// What a PUT of no list, or of an empty one, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clear {
    /// The list is empty afterwards.
    Clears,
    /// Nothing changes, and nothing is said.
    Ignored,
    /// 400.
    Rejected,
}

/// What a user has whose roles were cleared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClearedRoles {
    /// No role.
    #[default]
    None,
    /// The role `User`, as one vendor's provisioner tells it.
    UserRole,
}

/// `DELETE /api/user_group_memberships/{id}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MembershipDelete {
    /// It removes the user from the group.
    #[default]
    Works,
    /// 404, whatever the id.
    Absent,
    /// 405.
    MethodNotAllowed,
    /// 200, and nothing changes.
    Ignored,
}

/// `POST /api/user_group_memberships`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MembershipCreate {
    /// It puts the user into the group.
    #[default]
    Works,
    /// 404.
    Absent,
}

/// What the answer to a write holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteReply {
    /// The object, whole or as `fields` says.
    #[default]
    Whole,
    /// The same without its nested lists.
    WithoutLists,
    /// The id.
    IdsOnly,
    /// Nothing.
    EmptyBody,
}

/// When reads show what was written. Both waits must be over; until then reads show the state before. Later writes work on, and
/// answers to writes show, the true state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Visibility {
    /// Milliseconds since the write.
    pub delay_ms: u64,
    /// So many reads that concern the user still show the old state.
    pub delay_reads: u64,
}

/// Which spelling of the four licenses with two ([`KeyForm`]) counts in a write; the other is passed over in silence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyIn {
    /// Either.
    #[default]
    Both,
    /// `treasury-user`
    Dashed,
    /// `treasury_user`
    Underscored,
}

/// Whether a change moves the user's `updated-at`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touch {
    /// It does.
    #[default]
    Moves,
    /// It does not.
    Stays,
}

/// Which changes of lists move `updated-at`; a change of an element of the user itself always does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct UpdatedAt {
    /// A list in a PUT of the user, or an edit by someone else.
    pub list: Touch,
    /// POST and DELETE of memberships.
    pub membership: Touch,
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
    /// `GET /api/users/me`: when present, the tenant's first API user.
    pub users_me: Presence,
    /// A list in a PUT of a user.
    pub list_write: PerList<ListWrite>,
    /// `null` in place of a list, in a PUT.
    pub clear_null: Clear,
    /// `[]` as a list, in a PUT.
    pub clear_brackets: Clear,
    /// What is left when roles are cleared.
    pub cleared_roles: ClearedRoles,
    /// Removal of memberships.
    pub membership_delete: MembershipDelete,
    /// Creation of memberships.
    pub membership_create: MembershipCreate,
    /// Answers to writes.
    pub write_reply: WriteReply,
    /// When reads show writes.
    pub visibility: Visibility,
    /// Licenses (dashed REST names) that accept `false` and stay.
    pub sticky_off: Vec<String>,
    /// Licenses that accept both and stay as they are.
    pub sticky_always: Vec<String>,
    /// Keys of the licenses with two spellings, in a write.
    pub key_in: KeyIn,
    /// `active` in a write.
    pub active_write: Heed,
    /// What moves `updated-at`.
    pub updated_at: UpdatedAt,
    /// A custom field without which no user can be created.
    pub required_custom_field: Option<String>,
    /// The country of an address.
    pub country: PerSurface<CountryForm>,
    /// Elements (dashed REST names) on which conditions are passed over in silence.
    pub ignored_filters: PerSurface<Vec<String>>,
    /// Elements on which conditions are refused.
    pub refused_filters: PerSurface<Vec<String>>,
    /// License flags in a POST of a user.
    pub newcomer_licenses: NewcomerLicenses,
    /// The Risk Assess tenant beside it.
    pub risk_assess: risk_assess::Readings,
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
            users_me: Presence::default(),
            list_write: PerList::default(),
            // Seen to work by the only public client that clears.
            clear_null: Clear::Clears,
            // Nobody has seen this one work.
            clear_brackets: Clear::Ignored,
            cleared_roles: ClearedRoles::default(),
            membership_delete: MembershipDelete::default(),
            membership_create: MembershipCreate::default(),
            write_reply: WriteReply::default(),
            visibility: Visibility::default(),
            sticky_off: Vec::new(),
            sticky_always: Vec::new(),
            key_in: KeyIn::default(),
            active_write: Heed::default(),
            updated_at: UpdatedAt::default(),
            required_custom_field: None,
            country: PerSurface::default(),
            ignored_filters: PerSurface::default(),
            refused_filters: PerSurface::default(),
            newcomer_licenses: NewcomerLicenses::default(),
            risk_assess: risk_assess::Readings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

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

    #[test]
    fn readings_of_writes_are_named_too() {
        let readings: Readings = serde_json::from_str(
            r#"{"list-write":{"user-groups":"replace"},"clear-null":"rejected","cleared-roles":"user-role",
                "membership-delete":"method-not-allowed","membership-create":"absent","write-reply":"ids-only",
                "visibility":{"delay-reads":3},"sticky-off":["quality-user"],"key-in":"underscored",
                "active-write":"ignored","updated-at":{"membership":"stays"},"users-me":"present",
                "required-custom-field":"badge-colour"}"#,
        )
        .unwrap();
        let lists = PerList {
            roles: ListWrite::Add,
            user_groups: ListWrite::Replace,
        };
        assert_eq!(readings.list_write, lists);
        assert_eq!(
            (readings.clear_null, readings.clear_brackets),
            (Clear::Rejected, Clear::Ignored)
        );
        assert_eq!(
            (readings.visibility.delay_ms, readings.visibility.delay_reads),
            (0, 3)
        );
        assert_eq!(readings.updated_at.list, Touch::Moves);
        let again = serde_json::to_value(&readings).unwrap();
        assert_eq!(serde_json::from_value::<Readings>(again).unwrap(), readings);
    }
}
