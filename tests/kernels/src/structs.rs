//! Argument structs as C lays them out.

/// The bytes of a struct: each field at a multiple of its size, the whole a multiple of the largest.
#[derive(Clone, Debug, Default)]
pub struct Struct {
    bytes: Vec<u8>,
    align: usize,
}

macro_rules! fields {
    ($($ty:ident)*) => {$(
        #[doc = concat!("Fields of type `", stringify!($ty), "`.")]
        pub fn $ty<const N: usize>(mut self, values: [$ty; N]) -> Self {
            for value in values {
                self.field(&value.to_le_bytes());
            }
            self
        }
    )*};
}

impl Struct {
    /// No fields yet.
    pub fn new() -> Self {
        Self::default()
    }

    fields! { i16 i32 u32 u64 f32 u8 }

    fn field(&mut self, bytes: &[u8]) {
        self.align = self.align.max(bytes.len());
        let start = self.bytes.len().next_multiple_of(bytes.len());
        self.bytes.resize(start, 0);
        self.bytes.extend(bytes);
    }

    /// The bytes, with the padding after the last field.
    pub fn bytes(mut self) -> Vec<u8> {
        let size = self.bytes.len().next_multiple_of(self.align.max(1));
        self.bytes.resize(size, 0);
        self.bytes
    }
}

/// A `size_t`.
pub fn size(value: usize) -> [u8; 8] {
    (value as u64).to_le_bytes()
}

/// A `uint`.
pub fn word(value: usize) -> [u8; 4] {
    (value as u32).to_le_bytes()
}
