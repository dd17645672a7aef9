//! Whole files through all phases: the corpus, the diagnostics, and what no input may do.

use super::*;

fn errors(text: &str) -> String {
    match compile(text, &Options::default()) {
        Ok(library) => {
            let mut out = library.warnings.clone();
            for entry in &library.entries {
                if let Err(error) = library.kernel(&entry.name, &ConstantValues::default()) {
                    out += &error.0;
                }
            }
            out
        }
        Err(error) => error.0,
    }
}

#[test]
fn a_kernel_becomes_ir() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
        kernel void saxpy(device const float* x [[buffer(0)]], device float* y [[buffer(1)]],\n\
        constant float& a [[buffer(2)]], uint i [[thread_position_in_grid]]) { y[i] = a * x[i] + y[i]; }";
    let library = compile(text, &Options::default()).unwrap();
    let (module, reflection) = library.kernel("saxpy", &ConstantValues::default()).unwrap();
    ir::verify(&module).unwrap();
    assert_eq!(reflection.arguments.len(), 4);
    println!("{module}");
}
