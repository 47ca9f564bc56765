use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn console(terminal: Terminal, format: Format) -> (Console, Shared, Shared) {
    let (out, err) = (Shared::default(), Shared::default());
    (Console::new(Box::new(out.clone()), Box::new(err.clone()), terminal, format), out, err)
}

#[test]
fn progress_is_only_for_terminals() {
    let (mut quiet, _, err) = console(Terminal::default(), Format::Text);
    quiet.progress("waiting");
    assert_eq!(err.text(), "");
    let (mut loud, _, err) = console(Terminal { stderr: true, ..Terminal::default() }, Format::Text);
    loud.progress("waiting");
    assert_eq!(err.text(), "waiting\n");
}

#[test]
fn color_is_only_for_terminals() {
    let (mut piped, _, err) = console(Terminal { color: true, ..Terminal::default() }, Format::Text);
    piped.error("no");
    assert_eq!(err.text(), "error: no\n");
    let terminal = Terminal { stderr: true, color: true, stdout: false };
    let (mut shown, _, err) = console(terminal, Format::Text);
    shown.error("no");
    assert_eq!(err.text(), "\x1b[1;31merror:\x1b[0m no\n");
}

#[test]
fn json_output_has_no_text() {
    let (mut json, out, _) = console(Terminal::default(), Format::Json);
    json.result(&serde_json::json!({"a": "\u{202e}"}), "words");
    assert_eq!(out.text(), "{\"a\":\"\\u202e\"}\n");
}

#[test]
fn a_closed_output_fails_the_command() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut console = Console::new(Box::new(Closed), Box::new(Closed), Terminal::default(), Format::Text);
    console.note("does not count");
    console.print("counts");
    assert!(console.finish().is_err());
}
