//! The log printed as it lies there, to be kept elsewhere.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use tunnel_runtime::exit::Exit;

use crate::audit::{
    Head,
    line::Line,
    mark,
    select::{self, Filter},
};

/// Unfiltered, also what is damaged: the copy is to have all that the log has, so that it can be marked.
pub(super) fn export(
    folder: &Path,
    filter: Filter,
    new: bool,
    out: &mut impl Write,
    told: &mut impl Write,
) -> anyhow::Result<Exit> {
    if filter != Filter::default() {
        let mut records = select::select(folder, filter)?;
        records.try_for_each(|record| anyhow::Ok(put(&record?.1, out)?))?;
        return Ok(Exit::Ok);
    }
    let (behind, upto) = if new {
        // What is not durable yet may be taken back, and could not be marked.
        let upto = Head::read(folder).context(NO_HEAD)?;
        (mark::read(folder).context(MARK_AGAIN)?, Some(upto))
    } else {
        (None, None)
    };
    for line in select::all(folder, behind, upto)? {
        let line = line?;
        put(&line.bytes, out)?;
        if Line::parse(&line.bytes).is_none() {
            let (file, number) = (line.file.display(), line.number);
            writeln!(
                told,
                "{file}, line {number} is no record, exported as it is; run: tunnel-client audit verify"
            )?;
        }
    }
    Ok(Exit::Ok)
}

fn put(line: &[u8], out: &mut impl Write) -> io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}

const NO_HEAD: &str =
    "the file `head` of the log is missing or damaged: nobody knows what is durable; export without --new";
const MARK_AGAIN: &str = "nobody knows what is new; export without --new, and mark that copy";
