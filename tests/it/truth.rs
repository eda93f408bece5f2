//! The file of a sync equals the sandbox's own truth: under every switchable reading of Coupa's documents, and under faults.

use std::path::Path;
use std::sync::Arc;

use baton_coupa::connector::ConnectorConfig;
use baton_coupa::model::fault::Fault;
use baton_coupa::sandbox::{
    EmptyList, ErrorBody, Faults, GraphqlAccess, Heed, IdForm, Introspection, KeyForm, Ordering, PerSurface,
    Presence, Readings, RestAccess, RetryAfter, Running, SandboxConfig, TopLevel,
};

use crate::support::reader::C1z;
use crate::support::tenant::{self, Remembered};
use crate::support::truth::{DEFAULT_CLASSES, assert_equal};
use crate::support::{reader, tenant::client};
use crate::targeted;

/// Enough users for several pages and ranges, enough groups for a membership list as long as a page.
fn config() -> SandboxConfig {
    SandboxConfig {
        users: 700,
        groups: 90,
        roles: 30,
        ..SandboxConfig::default()
    }
}

async fn synced(sandbox: &Running, file: &Path) -> Result<(), Fault> {
    let connector = tenant::connector(
        client(sandbox),
        Arc::new(Remembered::default()),
        ConnectorConfig::default(),
    );
    tenant::sync(connector, file).await.map(drop)
}

async fn compare(sandbox: &Running) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sync.c1z");
    synced(sandbox, &file)
        .await
        .unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_equal(&reader::read(&file), &sandbox.truth(), &DEFAULT_CLASSES);
}

/// A full sync, and a targeted one beside it that shows the same of its targets.
async fn holds_under(readings: Readings) {
    let sandbox = tenant::start(SandboxConfig { readings, ..config() }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sync.c1z");
    synced(&sandbox, &file)
        .await
        .unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_equal(&reader::read(&file), &sandbox.truth(), &DEFAULT_CLASSES);
    let full = C1z::open(&file).rows();
    let targets = targeted::telling(&sandbox.truth());
    targeted::compare(&sandbox, &file, &targets, &full).await;
}

fn rest<T: Default + Clone>(value: T) -> PerSurface<T> {
    PerSurface {
        rest: value,
        ..PerSurface::default()
    }
}

fn graphql<T: Default + Clone>(value: T) -> PerSurface<T> {
    PerSurface {
        graphql: value,
        ..PerSurface::default()
    }
}

/// One test per reading, so that a failure names it.
macro_rules! readings {
    ($($name:ident: { $($field:ident: $value:expr),* $(,)? }),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                holds_under(Readings { $($field: $value,)* ..Readings::default() }).await;
            }
        )*
    };
}

readings! {
    as_documented: {},
    upper_bound_ignored: { upper_bound: PerSurface::both(Heed::Ignored) },
    upper_bound_ignored_on_rest: { upper_bound: rest(Heed::Ignored) },
    upper_bound_ignored_on_graphql: { upper_bound: graphql(Heed::Ignored) },
    order_ignored_on_rest: { order: rest(Ordering::Ignored) },
    order_ignored_on_graphql: { order: graphql(Ordering::Ignored) },
    order_ignored_on_both: { order: PerSurface::both(Ordering::Ignored) },
    order_shuffled_within_pages_on_rest: { order: rest(Ordering::ShuffledPage) },
    order_shuffled_within_pages_on_graphql: { order: graphql(Ordering::ShuffledPage) },
    order_shuffled_within_pages_on_both: { order: PerSurface::both(Ordering::ShuffledPage) },
    order_scattered_on_rest: { order: rest(Ordering::Scattered) },
    order_scattered_on_graphql: { order: graphql(Ordering::Scattered) },
    order_scattered_on_both: { order: PerSurface::both(Ordering::Scattered) },
    order_scattered_and_bounds_ignored: {
        order: PerSurface::both(Ordering::Scattered), upper_bound: PerSurface::both(Heed::Ignored) },
    only_rest_and_scattered: { order: rest(Ordering::Scattered), graphql: GraphqlAccess::NotFound },
    graphql_pages_of_25: { graphql_page: 25 },
    only_graphql_with_pages_of_25: { graphql_page: 25, rest_users: RestAccess::NotFound },
    only_graphql_without_limit_and_offset: {
        graphql_limit: Heed::Ignored, graphql_offset: Heed::Ignored, rest_users: RestAccess::Forbidden },
    graphql_limit_ignored: { graphql_limit: Heed::Ignored, graphql_page: 25 },
    graphql_offset_ignored: { graphql_offset: Heed::Ignored },
    null_for_an_empty_page_on_rest: { top_level: rest(TopLevel::NullWhenEmpty) },
    null_for_an_empty_page_on_graphql: { top_level: graphql(TopLevel::NullWhenEmpty) },
    null_for_every_page_on_graphql: { top_level: graphql(TopLevel::Null) },
    null_for_empty_on_rest: { empty_list: rest(EmptyList::Null) },
    null_for_empty_on_graphql: { empty_list: graphql(EmptyList::Null) },
    null_for_empty_on_both: { empty_list: PerSurface::both(EmptyList::Null) },
    null_for_empty_and_only_rest: { empty_list: rest(EmptyList::Null), graphql: GraphqlAccess::Forbidden },
    null_for_empty_and_only_graphql: { empty_list: graphql(EmptyList::Null), rest_users: RestAccess::NotFound },
    key_omitted_for_empty_on_rest: { empty_list: rest(EmptyList::Omitted) },
    key_omitted_for_empty_on_graphql: { empty_list: graphql(EmptyList::Omitted) },
    key_omitted_for_empty_on_both: { empty_list: PerSurface::both(EmptyList::Omitted) },
    a_flag_missing_on_rest: { hidden: rest(vec!["risk-assess-user".to_owned()]) },
    a_flag_missing_on_graphql: { hidden: graphql(vec!["risk-assess-user".to_owned(), "ccw-user".to_owned()]) },
    different_flags_missing_on_each: { hidden: PerSurface {
        rest: vec!["risk-assess-user".to_owned()], graphql: vec!["sourcing-user".to_owned()] } },
    class_marks_missing_on_rest: { hidden: rest(
        ["api-user", "supplier-user", "supplier-id", "support-user", "msp-user"].map(str::to_owned).to_vec()) },
    class_marks_missing_on_graphql: { hidden: graphql(
        ["api-user", "supplier-user", "supplier-id", "support-user", "msp-user"].map(str::to_owned).to_vec()) },
    nested_lists_cut_on_rest: { nested_cut: rest(Some(5)) },
    nested_lists_cut_on_graphql: { nested_cut: graphql(Some(5)) },
    nested_lists_cut_on_both: { nested_cut: PerSurface::both(Some(5)) },
    nested_lists_cut_and_only_rest: { nested_cut: rest(Some(10)), graphql: GraphqlAccess::NotFound },
    nested_lists_cut_for_one_user: { nested_cut_single: PerSurface::both(Some(5)) },
    nested_lists_cut_on_rest_for_one_user_too: { nested_cut: rest(Some(5)), nested_cut_single: rest(Some(5)) },
    nested_lists_cut_on_graphql_for_one_user_too: {
        nested_cut: graphql(Some(5)), nested_cut_single: graphql(Some(5)) },
    nested_lists_cut_at_a_page: { nested_cut: PerSurface::both(Some(50)) },
    no_introspection: { introspection: Introspection::Refused },
    no_introspection_and_a_flag_missing_on_rest: {
        introspection: Introspection::Refused, hidden: rest(vec!["risk-assess-user".to_owned()]) },
    no_graphql: { graphql: GraphqlAccess::NotFound },
    graphql_forbidden: { graphql: GraphqlAccess::Forbidden },
    graphql_answers_errors: { graphql: GraphqlAccess::Errors },
    no_rest_users: { rest_users: RestAccess::NotFound },
    no_rest_groups: { rest_groups: RestAccess::NotFound },
    no_rest_roles: { rest_roles: RestAccess::NotFound },
    rest_roles_forbidden: { rest_roles: RestAccess::Forbidden },
    no_rest_memberships: { rest_memberships: RestAccess::NotFound },
    ids_as_text_on_rest: { ids: rest(IdForm::Text) },
    ids_as_text_on_graphql: { ids: graphql(IdForm::Text) },
    ids_as_text: { ids: PerSurface::both(IdForm::Text) },
    underscored_license_keys: { license_keys: KeyForm::Underscored },
    fields_ignored: { fields: Heed::Ignored },
    users_have_a_type: { user_type: PerSurface::both(Presence::Present) },
    bodies_of_401: { unauthorized_body: ErrorBody::Json },
    rows_repeated_across_pages_on_rest: { repeated_row: rest(true) },
    rows_repeated_across_pages_on_graphql: { repeated_row: graphql(true) },
    rows_repeated_across_pages: { repeated_row: PerSurface::both(true) },
}

/// The one pair of readings under which nobody could read everything: no order, and nothing else to page by.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_cannot_be_read_whole_is_refused() {
    let readings = Readings {
        order: graphql(Ordering::Scattered),
        graphql_offset: Heed::Ignored,
        rest_users: RestAccess::NotFound,
        ..Readings::default()
    };
    let sandbox = tenant::start(SandboxConfig { readings, ..config() }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sync.c1z");
    let fault = synced(&sandbox, &file).await.unwrap_err();
    assert!(fault.message().contains("no list can be complete"), "{fault}");
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_seeds_other_tenants() {
    for seed in 2..6 {
        let sandbox = tenant::start(SandboxConfig {
            seed,
            users: 230,
            ..config()
        })
        .await;
        compare(&sandbox).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_all() {
    for users in [1, 2, 50, 51] {
        let sandbox = tenant::start(SandboxConfig {
            users,
            groups: 0,
            roles: 1,
            ..config()
        })
        .await;
        compare(&sandbox).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn short_tokens_resets_errors_and_a_rate_limit() {
    let faults = Faults {
        server_error: 0.01,
        reset: 0.01,
        ..Faults::default()
    };
    let sandbox = tenant::start(SandboxConfig {
        users: 2_000,
        token_lifetime_secs: 2,
        rate: Some(25.0),
        faults,
        ..config()
    })
    .await;
    compare(&sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_fault_at_once() {
    let faults = Faults {
        server_error: 0.03,
        reset: 0.02,
        reset_mid_body: 0.02,
        truncated: 0.02,
        short_body: 0.02,
        html: 0.02,
        storm: 0.01,
        storm_length: 5,
        hang: 0.005,
        ..Faults::default()
    };
    for retry_after in [RetryAfter::Absent, RetryAfter::Seconds, RetryAfter::HttpDate] {
        let readings = Readings {
            retry_after,
            ..Readings::default()
        };
        let sandbox = tenant::start(SandboxConfig {
            readings,
            faults: faults.clone(),
            ..config()
        })
        .await;
        compare(&sandbox).await;
    }
}

/// Coupa: 50 rows per call. The allowance covers token, checks, probe, and one request more than needed per range and list.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_costs_little_more_requests_than_there_are_pages() {
    for (users, groups, roles) in [(2_000_usize, 400_usize, 150_usize), (5_000, 40, 25)] {
        let sandbox = tenant::start(SandboxConfig {
            users,
            groups,
            roles,
            ..SandboxConfig::default()
        })
        .await;
        compare(&sandbox).await;
        let pages = |rows: usize| rows.div_ceil(50) as u64;
        let floor = pages(users) + pages(groups) + pages(roles);
        let stats = sandbox.stats();
        let requests = stats.api_total + stats.token;
        assert!(
            requests <= floor + floor / 50 + 32,
            "{requests} requests, the floor is {floor}"
        );
    }
}
