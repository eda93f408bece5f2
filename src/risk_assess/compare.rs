//! Whether two values of a column mean the same.
//!
//! Invariant: nothing is called equal or different that cannot be told: a value of which we cannot say what it means is compared as text.

use super::columns::Column;

/// Whether two texts mean the same in that column: letter case aside for what names an account, digits for telephones, meaning for yes and no.
pub(crate) fn same(column: Column, one: &str, other: &str) -> bool {
    match column {
        Column::Status | Column::IsSupplierUser | Column::IsAdministrator => match (yes(one), yes(other)) {
            (Some(one), Some(other)) => one == other,
            _ => folded(one) == folded(other),
        },
        Column::CoupaUsername
        | Column::Username
        | Column::Email
        | Column::AlternateEmail
        | Column::SsoUsername
        | Column::Country
        | Column::State => folded(one) == folded(other),
        Column::BusinessPhone | Column::BusinessExt | Column::Mobile | Column::Home | Column::Fax => {
            match (digits(one), digits(other)) {
                (one_digits, other_digits) if one_digits.is_empty() || other_digits.is_empty() => {
                    one == other
                }
                (one, other) => one == other,
            }
        }
        Column::CoupaUserId
        | Column::FirstName
        | Column::Middle
        | Column::LastName
        | Column::Prefix
        | Column::Title
        | Column::Address1
        | Column::Address2
        | Column::City
        | Column::PostalCode
        | Column::County
        | Column::Culture
        | Column::UserGroup
        | Column::FailedAt => one == other,
    }
}

/// A text with letter case aside.
pub(crate) fn folded(text: &str) -> Box<str> {
    text.to_lowercase().into()
}

/// Its digits.
pub(crate) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// What a cell of a column like `Status` or `IsAdministrator` says; `None` if it cannot be told.
pub(crate) fn yes(text: &str) -> Option<bool> {
    match &*folded(text) {
        "yes" | "y" | "true" | "1" | "active" | "activated" | "enabled" => Some(true),
        "no" | "n" | "false" | "0" | "inactive" | "deactivated" | "disabled" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_in_its_own_way() {
        for (column, one, other, equal) in [
            (Column::Email, "Ann@Example.com", "ann@example.COM", true),
            (Column::FirstName, "Ann", "ann", false),
            (Column::Mobile, "(555) 123-4567", "5551234567", true),
            (Column::Mobile, "none", "unknown", false),
            (Column::Mobile, "none", "none", true),
            (Column::Status, "Active", "Yes", true),
            (Column::Status, "Inactive", "yes", false),
            (Column::Status, "Pending", "pending", true),
            (Column::Status, "Pending", "No", false),
            (Column::Country, "us", "US", true),
            (Column::City, "Bern ", "Bern", false),
        ] {
            assert_eq!(same(column, one, other), equal, "{column:?}: {one} and {other}");
            assert_eq!(same(column, other, one), equal, "{column:?}: {other} and {one}");
        }
    }
}
