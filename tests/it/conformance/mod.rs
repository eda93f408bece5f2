//! Conformance with the Go SDK v0.25.0: the checks PC-9 to PC-60, each a function over a subject, each run against the real
//! server (or the program), against a small good twin, and against twins with one defect each, which exactly that check must
//! reject, and for the right reason. PC-1 to PC-8 are those of [`super::child`]; `docs/conformance.md` lists them all.

mod actions;
mod changes;
mod errors;
mod listing;
mod others;
mod printed;
mod rows;
mod service;
mod table;
mod twin;

use super::grpc::client::{Client, Trouble};
use super::grpc::host::{Real, real_server};
use super::grpc::upstream::Upstream;
use super::support::truth::Ids;
use twin::{Defect, Twin};

/// A sync id as the Go syncer makes them.
const SYNC: &str = "2wPbMEhC9cN9k9PqEV2sBUbUuu7";
/// Another one.
const NEXT_SYNC: &str = "2wPcXZ1kq0bJ3mVt8rYdN5aGhLs";

/// What a check found wrong.
#[derive(Debug)]
struct Violation(String);

impl From<Trouble> for Violation {
    fn from(trouble: Trouble) -> Self {
        Self(trouble.to_string())
    }
}

impl From<tonic::Status> for Violation {
    fn from(status: tonic::Status) -> Self {
        Trouble::Status(status).into()
    }
}

impl From<String> for Violation {
    fn from(what: String) -> Self {
        Self(what)
    }
}

type Verdict = Result<(), Violation>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

/// Of which kind the servers are that a check starts.
#[derive(Clone, Copy)]
enum Subject {
    Real,
    Twin(Option<Defect>),
}

/// A running server; another one of the same subject shares nothing with it.
enum Instance {
    Real(Box<Real>),
    Twin(Twin),
}

impl Subject {
    async fn start(self, upstream: Upstream) -> Instance {
        match self {
            Self::Real => Instance::Real(Box::new(real_server(upstream).await)),
            Self::Twin(defect) => Instance::Twin(Twin::start(defect, upstream).await),
        }
    }
}

impl Instance {
    fn client(&self) -> &Client {
        match self {
            Self::Real(real) => &real.client,
            Self::Twin(twin) => &twin.client,
        }
    }

    /// What a complete sync must hold.
    fn truth(&self) -> Ids {
        match self {
            Self::Real(real) => real.truth(),
            Self::Twin(_) => twin::truth(),
        }
    }

    /// From now on the tenant does not answer.
    fn trouble(&self) {
        self.set_trouble(true);
    }

    /// The tenant answers again.
    fn mend(&self) {
        self.set_trouble(false);
    }

    fn set_trouble(&self, troubled: bool) {
        match self {
            Self::Real(real) => real.set_trouble(troubled),
            Self::Twin(twin) => twin.set_trouble(troubled),
        }
    }

    /// One more user appears in the tenant.
    fn grow(&self) {
        match self {
            Self::Real(real) => real.grow(),
            Self::Twin(twin) => twin.grow(),
        }
    }
}

/// Runs one check against everything: the real server and the good twin pass, each broken twin fails and the finding
/// contains the given words.
async fn judge<F>(check: impl Fn(Subject) -> F, defects: &[(Defect, &str)])
where
    F: Future<Output = Verdict>,
{
    judge_twins(&check, defects).await;
    check(Subject::Real).await.expect("the real server");
}

/// The same without the real server.
async fn judge_twins<F>(check: impl Fn(Subject) -> F, defects: &[(Defect, &str)])
where
    F: Future<Output = Verdict>,
{
    assert!(
        !defects.is_empty(),
        "a check that nothing can fail proves nothing"
    );
    check(Subject::Twin(None)).await.expect("the good twin");
    for (defect, words) in defects {
        let Err(Violation(found)) = check(Subject::Twin(Some(*defect))).await else {
            panic!("{defect:?} passed");
        };
        assert!(
            found.contains(words),
            "{defect:?} was rejected for another reason: {found}"
        );
    }
}

macro_rules! conformance {
    ($($name:ident: $check:path, [$($defect:ident $words:literal),+ $(,)?];)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                judge($check, &[$((Defect::$defect, $words)),+]).await;
            }
        )+
    };
}

conformance! {
    pc_09_every_response_is_under_4_mib: service::pc_09, [
        HugePage "bytes",
    ];
    pc_10_large_and_unknown_requests_are_accepted: service::pc_10, [
        SmallRequests "4 MiB less 1 kB",
        StrictMetadata "unknown metadata",
    ];
    pc_11_the_limiter_lets_calls_pass: service::pc_11, [
        NoLimiter "Unimplemented",
        LimiterForgetsToken "request_token",
        LimiterOverLimit "status",
    ];
    pc_12_limiter_reports_always_succeed: service::pc_12, [
        ReportNeedsDescription "without description",
    ];
    pc_13_the_limiter_never_makes_the_runner_skip_a_call: service::pc_13, [
        LimiterUnspecified "skip",
        LimiterError "skip",
        LimiterSilent "skip",
    ];
    pc_14_the_version_enables_sync_ids: service::pc_14, [
        VersionEmpty "semver",
        VersionGarbage "semver",
        VersionOld "0.4.3",
    ];
    pc_15_validate_tells_a_bad_client_from_a_dead_host: errors::pc_15, [
        ValidateAlwaysOk "succeeded",
        ValidateUnknown "Unknown",
    ];
    pc_16_metadata_passes_the_platforms_rules: service::pc_16, [
        NoDisplayName "display_name",
        PlainHelpUrl "help_url",
        NoMetadata "metadata",
        LongDescription "description",
    ];
    pc_21_resource_types_are_unique_and_stable: rows::pc_21, [
        NoTypes "no resource type",
        DoubledType "twice",
        ShiftingTypes "differ",
    ];
    pc_22_core_traits_are_carried: rows::pc_22, [
        NoTrait "UserTrait",
    ];
    pc_23_resources_are_of_listed_types_and_unique: rows::pc_23, [
        UnlistedType "unlisted",
        DoubledResource "twice",
        EmptyResourceId "incomplete",
        LongResourceId "1024",
    ];
    pc_24_child_types_without_parent_are_empty: rows::pc_24, [
        ChildNeedsParent "InvalidArgument",
        ChildIgnoresParent "without a parent",
    ];
    pc_25_no_reserved_annotations: rows::pc_25, [
        CarriesBatonId "BatonID",
        CarriesReplay "SourceCacheReplay",
        CarriesETag "ETag",
        CarriesETagMatch "ETagMatch",
    ];
    pc_26_static_entitlements_answer_for_every_type: listing::pc_26, [
        NoTemplates "Unimplemented",
    ];
    pc_27_unknown_types_are_not_found: listing::pc_27, [
        UnknownTypeInResources "ListResources",
        UnknownTypeInEntitlements "ListEntitlements",
        UnknownTypeInTemplates "ListStaticEntitlements",
        UnknownTypeInGrants "ListGrants",
    ];
    pc_28_page_sizes_are_bounded: listing::pc_28, [
        ZeroMeansNothing "page_size 0",
        AnyPageSize "251",
    ];
    pc_29_chains_end: listing::pc_29, [
        TokenRepeats "equals",
        TokenHuge "1048576",
        EndlessPages "no end",
    ];
    pc_30_tokens_live_on_in_a_fresh_process: listing::pc_30, [
        LocalTokens "fresh server",
        ForgivingTokens "malformed",
        ShiftedTokens "differ",
    ];
    pc_31_ids_have_their_form_and_stay: rows::pc_31, [
        OddEntitlementId "type:resource:slug",
        OddGrantId "entitlement:type:id",
        ChangingIds "next sync",
    ];
    pc_32_grants_are_complete_and_refer_to_listed_rows: rows::pc_32, [
        GrantWithoutPrincipal "incomplete",
        GrantWithoutResource "incomplete",
        GrantToStranger "unlisted principal",
        GrantOfUnlisted "unlisted entitlement",
    ];
    pc_33_expandable_grants_belong_to_their_principal: rows::pc_33, [
        ExpandsNothing "no source",
        ExpandsTwice "twice",
        ExpandsForeign "principal",
    ];
    pc_34_exclusion_groups_are_in_order: rows::pc_34, [
        TwoExclusionGroups "more than one",
        TwoDefaults "default",
        GroupAcrossTypes "types",
        CrowdedGroup "50",
    ];
    pc_35_grants_by_type_equal_grants_by_resource: listing::pc_35, [
        TypeScopedLoses "differ",
        TypeScopedInvents "differ",
        NoTypeScoped "no type",
    ];
    pc_36_the_marker_decides_the_form: listing::pc_36, [
        StubMeansType "without the marker",
        MarkerEverywhere "unmarked type",
        ResourceMeansType "other resources",
    ];
    pc_37_an_empty_type_is_an_empty_page: listing::pc_37, [
        EmptyTypeMissing "NotFound",
    ];
    pc_38_sibling_chains_are_in_order: others::pc_38, [
        EnqueuesTwice "more than one",
        EnqueuesDoubled "twice",
        EnqueuesEmpty "empty token",
        EnqueuesNext "next_page_token",
        EnqueuesMany "1025",
        EnqueuesMuch "bytes",
    ];
    pc_39_four_workers_see_what_one_sees: service::pc_39, [
        OneAtATime "ResourceExhausted",
        CallsMix "differ",
    ];
    pc_40_a_full_sync_is_clean_and_complete: service::pc_40, [
        EntitlementWithoutId "dropped",
        LosesUser "resources differ",
        LosesGrant "grants differ",
        GrantToStranger "warning",
        NoTrait "UserTrait",
        NoTemplates "Unimplemented",
    ];
    pc_41_a_targeted_sync_finds_what_a_full_one_finds: others::pc_41, [
        GetsNoUsers "of a principal",
        GetDiffers "differ about",
        GetInvents "a missing",
        UnknownGetIsInternal "an unsupported type",
        ResourceMeansType "in a full sync differ",
    ];
    pc_42_cleanup_always_succeeds_and_forgets: service::pc_42, [
        CleanupOnce "twice",
        CleanupKnownOnly "unknown sync",
        CleanupKeeps "still sees",
    ];
    pc_43_syncs_without_id_see_the_same: service::pc_43, [
        NeedsSyncId "differ",
    ];
    pc_44_a_rate_limit_says_when_to_come_back: errors::pc_44, [
        LimitIsExhausted "ResourceExhausted",
        LimitWithoutDetail "no RateLimitDescription",
        LimitInThePast "past",
    ];
    pc_45_upstream_failures_have_their_codes: errors::pc_45, [
        FailureIsUnknown "Unknown",
        DeniedIsInternal "Internal",
        FailureIsEmpty "succeeded",
    ];
    pc_46_a_missing_collection_is_not_not_found: errors::pc_46, [
        CollectionIsNotFound "NotFound",
        CollectionIsEmpty "succeeded",
    ];
    pc_47_a_panic_is_internal_and_the_server_goes_on: errors::pc_47, [
        PanicEscapes "Internal",
        PanicPoisons "goes on",
    ];
    pc_48_passing_trouble_costs_no_rows: others::pc_48, [
        TroubleIsInternal "Internal",
        TroubleIsEmpty "rows of",
        TroubleLasts "FailedPrecondition",
    ];
    pc_49_closed_and_unsupported_are_told_apart: changes::pc_49, [
        OffIsUnimplemented "not FailedPrecondition",
        OffGrants "Grant gives Ok",
        UnsupportedIsInvalid "not Unimplemented",
    ];
    pc_50_repeats_are_successes_with_a_note: changes::pc_50, [
        SecondGrantFails "the second grant",
        SecondGrantSilent "GrantAlreadyExists",
        SecondRevokeFails "the second revoke",
        SecondRevokeSilent "GrantAlreadyRevoked",
    ];
    pc_51_a_grant_tells_what_a_listing_tells: changes::pc_51, [
        GrantAnswersNothing "no grant",
        GrantAnswersOtherIds "later listing",
    ];
    pc_52_ids_suffice_to_revoke: changes::pc_52, [
        RevokeParsesIds "by ids alone",
        RevokeNeedsNames "by ids alone",
        RevokeNeedsHolders "by ids alone",
        RevokesNothing "still listed",
    ];
    pc_53_a_policy_cancels_in_the_platforms_words: changes::pc_53, [
        DeclineIsDenied "FailedPrecondition",
        DeclineWithoutDetail "ErrorInfo",
        DeclineWithoutReason "reason",
        DeclineOfOtherDomain "domain",
    ];
    pc_55_an_account_has_one_result: changes::pc_55, [
        NoResultArm "no result arm",
        ExistingIsAnError "an existing login",
        ExistingIsMadeAgain "already_exists",
        AccountNeedsType "resource_type_id",
    ];
    pc_56_unsupported_secrets_are_refused_before_anything_changes: changes::pc_56, [
        PasswordIgnored "credential option succeeded",
        PasswordRefusedLate "was made",
        AnyProvider "provider succeeded",
    ];
    pc_57_both_ways_to_delete_are_one: changes::pc_57, [
        DeleteV2Missing "DeleteResourceV2",
        DeleteKeepsQuiet "ResourceDoesNotExist",
        AbsentIsNotFound "NotFound",
    ];
    pc_58_actions_have_types_ends_and_errors: actions::pc_58, [
        ActionsOfEveryType "among those of",
        ActionWithoutEnd "neither an end nor an id",
        ActionForgotten "GetActionStatus",
        ActionFailsTheCall "InvokeAction",
        ActionFailsSilently "response.error",
        AnyAction "an unknown action",
        AnyInvocation "GetActionStatus",
    ];
    pc_59_feeds_may_be_empty_and_cursors_last: others::pc_59, [
        NoFeedList "ListEventFeeds",
        AnyFeed "unknown feed",
        CursorHuge "4097 bytes",
        CursorOnce "lost after a cursor",
        EventsEndless "stays true",
    ];
    pc_60_unused_services_answer: others::pc_60, [
        TicketsForAll "ticket calls answer",
        TicketsHang "hangs",
        AssetsFail "GetAsset",
        AssetsInvented "has content",
    ];
}

/// Needs writes that falter, which the tenant in memory behind the other checks of changes does not have: judged over twins.
#[tokio::test]
async fn pc_54_passing_failures_are_overcome_and_accounts_made_once() {
    let defects = [
        (Defect::GivesUpAtOnce, "Unavailable"),
        (Defect::CreatesBlindly, "accounts were made"),
    ];
    judge_twins(changes::pc_54, &defects).await;
}
