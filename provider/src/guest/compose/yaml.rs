//! YAML text as a tree that knows the place of every key and value.
//!
//! Types are not decided here beyond what a plain scalar looks like, and nothing is interpolated.

mod reason;
mod scalar;

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::Fault;
pub(super) use scalar::{Look, Scalar};

/// Deepest nesting, aliases followed; deeper trees are refused so that recursion over one is safe.
const DEEPEST: usize = 100;

/// Most nodes of a tree, aliases followed: Compose itself gives up at this number of visits.
const LARGEST: usize = 100_000;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) fn fault(&self, path: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault {
            file: self.file.to_string(),
            line: self.line,
            column: self.column,
            path: path.into(),
            message: message.into(),
            hint: None,
        }
    }
}

/// A value; an anchor's node is shared by its aliases.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    /// Tag as `!reset` or `!!str`.
    pub(super) tag: Option<String>,
    pub(super) value: Value,
    depth: usize,
    size: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Arc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) node: Arc<Node>,
}

impl Node {
    pub(super) fn new(place: Place, tag: Option<String>, value: Value) -> Self {
        let children: Box<dyn Iterator<Item = &Arc<Node>>> = match &value {
            Value::Scalar(_) => Box::new(std::iter::empty()),
            Value::List(items) => Box::new(items.iter()),
            Value::Map(entries) => Box::new(entries.iter().map(|entry| &entry.node)),
        };
        let (depth, size) = children.fold((0, 0_usize), |(depth, size), child| {
            (depth.max(child.depth), size.saturating_add(child.size))
        });
        Self {
            place,
            tag,
            value,
            depth: depth + 1,
            size: size.saturating_add(1),
        }
    }

    /// The same place with another value.
    pub(super) fn with(&self, value: Value) -> Arc<Self> {
        Arc::new(Self::new(self.place.clone(), self.tag.clone(), value))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.look() == Look::Null)
    }

    /// Text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if scalar.look() != Look::Null => Some(&scalar.text),
            _ => None,
        }
    }

    /// Items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Arc<Self>] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Entries of a map; none for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Arc<Self>> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Text of a scalar below this map.
    pub(super) fn get_text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|node| node.text())
    }
}

/// Reads the one document of a text.
///
/// # Errors
/// The first fault: the parser cannot go on after one.
pub(super) fn parse(file: &str, text: &str) -> Result<Arc<Node>, Fault> {
    let mut reader = Reader {
        file: file.into(),
        anchors: HashMap::new(),
        open: Vec::new(),
        root: None,
    };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let place = reader.place_at(error.marker());
            place.fault("", reason::words(error.kind()))
        })?;
        reader.take(event, span)?;
    }
    let start = Place {
        file: reader.file,
        line: 1,
        column: 1,
    };
    reader
        .root
        .ok_or_else(|| start.fault("", "the text is empty"))
}

struct Reader {
    file: Arc<str>,
    anchors: HashMap<usize, Arc<Node>>,
    open: Vec<Open>,
    root: Option<Arc<Node>>,
}

/// A list or map whose end has not come.
struct Open {
    place: Place,
    tag: Option<String>,
    anchor: usize,
    children: Children,
}

enum Children {
    List(Vec<Arc<Node>>),
    Map {
        entries: Vec<Entry>,
        lines: HashMap<String, usize>,
        key: Option<(String, Place)>,
    },
}

impl Reader {
    fn place_at(&self, mark: &granit_parser::Marker) -> Place {
        Place {
            file: self.file.clone(),
            line: mark.line().max(1),
            column: mark.col() + 1,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let place = self.place_at(&span.start);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(place.fault("", "a second document begins here; one text holds one"))
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(place.fault("", "this alias stands inside its own anchor"));
                };
                self.add(place, node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| name(&tag));
                let plain =
                    style == ScalarStyle::Plain && !matches!(tag.as_deref(), Some("!!str" | "!"));
                let text = text.into_owned();
                let node = Node::new(place.clone(), tag, Value::Scalar(Scalar { text, plain }));
                self.close(node, anchor, place)
            }
            Event::SequenceStart(_, anchor, tag) => self.start(
                place,
                tag.map(|tag| name(&tag)),
                anchor,
                Children::List(Vec::new()),
            ),
            Event::MappingStart(_, anchor, tag) => {
                let children = Children::Map {
                    entries: Vec::new(),
                    lines: HashMap::new(),
                    key: None,
                };
                self.start(place, tag.map(|tag| name(&tag)), anchor, children)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self
                    .open
                    .pop()
                    .expect("the parser closes only what it opened");
                let value = match open.children {
                    Children::List(items) => Value::List(items),
                    Children::Map { entries, .. } => Value::Map(merge_keys(entries)?),
                };
                let place = open.place.clone();
                self.close(Node::new(open.place, open.tag, value), open.anchor, place)
            }
            _ => Ok(()),
        }
    }

    fn start(
        &mut self,
        place: Place,
        tag: Option<String>,
        anchor: usize,
        children: Children,
    ) -> Result<(), Fault> {
        if let Some(Open {
            children: Children::Map { key: None, .. },
            ..
        }) = self.open.last()
        {
            return Err(place.fault("", "a key must be text, not a list or a map"));
        }
        self.open.push(Open {
            place,
            tag,
            anchor,
            children,
        });
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize, place: Place) -> Result<(), Fault> {
        if node.depth > DEEPEST {
            return Err(place.fault("", format!("nested deeper than {DEEPEST} levels")));
        }
        if node.size > LARGEST {
            return Err(place.fault(
                "",
                format!("more than {LARGEST} values, aliases counted each time"),
            ));
        }
        let node = Arc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.add(place, node)
    }

    fn add(&mut self, place: Place, node: Arc<Node>) -> Result<(), Fault> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.children {
            Children::List(items) => items.push(node),
            Children::Map {
                entries,
                key: key @ Some(_),
                ..
            } => {
                let (key, place) = key.take().expect("matched above");
                entries.push(Entry { key, place, node });
            }
            Children::Map { lines, key, .. } => {
                let text = key_text(&place, &node)?;
                if let Some(line) = lines.insert(text.clone(), place.line) {
                    return Err(
                        place.fault("", format!("key \"{text}\" is already set in line {line}"))
                    );
                }
                *key = Some((text, place));
            }
        }
        Ok(())
    }
}

fn key_text(place: &Place, node: &Node) -> Result<String, Fault> {
    match &node.value {
        Value::Scalar(scalar) if scalar.look() == Look::Text => Ok(scalar.text.clone()),
        Value::Scalar(scalar) => Err(Fault {
            hint: Some(format!("write \"{}\" in quotes", scalar.text)),
            ..place.fault("", "a key must be text")
        }),
        _ => Err(place.fault("", "a key must be text, not a list or a map")),
    }
}

/// Puts the entries that `<<` names behind the map's own: own keys win, then the list from left to right.
fn merge_keys(entries: Vec<Entry>) -> Result<Vec<Entry>, Fault> {
    let (merges, mut own): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    let Some(merge) = merges.into_iter().next() else {
        return Ok(own);
    };
    let from = match &merge.node.value {
        Value::List(items) => items.clone(),
        _ => vec![merge.node.clone()],
    };
    for node in from {
        let Value::Map(entries) = &node.value else {
            return Err(merge.place.fault("", "`<<` takes a map or a list of maps"));
        };
        for entry in entries {
            if own.iter().all(|mine| mine.key != entry.key) {
                own.push(entry.clone());
            }
        }
    }
    Ok(own)
}

fn name(tag: &Tag) -> String {
    match tag.core_suffix() {
        Some(suffix) => format!("!!{suffix}"),
        None => tag.to_string(),
    }
}

#[cfg(test)]
mod tests;
