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
        let bar = bars.add(ProgressBar::no_length());
        Self { bars, bar }
    }

    /// What log lines must make way for.
    pub fn bars(&self) -> MultiProgress {
        self.bars.clone()
    }

    /// `done` of `total` things of the phase are done; without a total only the number is shown.
    pub fn report(&self, phase: &str, done: u64, total: Option<u64>) {
        if self.bar.message() != phase || self.bar.length() != total {
            self.bar.set_style(style(total));
            self.bar.set_message(phase.to_owned());
            match total {
                Some(total) => self.bar.set_length(total),
                None => self.bar.unset_length(),
            }
        }
        self.bar.set_position(done);
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(total: Option<u64>) -> ProgressStyle {
    let template = match total {
        Some(_) => "{spinner} {msg} [{bar:30}] {human_pos}/{human_len} {elapsed}",
        None => "{spinner} {msg} {human_pos} {elapsed}",
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
        progress.report("Reading users", 1200, None);
        progress.bar.tick();
        assert!(shown("Reading users 1,200"), "{screen:?}");
        progress.report("Writing grants", 5, Some(2000));
        progress.bar.tick();
        assert!(shown("Writing grants [") && shown("5/2,000"), "{screen:?}");
        progress.finish();
    }
}
