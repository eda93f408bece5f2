//! What was asked of the sandbox, counted by kind.

use serde::{Deserialize, Serialize};

/// The kinds of request that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// `/oauth2/token`
    Token,
    /// `/api/users...`
    RestUsers,
    /// `/api/user_groups...`
    RestGroups,
    /// `/api/roles...`
    RestRoles,
    /// `/api/user_group_memberships...`
    RestMemberships,
    /// GraphQL whose first root field is `users` or `user`.
    GraphqlUsers,
    /// GraphQL whose first root field is `userGroups` or `userGroup`.
    GraphqlGroups,
    /// GraphQL whose first root field is `roles` or `role`.
    GraphqlRoles,
    /// GraphQL whose first root field is `__type` or `__schema`.
    GraphqlIntrospection,
    /// `/QuickIntegration/...`, which is Risk Assess and not Coupa.
    QuickIntegration,
    /// Anything else.
    Other,
}

impl RequestKind {
    /// Whether it goes to Coupa's API, so that Coupa's pace concerns it.
    pub(super) fn is_coupa_api(self) -> bool {
        !matches!(self, Self::Token | Self::QuickIntegration)
    }
}

/// Requests so far. Every request counts under its kind, also one that was rejected or hit by a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stats {
    /// Token requests.
    pub token: u64,
    /// REST users, lists and single ones.
    pub rest_users: u64,
    /// REST groups.
    pub rest_groups: u64,
    /// REST roles.
    pub rest_roles: u64,
    /// REST memberships.
    pub rest_memberships: u64,
    /// GraphQL users.
    pub graphql_users: u64,
    /// GraphQL groups.
    pub graphql_groups: u64,
    /// GraphQL roles.
    pub graphql_roles: u64,
    /// GraphQL introspection.
    pub graphql_introspection: u64,
    /// Imports into Risk Assess.
    pub quick_integration: u64,
    /// Any other path or document.
    pub other: u64,
    /// All of the above but token requests and imports.
    pub api_total: u64,
    /// Of these, refused with 429 by the rate limit (not by a fault).
    pub rejected: u64,
    /// Hit by a fault.
    pub faults: u64,
    /// Most API requests under way at the same moment.
    pub peak_in_flight: u64,
}

impl Stats {
    /// Counts one request.
    pub(super) fn count(&mut self, kind: RequestKind) {
        let counter = match kind {
            RequestKind::Token => &mut self.token,
            RequestKind::RestUsers => &mut self.rest_users,
            RequestKind::RestGroups => &mut self.rest_groups,
            RequestKind::RestRoles => &mut self.rest_roles,
            RequestKind::RestMemberships => &mut self.rest_memberships,
            RequestKind::GraphqlUsers => &mut self.graphql_users,
            RequestKind::GraphqlGroups => &mut self.graphql_groups,
            RequestKind::GraphqlRoles => &mut self.graphql_roles,
            RequestKind::GraphqlIntrospection => &mut self.graphql_introspection,
            RequestKind::QuickIntegration => &mut self.quick_integration,
            RequestKind::Other => &mut self.other,
        };
        *counter += 1;
        self.api_total += u64::from(kind.is_coupa_api());
    }
}
