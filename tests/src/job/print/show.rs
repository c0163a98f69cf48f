//! The place where steps are shown, shared by every thread that has something to say.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_authz_core::effect::Visit;
use mcp_authz_core::note::Note;

use super::tally::Tally;
use super::{ENDING, Format, Human, Step};

/// Where steps are shown; clones show in the same place, from any thread.
#[derive(Clone)]
pub struct Show(Arc<Mutex<Screen>>);

struct Screen {
    format: Format,
    sink: Box<dyn FnMut(&str) + Send>,
    /// A request whose answer is still to come; people see both on one line.
    asked: Option<String>,
    tally: Tally,
    /// The last step was shown. Lines of another thread that come after that are not shown.
    over: bool,
}

impl Show {
    /// Shows each line by handing it, without its end, to `sink`.
    pub fn new(format: Format, sink: impl FnMut(&str) + Send + 'static) -> Self {
        let sink = Box::new(sink);
        Self(Arc::new(Mutex::new(Screen {
            format,
            sink,
            asked: None,
            tally: Tally::default(),
            over: false,
        })))
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows one step.
    pub fn step(&self, step: &Step) {
        self.screen().show(step);
    }

    /// Shows steps in order.
    pub fn all(&self, steps: &[Step]) {
        let mut screen = self.screen();
        for step in steps {
            screen.show(step);
        }
    }

    /// Counts what the session did, and shows it if it is of interest.
    pub fn note(&self, note: &Note) {
        let mut screen = self.screen();
        let waits = screen.tally.note(note).then(Step::waiting);
        if let Some(step) = waits.or_else(|| Step::note(note)) {
            screen.show(&step);
        }
    }

    /// Shows what the played person is about to be asked.
    pub fn visit(&self, visit: &Visit) {
        let mut screen = self.screen();
        screen.tally.visit(visit);
        screen.show(&Step::visit(visit));
    }

    /// The same of a person at this machine, whom somebody else shows the page: that is told to programs alone.
    pub fn open(&self, visit: &Visit, paste: bool) {
        let mut screen = self.screen();
        screen.tally.visit(visit);
        if screen.format == Format::Json {
            screen.show(&Step::visit(visit));
        }
        screen.show(&Step::open(visit, paste));
    }

    /// Returns true if this run has asked for tokens, or taken some over from another program.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.screen().tally.has_asked()
    }
}

impl fmt::Debug for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Show(..)")
    }
}

impl Screen {
    fn show(&mut self, step: &Step) {
        if self.over {
            return;
        }
        let last;
        let step = if step.key == ENDING {
            self.over = true;
            last = self.tally.add_to(step);
            &last
        } else {
            step
        };
        if self.format == Format::Json {
            return (self.sink)(&step.json());
        }
        match (&step.human, self.asked.take()) {
            (Human::Came(status), Some(asked)) => return self.row(status, &asked),
            (_, Some(asked)) => self.row("...", &asked),
            (_, None) => {}
        }
        match &step.human {
            Human::Asked(asked) => self.asked = Some(asked.clone()),
            Human::Came(status) => self.row(status, ""),
            Human::Line(line) => (self.sink)(&format!("       - {line}")),
            Human::Block(heading, rows) => {
                (self.sink)(&format!("  {heading}"));
                for (name, text) in rows {
                    if name.is_empty() {
                        (self.sink)(&format!("       {text}"));
                        continue;
                    }
                    (self.sink)(&format!("       {name:<12} {text}"));
                }
            }
        }
    }

    fn row(&mut self, status: &str, asked: &str) {
        (self.sink)(format!("  {status:<4} {asked}").trim_end());
    }
}
