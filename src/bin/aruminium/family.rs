//! The crates that bind to Apple's libraries, and what each needs to be compiled on Linux.
//!
//! They are compiled with the `cfg` of an Apple system. Their `#[link(kind = "framework")]` attributes are
//! rewritten, because the compiler accepts the kind for Apple's targets only: `framework` becomes `dylib`, and
//! nothing else changes. A source in which a framework is left is refused. The table has the releases that were tried: a
//! newer one is reported, and one that Cargo does not take for compatible with any of them is refused.

/// A crate of the family.
struct Member {
    name: &'static str,
    /// Where its sources are, by its manifest, after the host's name: a user's package may have the same name.
    repository: &'static str,
    /// The newest release that was tried, of each series of releases that Cargo takes for compatible.
    newest: &'static [Release],
}

/// The three numbers of a version.
type Release = [u64; 3];

/// The arguments of `--cfg`. Linux stays set too.
pub(super) const CFGS: [&str; 2] = ["target_vendor=\"apple\"", "target_os=\"macos\""];

/// The `cfg` for this crate, also when Cargo queries the target's: with it, `objc2` is a dependency of the feature of that name.
pub(super) const OWN_CFG: &str = "aruminium_launcher";

/// The variable of the oldest system that a program runs on, and a version that has everything: `objc2` decides by it
/// at compile time whether to ask the system for its version.
pub(super) const DEPLOYMENT: (&str, &str) = ("MACOSX_DEPLOYMENT_TARGET", "26.0");

/// The repository of the `objc2` project.
const OBJC2: &str = "madsmtm/objc2";

/// The crates of the `objc2` project besides frameworks, and the older crates.
const MEMBERS: &[Member] = &[
    Member { name: "objc2", repository: OBJC2, newest: &[[0, 6, 5]] },
    Member { name: "objc2_encode", repository: OBJC2, newest: &[[4, 1, 0]] },
    Member { name: NO_SCRIPT, repository: OBJC2, newest: &[[0, 1, 1]] },
    Member { name: "block2", repository: OBJC2, newest: &[[0, 6, 2]] },
    Member { name: "dispatch2", repository: OBJC2, newest: &[[0, 3, 1]] },
    Member { name: "objc", repository: "SSheldon/rust-objc", newest: &[[0, 2, 7]] },
    Member { name: "block", repository: "SSheldon/rust-block", newest: &[[0, 1, 6]] },
    Member {
        name: "metal",
        repository: "gfx-rs/metal-rs",
        newest: &[[0, 31, 0], [0, 32, 0], [0, 33, 0]],
    },
    Member {
        name: "core_graphics_types",
        repository: "servo/core-foundation-rs",
        newest: &[[0, 1, 3], [0, 2, 0]],
    },
];

/// The member whose build script is replaced by an empty one: it compiles Objective-C, which only clang does for Apple's
/// runtime. The library has the function that it makes.
pub(super) const NO_SCRIPT: &str = "objc2_exception_helper";

/// The frameworks of the `objc2` project, which have one version.
const FRAMEWORK: Member = Member { name: "objc2_", repository: OBJC2, newest: &[[0, 3, 2]] };

/// Crates of the project that run while others are compiled. Their names begin like those of frameworks.
const TOOLS: &[&str] = &["objc2_proc_macros"];

/// Whether a crate is of Metal's family, and whether its release was tried.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not of the family.
    Stranger,
    /// A member, of a release that was tried or an older one of the same series.
    Tried,
    /// A member, of a newer release: what to print about it.
    Newer(String),
}

/// Finds a crate by its name, its version, and the repository that its manifest names.
///
/// # Errors
///
/// It is a member, and Cargo takes no release that was tried for compatible with its version.
pub(super) fn known(name: &str, version: &str, repository: &str) -> Result<Known, String> {
    if TOOLS.contains(&name) {
        return Ok(Known::Stranger);
    }
    let listed = MEMBERS.iter().find(|member| member.name == name);
    let named = listed.or_else(|| name.starts_with(FRAMEWORK.name).then_some(&FRAMEWORK));
    let path = repository.trim_end_matches('/').trim_end_matches(".git");
    let Some(member) = named.filter(|member| path.ends_with(member.repository)) else {
        return Ok(Known::Stranger);
    };
    let release = release(version);
    let compatible =
        |newest: &&Release| release.is_some_and(|release| series(release) == series(**newest));
    let Some(newest) = member.newest.iter().find(compatible) else {
        return Err(format!(
            "the crate {name} {version} is of a version that this launcher does not know (it was tried with {}): use a \
             version that is compatible with one of those, or a newer aruminium",
            member.newest.iter().map(spelled).collect::<Vec<_>>().join(", ")
        ));
    };
    if release <= Some(*newest) {
        return Ok(Known::Tried);
    }
    Ok(Known::Newer(format!(
        "the crate {name} {version} is newer than the release that this launcher was tried with, {}: if it does not \
         compile or run, use that one, or a newer aruminium",
        spelled(newest)
    )))
}

/// The numbers of a version; what follows a hyphen or a plus sign is no part of them.
fn release(version: &str) -> Option<Release> {
    let mut numbers =
        version.split(['-', '+']).next()?.split('.').map(|number| number.parse().ok());
    let release = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(release)
}

/// Releases of one series are compatible: those whose numbers are the same up to the first that is not 0.
fn series([major, minor, patch]: Release) -> Release {
    match (major, minor) {
        (0, 0) => [0, 0, patch],
        (0, _) => [0, minor, 0],
        _ => [major, 0, 0],
    }
}

fn spelled([major, minor, patch]: &Release) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::{Known, MEMBERS, OBJC2, known};

    /// `known`, of a package in the repository that the crate of this name has.
    fn published(name: &str, version: &str) -> Result<Known, String> {
        let listed = MEMBERS.iter().find(|member| member.name == name);
        let path = listed.map_or(OBJC2, |member| member.repository);
        known(name, version, &format!("https://github.com/{path}"))
    }

    #[test]
    fn releases_that_were_tried_and_older_ones_are_known() {
        for (name, version) in [
            ("objc2_metal", "0.3.2"),
            ("objc2_metal", "0.3.0"),
            ("metal", "0.31.0"),
            ("metal", "0.33.0"),
            ("objc2_encode", "4.0.9"),
        ] {
            assert_eq!(published(name, version), Ok(Known::Tried), "{name} {version}");
        }
        for (name, version) in [("serde", "1.0.0"), ("objc2_proc_macros", "0.2.0")] {
            assert_eq!(published(name, version), Ok(Known::Stranger));
        }
        let with_git = known("metal", "0.33.0", "https://github.com/gfx-rs/metal-rs.git/");
        assert_eq!(with_git, Ok(Known::Tried));
    }

    #[test]
    fn packages_of_others_with_such_a_name_are_strangers() {
        for (name, repository) in [
            ("objc2_helpers", ""),
            ("metal", ""),
            ("metal", "https://example.com/my/metal"),
            ("block", "https://github.com/madsmtm/objc2"),
        ] {
            assert_eq!(
                known(name, "7.0.0", repository),
                Ok(Known::Stranger),
                "{name} {repository}"
            );
        }
    }

    #[test]
    fn newer_releases_are_reported_and_other_series_refused() {
        for (name, version, tried) in [
            ("objc2_metal", "0.3.3", "0.3.2"),
            ("objc2_metal", "0.3.10-beta.1+x", "0.3.2"),
            ("objc2_encode", "4.2.0", "4.1.0"),
            ("metal", "0.32.1", "0.32.0"),
        ] {
            let Ok(Known::Newer(report)) = published(name, version) else {
                panic!("{name} {version}")
            };
            assert!(
                report.contains(&format!("{name} {version}")) && report.contains(tried),
                "{report}"
            );
        }
        for (name, version, tried) in [
            ("objc2_metal", "0.4.0", "0.3.2"),
            ("objc2_metal", "0.2.9", "0.3.2"),
            ("objc2_encode", "5.0.0", "4.1.0"),
            ("metal", "0.34.0", "0.31.0, 0.32.0, 0.33.0"),
            ("metal", "1.33.0", "0.31.0, 0.32.0, 0.33.0"),
            ("metal", "0.33", "0.31.0, 0.32.0, 0.33.0"),
        ] {
            let error = published(name, version).unwrap_err();
            let expected = format!("the crate {name} {version} is of a version");
            assert!(error.starts_with(&expected) && error.contains(tried), "{error}");
        }
    }
}
