//! Libraries as data: `newLibraryWithData:error:`.
//!
//! Apple's compiler makes code for Apple's GPUs. The data here is a container of our own: the compiler's arguments
//! and the source text, between the four letters that Apple's libraries begin with and those that they end with.

use super::compiler::Options;

/// How a container begins: Apple's letters, ours, and the version of the format.
pub(super) const HEAD: &[u8] = b"MTLBaruminium\x01";
pub(super) const TAIL: &[u8] = b"ENDT";

/// The text and the options of a container; `None` if it is not one of ours.
pub(super) fn unpack(bytes: &[u8]) -> Option<(&str, Options)> {
    let rest = bytes.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    let (arguments, source) = rest.split_at(rest.iter().position(|byte| *byte == 0)?);
    let arguments = str::from_utf8(arguments).ok()?;
    Some((str::from_utf8(&source[1..]).ok()?, options(arguments)))
}

/// The options that arguments of Metal's compiler are. Those that change nothing here are ignored.
pub(super) fn options(arguments: &str) -> Options {
    let mut options = Options {
        macros: Vec::new(),
        headers: Vec::new(),
        language: None,
        safe_math: false,
        max_threads: 0,
    };
    for argument in arguments.split_whitespace() {
        if let Some(standard) = argument.strip_prefix("-std=") {
            // `metal3.1`, or `macos-metal2.0`.
            let version = standard.rsplit("metal").next().and_then(|text| text.split_once('.'));
            options.language = version.and_then(|(major, minor)| {
                let [major, minor] = [major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?];
                major.checked_mul(100)?.checked_add(minor.checked_mul(10)?)
            });
        } else if let Some(name) = argument.strip_prefix("-D") {
            let (name, text) = name.split_once('=').unwrap_or((name, "1"));
            options.macros.push((name.to_owned(), text.to_owned()));
        } else if let "-ffast-math" | "-fno-fast-math" = argument {
            options.safe_math = argument == "-fno-fast-math";
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_options() {
        let options = super::options("-fno-fast-math -std=metal3.1 -x metal -DA=7 -DB");
        assert_eq!((options.language, options.safe_math), (Some(310), true));
        let expected = [("A", "7"), ("B", "1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(options.macros, expected);
        assert_eq!(super::options("-std=macos-metal2.0").language, Some(200));
        for too_large in ["42949673.0", "1.429496730", "42949672.10", "4294967296.0"] {
            assert_eq!(super::options(&format!("-std=metal{too_large}")).language, None);
        }
    }

    #[test]
    fn only_containers_of_ours_are_unpacked() {
        let bytes = [HEAD, b"-fno-fast-math\0kernel", TAIL].concat();
        let (source, options) = unpack(&bytes).unwrap();
        assert_eq!((source, options.safe_math), ("kernel", true));
        assert!(unpack(&bytes[1..]).is_none() && unpack(&bytes[..bytes.len() - 1]).is_none());
        assert!(unpack(b"MTLB of Apple's ENDT").is_none());
        assert!(unpack(&[HEAD, TAIL].concat()).is_none());
    }
}
