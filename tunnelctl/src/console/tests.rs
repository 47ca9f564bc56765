use super::*;
use crate::testing::Captured;

fn console(terminal: Terminal, format: Format) -> (Console, Captured, Captured) {
    let (out, err) = (Captured::default(), Captured::default());
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
    let terminal = Terminal { stderr: true, color: true, ..Terminal::default() };
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
