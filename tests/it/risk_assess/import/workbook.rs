//! A workbook read part by part: texts from the sheets, colours from `xl/styles.xml`. Shares nothing with what writes it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    pub text: String,
    /// Whether it stands on solid yellow.
    pub yellow: bool,
}

/// The sheets, in their order: name and rows; empty rows are left out, missing cells are empty.
pub struct Workbook {
    pub sheets: Vec<(String, Vec<Vec<Cell>>)>,
}

impl Workbook {
    pub fn read(bytes: &[u8]) -> Self {
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut part = |name: &str| {
            let mut text = String::new();
            zip.by_name(name)
                .unwrap_or_else(|_| panic!("{name} is missing"))
                .read_to_string(&mut text)
                .unwrap();
            text
        };
        let yellow = yellow_styles(&part("xl/styles.xml"));
        assert_eq!(
            yellow.values().filter(|yellow| **yellow).count(),
            1,
            "one highlighted style"
        );
        let names = sheet_names(&part("xl/workbook.xml"));
        let sheets = names.into_iter().zip(1..).map(|(name, number)| {
            let rows = rows(&part(&format!("xl/worksheets/sheet{number}.xml")), &yellow);
            (name, rows)
        });
        Self {
            sheets: sheets.collect(),
        }
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).unwrap()?;
    Some(
        found
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .unwrap()
            .into_owned(),
    )
}

fn sheet_names(xml: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().unwrap() {
            Event::Empty(element) | Event::Start(element) if element.local_name().as_ref() == "sheet" => {
                names.push(attribute(&element, "name").unwrap());
            }
            Event::Eof => return names,
            _ => {}
        }
    }
}

/// For each cell style whether it fills with solid yellow.
fn yellow_styles(xml: &str) -> BTreeMap<usize, bool> {
    let mut fills: Vec<(bool, bool)> = Vec::new();
    let mut styles = BTreeMap::new();
    let mut inside: Vec<String> = Vec::new();
    let mut reader = Reader::from_str(xml);
    loop {
        let event = reader.read_event().unwrap();
        if let Event::Start(element) | Event::Empty(element) = &event {
            let name = element.local_name().as_ref().to_owned();
            let parent = inside.last().map(String::as_str);
            match (&*name, parent) {
                ("fill", Some("fills")) => fills.push((false, false)),
                ("patternFill", Some("fill")) => {
                    fills.last_mut().unwrap().0 =
                        attribute(element, "patternType").as_deref() == Some("solid");
                }
                ("fgColor", Some("patternFill")) if inside.contains(&"fills".to_owned()) => {
                    fills.last_mut().unwrap().1 = attribute(element, "rgb").as_deref() == Some("FFFFFF00");
                }
                ("xf", Some("cellXfs")) => {
                    let fill: usize = attribute(element, "fillId").unwrap().parse().unwrap();
                    let applied = attribute(element, "applyFill").as_deref() == Some("1");
                    styles.insert(styles.len(), applied && fills[fill] == (true, true));
                }
                _ => {}
            }
            if matches!(event, Event::Start(_)) {
                inside.push(name);
            }
        }
        match event {
            Event::End(_) => _ = inside.pop(),
            Event::Eof => return styles,
            _ => {}
        }
    }
}

fn rows(xml: &str, yellow: &BTreeMap<usize, bool>) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut in_text = false;
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) if element.local_name().as_ref() == "row" => rows.push(Vec::new()),
            Event::Start(element) if element.local_name().as_ref() == "c" => {
                let kind = attribute(&element, "t");
                assert_eq!(kind.as_deref(), Some("inlineStr"), "a string, never a formula");
                let place = column(&attribute(&element, "r").unwrap());
                let style: usize = attribute(&element, "s").map_or(0, |style| style.parse().unwrap());
                let row = rows.last_mut().unwrap();
                row.resize(place, Cell::default());
                row.push(Cell {
                    text: String::new(),
                    yellow: yellow[&style],
                });
            }
            Event::Start(element) if element.local_name().as_ref() == "f" => panic!("a formula"),
            Event::Start(element) if element.local_name().as_ref() == "t" => in_text = true,
            Event::End(element) if element.local_name().as_ref() == "t" => in_text = false,
            Event::Text(text) if in_text => {
                let cell = rows.last_mut().unwrap().last_mut().unwrap();
                cell.text.push_str(&text.xml10_content());
            }
            Event::GeneralRef(entity) if in_text => {
                let sign = match entity.xml10_content().as_ref() {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    other => panic!("&{other};"),
                };
                rows.last_mut().unwrap().last_mut().unwrap().text.push(sign);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let widest = rows.first().map_or(0, Vec::len);
    for row in &mut rows {
        row.resize(widest.max(row.len()), Cell::default());
    }
    rows
}

/// `C12` is column 2.
fn column(place: &str) -> usize {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    letters.fold(0, |column, letter| column * 26 + usize::from(letter - b'A') + 1) - 1
}
