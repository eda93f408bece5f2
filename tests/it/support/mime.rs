//! Mails read by a reader of our own: header fields (RFC 5322, 2047, 2231) and parts (RFC 2045, 2046), as far as our mails need it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A mail or a part of one.
pub struct Part {
    /// Decoded values by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The decoded body of a part that holds no others.
    pub body: Vec<u8>,
    /// The parts of a multipart.
    pub parts: Vec<Part>,
}

impl Part {
    pub fn read(bytes: &[u8]) -> Self {
        let split = find(bytes, b"\r\n\r\n").expect("a blank line behind the header");
        let head = std::str::from_utf8(&bytes[..split]).expect("header fields are ASCII");
        assert!(head.is_ascii(), "header fields are ASCII");
        let mut headers = BTreeMap::new();
        for line in head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n") {
            let (name, value) = line.split_once(':').expect("a colon");
            let value = words(value.trim());
            let twice = headers.insert(name.to_ascii_lowercase(), value);
            assert!(twice.is_none(), "{name} stands twice");
        }
        for line in head.split("\r\n") {
            assert!(line.len() <= 998, "RFC 5322, 2.1.1");
        }
        let mut part = Self {
            headers,
            body: Vec::new(),
            parts: Vec::new(),
        };
        let body = &bytes[split + 4..];
        match part.parameter("content-type", "boundary") {
            Some(boundary) => part.parts = parts(body, &boundary),
            None => part.body = part.decoded(body),
        }
        part
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A parameter of a header field, its continuations joined and its percent signs decoded.
    pub fn parameter(&self, header: &str, name: &str) -> Option<String> {
        let mut found: Vec<(usize, String)> = Vec::new();
        for (key, value) in parameters(self.header(header)) {
            let mut pieces = key.split('*');
            if pieces.next() != Some(name) {
                continue;
            }
            let number = pieces.next().and_then(|number| number.parse().ok()).unwrap_or(0);
            let value = if key.ends_with('*') {
                let value = if number == 0 {
                    value.splitn(3, '\'').nth(2).expect("charset and language")
                } else {
                    &value
                };
                percent_encoding::percent_decode_str(value)
                    .decode_utf8()
                    .unwrap()
                    .into_owned()
            } else {
                value
            };
            found.push((number, value));
        }
        found.sort();
        (!found.is_empty()).then(|| found.into_iter().map(|(_, value)| value).collect())
    }

    fn decoded(&self, body: &[u8]) -> Vec<u8> {
        match self.header("content-transfer-encoding") {
            "base64" => {
                let packed: Vec<u8> = body
                    .iter()
                    .copied()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .collect();
                STANDARD.decode(packed).unwrap()
            }
            "quoted-printable" => quoted_printable(body),
            "7bit" | "8bit" | "" => body.strip_suffix(b"\r\n").unwrap_or(body).to_vec(),
            other => panic!("unknown encoding {other}"),
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn parts(body: &[u8], boundary: &str) -> Vec<Part> {
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut rest = body;
    let mut from = None;
    loop {
        let at = find(rest, mark.as_bytes()).expect("a closing boundary");
        if let Some(()) = from {
            let inside = &rest[..at];
            parts.push(Part::read(inside.strip_suffix(b"\r\n").unwrap_or(inside)));
        }
        rest = &rest[at + mark.len()..];
        if rest.starts_with(b"--") {
            return parts;
        }
        rest = rest
            .strip_prefix(b"\r\n")
            .expect("a line break behind a boundary");
        from = Some(());
    }
}

/// `name=value` and `name="value"` behind semicolons.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Some((_, mut rest)) = value.split_once(';') else {
        return found;
    };
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches(|c| c == ' ' || c == ';').to_ascii_lowercase();
        let mut text = String::new();
        if let Some(quoted) = after.strip_prefix('"') {
            let mut letters = quoted.char_indices();
            let mut end = quoted.len();
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    letter => text.push(letter),
                }
            }
            rest = &quoted[end..];
        } else {
            let end = after.find(';').unwrap_or(after.len());
            after[..end].trim().clone_into(&mut text);
            rest = &after[end..];
        }
        found.push((key, text));
    }
    found
}

/// Encoded words (RFC 2047); the blanks between two of them are no part of the text.
fn words(value: &str) -> String {
    let mut text = String::new();
    // Bytes of the blanks behind the last word, if that was an encoded one.
    let mut blanks = None;
    for word in value.split_inclusive(' ') {
        let bare = word.trim_end();
        let decoded = encoded_word(bare);
        if let (Some(blanks), Some(_)) = (blanks, &decoded) {
            text.truncate(text.len() - blanks);
        }
        blanks = decoded.is_some().then_some(word.len() - bare.len());
        text.push_str(decoded.as_deref().unwrap_or(bare));
        text.push_str(&word[bare.len()..]);
    }
    text
}

fn encoded_word(word: &str) -> Option<String> {
    let inside = word.strip_prefix("=?")?.strip_suffix("?=")?;
    assert!(word.len() <= 75, "RFC 2047, 2");
    let mut pieces = inside.splitn(3, '?');
    let (charset, encoding, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    assert!(charset.eq_ignore_ascii_case("utf-8"));
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(text).unwrap(),
        "q" | "Q" => quoted_printable(text.replace('_', " ").as_bytes()),
        other => panic!("unknown encoding {other}"),
    };
    Some(String::from_utf8(bytes).unwrap())
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'=', [b'\r', b'\n', more @ ..]) => more,
            (b'=', [high, low, more @ ..]) => {
                let code = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&code).unwrap(), 16).unwrap());
                more
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    bytes
}
