//! The container of a sync file: five bytes of magic, then one zstd stream holding a `SQLite` database.
//!
//! Invariant: unpacking is bounded in bytes and in window, whatever the file says about itself.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;

use tokio_util::sync::CancellationToken;
use zstd::zstd_safe;

use super::Limits;
use super::error::{cancelled, damaged, file};
use crate::model::fault::{Fault, FaultKind};

/// `C1ZF\0`: format v1.
const MAGIC_V1: [u8; 5] = *b"C1ZF\0";
/// `C1Z3\0`: format v3, an LSM store we neither read nor write.
const MAGIC_V3: [u8; 5] = *b"C1Z3\0";
/// zstd's own default: windows stay at 2 MiB, far below the 8 MiB that every reader takes.
const LEVEL: i32 = 3;
/// Bytes copied between two looks at the stop signal.
const CHUNK: usize = 1 << 20;
/// Compression beyond a few threads waits for the disk.
const MAX_THREADS: usize = 4;

/// Opens a sync file; `None` if there is none, or an empty one (older tools leave such after a failed first sync).
pub(super) fn open(path: &Path) -> Result<Option<Packed<'_>>, Fault> {
    let mut source = match File::open(path) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file("open", path, &error)),
    };
    let metadata = source.metadata().map_err(|error| file("read", path, &error))?;
    if !metadata.is_file() {
        return Err(damaged(path, "it is not a regular file"));
    }
    let mut magic = Vec::with_capacity(MAGIC_V1.len());
    Read::by_ref(&mut source)
        .take(MAGIC_V1.len() as u64)
        .read_to_end(&mut magic)
        .map_err(|error| file("read", path, &error))?;
    if magic.is_empty() {
        Ok(None)
    } else if magic == MAGIC_V1 {
        Ok(Some(Packed { path, source }))
    } else if magic == MAGIC_V3 {
        Err(Fault::new(
            FaultKind::Refused,
            format!(
                "{} is a sync file of format v3 (Pebble), which this connector cannot continue",
                path.display()
            ),
        )
        .advise("choose another file with --file, or move this one away; it was not changed"))
    } else {
        Err(damaged(path, "it does not begin like one"))
    }
}

/// A file of format v1, read up to the end of its magic.
pub(super) struct Packed<'a> {
    path: &'a Path,
    source: File,
}

impl Packed<'_> {
    /// Writes the database to `to`.
    pub(super) fn unpack(
        mut self,
        to: &mut File,
        limits: Limits,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let too_large = || {
            damaged(
                self.path,
                &format!("it unpacks to more than {} bytes", limits.decoded_bytes),
            )
            .advise("if the file is yours, raise BATON_DECODER_MAX_DECODED_SIZE_MB")
        };
        let broken = |error: io::Error| damaged(self.path, "it does not unpack").because(error);

        let stated = stated_size(&mut self.source).map_err(|error| file("read", self.path, &error))?;
        if stated.is_some_and(|size| size > limits.decoded_bytes) {
            return Err(too_large());
        }
        let mut decoder = zstd::Decoder::new(BufReader::new(&self.source)).map_err(broken)?;
        decoder.window_log_max(limits.window_log).map_err(broken)?;
        let mut bounded = decoder.take(limits.decoded_bytes.saturating_add(1));
        let mut buffer = vec![0; CHUNK];
        let mut written: u64 = 0;
        loop {
            if stop.is_cancelled() {
                return Err(cancelled());
            }
            let count = bounded.read(&mut buffer).map_err(broken)?;
            if count == 0 {
                return Ok(());
            }
            written += count as u64;
            if written > limits.decoded_bytes {
                return Err(too_large());
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            to.write_all(chunk)
                .map_err(|error| file("unpack", self.path, &error))?;
        }
    }
}

/// The size that the frame's header states, so that a file over the limit is refused before the disk fills. Leaves the
/// position where it was.
fn stated_size(source: &mut File) -> io::Result<Option<u64>> {
    /// Longest header of a zstd frame.
    const HEADER: u64 = 18;
    let start = source.stream_position()?;
    let mut header = Vec::new();
    Read::by_ref(source).take(HEADER).read_to_end(&mut header)?;
    source.seek(SeekFrom::Start(start))?;
    Ok(zstd_safe::get_frame_content_size(&header).ok().flatten())
}

/// Writes magic and database to `to`; returns the sizes of the database and of the file.
pub(super) fn pack(database: &Path, to: &File, stop: &CancellationToken) -> Result<(u64, u64), Fault> {
    let failed = |error: io::Error| file("pack", database, &error);
    let mut source = File::open(database).map_err(failed)?;
    let size = source.metadata().map_err(failed)?.len();
    let mut target = to;
    target.write_all(&MAGIC_V1).map_err(failed)?;
    let mut encoder = zstd::Encoder::new(target, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    encoder.include_contentsize(true).map_err(failed)?;
    encoder.set_pledged_src_size(Some(size)).map_err(failed)?;
    encoder.multithread(threads()).map_err(failed)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        if stop.is_cancelled() {
            return Err(cancelled());
        }
        let count = source.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        encoder
            .write_all(buffer.get(..count).unwrap_or_default())
            .map_err(failed)?;
    }
    let mut target = encoder.finish().map_err(failed)?;
    let packed = target.stream_position().map_err(failed)?;
    Ok((size, packed))
}

fn threads() -> u32 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.min(MAX_THREADS)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn unpacked(content: &[u8], limits: Limits) -> Result<Option<Vec<u8>>, Fault> {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("x.c1z");
        fs::write(&path, content).unwrap();
        let Some(packed) = open(&path)? else {
            return Ok(None);
        };
        let to = dir.path().join("db");
        packed.unpack(&mut File::create(&to).unwrap(), limits, &CancellationToken::new())?;
        Ok(Some(fs::read(to).unwrap()))
    }

    fn v1(frames: &[&[u8]]) -> Vec<u8> {
        let mut file = MAGIC_V1.to_vec();
        for frame in frames {
            file.extend_from_slice(frame);
        }
        file
    }

    #[test]
    fn packing_round_trips_and_states_its_size() {
        let dir = TempDir::new().unwrap();
        let data: Vec<u8> = (0_u32..3_000_000).flat_map(u32::to_le_bytes).collect();
        let database = dir.path().join("db");
        fs::write(&database, &data).unwrap();
        let path = dir.path().join("x.c1z");
        let (size, packed) = pack(
            &database,
            &File::create(&path).unwrap(),
            &CancellationToken::new(),
        )
        .unwrap();
        let file = fs::read(&path).unwrap();
        assert_eq!((size, packed), (data.len() as u64, file.len() as u64));
        let stated = zstd_safe::get_frame_content_size(&file[5..]).unwrap();
        assert_eq!(stated, Some(size));
        assert_eq!(unpacked(&file, Limits::default()).unwrap().unwrap(), data);
    }

    #[test]
    fn nothing_is_no_file() {
        assert!(open(Path::new("/nonexistent/x.c1z")).unwrap().is_none());
        assert_eq!(unpacked(b"", Limits::default()).unwrap(), None);
    }

    #[test]
    fn several_frames_and_no_stated_size_are_read() {
        let mut stream = zstd::Encoder::new(Vec::new(), 1).unwrap();
        stream.write_all(b"one").unwrap();
        let first = stream.finish().unwrap();
        assert_eq!(zstd_safe::get_frame_content_size(&first).unwrap(), None);
        let second = zstd::encode_all(&b"two"[..], 22).unwrap();
        let both = unpacked(&v1(&[&first, &second]), Limits::default()).unwrap();
        assert_eq!(both.unwrap(), b"onetwo");
    }

    #[test]
    fn v3_is_refused_by_name_and_garbage_is_refused() {
        let fault = unpacked(b"C1Z3\0whatever", Limits::default()).unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Refused);
        assert!(fault.message().contains("v3"), "{fault}");
        let good = v1(&[&zstd::encode_all(&[7_u8; 5000][..], 3).unwrap()]);
        let cut = &good[..good.len() - 4];
        let trailing = v1(&[&good[5..], b"tail"]);
        for bad in [
            b"hello".as_slice(),
            b"C1",
            b"C1ZF\0",
            b"C1ZF\0nonsense",
            cut,
            &trailing,
        ] {
            let fault = unpacked(bad, Limits::default()).unwrap_err();
            assert_eq!(*fault.kind(), FaultKind::Corrupt, "{bad:?}");
        }
    }

    #[test]
    fn a_file_over_the_limits_is_refused_whether_it_says_so_or_not() {
        let limits = Limits {
            decoded_bytes: 999,
            window_log: 27,
        };
        let stated = zstd::bulk::compress(&[0_u8; 1000], 3).unwrap();
        let mut stream = zstd::Encoder::new(Vec::new(), 3).unwrap();
        stream.write_all(&[0_u8; 1000]).unwrap();
        let silent = stream.finish().unwrap();
        for frame in [stated, silent] {
            let fault = unpacked(&v1(&[&frame]), limits).unwrap_err();
            assert!(fault.message().contains("999"), "{fault}");
        }
        let mut wide = zstd::Encoder::new(Vec::new(), 3).unwrap();
        wide.window_log(28).unwrap();
        wide.long_distance_matching(true).unwrap();
        wide.write_all(b"wide").unwrap();
        let wide = v1(&[&wide.finish().unwrap()]);
        assert!(unpacked(&wide, Limits::default()).is_err());
        let allowed = Limits {
            window_log: 28,
            ..Limits::default()
        };
        assert!(unpacked(&wide, allowed).is_ok());
    }

    #[test]
    fn packing_stops_when_told() {
        let dir = TempDir::new().unwrap();
        let database = dir.path().join("db");
        fs::write(&database, [0; 10]).unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        let to = File::create(dir.path().join("x")).unwrap();
        let fault = pack(&database, &to, &stop).unwrap_err();
        assert_eq!(*fault.kind(), FaultKind::Cancelled);
    }
}
