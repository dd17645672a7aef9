//! Kernels in a file.

use super::Bench;
use crate::infer::{Arg, Grid, Kernels};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A folder of a test, which is removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("aruminium-cache-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("kernels")
    }

    /// The names in it.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// A source whose kernel writes a number.
fn source(number: usize) -> String {
    format!(
        "constant uint more [[function_constant(0)]];
         kernel void put(device uint *x) {{ x[0] = {number} + more; }}"
    )
}

/// Makes and runs the kernels of these numbers. Returns how many were in the file.
fn make(bench: &Bench, kernels: &Kernels, numbers: &[usize], more: u32) -> u64 {
    let x = bench.tensor(&[0]);
    for &number in numbers {
        let name = number.to_string();
        kernels.add(&name, source(number));
        let kernel = kernels.get_with(&name, "put", &[(0, more.into())]).unwrap();
        let mut stream = bench.stream();
        stream.launch(&kernel, &[Arg::Tensor(&x)], Grid::threads_1d(1)).unwrap();
        stream.finish().unwrap();
        assert_eq!(x.to_vec::<u32>().unwrap(), [number as u32 + more]);
    }
    kernels.loaded()
}

#[test]
fn kernels_are_found_in_the_file() {
    let (bench, folder) = (Bench::new(), Folder::new());
    // The folder of the file is made, too.
    let file = folder.0.join("of").join("mine").join("kernels");
    let first = Kernels::cached(&bench.gpu, &file);
    assert_eq!(make(&bench, &first, &[1, 2], 0), 0);
    assert!(!file.exists(), "nothing is written before it is saved");
    assert_eq!((first.save().unwrap(), first.save().unwrap()), (2, 0));
    let second = Kernels::cached(&bench.gpu, &file);
    assert_eq!(make(&bench, &second, &[1, 2, 3], 0), 2);
    // Other constants, or another text under the same name, are another kernel.
    assert_eq!(make(&bench, &second, &[1], 5), 2);
    second.add("1", source(1).replace("x[0]", "*x"));
    second.get_with("1", "put", &[(0, 0u32.into())]).unwrap();
    assert_eq!((second.loaded(), second.save().unwrap()), (2, 3));
    let third = Kernels::cached(&bench.gpu, &file);
    assert_eq!(make(&bench, &third, &[1, 2, 3], 0) + make(&bench, &third, &[1], 5), 3 + 4);
    assert_eq!(third.save().unwrap(), 0);
}

/// A file that Metal cannot use is no error, and is written anew.
#[test]
fn files_that_cannot_be_used_are_replaced() {
    let (bench, folder) = (Bench::new(), Folder::new());
    let kernels = Kernels::cached(&bench.gpu, folder.file());
    make(&bench, &kernels, &[1], 0);
    kernels.save().unwrap();
    let whole = fs::read(folder.file()).unwrap();
    let mut later = whole.clone();
    // The version is the last character of the first line.
    let end = later.iter().position(|&byte| byte == b'\n').unwrap();
    later[end - 1] += 1;
    let damaged = [&whole[..], b"\xff\xfe"].concat();
    for content in [b"".to_vec(), b"another program's file".to_vec(), later, damaged] {
        fs::write(folder.file(), &content).unwrap();
        let kernels = Kernels::cached(&bench.gpu, folder.file());
        assert_eq!(make(&bench, &kernels, &[1], 0), 0, "{content:?}");
        assert_eq!(kernels.save().unwrap(), 1);
        assert_eq!(fs::read(folder.file()).unwrap(), whole);
    }
    // One that ends early has fewer kernels, or is not used.
    for end in 0..whole.len() {
        fs::write(folder.file(), &whole[..end]).unwrap();
        make(&bench, &Kernels::cached(&bench.gpu, folder.file()), &[1], 0);
    }
    assert_eq!(folder.names(), ["kernels"]);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_of_save_alone() {
    let (bench, folder) = (Bench::new(), Folder::new());
    fs::write(folder.file(), "no folder").unwrap();
    let kernels = Kernels::cached(&bench.gpu, folder.file().join("kernels"));
    assert_eq!(make(&bench, &kernels, &[1], 0), 0);
    assert!(kernels.save().is_err());
    // The kernels are not forgotten.
    fs::remove_file(folder.file()).unwrap();
    assert_eq!(kernels.save().unwrap(), 1);
    // A folder of the file's name.
    let kernels = Kernels::cached(&bench.gpu, folder.file());
    make(&bench, &kernels, &[2], 0);
    assert!(kernels.save().is_err());
    assert_eq!(folder.names(), ["kernels"], "no other file is left");
}

/// Programs that save at different times do not lose each other's kernels, and those that save at the same time leave a whole file.
#[test]
fn many_programs_share_a_file() {
    let (bench, folder) = (Bench::new(), Folder::new());
    let open = || Kernels::cached(&bench.gpu, folder.file());
    let [one, two] = [open(), open()];
    make(&bench, &one, &[1], 0);
    make(&bench, &two, &[2], 0);
    assert_eq!((one.save().unwrap(), two.save().unwrap()), (1, 1));
    assert_eq!(make(&bench, &open(), &[1, 2], 0), 2);

    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (bench, folder, ended) = (&bench, &folder, &ended);
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                scope.spawn(move || {
                    for number in 0..10 {
                        let kernels = Kernels::cached(&bench.gpu, folder.file());
                        make(bench, &kernels, &[10 * writer + number], 9);
                        kernels.save().unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                bench.gpu.open_binary_archive(folder.file()).unwrap();
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        ended.store(true, Ordering::Relaxed);
    });
    // The kernels that every program made before remain.
    assert_eq!(make(&bench, &open(), &[1, 2], 0), 2);
    assert_eq!(folder.names(), ["kernels"]);
}
