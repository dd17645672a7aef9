//! The command `info`: the devices, their limits, versions, and the variables in force.

use super::{Failure, library};
use aruminium::foundation::{NSArray, NSDictionary, NSNumber, NSString};
use aruminium::{Gpu, GpuFamily, msg, selector};
use std::process::ExitCode;

const FAMILIES: [GpuFamily; 17] = [
    GpuFamily::Apple1,
    GpuFamily::Apple2,
    GpuFamily::Apple3,
    GpuFamily::Apple4,
    GpuFamily::Apple5,
    GpuFamily::Apple6,
    GpuFamily::Apple7,
    GpuFamily::Apple8,
    GpuFamily::Apple9,
    GpuFamily::Apple10,
    GpuFamily::Mac1,
    GpuFamily::Mac2,
    GpuFamily::Common1,
    GpuFamily::Common2,
    GpuFamily::Common3,
    GpuFamily::Metal3,
    GpuFamily::Metal4,
];

/// Prints what there is. Without a device it is a failure, which says why.
pub(super) fn info() -> Result<ExitCode, Failure> {
    println!("aruminium {}", env!("CARGO_PKG_VERSION"));
    match library::located() {
        Ok((library, compiler)) => {
            println!("compiler: {compiler}");
            let state =
                if library.exists() { "" } else { " (the first `aruminium run` builds it)" };
            println!("library for other programs: {}{state}", library.display());
        }
        Err(why) => println!("library for other programs: none: {why}"),
    }
    let gpus = Gpu::all().map_err(|error| error.to_string())?;
    for gpu in &gpus {
        device(gpu);
    }
    let settings = gpus.first().and_then(settings);
    if let Some(settings) = settings {
        let value = |key: &str| text(&settings, key);
        println!(
            "Metal Shading Language: {}, newest {}",
            value("language"),
            value("newestLanguage")
        );
        variables(&settings);
    }
    Ok(ExitCode::SUCCESS)
}

fn device(gpu: &Gpu) {
    let threads = gpu.max_threads_per_threadgroup();
    println!("device: {}", gpu.name());
    println!("  architecture: {}", gpu.architecture());
    let families = FAMILIES.into_iter().filter(|family| gpu.supports_family(*family));
    let families: Vec<String> = families.map(|family| format!("{family:?}")).collect();
    println!("  families: {}", families.join(", "));
    println!("  unified memory: {}", if gpu.has_unified_memory() { "yes" } else { "no" });
    if let Some(settings) = settings(gpu) {
        let number = |key: &str| number(&settings, key);
        println!("  threads of a SIMD-group: {}", number("simdWidth"));
        println!(
            "  arguments of a kernel: {} buffers, {} textures, {} samplers",
            number("buffers"),
            number("textures"),
            number("samplers")
        );
    }
    println!(
        "  threads of a threadgroup: {} x {} x {}",
        threads.width, threads.height, threads.depth
    );
    println!("  threadgroup memory: {} bytes", gpu.max_threadgroup_memory_length());
    println!("  longest buffer: {} bytes", gpu.max_buffer_length());
    println!("  recommended working set: {} bytes", gpu.recommended_max_working_set_size());
}

/// Soft Metal's settings; `None` on Apple's systems.
fn settings(gpu: &Gpu) -> Option<NSDictionary> {
    // SAFETY: every object responds to the first message, and a device that says so to the second, with a dictionary.
    unsafe {
        let has = msg!(gpu, [respondsToSelector: selector!(aruminiumSettings)] -> bool);
        has.then(|| msg!(gpu, [aruminiumSettings] -> NSDictionary))
    }
}

fn text(record: &NSDictionary, key: &str) -> String {
    // SAFETY: the dictionary has strings under these keys.
    let found = unsafe { msg!(record, [objectForKey: &NSString::from(key)] -> Option<NSString>) };
    found.map(|text| text.to_string()).unwrap_or_default()
}

fn number(record: &NSDictionary, key: &str) -> u64 {
    // SAFETY: the dictionary has numbers under these keys.
    let found = unsafe { msg!(record, [objectForKey: &NSString::from(key)] -> Option<NSNumber>) };
    found.map_or(0, |number| number.as_u64())
}

fn variables(settings: &NSDictionary) {
    // SAFETY: the dictionary has an array of dictionaries under this key.
    let all =
        unsafe { msg!(settings, [objectForKey: &NSString::from("variables")] -> Option<NSArray>) };
    let Some(all) = all else { return };
    println!("variables:");
    for index in 0..all.len() {
        // SAFETY: as above.
        let one = unsafe { msg!(&all, [objectAtIndex: index] -> NSDictionary) };
        let (name, value) = (text(&one, "name"), text(&one, "value"));
        match &*text(&one, "origin") {
            "set" => println!("  {name}={value}"),
            "default" => println!("  {name}: {value} (default)"),
            origin => println!("  {name}={value} ({origin}: ignored)"),
        }
    }
}
