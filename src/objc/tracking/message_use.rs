//! How a message uses the memory of its arguments.

/// How a message to an encoder or a command buffer uses its arguments, by its selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageUse {
    /// Sets the pipeline.
    Pipeline,
    /// Sets a buffer or bytes at an index; the pipeline determines the use.
    Bind,
    /// Sets a texture.
    Texture,
    /// Launches the pipeline; a buffer that is passed holds sizes.
    Launch,
    /// Runs commands that may read and write everything that is bound.
    Execute,
    /// Ends the encoder.
    End,
    /// Makes an encoder.
    BeginEncoder,
    /// Submits the command buffer.
    Commit,
    /// Copies from its first resource to its second.
    Copy,
    /// Makes resources reachable for all later commands.
    MakeResident,
    /// Takes resources out of a residency set, or a set out of a queue.
    Remove,
    /// Takes everything out of a residency set.
    Clear,
    /// Sets whether the resource's contents may be discarded.
    Purge,
    /// Anything else: all resources that are passed count as written.
    Other,
}

impl MessageUse {
    /// How a message with this selector uses its arguments.
    pub const fn of(selector: &str) -> Self {
        const TABLE: [(&str, bool, MessageUse); 22] = [
            ("setComputePipelineState:", true, MessageUse::Pipeline),
            ("setBuffer:offset:atIndex:", true, MessageUse::Bind),
            ("setBytes:length:atIndex:", true, MessageUse::Bind),
            ("endEncoding", true, MessageUse::End),
            ("computeCommandEncoder", false, MessageUse::BeginEncoder),
            ("blitCommandEncoder", false, MessageUse::BeginEncoder),
            ("renderCommandEncoder", false, MessageUse::BeginEncoder),
            ("parallelRenderCommandEncoder", false, MessageUse::BeginEncoder),
            ("resourceStateCommandEncoder", false, MessageUse::BeginEncoder),
            ("accelerationStructureCommandEncoder", false, MessageUse::BeginEncoder),
            ("commit", true, MessageUse::Commit),
            ("setTexture", false, MessageUse::Texture),
            ("dispatch", false, MessageUse::Launch),
            ("execute", false, MessageUse::Execute),
            ("copyFrom", false, MessageUse::Copy),
            ("addAllocation", false, MessageUse::MakeResident),
            ("addResidencySet", false, MessageUse::MakeResident),
            ("useResidencySet", false, MessageUse::MakeResident),
            ("removeAllocation", false, MessageUse::Remove),
            ("removeResidencySet", false, MessageUse::Remove),
            ("removeAllAllocations", true, MessageUse::Clear),
            ("setPurgeableState:", true, MessageUse::Purge),
        ];
        let mut row = 0;
        while row < TABLE.len() {
            let (text, whole, message_use) = TABLE[row];
            if starts_with(selector, text) && (!whole || selector.len() == text.len()) {
                return message_use;
            }
            row += 1;
        }
        Self::Other
    }
}

const fn starts_with(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    let mut i = 0;
    while i < start.len() {
        if i == text.len() || text[i] != start[i] {
            return false;
        }
        i += 1;
    }
    true
}
