//! The settings table and the rules between settings: data only.
//!
//! Names, types and defaults of the ecosystem's flags are those of the SDK's command line (0.25); the last block is our own.

use super::setting::{Export, Scope, Setting, Verb};
use super::value::Kind;
use crate::model::tenant::AccountClass;
use crate::provision::Exception;
use crate::risk_assess::{Delivery, Removal, Strictness, UserSync};

const COUNT: Kind = Kind::int(0, i64::MAX);
const PORT: Kind = Kind::int(1, 65_535);

const CREDENTIALS: &str =
    "how people sign in to Coupa is not this connector's business: it neither makes nor rotates passwords";
const EVENTS: &str = "Coupa has no event feed";
const RESOURCE_ACTIONS: &str =
    "use --invoke-action with --invoke-action-resource-type, or --list-action-schemas-resource-type";
const TICKETS: &str = "Coupa has no tickets to offer; ticketing is not supported";
const DIFF: &str = "this connector does not compare sync runs; use the baton tool on the .c1z file";
const COMPACT: &str = "this connector does not compact sync files; use the baton tool on the .c1z files";
const EXTERNAL: &str = "grants in Coupa never point to resources of another connector";
const OTEL: &str =
    "OpenTelemetry export is not available in this version; collect the JSON log lines of stderr instead";
const NO_OTEL: &str = "there is no OpenTelemetry export in this version";

/// Names of the account classes, in the order of [`AccountClass::ALL`].
const CLASSES: [&str; AccountClass::ALL.len()] = {
    let mut names = [""; AccountClass::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = AccountClass::ALL[at].name();
        at += 1;
    }
    names
};

/// Names of the policies that a person may lift, in the order of [`Exception::ALL`].
const EXCEPTIONS: [&str; Exception::ALL.len()] = {
    let mut names = [""; Exception::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Exception::ALL[at].name();
        at += 1;
    }
    names
};

/// The words of a choice that has a table of its own.
macro_rules! words {
    ($choice:ty) => {
        &{
            let mut words = [""; <$choice>::ALL.len()];
            let mut at = 0;
            while at < words.len() {
                words[at] = <$choice>::ALL[at].name();
                at += 1;
            }
            words
        }
    };
}

const DELIVERIES: &[&str] = words!(Delivery);
const USER_SYNCS: &[&str] = words!(UserSync);
const REMOVALS: &[&str] = words!(Removal);
const STRICTNESSES: &[&str] = words!(Strictness);

/// Commands that show a table, or JSON in its place.
const TABLES: &[Verb] = &[
    Verb::Doctor,
    Verb::RiskAssessStatus,
    Verb::RiskAssessReadiness,
    Verb::RiskAssessReconcile,
    Verb::RiskAssessExplain,
];

/// Every setting. The order is that of the exported schema; help sorts by name.
pub const SETTINGS: &[Setting] = &[
    // Logging and operation: the ones the platform shows to operators.
    Setting::new(
        "log-level",
        Kind::Text,
        "How much to log: trace, debug, info, warn or error",
    )
    .default("info")
    .export(Export::Ops),
    Setting::new(
        "log-level-debug-expires-at",
        Kind::Text,
        "When debug logging should end",
    )
    .ineffective("only the hosted runtime ends debug logging by itself")
    .export(Export::Ops),
    Setting::new(
        "session-store-maximum-size",
        COUNT,
        "Largest size of the session store in bytes",
    )
    .default("15728640")
    .ineffective("this connector keeps no session store")
    .export(Export::Ops),
    Setting::new(
        "otel-collector-endpoint",
        Kind::Text,
        "OpenTelemetry collector (host:port, gRPC)",
    )
    .refused(OTEL)
    .export(Export::Ops),
    Setting::new(
        "otel-collector-endpoint-tls-cert-path",
        Kind::Text,
        "File with the PEM certificate authority of the OpenTelemetry collector",
    )
    .ineffective(NO_OTEL)
    .export(Export::Ops),
    Setting::new(
        "otel-collector-endpoint-tls-cert",
        Kind::Text,
        "PEM certificate authority of the OpenTelemetry collector",
    )
    .ineffective(NO_OTEL)
    .export(Export::Ops),
    Setting::new(
        "otel-collector-endpoint-tls-insecure",
        Kind::Switch,
        "Do not verify the OpenTelemetry collector's certificate",
    )
    .ineffective(NO_OTEL)
    .export(Export::Ops),
    Setting::new("otel-tracing-disabled", Kind::Switch, "Do not export traces")
        .ineffective(NO_OTEL)
        .export(Export::Ops),
    Setting::new("otel-logging-disabled", Kind::Switch, "Do not export logs")
        .ineffective(NO_OTEL)
        .export(Export::Ops),
    Setting::new(
        "health-check",
        Kind::Switch,
        "Answer HTTP health checks in daemon mode",
    )
    .export(Export::Ops),
    Setting::new("health-check-port", PORT, "Port of the HTTP health server")
        .default("8081")
        .export(Export::Ops),
    Setting::new(
        "health-check-bind-address",
        Kind::Text,
        "Address of the HTTP health server",
    )
    .default("127.0.0.1")
    .export(Export::Ops),
    Setting::new(
        "http-timeout-seconds",
        Kind::int(1, 1800),
        "How long to wait for one answer of Coupa, in seconds (1 to 1800)",
    )
    .default("300")
    .export(Export::Ops),
    Setting::new(
        "log-format",
        Kind::Text,
        "Form of the log lines: json or console; console if on a terminal",
    ),
    Setting::new(
        "log-path",
        Kind::List,
        "Files to log to instead of stderr (stdout and stderr are allowed)",
    ),
    Setting::new("auth-method", Kind::Text, "Which group of credentials to use")
        .ineffective("Coupa has one way to authenticate"),
    // The platform.
    Setting::new(
        "client-id",
        Kind::Text,
        "Client ID at the platform; with it a run without a sub-command is a daemon that does the platform's tasks",
    ),
    Setting::new("client-secret", Kind::Text, "Client secret at the platform").secret(),
    Setting::new(
        "skip-full-sync",
        Kind::Switch,
        "Refuse the platform's sync tasks in daemon mode",
    ),
    Setting::new(
        "task-concurrency",
        Kind::int(1, 100),
        "How many tasks the daemon runs at once (1 to 100)",
    )
    .default("3"),
    Setting::new(
        "keep-previous-sync-c1z",
        Kind::Switch,
        "Keep the previous sync file in daemon mode",
    )
    .ineffective("a daemon writes a fresh file for every sync task and replays nothing from an earlier one"),
    // The question to a daemon.
    Setting::new(
        "endpoint",
        Kind::OneOf(&["health", "ready", "live"]),
        "What to ask: health (can Coupa be used?), ready (has the platform taken us?) or live",
    )
    .default("health")
    .on(Scope::Only(&[Verb::HealthCheck])),
    Setting::new(
        "timeout",
        Kind::int(1, 600),
        "How long to wait for the answer, in seconds",
    )
    .default("5")
    .on(Scope::Only(&[Verb::HealthCheck])),
    // The sync.
    Setting::new(
        "file",
        Kind::Text,
        "Sync file to write, or to look a change's names up in",
    )
        .short('f')
        .default("sync.c1z"),
    Setting::new(
        "c1z-temp-dir",
        Kind::Text,
        "Existing directory for temporary files",
    ),
    Setting::new(
        "sync-resource-types",
        Kind::ListOf(&["user", "group", "role", "license"]),
        "Resource types to sync: user, group, role, license; all if not set",
    ),
    Setting::new(
        "skip-entitlements-and-grants",
        Kind::Switch,
        "Sync users, groups, roles and licenses without who holds what",
    ),
    Setting::new(
        "workers",
        Kind::int(-1, 1024),
        "How many listings run side by side; -1 chooses by the number of cores, 0 means one after the other",
    )
    .default("0"),
    Setting::new(
        "parallel-sync",
        Kind::Switch,
        "Deprecated: the same as --workers=-1",
    ),
    Setting::new(
        "storage-engine",
        Kind::OneOf(&["sqlite", "pebble"]),
        "Engine of the sync file: sqlite",
    )
    .refused_value(
        "pebble",
        "sync files are written as sqlite, which every reader of .c1z takes",
    ),
    Setting::new(
        "sync-resources",
        Kind::List,
        "Sync these resources only, with whoever holds them: bid:r:TYPE/ID, of the types of --sync-resource-types if set",
    ),
    Setting::new(
        "skip-grants",
        Kind::Switch,
        "Sync the resources of --sync-resources without whoever holds them",
    ),
    Setting::new(
        "external-resource-c1z",
        Kind::Text,
        "Sync file of another connector",
    )
    .refused(EXTERNAL),
    Setting::new(
        "external-resource-entitlement-id-filter",
        Kind::Text,
        "Entitlement that selects principals of another connector",
    )
    .refused(EXTERNAL),
    Setting::new(
        "external-resource-traits",
        Kind::List,
        "Traits read from another connector's file",
    )
    .refused(EXTERNAL),
    Setting::new("sync-account-groups", Kind::Switch, "Sync account groups")
        .refused("account groups are not read by this version"),
    // Changes, also those of a server.
    Setting::new(
        "provisioning",
        Kind::Switch,
        "Allow changes in Coupa on serve; one-shot changes imply it",
    )
    .short('p'),
    Setting::new(
        "provisioning-allow",
        Kind::ListOf(&EXCEPTIONS),
        "Changes to make although a policy speaks against them: inactive-group, supplier-account, support-account, own-account, no-roles",
    )
    .export(Export::Connector("Policy Exceptions")),
    Setting::new(
        "journal-retention-days",
        Kind::int(1, 36_500),
        "How long changes that have ended stay in the journal, and settled deliveries in the outbox, in days",
    )
    .default("400")
    .export(Export::Connector("Journal Retention In Days")),
    // Changes in one shot.
    Setting::new(
        "dry-run",
        Kind::Switch,
        "Print what a one-shot change would send, and change nothing",
    )
    .on(Scope::OneShot),
    Setting::new(
        "grant-entitlement",
        Kind::Text,
        "Entitlement to grant, for instance role:12:member",
    )
    .on(Scope::OneShot),
    Setting::new("grant-principal", Kind::Text, "Principal to grant to, for instance 42").on(Scope::OneShot),
    Setting::new(
        "grant-principal-type",
        Kind::Text,
        "Type of the principal to grant to, for instance user",
    )
    .on(Scope::OneShot),
    Setting::new(
        "revoke-grant",
        Kind::Text,
        "Grant to revoke, for instance role:12:member:user:42",
    )
    .on(Scope::OneShot),
    Setting::new(
        "create-account-login",
        Kind::Text,
        "Login of the account to create",
    )
    .on(Scope::OneShot),
    Setting::new(
        "create-account-email",
        Kind::Text,
        "E-mail of the account to create",
    )
    .on(Scope::OneShot),
    Setting::new(
        "create-account-profile",
        Kind::Object,
        "Profile of the account to create, as a JSON object",
    )
    .on(Scope::OneShot),
    Setting::new(
        "create-account-resource-type",
        Kind::Text,
        "Type of the account to create; user if not set",
    )
    .on(Scope::OneShot),
    Setting::new(
        "delete-resource",
        Kind::Text,
        "Resource to delete, for instance 42; users are deactivated",
    )
    .on(Scope::OneShot),
    Setting::new(
        "delete-resource-type",
        Kind::Text,
        "Type of the resource to delete",
    )
    .on(Scope::OneShot),
    Setting::new(
        "rotate-credentials",
        Kind::Text,
        "Resource whose credentials to rotate",
    )
    .on(Scope::OneShot)
    .refused(CREDENTIALS),
    Setting::new(
        "rotate-credentials-type",
        Kind::Text,
        "Type of the resource whose credentials to rotate",
    )
    .on(Scope::OneShot)
    .refused(CREDENTIALS),
    // Events and actions in one shot.
    Setting::new("event-feed", Kind::Text, "Read the event feed").refused(EVENTS),
    Setting::new("event-feed-id", Kind::Text, "Event feed to read").refused(EVENTS),
    Setting::new(
        "event-feed-start-at",
        Kind::Text,
        "Where in time the event feed starts",
    )
    .refused(EVENTS),
    Setting::new("event-feed-cursor", Kind::Text, "Where the event feed goes on").refused(EVENTS),
    Setting::new(
        "invoke-action",
        Kind::Text,
        "Action to invoke and wait for, for instance disable_user",
    )
    .on(Scope::OneShot),
    Setting::new(
        "invoke-action-args",
        Kind::Object,
        "Arguments of the action, as a JSON object",
    )
    .default("{}")
    .on(Scope::OneShot),
    Setting::new(
        "invoke-action-resource-type",
        Kind::Text,
        "Resource type of the action",
    )
    .on(Scope::OneShot),
    Setting::new("list-action-schemas", Kind::Switch, "Log the actions there are").on(Scope::OneShot),
    Setting::new(
        "list-action-schemas-resource-type",
        Kind::Text,
        "Resource type whose actions to log",
    )
    .on(Scope::OneShot),
    Setting::new(
        "list-resource-actions",
        Kind::Text,
        "Resource type whose actions to list",
    )
    .refused(RESOURCE_ACTIONS),
    Setting::new("invoke-resource-action", Kind::Text, "Resource action to invoke").refused(RESOURCE_ACTIONS),
    Setting::new(
        "invoke-resource-action-resource-type",
        Kind::Text,
        "Resource type of the resource action",
    )
    .refused(RESOURCE_ACTIONS),
    Setting::new(
        "invoke-resource-action-args",
        Kind::Text,
        "Arguments of the resource action, as JSON",
    )
    .refused(RESOURCE_ACTIONS),
    // Tickets.
    Setting::new("ticketing", Kind::Switch, "Allow tickets").refused(TICKETS),
    Setting::new("create-ticket", Kind::Switch, "Create a ticket").refused(TICKETS),
    Setting::new("ticket-template-path", Kind::Text, "Template of the ticket").refused(TICKETS),
    Setting::new("bulk-create-ticket", Kind::Switch, "Create tickets").refused(TICKETS),
    Setting::new("bulk-ticket-template-path", Kind::Text, "Template of the tickets").refused(TICKETS),
    Setting::new("get-ticket", Kind::Switch, "Read a ticket").refused(TICKETS),
    Setting::new("ticket-id", Kind::Text, "Ticket to read").refused(TICKETS),
    Setting::new("list-ticket-schemas", Kind::Switch, "List the kinds of tickets").refused(TICKETS),
    // Sync files.
    Setting::new("diff-syncs", Kind::Switch, "Compare two sync runs").refused(DIFF),
    Setting::new("base-sync-id", Kind::Text, "Sync run to compare from").refused(DIFF),
    Setting::new("applied-sync-id", Kind::Text, "Sync run to compare to").refused(DIFF),
    Setting::new("compact-syncs", Kind::Switch, "Compact sync files").refused(COMPACT),
    Setting::new("compact-output-path", Kind::Text, "Where the compacted file goes").refused(COMPACT),
    Setting::new("compact-file-paths", Kind::List, "Files to compact").refused(COMPACT),
    Setting::new("compact-sync-ids", Kind::List, "Sync runs to compact").refused(COMPACT),
    // Coupa.
    Setting::new("coupa-client-id", Kind::Text, "OAuth client ID in Coupa")
        .required_unless(&["sandbox"])
        .export(Export::Connector("Client ID")),
    Setting::new("coupa-client-secret", Kind::Text, "OAuth client secret in Coupa")
        .secret()
        .required_unless(&["sandbox"])
        .export(Export::Connector("Client Secret")),
    Setting::new(
        "coupa-domain",
        Kind::Text,
        "Host of the Coupa instance, for example acme.coupahost.com",
    )
    .required_unless(&["sandbox", "coupa-base-url"])
    .export(Export::Connector("Coupa Domain")),
    Setting::new(
        "coupa-base-url",
        Kind::Text,
        "URL to use in place of https://<coupa-domain>",
    ),
    Setting::new(
        "coupa-requests-per-second",
        Kind::int(1, 1000),
        "Most requests per second to Coupa (Coupa allows 25 for all its clients together)",
    )
    .default("20")
    .export(Export::Connector("Requests Per Second")),
    Setting::new(
        "coupa-max-in-flight",
        Kind::int(1, 256),
        "Most requests to Coupa at the same time",
    )
    .default("8")
    .export(Export::Connector("Requests In Flight")),
    Setting::new(
        "account-classes",
        Kind::ListOf(&CLASSES),
        "Accounts to sync: internal, api, supplier, support, managed-service",
    )
    .default("internal,api")
    .export(Export::Connector("Account Classes")),
    Setting::new(
        "state-dir",
        Kind::Text,
        "Directory for what is kept between runs; per user if not set",
    ),
    Setting::new(
        "max-shrink-percent",
        Kind::int(0, 100),
        "Stop when a listing lost more than this share since the last complete run",
    )
    .default("30")
    .export(Export::Connector("Largest Loss In Percent")),
    Setting::new(
        "accept-shrink",
        Kind::Switch,
        "Go on although listings lost more than max-shrink-percent",
    ),
    // Risk Assess: what the operator decides and states.
    Setting::new(
        "risk-assess-delivery",
        Kind::OneOf(DELIVERIES),
        "Who brings licensed users to Risk Assess: native (Coupa's User Sync), quick-integration (this connector), file (a person)",
    )
    .default(Delivery::Native.name())
    .export(Export::Connector("Risk Assess Delivery")),
    Setting::new(
        "risk-assess-user-sync",
        Kind::OneOf(USER_SYNCS),
        "Whether User Sync is switched on in the tenant, which no API tells: on, off, unknown",
    )
    .default(UserSync::Unknown.name())
    .export(Export::Connector("Risk Assess User Sync")),
    Setting::new(
        "risk-assess-license-removal",
        Kind::OneOf(REMOVALS),
        "What becomes of an account whose user loses the license, which no document tells: unknown, stays, closes",
    )
    .default(Removal::Unknown.name())
    .export(Export::Connector("Risk Assess License Removal")),
    Setting::new(
        "risk-assess-readiness",
        Kind::OneOf(STRICTNESSES),
        "What refuses a grant of the license: standard (facts), strict (formats and lengths, too), lenient (nothing)",
    )
    .default(Strictness::Standard.name())
    .export(Export::Connector("Risk Assess Readiness")),
    Setting::new(
        "risk-assess-tenant",
        Kind::Text,
        "Name of the Risk Assess tenant, for reports and, without risk-assess-url, its address",
    )
    .export(Export::Connector("Risk Assess Tenant")),
    Setting::new(
        "risk-assess-url",
        Kind::Text,
        "Address of Risk Assess for quick-integration; https://<risk-assess-tenant>.hiperos.com if not set",
    )
    .export(Export::Connector("Risk Assess URL")),
    Setting::new(
        "risk-assess-username",
        Kind::Text,
        "User name of the Risk Assess login that delivers, a member of the group QuickIntegration",
    )
    .export(Export::Connector("Risk Assess Username")),
    Setting::new("risk-assess-password", Kind::Text, "Password of that login")
        .secret()
        .export(Export::Connector("Risk Assess Password")),
    Setting::new(
        "risk-assess-admin-email",
        Kind::Text,
        "Address of the Default Site Administrator, who gets error reports by mail",
    )
    .export(Export::Connector("Risk Assess Administrator Email")),
    Setting::new(
        "risk-assess-report-dir",
        Kind::Text,
        "Directory for error reports that are not mailed; beside the state if not set",
    ),
    Setting::new(
        "risk-assess-sync-minutes",
        Kind::int(0, 10_080),
        "Minutes between two looks at changed users while serving; 0 is never",
    )
    .default("60")
    .export(Export::Connector("Risk Assess Sync Interval In Minutes")),
    Setting::new(
        "smtp-url",
        Kind::Text,
        "Mail server for error reports: smtps://user:password@host:465 or smtp://user:password@host:587",
    )
    .secret()
    .export(Export::Connector("SMTP URL")),
    Setting::new(
        "smtp-from",
        Kind::Text,
        "Sender of mails; risk-assess-admin-email if not set",
    )
    .export(Export::Connector("SMTP Sender")),
    // Risk Assess: its commands.
    Setting::new(
        "input",
        Kind::Text,
        "File to read, CSV or XLSX; it can be named without the flag",
    )
    .on(Scope::Only(&[Verb::RiskAssessImport, Verb::RiskAssessExplain])),
    Setting::new(
        "grid",
        Kind::Text,
        "Export of Risk Assess' user grid, CSV or XLSX",
    )
    .on(Scope::Only(&[Verb::RiskAssessImport, Verb::RiskAssessReconcile])),
    Setting::new(
        "grid-date",
        Kind::Text,
        "Day on which the grid was exported, YYYY-MM-DD; that of the file if not set",
    )
    .on(Scope::Only(&[Verb::RiskAssessImport, Verb::RiskAssessReconcile])),
    Setting::new(
        "apply",
        Kind::Switch,
        "Deliver what was sorted; without it the import is only shown",
    )
    .on(Scope::Only(&[Verb::RiskAssessImport])),
    Setting::new(
        "output",
        Kind::Text,
        "File to write, CSV or XLSX by its ending (import: XLSX)",
    )
    .on(Scope::Only(&[
        Verb::RiskAssessReadiness,
        Verb::RiskAssessReconcile,
        Verb::RiskAssessImport,
        Verb::RiskAssessSync,
    ])),
    Setting::new(
        "format",
        Kind::OneOf(&["table", "json"]),
        "What is printed: a table for people, or JSON",
    )
    .default("table")
    .on(Scope::Only(TABLES)),
    Setting::new(
        "licensed-only",
        Kind::Switch,
        "Judge holders of the license only, not everybody who could get it",
    )
    .on(Scope::Only(&[Verb::RiskAssessReadiness])),
    Setting::new(
        "full",
        Kind::Switch,
        "Look at every licensed user, not only at those changed since the last time",
    )
    .on(Scope::Only(&[Verb::RiskAssessSync])),
    Setting::new("user", COUNT, "Number of the only Coupa user to show; 0 is all")
        .default("0")
        .on(Scope::Only(&[Verb::RiskAssessStatus])),
    // The pretend tenant.
    Setting::new(
        "sandbox",
        Kind::Switch,
        "Use the embedded pretend tenant instead of Coupa",
    ),
    Setting::new("sandbox-users", Kind::int(1, 10_000_000), "Users of the sandbox")
        .default("500")
        .on(Scope::Dial),
    Setting::new("sandbox-groups", COUNT, "Groups of the sandbox")
        .default("40")
        .on(Scope::Dial),
    Setting::new("sandbox-roles", COUNT, "Roles of the sandbox")
        .default("25")
        .on(Scope::Dial),
    Setting::new(
        "sandbox-seed",
        COUNT,
        "Seed of the sandbox's data; equal seeds make equal tenants",
    )
    .default("1")
    .on(Scope::Dial),
    Setting::new(
        "sandbox-latency-ms",
        COUNT,
        "Milliseconds by which the sandbox delays every answer",
    )
    .default("0")
    .on(Scope::Dial),
    Setting::new(
        "sandbox-rate",
        COUNT,
        "Requests per second the sandbox lets pass; 0 is no limit",
    )
    .default("0")
    .on(Scope::Dial),
    Setting::new(
        "sandbox-reading",
        Kind::List,
        "How the sandbox reads an unclear part of Coupa's documents: NAME=VALUE",
    )
    .on(Scope::Dial),
    Setting::new(
        "sandbox-fault",
        Kind::List,
        "What goes wrong in the sandbox: NAME=VALUE",
    )
    .on(Scope::Dial),
    Setting::new(
        "listen",
        Kind::Address,
        "Address of the sandbox; port 0 takes a free one",
    )
    .default("127.0.0.1:8008")
    .on(Scope::Sandbox),
    Setting::new(
        "tls-cert",
        Kind::Text,
        "Serve HTTPS with this PEM certificate chain",
    )
    .on(Scope::Sandbox),
    Setting::new("tls-key", Kind::Text, "PEM key of the certificate").on(Scope::Sandbox),
    // The journal.
    Setting::new("open", Kind::Switch, "Only changes that wait for an end").on(Scope::Journal),
    Setting::new("closed", Kind::Switch, "Only changes that have ended").on(Scope::Journal),
    Setting::new(
        "json",
        Kind::Switch,
        "One JSON object per line instead of a table; always so on export",
    )
    .on(Scope::Journal),
    Setting::new(
        "entry",
        COUNT,
        "Number of the only entry to recover, also if it waits for a person; 0 is all that do not",
    )
    .default("0")
    .on(Scope::JournalRecover),
    Setting::new(
        "restore",
        Kind::Switch,
        "Put back what the entry's user lacks through us, as a person decided",
    )
    .on(Scope::JournalRecover),
    Setting::new(
        "accept",
        Kind::Switch,
        "Close the entry and leave Coupa as it is, as a person decided",
    )
    .on(Scope::JournalRecover),
    // The gRPC server.
    Setting::new(
        "listen",
        Kind::Address,
        "Address of the gRPC server; port 0 takes a free one",
    )
    .default("127.0.0.1:50051")
    .on(Scope::Serve),
    Setting::new(
        "tls-cert",
        Kind::Text,
        "PEM certificate chain of the server; reloaded when it changes",
    )
    .on(Scope::Serve),
    Setting::new("tls-key", Kind::Text, "PEM key of the certificate").on(Scope::Serve),
    Setting::new(
        "tls-client-ca",
        Kind::Text,
        "PEM certificates of the authorities that clients must be signed by",
    )
    .on(Scope::Serve),
    Setting::new(
        "tls-allowed-client",
        Kind::List,
        "Names of clients to let in; any client of the authority if not set",
    )
    .on(Scope::Serve),
    Setting::new(
        "tls-allow-any-client",
        Kind::Switch,
        "Let clients in without a certificate",
    )
    .on(Scope::Serve),
    Setting::new(
        "health-listen",
        Kind::Address,
        "Address for gRPC health checks without a client certificate",
    )
    .on(Scope::Serve),
];

/// A rule between settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// All or none.
    Together(&'static [&'static str]),
    /// One at most.
    Exclusive(&'static [&'static str]),
    /// The first makes sense only with one of the others.
    Needs(&'static str, &'static [&'static str]),
}

/// Every rule; one that names a setting without meaning on a command does not bind there.
pub const RULES: &[Rule] = &[
    Rule::Together(&["client-id", "client-secret"]),
    Rule::Together(&["grant-entitlement", "grant-principal"]),
    Rule::Together(&["delete-resource", "delete-resource-type"]),
    Rule::Together(&["create-ticket", "ticket-template-path"]),
    Rule::Together(&["bulk-create-ticket", "bulk-ticket-template-path"]),
    Rule::Together(&["get-ticket", "ticket-id"]),
    Rule::Together(&["diff-syncs", "base-sync-id", "applied-sync-id"]),
    Rule::Together(&[
        "compact-syncs",
        "compact-output-path",
        "compact-file-paths",
        "compact-sync-ids",
    ]),
    Rule::Together(&["tls-cert", "tls-key"]),
    // What would otherwise start a sync, in place of the change that somebody had in mind.
    Rule::Needs("grant-principal-type", &["grant-entitlement"]),
    Rule::Needs(
        "create-account-email",
        &["create-account-login", "create-account-profile"],
    ),
    Rule::Needs(
        "create-account-resource-type",
        &["create-account-login", "create-account-profile"],
    ),
    Rule::Needs("invoke-action-args", &["invoke-action"]),
    Rule::Needs("invoke-action-resource-type", &["invoke-action"]),
    Rule::Needs("list-action-schemas-resource-type", &["list-action-schemas"]),
    Rule::Needs("restore", &["entry"]),
    Rule::Needs("accept", &["entry"]),
    Rule::Exclusive(&["open", "closed"]),
    Rule::Exclusive(&["restore", "accept"]),
    Rule::Exclusive(&["sandbox", "client-id"]),
    // Whoever asks for a rehearsal must not get the play.
    Rule::Exclusive(&["dry-run", "client-id"]),
    Rule::Exclusive(&[
        "grant-entitlement",
        "revoke-grant",
        "create-account-login",
        "delete-resource",
        "rotate-credentials",
        "event-feed",
        "create-ticket",
        "get-ticket",
        "list-ticket-schemas",
        "bulk-create-ticket",
    ]),
    Rule::Exclusive(&[
        "grant-entitlement",
        "revoke-grant",
        "create-account-email",
        "delete-resource-type",
        "rotate-credentials-type",
        "event-feed",
        "diff-syncs",
        "compact-syncs",
        "list-ticket-schemas",
    ]),
];
