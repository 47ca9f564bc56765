//! Reading one mapping: typed answers to "what is under this key", and unknown keys at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    rc::Rc,
};

use super::{
    FromSection, Value,
    node::{Entry, Kind, Map, Node},
    reader::{Path, Reader},
    units::FilePath,
};

/// A mapping of the configuration that is being read.
#[derive(Debug)]
pub struct Section<'r> {
    reader: &'r mut Reader,
    map: Rc<Map>,
    path: Path,
    at: At,
    asked: BTreeSet<&'static str>,
}

/// Line and column; zero if the file does not have it.
type At = (u64, u64);

/// An error was recorded.
struct Reported;

/// A text and where it was written.
struct Found {
    text: String,
    place: String,
}

/// Reads the whole of a configuration.
pub(super) fn read<T: FromSection>(reader: &mut Reader, root: Rc<Map>) -> Option<T> {
    part(reader, Path::default(), (root, (0, 0)))
}

/// Reads one part and refuses the keys that it did not ask for.
fn part<T: FromSection>(reader: &mut Reader, path: Path, (map, at): (Rc<Map>, At)) -> Option<T> {
    let errors = reader.errors.len();
    let mut section = Section { reader, map, path, at, asked: BTreeSet::new() };
    let part = T::from_section(&mut section);
    section.refuse_unknown();
    part.filter(|_| reader.errors.len() == errors)
}

impl Section<'_> {
    /// The value of `key`, which must be there.
    pub fn required<T: Value>(&mut self, key: &'static str) -> Option<T> {
        match self.value(key) {
            Ok(Some(value)) => Some(value),
            Ok(None) => self.reject(key, "is missing"),
            Err(Reported) => None,
        }
    }

    /// The value of `key`, or `default`.
    pub fn or<T: Value>(&mut self, key: &'static str, default: T) -> Option<T> {
        let value = self.value(key);
        if matches!(value, Ok(None)) {
            self.reader.show(self.path.depth(), key, Some(&default.to_string()));
        }
        value.map(|value| value.unwrap_or(default)).ok()
    }

    /// The value of `key`, if it is there (the outer `None` is an error).
    pub fn optional<T: Value>(&mut self, key: &'static str) -> Option<Option<T>> {
        self.value(key).ok()
    }

    /// The list of values under `key`; empty if it is not there. In the environment: separated by commas.
    pub fn values<T: Value>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let texts = self.texts(key).ok()?;
        self.reader.show(self.path.depth(), key, None);
        let path = self.path.join(key);
        let values: Vec<_> = texts.iter().map(|found| self.item(&path, found)).collect();
        values.into_iter().collect()
    }

    /// The section under `key`; an absent one reads as an empty one, so that defaults apply.
    pub fn section<T: FromSection>(&mut self, key: &'static str) -> Option<T> {
        self.asked.insert(key);
        let path = self.path.join(key);
        let inner = self.mapping(self.map.get(key).cloned(), &path).ok()?;
        self.reader.show(self.path.depth(), key, None);
        part(self.reader, path, inner)
    }

    /// The section under `key`, if it is there in the file or the environment (the outer `None` is an error).
    pub fn optional_section<T: FromSection>(&mut self, key: &'static str) -> Option<Option<T>> {
        self.asked.insert(key);
        if self.map.get(key).is_none() && !self.reader.mentions(&self.path.join(key)) {
            return Some(None);
        }
        self.section(key).map(Some)
    }

    /// The path under `key`, which must be there; a relative one starts at the configuration file's folder.
    pub fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.required(key).map(|path| self.reader.locate(path))
    }

    /// The path under `key`, or `default`.
    pub fn path_or(&mut self, key: &'static str, default: &str) -> Option<PathBuf> {
        self.or(key, FilePath(default.into())).map(|path| self.reader.locate(path))
    }

    /// The path under `key`, if it is there (the outer `None` is an error).
    pub fn optional_path(&mut self, key: &'static str) -> Option<Option<PathBuf>> {
        self.optional(key).map(|path| path.map(|path| self.reader.locate(path)))
    }

    /// The list of paths under `key`; empty if it is not there.
    pub fn paths(&mut self, key: &'static str) -> Option<Vec<PathBuf>> {
        let paths: Vec<_> = self.values(key)?;
        Some(paths.into_iter().map(|path| self.reader.locate(path)).collect())
    }

    /// As [`Section::optional_section`]; a single value `x` is short for the section `{ short: x }`.
    pub fn section_or_value<T: FromSection>(&mut self, key: &'static str, short: &str) -> Option<Option<T>> {
        self.asked.insert(key);
        let Some(node) = self.map.get(key).cloned() else { return Some(None) };
        let path = self.path.join(key);
        let inner = self.mapping(Some(node.spelled_out(short)), &path).ok()?;
        self.reader.show(self.path.depth(), key, None);
        part(self.reader, path, inner).map(Some)
    }

    /// Whether the file has something under `key`, even an empty list.
    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|node| !matches!(node.kind, Kind::Empty))
    }

    /// The list of sections under `key`; empty if it is not there. It cannot come from the environment.
    pub fn sections<T: FromSection>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let nodes = self.list(key).ok()?;
        let path = self.path.join(key);
        self.reader.show(self.path.depth(), key, None);
        let items = nodes.into_iter().enumerate();
        let parts: Vec<_> = items.map(|(index, node)| self.element(&path, index, node)).collect();
        parts.into_iter().collect()
    }

    /// The mapping under `key` whose own keys people choose (for example targets by name).
    pub fn named<T: FromSection>(&mut self, key: &'static str) -> Option<BTreeMap<String, T>> {
        self.asked.insert(key);
        let path = self.path.join(key);
        let (map, _) = self.mapping(self.map.get(key).cloned(), &path).ok()?;
        self.reader.show(self.path.depth(), key, None);
        let parts: Vec<_> = map.0.iter().map(|entry| self.child(&path, &entry.key, &entry.value)).collect();
        parts.into_iter().collect()
    }

    /// As [`Section::named`]; a single value `x` is short for the section `{ short: x }`.
    pub fn named_or_value<T: FromSection>(
        &mut self,
        key: &'static str,
        short: &str,
    ) -> Option<BTreeMap<String, T>> {
        self.asked.insert(key);
        let path = self.path.join(key);
        let (map, _) = self.mapping(self.map.get(key).cloned(), &path).ok()?;
        self.reader.show(self.path.depth(), key, None);
        let child = |entry: &Entry| self.child(&path, &entry.key, &entry.value.clone().spelled_out(short));
        let parts: Vec<_> = map.0.iter().map(child).collect();
        parts.into_iter().collect()
    }

    /// Records that `key` is wrong for a reason that only the program knows, and gives `None`.
    pub fn reject<T>(&mut self, key: &'static str, problem: impl Into<String>) -> Option<T> {
        let path = self.path.join(key);
        let node = self.map.get(key).map(|node| (node.line, node.column));
        let (line, column) = node.unwrap_or(self.at);
        // The variable, if there is one, is what was read.
        let variable = self.reader.variable(&path).map(|(_, name)| name);
        let place = variable.unwrap_or_else(|| self.reader.place(line, column));
        self.reader.fail(place, &path, problem);
        None
    }

    fn value<T: Value>(&mut self, key: &'static str) -> Result<Option<T>, Reported> {
        let Some(found) = self.text(key)? else { return Ok(None) };
        let value: T = self.parse(&self.path.join(key), &found)?;
        self.reader.show(self.path.depth(), key, Some(&value.to_string()));
        Ok(Some(value))
    }

    fn parse<T: Value>(&mut self, path: &Path, found: &Found) -> Result<T, Reported> {
        T::parse(&found.text).map_err(|problem| self.fail(found.place.clone(), path, problem))
    }

    fn text(&mut self, key: &'static str) -> Result<Option<Found>, Reported> {
        self.asked.insert(key);
        let path = self.path.join(key);
        if let Some((text, place)) = self.reader.variable(&path) {
            return Ok(Some(Found { text, place }));
        }
        let Some(node) = self.map.get(key).cloned() else { return Ok(None) };
        self.scalar(&path, node)
    }

    /// An empty node counts as absent.
    fn scalar(&mut self, path: &Path, node: Node) -> Result<Option<Found>, Reported> {
        let place = self.reader.place(node.line, node.column);
        match node.kind {
            Kind::Empty => Ok(None),
            Kind::Scalar(text) => Ok(Some(Found { text, place })),
            Kind::List(_) | Kind::Map(_) => Err(self.fail(place, path, "takes a single value")),
        }
    }

    fn texts(&mut self, key: &'static str) -> Result<Vec<Found>, Reported> {
        self.asked.insert(key);
        let path = self.path.join(key);
        if let Some((text, place)) = self.reader.variable(&path) {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            return Ok(parts.map(|part| Found { text: part.to_owned(), place: place.clone() }).collect());
        }
        let nodes = self.list(key)?;
        let found: Vec<_> = nodes.into_iter().map(|node| self.scalar(&path, node)).collect();
        found.into_iter().filter_map(Result::transpose).collect()
    }

    fn item<T: Value>(&mut self, path: &Path, found: &Found) -> Option<T> {
        let value: T = self.parse(path, found).ok()?;
        self.reader.show_item(path.depth(), Some(&value.to_string()));
        Some(value)
    }

    fn list(&mut self, key: &'static str) -> Result<Vec<Node>, Reported> {
        self.asked.insert(key);
        let Some(node) = self.map.get(key).cloned() else { return Ok(Vec::new()) };
        match node.kind {
            Kind::Empty => Ok(Vec::new()),
            Kind::List(items) => Ok(items),
            Kind::Scalar(_) | Kind::Map(_) => {
                let place = self.reader.place(node.line, node.column);
                Err(self.fail(place, &self.path.join(key), "takes a list"))
            }
        }
    }

    fn mapping(&mut self, node: Option<Node>, path: &Path) -> Result<(Rc<Map>, At), Reported> {
        let Some(node) = node else { return Ok((Rc::default(), self.at)) };
        let at = (node.line, node.column);
        match node.kind {
            Kind::Empty => Ok((Rc::default(), at)),
            Kind::Map(map) => Ok((map, at)),
            Kind::Scalar(_) | Kind::List(_) => {
                Err(self.fail(self.reader.place(at.0, at.1), path, "takes a mapping"))
            }
        }
    }

    fn element<T: FromSection>(&mut self, path: &Path, index: usize, node: Node) -> Option<T> {
        let inner = path.join(&index.to_string());
        let map = self.mapping(Some(node), &inner).ok()?;
        self.reader.show_item(path.depth(), None);
        part(self.reader, inner, map)
    }

    fn child<T: FromSection>(&mut self, path: &Path, key: &str, node: &Node) -> Option<(String, T)> {
        let inner = path.join(key);
        let map = self.mapping(Some(node.clone()), &inner).ok()?;
        self.reader.show(path.depth(), key, None);
        part(self.reader, inner, map).map(|part| (key.to_owned(), part))
    }

    fn fail(&mut self, place: String, path: &Path, problem: impl Into<String>) -> Reported {
        self.reader.fail(place, path, problem);
        Reported
    }

    fn refuse_unknown(self) {
        let known = self.asked.iter().copied().collect::<Vec<_>>().join(", ");
        for entry in self.map.0.iter().filter(|entry| !self.asked.contains(entry.key.as_str())) {
            let place = self.reader.place(entry.line, entry.column);
            self.reader.fail(place, &self.path.join(&entry.key), format!("unknown key; known here: {known}"));
        }
    }
}
