//! People of whom it is known what must become of their rows: made by case, not by the rules that are tested.

use std::collections::BTreeMap;

/// Columns of the grid.
pub const GRID: [&str; 11] = [
    "Username",
    "Coupa Username",
    "Coupa User ID",
    "Email",
    "First Name",
    "Last Name",
    "Mobile",
    "Status",
    "Culture",
    "Administrator",
    "Supplier User",
];

/// What a row is made to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Nobody knows the account.
    New,
    /// Linked; everything as it is.
    SyncedSame,
    /// Linked; another first name, city and culture.
    SyncedDiffers,
    /// Linked by id, with a new login and a new culture.
    SyncedRenamed,
    /// Made by hand; another first name and status.
    ByHand,
    /// No last name.
    Blank,
    /// An address that is none.
    BadAddress,
    /// The login is that of an account of another Coupa user.
    OtherOwner,
    /// An administrator, or a supplier.
    Privileged,
    /// Two rows with one id.
    Twin,
}

impl Case {
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::SyncedSame,
        Self::SyncedDiffers,
        Self::SyncedRenamed,
        Self::ByHand,
        Self::Blank,
        Self::BadAddress,
        Self::OtherOwner,
        Self::Privileged,
        Self::Twin,
    ];

    pub fn section(self) -> &'static str {
        match self {
            Self::New => "New Data",
            Self::SyncedSame | Self::SyncedDiffers | Self::SyncedRenamed | Self::ByHand => "Update Data",
            Self::Blank | Self::BadAddress | Self::OtherOwner | Self::Privileged | Self::Twin => {
                "Problem Data"
            }
        }
    }

    /// Whether a cell under that header is one that will not be written.
    pub fn marks(self, header: &str) -> bool {
        let column = plain(header);
        match self {
            // The grid does not show the city.
            Self::SyncedSame => ["city", "town"].contains(&&*column),
            Self::SyncedDiffers => ["firstname", "givenname", "city", "town"].contains(&&*column),
            Self::SyncedRenamed => ["coupausername", "coupalogin", "city", "town"].contains(&&*column),
            _ => false,
        }
    }

    /// A part of the reason.
    pub fn told(self) -> &'static str {
        match self {
            Self::Blank => "Last Name is blank",
            Self::BadAddress => "Email needs exactly one @",
            Self::OtherOwner => "another Coupa user",
            Self::Privileged => "never sent",
            Self::Twin => "has the same Coupa User ID",
            _ => panic!("no problem"),
        }
    }
}

/// One row.
#[derive(Debug)]
pub struct Person {
    pub number: u64,
    pub case: Case,
}

impl Person {
    pub fn new(number: u64) -> Self {
        let case = Case::ALL[usize::try_from(number % 10).unwrap()];
        Self { number, case }
    }

    fn id(&self) -> u64 {
        match self.case {
            // The row ten before has the same.
            Case::Twin if self.number % 20 == 19 => self.number - 10 + 1_000,
            _ => self.number + 1_000,
        }
    }

    fn login(&self) -> String {
        format!("user.{}", self.number)
    }

    fn email(&self) -> String {
        format!("o'hara+{}@example.com", self.number)
    }

    /// The cell of a file under that header.
    pub fn cell(&self, header: &str) -> String {
        let text = |text: &str| text.to_owned();
        match (&*plain(header), self.case) {
            ("coupauserid", _) => self.id().to_string(),
            // Case aside it is the same.
            ("coupausername" | "coupalogin", Case::SyncedSame) => self.login().to_uppercase(),
            ("coupausername" | "coupalogin", Case::SyncedRenamed) => format!("renamed.{}", self.number),
            ("coupausername" | "coupalogin", _) => self.login(),
            ("email", Case::BadAddress) => format!("user{}.example.com", self.number),
            ("email", _) => self.email(),
            ("firstname" | "givenname", Case::SyncedDiffers | Case::ByHand) => text("Änne <& co>"),
            ("firstname" | "givenname", _) => text("=Ann, \"the\" first"),
            ("lastname" | "surname", Case::Blank) => String::new(),
            ("lastname" | "surname", _) => format!("Lee {}", self.number),
            ("city" | "town", Case::New | Case::SyncedSame | Case::SyncedDiffers | Case::SyncedRenamed) => {
                text("Zürich")
            }
            ("mobile" | "mobilephone", Case::SyncedSame | Case::SyncedDiffers) => text("+(555) 123-4567"),
            ("status" | "activated", Case::SyncedSame) => text("Yes"),
            ("status" | "activated", Case::ByHand) => text("inactive"),
            ("culture", Case::SyncedDiffers | Case::SyncedRenamed) => text("de-CH"),
            ("culture", Case::SyncedSame) => text("en-US"),
            ("administrator" | "isadministrator", Case::Privileged) if self.number % 20 < 10 => text("Yes"),
            ("supplieruser", Case::Privileged) if self.number % 20 >= 10 => text("true"),
            ("administrator" | "isadministrator", Case::ByHand) => text("No"),
            ("shoesize", _) => (36 + self.number % 10).to_string(),
            ("costcenter", _) => format!("CC-{}", self.number),
            _ => String::new(),
        }
    }

    /// Its row in the grid.
    pub fn grid(&self) -> Option<Vec<String>> {
        let (login, id) = match self.case {
            Case::SyncedSame | Case::SyncedDiffers => (self.login(), String::new()),
            Case::SyncedRenamed => (self.login(), self.id().to_string()),
            Case::ByHand => (String::new(), String::new()),
            Case::OtherOwner => (self.login(), (self.id() + 1_000_000).to_string()),
            _ => return None,
        };
        let email = match self.case {
            Case::OtherOwner => format!("else{}@example.com", self.number),
            _ => self.email().to_uppercase(),
        };
        Some(vec![
            email.clone(),
            login,
            id,
            email,
            "=Ann, \"the\" first".to_owned(),
            format!("Lee {}", self.number),
            "555 123 4567".to_owned(),
            "Active".to_owned(),
            "en-US".to_owned(),
            "No".to_owned(),
            "No".to_owned(),
        ])
    }

    /// What of it is sent through the HTTPS import, by the names of D501.
    pub fn sent(&self) -> Option<BTreeMap<String, String>> {
        let special: &[(&str, &str)] = match self.case {
            Case::New => &[
                ("FirstName", "=Ann, \"the\" first"),
                ("Activated", "Yes"),
                ("City", "Zürich"),
            ],
            // Names as the account has them; the culture is not protected.
            Case::SyncedDiffers | Case::SyncedRenamed => &[
                ("FirstName", "=Ann, \"the\" first"),
                ("Activated", "Yes"),
                ("Culture", "de-CH"),
            ],
            Case::ByHand => &[("FirstName", "Änne <& co>"), ("Activated", "No")],
            _ => return None,
        };
        let last = format!("Lee {}", self.number);
        let email = self.email();
        let always = [
            ("EmailAddress", &*email),
            ("LastName", &*last),
            ("IsSupplierUser", "No"),
            ("IsAdministrator", "No"),
        ];
        let cells = always.iter().chain(special);
        Some(
            cells
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
        )
    }
}

/// Letters of a header.
fn plain(header: &str) -> String {
    let letters = header.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}
