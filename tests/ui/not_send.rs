//! Objects stay on their thread unless the class's author says otherwise.

aruminium::metal_class! {
    pub class Encoder: MTLComputeCommandEncoder, table, direct Batch<'a>;
    pub fn finish() = [endEncoding];
}

fn send<T: Send>() {}

fn main() {
    send::<Encoder>(); //~ ERROR: cannot be sent between threads safely
    send::<Batch<'_>>(); //~ ERROR: cannot be shared between threads safely
}
