//! Reads `cases.txt`; its head says what it holds.

/// One case.
pub struct Case {
    /// Where it stands.
    pub line: usize,
    pub state: String,
    pub expected: Expected,
    pub section: String,
    pub what: String,
    pub bytes: Vec<u8>,
}

/// What follows.
pub enum Expected {
    Notification { code: u8, subcode: u8, data: Option<Vec<u8>> },
    Word(String),
}

/// The OPEN that the states are reached with, and the cases.
pub fn read(text: &str) -> (Vec<u8>, Vec<Case>) {
    let (mut open, mut cases) = (Vec::new(), Vec::<Case>::new());
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(hex) = text.strip_prefix("  ") {
            let bytes = cases.last_mut().map_or(&mut open, |case| &mut case.bytes);
            bytes.extend(unhex(hex));
        } else if !(text.is_empty() || text.starts_with('#') || text == "open") {
            let fields: Vec<_> = text.split(" | ").collect();
            let [state, expected, section, what] = fields[..] else { panic!("line {line}: {text}") };
            cases.push(Case {
                line,
                state: state.to_owned(),
                expected: expected_of(expected),
                section: section.to_owned(),
                what: what.to_owned(),
                bytes: Vec::new(),
            });
        }
    }
    (open, cases)
}

fn expected_of(text: &str) -> Expected {
    let (numbers, data) = match text.split_once(" data=") {
        Some((numbers, data)) => (numbers, Some(unhex(data))),
        None => (text, None),
    };
    match numbers.split_once('/') {
        Some((code, subcode)) => {
            Expected::Notification { code: code.parse().unwrap(), subcode: subcode.parse().unwrap(), data }
        }
        None => Expected::Word(text.to_owned()),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}
