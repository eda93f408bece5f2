//! What an operator decides and states about Risk Assess.

/// What a failed readiness rule does to a grant of the license.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Facts refuse; formats and lengths, which are those of the import and may not hold for the sync, only warn.
    #[default]
    Standard,
    /// Warnings refuse, too.
    Strict,
    /// Nothing refuses; everything is told.
    Lenient,
}

impl Strictness {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Strict, Self::Lenient];

    /// The word in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
            Self::Lenient => "lenient",
        }
    }

    /// The value of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}

/// Who brings a user to Risk Assess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Coupa's own User Sync.
    #[default]
    Native,
    /// We do, through the HTTPS import.
    QuickIntegration,
    /// A person does, with a file we write.
    File,
}

impl Delivery {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Native, Self::QuickIntegration, Self::File];

    /// The word in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::QuickIntegration => "quick-integration",
            Self::File => "file",
        }
    }

    /// The value of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}

/// The operator's statement about the tenant: no API tells whether User Sync is on (Coupa: off by default).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserSync {
    /// It is on.
    On,
    /// It is off.
    Off,
    /// Nobody said.
    #[default]
    Unknown,
}

impl UserSync {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Unknown];

    /// The word in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Unknown => "unknown",
        }
    }

    /// The value of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}

/// The operator's statement about what becomes of an account whose user loses the license: Coupa's documents are silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Removal {
    /// Nobody said: nothing is expected and nothing is sent.
    #[default]
    Unknown,
    /// The account stays as it is.
    Stays,
    /// The account is deactivated.
    Closes,
}

impl Removal {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Stays, Self::Closes];

    /// The word in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Stays => "stays",
            Self::Closes => "closes",
        }
    }

    /// The value of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}

/// Settings that speak against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// Coupa is to deliver by a User Sync that is stated to be off.
    NobodyDelivers,
    /// We are to deliver where User Sync is stated to be on: accounts that it keeps cannot be edited by an import (S2).
    TwoDeliver,
}

/// Settings of the whole part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RiskAssessConfig {
    /// What readiness refuses.
    pub strictness: Strictness,
    /// Who delivers.
    pub delivery: Delivery,
    /// What the operator states about User Sync.
    pub user_sync: UserSync,
    /// What the operator states about the removal of the license.
    pub removal: Removal,
}

impl RiskAssessConfig {
    /// What about delivery speaks against what the operator states.
    pub const fn contradiction(&self) -> Option<Contradiction> {
        match (self.delivery, self.user_sync) {
            (Delivery::Native, UserSync::Off) => Some(Contradiction::NobodyDelivers),
            (Delivery::QuickIntegration | Delivery::File, UserSync::On) => Some(Contradiction::TwoDeliver),
            (Delivery::Native, UserSync::On | UserSync::Unknown)
            | (Delivery::QuickIntegration | Delivery::File, UserSync::Off | UserSync::Unknown) => None,
        }
    }
}
