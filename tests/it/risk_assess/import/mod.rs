//! The user import with files of 5,000 rows: three sections right to the row, highlighted as they must be, and nothing protected sent.

mod people;
mod workbook;

use std::collections::{BTreeMap, BTreeSet};

use baton_coupa::model::downstream::Load;
use baton_coupa::risk_assess::grid;
use baton_coupa::risk_assess::import::{self, Door, Known, Sorted};
use baton_coupa::risk_assess::sheet;

use people::{Case, Person};
use workbook::Workbook;

const ROWS: u64 = 5_000;

/// Orders of columns in which files come; the last two mean nothing to an import.
const ORDERS: [[&str; 14]; 3] = [
    [
        "First Name",
        "Last Name",
        "Email",
        "Coupa Username",
        "Coupa User ID",
        "City",
        "Mobile",
        "Status",
        "Culture",
        "Middle",
        "Administrator",
        "Supplier User",
        "Shoe size",
        "Cost Center",
    ],
    [
        "Shoe size",
        "coupa_user_id",
        "SUPPLIER USER",
        "E-mail",
        "IsAdministrator",
        "Activated",
        "Cost Center",
        "surname",
        "Given Name",
        "culture",
        "MobilePhone",
        "Town",
        "middle name",
        "Coupa Login",
    ],
    [
        "Coupa User ID *",
        "Cost Center",
        "Email *",
        "Culture",
        "Middle",
        "Last Name *",
        "City",
        "Administrator",
        "First Name *",
        "Mobile",
        "Status",
        "Supplier User",
        "Coupa Username *",
        "Shoe size",
    ],
];

fn csv_of(header: &[&str], rows: &[Vec<String>], separator: u8) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(separator)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    writer.write_record(header).unwrap();
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

/// As a spreadsheet stores it: a whole number is a number.
fn xlsx_of(header: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    sheet.write_row(0, 0, header.iter().copied()).unwrap();
    for (row, number) in rows.iter().zip(1..) {
        for (text, column) in row.iter().zip(0..) {
            match text.parse::<u32>() {
                Ok(value) => sheet.write_number(number, column, value).unwrap(),
                Err(_) => sheet.write_string(number, column, text).unwrap(),
            };
        }
    }
    book.save_to_buffer().unwrap()
}

fn people() -> Vec<Person> {
    (0..ROWS).map(Person::new).collect()
}

fn rows_of(people: &[Person], header: &[&str]) -> Vec<Vec<String>> {
    people
        .iter()
        .map(|person| header.iter().map(|name| person.cell(name)).collect())
        .collect()
}

fn grid_of(people: &[Person]) -> grid::Grid {
    let rows: Vec<Vec<String>> = people.iter().filter_map(Person::grid).collect();
    grid::parse(&sheet::read(&csv_of(&people::GRID, &rows, b',')).unwrap()).unwrap()
}

fn sorted(bytes: &[u8], grid: &grid::Grid) -> Sorted {
    let template = import::check(sheet::read(bytes).unwrap()).unwrap();
    let known = Known::grid(grid, "grid.csv", jiff::civil::date(2026, 11, 20));
    import::sort(template, &known)
}

/// What the workbook shows, against what each person is made to be.
fn compare(book: &Workbook, people: &[Person], header: &[&str], rows: &[Vec<String>]) {
    for (place, section) in ["New Data", "Update Data", "Problem Data"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(book.sheets[place].0, section);
        let mut shown = book.sheets[place].1.iter();
        let first: Vec<&str> = shown
            .next()
            .unwrap()
            .iter()
            .map(|cell| cell.text.as_str())
            .collect();
        assert_eq!(&first[..header.len()], header, "the header as it was");
        let expected = people
            .iter()
            .zip(rows)
            .filter(|(person, _)| person.case.section() == section);
        let mut count = 0;
        for (person, row) in expected {
            let cells = shown
                .next()
                .unwrap_or_else(|| panic!("{section} ends before {person:?}"));
            let texts: Vec<&str> = cells.iter().map(|cell| cell.text.as_str()).collect();
            assert_eq!(&texts[..row.len()], row, "{section}: {person:?}");
            for (cell, name) in cells.iter().zip(header) {
                let marked = person.case.marks(name);
                assert_eq!(cell.yellow, marked, "{section}, {name}: {person:?}");
            }
            if section == "Problem Data" {
                assert_eq!(texts[row.len()], (person.number + 2).to_string(), "its line");
                let told = person.case.told();
                assert!(texts[row.len() + 1].contains(told), "{person:?}: {texts:?}");
            }
            count += 1;
        }
        assert!(count >= 500, "{section} has only {count} rows");
        let rest: Vec<String> = shown
            .flat_map(|cells| cells.iter().map(|cell| cell.text.clone()))
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(rest.len(), 1, "{section}: nothing but what is told below");
        let notice = rest[0].contains("Fields on yellow will not be written");
        assert_eq!(notice, section != "Problem Data", "{rest:?}");
        assert!(rest[0].contains("grid.csv of 2026-11-20"), "the source is stated");
    }
}

#[test]
fn three_sections_right_to_the_row_whatever_form_and_order_the_file_has() {
    let people = people();
    let grid = grid_of(&people);
    for (order, form) in ORDERS.iter().zip(["csv", "xlsx", "semicolons"]) {
        let rows = rows_of(&people, order);
        let bytes = match form {
            "csv" => csv_of(order, &rows, b','),
            "xlsx" => xlsx_of(order, &rows),
            _ => csv_of(order, &rows, b';'),
        };
        let sorted = sorted(&bytes, &grid);
        let unknown: BTreeSet<&str> = sorted.layout.unknown().iter().map(String::as_str).collect();
        assert_eq!(unknown, BTreeSet::from(["Cost Center", "Shoe size"]), "{form}");
        let written = sheet::xlsx(&import::sections(&sorted)).unwrap();
        compare(&Workbook::read(&written), &people, order, &rows);
    }
}

#[test]
fn what_is_sent_leaves_protected_fields_as_they_are() {
    let people = people();
    let grid = grid_of(&people);
    let bytes = xlsx_of(&ORDERS[1], &rows_of(&people, &ORDERS[1]));
    let sorted = sorted(&bytes, &grid);
    let file = import::fingerprint(&bytes);
    let out = import::loads(&sorted, Door::QuickIntegration, &file);
    let sent: BTreeMap<u64, &BTreeMap<Box<str>, Box<str>>> = out
        .loads
        .iter()
        .map(|load| match load {
            Load::Row {
                file: of,
                line,
                cells,
            } => {
                assert_eq!(*of, file);
                (*line, cells)
            }
            Load::User(_) => panic!("no row of the file"),
        })
        .collect();
    let unsent: BTreeSet<u64> = out.unsent.iter().map(|unsent| unsent.line).collect();
    for person in &people {
        let line = person.number + 2;
        let expected = person.sent();
        let cells = sent.get(&line).map(|cells| {
            cells
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect::<BTreeMap<_, _>>()
        });
        assert_eq!(cells, expected, "{person:?}");
        let told = person.case.section() != "Problem Data" && expected.is_none();
        assert_eq!(unsent.contains(&line), told, "{person:?}");
    }
}

#[test]
fn a_file_without_a_mandatory_column_is_told_once_and_nothing_comes_of_it() {
    let people = people();
    let header: Vec<&str> = ORDERS[0]
        .into_iter()
        .filter(|name| !["First Name", "Coupa User ID"].contains(name))
        .collect();
    let rows = rows_of(&people, &header);
    for bytes in [csv_of(&header, &rows, b','), xlsx_of(&header, &rows)] {
        let fault = import::check(sheet::read(&bytes).unwrap()).err().unwrap();
        assert_eq!(
            fault.to_string(),
            "the file lacks mandatory columns: First Name, Coupa User ID; name them in the first line; nothing was applied"
        );
    }
}

#[test]
fn every_case_is_there_in_number() {
    let people = people();
    for case in Case::ALL {
        let count = people.iter().filter(|person| person.case == case).count();
        assert_eq!(count, 500, "{case:?}");
    }
}
