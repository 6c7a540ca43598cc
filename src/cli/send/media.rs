//! What a file is, by its first bytes: the same types as in the web client (`web/ui/files/types.ts`), which shows nothing
//! by its name; and a picture's size, so that nothing jumps when it is loaded.

/// Bytes that are looked at: a photo's size comes after what its camera tells, and its small picture.
pub(super) const HEAD: usize = 256 << 10;
/// Bytes in which the name of a container's format is.
const NAMES: usize = 64;
/// Nobody shows a larger picture.
const MAX_SIDE: u32 = 65_535;

const UNKNOWN: &str = "application/octet-stream";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Media {
    pub mime: &'static str,
    /// Width and height of a picture, in pixels, as it is shown.
    pub size: Option<(u32, u32)>,
}

/// What a file is that begins with these bytes.
pub(super) fn of(head: &[u8]) -> Media {
    if let Some(mime) = picture_type(head) {
        let size = match mime {
            "image/png" => png(head),
            "image/gif" => gif(head),
            "image/webp" => webp(head),
            "image/jpeg" => jpeg(head),
            _ => None,
        };
        let is_shown = |side| (1..=MAX_SIDE).contains(&side);
        let size = size.filter(|(w, h)| is_shown(*w) && is_shown(*h));
        return Media { mime, size };
    }
    Media {
        mime: played_type(head).unwrap_or(UNKNOWN),
        size: None,
    }
}

fn at(bytes: &[u8], from: usize, text: &[u8]) -> bool {
    bytes.get(from..from + text.len()) == Some(text)
}

fn picture_type(head: &[u8]) -> Option<&'static str> {
    [
        (0, &b"\x89PNG\r\n\x1a\n"[..], "image/png"),
        (0, b"\xff\xd8\xff", "image/jpeg"),
        (0, b"GIF87a", "image/gif"),
        (0, b"GIF89a", "image/gif"),
        (4, b"ftypavif", "image/avif"),
        (4, b"ftypavis", "image/avif"),
    ]
    .into_iter()
    .find(|(from, text, _)| at(head, *from, text))
    .map(|(.., mime)| mime)
    .or_else(|| is_riff(head, b"WEBP").then_some("image/webp"))
}

fn is_riff(head: &[u8], kind: &[u8]) -> bool {
    at(head, 0, b"RIFF") && at(head, 8, kind)
}

fn played_type(head: &[u8]) -> Option<&'static str> {
    let names = head.get(..NAMES).unwrap_or(head);
    let says = |name: &[u8]| names.windows(name.len()).any(|some| some == name);
    if at(head, 4, b"ftyp") {
        return iso_type(head.get(8..12)?);
    }
    if at(head, 0, b"\x1a\x45\xdf\xa3") {
        return if says(b"webm") {
            Some("video/webm")
        } else {
            says(b"matroska").then_some("video/x-matroska")
        };
    }
    if at(head, 0, b"OggS") {
        let is_video = says(b"\x80theora");
        return Some(if is_video { "video/ogg" } else { "audio/ogg" });
    }
    if is_riff(head, b"WAVE") {
        return Some("audio/wav");
    }
    if at(head, 0, b"fLaC") {
        return Some("audio/flac");
    }
    if at(head, 0, b"ID3") {
        return Some("audio/mpeg");
    }
    frame_type(head)
}

/// What a file of the ISO family is for, by its brand. Pictures have brands of their own, and so has sound.
fn iso_type(brand: &[u8]) -> Option<&'static str> {
    match brand {
        b"mif1"
        | b"msf1"
        | b"jp2 "
        | b"crx "
        | [b'h', b'e', b'i' | b'v', b'c' | b'x' | b'm' | b's'] => None,
        b"M4A " | b"M4B " => Some("audio/mp4"),
        b"qt  " => Some("video/quicktime"),
        _ => Some("video/mp4"),
    }
}

/// MPEG sound without a head: a frame of layer III, or of AAC (ADTS), with fields that a frame can have.
fn frame_type(head: &[u8]) -> Option<&'static str> {
    let [0xff, second, third, ..] = *head else {
        return None;
    };
    let is_layer3 = second & 0xe6 == 0xe2 && second & 0x18 != 0x08;
    if is_layer3 && !matches!(third >> 4, 0 | 15) && third & 0x0c != 0x0c {
        return Some("audio/mpeg");
    }
    (second & 0xf6 == 0xf0 && (third >> 2) & 15 < 13).then_some("audio/aac")
}

fn big(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(from..from + count)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
    )
}

fn little(bytes: &[u8], from: usize, count: usize) -> Option<u32> {
    let bytes = bytes.get(from..from + count)?;
    let all = bytes.iter().rev();
    Some(all.fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

fn png(head: &[u8]) -> Option<(u32, u32)> {
    at(head, 12, b"IHDR").then_some(())?;
    Some((big(head, 16, 4)?, big(head, 20, 4)?))
}

fn gif(head: &[u8]) -> Option<(u32, u32)> {
    Some((little(head, 6, 2)?, little(head, 8, 2)?))
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8X" => Some((little(head, 24, 3)? + 1, little(head, 27, 3)? + 1)),
        b"VP8L" if at(head, 20, b"\x2f") => {
            let sides = little(head, 21, 4)?;
            Some(((sides & 0x3fff) + 1, ((sides >> 14) & 0x3fff) + 1))
        }
        b"VP8 " if at(head, 23, b"\x9d\x01\x2a") => {
            let side = |from| Some(little(head, from, 2)? & 0x3fff);
            Some((side(26)?, side(28)?))
        }
        _ => None,
    }
}

/// The size in the frame's head, turned as the camera was.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let (mut from, mut is_turned) = (2, false);
    loop {
        let [0xff, marker] = *head.get(from..from + 2)? else {
            return None;
        };
        let length = usize::try_from(big(head, from + 2, 2)?).ok()?;
        match marker {
            // Bytes that fill up.
            0xff => {
                from += 1;
                continue;
            }
            0xe1 => is_turned |= is_turned_by(head.get(from + 4..from + 2 + length)?),
            0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker) => {
                let (h, w) = (big(head, from + 5, 2)?, big(head, from + 7, 2)?);
                return Some(if is_turned { (h, w) } else { (w, h) });
            }
            // The picture itself: it comes after its frame's head.
            0xda => return None,
            _ => {}
        }
        from += 2 + length;
    }
}

/// Whether width and height change places, by what a camera tells (Exif, a TIFF).
fn is_turned_by(told: &[u8]) -> bool {
    let Some(tiff) = told.strip_prefix(b"Exif\0\0") else {
        return false;
    };
    let number = match tiff.get(..2) {
        Some(b"II") => little,
        Some(b"MM") => big,
        _ => return false,
    };
    let orientation = || {
        let entries = usize::try_from(number(tiff, 4, 4)?).ok()?;
        let count = number(tiff, entries, 2)?;
        let entries = (0..usize::try_from(count).ok()?).map(|n| entries + 2 + 12 * n);
        let mut entries = entries.take_while(|from| *from < tiff.len());
        let entry = entries.find(|from| number(tiff, *from, 2) == Some(0x0112))?;
        number(tiff, entry + 8, 2)
    };
    orientation().is_some_and(|orientation| (5..=8).contains(&orientation))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mime: &'static str, w: u32, h: u32) -> Media {
        let size = Some((w, h));
        Media { mime, size }
    }

    fn without_size(mime: &'static str) -> Media {
        Media { mime, size: None }
    }

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn a_picture_is_known_by_its_bytes_and_so_is_its_size() {
        let png = joined(&[
            b"\x89PNG\r\n\x1a\n",
            b"\0\0\0\x0dIHDR",
            b"\0\0\x02\x80\0\0\x01\xe0",
        ]);
        assert_eq!(of(&png), shown("image/png", 640, 480));
        assert_eq!(of(&png[..20]), without_size("image/png"));
        assert_eq!(of(b"GIF89a\x40\x01\xf0\0"), shown("image/gif", 320, 240));
        let riff = |chunk: &[u8]| joined(&[b"RIFF\0\0\0\0WEBP", chunk]);
        let lossy = riff(b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x02\xe0\x01");
        assert_eq!(of(&lossy), shown("image/webp", 640, 480));
        let lossless = riff(b"VP8L\0\0\0\0\x2f\x7f\xc2\x77\x00");
        assert_eq!(of(&lossless), shown("image/webp", 640, 480));
        let extended = riff(b"VP8X\0\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0");
        assert_eq!(of(&extended), shown("image/webp", 640, 480));
        assert_eq!(of(b"\0\0\0\x20ftypavif"), without_size("image/avif"));
        // No side may be nothing.
        assert_eq!(of(b"GIF89a\0\0\xf0\0"), without_size("image/gif"));
    }

    #[test]
    fn a_photo_that_was_taken_upright_is_shown_upright() {
        let frame = b"\xff\xc0\0\x11\x08\x01\xe0\x02\x80";
        let before = b"\xff\xe0\0\x04ab";
        let plain = joined(&[b"\xff\xd8", before, b"\xff", frame]);
        assert_eq!(of(&plain), shown("image/jpeg", 640, 480));
        let told = |order: &[u8]| {
            let length = u8::try_from(order.len() + 8).unwrap();
            let camera = joined(&[b"\xff\xe1\0", &[length], b"Exif\0\0", order]);
            joined(&[b"\xff\xd8", &camera, frame])
        };
        for (orientation, size) in [(1, (640, 480)), (6, (480, 640)), (8, (480, 640))] {
            let little: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
            let big: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01";
            let shown = shown("image/jpeg", size.0, size.1);
            assert_eq!(
                of(&told(&joined(&[little, &[orientation, 0, 0, 0]]))),
                shown
            );
            assert_eq!(of(&told(&joined(&[big, &[0, orientation, 0, 0]]))), shown);
        }
        // Whatever it claims, nothing beyond its end is read.
        for end in 0..plain.len() {
            of(&plain[..end]);
        }
        let beyond = told(b"II*\0\xff\xff\xff\xff");
        assert_eq!(of(&beyond), shown("image/jpeg", 640, 480));
    }

    #[test]
    fn sound_and_video_are_known_and_everything_else_is_a_file() {
        for (head, mime) in [
            (&b"\0\0\0\x20ftypisom"[..], "video/mp4"),
            (b"\0\0\0\x20ftypqt  ", "video/quicktime"),
            (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
            (b"\0\0\0\x20ftypheic", UNKNOWN),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\x42\x82\x84webm", "video/webm"),
            (
                b"\x1a\x45\xdf\xa3\x01\0\0\0\x42\x82\x88matroska",
                "video/x-matroska",
            ),
            (b"\x1a\x45\xdf\xa3", UNKNOWN),
            (b"OggS\0\x02OpusHead", "audio/ogg"),
            (b"OggS\0\x02\x80theora", "video/ogg"),
            (b"RIFF\0\0\0\0WAVE", "audio/wav"),
            (b"fLaC", "audio/flac"),
            (b"ID3\x04", "audio/mpeg"),
            (b"\xff\xfb\x90\0", "audio/mpeg"),
            (b"\xff\xf1\x50\x80", "audio/aac"),
            (b"\xff\xfe\0\0", UNKNOWN),
            (b"%PDF-1.7", UNKNOWN),
            (b"plain text", UNKNOWN),
            (b"", UNKNOWN),
        ] {
            assert_eq!(of(head), without_size(mime), "{head:?}");
        }
    }
}
