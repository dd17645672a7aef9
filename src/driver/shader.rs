//! Compiled source text, and the functions in it.

use super::argument::ArgumentEncoder;
use super::beyond::supports;
use super::descriptor::ConstantValues;
use super::error::GpuError;
use super::foundation::{NSArray, NSString};
use crate::{metal_class, msg, selector};

metal_class! {
    /// Compiled source text: a library of functions.
    ///
    /// ```
    /// let source = "kernel void one(device int *x) { x[0] = 1; }
    ///     constant int c [[function_constant(0)]];
    ///     kernel void two(device int *x) { x[0] = c; }";
    /// let library = aruminium::Gpu::open()?.compile(source)?;
    /// library.set_label("numbers");
    /// assert_eq!(library.label().as_deref(), Some("numbers"));
    /// assert_eq!(library.function_names().len(), 2);
    /// assert_eq!(library.function("one")?.name(), "one");
    /// let constants = aruminium::ConstantValues::new();
    /// constants.set(0, 2i32);
    /// assert_eq!(library.function_with("two", &constants)?.name(), "two");
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class ShaderLib: MTLLibrary, labelled;

    fn specialized(name: &str, constants: &ConstantValues) -> Result<Shader, GpuError>
        = [newFunctionWithName:constantValues:error:] or GpuError::FunctionCreationFailed;
    fn names() -> NSArray = [functionNames];
    fn find(name: &str) -> Option<Shader> = [newFunctionWithName:];
}

// SAFETY: Apple documents libraries and functions as safe to use from any thread.
unsafe impl Send for ShaderLib {}
// SAFETY: as above.
unsafe impl Sync for ShaderLib {}

impl ShaderLib {
    /// The function with a name.
    ///
    /// # Errors
    ///
    /// [`GpuError::FunctionNotFound`] with the name, and the names that the library has;
    /// [`GpuError::FunctionCreationFailed`] if it exists and cannot be created.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let library = gpu.compile("kernel void fill(device float *out, uint i [[thread_position_in_grid]]) { out[i] = 1; }")?;
    /// assert_eq!(library.function("fill")?.name(), "fill");
    /// assert!(library.function("full").is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn function(&self, name: &str) -> Result<Shader, GpuError> {
        // Only the method with constants reports why a function that exists cannot be created.
        self.find(name).map_or_else(|| self.function_with(name, &ConstantValues::new()), Ok)
    }

    /// The intermediate representation of a kernel, as text; `specs/ir.md` describes it.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal; [`GpuError::FunctionCreationFailed`] if the kernel does not exist or
    /// does not compile.
    ///
    /// ```
    /// let library = aruminium::Gpu::open()?.compile("kernel void one(device int *x) { x[0] = 1; }")?;
    /// if let Ok(ir) = library.ir("one") {
    ///     assert!(ir.contains("one"));
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn ir(&self, kernel: &str) -> Result<String, GpuError> {
        supports(
            self,
            selector!(aruminiumIR:error:),
            "the intermediate representation of a kernel",
        )?;
        // SAFETY: soft Metal's libraries return a string, or store an error.
        let ir = unsafe { msg!(self, [aruminiumIR: kernel, error: _] -> Result<String, GpuError>) };
        ir.map_err(|error| GpuError::FunctionCreationFailed(error.to_string()))
    }

    /// The machine code of a kernel, as text: address, bytes and text of each instruction, and the line of the source and the
    /// operation of the IR that it is for; `specs/native.md` describes it. For an NVIDIA GPU it is PTX.
    ///
    /// # Errors
    ///
    /// [`GpuError::Unsupported`] on Apple's Metal; [`GpuError::FunctionCreationFailed`] if the kernel does not exist or
    /// does not compile, or if there is no machine code of it: on a processor without AVX2, for instance.
    ///
    /// ```
    /// let library = aruminium::Gpu::open()?.compile("kernel void one(device int *x) { x[0] = 1; }")?;
    /// if let Ok(listing) = library.listing("one") {
    ///     assert!(listing.contains("x[0] = 1;"), "{listing}");
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn listing(&self, kernel: &str) -> Result<String, GpuError> {
        supports(self, selector!(aruminiumListing:error:), "the machine code of a kernel")?;
        // SAFETY: soft Metal's libraries return a string, or store an error.
        let text =
            unsafe { msg!(self, [aruminiumListing: kernel, error: _] -> Result<String, GpuError>) };
        text.map_err(|error| GpuError::FunctionCreationFailed(error.to_string()))
    }

    /// The function with a name, with values for its function constants.
    ///
    /// # Errors
    ///
    /// As for [`function`](Self::function).
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let library = gpu.compile("constant int c [[function_constant(0)]];
    ///     kernel void fill(device int *out) { out[0] = c; }")?;
    /// let constants = aruminium::ConstantValues::new();
    /// assert!(library.function_with("fill", &constants).is_err(), "c has no value");
    /// constants.set(0, 2i32);
    /// assert_eq!(library.function_with("fill", &constants)?.name(), "fill");
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn function_with(
        &self,
        name: &str,
        constants: &ConstantValues,
    ) -> Result<Shader, GpuError> {
        self.specialized(name, constants).map_err(|error| {
            let names = self.function_names();
            if names.iter().any(|known| known == name) {
                return error;
            }
            GpuError::FunctionNotFound(format!("`{name}`; the library has {}", names.join(", ")))
        })
    }

    /// The names of all functions.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let library = gpu.compile("kernel void fill(device float *out) { out[0] = 1; }")?;
    /// assert_eq!(library.function_names(), ["fill"]);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn function_names(&self) -> Vec<String> {
        let names = self.names();
        // SAFETY: the elements are strings.
        let name = |index| unsafe { names.get::<NSString>(index) };
        (0..names.len()).filter_map(|index| Some(name(index)?.to_string())).collect()
    }
}

metal_class! {
    /// One function of a library.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// function.set_label("the first");
    /// assert_eq!((function.name().as_str(), function.label().as_deref()), ("one", Some("the first")));
    /// let pipeline = gpu.pipeline(&function)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Shader: MTLFunction, labelled;

    /// The name of the function.
    pub fn name() -> String = [name];
    /// An encoder for the struct at the index of a buffer; `None` if that is no argument buffer.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let source = "struct In { device float *x [[id(0)]]; }; kernel void one(constant In &in [[buffer(2)]]) { in.x[0] = 1; }";
    /// let encoder = gpu.compile(source)?.function("one")?.argument_encoder(2);
    /// assert!(encoder.is_some());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn argument_encoder(index: usize) -> Option<ArgumentEncoder> = [newArgumentEncoderWithBufferIndex:];
}

// SAFETY: as for libraries.
unsafe impl Send for Shader {}
// SAFETY: as above.
unsafe impl Sync for Shader {}
