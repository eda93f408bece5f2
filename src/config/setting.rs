//! One row of the settings table: everything that flags, environment, file, help and the exported schema need to know about a
//! setting.
//!
//! Invariant: nothing about a setting is written anywhere else, so its five faces cannot drift apart.

use super::value::{Kind, Value};

/// The commands that read settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read the tenant once and write a file (no sub-command).
    Sync,
    /// Answer the platform over gRPC.
    Serve,
    /// Run the pretend tenant.
    Sandbox,
    /// List the journal of changes.
    Journal,
    /// Write the journal of changes out.
    JournalExport,
    /// Bring open entries of the journal to an end.
    JournalRecover,
    /// Show what is known of the accounts in Risk Assess.
    RiskAssessStatus,
    /// Judge who is ready for Risk Assess.
    RiskAssessReadiness,
    /// Follow the accounts of licensed users.
    RiskAssessSync,
    /// Sort a user import file, and perhaps deliver it.
    RiskAssessImport,
    /// Compare an export of the user grid with Coupa and the ledger.
    RiskAssessReconcile,
    /// Explain an error report.
    RiskAssessExplain,
    /// Check what the configured features need.
    Doctor,
    /// Ask a running daemon how it is.
    HealthCheck,
    /// Serve the runner that started us.
    Child,
}

impl Verb {
    /// Every command.
    pub const ALL: [Self; 15] = [
        Self::Sync,
        Self::Serve,
        Self::Sandbox,
        Self::Journal,
        Self::JournalExport,
        Self::JournalRecover,
        Self::RiskAssessStatus,
        Self::RiskAssessReadiness,
        Self::RiskAssessSync,
        Self::RiskAssessImport,
        Self::RiskAssessReconcile,
        Self::RiskAssessExplain,
        Self::Doctor,
        Self::HealthCheck,
        Self::Child,
    ];

    /// What a command needs before it can begin.
    pub(super) const fn needs(self) -> Needs {
        match self {
            Self::Sync
            | Self::Serve
            | Self::JournalRecover
            | Self::RiskAssessReadiness
            | Self::RiskAssessSync
            | Self::RiskAssessReconcile
            | Self::Doctor
            | Self::Child => Needs::Tenant,
            Self::Journal | Self::JournalExport | Self::RiskAssessStatus | Self::RiskAssessImport => {
                Needs::NameOfTenant
            }
            Self::Sandbox | Self::RiskAssessExplain | Self::HealthCheck => Needs::Nothing,
        }
    }
}

/// Which of the required settings a command requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// All: it talks to the tenant.
    Tenant,
    /// All but secrets: it only looks at what is kept here.
    NameOfTenant,
    /// None.
    Nothing,
}

/// On which commands a setting counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// On every command.
    Everywhere,
    /// On `serve` only.
    Serve,
    /// On `sandbox` only.
    Sandbox,
    /// In runs without a sub-command. Taken everywhere, as the ecosystem does; elsewhere it is refused.
    OneShot,
    /// On `journal` and `journal export`.
    Journal,
    /// On `journal recover` only.
    JournalRecover,
    /// On these commands only.
    Only(&'static [Verb]),
    /// A dial of the embedded sandbox: everywhere under its name, and on `sandbox` also without the `sandbox-` in front.
    Dial,
}

/// What this version does with a setting of the ecosystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It works.
    Works,
    /// It is taken and changes nothing, for this reason; a person who sets it is told.
    Ineffective(&'static str),
    /// It is taken, and a run that asks for it is refused for this reason.
    Refused(&'static str),
    /// One of its values is refused for this reason.
    RefusedValue(&'static str, &'static str),
}

/// Where the setting shows in the exported configuration schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// Not at all: it belongs to the command line.
    No,
    /// Among the settings of operation, which come first.
    Ops,
    /// Among the connector's own settings, under this label.
    Connector(&'static str),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Flag name, YAML key, and stem of the environment variable.
    pub name: &'static str,
    /// One-letter flag.
    pub short: Option<char>,
    /// What it may be.
    pub kind: Kind,
    /// Text of the default; empty for none.
    pub default: &'static str,
    /// What it is, for help and schema.
    pub about: &'static str,
    /// Where it counts.
    pub scope: Scope,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// `Some`: a command that reads a tenant needs it, unless one of these is set.
    pub required_unless: Option<&'static [&'static str]>,
    /// What this version does with it.
    pub disposition: Disposition,
    /// Where the schema shows it.
    pub export: Export,
}

impl Setting {
    /// A setting that works everywhere and has no default.
    pub(super) const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            name,
            short: None,
            kind,
            default: "",
            about,
            scope: Scope::Everywhere,
            secret: false,
            required_unless: None,
            disposition: Disposition::Works,
            export: Export::No,
        }
    }

    pub(super) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    pub(super) const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    pub(super) const fn on(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) const fn required_unless(mut self, others: &'static [&'static str]) -> Self {
        self.required_unless = Some(others);
        self
    }

    pub(super) const fn ineffective(mut self, reason: &'static str) -> Self {
        self.disposition = Disposition::Ineffective(reason);
        self
    }

    pub(super) const fn refused(mut self, reason: &'static str) -> Self {
        self.disposition = Disposition::Refused(reason);
        self
    }

    pub(super) const fn refused_value(mut self, value: &'static str, reason: &'static str) -> Self {
        self.disposition = Disposition::RefusedValue(value, reason);
        self
    }

    pub(super) const fn export(mut self, export: Export) -> Self {
        self.export = export;
        self
    }

    /// The value of the default: empty, `false` or, where the table names none, zero. A unit test holds that the table's texts parse.
    pub(super) fn default_value(&self) -> Value {
        self.kind.parse(self.default).unwrap_or(match self.kind {
            Kind::Switch => Value::Switch(false),
            _ => Value::Int(0),
        })
    }

    /// Whether help shows it: what works is shown, what is only tolerated is not.
    pub fn is_shown(&self) -> bool {
        match self.disposition {
            Disposition::Works | Disposition::RefusedValue(..) => true,
            Disposition::Ineffective(_) | Disposition::Refused(_) => false,
        }
    }

    /// The flag's name on `verb`, or `None` where it does not count.
    pub fn flag_on(&self, verb: Verb) -> Option<&'static str> {
        self.names_on(verb).next()
    }

    /// The names that environment and file may use on `verb`, the one that wins first.
    pub(super) fn names_on(&self, verb: Verb) -> impl Iterator<Item = &'static str> + use<> {
        let counts = match self.scope {
            Scope::Everywhere | Scope::Dial | Scope::OneShot => true,
            Scope::Serve => verb == Verb::Serve,
            Scope::Sandbox => verb == Verb::Sandbox,
            Scope::Journal => matches!(verb, Verb::Journal | Verb::JournalExport),
            Scope::JournalRecover => verb == Verb::JournalRecover,
            Scope::Only(verbs) => verbs.contains(&verb),
        };
        let bare = match (self.scope, verb) {
            (Scope::Dial, Verb::Sandbox) => self.name.strip_prefix("sandbox-"),
            _ => None,
        };
        bare.into_iter().chain(counts.then_some(self.name))
    }
}

/// The environment variable of a flag: `coupa-domain` is `BATON_COUPA_DOMAIN`.
pub fn variable(name: &str) -> String {
    format!("BATON_{}", name.to_ascii_uppercase().replace('-', "_"))
}
