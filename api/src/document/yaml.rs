//! YAML 1.2 into [`Node`]s. Anchors and aliases work; an alias that would blow the document up is refused.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::de::Flaw;
use super::node::{Entry, MAX_DEPTH, Node, Place, Value};

/// Nodes that aliases may add to a file, against files that double themselves line by line.
const MAX_ALIASED: usize = 100_000;

/// Reads the documents of a file up to its first syntax error. Empty documents are left out.
pub(super) fn read(text: &str) -> (Vec<Node>, Option<Flaw>) {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), aliased: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.document() {
            Ok(Some(node)) => documents.push(node),
            Ok(None) => return (documents, None),
            Err(flaw) => return (documents, Some(flaw)),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Option<Node>, Flaw> {
        loop {
            let (event, span) = self.event()?;
            match event {
                Event::StreamEnd => return Ok(None),
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                // A document of comments alone.
                Event::Scalar(text, ScalarStyle::Plain, _, None) if text.is_empty() || text == "~" => {}
                Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd => return self.node(event, span, 0).map(Some),
            }
        }
    }

    fn event(&mut self) -> Result<(Event<'a>, Span), Flaw> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span)),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Flaw> {
        let at = place(&span.start);
        if depth > MAX_DEPTH {
            return Err(Flaw::at(at, format!("lists and maps are more than {MAX_DEPTH} deep in each other")));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(text.into_owned(), style, tag.as_deref(), at)?, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), at)?;
                (self.map(depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(Flaw::at(at, "the document ends too early".to_owned())),
        };
        let node = Node { at, value };
        // Anchors count from 1; 0 means that there is none.
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Flaw> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Flaw> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(entries));
            }
            let at = place(&span.start);
            let Event::Scalar(key, ..) = event else {
                return Err(Flaw::at(at, "a key is a single word".to_owned()));
            };
            let (event, span) = self.event()?;
            entries.push(Entry { key: key.into_owned(), at, value: self.node(event, span, depth + 1)? });
        }
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<Node, Flaw> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Flaw::at(at, "this alias stands within its own anchor".to_owned()));
        };
        self.aliased += node.size();
        if self.aliased > MAX_ALIASED {
            return Err(Flaw::at(at, format!("aliases add more than {MAX_ALIASED} values: write them out")));
        }
        // Errors point at the alias: that is what the reader of the document sees.
        Ok(Node { at, ..node.clone() })
    }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>, at: Place) -> Result<Value, Flaw> {
    let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if !forced {
        refuse_tag(tag, at)?;
    }
    Ok(if style == ScalarStyle::Plain && !forced { Value::Plain(text) } else { Value::Text(text) })
}

fn refuse_tag(tag: Option<&Tag>, at: Place) -> Result<(), Flaw> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => Err(Flaw::at(
            at,
            format!("the tag {}{} means nothing here: leave it out", tag.handle, tag.suffix),
        )),
        Some(_) | None => Ok(()),
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

fn syntax(error: &ScanError) -> Flaw {
    Flaw::at(place(error.marker()), format!("not YAML: {}", error.info()))
}
