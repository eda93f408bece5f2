//! Progress of a sync on a terminal: one line that shows the phase and how far it is.
//!
//! Invariant: drawn on stderr only, and only where the composition root found a terminal and the console form of logs.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the line moves while nothing is reported.
const TICK: Duration = Duration::from_millis(120);

/// One line of progress.
pub struct Progress {
    bars: MultiProgress,
    bar: ProgressBar,
}

impl Progress {
    /// Draws nothing.
    pub fn hidden() -> Self {
        Self::on(ProgressDrawTarget::hidden())
    }

    /// Draws on stderr.
    pub fn on_stderr() -> Self {
        let progress = Self::on(ProgressDrawTarget::stderr());
        progress.bar.enable_steady_tick(TICK);
        progress
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        let bar = bars.add(ProgressBar::no_length().with_style(style(Shape::Phase)));
        Self { bars, bar }
    }

    /// What log lines must make way for.
    pub fn bars(&self) -> MultiProgress {
        self.bars.clone()
    }

    /// The phase has begun; nothing is counted yet.
    pub fn begin(&self, phase: &str) {
        self.show(phase, Shape::Phase, 0);
    }

    /// The phase has got to `done` things.
    pub fn count(&self, phase: &str, done: u64) {
        self.show(phase, Shape::Count, done);
    }

    fn show(&self, phase: &str, shape: Shape, done: u64) {
        // The number first: a new phase must not be drawn with the number of the one before.
        self.bar.set_position(done);
        if self.bar.message() != phase {
            self.bar.set_style(style(shape));
            self.bar.set_message(phase.to_owned());
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// What the line shows.
#[derive(Clone, Copy)]
enum Shape {
    Phase,
    Count,
}

fn style(shape: Shape) -> ProgressStyle {
    let template = match shape {
        Shape::Phase => "{spinner} {msg} {elapsed}",
        Shape::Count => "{spinner} {msg}: {human_pos} {elapsed}",
    };
    // A template that does not parse leaves the plain style; a unit test holds that both parse.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal of which only the written text is kept.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_tells_phase_and_numbers_and_follows_the_phase() {
        let screen = Screen::default();
        let progress = Progress::on(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let shown = |part: &str| screen.0.lock().unwrap().contains(part);
        progress.bar.tick();
        assert!(
            !shown("0/0"),
            "nothing is counted before anything began: {screen:?}"
        );
        progress.begin("checking access");
        progress.bar.tick();
        assert!(shown("checking access 0s"), "{screen:?}");
        progress.count("users", 1200);
        progress.bar.tick();
        assert!(shown("users: 1,200"), "{screen:?}");
        progress.count("grants", 5);
        progress.bar.tick();
        assert!(shown("grants: 5"), "{screen:?}");
        assert!(!shown("grants: 1,200"), "the number of another phase: {screen:?}");
        progress.finish();
    }
}
