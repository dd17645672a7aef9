//! MTLCompiler's C functions, with which programs compile a source text into a library as data. tinygrad does.

use super::container::{HEAD, TAIL, options};
use super::library::Library;
use crate::abi::Imp;
use crate::soft::runtime::block::BlockRef;
use std::ffi::{CString, c_char, c_int, c_void};

/// The kind of request that compiles a source text.
const COMPILE: c_int = 13;

fn pack(source: &str, arguments: &str) -> Vec<u8> {
    [HEAD, arguments.as_bytes(), b"\0", source.as_bytes(), TAIL].concat()
}

/// Compiles what a request has: the lengths of the source and of the arguments, then both texts, each of which may
/// end in NULs.
fn build(kind: c_int, request: &[u8]) -> Result<Vec<u8>, String> {
    if kind != COMPILE {
        return Err(format!("request {kind} of the code generation service does not exist here"));
    }
    let malformed = || "the request of the code generation service is malformed".to_owned();
    let split = |bytes: &[u8]| {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(malformed)?;
        Ok::<_, String>((u64::from_le_bytes(*length) as usize, rest.to_owned()))
    };
    let (source_length, rest) = split(request)?;
    let (arguments_length, rest) = split(&rest)?;
    let text = |start: usize, length: usize| {
        let bytes = start.checked_add(length).and_then(|end| rest.get(start..end));
        let bytes = bytes.ok_or_else(malformed)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8(bytes[..end].to_vec()).map_err(|error| error.to_string())
    };
    let source = text(0, source_length)?;
    let arguments = text(source_length, arguments_length)?;
    Library::check(&source, &options(&arguments)).map_err(|error| error.message)?;
    // The reply: eight bytes that are never read, the lengths of the header and of the warnings, and the library.
    const HEADER: u32 = 16;
    let mut reply = vec![0; 8];
    reply.extend(HEADER.to_le_bytes());
    reply.extend(0u32.to_le_bytes());
    reply.extend(pack(&source, &arguments));
    Ok(reply)
}

/// A service. There is nothing in it: each request is answered before the function returns.
///
/// # Safety
///
/// None: it is always safe to call.
pub(crate) unsafe extern "C" fn MTLCodeGenServiceCreate(_name: *const c_char) -> *mut c_void {
    static SERVICE: u8 = 0;
    (&raw const SERVICE).cast_mut().cast()
}

/// Ends a service.
///
/// # Safety
///
/// None: it is always safe to call.
pub(crate) unsafe extern "C" fn MTLCodeGenServiceDestroy(_service: *mut c_void) {}

/// Answers a request by calling a block with an error's number, the reply and its length, and the error's text.
///
/// # Safety
///
/// There are that many bytes at the address of the request, and the block takes these arguments.
pub(crate) unsafe extern "C" fn MTLCodeGenServiceBuildRequest(
    _service: *mut c_void,
    _: *const c_void,
    kind: c_int,
    request: *const c_void,
    length: usize,
    block: *const c_void,
) {
    type Reply = unsafe extern "C" fn(*const c_void, c_int, *const u8, usize, *const c_char);
    let request = match request.is_null() {
        true => &[],
        // SAFETY: the caller's.
        false => unsafe { std::slice::from_raw_parts(request.cast::<u8>(), length) },
    };
    // The block is called here, and so it is not retained: tinygrad passes one that has only a function.
    // SAFETY: the caller's.
    let Some(invoke) = (unsafe { BlockRef::from_ptr(block) }).invoke() else { return };
    // SAFETY: the caller's.
    let reply = unsafe { std::mem::transmute::<Imp, Reply>(invoke) };
    match build(kind, request) {
        // SAFETY: the bytes live until the call is over.
        Ok(bytes) => unsafe { reply(block, 0, bytes.as_ptr(), bytes.len(), std::ptr::null()) },
        Err(text) => {
            let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
            // SAFETY: as above.
            unsafe { reply(block, 1, std::ptr::null(), 0, text.as_ptr()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::container::unpack;
    use super::*;

    #[test]
    fn a_source_becomes_a_library_as_data() {
        let request = |source: &str| {
            let arguments = "-fno-fast-math\0";
            let mut bytes = (source.len() as u64).to_le_bytes().to_vec();
            bytes.extend((arguments.len() as u64).to_le_bytes());
            bytes.extend(source.bytes().chain(arguments.bytes()));
            build(COMPILE, &bytes)
        };
        let reply = request("kernel void k() {}\0\0").unwrap();
        let library = &reply[16..];
        assert!(library.starts_with(b"MTLB") && library.ends_with(b"ENDT"));
        let (source, options) = unpack(library).unwrap();
        assert_eq!((source, options.safe_math), ("kernel void k() {}", true));
        let error = request("kernel void k() { x; }").unwrap_err();
        assert!(error.contains("undeclared identifier 'x'"), "{error}");
        assert!(build(COMPILE, &[1, 2]).unwrap_err().contains("malformed"));
        assert!(build(COMPILE, &[255; 20]).unwrap_err().contains("malformed"));
        assert!(build(1, &[]).is_err());
    }
}
