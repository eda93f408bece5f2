//! What is known about Coupa's license flags, and the catalog of one tenant.
//!
//! Invariant: only flags that the tenant shows are offered; the table adds a label and whether a write is documented, it never adds
//! a license.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model::access::{License, LicenseCatalog, LicenseWrite};
use crate::model::fault::Fault;
use crate::model::id::LicenseName;

/// A flag some document describes.
struct Known {
    /// Dashed REST name.
    name: &'static str,
    /// Column title of the user import, or of the export where the import has none.
    label: Option<&'static str>,
    /// D: documentation pages, S: Coupa's published schema of release 39.
    write: LicenseWrite,
}

const fn known(name: &'static str, label: Option<&'static str>, write: LicenseWrite) -> Known {
    Known { name, label, write }
}

use LicenseWrite::{ReadOnly, Unproven, Writable};

#[rustfmt::skip]
const TABLE: [Known; 19] = [
    known("aic-user",                  Some("AI Classification User"),   Writable),
    known("analytics-user",            Some("Analytics User"),           Writable),
    // D: writable, S: read-only.
    known("category-planner-user",     Some("Category Planner License"), Unproven),
    // D: out only. Its one published title carries a typing mistake.
    known("category-strategy-user",    None,                             ReadOnly),
    known("ccw-user",                  Some("Contingent Workforce User"), Writable),
    // Its import column is titled with a whole question.
    known("clm-advanced-user",         None,                             Writable),
    known("contracts-user",            Some("Contracts User"),           Writable),
    // Only in samples and import templates.
    known("coupa-navi-ai-agent-user",  Some("Coupa Navi Ai Agent User"), Unproven),
    known("expense-user",              Some("Expense User"),             Writable),
    known("intake-user",               Some("Intake License"),           Unproven),
    known("inventory-user",            Some("Inventory User"),           Writable),
    // D: out only on one page, in only on another; S: writable.
    known("invoicing-user",            Some("Invoicing User"),           Unproven),
    known("purchasing-user",           Some("Purchasing User"),          Writable),
    known("risk-assess-user",          Some("Risk Assess User"),         Writable),
    known("sourcing-user",             Some("Sourcing User"),            Writable),
    known("spend-guard-user",          Some("Spend Guard User"),         Writable),
    known("supply-chain-user",         Some("Supply Chain User"),        Writable),
    known("travel-user",               Some("Travel User"),              Writable),
    known("treasury-user",             Some("Treasury User"),            Writable),
];

/// Flags that tell the class of an account. They end in `-user` too and are no licenses.
pub(crate) const CLASS_FLAGS: [&str; 4] = ["api-user", "supplier-user", "support-user", "msp-user"];

/// Every license any document names.
pub(crate) fn table() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|known| known.name)
}

/// Whether some document names this license.
pub(crate) fn is_known(name: &str) -> bool {
    table().any(|known| known == name)
}

/// Whether a dashed name can be a license: `...-user`, no class flag. Twins ending in `?` and switches have other endings.
pub(crate) fn is_license(name: &str) -> bool {
    name.strip_suffix("-user").is_some_and(|stem| !stem.is_empty()) && !CLASS_FLAGS.contains(&name)
}

/// The catalog of a tenant that shows the flags `names`.
pub(crate) fn catalog(names: &BTreeSet<Box<str>>) -> Result<LicenseCatalog, Fault> {
    let licenses = names.iter().filter(|name| is_license(name)).filter_map(|name| {
        let known = TABLE.iter().find(|known| known.name == &**name);
        Some(License {
            name: name.parse::<LicenseName>().ok()?,
            label: known.and_then(|known| known.label),
            write: known.map_or(Unproven, |known| known.write),
        })
    });
    LicenseCatalog::new(licenses.collect()).map_err(|overflow| Fault::corrupt(overflow.to_string()))
}

/// The dashed name of a key in any of Coupa's spellings: `treasury-user`, `treasury_user`, `treasuryUser`.
pub(crate) fn dashed(key: &str) -> Cow<'_, str> {
    if !key.bytes().any(|byte| byte == b'_' || byte.is_ascii_uppercase()) {
        return Cow::Borrowed(key);
    }
    let mut name = String::with_capacity(key.len() + 4);
    let mut chars = key.chars().peekable();
    let mut before = '-';
    while let Some(c) = chars.next() {
        let starts_word = c.is_ascii_uppercase()
            && before != '-'
            && before != '_'
            // Within a run of capitals only the last begins a word: `AIAgent` is `ai-agent`.
            && (!before.is_ascii_uppercase() || chars.peek().is_some_and(char::is_ascii_lowercase));
        if starts_word {
            name.push('-');
        }
        name.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
        before = c;
    }
    Cow::Owned(name)
}

/// The GraphQL name of a dashed one, by Coupa's rule: `risk-assess-user` is `riskAssessUser`.
pub(crate) fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        camel.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(chars.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_go_to_graphql_and_back() {
        for (rest, graphql) in [
            ("aic-user", "aicUser"),
            ("ccw-user", "ccwUser"),
            ("clm-advanced-user", "clmAdvancedUser"),
            ("risk-assess-user", "riskAssessUser"),
            ("coupa-navi-ai-agent-user", "coupaNaviAiAgentUser"),
            ("api-user", "apiUser"),
            ("id", "id"),
            ("sso-identifier", "ssoIdentifier"),
        ] {
            assert_eq!(camel(rest), graphql);
            assert_eq!(dashed(graphql), rest);
        }
        for name in table() {
            assert_eq!(dashed(&camel(name)), name);
            assert!(is_license(name) && is_known(name), "{name}");
        }
    }

    #[test]
    fn every_spelling_has_one_dashed_name() {
        for (key, name) in [
            ("treasury_user", "treasury-user"),
            ("treasury-user", "treasury-user"),
            ("coupaNaviAIAgentUser", "coupa-navi-ai-agent-user"),
            ("AICUser", "aic-user"),
            ("x9User", "x9-user"),
            ("purchasing-user?", "purchasing-user?"),
        ] {
            assert_eq!(dashed(key), name);
        }
    }

    #[test]
    fn class_flags_twins_and_switches_are_no_licenses() {
        for name in [
            "api-user",
            "msp-user",
            "support-user",
            "supplier-user",
            "purchasing-user?",
            "salesforce-enabled",
            "allow-user-to-upload-invoice-from-mobile",
            "-user",
            "user",
        ] {
            assert!(!is_license(name), "{name}");
        }
    }

    #[test]
    fn the_catalog_offers_what_the_tenant_shows() {
        let names = [
            "risk-assess-user",
            "moon-base-user",
            "api-user",
            "category-strategy-user",
        ];
        let catalog = catalog(&names.into_iter().map(Box::from).collect()).unwrap();
        let seen: Vec<_> = catalog
            .iter()
            .map(|license| (license.name.as_str(), license.label, license.write))
            .collect();
        assert_eq!(
            seen,
            [
                ("category-strategy-user", None, ReadOnly),
                ("moon-base-user", None, Unproven),
                ("risk-assess-user", Some("Risk Assess User"), Writable),
            ]
        );
    }
}
