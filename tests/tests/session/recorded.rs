//! Every script is recorded, and its trace replays to the same effects: nothing that a placeholder
//! stands for was needed to decide anything, and nothing of it is in the trace.

use std::sync::{Arc, Mutex};

use mcp_authz_core::effect::Effects;
use mcp_authz_core::session::{Env, Snapshot};
use mcp_authz_core::{Config, Input};
use mcp_authz_driver::ports::{Recorder as _, Steps};
use mcp_authz_driver::trace::{Differs, Recording, Replay};
use mcp_authz_tests::sim::{Witness, witnessed};

/// The lines of a trace, as they are written.
pub type Lines = Arc<Mutex<Vec<String>>>;

/// Shows a simulator's sessions to a recording.
pub struct Camera {
    recording: Recording,
    session: Option<Box<dyn Steps>>,
}

impl Camera {
    /// Records what all simulators do that begin in `run`, and gives the lines of each trace.
    pub fn films(run: impl FnOnce()) -> Vec<Vec<String>> {
        let traces = Arc::new(Mutex::new(Vec::<Lines>::new()));
        let made = Arc::clone(&traces);
        let camera = move || -> Box<dyn Witness> {
            let lines = Lines::default();
            let written = Arc::clone(&lines);
            let recording = Recording::new("the suite", move |line| {
                written.lock().unwrap().push(line.to_owned());
                Ok(())
            });
            made.lock().unwrap().push(lines);
            Box::new(Self { recording, session: None })
        };
        witnessed(camera, run);
        traces.lock().unwrap().iter().map(|lines| lines.lock().unwrap().clone()).collect()
    }

    fn session(&mut self) -> &mut dyn Steps {
        &mut **self.session.as_mut().expect("a session has begun")
    }
}

impl Witness for Camera {
    fn begin(&mut self, config: &Config) {
        self.session = Some(self.recording.begin(config));
    }

    fn given(&mut self, env: &Env, input: &Input) {
        self.session().given(env, input);
    }

    fn restored(&mut self, env: &Env, from: &Snapshot) {
        self.session().restored(env, from);
    }

    fn done(&mut self, effects: &Effects) {
        self.session().done(effects);
    }
}

/// What is wrong with a trace: steps that replay otherwise, and secrets.
pub fn faults(lines: &[String]) -> Vec<String> {
    let mut replay = Replay::new();
    let mut faults = Vec::new();
    for line in lines {
        match replay.line(line) {
            Ok(replayed) => faults.extend(replayed.differs.map(|differs| {
                let (of, place) = match differs {
                    Differs::Effects(place) => ("replay", place),
                    Differs::Recording(place) => ("recording", place),
                };
                format!("{of}: {:?} {place} after {}", replayed.step, replayed.given)
            })),
            Err(error) => faults.push(error.to_string()),
        }
        if let Some(at) = line.find("CANARY") {
            faults.push(format!(
                "secret: {}",
                &line[at.saturating_sub(80)..(at + 20).min(line.len())]
            ));
        }
    }
    faults
}
