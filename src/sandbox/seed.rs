//! Deterministic dice and word lists: everything in the tenant is a function of a seed, a stream and an index.

use std::borrow::Cow;

use super::tenant::GroupKind;

/// A well-mixed number for (`seed`, `stream`, `index`); streams keep unrelated choices independent.
pub(super) fn mix(seed: u64, stream: u64, index: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0xd6e8_feb8_6659_fd93)
        .wrapping_add(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(index.wrapping_mul(0xbf58_476d_1ce4_e5b9))
        .wrapping_add(0x2545_f491_4f6c_dd1d);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// True in about `per_mille` of 1000 cases.
pub(super) fn chance(seed: u64, stream: u64, index: u64, per_mille: u64) -> bool {
    mix(seed, stream, index) % 1000 < per_mille
}

/// The entry of `list` chosen for (`seed`, `stream`, `index`).
pub(super) fn choose<T>(list: &[T], seed: u64, stream: u64, index: u64) -> &T {
    let len = list.len() as u64;
    let at = usize::try_from(mix(seed, stream, index) % len).unwrap_or(0);
    &list[at]
}

/// First names: as written, and the plain form used in logins.
pub(super) const FIRST_NAMES: [(&str, &str); 36] = [
    ("Alice", "alice"),
    ("Łukasz", "lukasz"),
    ("José", "jose"),
    ("Zoë", "zoe"),
    ("Søren", "soren"),
    ("明", "ming"),
    ("Ναταλία", "natalia"),
    ("Анна", "anna"),
    ("محمد", "mohammed"),
    ("Anne \"Annie\"", "anne"),
    ("Jean-Luc", "jeanluc"),
    ("D'Arcy", "darcy"),
    ("Priya", "priya"),
    ("Olu", "olu"),
    ("Mary Ann", "maryann"),
    ("Þóra", "thora"),
    ("Bob", "bob"),
    ("Carla", "carla"),
    ("Deepak", "deepak"),
    ("Emeka", "emeka"),
    ("François", "francois"),
    ("Grace", "grace"),
    ("Hanna", "hanna"),
    ("İbrahim", "ibrahim"),
    ("Jürgen", "jurgen"),
    ("Kenji", "kenji"),
    ("Li", "li"),
    ("Miguel", "miguel"),
    ("Nguyễn", "nguyen"),
    ("Ola", "ola"),
    ("Peter", "peter"),
    ("Quinn", "quinn"),
    ("Rosa", "rosa"),
    ("Sam", "sam"),
    ("Maximiliana-Theodora Konstantina Elisabet", "maximiliana"),
    ("👩‍💻 Tess", "tess"),
];

/// Last names, same form.
pub(super) const LAST_NAMES: [(&str, &str); 31] = [
    ("Smith", "smith"),
    ("O'Brien", "obrien"),
    ("Nuñez", "nunez"),
    ("Müller", "muller"),
    ("Łęcki", "lecki"),
    ("van der Berg", "vandenberg"),
    ("田中", "tanaka"),
    ("Κωνσταντίνου", "konstantinou"),
    ("Иванова", "ivanova"),
    ("الخوري", "khoury"),
    ("Patel", "patel"),
    ("Okafor", "okafor"),
    ("Smith & Sons", "smithsons"),
    ("<Test>", "test"),
    ("Null", "null"),
    ("Åström", "astrom"),
    ("Garcia", "garcia"),
    ("Kim", "kim"),
    ("Rossi", "rossi"),
    ("Dubois", "dubois"),
    ("Silva", "silva"),
    ("Novák", "novak"),
    ("Jensen", "jensen"),
    ("Haddad", "haddad"),
    ("Chen", "chen"),
    ("Ito", "ito"),
    ("Brown", "brown"),
    ("Yılmaz", "yilmaz"),
    ("Backslash \\ Jones", "jones"),
    ("de la Cruz", "delacruz"),
    ("Ward", "ward"),
];

/// Departments: id and name.
pub(super) const DEPARTMENTS: [(u64, &str); 10] = [
    (3, "Finance"),
    (4, "Procurement"),
    (9, "R&D"),
    (11, "Vertrieb (Süd)"),
    (12, "Legal"),
    (20, "People \"Ops\""),
    (21, "IT"),
    (35, "Marketing / Brand"),
    (2_147_483_700, "Research 研究"),
    (4_294_967_400, "Facilities"),
];

/// Roles every tenant starts with: name, description, omnipotent, system.
pub(super) const BASE_ROLES: [(&str, Option<&str>, bool, bool); 12] = [
    ("Admin", Some("Every permission"), true, true),
    ("User", Some("Basic rights of every user"), false, true),
    ("Supplier", None, false, true),
    (
        "CSP Invoice Manager",
        Some("Supplier portal: invoices"),
        false,
        true,
    ),
    ("CSP Order Viewer", None, false, true),
    ("Buyer", Some("Creates and changes orders"), false, true),
    (
        "Accounts Payable",
        Some("Enters and approves invoices"),
        false,
        true,
    ),
    (
        "Supplier Manager",
        Some("Not a supplier: manages them"),
        false,
        false,
    ),
    (
        "Third-Party Risk Reviewer",
        Some("Reviews risk assessments"),
        false,
        false,
    ),
    ("Prüfer \"extern\"", None, false, false),
    ("Reporting 報告", Some(""), false, false),
    ("Contract Admin & Legal", Some("Contracts <all>"), false, false),
];

/// The name of group `index`.
pub(super) fn group_name(index: usize, kind: GroupKind) -> Cow<'static, str> {
    match (index, kind) {
        (0, _) => "All Employees".into(),
        (1, GroupKind::Group) => "Approvers – Région Île-de-France".into(),
        (3, GroupKind::Group) => "Empty Shelf".into(),
        (_, GroupKind::Project) => format!("Project {index:03} \"Phoenix\"").into(),
        (_, GroupKind::Group) => format!("Group {index:03}").into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn dice_are_stable_and_spread() {
        assert_eq!(mix(1, 2, 3), mix(1, 2, 3));
        let hits = (0..10_000).filter(|&i| chance(7, 1, i, 300)).count();
        assert!((2_700..3_300).contains(&hits), "{hits}");
    }

    #[test]
    fn names_fit_coupas_forty_characters_almost_always() {
        let long = FIRST_NAMES
            .iter()
            .filter(|(name, _)| name.chars().count() > 40)
            .count();
        assert_eq!(long, 1, "one name is longer on purpose");
    }
}
