#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::model::downstream::{Expectation, Link, Load, Reading, Record, Standing};
use crate::model::id::UserId;
use crate::risk_assess::sheet::{self, Tint};
use crate::risk_assess::{grid, sheet::Section};

const MANDATORY: &str = "First Name,Last Name,Email,Coupa Username,Coupa User ID";

fn template(text: &str) -> Template {
    check(sheet::read(text.as_bytes()).unwrap()).unwrap()
}

fn by_grid(text: &str) -> Known {
    let grid = grid::parse(&sheet::read(text.as_bytes()).unwrap()).unwrap();
    Known::grid(&grid, "grid.csv", date(2026, 11, 20))
}

fn nobody() -> Known {
    by_grid("Email\n")
}

/// Lines by section, with the reasons of the last.
fn lines(sorted: &Sorted) -> (Vec<u64>, Vec<u64>, BTreeMap<u64, String>) {
    let of = |placed: &[Placed]| placed.iter().map(|placed| placed.row.line()).collect();
    let problem = sorted.problem.iter();
    (
        of(&sorted.new),
        of(&sorted.update),
        problem
            .map(|refused| (refused.row.line(), refused.reasons.join("; ")))
            .collect(),
    )
}

fn sorted(text: &str, known: &Known) -> Sorted {
    sort(template(text), known)
}

/// Why the only row of a file is a problem.
fn problem(header: &str, row: &str, known: &Known) -> String {
    let sorted = sorted(&format!("{header}\n{row}\n"), known);
    let (new, update, problem) = lines(&sorted);
    assert!(new.is_empty() && update.is_empty(), "{row} is no problem");
    problem[&2].clone()
}

#[test]
fn all_missing_columns_are_told_at_once() {
    let sheet = sheet::read(b"Email,City,City\na@b.com,Bern,Bern\n").unwrap();
    let fault = check(sheet).err().unwrap();
    assert_eq!(
        fault.to_string(),
        "the file lacks mandatory columns: First Name, Last Name, Coupa Username, Coupa User ID; \
         name them in the first line; nothing was applied"
    );
    let twice = format!("{MANDATORY},E-mail\nAnn,Lee,a@b.com,ann,7,a@b.com\n");
    let fault = check(sheet::read(twice.as_bytes()).unwrap()).err().unwrap();
    assert!(fault.to_string().contains("more than one column for Email"));
}

#[test]
fn rows_that_are_wrong_by_themselves() {
    let header = format!("{MANDATORY},Status,Administrator,Supplier User,Alternate Email");
    for (row, told) in [
        (",,,,,,,,", "First Name is blank; Last Name is blank"),
        ("Ann,Lee,ann@b.com,ann,x7,,,,", "Coupa User ID is not a positive whole number"),
        ("Ann,Lee,ann@b.com,ann,0,,,,", "Coupa User ID is not a positive whole number"),
        ("Ann,Lee,ann b@b.com,ann,7,,,,", "Email has white space"),
        ("Ann,Lee,ann.b.com,ann,7,,,,", "Email needs exactly one @"),
        ("Ann,Lee,a@b@b.com,ann,7,,,,", "Email needs exactly one @"),
        ("Ann,Lee,@b.com,ann,7,,,,", "Email has nothing on one side"),
        ("Ann,Lee,ann@com,ann,7,,,,", "Email has no full domain"),
        ("Ann,Lee,a..b@b.com,ann,7,,,,", "Email has two dots"),
        ("Ann,Lee,ann.@b.com,ann,7,,,,", "Email has two dots in a row, or one right before the @"),
        ("Ann,Lee,ann@b.com,ann,7,,Yes,,", "an administrator's"),
        ("Ann,Lee,ann@b.com,ann,7,,,true,", "a supplier's"),
        ("Ann,Lee,ann@b.com,ann,7,,maybe,,", "Administrator is neither Yes nor No"),
        ("Ann,Lee,ann@b.com,ann,7,soon,,,", "Status says neither active nor inactive"),
        ("Ann,Lee,ann@b.com,ann,7,,,,x", "Alternate Email needs exactly one @"),
    ] {
        // A row that holds nothing at all is no row.
        let row = if row.starts_with(',') { ",,,,7,,,," } else { row };
        let reason = problem(&header, row, &nobody());
        assert!(reason.contains(told), "{row}: {reason}");
        assert!(!reason.contains("ann") && !reason.contains("Lee"), "no values: {reason}");
    }
    let fine = sorted(
        &format!("{header}\nAnn,O'Lee,o'lee+x@b.museum,ann,7,Inactive,no,0,\n"),
        &nobody(),
    );
    assert_eq!(fine.new.len(), 1);
}

#[test]
fn two_rows_for_one_user_are_both_a_problem() {
    let sorted = sorted(
        &format!(
            "{MANDATORY}\n\
             A,L,a@b.com,a,1\n\
             B,L,b@b.com,b,1\n\
             C,L,c@b.com,c,3\n\
             D,L,d@b.com,C,4\n\
             E,L,e@b.com,e,5\n\
             F,L,E@B.com,f,6\n\
             G,L,e@b.com,g,7\n\
             H,L,h@b.com,h,8\n"
        ),
        &nobody(),
    );
    let (new, _, problem) = lines(&sorted);
    assert_eq!(new, [9]);
    assert_eq!(problem[&2], "line 3 has the same Coupa User ID");
    assert_eq!(problem[&3], "line 2 has the same Coupa User ID");
    assert_eq!(problem[&5], "line 4 has the same Coupa Username");
    assert_eq!(problem[&7], "line 6 (one of 2) has the same Email");
}

/// Line 2: linked by id and name; 3: linked by name; 4: made by hand; 5 and 6: one address; 7: an administrator.
const GRID: &str = "Coupa User ID,Coupa Username,Username,Email,First Name,Last Name,Status,Mobile,Culture,Administrator,Supplier User\n\
    7,ann,ann@b.com,ann@b.com,Ann,Lee,Active,555-123-4567,en-US,No,No\n\
    ,bo,bo@b.com,bo@b.com,Bo,Lee,Active,,en-US,No,No\n\
    ,,cy,cy@b.com,Cy,Lee,Active,,en-US,No,No\n\
    ,,d1,di@b.com,Di,Lee,Active,,,No,No\n\
    ,,d2,di@b.com,Di,Lee,Active,,,No,No\n\
    9,eve,eve@b.com,eve@b.com,Eve,Lee,Active,,,Yes,No\n\
    10,old,fay@b.com,fay@c.com,Fay,Lee,Active,,,No,No\n";

#[test]
fn matching_by_id_then_username_then_address_and_never_by_guess() {
    let known = by_grid(GRID);
    let placed = |row: &str| {
        let sorted = sorted(&format!("{MANDATORY}\n{row}\n"), &known);
        let (new, update, problem) = lines(&sorted);
        match (new.len(), update.len()) {
            (1, 0) => "new".to_owned(),
            (0, 1) => {
                let account = sorted.update[0].account.as_ref().unwrap();
                format!("{} {:?}", account.link.name(), account.upkeep)
            }
            _ => format!("problem: {}", problem[&2]),
        }
    };
    assert_eq!(placed("Ann,Lee,ann@b.com,ann,7"), "coupa-id Synced");
    assert_eq!(placed("Ann,Lee,ann@b.com,renamed,7"), "coupa-id Synced");
    assert_eq!(placed("Bo,Lee,new@b.com,BO,8"), "username Synced");
    assert_eq!(placed("Cy,Lee,CY@b.com,cyrus,11"), "email ByHand");
    assert_eq!(placed("New,Lee,new@b.com,new,12"), "new");
    for row in [
        // The username is that of the account of another id.
        "Ann,Lee,new@b.com,ann,8",
        // The address is.
        "Ann,Lee,ann@b.com,new,8",
        // The address is that of an account with another Coupa username.
        "Bo,Lee,bo@b.com,new,8",
        // Two accounts have the address.
        "Di,Lee,di@b.com,di,12",
        // Id and username lead apart; id and address lead apart.
        "Ann,Lee,new@b.com,bo,7",
        "Ann,Lee,cy@b.com,ann,7",
        // An administrator's account.
        "Eve,Lee,eve@b.com,eve,9",
        // The user name of another account: an import would change that one.
        "New,Lee,fay@b.com,new,12",
    ] {
        let told = placed(row);
        assert!(told.starts_with("problem: "), "{row}: {told}");
        assert!(!told.contains("b.com") && !told.contains("Lee"), "{told}");
    }
}

#[test]
fn two_rows_that_meet_one_account_are_both_a_problem() {
    // By id and by user name of a line that shows no id: only the grid can tell that these are one.
    let known = by_grid("Coupa Username,Email\nann,ann@b.com\n,bo@b.com\n");
    let text = format!("{MANDATORY}\nAnn,Lee,x@b.com,ann,7\nAnn,Lee,ann@b.com,ann2,8\n");
    let (new, update, problem) = lines(&sorted(&text, &known));
    assert_eq!((new.len(), update.len(), problem.len()), (0, 1, 1), "the second is somebody else's");
    let known = by_grid("Coupa User ID,Coupa Username,Email\n7,,\n");
    let text = format!("{MANDATORY}\nAnn,Lee,x@b.com,ann,7\nAnn,Lee,y@b.com,ann2,7\n");
    let (_, _, problem) = lines(&sorted(&text, &known));
    assert_eq!(problem[&3], "line 2 has the same Coupa User ID; line 2 is for the same account");
}

fn header_of(columns: &str) -> String {
    format!("{MANDATORY},{columns}")
}

#[test]
fn protected_fields_of_synced_users_are_marked_where_they_differ() {
    let header = header_of("Status,Mobile,County,Culture,Username");
    let text = format!(
        "{header}\n\
         Anna,Lee,ANN@b.com,Ann,7,yes,(555) 123 4567,Kent,de-DE,\n\
         Cyrus,Lee,cy@b.com,cyrus,11,No,1,Kent,de-DE,\n\
         New,Lee,new@b.com,new,12,No,1,Kent,de-DE,\n"
    );
    let sorted = sorted(&text, &by_grid(GRID));
    let marked: Vec<Vec<Column>> = sorted
        .update
        .iter()
        .chain(&sorted.new)
        .map(|placed| placed.marked.iter().copied().collect())
        .collect();
    // Case, dashes and words for yes do not matter; the grid does not show the county.
    assert_eq!(marked[0], [Column::FirstName, Column::County]);
    assert!(marked[1].is_empty(), "made by hand: nothing is protected");
    assert!(marked[2].is_empty(), "new");

    let [_, update, _]: [Section; 3] = sections(&sorted).try_into().ok().unwrap();
    let tinted: Vec<&str> = update.rows[0]
        .iter()
        .filter(|cell| cell.tint == Tint::Marked)
        .map(|cell| cell.text.as_str())
        .collect();
    assert_eq!(tinted, ["Anna", "Kent"]);
    assert!(update.notice.unwrap().starts_with(notice()));
}

fn record(user: u64, standing: Standing, link: Option<Link>) -> Record {
    let at = Timestamp::from_second(1_780_000_000).unwrap();
    let digest = |text: &str| fingerprint(text.as_bytes());
    Record {
        user: UserId::new(user).unwrap(),
        expectation: Expectation::Active,
        standing,
        since: at,
        evidence: "".into(),
        link: link.map(|link| (link, date(2026, 11, 20))),
        reading: Reading {
            at,
            updated_at: None,
            licensed: true,
            active: true,
            fields: digest("fields"),
            login: digest(&format!("user{user}")),
            email: Some(digest(&format!("user{user}@b.com"))),
        },
        judged: None,
        problems: Vec::new(),
    }
}

fn ledger_row(user: u64) -> String {
    format!("U,Lee,USER{user}@b.com,User{user},{user},en-US,No,No\n")
}

#[test]
fn against_the_ledger_no_value_is_compared_and_every_claim_is_kept_small() {
    let records = [
        record(1, Standing::Seen(date(2026, 11, 20)), Some(Link::CoupaId)),
        record(2, Standing::Expected, None),
        record(3, Standing::Delivered, None),
        record(4, Standing::Rejected, None),
        record(5, Standing::Doubtful, Some(Link::Email)),
        record(6, Standing::Unknown, None),
    ];
    let known = Known::ledger(&records, Timestamp::from_second(1_780_000_000).unwrap());
    assert_eq!(known.source().to_string(), "ledger as of 2026-05-28 20:26:40Z");
    let mut text = header_of("Culture,Administrator,Supplier User") + "\n";
    for user in 1..=7 {
        text += &ledger_row(user);
    }
    let header = header_of("Culture,Administrator,Supplier User");
    let sorted = sorted(&text, &known);
    let (new, update, problem) = lines(&sorted);
    assert_eq!((new, update), (vec![3, 5, 7, 8], vec![2, 4, 6]));
    assert!(problem.is_empty(), "{problem:?}");
    let all: Vec<Column> = vec![
        Column::CoupaUsername,
        Column::Email,
        Column::FirstName,
        Column::LastName,
    ];
    let marked = |placed: &Placed| placed.marked.iter().copied().collect::<Vec<_>>();
    assert_eq!(marked(&sorted.update[0]), all, "seen linked: every protected value");
    assert_eq!(marked(&sorted.new[0]), all, "the sync is expected to make it");
    assert!(marked(&sorted.update[1]).is_empty() && marked(&sorted.new[1]).is_empty());
    for row in ["U,L,x@b.com,user1,9,,,", "U,L,user1@b.com,x,9,,,", "U,L,user1@b.com,user2,2,,,"] {
        let told = self::problem(&header, row, &known);
        assert!(told.contains('1'), "{told}");
    }

    let out = loads(&sorted, Door::QuickIntegration, &fingerprint(b"file"));
    let sent: Vec<u64> = out.loads.iter().map(line_of).collect();
    assert_eq!(sent, [5, 7, 8], "new ones that no sync makes");
    let unsent: Vec<u64> = out.unsent.iter().map(|unsent| unsent.line).collect();
    assert_eq!(unsent, [2, 3, 4, 6]);
    assert!(out.unsent[0].reason.contains("grid"), "{}", out.unsent[0].reason);
}

fn line_of(load: &Load) -> u64 {
    match load {
        Load::Row { line, .. } => *line,
        Load::User(_) => panic!("not of a file"),
    }
}

fn cells_of(load: &Load) -> BTreeMap<&str, &str> {
    match load {
        Load::Row { cells, .. } => cells.iter().map(|(name, text)| (&**name, &**text)).collect(),
        Load::User(_) => panic!("not of a file"),
    }
}

#[test]
fn what_is_sent() {
    let header = header_of("Status,Culture,Shoe size,Middle,Administrator");
    let text = format!(
        "{header}\n\
         Anna,Lea,ann@b.com,ann,7,no,de-DE,38,,\n\
         Ann,Lee,ann2@b.com,bo,8,,de-DE,38,,\n\
         Cyrus,Lee,cy@b.com,cyrus,11,inactive,,44,K.,\n\
         New,Lee,new@b.com,new,12,,,,,no\n"
    );
    let grid = GRID.replace(",cy,", ",,");
    let sorted = sorted(&text, &by_grid(&grid));
    let file = fingerprint(b"file");
    let out = loads(&sorted, Door::QuickIntegration, &file);
    let sent: Vec<_> = out.loads.iter().map(|load| (line_of(load), cells_of(load))).collect();
    assert_eq!(
        sent,
        [
            (
                2,
                BTreeMap::from([
                    // As the account has it: Anna, Lea and no are left alone.
                    ("EmailAddress", "ann@b.com"),
                    ("FirstName", "Ann"),
                    ("LastName", "Lee"),
                    ("Activated", "Yes"),
                    ("IsSupplierUser", "No"),
                    ("IsAdministrator", "No"),
                    ("Culture", "de-DE"),
                ])
            ),
            (
                4,
                BTreeMap::from([
                    ("EmailAddress", "cy@b.com"),
                    ("FirstName", "Cyrus"),
                    ("LastName", "Lee"),
                    ("Middle", "K."),
                    ("Activated", "No"),
                    ("IsSupplierUser", "No"),
                    ("IsAdministrator", "No"),
                ])
            ),
            (
                5,
                BTreeMap::from([
                    ("EmailAddress", "new@b.com"),
                    ("FirstName", "New"),
                    ("LastName", "Lee"),
                    ("Activated", "Yes"),
                    ("IsSupplierUser", "No"),
                    ("IsAdministrator", "No"),
                ])
            ),
        ]
    );
    assert_eq!(out.unsent.len(), 1);
    assert_eq!(out.unsent[0].line, 3);
    assert!(out.unsent[0].reason.contains("another account"), "{}", out.unsent[0].reason);
    assert_eq!(out.left_out, [Column::CoupaUsername, Column::CoupaUserId]);
    assert!(out.loads.iter().all(|load| matches!(load, Load::Row { file: of, .. } if *of == file)));

    let out = loads(&sorted, Door::File, &file);
    let sent: Vec<_> = out.loads.iter().map(|load| (line_of(load), cells_of(load))).collect();
    assert_eq!(
        sent[0],
        (
            2,
            BTreeMap::from([
                ("First Name", "Ann"),
                ("Last Name", "Lee"),
                ("Email", "ann@b.com"),
                ("Coupa Username", "ann"),
                ("Coupa User ID", "7"),
                ("Culture", "de-DE"),
            ])
        )
    );
    assert_eq!(sent.len(), 4);
}

#[test]
fn a_row_that_would_change_nothing_is_told_and_not_sent() {
    let header = header_of("Culture,Mobile");
    let text = format!(
        "{header}\n\
         Anna,Lea,ann@b.com,ann,7,en-US,999\n\
         Cy,Lee,cy@b.com,cyrus,11,en-US,\n"
    );
    let sorted = sorted(&text, &by_grid(GRID));
    let out = loads(&sorted, Door::QuickIntegration, &fingerprint(b""));
    assert!(out.loads.len() < 2);
    assert_eq!(
        out.unsent[0].reason,
        "nothing is left to write: the user is kept in sync with Coupa"
    );
    assert_eq!(sorted.update[0].marked.len(), 3);
}

#[test]
fn under_native_delivery_nothing_is_applied() {
    assert_eq!(may_apply(Delivery::QuickIntegration).ok(), Some(Door::QuickIntegration));
    assert_eq!(may_apply(Delivery::File).ok(), Some(Door::File));
    let fault = may_apply(Delivery::Native).err().unwrap();
    assert_eq!(*fault.kind(), FaultKind::Refused);
    assert!(fault.advice().unwrap().contains("--risk-assess-delivery"));
}

/// Rows of a small world, so that they meet each other and the grid.
fn rows() -> impl Strategy<Value = Vec<[u8; 6]>> {
    prop::collection::vec([0u8..7, 0..7, 0..7, 0..3, 0..4, 0..3], 0..24)
}

fn row_text([id, login, email, name, flag, culture]: [u8; 6]) -> String {
    let id = ["", "x", "1", "2", "3", "4", "5"][usize::from(id)];
    let login = ["", "a", "A", "b", "c", "d", "e"][usize::from(login)];
    let email = ["", "bad", "a@b.com", "A@b.com", "b@b.com", "c@b.com", "d@b.com"][usize::from(email)];
    let name = ["", "Ann", "Bo"][usize::from(name)];
    let flag = ["", "No", "Yes", "?"][usize::from(flag)];
    let culture = ["", "en-US", "de-DE"][usize::from(culture)];
    format!("{id},{login},{email},{name},Lee,{flag},{culture},keep\n")
}

proptest! {
    #[test]
    fn every_row_ends_in_one_section_in_its_order_and_nothing_protected_is_sent(file in rows(), shown in rows()) {
        let header = "Coupa User ID,Coupa Username,Email,First Name,Last Name,Administrator,Culture";
        let text = file.iter().fold(format!("{header},Own\n"), |text, row| text + &row_text(*row));
        let grid = shown.iter().fold(format!("{header},Own\n"), |text, row| text + &row_text(*row));
        let known = by_grid(&grid);
        let template = template(&text);
        let cells: BTreeMap<u64, Vec<String>> =
            template.rows.iter().map(|row| (row.line(), row.cells.clone())).collect();
        let sorted = sort(template, &known);
        let (new, update, problem) = lines(&sorted);
        let mut seen = BTreeSet::new();
        for section in [&new, &update, &problem.keys().copied().collect()] {
            prop_assert!(section.is_sorted());
            for line in section {
                prop_assert!(seen.insert(*line), "line {line} twice");
            }
        }
        prop_assert_eq!(seen.len(), file.len());
        let refused: Vec<u64> = sorted.problem.iter().map(|refused| refused.row.line()).collect();
        prop_assert!(refused.is_sorted());
        prop_assert!(sorted.problem.iter().all(|refused| !refused.reasons.is_empty()));
        for (section, name) in sections(&sorted).iter().zip(["New Data", "Update Data", "Problem Data"]) {
            prop_assert_eq!(&*section.title, name);
            for row in &section.rows {
                prop_assert_eq!(row.len(), section.header.len());
                let text: Vec<String> = row.iter().take(8).map(|cell| cell.text.clone()).collect();
                prop_assert!(cells.values().any(|cells| *cells == text), "changed");
            }
        }
        for door in [Door::QuickIntegration, Door::File] {
            let out = loads(&sorted, door, &fingerprint(b""));
            let mut told: Vec<u64> = out.loads.iter().map(line_of).collect();
            told.extend(out.unsent.iter().map(|unsent| unsent.line));
            told.sort_unstable();
            let mut placed = [new.clone(), update.clone()].concat();
            placed.sort_unstable();
            prop_assert_eq!(told, placed, "sent or told");
            for load in &out.loads {
                let cells = cells_of(load);
                prop_assert!(cells.values().all(|text| !text.is_empty()));
                prop_assert_ne!(cells.get("IsAdministrator").copied(), Some("Yes"));
                let synced = sorted.update.iter().find(|placed| placed.row.line() == line_of(load) && placed.upkeep == Upkeep::Synced);
                let Some(placed) = synced else { continue };
                let theirs = placed.account.as_ref().unwrap().theirs.as_ref().unwrap();
                for (name, text) in cells {
                    let column = Column::of_header(name).unwrap();
                    if Column::PROTECTED.contains(&column) && column != Column::Email {
                        if let Some(theirs) = theirs.get(column) {
                            prop_assert_eq!(text, theirs, "{} is another", name);
                        }
                    }
                }
            }
        }
    }
}
