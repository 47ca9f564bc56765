//! Finding the end of a log that lies there: where to go on, what was not whole, which intents have no outcome.
//!
//! Only the last segment is read: it begins with the intents that were open then.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    head::Head,
    line::{Chain, Line, LineHash},
    own::{About, ENDS},
    segment::{self, SegmentFile},
};

/// What lies there.
#[derive(Debug)]
pub(super) struct Found {
    /// Where to go on.
    pub(super) chain: Chain,
    /// The file to go on with, and how much of it is whole; none to begin a new one.
    pub(super) last: Option<(PathBuf, u64)>,
    /// Intents without an outcome.
    pub(super) open: BTreeMap<u64, About>,
    /// Bytes and hash of a last line that is not whole.
    pub(super) torn: Option<(u64, LineHash)>,
    /// Why this is not the log that was written; none if it is, as far as can be seen here.
    pub(super) damage: Option<String>,
}

/// Reads the end of the log in `folder`.
pub(super) fn find(folder: &Path) -> io::Result<Found> {
    let head = Head::read(folder);
    let mut scan = Scan::new(head);
    let segments = segment::list(folder)?;
    for file in segments.iter().rev() {
        let bytes = fs::read(&file.path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        scan.end_of_file(file, whole, &bytes[whole..]);
        if whole > 0 {
            scan.lines(&bytes[..whole]);
            break;
        }
    }
    scan.compare_head();
    Ok(scan.found)
}

struct Scan {
    found: Found,
    head: Option<Head>,
}

impl Scan {
    fn new(head: Option<Head>) -> Self {
        let found =
            Found { chain: Chain::START, last: None, open: BTreeMap::new(), torn: None, damage: None };
        Self { found, head }
    }

    /// Only the last file may end within a line.
    fn end_of_file(&mut self, file: &SegmentFile, whole: usize, rest: &[u8]) {
        if self.found.last.is_none() {
            self.found.last = Some((file.path.clone(), whole as u64));
            self.found.torn = (!rest.is_empty()).then(|| (rest.len() as u64, LineHash::of(rest)));
        } else if !rest.is_empty() {
            self.damaged("a segment before the last does not end with a whole line".to_owned());
        }
    }

    fn lines(&mut self, bytes: &[u8]) {
        let mut first = true;
        for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
            let raw = &raw[..raw.len() - 1];
            match Line::parse(raw) {
                Some(line) => self.line(&line, raw, std::mem::take(&mut first)),
                None => {
                    self.damaged(format!("record {} cannot be read", self.found.chain.next));
                    self.found.chain = self.found.chain.after(raw);
                }
            }
        }
    }

    fn line(&mut self, line: &Line, raw: &[u8], first: bool) {
        let here = Chain { next: line.seq, prev: line.prev };
        if !first && here != self.found.chain {
            self.damaged(format!("record {} does not continue the one before it", line.seq));
        }
        self.found.chain = here.after(raw);
        self.note_intents(line);
        let head = self.head.filter(|head| head.seq == line.seq);
        if head.is_some_and(|head| head.hash != self.found.chain.prev) {
            self.damaged(format!("record {} is not the one that was written", line.seq));
        }
    }

    fn note_intents(&mut self, line: &Line) {
        let about = |fields: &serde_json::Map<String, Value>| {
            let kept = ["grant", "target", "method", "request"];
            About::Read(fields.iter().filter(|(name, _)| kept.contains(&name.as_str())).map(owned).collect())
        };
        match line.kind.as_str() {
            "step" if line.fields.contains_key("owes") => {
                let request = line.text("request").to_owned();
                self.found.open.insert(line.seq, About::Step { request });
            }
            "move" if line.fields.contains_key("late") => {}
            "call" | "move" => drop(self.found.open.insert(line.seq, about(&line.fields))),
            "segment" => {
                let open = line.fields.get("open").and_then(Value::as_array).into_iter().flatten();
                let open = open.filter_map(Value::as_object);
                self.found.open =
                    open.filter_map(|open| Some((open.get("of")?.as_u64()?, about(open)))).collect();
            }
            kind if ENDS.contains(&kind) => {
                line.number("of").map(|of| self.found.open.remove(&of));
            }
            _ => {}
        }
    }

    fn compare_head(&mut self) {
        let last = self.found.chain.next - 1;
        if let Some(head) = self.head.filter(|head| head.seq > last) {
            self.damaged(format!("it ends at record {last}, but record {} was written", head.seq));
        }
        if self.found.damage.is_some() && self.found.last.as_ref().is_none_or(|(_, len)| *len > 0) {
            // What lies there stays as it is.
            (self.found.last, self.found.torn) = (None, None);
        }
    }

    fn damaged(&mut self, why: String) {
        self.found.damage.get_or_insert(why);
    }
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}
