//! Function pointers: visible functions that are linked to a pipeline, and tables of them.

use super::foundation::NSArray;
use super::shader::Shader;
use crate::metal_class;

metal_class! {
    /// The functions that a kernel may call through pointers.
    ///
    /// ```
    /// use aruminium::{FunctionTableDescriptor, Gpu, LinkedFunctions, PipelineDescriptor};
    /// let gpu = Gpu::open()?;
    /// let library = gpu.compile("#include <metal_stdlib>
    ///     using namespace metal;
    ///     [[visible]] float twice(float x) { return 2 * x; }
    ///     [[visible]] float square(float x) { return x * x; }
    ///     kernel void each(device float *x [[buffer(0)]],
    ///                      visible_function_table<float(float)> table [[buffer(1)]],
    ///                      uint i [[thread_position_in_grid]]) {
    ///         x[i] = table[i % table.size()](x[i]);
    ///     }")?;
    /// let (twice, square) = (library.function("twice")?, library.function("square")?);
    /// let linked = LinkedFunctions::new();
    /// linked.set_functions(&[&twice, &square]);
    /// let descriptor = PipelineDescriptor::new(&library.function("each")?);
    /// descriptor.set_linked_functions(&linked);
    /// let pipeline = gpu.pipeline_with(&descriptor)?;
    ///
    /// let descriptor = FunctionTableDescriptor::new();
    /// descriptor.set_function_count(2);
    /// assert_eq!(descriptor.function_count(), 2);
    /// let table = pipeline.function_table(&descriptor)?;
    /// for (index, function) in [&twice, &square].into_iter().enumerate() {
    ///     table.set(pipeline.function_handle(function).as_ref(), index);
    /// }
    ///
    /// let buffer = gpu.buffer_with_data(bytes_of(&[1.5f32, 3.0, -2.0]))?;
    /// let commands = gpu.new_command_queue()?.commands()?;
    /// let encoder = commands.encoder()?;
    /// encoder.bind(&pipeline);
    /// encoder.bind_buffer(&buffer, 0, 0);
    /// encoder.bind_function_table(&table, 1);
    /// encoder.launch((3, 1, 1), (3, 1, 1));
    /// encoder.finish();
    /// commands.submit();
    /// commands.finish()?;
    /// assert_eq!(buffer.read_f32(|x| x.to_vec()), [3.0, 9.0, -4.0]);
    /// # fn bytes_of(x: &[f32]) -> &[u8] {
    /// #     // SAFETY: every byte of a float is initialised.
    /// #     unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), size_of_val(x)) }
    /// # }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class LinkedFunctions: MTLLinkedFunctions;

    /// No functions.
    pub fn new() -> LinkedFunctions = class [linkedFunctions];
    fn set_function_array(functions: &NSArray) = [setFunctions:];
    fn set_private_array(functions: &NSArray) = [setPrivateFunctions:];
}

impl LinkedFunctions {
    /// Set the functions that handles can be made of.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let f = gpu.compile("[[visible]] int f(int x) { return x; }")?.function("f")?;
    /// aruminium::LinkedFunctions::new().set_functions(&[&f]);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn set_functions(&self, functions: &[&Shader]) {
        self.set_function_array(&NSArray::new(functions));
    }

    /// Set the functions that the pipeline links without exporting them.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let f = gpu.compile("[[visible]] int f(int x) { return x; }")?.function("f")?;
    /// aruminium::LinkedFunctions::new().set_private_functions(&[&f]);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn set_private_functions(&self, functions: &[&Shader]) {
        self.set_private_array(&NSArray::new(functions));
    }
}

metal_class! {
    /// A function that a pipeline can call through pointers: an entry of a [`FunctionTable`].
    ///
    /// ```
    /// # use aruminium::{Gpu, LinkedFunctions, PipelineDescriptor};
    /// # let gpu = Gpu::open()?;
    /// let library = gpu.compile("[[visible]] int f(int x) { return x; }
    ///     kernel void k(device int *x) { x[0] = 1; }")?;
    /// let f = library.function("f")?;
    /// let linked = LinkedFunctions::new();
    /// linked.set_functions(&[&f]);
    /// let descriptor = PipelineDescriptor::new(&library.function("k")?);
    /// descriptor.set_linked_functions(&linked);
    /// let pipeline = gpu.pipeline_with(&descriptor)?;
    /// assert_eq!(pipeline.function_handle(&f).unwrap().name(), "f");
    /// assert!(pipeline.function_handle(&library.function("k")?).is_none(), "k is not linked");
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class FunctionHandle: MTLFunctionHandle;

    /// The name of the function.
    pub fn name() -> String = [name];
}

// SAFETY: handles never change.
unsafe impl Send for FunctionHandle {}
// SAFETY: as above.
unsafe impl Sync for FunctionHandle {}

metal_class! {
    /// How many functions a table has.
    ///
    /// ```
    /// let descriptor = aruminium::FunctionTableDescriptor::new();
    /// descriptor.set_function_count(8);
    /// assert_eq!(descriptor.function_count(), 8);
    /// ```
    pub class FunctionTableDescriptor: MTLVisibleFunctionTableDescriptor;

    /// A table of no functions.
    pub fn new() -> FunctionTableDescriptor = class [visibleFunctionTableDescriptor];
    /// The number of functions.
    pub fn function_count() -> usize = [functionCount];
    /// Set the number of functions.
    pub fn set_function_count(count: usize) = [setFunctionCount:];
}

metal_class! {
    /// Functions that kernels call through a `visible_function_table`. [`LinkedFunctions`] has an example.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let function = gpu.compile("kernel void k(device int *x) { x[0] = 1; }")?.function("k")?;
    /// let pipeline = gpu.pipeline(&function)?;
    /// let descriptor = aruminium::FunctionTableDescriptor::new();
    /// descriptor.set_function_count(3);
    /// let table = pipeline.function_table(&descriptor)?;
    /// table.set_label("shapes");
    /// assert_eq!(table.label().as_deref(), Some("shapes"));
    /// // For an argument buffer.
    /// assert_ne!(table.gpu_id(), 0);
    /// // An entry without a function.
    /// table.set(None, 2);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class FunctionTable: MTLVisibleFunctionTable, labelled;

    /// Set the function of an entry, or clear it.
    pub fn set(function: Option<&FunctionHandle>, index: usize) = [setFunction:atIndex:];
    fn resource_id() -> crate::abi::MTLResourceID = [gpuResourceID];
}

// SAFETY: Metal's resources may be used from any thread; entries are set in one step.
unsafe impl Send for FunctionTable {}
// SAFETY: as above.
unsafe impl Sync for FunctionTable {}

impl FunctionTable {
    /// The number that stands for the table in an argument buffer.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let function = gpu.compile("kernel void k(device int *x) { x[0] = 1; }")?.function("k")?;
    /// let table = gpu.pipeline(&function)?.function_table(&aruminium::FunctionTableDescriptor::new())?;
    /// assert_ne!(table.gpu_id(), 0);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn gpu_id(&self) -> u64 {
        self.resource_id()._impl
    }
}
