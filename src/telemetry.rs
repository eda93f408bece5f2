//! Logs in the ecosystem's two forms, JSON and console, on stderr or in files.
//!
//! Invariant: dependencies are never heard below `warn`, whatever level is chosen: at finer levels h2, hyper and rustls print
//! header values, tokens among them. Only this crate's own events follow the chosen level. stdout stays clean unless a
//! log path names it.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// Prefix of this crate's targets.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Tab-separated, for eyes.
    Console,
}

/// Where and how to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Least important level that this crate's events are shown at.
    pub level: LevelFilter,
    /// Form; chosen by the terminal if `None`.
    pub format: Option<Format>,
    /// Files, or `stdout` and `stderr`; stderr if empty.
    pub paths: Vec<String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LevelFilter::INFO,
            format: None,
            paths: Vec::new(),
        }
    }
}

impl LogConfig {
    /// From the texts of the settings: an unknown level is `info`, an unknown format `json`, as in the ecosystem.
    pub fn new(level: &str, format: &str, paths: &[String]) -> Self {
        let level = match level.to_ascii_lowercase().as_str() {
            "trace" => LevelFilter::TRACE,
            "debug" => LevelFilter::DEBUG,
            "warn" => LevelFilter::WARN,
            "error" => LevelFilter::ERROR,
            _ => LevelFilter::INFO,
        };
        let format = match format {
            "" => None,
            "console" => Some(Format::Console),
            _ => Some(Format::Json),
        };
        Self {
            level,
            format,
            paths: paths.to_vec(),
        }
    }

    /// The form in force. The ecosystem looks at stdout; we log to stderr and look there too, so that `> file` keeps lines
    /// readable and `2> file` makes them JSON.
    pub fn format(&self) -> Format {
        self.format.unwrap_or_else(|| {
            if io::stderr().is_terminal() {
                Format::Console
            } else {
                Format::Json
            }
        })
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A log file cannot be opened.
    #[error("cannot open log file {}: {}", .path.display(), .reason)]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Logging was started before in this process.
    #[error("logging is already set up")]
    Twice,
}

/// Starts logging for the whole process. Lines on stderr make way for the bars of `progress`.
pub fn install(config: &LogConfig, progress: &MultiProgress) -> Result<(), TelemetryError> {
    let sink = open(&config.paths, progress)?;
    // Not `init()`: that would also take in the records of the `log` facade, which no target filter of ours has judged.
    tracing::subscriber::set_global_default(subscriber(config.level, config.format(), sink))
        .map_err(|_| TelemetryError::Twice)
}

/// A subscriber that writes lines of `format` to `sink`.
pub fn subscriber(
    level: LevelFilter,
    format: Format,
    sink: Box<dyn Write + Send>,
) -> impl Subscriber + Send + Sync {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OURS, level);
    Registry::default().with(targets).with(Lines {
        format,
        sink: Mutex::new(sink),
    })
}

fn open(paths: &[String], progress: &MultiProgress) -> Result<Box<dyn Write + Send>, TelemetryError> {
    let stderr = || -> Box<dyn Write + Send> { Box::new(BesideBars(progress.clone())) };
    let mut sinks = Vec::with_capacity(paths.len());
    for path in paths {
        sinks.push(match path.as_str() {
            "stderr" => stderr(),
            "stdout" => Box::new(io::stdout()),
            path => append(Path::new(path))?,
        });
    }
    Ok(match sinks.len() {
        0 => stderr(),
        _ => Box::new(Tee(sinks)),
    })
}

fn append(path: &Path) -> Result<Box<dyn Write + Send>, TelemetryError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| TelemetryError::Open {
        path: path.to_owned(),
        reason: error,
    })?;
    Ok(Box::new(file))
}

/// stderr, with progress bars taken away while a line is written.
struct BesideBars(MultiProgress);

impl Write for BesideBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

struct Tee(Vec<Box<dyn Write + Send>>);

impl Write for Tee {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // One full disk must not silence the other sinks.
        let results: Vec<_> = self.0.iter_mut().map(|sink| sink.write_all(line)).collect();
        results
            .into_iter()
            .collect::<io::Result<()>>()
            .map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.iter_mut().try_for_each(Write::flush)
    }
}

/// Writes one line per event, with the fields of the event and of the spans around it.
struct Lines {
    format: Format,
    sink: Mutex<Box<dyn Write + Send>>,
}

/// Fields of a span, kept with it.
struct SpanFields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.rest));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = context.span(id)
            && let Some(kept) = span.extensions_mut().get_mut::<SpanFields>()
        {
            kept.0.extend(fields.rest);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(kept) = span.extensions().get::<SpanFields>() {
                fields.rest.extend(kept.0.clone());
            }
        }
        event.record(&mut fields);
        let line = line(self.format, Timestamp::now(), event.metadata(), fields);
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nowhere left to tell that the log cannot be written.
        let _ = sink.write_all(line.as_bytes());
    }
}

fn line(format: Format, now: Timestamp, metadata: &Metadata<'_>, fields: Fields) -> String {
    let Fields { message, rest } = fields;
    match format {
        Format::Json => {
            let mut object = Map::with_capacity(rest.len() + 4);
            object.insert("level".to_owned(), level(*metadata.level()).into());
            object.insert("ts".to_owned(), epoch(now).into());
            object.insert("caller".to_owned(), caller(metadata).into());
            object.insert("msg".to_owned(), message.into());
            for (key, value) in rest {
                object.entry(key).or_insert(value);
            }
            format!("{}\n", Value::Object(object))
        }
        Format::Console => {
            let time = now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
            let level = level(*metadata.level()).to_ascii_uppercase();
            let mut line = format!("{time}\t{level}\t{}\t{}", caller(metadata), printable(&message));
            if !rest.is_empty() {
                line.push('\t');
                line.push_str(&spaced(rest));
            }
            line.push('\n');
            line
        }
    }
}

/// `{"a": 1, "b": "x"}`: JSON with the blanks that console lines of the ecosystem have.
fn spaced(fields: Map<String, Value>) -> String {
    let pairs: Vec<String> = fields
        .into_iter()
        .map(|(key, value)| format!("{}: {value}", Value::String(key)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The message without control characters, which a terminal would obey; one event stays one line.
fn printable(message: &str) -> String {
    message
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect()
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

/// Seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float of seconds is the ecosystem's form; microseconds survive"
)]
fn epoch(now: Timestamp) -> f64 {
    now.as_microsecond() as f64 / 1e6
}

/// `dir/file.rs:line`; never more of the path, which would tell where the program was built.
fn caller(metadata: &Metadata<'_>) -> String {
    let file = metadata.file().unwrap_or_else(|| metadata.target());
    let mut parts = file.rsplit(['/', '\\']);
    let name = parts.next().unwrap_or_default();
    let short = match parts.next() {
        Some(directory) => format!("{directory}/{name}"),
        None => name.to_owned(),
    };
    format!("{short}:{}", metadata.line().unwrap_or(0))
}

/// Fields in the order in which they were recorded, the message apart.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.rest.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value.into());
        }
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.put(field, error.to_string().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, format: Format, events: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let subscriber = subscriber(level, format, Box::new(memory.clone()));
        tracing::subscriber::with_default(subscriber, events);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn json_lines_have_the_ecosystems_keys_first_and_fields_flat() {
        let before = epoch(Timestamp::now());
        let lines = logged(LevelFilter::INFO, Format::Json, || {
            let span = tracing::info_span!("sync", sync_id = "abc", resource_type_id = tracing::field::Empty);
            span.record("resource_type_id", "user");
            let _inside = span.enter();
            let error = io::Error::other("disk \"full\"");
            tracing::warn!(
                count = 3_u64,
                seconds = 1.5,
                done = true,
                error = &error as &(dyn std::error::Error + 'static),
                level = "field that collides",
                "Synced\nresources"
            );
        });
        assert_eq!(lines.len(), 1);
        let value: Value = serde_json::from_str(&lines[0]).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys[..4], ["level", "ts", "caller", "msg"]);
        assert_eq!(value["level"], "warn");
        assert!(value["ts"].as_f64().unwrap() >= before && value["ts"].is_f64());
        let (file, number) = value["caller"].as_str().unwrap().split_once(':').unwrap();
        assert_eq!(file, "src/telemetry.rs");
        assert!(number.parse::<u32>().unwrap() > 0);
        assert_eq!(value["msg"], "Synced\nresources");
        assert_eq!(value["sync_id"], "abc");
        assert_eq!(value["resource_type_id"], "user");
        assert_eq!(value["count"], 3);
        assert_eq!(value["seconds"], 1.5);
        assert_eq!(value["done"], true);
        assert_eq!(value["error"], "disk \"full\"");
    }

    #[test]
    fn console_lines_are_five_tab_separated_columns() {
        let lines = logged(LevelFilter::INFO, Format::Console, || {
            tracing::info!(count = 2, name = "a", "Synced\tresources");
            tracing::info!("Sync complete.");
        });
        let columns: Vec<_> = lines[0].split('\t').collect();
        assert_eq!(columns.len(), 5, "{lines:?}");
        let time: Timestamp = columns[0].parse().unwrap();
        assert_eq!(columns[0], time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
        assert_eq!(columns[1], "INFO");
        assert!(columns[2].starts_with("src/telemetry.rs:"));
        assert_eq!(columns[3], "Synced resources");
        assert_eq!(columns[4], r#"{"count": 2, "name": "a"}"#);
        assert_eq!(lines[1].split('\t').count(), 4);
    }

    #[test]
    fn dependencies_are_not_heard_below_warn_at_any_level() {
        let everyone = || {
            for_target_h2();
            tracing::trace!("ours");
        };
        let messages = |level| -> Vec<String> {
            let lines = logged(level, Format::Json, everyone);
            let message = |line: &String| {
                serde_json::from_str::<Value>(line).unwrap()["msg"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            };
            lines.iter().map(message).collect()
        };
        assert_eq!(messages(LevelFilter::TRACE), ["h2 warn", "ours"]);
        assert_eq!(messages(LevelFilter::INFO), ["h2 warn"]);
        assert!(messages(LevelFilter::ERROR).is_empty());
    }

    fn for_target_h2() {
        tracing::trace!(target: "h2::codec", "h2 trace");
        tracing::debug!(target: "h2::codec", "h2 debug");
        tracing::info!(target: "hyper", "hyper info");
        tracing::warn!(target: "h2::codec", "h2 warn");
    }

    #[test]
    fn unknown_levels_and_formats_fall_back_as_in_the_ecosystem() {
        for (level, filter) in [
            ("trace", LevelFilter::TRACE),
            ("DEBUG", LevelFilter::DEBUG),
            ("warn", LevelFilter::WARN),
            ("error", LevelFilter::ERROR),
            ("info", LevelFilter::INFO),
            ("loud", LevelFilter::INFO),
            ("", LevelFilter::INFO),
        ] {
            assert_eq!(LogConfig::new(level, "", &[]).level, filter, "{level}");
        }
        for (format, form) in [
            ("console", Some(Format::Console)),
            ("json", Some(Format::Json)),
            ("xml", Some(Format::Json)),
            ("", None),
        ] {
            assert_eq!(LogConfig::new("", format, &[]).format, form, "{format}");
        }
    }

    #[test]
    fn every_log_path_gets_every_line_and_a_bad_one_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a.log", "b.log"].map(|name| directory.path().join(name).to_str().unwrap().to_owned());
        for _ in 0..2 {
            let sink = open(&paths, &MultiProgress::new()).unwrap();
            let subscriber = subscriber(LevelFilter::INFO, Format::Json, sink);
            tracing::subscriber::with_default(subscriber, || tracing::info!("line"));
        }
        for path in &paths {
            assert_eq!(
                std::fs::read_to_string(path).unwrap().lines().count(),
                2,
                "appended, not replaced"
            );
        }
        let missing = [directory
            .path()
            .join("no/such/dir.log")
            .to_str()
            .unwrap()
            .to_owned()];
        let error = open(&missing, &MultiProgress::new()).err().unwrap();
        assert!(error.to_string().contains("cannot open log file"), "{error}");
    }
}
