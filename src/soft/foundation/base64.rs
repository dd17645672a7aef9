//! Base64 (RFC 4648), as NSData reads and writes it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `NSDataBase64DecodingIgnoreUnknownCharacters`.
pub(super) const IGNORE: usize = 1;

/// Of `NSDataBase64EncodingOptions`: the length of lines, and their end.
const LINES_OF_64: usize = 1;
const LINES_OF_76: usize = 2;
const CARRIAGE_RETURN: usize = 16;
const LINE_FEED: usize = 32;

/// The text of bytes.
pub(super) fn encode(bytes: &[u8], options: usize) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, nth| bits << 8 | u32::from(*chunk.get(nth).unwrap_or(&0)));
        let digit = |nth: usize| match nth > chunk.len() {
            true => '=',
            false => char::from(ALPHABET[(bits >> (18 - 6 * nth) & 63) as usize]),
        };
        text.extend((0..4).map(digit));
    }
    let length = match (options & LINES_OF_64, options & LINES_OF_76) {
        (0, 0) => return text,
        (0, _) => 76,
        _ => 64,
    };
    let end = match (options & CARRIAGE_RETURN, options & LINE_FEED) {
        (0, LINE_FEED) => "\n",
        (CARRIAGE_RETURN, 0) => "\r",
        _ => "\r\n",
    };
    let lines: Vec<&str> =
        (0..text.len()).step_by(length).map(|at| &text[at..text.len().min(at + length)]).collect();
    lines.join(end)
}

/// The bytes of a text; none if it is not Base64.
pub(super) fn decode(text: &[u8], ignore: bool) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count, mut padding) = (Vec::new(), 0u32, 0, 0);
    for byte in text {
        match ALPHABET.iter().position(|digit| digit == byte) {
            Some(digit) if padding == 0 => {
                bits = bits << 6 | digit as u32;
                count += 1;
                if count % 4 != 1 {
                    bytes.push(
                        (bits >> [0, 0, 4, 2, 0][if count % 4 == 0 { 4 } else { count % 4 }]) as u8,
                    );
                }
            }
            None if *byte == b'=' => padding += 1,
            None if ignore => {}
            _ => return None,
        }
    }
    ((count + padding) % 4 == 0 && padding < 3).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_standard_are_encoded_and_decoded() {
        // RFC 4648, section 10.
        let texts = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, text) in texts.into_iter().enumerate() {
            let bytes = &b"foobar"[..length];
            assert_eq!(encode(bytes, 0), text);
            assert_eq!(decode(text.as_bytes(), false).unwrap(), bytes);
        }
        assert_eq!(decode(b"Zm9v\nYmFy", false), None);
        assert_eq!(decode(b"Zm9v\nYmFy", true).unwrap(), b"foobar");
        for wrong in ["Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9v="] {
            assert_eq!(decode(wrong.as_bytes(), false), None, "{wrong}");
        }
        let lines = encode(&[255; 96], LINES_OF_64 | LINE_FEED);
        assert_eq!(lines, format!("{0}\n{0}", "/".repeat(64)));
    }
}
